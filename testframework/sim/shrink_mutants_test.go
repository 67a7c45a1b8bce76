//go:build mutants

package sim_test

import (
	"testing"

	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// Seeded bugs of agreement, of the log, of catching up and of liveness, which some of the first seeds find.
func TestShrink_seededBugs(t *testing.T) {
	defer mutant.Select(0)
	o := sim.DefaultOptions()
	o.Nodes = []int{4}
	for _, m := range []mutant.Mutant{
		mutant.FinalizeWithoutGate, mutant.NullifyAfterFinalize, mutant.SendBeforeSync, mutant.RecoveryForgetsFinalize,
		mutant.WALIgnoresSyncError, mutant.SecondProposalPanics, mutant.DeliversTwice, mutant.WipedNeverRejoins,
		mutant.EvidenceAcrossTerms,
	} {
		t.Run(m.String(), func(t *testing.T) {
			mutant.Select(m)
			for seed := range uint64(40) {
				s := sim.Generate(seed, o)
				if r, err := sim.Run(s); err != nil || r.Err == nil {
					continue
				}
				shrunk(t, s)
				return
			}
			t.Error("no seed finds it")
		})
	}
}
