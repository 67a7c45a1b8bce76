package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/vm"
)

// progressInterval is how often a long recovery says how far it is.
const progressInterval = 2 * time.Second

// Recovered is a ledger ready to go on: a state in memory that belongs to the newest stored block, and
// databases that agree with it.
type Recovered struct {
	State       *state.State
	Tip         *types.Header
	GenesisHash common.Hash
}

// Recover writes the genesis block into an empty store, and otherwise brings state and index up to the
// stored blocks. It fails when the databases belong to another chain or when executing a stored block
// again gives another header. The worker is the caller's again when it returns.
func Recover(g *ledger.Genesis, s *store.Store, w *vm.Worker, logger *slog.Logger) (*Recovered, error) {
	r := &recovery{log: logger, genesis: g, store: s, worker: w, last: time.Now()}
	tip, err := r.run()
	if err != nil {
		return nil, err
	}
	return &Recovered{State: r.state, Tip: tip, GenesisHash: r.genesisHash}, nil
}

// Open returns a pipeline that goes on from what [Recover] found. It starts nothing.
func Open(cfg Config) (*Pipeline, error) {
	committee, err := consensus.NewCommittee(cfg.Genesis.ValidatorAddresses())
	if err != nil {
		return nil, fmt.Errorf("genesis validators: %w", err)
	}
	p := &Pipeline{
		log: cfg.Logger, genesis: cfg.Genesis, genesisHash: cfg.Ledger.GenesisHash, store: cfg.Store,
		executor: newExecutor(cfg.Genesis, cfg.Worker, cfg.Ledger.State, cfg.Store), pool: cfg.Pool, onExecuted: cfg.OnExecuted, committee: committee, tip: cfg.Ledger.Tip,
		contents: newContents(cfg.Genesis, cfg.Pool.Get), queue: newQueue(), flusher: newFlusher(cfg.Store),
		marks: make(map[uint64]mark), moved: make(chan struct{}),
	}
	p.demand = newDemand(p, 2*cfg.Delta)
	p.publish(func(h *Head) { h.Header, h.TimeMs = p.tip, headerTimeMs(p.tip) })
	if p.certifier, err = newCertifier(&cfg, committee); err != nil {
		return nil, err
	}
	p.certifier.onCertified = func(height uint64) {
		p.publish(func(h *Head) { h.Certified = max(h.Certified, height) })
		signal(p.demand.kick)
	}
	if err := p.certifier.restore(p.tip.Number.Uint64()); err != nil {
		return nil, err
	}
	return p, p.resume()
}

// resume sets where consensus starts. Consensus may deliver blocks again that are stored above its
// last stored finalization.
func (p *Pipeline) resume() error {
	height, ok := p.store.FinalTip()
	if !ok {
		p.start = consensus.GenesisTip(p.genesisHash, p.genesis.TimeMs)
		p.marks[0] = mark{hash: p.genesisHash}
		p.lastTime = p.genesis.TimeMs
		return nil
	}
	o, err := p.store.Ordered(height)
	if err != nil {
		return fmt.Errorf("reading block %d: %w", height, err)
	}
	fb, err := finalBlock(o)
	if err != nil {
		return err
	}
	if fb.Finalization == nil {
		return fmt.Errorf("block %d is stored as final without its finalization", height)
	}
	pl, err := ledger.DecodePayload(o.Payload)
	if err != nil {
		return fmt.Errorf("stored block %d: %w", height, err)
	}
	p.start = tipOf(&fb)
	p.marks[height] = mark{hash: o.Hash, watermark: pl.Watermark}
	p.delivered, p.lastTime = height, o.TimeMs
	parent, err := p.store.Header(height - 1)
	if err != nil {
		return fmt.Errorf("reading header %d: %w", height-1, err)
	}
	p.demand.delivered(height, o.TimeMs, headerTimeMs(parent))
	return nil
}

// recovery brings the derived databases and the state in memory up to the blocks.
type recovery struct {
	log         *slog.Logger
	genesis     *ledger.Genesis
	genesisHash common.Hash
	store       *store.Store
	worker      *vm.Worker
	state       *state.State
	last        time.Time // of the last progress message
}

// source says from where the state in memory comes.
type source uint8

