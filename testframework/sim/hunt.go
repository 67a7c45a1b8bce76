package sim

import (
	"context"
	"fmt"
	"time"
)

// Hunt looks for a violation with everything that is generic: scenarios from seeds, Twins scenarios and
// crash points. It is how seeded bugs are found; none of its parts knows of any of them.
type Hunt struct {
	// Seeds is the most scenarios from seeds; Twins scenarios come on top, a fixed number for each.
	Seeds uint64
	// Jobs is how many scenarios run at a time, at least one.
	Jobs int
}

// Found is what a hunt came to.
type Found struct {
	// By says what found the violation, "" if nothing did; Replay is the command that shows it again in
	// a build with the same bug.
	By, Replay string
	// Rule and Text of the violation.
	Rule, Text string
	// Scenarios that were run, those from seeds and those of Twins.
	Seeds, Twins uint64
	// Took is the time that it took, on the wall.
	Took time.Duration
}

// huntOptions are those of the seeds: small networks of every size that has its own arithmetic.
func huntOptions() Options {
	o := DefaultOptions()
	o.Nodes, o.Duration = []int{4, 5, 6, 7}, time.Minute
	return o
}

const (
	// huntStride is how many seeds are run before the Twins have their turn.
	huntStride = 8
	// huntTwins is how many Twins scenarios one turn has, per shape.
	huntTwins = 250
)

// huntShapes are the protocols that the Twins play.
func huntShapes() []TwinsOptions {
	return []TwinsOptions{
		{Validators: 4, Twins: 1, Views: 4, Parts: 2, Term: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 5, Parts: 3, Term: 2, Window: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 5, Parts: 3, Term: 3},
	}
}

// Run hunts until the first violation or the end.
func (h *Hunt) Run(ctx context.Context) (*Found, error) {
	begun := time.Now()
	f := new(Found)
	var twins []*Twins
	for _, o := range huntShapes() {
		t, err := NewTwins(o)
		if err != nil {
			return nil, err
		}
		twins = append(twins, t)
	}
	for seed := uint64(1); seed <= h.Seeds && f.By == ""; seed += huntStride {
		b := Batch{From: seed, To: min(seed+huntStride-1, h.Seeds), Options: huntOptions(), Jobs: h.Jobs, Stop: 1}
		s, err := b.Run(ctx)
		if err != nil {
			return nil, err
		}
		f.Seeds += uint64(s.Runs)
		if len(s.Failed) > 0 {
			o := &s.Failed[0]
			f.By, f.Rule, f.Text = fmt.Sprintf("seed %d", o.Seed), o.Result.Rule(), o.Result.Err.Error()
			f.Replay = Replay(o.Seed, huntOptions())
			break
		}
		h.twins(f, twins, seed/huntStride)
	}
	if f.By == "" {
		if err := h.crash(f); err != nil {
			return nil, err
		}
	}
	f.Took = time.Since(begun)
	return f, ctx.Err()
}

// twins gives one turn to the Twins scenarios.
func (h *Hunt) twins(f *Found, all []*Twins, turn uint64) {
	t := all[turn%uint64(len(all))]
	for index := range t.Sample(turn, huntTwins) {
		f.Twins++
		if r := t.Run(index); r.Err != nil {
			o := t.Options()
			f.By, f.Rule, f.Text = fmt.Sprintf("twins T=%d W=%d index %d", o.Term, o.Window, index), ruleOf(r.Err), r.Err.Error()
			f.Replay = t.Command(index)
			return
		}
	}
}

// crashStride takes every so manieth operation of the crash points: a hunt has many turns.
const crashStride = 5

// crash tries power failures.
func (h *Hunt) crash(f *Found) error {
	report, err := CrashOptions{Every: crashStride}.Run()
	if rule := ruleOf(err); rule != "" { // already without a power failure
		f.By, f.Rule, f.Text = "the story of the crash points", rule, err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	if len(report.Failures) > 0 {
		x := &report.Failures[0]
		f.By, f.Rule, f.Text = "crash point "+x.Point.String(), ruleOf(x.Err), x.Err.Error()
		f.Replay = x.Replay
	}
	return nil
}
