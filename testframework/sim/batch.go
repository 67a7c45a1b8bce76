package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Batch runs the scenarios of many seeds.
type Batch struct {
	// From and To are the first and the last seed.
	From, To uint64
	Options  Options
	// Jobs is how many run at a time, at least one.
	Jobs int
	// Stop ends the batch at so many violations; 0 never.
	Stop int
	// Progress, when not nil, is told each result, one at a time, in no order.
	Progress func(Outcome)
}

// Outcome is what one seed came to.
type Outcome struct {
	Seed     uint64
	Scenario *Scenario
	Result   *Result
}

// Summary is what a batch came to.
type Summary struct {
	// Runs is how many scenarios were run; Failed are those with a violation, by seed.
	Runs   int
	Failed []Outcome
	// Simulated is the virtual time of all runs together.
	Simulated time.Duration
	// Hash condenses the hashes of all runs in the order of their seeds.
	Hash  string
	Stats Stats
	// Slowest recovery and levelling after healing, and the slowest answer of an idle network, with
	// the seeds in which they were seen. Only networks whose links keep within Δ count.
	Recovery, Level, Answer    time.Duration
	RecoveryOf, LevelOf, AskOf uint64
	// Liars and Faults that were in the scenarios.
	Liars, Faults int
}

// Run runs the batch. An error is the context's, or a scenario's that makes no sense.
func (b *Batch) Run(ctx context.Context) (*Summary, error) {
	if b.To < b.From {
		return nil, fmt.Errorf("the last seed %d is before the first, %d", b.To, b.From)
	}
	outcomes := make([]Outcome, b.To-b.From+1)
	var mu sync.Mutex // guards next, failed and err
	next, failed := 0, 0
	var failure error
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(outcomes) || failure != nil || ctx.Err() != nil || b.Stop > 0 && failed >= b.Stop {
			return 0, false
		}
		next++
		return next - 1, true
	}
	done := func(i int, o Outcome, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failure = errors.Join(failure, fmt.Errorf("seed %d: %w", o.Seed, err))
			return
		}
		if o.Result.Err != nil {
			failed++
		}
		outcomes[i] = o
		if b.Progress != nil {
			b.Progress(o)
		}
	}
	var workers sync.WaitGroup
	for range max(b.Jobs, 1) {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				o := Outcome{Seed: b.From + uint64(i)}
				o.Scenario = Generate(o.Seed, b.Options)
				var err error
				o.Result, err = Run(o.Scenario)
				done(i, o, err)
			}
		})
	}
	workers.Wait()
	if failure != nil {
		return nil, failure
	}
	return summarize(outcomes), ctx.Err()
}

// summarize adds up outcomes, leaving out seeds that were not run.
func summarize(outcomes []Outcome) *Summary {
	s := new(Summary)
	var hash auditor
	for i := range outcomes {
		o := &outcomes[i]
		r := o.Result
		if r == nil {
			continue
		}
		s.Runs++
		s.Simulated += r.At
		s.Liars += len(o.Scenario.Liars)
		s.Faults += len(o.Scenario.Faults)
		s.Stats.add(&r.Stats)
		hash.mix(o.Seed)
		hash.mix(r.Digest)
		if r.Err != nil {
			s.Failed = append(s.Failed, *o)
			continue
		}
		slowest(&s.Recovery, &s.RecoveryOf, r.Recovery, o.Seed)
		slowest(&s.Level, &s.LevelOf, r.Level, o.Seed)
		slowest(&s.Answer, &s.AskOf, r.Answer, o.Seed)
	}
	s.Hash = hash.String()
	return s
}

func slowest(most *time.Duration, of *uint64, d time.Duration, seed uint64) {
	if d > *most {
		*most, *of = d, seed
	}
}

// add sums up what runs did.
func (s *Stats) add(o *Stats) {
	s.Events += o.Events
	s.Steps += o.Steps
	s.Sent += o.Sent
	s.Lost += o.Lost
	s.Refused += o.Refused
	s.Height += o.Height
	s.Transactions += o.Transactions
	s.Receipts += o.Receipts
}
