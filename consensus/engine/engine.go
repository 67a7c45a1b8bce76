// Package engine drives one consensus core against a real clock, log, network
// and application.
//
// # Model
//
// One goroutine steps the [consensus.Core]; it is the only one that does.
// Peers' reader goroutines decode and verify in [Engine.Receive], the one
// parallel step, and hand over verified messages through a bounded queue: when
// it is full they wait, which slows that peer's stream and nobody else's
// memory. One iteration of the loop takes whatever inputs are waiting, steps
// through them, and then honours [consensus.Output] in its order: append to
// the log and sync it (once, unless very much waits), then send, then ask and
// deliver. An error of the log ends
// the engine for good; nothing is sent after it.
//
// The shape, a pure state machine whose outputs carry the driver's ordering
// obligations, is that of etcd's raft library.
package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
)

// Application is what is ordered for. Implementations: node/pipeline.Pipeline
// and the double of this package's tests.
type Application interface {
	// Build returns a payload with its data for the block after the request's
	// ancestors, or ok=false when there is nothing to order and the request
	// does not force a block. Called from one goroutine at a time.
	Build(req consensus.BuildRequest) (payload, data []byte, ok bool)
	// Judge says whether a block is valid. Called concurrently.
	Judge(req consensus.JudgeRequest) consensus.Verdict
	// Deliver takes final blocks in height order, each height once per
	// process. It runs on the engine's loop and should return at once; it may
	// block only as long as the application's bounded queue is full.
	Deliver(blocks []consensus.FinalBlock)
	// Blocks returns stored final blocks from a height on, fewer than count
	// when their bytes would exceed maxBytes (but at least one if any), with
	// a finalization where the store holds one. Called concurrently.
	Blocks(from uint64, count, maxBytes int) []consensus.FinalBlock
}

// Network carries frames to peers. Implementations: the node over p2p/host and
// the in-memory network of this package's tests.
type Network interface {
	// Send queues a frame for a peer, or for all with [consensus.Everyone].
	// It never blocks and may drop. The frame must not be modified.
	Send(to int, lane consensus.Lane, frame []byte)
}

// Config assembles an [Engine].
type Config struct {
	Core    consensus.Config
	Scheme  consensus.Scheme
	Log     *wal.WAL
	Network Network
	App     Application
	// OnEvidence takes proofs that a validator broke the rules, the same one
	// perhaps more than once. It runs on the engine's loop and must return at
	// once. May be nil.
	OnEvidence func(consensus.Evidence)
}

// Limits of the queues and of one answer.
const (
	inboxSize  = 1024
	maxBatch   = 64 // inputs per iteration, hence per sync
	maxServing = 4  // range answers in the making, one per peer
	maxJudging = 64 // judgements in the making
)

// Engine runs one Core. Its methods are safe for concurrent use.
type Engine struct {
	cfg      Config
	verifier consensus.Verifier
	origin   time.Time // zero of consensus.Instant.Mono

	// inbox carries verified peers' input; senders are the peers' readers,
	// which wait while it is full. Never closed.
	inbox chan consensus.Input
	// answers carries Built and Judged from the engine's own goroutines; they
	// wait while it is full. Never closed.
	answers chan consensus.Input
	// poke wakes the loop for demand, executed and peers; capacity 1, a full
	// one already says it.
	poke chan struct{}
	done chan struct{} // closed when Run ends

	demand   atomic.Pointer[uint64]        // latest unseen demand
	executed atomic.Pointer[consensus.Tip] // latest unseen tip

	snapshot atomic.Pointer[consensus.Snapshot]
	shift    atomic.Int64 // of the wall clock, in nanoseconds
	held     atomic.Int64 // the wall clock while it stands, Unix milliseconds; 0 while it runs

	mu      sync.Mutex
	peers   []consensus.Input // unseen PeerUp and PeerDown, oldest first, at most inboxSize
	serving map[int]bool      // peers whose range answer is in the making

	// Owned by Run.
	replica *Replica
	tasks   sync.WaitGroup
	judging chan struct{}
}

