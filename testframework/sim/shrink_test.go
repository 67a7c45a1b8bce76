package sim_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
)

// shrunk shrinks a failing scenario and checks what every result has to be.
func shrunk(t *testing.T, s *sim.Scenario) *sim.Scenario {
	t.Helper()
	before, err := sim.Run(s)
	if err != nil || before.Err == nil {
		t.Fatalf("the scenario does not fail: %v\n%s", err, s)
	}
	runs := 0
	small := sim.Shrink(s, nil, sim.Shrinking{Progress: func(p sim.Progress) { runs = p.Runs }})
	t.Logf("%d faults to %d, after %d runs: %v\n%s", len(s.Faults), len(small.Faults), runs, before.Err, small)
	parsed, err := sim.ParseScenario(small.String())
	if err != nil || !reflect.DeepEqual(parsed, small) {
		t.Fatalf("the result is no script: %v", err)
	}
	var hashes [2]string
	for i := range hashes {
		r, err := sim.Run(parsed)
		if err != nil || r.Rule() != before.Rule() {
			t.Fatalf("the result breaks %q (%v), want %q", r.Rule(), err, before.Rule())
		}
		hashes[i] = r.Hash
	}
	if hashes[0] != hashes[1] {
		t.Error("the result does not replay")
	}
	if len(small.Faults) > 6 {
		t.Errorf("%d faults are left", len(small.Faults))
	}
	return small
}

// Two liars of four can do what they want: the faults beside them do not matter.
func TestShrink_tooManyLiars(t *testing.T) {
	o := sim.DefaultOptions()
	o.Nodes, o.Liars, o.Duration = []int{4}, 2, 30*time.Second
	for seed := uint64(1); seed < 500; seed++ {
		s := sim.Generate(seed, o)
		r, err := sim.Run(s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Rule() == "" || len(s.Faults) < 5 {
			continue
		}
		small := shrunk(t, s)
		if len(small.Liars) == 0 || len(small.Liars) > 2 {
			t.Errorf("%d liars are left", len(small.Liars))
		}
		if again := sim.Shrink(s, nil, sim.Shrinking{}); !reflect.DeepEqual(again, small) {
			t.Error("shrinking twice gives two results")
		}
		return
	}
	t.Error("two liars of four broke nothing in 500 seeds")
}

func TestShrink_leavesAloneWhatHolds(t *testing.T) {
	s := plain(4, 16, 4)
	if got := sim.Shrink(s, nil, sim.Shrinking{}); !reflect.DeepEqual(got, s) {
		t.Errorf("got %s", got)
	}
}
