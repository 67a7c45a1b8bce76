package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// FullBelow is the free space with which a node cannot count on its next write: a segment of the
	// safety journal has 16 MiB, a compaction of LevelDB takes as much.
	FullBelow = 64 << 20
	// LowBelow is what a busy node writes in some hours.
	LowBelow = 1 << 30

	// enoughSyncs is how many a percentile needs to mean something.
	enoughSyncs = 100
	// A vote waits for a sync: medians above slowMedian are felt in every block. A tail above slowTail
	// costs views, whose timers are a few times the default Δ of 150 ms.
	slowMedian = 25 * time.Millisecond
	slowTail   = 500 * time.Millisecond

	// BehindBlocks is how far a node may be behind before that is a finding: moments of work.
	BehindBlocks = 32
	// lasting is how long that has to last: under load a few dozen blocks are a hiccup of the disk.
	lasting = 2 * time.Second
	// stillFor is how long nothing may become final although something should.
	stillFor = 10 * time.Second
)

func disks(f *Facts) []Finding {
	var found []Finding
	for i := range f.Disks {
		found = append(found, CheckDisk(&f.Disks[i])...)
	}
	return found
}

// CheckDisk judges the room on a file system.
func CheckDisk(d *Disk) []Finding {
	if d.Total == 0 || d.Free >= LowBelow {
		return nil
	}
	figures := map[string]any{"path": d.Path, "freeBytes": d.Free, "totalBytes": d.Total}
	const do = "free space, or move the data directory to a larger disk while the node is stopped; a node whose write fails stops and loses nothing"
	if d.Free < FullBelow {
		return one(DiskFull, Error, figures, do, "the disk of %s is full: %s of %s are free, and the node needs %s to go on safely",
			d.Path, Bytes(d.Free), Bytes(d.Total), Bytes(FullBelow))
	}
	return one(DiskLow, Warning, figures, do, "the disk of %s has %s of %s left", d.Path, Bytes(d.Free), Bytes(d.Total))
}

func syncs(f *Facts) []Finding {
	var found []Finding
	for _, s := range f.Syncs {
		if s.Count < enoughSyncs || s.P50 < slowMedian && s.P99 < slowTail {
			continue
		}
		found = append(found, one(SlowFsync, Warning, map[string]any{
			"what": s.What, "count": s.Count, "overMs": s.Over.Milliseconds(),
			"p50Ms": float64(s.P50.Microseconds()) / 1000, "p99Ms": float64(s.P99.Microseconds()) / 1000, "longestMs": float64(s.Longest.Microseconds()) / 1000,
		},
			"use a disk with a fast fsync (an SSD, not a network file system), and see what else writes to it (iostat -x 1)",
			"syncing the %s takes long: p50 %v, p99 %v, longest %v, of the last %d in %v; every vote waits for one",
			s.What, Rounded(s.P50), Rounded(s.P99), Rounded(s.Longest), s.Count, Rounded(s.Over))...)
	}
	return found
}

func clocks(f *Facts) []Finding { return CompareClocks("this node", f.Clocks, f.MaxDrift) }

// CompareClocks compares the wall clocks of those who answered with the median of all, self's included, from which
// the others' are measured: as long as fewer than half of them lie, the median lies between two honest ones.
func CompareClocks(self string, known []Clock, maxDrift time.Duration) []Finding {
	if len(known) == 0 || maxDrift <= 0 {
		return nil
	}
	limit := maxDrift / 2
	if len(known) == 1 {
		c := known[0]
		if c.Offset.Abs()-c.Error <= limit {
			return nil
		}
		return one(ClockSkew, severityOf(c.Offset, maxDrift), map[string]any{"peer": c.Peer, "offsetMs": c.Offset.Milliseconds(), "errorMs": c.Error.Milliseconds(), "maxDriftMs": maxDrift.Milliseconds()},
			"compare both machines with a third clock, and have them run NTP (chronyc tracking, timedatectl)",
			"the clock of %s is %s that of %s; which of the two is wrong cannot be told from two", c.Peer, apart(c.Offset, c.Error), self)
	}
	all := append([]Clock{{}}, known...)
	slices.SortStableFunc(all, func(a, b Clock) int { return cmp.Compare(a.Offset, b.Offset) })
	low, high := all[(len(all)-1)/2], all[len(all)/2]
	median, spread := (low.Offset+high.Offset)/2, max(low.Error, high.Error)
	var found []Finding
	judge := func(name string, offset, uncertain time.Duration, severity Severity) {
		if offset.Abs()-uncertain <= limit {
			return
		}
		figures := map[string]any{"clock": name, "offsetMs": offset.Milliseconds(), "errorMs": uncertain.Milliseconds(), "clocks": len(all), "maxDriftMs": maxDrift.Milliseconds()}
		for _, c := range known {
			figures["offsetMs."+c.Peer] = c.Offset.Milliseconds()
		}
		found = append(found, one(ClockSkew, severity, figures,
			"set the clock of that machine right and have it run NTP (chronyc tracking, timedatectl); blocks more than consensus.max_drift in the future find no votes",
			"the clock of %s is %s the median of the %d clocks known here", name, apart(offset, uncertain), len(all))...)
	}
	judge(self, -median, spread, severityOf(median, maxDrift))
	for _, c := range known {
		judge(c.Peer, c.Offset-median, c.Error+spread, Warning)
	}
	return found
}

