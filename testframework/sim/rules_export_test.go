package sim

import (
	"errors"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// Bench is a world that tests break by hand.
type Bench struct{ w *World }

// NewBench starts a network and lets it order transactions for some time.
func NewBench(s *Scenario, after time.Duration) (*Bench, error) {
	w, err := New(s)
	if err != nil {
		return nil, err
	}
	w.begin()
	w.advance(after)
	return &Bench{w}, w.err
}

// Go lets time pass, as in a run, and returns the first violation.
func (b *Bench) Go(d time.Duration) error {
	b.w.guard(func() { b.w.advance(b.w.now + d) })
	return b.w.err
}

// Say has a node send a message that its core did not ask for.
func (b *Bench) Say(node int, m consensus.Message) error {
	b.w.send(b.w.nodes[node], &consensus.Send{To: consensus.Everyone, Lane: consensus.LaneSync, Message: m})
	return b.w.err
}

// Vote signs with a validator's key.
func (b *Bench) Vote(signer int, kind consensus.Kind, view uint64, fill byte) *consensus.Vote {
	v := &consensus.Vote{Kind: kind, View: view, Signer: uint16(signer)}
	if kind != consensus.Nullify {
		v.Hash[0] = fill
	}
	v.Sig = key{b.w.keys, signer}.Sign(consensus.Digest(genesis, kind, 0, view, v.Hash))
	return v
}

// Hear hands a node a vote that nobody sent.
func (b *Bench) Hear(node int, v *consensus.Vote) error {
	verified, err := b.w.verifier.Verify(v)
	if err != nil {
		return err
	}
	b.w.nodes[node].receive((node+1)%len(b.w.nodes), &packet{message: v, verified: verified})
	return b.w.err
}

// View is where a node's core stands.
func (b *Bench) View(node int) uint64 { return b.w.nodes[node].replica.Snapshot().View }

// Accuse has a node find evidence.
func (b *Bench) Accuse(node int, a, v *consensus.Vote) error {
	b.w.accused(b.w.nodes[node], &consensus.Evidence{A: *a, B: *v})
	return b.w.err
}

// Hold has a node say how much it holds in memory.
func (b *Bench) Hold(node, blocks, views int) error {
	b.w.held(b.w.nodes[node], &consensus.Snapshot{HeldBlocks: blocks, HeldViews: views})
	return b.w.err
}

// FailDisk makes the next write of a node's journal fail, though no fault of the scenario says so.
func (b *Bench) FailDisk(node int) {
	b.w.nodes[node].disk.FailNext("write", 0, simdisk.Fault{Err: simdisk.ErrIO})
}

// FailBeside makes an operation on a node's disk fail that its journal does not notice.
func (b *Bench) FailBeside(node int) error {
	disk := b.w.nodes[node].disk
	disk.FailNext("mkdir", 0, simdisk.Fault{Err: simdisk.ErrIO})
	if disk.MkdirAll("/elsewhere") == nil {
		return errors.New("no operation failed")
	}
	return nil
}

// Mangle takes what a node's core works on away.
func (b *Bench) Mangle(node int) { b.w.nodes[node].replica = nil }

// Scribble restarts a node with a record in its journal that makes no sense.
func (b *Bench) Scribble(node int) error {
	n := b.w.nodes[node]
	n.crash(true, simdisk.LoseUnsynced)
	log, _, err := wal.Open(journalDir, n.walOptions())
	if err != nil {
		return err
	}
	if err := errors.Join(log.Append(consensus.Record{Type: 77, View: 1}), log.Sync(), log.Close()); err != nil {
		return err
	}
	n.start()
	return b.w.err
}

// Restless has applications want blocks while the world is meant to idle.
func (b *Bench) Restless() error {
	w := b.w
	w.scenario.Work.Always = true // They build whenever they are asked.
	for _, n := range w.nodes {
		w.queue.push(w.now+settleTime, event{kind: evInput, node: int32(n.index), life: n.life, input: consensus.Demand{AtUnixMs: 1}})
	}
	w.quiet(new(Result))
	return w.err
}

// Fail reports a failure of the simulation itself.
func (b *Bench) Fail(err error) error {
	b.w.check(err)
	return b.w.err
}
