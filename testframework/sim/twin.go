package sim

import (
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// double is one validator's key in two processes: somebody copied it to the machine of an observer and
// began there with an empty journal. A process that sees a vote of its own key that its journal does not
// have must halt: nothing else can keep two honest processes from voting against each other.
type double struct {
	w *World
	// first is the validator's own machine, second the observer's.
	first, second *node
	// known are the votes that each process's journal has.
	known map[*node]map[ownVote]bool
	// strange is the first vote of the own key that a running process saw and did not know.
	strange map[*node]*strangeVote
}

type ownVote struct {
	kind consensus.Kind
	view uint64
	hash common.Hash
}

type strangeVote struct {
	vote *consensus.Vote
	at   time.Duration
}

// haltWithin is how long a process may go on after a vote that nobody else can have signed: a slow sync.
const haltWithin = 2 * time.Second

// twin starts a second process with a validator's key on an observer's machine, if one is free. From then
// on the validator is one of the liars that the law allows, though neither process means to lie.
func (w *World) twin(first *node) {
	var second *node
	for _, n := range w.nodes[w.scenario.Validators:] {
		if n.signer < 0 && second == nil {
			second = n
		}
	}
	if second == nil || !first.validator() || !first.correct() {
		return
	}
	second.stop()
	second.app.crash(true)
	second.signer = first.signer
	w.check(second.format())
	w.law.Liar[first.signer] = true
	w.judge(w.votes.Turned(first.signer))
	d := &double{w: w, first: first, second: second, known: map[*node]map[ownVote]bool{first: {}, second: {}}, strange: map[*node]*strangeVote{}}
	first.double, second.double = d, d
	w.doubles = append(w.doubles, d)
	second.start()
}

// unite ends the second process of each pair: its machine is an observer's again. The first one starts
// again and has forgotten what it was told by the other.
func (w *World) unite() {
	for _, d := range w.doubles {
		d.second.stop()
		d.second.app.crash(true)
		d.second.signer = -1
		w.check(d.second.format())
		d.first.stop()
		d.first.app.crash(true)
		d.first.double, d.second.double = nil, nil
	}
	w.doubles = nil
}

// recovered notes what a process found in its journal.
func (d *double) recovered(n *node, records []consensus.Record) {
	delete(d.strange, n)
	for i := range records {
		if r := &records[i]; r.Type == consensus.RecordNotarize {
			if m, err := consensus.DecodeMessage(r.Data); err == nil {
				d.known[n][ownVote{consensus.Notarize, r.View, m.(*consensus.Proposal).Hash()}] = true
			}
		}
	}
}

// says notes a vote that a process sends.
func (d *double) says(n *node, m consensus.Message) {
	switch m := m.(type) {
	case *consensus.Vote:
		d.known[n][ownVote{m.Kind, m.View, m.Hash}] = true
	case *consensus.Proposal:
		v := &m.LeaderVote
		d.known[n][ownVote{v.Kind, v.View, v.Hash}] = true
	}
}

// hears checks that a process has not gone on after a strange vote, and notes one that it will read now.
// A validator that lost its journal cannot tell which votes of its own are strange.
func (d *double) hears(n *node, m consensus.Message) {
	if s := d.strange[n]; s != nil && d.w.now > s.at+haltWithin {
		d.w.violate("one key twice", "node %d saw at %v its key's %s of view %d, which its journal does not have, and goes on",
			n.index, s.at, s.vote.Kind, s.vote.View)
		return
	}
	v, ok := m.(*consensus.Vote)
	if !ok || int(v.Signer) != n.signer || n.busy || len(n.inbox) > 0 || d.strange[n] != nil {
		return
	}
	s := n.replica.Snapshot()
	if v.View <= s.Final.View || !s.Voting || s.VotesFrom != 0 || d.known[n][ownVote{v.Kind, v.View, v.Hash}] {
		return
	}
	if n == d.first && d.w.journals.Holds(v) {
		return // Sent before there were two.
	}
	d.strange[n] = &strangeVote{v, d.w.now}
}

// reviveAfter is how soon a process that halted, and may have to, is started again.
const reviveAfter = 2 * time.Second

// revive plans the restart of a process that halted though it is a liar's or one of two with one key.
func (n *node) revive() {
	if n.double != nil {
		n.w.halts++
		delete(n.double.strange, n)
	}
	n.w.queue.push(n.w.now+reviveAfter, event{kind: evStart, node: int32(n.index)})
}
