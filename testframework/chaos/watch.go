package chaos

import (
	"context"
	"slices"
	"sync"
	"time"
)

// watchInterval is how often a node is asked for its next block.
const watchInterval = 10 * time.Millisecond

// Watch notes when each node first showed each block. It is safe for concurrent use.
type Watch struct {
	mu    sync.Mutex
	first map[uint64]time.Time // guarded by mu: when some node first showed a height
}

// StartWatch asks the nodes for every block after the given height until ctx ends. Wait blocks until
// then. A node that does not answer is asked again.
func StartWatch(ctx context.Context, after uint64, clients ...*Client) (w *Watch, wait func()) {
	w = &Watch{first: map[uint64]time.Time{}}
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { w.follow(ctx, c, after+1) })
	}
	return w, wg.Wait
}

func (w *Watch) follow(ctx context.Context, c *Client, next uint64) {
	_ = Await(ctx, watchInterval, func() (bool, error) { // ends with ctx
		for {
			b, _ := c.Block(ctx, next) // a node that does not answer is asked again
			if b == nil {
				return false, nil
			}
			w.note(next, time.Now())
			next++
		}
	})
}

func (w *Watch) note(height uint64, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, seen := w.first[height]; !seen || at.Before(old) {
		w.first[height] = at
	}
}

// times returns when new heights appeared, in order of time.
func (w *Watch) times() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	var times []time.Time
	for _, at := range w.first {
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// LongestGap returns the longest time without a new block between two moments, and when it began.
func (w *Watch) LongestGap(from, to time.Time) (gap time.Duration, at time.Time) {
	before := from
	for _, t := range append(w.times(), to) {
		if t.Before(from) || t.After(to) {
			continue
		}
		if d := t.Sub(before); d > gap {
			gap, at = d, before
		}
		before = t
	}
	return gap, at
}

// FirstAfter returns when the first new block appeared after a moment; false if none did.
func (w *Watch) FirstAfter(moment time.Time) (time.Time, bool) {
	for _, t := range w.times() {
		if t.After(moment) {
			return t, true
		}
	}
	return time.Time{}, false
}
