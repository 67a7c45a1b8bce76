package node

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/diagnosis"
)

const (
	// watchInterval is how often heights are noted, trendSamples how many are kept.
	watchInterval = time.Second
	trendSamples  = 10
	// keptSyncs are the latest durations of each kind of sync: enough for a p99, from seconds under load to
	// minutes without.
	keptSyncs = 1024
)

// watch keeps what a diagnosis needs of the past. Its methods are safe for concurrent use.
type watch struct {
	began   time.Time
	journal syncs
	blocks  syncs
	pulses  []pulse // by number in the roster

	mu      sync.Mutex
	samples []sample       // guarded by mu; oldest first, at most trendSamples
	moved   time.Time      // guarded by mu; when the final height changed last, as far as was noted
	disk    diagnosis.Disk // guarded by mu
	// behind and lagging are since when more than diagnosis.BehindBlocks are missing; zero when they are not.
	behind, lagging time.Time // guarded by mu
}

// sample is the heights at a moment.
type sample struct {
	at                       time.Time
	final, executed, highest uint64
}

// pulse is a peer's latest vote.
type pulse struct {
	at     atomic.Int64  // Unix ns
	height atomic.Uint64 // final height here at that time
}

func (p *pulse) beat(height uint64) {
	p.at.Store(time.Now().UnixNano())
	p.height.Store(height)
}

func newWatch(peers int) *watch {
	now := time.Now()
	return &watch{began: now, moved: now, pulses: make([]pulse, peers)}
}

// run notes heights and the room on the disk until ctx ends.
func (n *Node) watchProgress(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		n.watch.note(n.heights(), DiskOf(config.DataDir(n.cfg.Home)))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (n *Node) heights() sample {
	s := n.engine().Snapshot()
	return sample{at: time.Now(), final: s.Final.Height, executed: n.Newest().Height(), highest: s.Highest}
}

func (w *watch) note(s sample, disk diagnosis.Disk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := len(w.samples); k == 0 || w.samples[k-1].final != s.final {
		w.moved = s.at
	}
	since := func(at *time.Time, missing bool) {
		if !missing {
			*at = time.Time{}
		} else if at.IsZero() {
			*at = s.at
		}
	}
	since(&w.behind, s.highest > s.final+diagnosis.BehindBlocks)
	since(&w.lagging, s.final > s.executed+diagnosis.BehindBlocks)
	if len(w.samples) == trendSamples {
		w.samples = slices.Delete(w.samples, 0, 1)
	}
	w.samples, w.disk = append(w.samples, s), disk
}

// fill completes facts with what was noted before.
func (w *watch) fill(f *diagnosis.Facts, now sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.behind.IsZero() {
		f.BehindFor = now.at.Sub(w.behind)
	}
	if !w.lagging.IsZero() {
		f.LagFor = now.at.Sub(w.lagging)
	}
	f.Uptime, f.Still = now.at.Sub(w.began), now.at.Sub(w.moved)
	if len(w.samples) > 0 {
		first := w.samples[0]
		if last := w.samples[len(w.samples)-1]; last.final != now.final {
			f.Still = 0
		}
		f.Trend = diagnosis.Trend{
			Over: now.at.Sub(first.at), Final: now.final - min(first.final, now.final), Executed: now.executed - min(first.executed, now.executed),
			Highest: now.highest - min(first.highest, now.highest),
		}
	}
	if w.disk.Path != "" {
		f.Disks = []diagnosis.Disk{w.disk}
	}
	f.Syncs = []diagnosis.Syncs{w.journal.describe("safety journal", now.at), w.blocks.describe("databases", now.at)}
}

func (n *Node) journalSynced(took time.Duration) {
	n.watch.journal.add(took)
	n.metrics.JournalSync.Observe(took.Seconds())
}

func (n *Node) storeSynced(took time.Duration) {
	n.watch.blocks.add(took)
	n.metrics.StoreSync.Observe(took.Seconds())
}

// syncs is the latest durations of synced writes.
type syncs struct {
	mu   sync.Mutex
	ring [keptSyncs]timed // guarded by mu
	next uint64           // guarded by mu; how many were added
}

type timed struct {
	at   time.Time
	took time.Duration
}

func (s *syncs) add(took time.Duration) {
	now := time.Now()
	s.mu.Lock()
	s.ring[s.next%keptSyncs] = timed{now, took}
	s.next++
	s.mu.Unlock()
}

func (s *syncs) describe(what string, now time.Time) diagnosis.Syncs {
	s.mu.Lock()
	count := int(min(s.next, keptSyncs))
	took := make([]time.Duration, count)
	oldest := now
	for i := range took {
		took[i] = s.ring[i].took
		if s.ring[i].at.Before(oldest) {
			oldest = s.ring[i].at
		}
	}
	s.mu.Unlock()
	out := diagnosis.Syncs{What: what, Count: count, Over: now.Sub(oldest)}
	if count > 0 {
		slices.Sort(took)
		out.P50, out.P99, out.Longest = took[count/2], took[count*99/100], took[count-1]
	}
	return out
}

// DiskOf describes the file system of a directory; Total is 0 when it cannot be told.
func DiskOf(path string) diagnosis.Disk {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return diagnosis.Disk{Path: path}
	}
	unit := uint64(s.Bsize) // its type depends on the system
	return diagnosis.Disk{Path: path, Free: s.Bavail * unit, Total: s.Blocks * unit}
}
