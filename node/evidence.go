package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/rpc"
)

// maxProofs against each validator are kept, the first ones: they say what an operator has to know, a liar
// cannot push out the proofs against another one, nor fill the disk.
const maxProofs = 16

// evidence keeps the proofs that validators broke the rules, for people: consensus does not read them. Its
// methods are safe for concurrent use.
type evidence struct {
	log      *slog.Logger
	store    *store.Store
	verifier *consensus.Verifier
	// wake: sent by take, received by run; capacity 1, a full channel already says "look again".
	wake chan struct{}

	mu      sync.Mutex
	known   map[offence]bool // guarded by mu; kept or waiting, at most maxProofs per validator
	against map[uint16]int   // guarded by mu; how many of known are against a validator
	waiting []proof          // guarded by mu; not on the disk yet
	kept    []proof          // guarded by mu; on the disk, oldest first
}

// offence is what one proof is about; a second proof of the same tells nothing new.
type offence struct {
	signer      uint16
	epoch, view uint64
	a, b        consensus.Kind
}

type proof struct {
	consensus.Evidence
	frame       []byte
	firstSeenMs uint64
}

func offenceOf(e *consensus.Evidence) offence {
	o := offence{signer: e.A.Signer, epoch: e.A.Epoch, view: max(e.A.View, e.B.View), a: e.A.Kind, b: e.B.Kind}
	o.a, o.b = min(o.a, o.b), max(o.a, o.b)
	return o
}

// openEvidence reads what an earlier process kept and believes only what verifies.
func openEvidence(s *store.Store, v *consensus.Verifier, log *slog.Logger) (*evidence, error) {
	e := &evidence{
		log: log, store: s, verifier: v, wake: make(chan struct{}, 1),
		known: make(map[offence]bool), against: make(map[uint16]int),
	}
	stored, err := s.Evidence()
	if err != nil {
		return nil, err
	}
	for _, kept := range stored {
		found, err := e.decode(kept.Proof)
		if err != nil {
			log.Warn("kept evidence does not verify and is left out", "first_seen_ms", kept.FirstSeenMs, "error", err)
			continue
		}
		if e.enter(found) {
			e.kept = append(e.kept, proof{*found, kept.Proof, kept.FirstSeenMs})
		}
	}
	return e, nil
}

func (e *evidence) decode(frame []byte) (*consensus.Evidence, error) {
	m, err := consensus.DecodeMessage(append([]byte(nil), frame...)) // which owns its argument
	if err != nil {
		return nil, err
	}
	found, ok := m.(*consensus.Evidence)
	if !ok {
		return nil, fmt.Errorf("holds a %T", m)
	}
	_, err = e.verifier.Verify(found)
	return found, err
}

// enter reports whether an offence is new and there is room for it. The caller holds mu, or is alone.
func (e *evidence) enter(found *consensus.Evidence) bool {
	o := offenceOf(found)
	if e.known[o] || e.against[o.signer] >= maxProofs {
		return false
	}
	e.known[o] = true
	e.against[o.signer]++
	return true
}

// take has verified evidence kept if it is new. It runs on the engine's loop and does not wait.
func (e *evidence) take(found consensus.Evidence) {
	now := uint64(time.Now().UnixMilli())
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.enter(&found) {
		return
	}
	e.waiting = append(e.waiting, proof{found, consensus.EncodeMessage(&found), now})
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// run writes what take was given, until ctx ends and all of it is written. An error is one of the store,
// which stops the node like every failed write.
func (e *evidence) run(ctx context.Context) error {
	for {
		if err := e.flush(); err != nil {
			return err
		}
		select {
		case <-e.wake:
		case <-ctx.Done():
			return e.flush()
		}
	}
}

func (e *evidence) flush() error {
	for {
		e.mu.Lock()
		if len(e.waiting) == 0 {
			e.mu.Unlock()
			return nil
		}
		p := e.waiting[0]
		e.mu.Unlock()
		if err := e.store.AddEvidence(store.Evidence{FirstSeenMs: p.firstSeenMs, Proof: p.frame}); err != nil {
			return err
		}
		e.mu.Lock()
		e.waiting = append(e.waiting[:0], e.waiting[1:]...)
		e.kept = append(e.kept, p)
		e.mu.Unlock()
		e.log.Warn("a validator signed votes that exclude each other: tercet_evidence has the proof",
			"validator", e.address(&p), "view", max(p.A.View, p.B.View), "kinds", p.A.Kind.String()+"+"+p.B.Kind.String())
	}
}

func (e *evidence) address(p *proof) common.Address {
	return e.verifier.Committee.Address(int(p.A.Signer))
}

// count is how many proofs are kept.
func (e *evidence) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.kept)
}

// each calls visit for the kept proofs, oldest first.
func (e *evidence) each(visit func(signer int, firstSeen time.Time)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.kept {
		visit(int(e.kept[i].A.Signer), time.UnixMilli(int64(e.kept[i].firstSeenMs)))
	}
}

// list describes the kept proofs, oldest first.
func (e *evidence) list() []rpc.Evidence {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]rpc.Evidence, 0, len(e.kept))
	for i := range e.kept {
		p := &e.kept[i]
		item := rpc.Evidence{Validator: e.address(p), Epoch: p.A.Epoch, View: max(p.A.View, p.B.View), FirstSeen: p.firstSeenMs}
		for _, v := range []*consensus.Vote{&p.A, &p.B} {
			item.Kinds = append(item.Kinds, v.Kind.String())
			item.Hashes = append(item.Hashes, v.Hash)
			item.Votes = append(item.Votes, consensus.EncodeMessage(v))
		}
		out = append(out, item)
	}
	return out
}

// first returns the frame of the first proof against each accused validator, in their order.
func (e *evidence) first() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	var frames [][]byte
	told := make(map[uint16]bool)
	for _, list := range [][]proof{e.kept, e.waiting} {
		for i := range list {
			if p := &list[i]; !told[p.A.Signer] {
				told[p.A.Signer] = true
				frames = append(frames, p.frame)
			}
		}
	}
	return frames
}
