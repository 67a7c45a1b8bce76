package pipeline_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/pipeline"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/vm"
)

const (
	chainID   = 7357
	genesisMs = 1_700_000_000_000
	patience  = 10 * time.Second
)

// world is a chain with its keys: what the nodes of a test share.
type world struct {
	genesis    *ledger.Genesis
	validators []*sig.Key // in committee order
	accounts   []*ecdsa.PrivateKey
}

func newWorld(t testing.TB, validators int) *world {
	t.Helper()
	w := &world{}
	keys := make(map[common.Address]*sig.Key)
	var members []ledger.Validator
	for i := range validators {
		k, err := sig.ParseKeyBytes(crypto.Keccak256([]byte("validator"), []byte{byte(i)}))
		if err != nil {
			t.Fatal(err)
		}
		keys[k.Address()] = k
		members = append(members, ledger.Validator{Address: k.Address()})
	}
	var alloc []ledger.Allocation
	for i := range 4 {
		k, err := crypto.ToECDSA(crypto.Keccak256([]byte("account"), []byte{byte(i)}))
		if err != nil {
			t.Fatal(err)
		}
		w.accounts = append(w.accounts, k)
		alloc = append(alloc, ledger.Allocation{Address: crypto.PubkeyToAddress(k.PublicKey), Balance: uint256.NewInt(1e18)})
	}
	w.genesis = ledger.DefaultGenesis(chainID, members, alloc, genesisMs)
	for _, v := range w.genesis.Validators {
		w.validators = append(w.validators, keys[v.Address])
	}
	return w
}

func (w *world) address(i int) common.Address { return crypto.PubkeyToAddress(w.accounts[i].PublicKey) }

// raw signs a transfer of one wei.
func (w *world) raw(t testing.TB, from int, nonce uint64) []byte {
	t.Helper()
	return w.sign(t, from, &types.LegacyTx{Nonce: nonce, Gas: 21000, To: &common.Address{0xaa}, Value: big.NewInt(1), GasPrice: new(big.Int)})
}

func (w *world) sign(t testing.TB, from int, data types.TxData) []byte {
	t.Helper()
	raw, err := types.MustSignNewTx(w.accounts[from], types.LatestSignerForChainID(big.NewInt(chainID)), data).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// switchboard delivers frames between the nodes of a test, at once. It is a pipeline.Network.
type switchboard struct {
	mu    sync.Mutex
	nodes map[int]*node
}

func (s *switchboard) attach(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[n.index] = n
}

func (s *switchboard) send(from, to int, frame []byte) {
	s.mu.Lock()
	var targets []*node
	for i, n := range s.nodes {
		if i != from && (to == consensus.Everyone || to == i) {
			targets = append(targets, n)
		}
	}
	s.mu.Unlock()
	for _, n := range targets {
		if err := n.pipeline.Receive(from, frame); err != nil {
			panic(err)
		}
	}
}

type port struct {
	board *switchboard
	from  int
}

func (p port) Send(to int, _ consensus.Lane, frame []byte) { p.board.send(p.from, to, frame) }

// node is a pipeline with its databases and a sequencer in the place of consensus.
type node struct {
	t         testing.TB
	world     *world
	index     int
	dir       string
	log       *slog.Logger
	board     *switchboard
	store     *store.Store
	contracts *vm.Engine
	worker    *vm.Worker
	pool      *txpool.Pool
	ledger    *pipeline.Recovered
	pipeline  *pipeline.Pipeline
	demands   chan uint64
	shift     atomic.Int64 // of the wall clock, ns
	executed  chan consensus.Tip
	stop      context.CancelFunc
	done      chan error

	parent consensus.Block // of the next block
}

func start(t testing.TB, w *world, index int, dir string, board *switchboard, log *slog.Logger) *node {
	t.Helper()
	n, err := open(t, w, index, dir, board, log)
	if err != nil {
		t.Fatal(err)
	}
	n.run()
	t.Cleanup(n.close)
	return n
}

func open(t testing.TB, w *world, index int, dir string, board *switchboard, log *slog.Logger) (*node, error) {
	n := &node{t: t, world: w, index: index, dir: dir, board: board, log: log, demands: make(chan uint64, 1024), executed: make(chan consensus.Tip, 1024)}
	var err error
	if n.store, err = store.Open(dir, store.Options{Genesis: w.genesis, Logger: log}); err != nil {
		return nil, err
	}
	if n.contracts, err = vm.New(vm.Config{}); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if n.worker, err = n.contracts.Worker(); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if n.ledger, err = pipeline.Recover(w.genesis, n.store, n.worker, log); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if n.pool, err = txpool.New(txpool.Config{Genesis: w.genesis, State: n.ledger.State}); err != nil {
		return nil, err
	}
	cfg := pipeline.Config{
		Genesis: w.genesis, Store: n.store, Ledger: n.ledger, Worker: n.worker, Pool: n.pool, Network: port{board, index},
		Delta: 150 * time.Millisecond, Logger: log,
	}
	if index < len(w.validators) {
		cfg.Signer = w.validators[index]
	}
	if n.pipeline, err = pipeline.Open(cfg); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	tip := n.pipeline.Tip()
	n.parent.Header = consensus.Header{Height: tip.Height, View: tip.View, TimeMs: tip.TimeMs}
	if tip.Height > 0 {
		n.parent = *n.pipeline.Blocks(tip.Height, 1, 1<<20)[0].Block
	}
	return n, nil
}

func (n *node) Demand(at uint64) { n.demands <- at }

func (n *node) Executed(tip consensus.Tip) { n.executed <- tip }

func (n *node) Wall() time.Time { return time.Now().Add(time.Duration(n.shift.Load())) }

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.done = cancel, make(chan error, 1)
	n.board.attach(n)
	go func() { n.done <- n.pipeline.Run(ctx, n) }()
}

