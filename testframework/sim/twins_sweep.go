package sim

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// TwinsPlan says which scenarios [Twins.Sweep] runs, and how.
type TwinsPlan struct {
	// Sample is how many scenarios to draw with Seed, without repetition; 0 runs all of them.
	Sample, Seed uint64
	// Jobs is how many run at a time; 0 is one per core.
	Jobs int
	// Stop ends the sweep after so many violations; 0 goes on to the end.
	Stop uint64
	// Progress, when not nil, is called now and then, by one goroutine at a time.
	Progress func(done, total, violations uint64)
}

// TwinsReport is what a sweep came to.
type TwinsReport struct {
	// Done is how many scenarios of Total were run, Violations in how many something was broken.
	Done, Total, Violations uint64
	// Events of all of them.
	Events uint64
	// Hash condenses all results. It does not depend on the order in which they came.
	Hash uint64
	// First are the first violations, at most ten, in the order in which the plan visits scenarios.
	First []*TwinsResult
}

const (
	// sweepChunk is how many scenarios a job takes at a time.
	sweepChunk = 64
	// keptViolations is how many a report has.
	keptViolations = 10
	// sweepGC is the heap growth in percent at which garbage is collected meanwhile: worlds are small
	// and short-lived, and most of the time of collections would go into starting them.
	sweepGC = 1000
)

// sweep is one under way.
type sweep struct {
	t    *Twins
	plan TwinsPlan
	next atomic.Uint64 // first ordinal that no job has taken

	mu     sync.Mutex // guards what is below
	report TwinsReport
	found  []found
}

type found struct {
	ordinal uint64
	result  *TwinsResult
}

// Sweep runs many scenarios, until ctx ends at the latest. It sets the garbage collector's percentage for
// the whole process while it runs.
func (t *Twins) Sweep(ctx context.Context, plan TwinsPlan) *TwinsReport {
	s := &sweep{t: t, plan: plan}
	s.report.Total = t.count
	if plan.Sample > 0 {
		s.report.Total = min(plan.Sample, t.count)
	}
	jobs := plan.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(sweepGC))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for range jobs {
		all.Go(func() { s.job(ctx, cancel) })
	}
	all.Wait()
	for _, f := range s.found {
		s.report.First = append(s.report.First, f.result)
	}
	return &s.report
}

// job runs chunks until there are no more.
func (s *sweep) job(ctx context.Context, enough func()) {
	pick := func(i uint64) uint64 { return i }
	if s.plan.Sample > 0 {
		pick = s.t.shuffle(s.plan.Seed)
	}
	for ctx.Err() == nil {
		from := s.next.Add(sweepChunk) - sweepChunk
		if from >= s.report.Total {
			return
		}
		var part TwinsReport
		var wrong []found
		for i := from; i < min(from+sweepChunk, s.report.Total) && ctx.Err() == nil; i++ {
			r := s.t.Run(pick(i))
			part.Done++
			part.Events += r.Events
			part.Hash += condensed(r)
			if r.Err != nil {
				wrong = append(wrong, found{i, r})
			}
		}
		if s.add(&part, wrong) {
			enough()
		}
	}
}

// add takes the results of a chunk and reports whether there are violations enough.
func (s *sweep) add(part *TwinsReport, wrong []found) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.report
	r.Done += part.Done
	r.Events += part.Events
	r.Hash += part.Hash
	r.Violations += uint64(len(wrong))
	s.found = append(s.found, wrong...)
	slices.SortFunc(s.found, func(a, b found) int { return cmp.Compare(a.ordinal, b.ordinal) })
	s.found = s.found[:min(len(s.found), keptViolations)]
	if s.plan.Progress != nil {
		s.plan.Progress(r.Done, r.Total, r.Violations)
	}
	return s.plan.Stop > 0 && r.Violations >= s.plan.Stop
}

// condensed is a result as a number that can be added to those of others.
func condensed(r *TwinsResult) uint64 {
	a := auditor{h: r.Hash}
	a.mix(r.Index)
	if r.Err != nil {
		a.mix(1)
	}
	a.mix(r.Events)
	return a.h
}

// Explain writes a result for people: what was broken, the scenario, and how to run it again.
func (t *Twins) Explain(r *TwinsResult) string {
	if r.Err == nil {
		return fmt.Sprintf("scenario %d keeps every promise, hash %016x\n%s", r.Index, r.Hash, t.Describe(r.Index))
	}
	return fmt.Sprintf("%v\n%s%s\n", r.Err, t.Describe(r.Index), t.Command(r.Index))
}