// New prepares an engine; it starts nothing. The Core's recovery happens here.
func New(cfg Config) (*Engine, error) {
	replica, err := NewReplica(cfg.Core, cfg.Log)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, replica: replica, origin: time.Now(),
		verifier: consensus.Verifier{
			Scheme: cfg.Scheme, Network: cfg.Core.Network, Epoch: cfg.Core.Epoch,
			Committee: cfg.Core.Committee, Schedule: cfg.Core.Schedule(),
		},
		inbox: make(chan consensus.Input, inboxSize), answers: make(chan consensus.Input, maxJudging),
		poke: make(chan struct{}, 1), done: make(chan struct{}),
		judging: make(chan struct{}, maxJudging), serving: make(map[int]bool),
	}
	e.cfg.Core.Recovered = nil
	s := replica.Snapshot()
	e.snapshot.Store(&s)
	return e, nil
}

// Snapshot is where the Core stood after its latest iteration.
func (e *Engine) Snapshot() consensus.Snapshot { return *e.snapshot.Load() }

// Receive takes a frame from a peer's reader goroutine and owns it from then
// on. It waits while the inbox is full. Errors wrap [consensus.ErrInvalid]
// when the peer is at fault; frames of another epoch are dropped silently.
func (e *Engine) Receive(from int, frame []byte) error {
	m, err := consensus.DecodeMessage(frame)
	if err != nil {
		return err
	}
	if view, stale := Stale(m, e.snapshot.Load().Final.View); stale {
		e.enqueue(consensus.Stale{From: from, View: view})
		return nil
	}
	verified, err := e.verifier.Verify(m)
	if errors.Is(err, consensus.ErrEpoch) {
		return nil
	}
	if err != nil {
		return err
	}
	e.enqueue(consensus.Received{From: from, Message: verified})
	return nil
}

func (e *Engine) enqueue(in consensus.Input) {
	select {
	case e.inbox <- in:
	case <-e.done:
	}
}

// PeerUp reports a connection to a peer.
func (e *Engine) PeerUp(peer int) { e.peerChanged(consensus.PeerUp{Peer: peer}) }

// PeerDown reports that a peer's connection ended.
func (e *Engine) PeerDown(peer int) { e.peerChanged(consensus.PeerDown{Peer: peer}) }

func (e *Engine) peerChanged(in consensus.Input) {
	e.mu.Lock()
	if len(e.peers) < inboxSize {
		e.peers = append(e.peers, in) // Beyond that, messages tell who is there.
	}
	e.mu.Unlock()
	e.wake()
}

// Demand says from which wall-clock time on (Unix ms) the application wants a
// block; 0 when it wants none. The latest call wins. It never blocks.
func (e *Engine) Demand(atUnixMs uint64) {
	e.demand.Store(&atUnixMs)
	e.wake()
}

// Executed reports the highest block that is synced to the block store with
// its finalization. It never blocks.
func (e *Engine) Executed(tip consensus.Tip) {
	e.executed.Store(&tip)
	e.wake()
}

func (e *Engine) wake() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

func (e *Engine) now() consensus.Instant {
	t := time.Now()
	return consensus.Instant{Mono: t.Sub(e.origin), UnixMs: uint64(e.shifted(t).UnixMilli())}
}

// Wall is the wall clock by which blocks are timed and judged.
func (e *Engine) Wall() time.Time { return e.shifted(time.Now()) }

func (e *Engine) shifted(t time.Time) time.Time {
	if at := e.held.Load(); at != 0 {
		return time.UnixMilli(at)
	}
	return t.Add(time.Duration(e.shift.Load()))
}

// ShiftClock sets how far the wall clock that blocks are timed and judged by is ahead of the machine's,
// for development chains and to inject the fault; timers are not affected.
func (e *Engine) ShiftClock(by time.Duration) {
	e.shift.Store(int64(by))
	e.held.Store(0)
	e.wake()
}

// Shift is how far the wall clock runs ahead of the machine's, or ran when it was stopped.
func (e *Engine) Shift() time.Duration { return time.Duration(e.shift.Load()) }

// StopClock makes the wall clock stand at a moment, with which the next blocks are timed, until
// [Engine.ShiftClock]; for development chains.
func (e *Engine) StopClock(atUnixMs int64) {
	e.held.Store(atUnixMs)
	e.wake()
}

