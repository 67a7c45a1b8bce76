package sim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// lied is a scenario without faults but with the first validators lying.
func lied(seed uint64, n, liars int, term, window uint64, strategies ...string) *sim.Scenario {
	s := &sim.Scenario{
		Seed: seed, Validators: n, Term: term, Window: window, Timing: consensus.DefaultTiming(),
		Network: sim.Network{MinLatency: time.Millisecond, MaxLatency: 30 * time.Millisecond, Jitter: 5 * time.Millisecond},
		Disk:    sim.Disk{Sync: time.Millisecond, Execute: time.Millisecond},
		Work:    sim.Work{Rate: 5}, Faulty: 30 * time.Second, Healed: 15 * time.Second,
	}
	for i := range liars {
		s.Liars = append(s.Liars, sim.Liar{Node: i, Strategies: strategies})
	}
	return s
}

var shapes = []struct{ term, window uint64 }{{1, 0}, {16, 4}}

// TestStrategies_fLiarsBreakNothing also asks that every lie is told: the run differs from the one of a
// network that is honest in everything but the count of its liars.
func TestStrategies_fLiarsBreakNothing(t *testing.T) {
	refused := []string{"bad-certificate", "false-evidence", "forged-votes", "future-spam", "lying-sync", "mutate", "oversized", "usurp", "wrong-height"}
	for _, name := range sim.Strategies() {
		t.Run(name, func(t *testing.T) {
			if sim.About(name) == "" {
				t.Error("nobody says what it does")
			}
			for _, shape := range shapes {
				for _, n := range []int{4, 7} {
					f := consensus.Faulty(n)
					got, err := sim.Run(lied(3, n, f, shape.term, shape.window, name))
					if err != nil {
						t.Fatal(err)
					}
					if got.Err != nil {
						t.Errorf("n=%d T=%d: at %v: %v", n, shape.term, got.At, got.Err)
					}
					honest, err := sim.Run(lied(3, n, f, shape.term, shape.window))
					if err != nil || honest.Err != nil {
						t.Fatal(err, honest.Err)
					}
					if got.Hash == honest.Hash {
						t.Errorf("n=%d T=%d: the liars told no lie", n, shape.term)
					}
					if want := slices.Contains(refused, name); want && got.Stats.Refused == 0 {
						t.Errorf("n=%d T=%d: nothing was refused", n, shape.term)
					}
				}
			}
		})
	}
}

// TestStrategies_replay runs all liars at once, twice: equal scenarios give equal events.
func TestStrategies_replay(t *testing.T) {
	s := lied(5, 7, 2, 16, 4)
	s.Liars[0].Strategies = slices.DeleteFunc(sim.Strategies(), func(name string) bool { return name == "silent" })
	s.Liars[1].Strategies = s.Liars[0].Strategies
	first, err := sim.Run(s)
	if err != nil || first.Err != nil {
		t.Fatal(err, first.Err)
	}
	second, err := sim.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if first.Hash != second.Hash || first.Stats != second.Stats {
		t.Errorf("the second run is %s %+v, the first was %s %+v", second.Hash, second.Stats, first.Hash, first.Stats)
	}
}

// TestColluding_moreThanF is the proof that the checkers can see a fork: they report f+1 colluders in
// some of a handful of seeds, f of them never.
func TestColluding_moreThanF(t *testing.T) {
	const seeds = 5
	agreement := []string{"two notarizations", "fork", "skipped final block", "agreement"}
	for _, n := range []int{4, 7} {
		for _, shape := range shapes {
			t.Run(fmt.Sprintf("n=%d/T=%d/W=%d", n, shape.term, shape.window), func(t *testing.T) {
				f, forks := consensus.Faulty(n), 0
				for seed := range uint64(seeds) {
					r, err := sim.Run(lied(seed, n, f, shape.term, shape.window, "colluding"))
					if err != nil {
						t.Fatal(err)
					}
					if r.Err != nil {
						t.Errorf("seed %d: %d colluders of %d: at %v: %v", seed, f, n, r.At, r.Err)
					}
					if r, err = sim.Run(lied(seed, n, f+1, shape.term, shape.window, "colluding")); err != nil {
						t.Fatal(err)
					}
					if slices.Contains(agreement, r.Rule()) {
						forks++
					}
				}
				if forks == 0 {
					t.Errorf("%d colluders of %d break agreement in none of %d seeds", f+1, n, seeds)
				}
			})
		}
	}
}

// TestColluding_nodesDisagree lets f+1 colluders go on until two correct nodes have different final blocks.
func TestColluding_nodesDisagree(t *testing.T) {
	const seeds = 25 // one in six at the worst
	for _, n := range []int{4, 7} {
		for _, shape := range shapes {
			t.Run(fmt.Sprintf("n=%d/T=%d/W=%d", n, shape.term, shape.window), func(t *testing.T) {
				rules := map[string]int{}
				for seed := uint64(0); seed < seeds && rules["agreement"] == 0; seed++ {
					w, err := sim.New(lied(seed, n, consensus.Faulty(n)+1, shape.term, shape.window, "colluding"))
					if err != nil {
						t.Fatal(err)
					}
					sim.Blind(w)
					rules[w.Run().Rule()]++
				}
				if rules["agreement"] == 0 {
					t.Errorf("rules broken %v, want agreement in one of %d seeds", rules, seeds)
				}
			})
		}
	}
}

func TestNew_refusesUnknownLiars(t *testing.T) {
	for _, l := range []sim.Liar{{Node: 4, Strategies: []string{"silent"}}, {Node: -1}, {Node: 0, Strategies: []string{"honest"}}} {
		s := lied(1, 4, 0, 1, 0)
		s.Liars = []sim.Liar{l}
		if _, err := sim.New(s); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
}

// TestLyingSync_wipedValidatorsVoteAgain has one liar state views of the far future and serve ranges
// without their ends, while another validator comes back without its journal and crashes later.
func TestLyingSync_wipedValidatorsVoteAgain(t *testing.T) {
	for seed := range uint64(4) {
		s := lied(seed, 7, 1, 16, 4, "lying-sync")
		s.Faults = []sim.Fault{
			{At: 10 * time.Second, Kind: sim.Kill, Node: 3},
			{At: 11 * time.Second, Kind: sim.Wipe, Node: 3},
			{At: 12 * time.Second, Kind: sim.Start, Node: 3},
			{At: 13 * time.Second, Kind: sim.Crash, Node: 3},
			{At: 14 * time.Second, Kind: sim.Start, Node: 3},
		}
		r, err := sim.Run(s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Err != nil {
			t.Errorf("seed %d: at %v: %v", seed, r.At, r.Err)
		}
	}
}
