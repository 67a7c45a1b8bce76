package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// CrashReport says what became of power failures at every operation of a journal.
type CrashReport struct {
	// Stories counts the operations of all stories by name, Points and Operations those at which the
	// power failed.
	Stories    []CrashCount
	Points     int
	Operations []CrashCount
	// Runs is how many stories were told, each with a power failure, and Modes how many with each
	// retention; in Twice of them the power failed once more, during or soon after the recovery.
	Runs, Twice int
	Modes       []CrashCount
	// Recovered counts the runs in which every promise held and the victim voted again by itself.
	Recovered int
	Failures  []CrashFailure
}

// CrashCount is a number by name.
type CrashCount struct {
	Name  string
	Count int
}

// CrashFailure is a power failure that a network did not recover from.
type CrashFailure struct {
	Point CrashPoint
	Err   error
	// Replay is the command that shows it again.
	Replay string
}

// CrashOptions say which power failures to try.
type CrashOptions struct {
	// Every takes each so manieth operation only; 0 and 1 take all.
	Every int
	// Progress, when not nil, is told how far it is.
	Progress func(done, total int)
}

// CrashPoints tries all of them.
func CrashPoints(progress func(done, total int)) (*CrashReport, error) {
	return CrashOptions{Progress: progress}.Run()
}

// Chances of what is kept: for one machine and for all at once. The runs with a second failure draw others.
const (
	crashChancesOne = 2
	crashChancesAll = 1
	crashRecovery   = 6 // operations of the recovery of a journal, at most
)

// Run tries the power failures, shape by shape.
func (o CrashOptions) Run() (*CrashReport, error) {
	var points []CrashPoint
	report := new(CrashReport)
	kinds, tried := map[string]int{}, map[string]int{}
	for _, term := range slices.Sorted(maps.Keys(crashWindows())) {
		c, r, err := CrashPoint{Term: term}.run()
		if err != nil {
			return nil, err
		}
		if r.Err != nil {
			return nil, fmt.Errorf("the story without a power failure: %w", r.Err)
		}
		for op, name := range c.trace {
			kinds[name]++
			if op%max(o.Every, 1) != 0 {
				continue
			}
			tried[name]++
			report.Points++
			points = append(points, crashesAt(term, op+1, name)...)
		}
	}
	report.Stories, report.Operations = counts(kinds), counts(tried)
	for _, mode := range simdisk.Retentions() {
		report.Modes = append(report.Modes, CrashCount{Name: mode.String()})
	}
	for i := range points {
		if err := report.try(points[i]); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(i+1, len(points))
		}
	}
	return report, nil
}

func counts(m map[string]int) []CrashCount {
	var list []CrashCount
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, CrashCount{name, m[name]})
	}
	return list
}

// crashesAt lists the power failures at one operation.
func crashesAt(term uint64, op int, name string) []CrashPoint {
	var points []CrashPoint
	for m, mode := range simdisk.Retentions() {
		p := CrashPoint{Term: term, Op: op, Retention: mode}
		one, all := uint64(crashChancesOne), uint64(crashChancesAll)
		if mode == simdisk.LoseUnsynced && name != "sync" {
			one, all = 1, 1 // Only whether a sync had come through is left to chance.
		}
		for chance := range one {
			p.Chance = chance
			points = append(points, p)
		}
		p.All = true
		for chance := range all {
			p.Chance = chance
			points = append(points, p)
		}
		// Each mode at another operation of the recovery, so that neighbours together see all of them.
		p.Chance, p.Again = 2, 1+(op+m)%crashRecovery
		points = append(points, p)
		p.Chance, p.All, p.Again = 3, false, 1+(op+m+crashRecovery/2)%crashRecovery
		points = append(points, p)
	}
	return points
}

func (r *CrashReport) try(p CrashPoint) error {
	result, err := p.Run()
	if err != nil {
		return err
	}
	r.Runs++
	r.Modes[p.Retention].Count++
	if p.Again > 0 {
		r.Twice++
	}
	if result.Err == nil {
		r.Recovered++
		return nil
	}
	r.Failures = append(r.Failures, CrashFailure{Point: p, Err: result.Err, Replay: "tercet sim crashpoints --point " + p.String()})
	return nil
}
