package sim_test

import (
	"testing"
	"time"

	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// divergent is a network with a small Dmax in which the executors of some validators break.
func divergent(seed uint64, n int, term, window uint64, nodes ...int) *sim.Scenario {
	s := lied(seed, n, 0, term, window)
	s.MaxAhead, s.Idle = 16, 5*time.Second
	for _, i := range nodes {
		s.Faults = append(s.Faults, sim.Fault{At: 10 * time.Second, Kind: sim.Diverge, Node: i})
	}
	return s
}

// TestIncident18_oneDivergentExecutor_isQuarantined breaks one executor: its validator signs no result that
// a quorum contradicts, votes on in consensus, and nobody else notices. The mutants that leave the
// quarantine out, or count different results together, are reported.
func TestIncident18_oneDivergentExecutor_isQuarantined(t *testing.T) {
	for seed := range uint64(4) {
		for _, shape := range shapes {
			r, err := sim.Run(divergent(seed, 4, shape.term, shape.window, 1))
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil || r.Stats.Receipts < r.Stats.Transactions {
				t.Errorf("seed %d T=%d: %d receipts for %d transactions: %v", seed, shape.term, r.Stats.Receipts, r.Stats.Transactions, r.Err)
			}
		}
	}
	reports(t, "execution", divergent(1, 4, 16, 4, 1), mutant.NoQuarantine, mutant.CertificateOfMixedResults)
}

// TestIncident18_tooManyDivergentExecutors_stopTransactionsAtDmax breaks f+1 executors: nothing is certified
// any more, transactions stop, and empty blocks go on. The mutant that orders past Dmax is reported.
func TestIncident18_tooManyDivergentExecutors_stopTransactionsAtDmax(t *testing.T) {
	for seed := range uint64(4) {
		for _, shape := range shapes {
			r, err := sim.Run(divergent(seed, 4, shape.term, shape.window, 1, 2))
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil || r.Stats.Receipts == r.Stats.Transactions {
				t.Errorf("seed %d T=%d: %d receipts for %d transactions: %v", seed, shape.term, r.Stats.Receipts, r.Stats.Transactions, r.Err)
			}
			if r.Stats.Height < 50 {
				t.Errorf("seed %d T=%d: the chain ends at height %d", seed, shape.term, r.Stats.Height)
			}
		}
	}
	reports(t, "dmax", divergent(1, 4, 16, 4, 1, 2), mutant.OrdersPastDmax)
}

// TestInvalidRoot_watermarksGoBack has a liar propose watermarks below the parent's; the mutant that lets
// them pass is reported.
func TestInvalidRoot_watermarksGoBack(t *testing.T) {
	reports(t, "dmax", lied(3, 4, 1, 16, 4, "invalid-root"), mutant.WatermarkGoesBack)
}

// reports runs a scenario with seeded bugs, in a build that has them: each must break a rule.
func reports(t *testing.T, rule string, s *sim.Scenario, bugs ...mutant.Mutant) {
	t.Helper()
	if !mutant.Built {
		return
	}
	defer mutant.Select(0)
	for _, bug := range bugs {
		mutant.Select(bug)
		r, err := sim.Run(s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Rule() != rule {
			t.Errorf("with %s the rule %q is broken, want %q: %v", bug, r.Rule(), rule, r.Err)
		}
	}
}
