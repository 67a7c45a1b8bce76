package node

import (
	"context"
	"fmt"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/node/pipeline"
)

// line is what orders and executes: consensus with its journal, and the pipeline behind it. A node has one for
// life, unless it is of a development chain that goes back to an earlier block: that stops the line and begins
// a new one.
type line struct {
	wal      *wal.WAL
	pipeline *pipeline.Pipeline
	engine   *engine.Engine

	// stopEngine and stopPipeline are closed by who replaces the line, engineDone and pipelineDone by what ends;
	// replaced is closed when the node has another line, or failed. Nobody sends.
	stopEngine, stopPipeline chan struct{}
	engineDone, pipelineDone chan struct{}
	replaced                 chan struct{}
	// failed is why there is no other line; set before replaced is closed.
	failed error
}

// engine is the consensus of the line that runs.
func (n *Node) engine() *engine.Engine { return n.line.Load().engine }

// pipeline is the one of the line that runs.
func (n *Node) pipeline() *pipeline.Pipeline { return n.line.Load().pipeline }

// newLine goes on from a ledger. It starts nothing. What it returns beside an error has to be closed.
func (n *Node) newLine(recovered *pipeline.Recovered) (*line, error) {
	l := &line{
		stopEngine: make(chan struct{}), stopPipeline: make(chan struct{}),
		engineDone: make(chan struct{}), pipelineDone: make(chan struct{}), replaced: make(chan struct{}),
	}
	pc := pipeline.Config{
		Genesis: n.genesis, Store: n.store, Ledger: recovered, Worker: n.worker, Pool: n.pool, Network: n.frames,
		Delta: n.cfg.Consensus.Delta, Logger: n.log, OnExecuted: n.onExecuted,
	}
	if n.signer != nil {
		pc.Signer = n.signer
	}
	var err error
	if l.pipeline, err = pipeline.Open(pc); err != nil {
		return nil, err
	}
	return l, n.openEngine(l)
}

// expendable reports whether a missing journal may be replaced by an empty one: on a replica, which never votes,
// and on a development chain, whose only validator owes its votes to nobody else.
func (n *Node) expendable() bool { return n.cfg.Chain.Replica || n.genesis.Development }

// openEngine opens the journal and recovers consensus from it.
func (n *Node) openEngine(l *line) error {
	hash := l.pipeline.GenesisHash()
	log, records, err := openLog(n.cfg.Home, hash, wal.Options{FS: n.logFS, Logger: n.log, OnSync: n.journalSynced}, n.expendable())
	if err != nil {
		return err
	}
	l.wal = log
	core := consensus.Config{
		Network: hash, Committee: l.pipeline.Committee(), Peers: len(n.roster.ids),
		Term: n.genesis.Consensus.TermLength, Window: n.genesis.Consensus.Window,
		MaxBlockBytes: int(n.genesis.MaxBlockBytes),
		Timing: consensus.Timing{
			Delta: n.cfg.Consensus.Delta, MinInterval: n.cfg.Consensus.MinInterval,
			MaxIdle: n.cfg.Consensus.MaxIdle, MaxDrift: n.cfg.Consensus.MaxDrift,
		},
		Tip: l.pipeline.Tip(), Recovered: records,
	}
	if n.signer != nil {
		core.Signer = n.signer
	}
	scheme := sig.NewCache(sig.Secp256k1{}, sig.DefaultCacheEntries)
	if n.evidence == nil {
		n.evidence, err = openEvidence(n.store, &consensus.Verifier{
			Scheme: scheme, Network: hash, Committee: core.Committee, Schedule: core.Schedule(),
		}, n.log)
		if err != nil {
			return err
		}
	}
	l.engine, err = engine.New(engine.Config{
		Core: core, Scheme: scheme, Log: log, Network: n.frames, App: l.pipeline, OnEvidence: n.evidence.take,
	})
	if err != nil {
		return fmt.Errorf("starting consensus: %w", err)
	}
	return nil
}

// runEngine runs consensus, of one line after the other.
func (n *Node) runEngine(ctx context.Context) error {
	return n.runLines(ctx, func(l *line) (chan struct{}, chan struct{}) { return l.stopEngine, l.engineDone },
		func(ctx context.Context, l *line) error { return l.engine.Run(ctx) })
}

// runPipeline runs the pipeline, of one line after the other.
func (n *Node) runPipeline(ctx context.Context) error {
	return n.runLines(ctx, func(l *line) (chan struct{}, chan struct{}) { return l.stopPipeline, l.pipelineDone },
		func(ctx context.Context, l *line) error { return l.pipeline.Run(ctx, l.engine) })
}

func (n *Node) runLines(ctx context.Context, of func(*line) (stop, done chan struct{}), run func(context.Context, *line) error) error {
	for {
		l := n.line.Load()
		stop, done := of(l)
		until, cancel := context.WithCancel(ctx)
		ended := make(chan struct{}) // closed by the goroutine
		go func() {
			defer close(ended)
			select {
			case <-stop:
				cancel()
			case <-until.Done():
			}
		}()
		err := run(until, l)
		stopped := until.Err() != nil
		cancel()
		<-ended
		if err != nil || !stopped || ctx.Err() != nil {
			return err // done stays open: nobody may begin a new line
		}
		close(done)
		select {
		case <-l.replaced:
			if l.failed != nil {
				return l.failed
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// close releases what newLine opened.
func (l *line) close() error {
	if l == nil || l.wal == nil {
		return nil
	}
	return l.wal.Close()
}
