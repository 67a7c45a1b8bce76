// Package pipeline executes what consensus orders and makes the results durable, visible and
// certified, in that order.
//
// A [Pipeline] is the engine's application: it chooses payloads ([Pipeline.Build]), judges those of
// others ([Pipeline.Judge]) and takes final blocks ([Pipeline.Deliver]). Those pass through stages,
// each one goroutine behind a bounded queue:
//
//	queue → execute → state root → blocks.ldb (one synced batch per group) → publish → pool, engine,
//	execution votes → state.ldb (coalesced)
//
// so a [Head] that anybody sees is on this node's disk. Under load groups grow, and with them the
// number of blocks that one sync pays for. Execution votes of a quorum make a certificate; the newest
// one is the watermark of the next payload, which bounds how far ordering runs ahead of execution.
//
// Everything but blocks.ldb is derived: [Open] rebuilds state and index from the blocks, and checks
// that the recomputed headers equal the stored ones.
//
// The shape, execution behind consensus with a settled height that blocks refer to, is that of
// ava-labs/strevm.
package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/vm"
)

// Network carries frames to peers. Implementations: the node over p2p/host, and the switch of this
// package's tests.
type Network interface {
	// Send queues a frame for a peer, or for all with consensus.Everyone. It never blocks and may
	// drop. The frame must not be modified.
	Send(to int, lane consensus.Lane, frame []byte)
}

// Driver is told what consensus should know of execution. Implementations: consensus/engine.Engine,
// and the single sequencer of this package's tests.
type Driver interface {
	Demand(atUnixMs uint64)
	Executed(tip consensus.Tip)
	// Wall is the wall clock by which consensus times blocks, which may be shifted against the machine's.
	Wall() time.Time
}

// Config assembles a [Pipeline].
type Config struct {
	Genesis *ledger.Genesis
	// Store is open; the pipeline is its only writer but does not close it.
	Store *store.Store
	// Ledger is what [Recover] found in Store. The pipeline is the only writer of its state.
	Ledger *Recovered
	// Worker runs contracts for the pipeline only, until Run has returned. The pipeline does not close it.
	Worker *vm.Worker
	// Pool reads the same state.
	Pool    *txpool.Pool
	Network Network
	// Signer signs execution results; nil on a replica.
	Signer consensus.Signer
	// Delta is the network's delay bound: proposals count as on their way for 2Δ.
	Delta  time.Duration
	Logger *slog.Logger
	// OnExecuted, when set, is told of each executed block in height order, when the block is synced
	// and before Head answers it. It runs on the executor's goroutine and must return at once.
	OnExecuted func(*ledger.Block)
}

// Pipeline executes one chain. Its methods are safe for concurrent use.
type Pipeline struct {
	log         *slog.Logger
	genesis     *ledger.Genesis
	genesisHash common.Hash
	store       *store.Store
	executor    *executor // owned by the executor's goroutine
	pool        *txpool.Pool
	onExecuted  func(*ledger.Block)

	committee *consensus.Committee
	contents  *contents
	certifier *certifier
	demand    *demand
	queue     *queue
	flusher   *flusher
	start     consensus.Tip // where consensus begins in this process

	lastCert  atomic.Pointer[[]byte] // encoding of the last ExecCert in a payload that verified
	head      atomic.Pointer[Head]
	publishMu sync.Mutex // one publish at a time

	tip *types.Header // newest executed; owned by the executor

	mu        sync.Mutex
	marks     map[uint64]mark    // guarded by mu; delivered blocks by height, at most maxMarks
	delivered uint64             // guarded by mu; highest delivered height
	lastTime  uint64             // guarded by mu; its time, ms
	waiting   []*consensus.Block // guarded by mu; delivered and not executed, at most the queue and one group
	moved     chan struct{}      // guarded by mu; closed and replaced by noteDelivered, nobody sends
}

// Tip is where consensus starts in this process: the highest block that is stored together with its
// finalization, or the genesis.
func (p *Pipeline) Tip() consensus.Tip { return p.start }

// GenesisHash is the chain's identity.
func (p *Pipeline) GenesisHash() common.Hash { return p.genesisHash }

// Committee is the validator set.
func (p *Pipeline) Committee() *consensus.Committee { return p.committee }

// Certified returns the newest certificate that this node agrees with, and nil before the first.
func (p *Pipeline) Certified() *ledger.ExecCert {
	if c := p.certifier.newest(); c != nil {
		return c.cert
	}
	return nil
}

// Divergence is not nil when a quorum executed a block differently than this node: it signs no
// results any more and must not be trusted with answers.
func (p *Pipeline) Divergence() *ledger.Divergence { return p.certifier.divergence() }

// Ordered is the highest block that consensus delivered.
func (p *Pipeline) Ordered() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delivered
}

