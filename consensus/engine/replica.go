package engine

import (
	"fmt"
	"slices"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/mutant"
)

// Log keeps the records of one replica. Implementations: consensus/wal.WAL and
// the log in memory of testframework/sim. The obligations are those of the WAL:
// records are durable when Sync returns nil, and an error is for good.
type Log interface {
	Append(records ...consensus.Record) error
	Sync() error
	// Prune may delete records of views below one of an epoch.
	Prune(epoch, belowView uint64) error
}

// Replica is a Core with its log: everything that an iteration of the engine
// decides, without a goroutine, a clock or a network. [Engine] drives one, a
// simulator many. It is not safe for concurrent use.
type Replica struct {
	// PruneViews is how many views go by between two prunings; it may be set before the first. Default
	// [DefaultPruneViews].
	PruneViews uint64

	core     *consensus.Core
	epoch    uint64
	log      Log
	prunedAt uint64
	outputs  []consensus.Output // of the latest Step, reused
}

// DefaultPruneViews keeps the cost of pruning, two syncs, out of nearly all iterations.
const DefaultPruneViews = 100

// maxUnsynced is how many bytes of records wait for one sync, far below what
// the log takes.
const maxUnsynced = 8 << 20

// NewReplica recovers a Core from its configuration; log is where
// cfg.Recovered came from.
func NewReplica(cfg consensus.Config, log Log) (*Replica, error) {
	core, err := consensus.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Replica{PruneViews: DefaultPruneViews, core: core, epoch: cfg.Epoch, log: log}, nil
}

// Snapshot is where the Core stands.
func (r *Replica) Snapshot() consensus.Snapshot { return r.core.Snapshot() }

// Step takes inputs in their order and makes the records of all of them durable
// with one sync, or a few when they are very large. What the outputs ask for may
// be done when it has returned without an error; after an error, which is the
// log's and for good, nothing of it may. An output with a Fault is the last
// one. The outputs belong to the caller until the next call.
func (r *Replica) Step(now func() consensus.Instant, inputs []consensus.Input) ([]consensus.Output, error) {
	r.outputs = r.outputs[:0]
	unsynced := 0
	for _, in := range inputs {
		out := r.core.Step(now(), in)
		r.outputs = append(r.outputs, *out)
		var err error
		if unsynced, err = r.record(out.Record, unsynced); err != nil {
			return nil, err
		}
		if out.Fault != "" {
			break
		}
	}
	if mutant.On(mutant.SendBeforeSync) {
		return r.outputs, nil
	}
	if err := r.log.Sync(); err != nil { // nothing to do when nothing was appended
		return nil, fmt.Errorf("syncing the consensus log: %w; the node stopped voting for good, restart it when the disk is well", err)
	}
	return r.outputs, nil
}

// record appends records to the log, beside unsynced bytes that wait there, and
// returns how many wait now. It syncs early when they are many: the log refuses
// to hold more than some in memory, for good.
func (r *Replica) record(records []consensus.Record, unsynced int) (int, error) {
	for i := range records {
		if unsynced += len(records[i].Data); unsynced > maxUnsynced {
			if err := r.log.Sync(); err != nil {
				return 0, fmt.Errorf("syncing the consensus log: %w; the node stopped voting for good, restart it when the disk is well", err)
			}
			unsynced = len(records[i].Data)
		}
		if err := r.log.Append(records[i]); err != nil {
			return 0, fmt.Errorf("appending to the consensus log: %w; the node stopped voting for good, restart it when the disk is well", err)
		}
	}
	return unsynced, nil
}

// Prune lets the log drop what lies far enough below the durable tip, many views
// at a time. It is called after the outputs were carried out.
func (r *Replica) Prune() error {
	below := r.core.KeepFrom()
	if below < r.prunedAt+r.PruneViews || !r.core.Snapshot().Voting {
		return nil // A validator that waits to vote again keeps the record that says so.
	}
	r.prunedAt = below
	floor := consensus.Record{Type: consensus.RecordFloor, Epoch: r.epoch, View: below}
	if err := r.log.Append(floor); err != nil {
		return fmt.Errorf("writing the floor of the consensus log: %w", err)
	}
	if err := r.log.Sync(); err != nil {
		return fmt.Errorf("writing the floor of the consensus log: %w", err)
	}
	if err := r.log.Prune(r.epoch, below); err != nil {
		return fmt.Errorf("pruning the consensus log: %w", err)
	}
	return nil
}

// Stale reports that a message is a vote for a view at or below the final one,
// and which: it is handed to the Core as [consensus.Stale], without the cost of
// verifying it.
func Stale(m consensus.Message, finalView uint64) (view uint64, stale bool) {
	v, ok := m.(*consensus.Vote)
	if !ok || v.View > finalView {
		return 0, false
	}
	return v.View, true
}

// maxServeBytes is below the sync lane's frame cap.
const maxServeBytes = 4 << 20

// RangeAnswer reads a range that ends at a block with its own finalization, or
// continues it with headers up to one, as many as a message may have: however
// many blocks the range has, the finalization behind them can be far. It
// returns nil when there is nothing to prove a range with. Blocks is [Application.Blocks].
func RangeAnswer(blocks func(from uint64, count, maxBytes int) []consensus.FinalBlock, req consensus.RangeRequest) *consensus.BlockResponse {
	stored := blocks(req.From, int(req.Count), maxServeBytes)
	r := new(consensus.BlockResponse)
	for i, b := range slices.Backward(stored) {
		if b.Finalization != nil {
			stored, r.Finalization = stored[:i+1], b.Finalization
			break
		}
	}
	for i := range stored {
		r.Blocks = append(r.Blocks, stored[i].Block)
	}
	next := req.From + uint64(len(stored))
	for r.Finalization == nil && len(r.Headers) < consensus.MaxHeadersPerRange && len(stored) > 0 {
		more := blocks(next, min(consensus.MaxBlocksPerRange, consensus.MaxHeadersPerRange-len(r.Headers)), maxServeBytes)
		if len(more) == 0 {
			return nil
		}
		for i := range more {
			r.Headers = append(r.Headers, &more[i].Block.Header)
			if r.Finalization = more[i].Finalization; r.Finalization != nil {
				break
			}
		}
		next += uint64(len(more))
	}
	if r.Finalization == nil {
		return nil
	}
	return r
}