// close stops the pipeline and the store. It may be called more than once.
func (n *node) close() {
	if n.stop == nil {
		return
	}
	n.stop()
	if err := <-n.done; err != nil {
		n.t.Errorf("node %d: %v", n.index, err)
	}
	n.stop = nil
	n.shut()
}

func (n *node) shut() {
	n.board.mu.Lock()
	delete(n.board.nodes, n.index)
	n.board.mu.Unlock()
	if err := errors.Join(n.worker.Close(), n.contracts.Close(), n.store.Close()); err != nil {
		n.t.Error(err)
	}
}

// restart closes the node and opens its directory again.
func (n *node) restart(log *slog.Logger) *node {
	n.t.Helper()
	n.close()
	return start(n.t, n.world, n.index, n.dir, n.board, log)
}

func (n *node) add(raws ...[]byte) {
	n.t.Helper()
	for _, raw := range raws {
		tx, err := ledger.DecodeTransaction(raw, chainID, n.world.genesis.Limits())
		if err != nil {
			n.t.Fatal(err)
		}
		if err := n.pool.Add(tx, time.Now()); err != nil {
			n.t.Fatal(err)
		}
	}
}

// next builds the block after parent. Its time is gapMs after the parent's.
func (n *node) next(parent *consensus.Block, ancestors []*consensus.Block, gapMs uint64, force bool) (*consensus.Block, bool) {
	h := parent.Header
	hash := h.Hash()
	if h.Height == 0 {
		hash = n.pipeline.GenesisHash()
	}
	at := h.TimeMs + gapMs
	payload, data, ok := n.pipeline.Build(consensus.BuildRequest{
		View: h.View + 1, Height: h.Height + 1, ParentHash: hash, TimeMs: at, Ancestors: ancestors, Force: force,
	})
	return n.block(&h, hash, at, payload, data), ok
}

func (n *node) block(parent *consensus.Header, hash common.Hash, at uint64, payload, data []byte) *consensus.Block {
	leader := n.world.validators[int(parent.View)%len(n.world.validators)]
	return &consensus.Block{Payload: payload, Data: data, Header: consensus.Header{
		Version: 1, View: parent.View + 1, Height: parent.Height + 1, ParentHash: hash, ParentView: parent.View,
		Proposer: leader.Address(), TimeMs: at, PayloadHash: crypto.Keccak256Hash(payload),
		CommitteeHash: n.pipeline.Committee().Hash(),
	}}
}

func final(b *consensus.Block) consensus.FinalBlock {
	hash := b.Header.Hash()
	sigs := binary.BigEndian.AppendUint64(nil, b.Header.View) // nobody verifies it here
	return consensus.FinalBlock{Block: b, Hash: hash, Finalization: &consensus.Cert{
		Kind: consensus.Finalize, View: b.Header.View, Hash: hash, Bitmap: []byte{1}, Sigs: sigs,
	}}
}

// order builds one block, has every node judge and deliver it, and returns it.
func order(leader *node, nodes []*node, gapMs uint64) *consensus.Block {
	leader.t.Helper()
	b, ok := leader.next(&leader.parent, nil, gapMs, true)
	if !ok {
		leader.t.Fatal("a forced block was not built")
	}
	for _, n := range nodes {
		if v := n.pipeline.Judge(consensus.JudgeRequest{Hash: b.Header.Hash(), Block: b}); v != consensus.Valid {
			leader.t.Fatalf("node %d judges its leader's block %d %d", n.index, b.Header.Height, v)
		}
		n.deliver(b)
	}
	return b
}

func (n *node) deliver(b *consensus.Block) {
	n.pipeline.Deliver([]consensus.FinalBlock{final(b)})
	n.parent = *b
}

// await waits until the head satisfies want.
func (n *node) await(what string, want func(*pipeline.Head) bool) *pipeline.Head {
	n.t.Helper()
	timeout := time.After(patience)
	for {
		h := n.pipeline.Head()
		if want(h) {
			return h
		}
		select {
		case <-h.Changed():
		case <-timeout:
			n.t.Fatalf("node %d at height %d, certified %d: no %s", n.index, h.Height(), h.Certified, what)
		}
	}
}

func (n *node) awaitHeight(height uint64) *pipeline.Head {
	n.t.Helper()
	return n.await("height", func(h *pipeline.Head) bool { return h.Height() >= height })
}

func (n *node) awaitCertified(height uint64) *pipeline.Head {
	n.t.Helper()
	return n.await("certificate", func(h *pipeline.Head) bool { return h.Certified >= height })
}

func newBoard() *switchboard { return &switchboard{nodes: make(map[int]*node)} }

func single(t testing.TB) *node {
	t.Helper()
	return start(t, newWorld(t, 1), 0, t.TempDir(), newBoard(), testlog.New(t))
}