const (
	fromNothing source = iota // an empty store: write the genesis block
	fromGenesis               // no usable state.ldb: execute all blocks
	fromMarker                // state.ldb holds the state at the marker
)

// plan decides what a start has to do. tip is the highest stored block, stored the hash of the stored
// header at the marker's height.
func plan(tip uint64, hasTip bool, marker store.Marker, hasMarker bool, stored common.Hash) source {
	switch {
	case !hasTip:
		return fromNothing
	case !hasMarker, marker.LastHeight > tip, marker.HeaderHash != stored:
		// The store refuses the last two itself: writing is checked where it is read back.
		return fromGenesis
	}
	return fromMarker
}

// run returns the header of the newest block, whose state r.state then holds.
func (r *recovery) run() (*types.Header, error) {
	tip, hasTip := r.store.Tip()
	if hasTip {
		if err := r.checkGenesis(); err != nil {
			return nil, err
		}
	}
	marker, hasMarker := r.store.StateMarker()
	var stored common.Hash
	if hasMarker && hasTip && marker.LastHeight <= tip {
		h, err := r.store.Header(marker.LastHeight)
		if err != nil {
			return nil, fmt.Errorf("reading header %d: %w", marker.LastHeight, err)
		}
		stored = h.Hash()
	}
	switch plan(tip, hasTip, marker, hasMarker, stored) {
	case fromNothing:
		return r.fromGenesis(0, true)
	case fromMarker:
		if err := r.load(marker); err != nil {
			return nil, err
		}
		if err := r.index(marker.LastHeight); err != nil {
			return nil, err
		}
		return r.catchUp(marker.LastHeight, tip)
	}
	if tip > 0 {
		r.log.Info("rebuilding the state from the blocks, because state.ldb is new", "blocks", tip)
	}
	return r.fromGenesis(tip, false)
}

// checkGenesis compares the stored block 0 with the genesis.
func (r *recovery) checkGenesis() error {
	have, err := r.store.Header(0)
	if err != nil {
		return fmt.Errorf("reading block 0: %w", err)
	}
	r.genesisHash = have.Hash()
	if have.MixDigest != r.genesis.Commitment() {
		return fmt.Errorf("the data directory belongs to another chain (block 0 is %s) than genesis.json describes: "+
			"put the right genesis.json there, or start with another home", r.genesisHash)
	}
	return nil
}

// fromGenesis makes the state of block 0, flushes it and executes all stored blocks on top.
func (r *recovery) fromGenesis(tip uint64, commit bool) (*types.Header, error) {
	r.state = state.New()
	changes := r.genesis.Changes()
	root, err := r.state.Load(pull(changes), 0)
	if err != nil {
		return nil, fmt.Errorf("making the genesis state: %w", err)
	}
	header := r.genesis.Header(root)
	hash := header.Hash()
	o := ledger.Ordered{Hash: hash, TimeMs: r.genesis.TimeMs}
	block := executed{block: ledger.NewBlock(o, header, nil, nil, nil), changes: changes}
	switch {
	case commit:
		r.genesisHash = hash
		if err := r.store.CommitBlocks([]*ledger.Block{block.block}); err != nil {
			return nil, fmt.Errorf("committing the genesis block: %w", err)
		}
	case hash != r.genesisHash:
		return nil, fmt.Errorf("genesis.json gives the block 0 %s, but %s is stored: this program's state rules differ from those that made the chain", hash, r.genesisHash)
	}
	var first coalesced
	first.add(block)
	if err := first.flush(r.store); err != nil {
		return nil, err
	}
	return r.catchUp(0, tip)
}

// pull turns a slice into the source that a state loads from.
func pull(changes []ledger.Change) func() (ledger.Change, bool, error) {
	return func() (ledger.Change, bool, error) {
		if len(changes) == 0 {
			return ledger.Change{}, false, nil
		}
		c := changes[0]
		changes = changes[1:]
		return c, true, nil
	}
}

// ErrState says that state.ldb does not hold the state that its marker names. It has to be moved away;
// the state is then made from the blocks.
var ErrState = errors.New("state.ldb does not hold the state that it names")