// Lag is the number of delivered blocks that are not executed yet.
func (p *Pipeline) Lag() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

// Receive takes one of this package's frames from a peer. Errors that wrap ledger.ErrInvalid are the
// peer's fault.
func (p *Pipeline) Receive(from int, frame []byte) error { return p.certifier.receive(from, frame) }

// Run executes delivered blocks until ctx ends, then finishes the group in hand, flushes the derived
// databases and returns nil. An error of the store, or a broken invariant, ends it earlier. It may be
// called once.
func (p *Pipeline) Run(ctx context.Context, driver Driver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.queue.close()
	var helpers sync.WaitGroup
	helpers.Go(func() { p.certifier.run(ctx) })
	helpers.Go(func() { p.demand.run(ctx, driver) })
	flushed := make(chan error, 1) // sent once by the flusher's goroutine
	go func() {
		err := p.flusher.run()
		if err != nil {
			cancel()
		}
		flushed <- err
	}()
	err := p.runExecutor(ctx, driver)
	cancel()
	p.queue.close()
	close(p.flusher.in)
	err = errors.Join(<-flushed, err)
	helpers.Wait()
	return err
}

// Abandon makes the end of Run skip the flush of what is only in memory, as a crash would. For tests
// of recovery.
func (p *Pipeline) Abandon() { p.flusher.abandoned.Store(true) }

// Deliver takes final blocks from the engine's loop, in height order. It waits while the queue is
// full.
func (p *Pipeline) Deliver(blocks []consensus.FinalBlock) {
	for i := range blocks {
		p.noteDelivered(&blocks[i])
	}
	p.queue.put(blocks)
}

func (p *Pipeline) noteDelivered(fb *consensus.FinalBlock) {
	h := &fb.Block.Header
	pl, err := ledger.DecodePayload(fb.Block.Payload)
	if err != nil {
		panic("pipeline: consensus finalizes only payloads that a quorum judged valid: " + err.Error())
	}
	p.mu.Lock()
	parentTime := p.lastTime
	p.marks[h.Height] = mark{hash: fb.Hash, watermark: pl.Watermark}
	delete(p.marks, h.Height-maxMarks)
	p.delivered, p.lastTime = h.Height, h.TimeMs
	p.waiting = append(p.waiting, fb.Block)
	close(p.moved)
	p.moved = make(chan struct{})
	p.mu.Unlock()
	p.demand.delivered(h.Height, h.TimeMs, parentTime)
}

// deliveryWait bounds how long a request waits for the block it builds on.
const deliveryWait = time.Second

// awaitDelivered waits until a height has been delivered. The engine may ask about a block in the same
// breath in which it delivers the parent, and the question may overtake the delivery.
func (p *Pipeline) awaitDelivered(height uint64) bool {
	var timeout <-chan time.Time
	for {
		p.mu.Lock()
		there, moved := p.delivered >= height, p.moved
		p.mu.Unlock()
		if there {
			return true
		}
		if timeout == nil {
			timeout = time.After(deliveryWait)
		}
		select {
		case <-moved:
		case <-p.queue.done:
			return false
		case <-timeout:
			return false
		}
	}
}

// Want asks for blocks up to a height, with or without transactions. It never blocks.
func (p *Pipeline) Want(height uint64) { p.demand.want(height) }

// unexecuted lists the delivered blocks that are not executed yet.
func (p *Pipeline) unexecuted() []*consensus.Block {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*consensus.Block(nil), p.waiting...)
}

// executedUpTo forgets waiting blocks up to a height.
func (p *Pipeline) executedUpTo(height uint64) {
	p.mu.Lock()
	n := 0
	for n < len(p.waiting) && p.waiting[n].Header.Height <= height {
		n++
	}
	rest := copy(p.waiting, p.waiting[n:])
	clear(p.waiting[rest:])
	p.waiting = p.waiting[:rest]
	p.mu.Unlock()
	signal(p.demand.kick)
}

// Blocks returns stored final blocks from a height on: at most count, and fewer when their bytes would
// exceed maxBytes, but at least one if there is any.
func (p *Pipeline) Blocks(from uint64, count, maxBytes int) []consensus.FinalBlock {
	var out []consensus.FinalBlock
	bytes, tip := 0, p.Head().Height()
	for h := from; h > 0 && h <= tip && len(out) < count; h++ {
		o, err := p.store.Ordered(h)
		if err != nil {
			p.log.Warn("cannot serve a stored block", "height", h, "error", err)
			break
		}
		fb, err := finalBlock(o)
		if err != nil {
			p.log.Warn("cannot serve a stored block", "height", h, "error", err)
			break
		}
		if bytes += blockBytes(&fb); len(out) > 0 && bytes > maxBytes {
			break
		}
		out = append(out, fb)
	}
	return out
}
