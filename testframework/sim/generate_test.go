package sim_test

import (
	"testing"

	"github.com/tercet-chain/tercet/testframework/sim"
)

// Whatever a seed draws, every promise holds.
func TestGenerate_everythingHolds(t *testing.T) {
	b := sim.Batch{From: 1, To: 60, Options: sim.DefaultOptions(), Jobs: 2, Stop: 1}
	if testing.Short() {
		b.To = 12
	}
	sum, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sum.Failed {
		t.Errorf("seed %d at %v: %v", f.Seed, f.Result.At, f.Result.Err)
	}
	if want := int(b.To - b.From + 1); !t.Failed() && (sum.Runs != want || sum.Stats.Height == 0) {
		t.Errorf("%d runs of %d, %d blocks", sum.Runs, want, sum.Stats.Height)
	}
}
