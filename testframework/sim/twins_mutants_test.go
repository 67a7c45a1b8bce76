//go:build mutants

package sim_test

import (
	"slices"
	"testing"

	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// Each rule of agreement left out is found by some small scope. The logs say how many scenarios that took.
func TestTwins_ruleMutants(t *testing.T) {
	scopes := []sim.TwinsOptions{
		{Validators: 4, Twins: 1, Views: 3, Parts: 2, Term: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 4, Parts: 2, Term: 2, Window: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 5, Parts: 2, Term: 3, Window: 2, Late: true},
		{Validators: 4, Twins: 1, Views: 4, Parts: 2, Term: 16, Window: 4, Late: true},
	}
	const limit = 800
	for _, m := range []mutant.Mutant{
		mutant.FinalizeWithoutGate, mutant.NullifyAfterFinalize, mutant.ExcludePerView, mutant.NoParentCertificate,
		mutant.NoSkipCertificate, mutant.NoParentEvidence, mutant.VoteTwice,
	} {
		t.Run(m.String(), func(t *testing.T) {
			mutant.Select(m)
			defer mutant.Select(0)
			found := false
			for _, o := range scopes {
				s := scope(t, o)
				r := s.Sweep(t.Context(), sim.TwinsPlan{Sample: limit, Seed: 1, Jobs: 1, Stop: 1})
				if r.Violations == 0 {
					t.Logf("T=%d W=%d: not in %d scenarios", o.Term, o.Window, r.Done)
					continue
				}
				found = true
				first := slices.Index(slices.Collect(s.Sample(1, limit)), r.First[0].Index) + 1
				t.Logf("T=%d W=%d: scenario %d of the sample, %v", o.Term, o.Window, first, r.First[0].Err)
			}
			if !found {
				t.Errorf("no scenario of any scope notices that %s", m.Describe())
			}
		})
	}
}