// Run steps the Core until ctx ends, which is no error, or until the log fails
// or an invariant breaks, after which nothing more was sent. It joins all
// goroutines that it started. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	defer e.tasks.Wait()
	defer close(e.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	inputs := []consensus.Input{consensus.Start{}}
	for {
		wakeAt, err := e.iterate(inputs)
		if err != nil {
			return err
		}
		timer.Reset(max(0, wakeAt-time.Since(e.origin)))
		if inputs, err = e.collect(ctx, timer, inputs[:0]); err != nil {
			return nil // ctx ended: a graceful stop.
		}
	}
}

// collect waits for the first input and takes what else is waiting.
func (e *Engine) collect(ctx context.Context, timer *time.Timer, inputs []consensus.Input) ([]consensus.Input, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case in := <-e.answers:
		inputs = append(inputs, in)
	case in := <-e.inbox:
		inputs = append(inputs, in)
	case <-e.poke:
	case <-timer.C:
		inputs = append(inputs, consensus.Tick{})
	}
	if at := e.demand.Swap(nil); at != nil {
		inputs = append(inputs, consensus.Demand{AtUnixMs: *at})
	}
	if tip := e.executed.Swap(nil); tip != nil {
		inputs = append(inputs, consensus.Executed{Tip: *tip})
	}
	e.mu.Lock()
	inputs = append(inputs, e.peers...)
	e.peers = nil
	e.mu.Unlock()
	for len(inputs) < maxBatch {
		select {
		case in := <-e.answers:
			inputs = append(inputs, in)
			continue
		case in := <-e.inbox:
			inputs = append(inputs, in)
			continue
		default:
		}
		break
	}
	return inputs, nil
}

// iterate steps through inputs and carries out what they ask for, the log
// first. It returns the time of the next tick.
func (e *Engine) iterate(inputs []consensus.Input) (time.Duration, error) {
	if len(inputs) == 0 {
		inputs = append(inputs, consensus.Tick{})
	}
	outputs, err := e.replica.Step(e.now, inputs)
	if err != nil {
		return 0, err
	}
	s := e.replica.Snapshot()
	e.snapshot.Store(&s)
	for i := range outputs {
		if outputs[i].Fault != "" {
			return 0, errors.New(outputs[i].Fault)
		}
		e.carryOut(&outputs[i])
	}
	return outputs[len(outputs)-1].WakeAt, e.replica.Prune()
}

// carryOut does everything of an output that follows the log.
func (e *Engine) carryOut(out *consensus.Output) {
	for _, s := range out.Send {
		e.cfg.Network.Send(s.To, s.Lane, consensus.EncodeMessage(s.Message))
	}
	if req := out.Build; req != nil {
		e.tasks.Go(func() {
			payload, data, ok := e.cfg.App.Build(*req)
			e.answer(consensus.Built{View: req.View, ParentHash: req.ParentHash, Payload: payload, Data: data, OK: ok})
		})
	}
	for _, req := range out.Judge {
		e.tasks.Go(func() {
			select {
			case e.judging <- struct{}{}:
			case <-e.done:
				return
			}
			verdict := e.cfg.App.Judge(req)
			<-e.judging
			e.answer(consensus.Judged{Hash: req.Hash, Verdict: verdict})
		})
	}
	for _, req := range out.Serve {
		e.serve(req)
	}
	if len(out.Final) > 0 {
		e.cfg.App.Deliver(out.Final)
	}
	if e.cfg.OnEvidence != nil {
		for _, found := range out.Evidence {
			e.cfg.OnEvidence(found)
		}
	}
}

func (e *Engine) answer(in consensus.Input) {
	select {
	case e.answers <- in:
	case <-e.done:
	}
}

// serve answers a range request from the application's store, on its own
// goroutine; the peer asks again if too many are in the making.
func (e *Engine) serve(req consensus.RangeRequest) {
	e.mu.Lock()
	busy := e.serving[req.Peer] || len(e.serving) >= maxServing
	if !busy {
		e.serving[req.Peer] = true
	}
	e.mu.Unlock()
	if busy {
		return
	}
	e.tasks.Go(func() {
		if r := RangeAnswer(e.cfg.App.Blocks, req); r != nil {
			e.cfg.Network.Send(req.Peer, consensus.LaneSync, consensus.EncodeMessage(r))
		}
		e.mu.Lock()
		delete(e.serving, req.Peer)
		e.mu.Unlock()
	})
}
