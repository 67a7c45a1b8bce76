package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// syncWait is how long one submission waits for its receipt before the client asks again.
	syncWait = 3 * time.Second
	// firstRetry and lastRetry bound the pause before a client tries the next node.
	firstRetry, lastRetry = 50 * time.Millisecond, time.Second
	// defaultInFlight transfers may wait for their receipts at a time.
	defaultInFlight = 4096
)

// Load is a set of transfers to be submitted at a rate. Transfer i goes to another node than transfer
// i-1, and the transfers of one account go to different nodes.
//
// A client behaves as a careful user's would: it waits for the receipt, and when a node refuses, dies or
// keeps silent it asks the next one, first whether the transfer is executed already. Accepting a
// transaction promises nothing; a receipt does.
type Load struct {
	Clients   []*Client
	Transfers []*Transfer
	PerSecond int // PerSecond is the rate of submission.
	InFlight  int // InFlight caps the transfers that wait at a time; 4096 by default.
}

// Outcome is what became of one transfer.
type Outcome struct {
	Transfer  *Transfer
	Scheduled time.Time // Scheduled is when it was due.
	Done      time.Time // Done is when the client had the receipt.
	Receipt   *Receipt  // Receipt is nil if the load ended before there was one.
	Tries     int       // Tries counts submissions and questions.
	Err       error     // Err is the last refusal or failure, kept when a later try succeeds.
}

// Latency is the time from the moment a transfer was due to its receipt.
func (o *Outcome) Latency() time.Duration { return o.Done.Sub(o.Scheduled) }

// Results collect outcomes. They are safe for concurrent use while the load runs.
type Results struct {
	outcomes []atomic.Pointer[Outcome]
	late     atomic.Int64 // transfers that had to wait for InFlight
}

// Start submits the transfers until each has a receipt or ctx ends. Wait blocks until then.
func (l *Load) Start(ctx context.Context) (results *Results, wait func()) {
	r := &Results{outcomes: make([]atomic.Pointer[Outcome], len(l.Transfers))}
	var wg sync.WaitGroup
	wg.Go(func() { l.feed(ctx, r) })
	return r, wg.Wait
}

// Run is Start and wait, with an error when a transfer ended without a receipt.
func (l *Load) Run(ctx context.Context) (*Results, error) {
	r, wait := l.Start(ctx)
	wait()
	return r, r.Complete()
}

func (l *Load) feed(ctx context.Context, r *Results) {
	slots := make(chan struct{}, max(l.InFlight, 0)+defaultInFlight*btoi(l.InFlight == 0)) // one per transfer that waits
	interval := time.Second / time.Duration(l.PerSecond)
	var wg sync.WaitGroup
	defer wg.Wait()
	start := time.Now()
	for i, t := range l.Transfers {
		due := start.Add(time.Duration(i) * interval)
		if d := time.Until(due); d > time.Millisecond { // a burst of a few costs less than a timer each
			if Pause(ctx, d) != nil {
				return
			}
		}
		select {
		case slots <- struct{}{}:
		default:
			r.late.Add(1)
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		wg.Go(func() {
			defer func() { <-slots }()
			r.outcomes[i].Store(l.Submit(ctx, t, i, due))
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Submit brings one transfer that is due to its receipt, or until ctx ends; i says at which client it
// begins. It is for loads in which what comes next depends on a receipt, and safe for concurrent use.
func (l *Load) Submit(ctx context.Context, t *Transfer, i int, due time.Time) *Outcome {
	o := &Outcome{Transfer: t, Scheduled: due}
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		// The second term moves an account's next transfer to the next node.
		c := l.Clients[(i+i/len(l.Clients)/7+o.Tries)%len(l.Clients)]
		var r *Receipt
		var err error
		if o.Tries > 0 {
			r, err = c.Receipt(ctx, t.Hash)
		}
		if r == nil && err == nil {
			r, err = c.SendSync(ctx, t.Raw, syncWait)
		}
		o.Tries++
		if r != nil && err == nil {
			o.Done, o.Receipt = time.Now(), r
			return o
		}
		if ctx.Err() == nil {
			o.Err = err
		}
		if Pause(ctx, pause) != nil {
			return o
		}
	}
}

// Seen returns the receipts that clients have so far.
func (r *Results) Seen() []*Receipt {
	var seen []*Receipt
	for i := range r.outcomes {
		if o := r.outcomes[i].Load(); o != nil && o.Receipt != nil {
			seen = append(seen, o.Receipt)
		}
	}
	return seen
}

// Complete reports the first transfer without a receipt.
func (r *Results) Complete() error {
	missing := 0
	var errs []error
	for i := range r.outcomes {
		if o := r.outcomes[i].Load(); o == nil || o.Receipt == nil {
			missing++
			if o != nil && o.Err != nil && errs == nil {
				errs = append(errs, fmt.Errorf("transfer %d (%s), %d tries: %w", i, o.Transfer.Hash, o.Tries, o.Err))
			}
		}
	}
	if missing == 0 {
		return nil
	}
	return errors.Join(append([]error{fmt.Errorf("%d of %d transfers have no receipt", missing, len(r.outcomes))}, errs...)...)
}

// Figures are what a load measured.
type Figures struct {
	Transfers, Retried int
	Late               int64         // transfers that were submitted late because too many waited
	P50, P99, Max      time.Duration // from due to receipt
	Took               time.Duration // from the first due to the last receipt
	FirstError         error         // of a transfer that was retried
}

// Figures sums up the transfers that have receipts.
func (r *Results) Figures() Figures {
	f := Figures{Late: r.late.Load()}
	var latencies []time.Duration
	var first, last time.Time
	for i := range r.outcomes {
		o := r.outcomes[i].Load()
		if o == nil || o.Receipt == nil {
			continue
		}
		f.Transfers++
		latencies = append(latencies, o.Latency())
		if first.IsZero() || o.Scheduled.Before(first) {
			first = o.Scheduled
		}
		if o.Done.After(last) {
			last = o.Done
		}
		if o.Tries > 1 {
			f.Retried++
			if f.FirstError == nil {
				f.FirstError = o.Err
			}
		}
	}
	if f.Transfers == 0 {
		return f
	}
	slices.Sort(latencies)
	at := func(q float64) time.Duration { return latencies[int(q*float64(len(latencies)-1))] }
	f.P50, f.P99, f.Max, f.Took = at(0.5), at(0.99), at(1), last.Sub(first)
	return f
}

// String is one line for people.
func (f Figures) String() string {
	s := fmt.Sprintf("%d transfers in %.1f s; from due to receipt p50 %v, p99 %v, max %v; %d retried, %d late",
		f.Transfers, f.Took.Seconds(), round(f.P50), round(f.P99), round(f.Max), f.Retried, f.Late)
	if f.FirstError != nil {
		s += fmt.Sprintf(" (first: %v)", f.FirstError)
	}
	return s
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
