package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// DiskCase is a fault of the journals of some validators, and how their machines come back.
type DiskCase struct {
	// Fault of the operation named Op that comes after Pass others of the name.
	Fault simdisk.Fault
	Op    string
	Pass  int
	Nodes []int
	// Power says that the machines lose power before they come back, with Retention; otherwise their page
	// caches survive.
	Power     bool
	Retention simdisk.Retention
	// Faulty takes the validators for liars, from the start.
	Faulty bool
}

// DiskResult is what came of it.
type DiskResult struct {
	// Stopped are the validators whose process ended by the fault. Refused are those that did not start again,
	// for a damaged journal; Halted is how often one found out that its key has signed what it does not know.
	Stopped, Refused []int
	Halted           int
	// Before is the height of the chain when the last of them stopped, While when they came back, After at
	// the end.
	Before, While, After uint64
	// Votes are the highest views that the validators voted in, before and after.
	VotesBefore, VotesAfter []uint64
	Err                     error
}

// Run lets a network order transactions, makes the disks fail, brings the machines back, and waits until the
// network is as it was before.
func (c DiskCase) Run() (*DiskResult, error) {
	s, err := crashScenario(16)
	if err != nil {
		return nil, err
	}
	s.Faults = []Fault{{Kind: Rate, Count: 80_000}}
	w, err := New(s)
	if err != nil {
		return nil, err
	}
	r := new(DiskResult)
	w.machines = machines{pruneViews: 5, hasty: true, broke: func(n *node, err error) bool {
		r.Stopped = append(r.Stopped, n.index)
		r.Before = w.chains.Height()
		n.stop()
		n.app.crash(true)
		return true
	}}
	w.guard(func() { c.tell(w, r) })
	slices.Sort(r.Stopped)
	r.After, r.Err = w.chains.Height(), w.err
	return r, nil
}

func (c DiskCase) tell(w *World, r *DiskResult) {
	for _, i := range c.Nodes {
		if c.Faulty {
			w.law.Liar[i] = true
			w.judge(w.votes.Turned(i))
		}
	}
	w.begin()
	w.advance(100 * time.Millisecond)
	for _, i := range c.Nodes {
		w.nodes[i].disk.FailNext(c.Op, c.Pass, c.Fault)
	}
	w.advance(crashStory)
	r.While = w.chains.Height()
	w.machines.broke = nil
	for _, i := range c.Nodes {
		n := w.nodes[i]
		r.VotesBefore = append(r.VotesBefore, n.topVote)
		if n.up && !c.Fault.Lost {
			w.violate("fail-stop", "node %d runs after a %s that failed", i, c.Op)
		}
		if c.Power {
			n.crash(false, c.Retention)
		}
	}
	result := new(Result)
	if c.Faulty {
		w.withoutFaulty(c.Nodes, r)
	} else {
		w.converge(result)
	}
	for end := w.now + crashDeadline; w.err == nil && w.now < end && !c.Faulty && !c.voted(w, r); {
		w.advance(w.now + 50*time.Millisecond)
	}
	for _, i := range c.Nodes {
		r.VotesAfter = append(r.VotesAfter, w.nodes[i].topVote)
	}
}

func (c DiskCase) voted(w *World, r *DiskResult) bool {
	for at, i := range c.Nodes {
		if w.nodes[i].topVote <= r.VotesBefore[at] {
			return false
		}
	}
	return true
}

// withoutFaulty lets validators that count as faulty run again for some seconds: of the others only is
// anything asked.
func (w *World) withoutFaulty(faulty []int, r *DiskResult) {
	w.machines.broke = func(n *node, _ error) bool {
		r.Refused = append(r.Refused, n.index)
		n.stop()
		return true
	}
	w.heal()
	w.setRate(healedRate)
	lives := 0
	for _, i := range faulty {
		lives -= int(w.nodes[i].life)
	}
	w.advance(w.now + 8*time.Second)
	for _, i := range faulty {
		lives += int(w.nodes[i].life)
	}
	r.Halted = (lives + 1) / 2 // The count goes up when one ends and when the next one begins.
	for _, n := range w.nodes {
		if !slices.Contains(faulty, n.index) && len(n.app.store)+slack < int(w.chains.Height()) {
			w.violate("convergence", "%s", fmt.Sprintf("node %d is behind: %s", n.index, w.standings()))
		}
	}
}