// load fills a state from state.ldb. It fails with ErrState when the content does not give the
// marker's root, or the code of an activation is not there.
func (r *recovery) load(m store.Marker) error {
	r.state = state.New()
	var scanErr error
	next, stop := iter.Pull(func(yield func(ledger.Change) bool) {
		scanErr = r.store.ScanState(func(c ledger.Change) error {
			if !yield(c) {
				return errStopScan
			}
			return nil
		})
	})
	defer stop()
	root, err := r.state.Load(func() (ledger.Change, bool, error) {
		c, ok := next()
		if !ok && scanErr != nil {
			return ledger.Change{}, false, scanErr
		}
		if hash, isCode := ledger.ParseCodeKey(c.Key); isCode {
			if _, err := r.store.Code(hash); err != nil {
				return ledger.Change{}, false, err
			}
		}
		return c, ok, nil
	}, m.LastHeight)
	if err != nil {
		return fmt.Errorf("%w: block %d: %w", ErrState, m.LastHeight, err)
	}
	if root != m.StateRoot {
		return fmt.Errorf("%w: block %d has the root %s, not %s", ErrState, m.LastHeight, m.StateRoot, root)
	}
	return nil
}

// errStopScan ends a scan whose reader has gone.
var errStopScan = errors.New("scan stopped")

// catchUp executes the stored blocks after from, up to tip, compares each header with the stored one,
// and flushes as it goes.
func (r *recovery) catchUp(from, tip uint64) (*types.Header, error) {
	parent, err := r.store.Header(from)
	if err != nil {
		return nil, fmt.Errorf("reading header %d: %w", from, err)
	}
	var pending coalesced
	x := newExecutor(r.genesis, r.worker, r.state, r.store)
	for height := from + 1; height <= tip; height++ {
		e, err := r.again(x, height, parent)
		if err != nil {
			return nil, err
		}
		parent = e.block.Header
		if pending.add(e); pending.full() {
			if err := pending.flush(r.store); err != nil {
				return nil, err
			}
			pending = coalesced{}
		}
		r.progress("executing stored blocks again", height, tip)
	}
	return parent, pending.flush(r.store)
}

// again executes a stored block.
func (r *recovery) again(x *executor, height uint64, parent *types.Header) (executed, error) {
	want, err := r.store.Header(height)
	if err != nil {
		return executed{}, fmt.Errorf("reading header %d: %w", height, err)
	}
	o, err := r.store.Ordered(height)
	if err != nil {
		return executed{}, fmt.Errorf("reading block %d: %w", height, err)
	}
	c, err := decodeContent(r.genesis, o.Payload, o.Data, func(common.Hash) *ledger.Transaction { return nil })
	if err != nil {
		return executed{}, fmt.Errorf("stored block %d: %w", height, err)
	}
	//nolint:forbidigo // a start has no context; nothing of it can be cancelled
	e, err := x.execute(context.Background(), parent, o, c.txs)
	if err != nil {
		return executed{}, err
	}
	if got := e.block.Header.Hash(); got != want.Hash() {
		return executed{}, fmt.Errorf("executing block %d again gives the header %s (state root %s), but %s (state root %s) is stored: "+
			"blocks.ldb was made by a program with other rules, or is damaged; restore it from a copy or start with an empty data directory",
			height, got, e.block.Header.Root, want.Hash(), want.Root)
	}
	return e, nil
}

// indexBatch is how many stored blocks are indexed at once.
const indexBatch = 64

// index brings index.ldb up to tip.
func (r *recovery) index(tip uint64) error {
	var batch []*ledger.Block
	next, indexed := r.store.IndexProgress()
	if indexed {
		next++
	}
	for height := next; height <= tip; height++ {
		b, err := r.store.Block(height)
		if err != nil {
			return fmt.Errorf("reading block %d: %w", height, err)
		}
		if batch = append(batch, b); len(batch) == indexBatch || height == tip {
			if err := r.store.IndexBlocks(batch); err != nil {
				return fmt.Errorf("indexing blocks up to %d: %w", height, err)
			}
			batch = batch[:0]
		}
		r.progress("indexing stored blocks", height, tip)
	}
	return nil
}

func (r *recovery) progress(what string, height, tip uint64) {
	if now := time.Now(); now.Sub(r.last) >= progressInterval {
		r.last = now
		r.log.Info("recovering", "step", what, "height", height, "of", tip)
	}
}
