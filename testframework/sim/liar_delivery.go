package sim

import (
	"math"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// This file has the lies about what is delivered to whom, and when.

func late(l *liar, _ *node, m consensus.Message) []speech {
	return []speech{{m, l.n.w.scenario.Timing.Delta*2 - 10*time.Millisecond}}
}

// chooseAudience draws, now and then, whom a selective liar talks to: one less than a quorum, itself
// among them, or everybody about some things only.
func chooseAudience(l *liar) {
	if l.audience != 0 && !l.chance(0.05) {
		return
	}
	w := l.n.w
	l.audience, l.muted = math.MaxUint64, uint16(w.rng.Uint32())
	if l.chance(0.5) {
		return
	}
	l.audience, l.muted = 1<<l.n.index, 0
	order := w.rng.Perm(w.scenario.Validators)
	for count := 1; count < consensus.Quorum(w.scenario.Validators)-1; order = order[1:] {
		if order[0] != l.n.index {
			l.audience |= 1 << order[0]
			count++
		}
	}
}

func selective(l *liar, to *node, m consensus.Message) []speech {
	if l.audience>>to.index&1 == 0 && l.audience != 0 || l.muted>>kindOf(m)&1 != 0 {
		return nil
	}
	return same(m)
}

// laneOf is the lane on which a kind of message travels.
func laneOf(m consensus.Message) consensus.Lane {
	switch m.(type) {
	case *consensus.Vote:
		return consensus.LaneVote
	case *consensus.Proposal:
		return consensus.LaneProposal
	case *consensus.BlockRequest, *consensus.BlockResponse:
		return consensus.LaneSync
	}
	return consensus.LaneCert
}

func replay(l *liar) {
	for range l.n.w.rng.IntN(5) {
		if m := l.recall(); m != nil {
			l.send(l.somebody(), laneOf(m), speech{message: m})
		}
	}
}

// noise is a hash that belongs to nothing.
func (l *liar) noise() (h common.Hash) {
	for i := 0; i < len(h); i += 8 {
		x := l.n.w.rng.Uint64()
		for j := range 8 {
			h[i+j] = byte(x >> (8 * j))
		}
	}
	return h
}

// ahead is a view above the current one: near, at the edge of what is kept, or absurd.
func (l *liar) ahead() uint64 {
	w := l.n.w
	v, s := l.view(), w.scenario
	switch w.rng.IntN(6) {
	case 0:
		return v + s.Window + uint64(w.rng.IntN(3))
	case 1:
		return v + s.Term*uint64(1+w.rng.IntN(3*s.Validators))
	case 2:
		return v + w.rng.Uint64N(1_000_000)
	case 3:
		return 1<<62 - w.rng.Uint64N(3) // at the bound of all views
	case 4:
		return math.MaxUint64 - w.rng.Uint64N(3)
	}
	return v + 1 + w.rng.Uint64N(2*s.Term)
}

// Now and then one node gets a burst: in two minutes ten thousand votes that it must not keep.
const (
	burst       = 600
	burstChance = 0.02
)

// spamFuture floods with messages about views ahead, some every Δ.
func spamFuture(l *liar) {
	if l.chance(burstChance) {
		victim := l.n.w.nodes[(l.n.index+1)%len(l.n.w.nodes)]
		for range burst {
			l.send(victim, consensus.LaneVote, speech{message: l.vote(consensus.Nullify, l.view()+l.n.w.rng.Uint64N(1_000_000), common.Hash{})})
		}
	}
	for range 4 + l.n.w.rng.IntN(8) {
		m := l.future()
		if l.chance(0.3) {
			l.tell(laneOf(m), m)
		} else {
			l.send(l.somebody(), laneOf(m), speech{message: m})
		}
	}
}

func (l *liar) future() consensus.Message {
	w, v := l.n.w, l.ahead()
	switch w.rng.IntN(8) {
	case 0:
		return l.vote(consensus.Nullify, v, common.Hash{})
	case 1, 2:
		return l.vote(consensus.Finalize, v, l.noise())
	case 3:
		return &consensus.Status{View: v, FinHeight: w.rng.Uint64N(1 << 40), FinView: v - 1, FinHash: l.noise(), ExecHeight: 1}
	case 4:
		return &consensus.CertRequest{From: l.view(), To: v}
	case 5:
		for int((v-1)/w.scenario.Term%uint64(w.scenario.Validators)) != l.n.signer && v < 1<<61 {
			v += w.scenario.Term
		}
		return l.invent(v)
	case 6:
		return &consensus.BlockRequest{From: v, Count: w.rng.Uint64()}
	}
	return l.vote(consensus.Notarize, v, l.noise())
}

// invent is an empty block for a view, on a parent that does not exist.
func (l *liar) invent(view uint64) *consensus.Proposal {
	w := l.n.w
	p := &consensus.Proposal{Block: consensus.Block{Header: consensus.Header{
		Version: consensus.HeaderVersion, View: view, Height: 1 + w.rng.Uint64N(1000), ParentHash: l.noise(), ParentView: view - 1,
		Proposer: w.keys.addresses[l.n.signer], TimeMs: w.latestClock(), PayloadHash: emptyPayload, CommitteeHash: w.committee.Hash(),
	}}}
	p.LeaderVote = *l.vote(consensus.Notarize, view, p.Block.Header.Hash())
	return p
}

// spamGossip repeats transactions: nobody can make any up, only clients sign them.
func spamGossip(l *liar) {
	w := l.n.w
	if len(w.txs) == 0 {
		return
	}
	var txs []uint64
	for range 1 + w.rng.IntN(maxBlockTxs/4) {
		txs = append(txs, w.rng.Uint64N(uint64(len(w.txs))))
	}
	w.publish(l.n, txs)
}

// Caps on lists in messages, and how much a block may hold.
const (
	maxCerts, maxProposals, maxHeaders, maxNullifications = 64, 32, 16384, 256
	maxBlockBytes                                         = 1 << 16
)

// oversize sends something that is too long, now and then.
func oversize(l *liar) {
	w := l.n.w
	if !l.chance(0.2) {
		return
	}
	var m consensus.Message
	var cert *consensus.Cert
	var p *consensus.Proposal
	for range 4 {
		switch x := l.recall().(type) {
		case *consensus.Cert:
			cert = x
		case *consensus.Proposal:
			p = x
		}
	}
	switch w.rng.IntN(5) {
	case 0:
		m = &consensus.CertResponse{Certs: repeat(cert, maxCerts+1)}
	case 1:
		if p != nil {
			c := copyOf(p)
			c.Justify.Nullifications = repeat(cert, maxNullifications+1)
			m = c
		}
	case 2:
		if p != nil {
			m = &consensus.BlockResponse{Proposals: repeat(copyOf(p), maxProposals+1)}
		}
	case 3:
		if p != nil {
			m = &consensus.BlockResponse{
				Blocks: []*consensus.Block{&p.Block}, Headers: repeat(&p.Block.Header, maxHeaders+1), Finalization: cert,
			}
		}
	case 4:
		if p != nil {
			c := copyOf(p)
			c.Block.Data = make([]byte, maxBlockBytes<<w.rng.IntN(3))
			m = c
		}
	}
	if m != nil {
		l.send(l.somebody(), laneOf(m), speech{message: m})
		l.send(l.somebody(), consensus.LaneVote, speech{message: m})
	}
}

// repeat is a list of one thing; of nothing it is empty.
func repeat[T any](x *T, n int) []*T {
	if x == nil {
		return nil
	}
	list := make([]*T, n)
	for i := range list {
		list[i] = x
	}
	return list
}
