package sim_test

import (
	"testing"
	"time"

	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// twins is a network in which the key of validator 1 runs twice for a while.
func twins(seed uint64, n int, term, window uint64) *sim.Scenario {
	s := lied(seed, n, 0, term, window)
	s.Observers = 1
	s.Faults = []sim.Fault{{At: 5 * time.Second, Kind: sim.Twin, Node: 1}}
	return s
}

// TestIncident08_twins runs one key in two processes: one of them halts, nobody else is harmed, and when
// one is left it votes again. The mutant that ignores the other's votes is reported.
func TestIncident08_twins(t *testing.T) {
	for seed := range uint64(5) {
		for _, shape := range shapes {
			w, err := sim.New(twins(seed, 4, shape.term, shape.window))
			if err != nil {
				t.Fatal(err)
			}
			if r := w.Run(); r.Err != nil {
				t.Errorf("seed %d T=%d: at %v: %v", seed, shape.term, r.At, r.Err)
			}
			if sim.Halts(w) == 0 {
				t.Errorf("seed %d T=%d: no process halted", seed, shape.term)
			}
		}
	}
	if !mutant.Built {
		return
	}
	mutant.Select(mutant.ForeignOwnVoteIgnored)
	defer mutant.Select(0)
	r, err := sim.Run(twins(1, 4, 16, 4))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Rule(), "one key twice"; got != want {
		t.Errorf("with %s the rule %q is broken, want %q: %v", mutant.ForeignOwnVoteIgnored, got, want, r.Err)
	}
}
