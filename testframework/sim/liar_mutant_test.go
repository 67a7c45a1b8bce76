package sim_test

import (
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// TestMutants_liarsFindThem has f liars of the right sort in networks with a seeded bug that only liars
// make a difference to: some of the seeds must break a rule.
func TestMutants_liarsFindThem(t *testing.T) {
	if !mutant.Built {
		t.Skip("needs the tag mutants")
	}
	for _, tt := range []struct {
		bug      mutant.Mutant
		strategy string
	}{
		{mutant.VoteSignatureUnchecked, "forged-votes"},
		{mutant.CertificateCountUnchecked, "bad-certificate"},
		{mutant.LeaderUnchecked, "usurp"},
		{mutant.PayloadHashUnchecked, "lying-sync"},
		{mutant.SyncRangeUnverified, "lying-sync"},
		{mutant.SecondProposalPanics, "equivocate"},
		{mutant.VoteTwice, "equivocate"},
		{mutant.InvalidBlockVoted, "invalid-block"},
		{mutant.ClockUnchecked, "timestamp-skew"},
		{mutant.HorizonUnbounded, "future-spam"},
		{mutant.SignerCountedTwice, "stale-replay"},
		{mutant.HashesMixed, "equivocate"},
		{mutant.MissingDataIsInvalid, "bad-data"},
		{mutant.FinalizeWithoutGate, "colluding"},
		{mutant.NullifyAfterFinalize, "colluding"},
		{mutant.NoParentCertificate, "colluding"},
		{mutant.NoSkipCertificate, "rush"},
		{mutant.NoParentEvidence, "colluding"},
	} {
		t.Run(tt.bug.String(), func(t *testing.T) {
			mutant.Select(tt.bug)
			defer mutant.Select(0)
			const seeds = 6
			for seed := range uint64(seeds) {
				for _, shape := range shapes {
					for _, n := range []int{4, 7} {
						s := lied(seed, n, consensus.Faulty(n), shape.term, shape.window, tt.strategy)
						s.Faulty, s.Work.Rate = 100*time.Second, 30
						r, err := sim.Run(s)
						if err != nil {
							t.Fatal(err)
						}
						if r.Err != nil {
							t.Logf("seed %d n=%d T=%d: at %v: %.200s", seed, n, shape.term, r.At, r.Err)
							return
						}
					}
				}
			}
			t.Errorf("%s: no violation in %d seeds with %s", tt.bug.Describe(), seeds, tt.strategy)
		})
	}
}