func severityOf(offset, maxDrift time.Duration) Severity {
	if offset.Abs() > maxDrift {
		return Error
	}
	return Warning
}

// apart writes an offset: "30s ahead of (±2ms)".
func apart(offset, uncertain time.Duration) string {
	way := "ahead of"
	if offset < 0 {
		way = "behind"
	}
	return fmt.Sprintf("%v (±%v) %s", Rounded(offset.Abs()), Rounded(uncertain), way)
}

// progress looks at heights.
func progress(f *Facts) []Finding {
	var found []Finding
	missing := f.Highest - min(f.Highest, f.Final)
	if missing > BehindBlocks && f.BehindFor >= lasting {
		rate := f.Trend.perSecond(int64(f.Trend.Final) - int64(f.Trend.Highest))
		eta := "and does not get closer"
		if rate > 0 {
			eta = fmt.Sprintf("and gets closer by %.0f blocks a second: about %v to go", rate, Rounded(time.Duration(float64(missing)/rate*float64(time.Second))))
		}
		found = append(found, unready(one(Behind, Warning, map[string]any{
			"final": f.Final, "highest": f.Highest, "blocks": missing, "closingPerSecond": rate, "finalPerSecond": f.Trend.perSecond(int64(f.Trend.Final)), "catchingUp": f.CatchingUp,
		},
			"wait while it gets closer; if it does not, see which peers are connected and the other findings",
			"this node is %d blocks behind (%d of %d), %s", missing, f.Final, f.Highest, eta))...)
	}
	if f.Lag > BehindBlocks && f.LagFor >= lasting {
		rate := f.Trend.perSecond(int64(f.Trend.Executed))
		found = append(found, unready(one(ExecutionLag, Warning, map[string]any{
			"ordered": f.Final, "executed": f.Executed, "blocks": f.Lag, "executedPerSecond": rate, "orderedPerSecond": f.Trend.perSecond(int64(f.Trend.Final)),
		},
			"wait while load is high; if it stays, the machine is too slow for it: look at its processors and disk, and at the gas of what is executed",
			"execution is %d blocks behind ordering (%d of %d) and does %.1f blocks a second; ordering %.1f", f.Lag, f.Executed, f.Final, rate, f.Trend.perSecond(int64(f.Trend.Final))))...)
	}
	return append(found, still(f)...)
}

// still finds a chain that stands although it should not.
func still(f *Facts) []Finding {
	due := stillFor
	if f.MaxIdle > 0 {
		due = max(due, 10*f.MaxIdle)
	}
	wanted := f.MaxIdle > 0 || f.Pool.Pending > 0
	if !wanted || f.Still < due || f.Uptime < due || missingBlocks(f) || len(quorum(f)) > 0 {
		return nil
	}
	return unready(one(Stalled, Error, map[string]any{"height": f.Final, "view": f.View, "stillMs": f.Still.Milliseconds(), "pending": f.Pool.Pending},
		"look at the other findings, and ask the other nodes: tercet doctor with several --rpc; views that rise without blocks mean that leaders' blocks find no votes (clocks), views that stand mean that votes do not arrive",
		"no block became final for %v (height %d, view %d), although a quorum is connected", Rounded(f.Still), f.Final, f.View))
}

func missingBlocks(f *Facts) bool { return f.Highest > f.Final }

func (t Trend) perSecond(n int64) float64 {
	if t.Over <= 0 {
		return 0
	}
	return float64(n) / t.Over.Seconds()
}
