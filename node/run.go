package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// stage is a set of parts that start and stop together.
type stage struct {
	ctx    context.Context //nolint:containedctx // a stage is a context with its goroutines
	cancel context.CancelFunc
	parts  sync.WaitGroup
}

// Run runs the node until ctx ends, then stops it in order and returns nil. The first part that fails
// stops the others; Run returns its error. It closes everything that [New] opened and may be called once.
func (n *Node) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// Stages in the order in which they stop; each serves the ones before it.
	base := context.WithoutCancel(ctx)
	var front, core, ledger, ops stage
	stages := []*stage{&front, &core, &ledger, &ops}
	for _, s := range stages {
		s.ctx, s.cancel = context.WithCancel(base) //nolint:fatcontext // each stage has its own
	}
	start := func(s *stage, name string, run func(context.Context) error) {
		s.parts.Go(func() {
			err := run(s.ctx)
			switch {
			case s.ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
				return // told to, perhaps in the middle of starting
			case err == nil:
				err = errors.New("ended without being told to")
			}
			err = fmt.Errorf("%s: %w", name, err)
			n.failure.CompareAndSwap(nil, &err)
			core.cancel() // nothing is signed any more, also while the requests in hand are drained
			fail(err)
		})
	}
	start(&ops, "operations listener", n.ops.Run)
	start(&ledger, "pipeline", n.runPipeline)
	start(&core, "consensus", n.runEngine)
	start(&core, "peer network", n.host.Run)
	start(&core, "store", n.watchStore)
	start(&ledger, "evidence", n.evidence.run)
	start(&front, "json-rpc", n.rpc.Run)
	start(&front, "gossip", forever(n.gossip.run))
	if n.journal != nil { // it outlives those who submit
		start(&core, "pool journal", n.journal.Run)
	}
	start(&front, "progress", forever(n.progress))
	start(&front, "watch", forever(n.watchProgress))
	start(&front, "clocks", forever(n.clocks.run))
	n.log.Info("node started", "version", n.build.Version, "chain_id", n.genesis.ChainID, "genesis", n.GenesisHash(),
		"height", n.Newest().Height(), "validator", n.validator, "peer_id", n.self, "rpc", n.RPCURL(), "ops", n.OpsURL())
	select {
	case <-ctx.Done():
	case <-n.killed:
		for _, s := range stages {
			s.cancel()
		}
	}
	close(n.stopping)
	n.log.Info("node stops", "height", n.Newest().Height())
	for _, s := range stages {
		s.cancel()
		s.parts.Wait()
	}
	var err error
	if first := n.failure.Load(); first != nil {
		err = *first
	}
	return errors.Join(err, n.Close())
}

// forever adapts a part that cannot fail.
func forever(run func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error { run(ctx); return nil }
}

// watchStore fails when the store refuses to write any more: a node that cannot store must not vote.
func (n *Node) watchStore(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.store.Failed():
		return fmt.Errorf("%w; the node stopped, restart it when the disk is well", n.store.Err())
	}
}

// Kill makes [Node.Run] return without draining requests and without flushing what is only in memory,
// as far as one process can imitate kill -9. For tests of recovery.
func (n *Node) Kill() {
	n.killOnce.Do(func() {
		n.pipeline().Abandon()
		close(n.killed)
	})
}

// Close releases what [New] opened, for a node that is not run. [Node.Run] does it itself.
func (n *Node) Close() error {
	var errs []error
	if n.rpc != nil {
		_ = n.rpc.Close() // closed already when it ran
	}
	if n.ops != nil {
		_ = n.ops.Close() // closed already when it ran
	}
	if n.host != nil {
		_ = n.host.Close() // closed already when it ran
	}
	errs = append(errs, n.line.Load().close())
	if n.worker != nil {
		errs = append(errs, n.worker.Close())
	}
	if n.contracts != nil {
		errs = append(errs, n.contracts.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

const (
	// progressInterval and idleProgressInterval are how often the log says where the node is, with and
	// without transactions.
	progressInterval     = time.Second
	idleProgressInterval = 30 * time.Second
)

// progress logs at most one line per second.
func (n *Node) progress(ctx context.Context) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	var said time.Time
	var before uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		txs := n.executed.Load()
		if txs == before && time.Since(said) < idleProgressInterval {
			continue
		}
		s, head := n.engine().Snapshot(), n.Newest()
		n.log.Info("progress", "height", head.Height(), "certified", head.Certified, "ordered", s.Final.Height,
			"view", s.View, "transactions", txs-before, "pool", n.pool.Stats().Pending, "peers", n.connected())
		said, before = time.Now(), txs
	}
}
