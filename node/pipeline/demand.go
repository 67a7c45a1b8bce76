package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// demand decides from when on this node wants a block: at once when a transaction could be
// executed that no ordered or proposed block contains, or blocks were asked for whatever they contain; at
// the next checkpoint slot when executed blocks lie past the last checkpoint; otherwise never (heartbeats
// are the engine's business).
type demand struct {
	p *Pipeline
	// spokenFor is how long transactions of a proposal count as on their way without being
	// delivered. After it, the proposal is taken for abandoned and they ask for a block again.
	spokenFor time.Duration
	// kick: sent by whoever changed something, received by run; capacity 1, a full channel
	// already says "look again".
	kick chan struct{}

	mu sync.Mutex
	// tip is the time of the newest delivered block and its parent's, ms. Guarded by mu.
	tip, tipParent uint64
	// proposedTo is the time of the newest proposal judged valid or built, ms. Guarded by mu.
	proposedTo uint64
	// height of the newest delivered block, and up to which height blocks are asked for. Guarded by mu.
	height, wanted uint64
	// proposals in flight: the next nonce of each sender in them, and when they were made.
	// Guarded by mu, at most maxProposals.
	proposals []proposal
}

// proposal is what a judged or built block contains.
type proposal struct {
	height uint64
	nonces map[common.Address]uint64
	at     time.Time
}

// maxProposals bounds the proposals remembered; more than views can be open.
const maxProposals = 64

func newDemand(p *Pipeline, spokenFor time.Duration) *demand {
	return &demand{p: p, spokenFor: spokenFor, kick: make(chan struct{}, 1)}
}

// proposed notes a block on its way.
func (d *demand) proposed(height, timeMs uint64, txs []*ledger.Transaction) {
	nonces := make(map[common.Address]uint64, len(txs))
	for _, tx := range txs {
		nonces[tx.From()] = max(nonces[tx.From()], tx.Nonce()+1)
	}
	d.mu.Lock()
	d.proposedTo = max(d.proposedTo, timeMs)
	if len(d.proposals) == maxProposals {
		d.proposals = append(d.proposals[:0], d.proposals[1:]...)
	}
	d.proposals = append(d.proposals, proposal{height: height, nonces: nonces, at: time.Now()})
	d.mu.Unlock()
	signal(d.kick)
}

// delivered notes a final block: proposals up to its height are settled.
func (d *demand) delivered(height, timeMs, parentMs uint64) {
	d.mu.Lock()
	d.height, d.tip, d.tipParent = height, timeMs, parentMs
	keep := d.proposals[:0]
	for _, x := range d.proposals {
		if x.height > height {
			keep = append(keep, x)
		}
	}
	clear(d.proposals[len(keep):])
	d.proposals = keep
	d.mu.Unlock()
	signal(d.kick)
}

// want asks for blocks up to a height.
func (d *demand) want(height uint64) {
	d.mu.Lock()
	d.wanted = max(d.wanted, height)
	d.mu.Unlock()
	signal(d.kick)
}

// emptyWanted reports whether an empty block of a height, at timeMs, is worth building.
func (d *demand) emptyWanted(height, timeMs uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	slot := d.lateCheckpoint(0)
	return height <= d.wanted || slot != 0 && timeMs >= slot
}

// lateCheckpoint is [ledger.LateCheckpoint] after the newest delivered block. The caller holds mu.
func (d *demand) lateCheckpoint(proposedMs uint64) uint64 {
	if d.p.genesis.Development { // every block is a checkpoint
		return 0
	}
	return ledger.LateCheckpoint(d.tip, d.tipParent, proposedMs)
}

// inFlight merges what proposals contain that may still become final, and says up to which height they go, and
// when the oldest of them is given up.
func (d *demand) inFlight(now time.Time) (nonces map[common.Address]uint64, height uint64, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	nonces, height = make(map[common.Address]uint64), d.height
	for _, x := range d.proposals {
		end := x.at.Add(d.spokenFor)
		if !end.After(now) {
			continue
		}
		if until.IsZero() || end.Before(until) {
			until = end
		}
		height = max(height, x.height)
		for a, n := range x.nonces {
			nonces[a] = max(nonces[a], n)
		}
	}
	return nonces, height, until
}

// run keeps the engine informed until ctx ends.
func (d *demand) run(ctx context.Context, driver Driver) {
	pending, cancel := d.p.pool.Subscribe()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told uint64
	for {
		now := time.Now()
		wall := uint64(driver.Wall().UnixMilli())
		at, recheck := d.evaluate(now, wall)
		if at != 0 && at <= wall && told != 0 && told < at {
			at = told // still the same wish: the engine counts how long it waits
		}
		if at != told {
			told = at
			driver.Demand(at)
		}
		timer.Stop()
		if !recheck.IsZero() {
			timer.Reset(recheck.Sub(now))
		}
		more := pending
		if told != 0 && told <= wall {
			more = nil // one wish is as good as a thousand
		}
		select {
		case <-d.kick:
		case <-more:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// evaluate returns from when on a block is wanted (Unix ms, 0: not), and when to look again
// although nothing happened. Wall is the clock of blocks, Unix ms; now only measures time that passes.
func (d *demand) evaluate(now time.Time, wall uint64) (at uint64, recheck time.Time) {
	p := d.p
	nonces, height, until := d.inFlight(now)
	if p.nextMayOrder() {
		if ahead, err := p.orderedAhead(nil); err == nil {
			for a, n := range ahead {
				nonces[a] = max(nonces[a], n)
			}
		}
		if p.pool.Executable(nonces) {
			return wall, time.Time{}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if height < d.wanted {
		return wall, time.Time{}
	}
	proposedTo := d.proposedTo
	if until.IsZero() {
		proposedTo = 0 // whatever it was, it did not become final in time
	}
	return d.lateCheckpoint(proposedTo), until
}
