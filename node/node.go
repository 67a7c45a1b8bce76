// Package node assembles one process of a network: it is the only place where consensus, ledger and
// p2p meet.
//
// [New] opens a home directory and binds the ports; [Node.Run] runs the parts until its context ends or
// one of them fails, which stops all:
//
//	rpc, gossip  →  pool  →  engine (consensus.Core, safety journal)  →  pipeline (execute, commit,
//	certify)  →  store, state
//	host: frames below 0x40 to the engine, the others to the pipeline; gossip to the pool
//
// A stop goes the same way: requests are refused and drained, then consensus stops voting, then the
// pipeline finishes the block in hand and flushes, then the databases close.
package node

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/metrics"
	"github.com/tercet-chain/tercet/node/pipeline"
	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
	"github.com/tercet-chain/tercet/vm"
)

// Options is what a process decides about a node, beside its configuration.
type Options struct {
	Logger *slog.Logger
	// Level is the one that Logger obeys and the operations listener changes; may be nil.
	Level *slog.LevelVar
	// Build describes the program.
	Build metrics.Build
	// WrapStorage, when set, is put between LevelDB and the files of the named database, to inject
	// faults.
	WrapStorage func(name string, s storage.Storage) storage.Storage
	// LogFS, when set, holds the safety journal, to inject faults.
	LogFS wal.FS
	// ClockOffset is how far the wall clock of consensus is ahead of the machine's, to inject the fault.
	ClockOffset time.Duration
	// FaucetKey is the public one of the account that rpc.faucet gives from.
	FaucetKey *ecdsa.PrivateKey
	// Limits of the peer connections; zero fields take defaults.
	Limits host.Limits
}

// Node is one validator or replica. Its methods are safe for concurrent use.
type Node struct {
	cfg     *config.Config
	log     *slog.Logger
	build   metrics.Build
	genesis *ledger.Genesis
	self    p2p.PeerID
	roster  *roster
	// validator is the index of this node's key, -1 for a replica.
	validator int

	signer    *sig.Key // nil on a replica
	logFS     wal.FS   // nil for the disk
	frames    *network
	store     *store.Store
	contracts *vm.Engine
	worker    *vm.Worker // of the pipeline
	state     *state.State
	line      atomic.Pointer[line]
	pool      *txpool.Pool
	journal   *txpool.Journal // nil without one
	host      *host.Host
	evidence  *evidence
	gossip    *gossip
	clocks    *clocks
	watch     *watch
	rpc       *rpc.Server
	metrics   *metrics.Metrics
	ops       *metrics.Server

	sampling sync.Mutex
	counted  map[string][2]uint64 // guarded by sampling; per peer: invalid frames, queue drops already counted

	executed atomic.Uint64         // transactions executed by this process
	failure  atomic.Pointer[error] // of the first part that failed
	// killed is closed by Kill, once; nobody sends.
	killed   chan struct{}
	killOnce sync.Once
	// stopping is closed by Run when it begins to stop; nobody sends.
	stopping chan struct{}

	development *development // nil on other chains
}

// New opens the home directory of cfg and binds the ports of the node. It starts nothing. An error is one
// line that says what to do. [Node.Run] or [Node.Close] must follow.
func New(cfg *config.Config, opts Options) (*Node, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		cfg: cfg, log: opts.Logger, build: opts.Build, validator: -1, killed: make(chan struct{}), stopping: make(chan struct{}),
		counted: make(map[string][2]uint64), metrics: metrics.NewMetrics(opts.Build), logFS: opts.LogFS,
	}
	if err := n.open(opts); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Check says what New would refuse about the files that an operator writes, genesis and keys, without opening
// anything. The error is one line that says what to do.
func Check(cfg *config.Config) error {
	n := &Node{cfg: cfg, validator: -1}
	var err error
	if n.genesis, err = ReadGenesis(cfg.Home); err != nil {
		return err
	}
	if n.roster, err = newRoster(n.genesis, cfg.P2P.Peers); err != nil {
		return err
	}
	_, _, err = n.keys()
	return err
}

func (n *Node) open(opts Options) error {
	var err error
	if n.genesis, err = ReadGenesis(n.cfg.Home); err != nil {
		return err
	}
	if n.roster, err = newRoster(n.genesis, n.cfg.P2P.Peers); err != nil {
		return err
	}
	var hostKey []byte
	if n.signer, hostKey, err = n.keys(); err != nil {
		return err
	}
	n.watch = newWatch(len(n.roster.ids))
	recovered, err := n.openLedger(opts)
	if err != nil {
		return err
	}
	n.state = recovered.State
	if n.pool, err = txpool.New(txpool.Config{
		Genesis: n.genesis, State: recovered.State,
		MaxTransactions: n.cfg.Pool.MaxTransactions, MaxBytes: n.cfg.Pool.MaxBytes,
		MaxPerSender: n.cfg.Pool.MaxPerSender, Lifetime: n.cfg.Pool.Lifetime,
	}); err != nil {
		return err
	}
	if err := n.openHost(hostKey, recovered, opts); err != nil {
		return err
	}
	n.frames = &network{host: n.host, roster: n.roster}
	l, err := n.newLine(recovered)
	if l != nil {
		n.line.Store(l)
	}
	if err != nil {
		return err
	}
	n.engine().ShiftClock(opts.ClockOffset)
	if n.genesis.Development {
		n.development = newDevelopment(n)
	}
	n.clocks = newClocks(len(n.roster.ids), func() time.Time { return n.engine().Wall() }, n.frames.Send)
	n.gossip = newGossip(n.log, n.genesis, n.pool, n.host.Publish, n.busy)
	if n.cfg.Pool.JournalBytes > 0 && !n.genesis.Development { // what a revert took back would come again
		n.journal = txpool.NewJournal(txpool.JournalConfig{
			Path: config.PoolJournalPath(n.cfg.Home), MaxBytes: n.cfg.Pool.JournalBytes, Admit: n.readmit,
			Waits: func(hash common.Hash) bool { return n.pool.Get(hash) != nil }, Logger: n.log,
		})
	}
	return n.openListeners(recovered, opts)
}

// keys loads the keys and checks that they are those of the genesis.
func (n *Node) keys() (*sig.Key, []byte, error) {
	hostKey, id, err := config.LoadHostKey(n.cfg.Home)
	if err != nil {
		return nil, nil, err
	}
	n.self = id
	if n.cfg.Chain.Replica {
		return nil, hostKey, nil
	}
	signer, err := config.LoadValidatorKey(n.cfg.Home, n.cfg.Keys.PasswordFile)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range n.genesis.Validators {
		if v.Address != signer.Address() {
			continue
		}
		n.validator = i
		if v.PeerID != "" && p2p.PeerID(v.PeerID) != id {
			return nil, nil, config.Errorf("genesis.json says that validator %s is the peer %s, but the host key of this home is %s: "+
				"use the host key that the genesis names", v.Address, v.PeerID, id)
		}
		return signer, hostKey, nil
	}
	return nil, nil, config.Errorf("the validator key %s is not in genesis.json: use the key of a genesis validator, or set chain.replica = true in %s",
		signer.Address(), config.FilePath(n.cfg.Home))
}

// openLedger brings the databases up to date. A state.ldb which is whole but holds another state than it
// says is moved aside and made again, like one that does not open.
func (n *Node) openLedger(opts Options) (*pipeline.Recovered, error) {
	if err := n.openStore(opts); err != nil {
		return nil, err
	}
	if err := n.openContracts(); err != nil {
		return nil, err
	}
	recovered, err := pipeline.Recover(n.genesis, n.store, n.worker, n.log)
	if !errors.Is(err, pipeline.ErrState) {
		return recovered, err
	}
	if err := n.store.Close(); err != nil {
		return nil, fmt.Errorf("closing the databases: %w", err)
	}
	path := filepath.Join(config.DataDir(n.cfg.Home), "state.ldb")
	aside := path + ".bad-" + time.Now().UTC().Format("20060102T150405.000000000")
	n.log.Warn("state.ldb is moved aside and made again from the blocks", "to", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("moving %s aside: %w", path, err)
	}
	if err := n.openStore(opts); err != nil {
		return nil, err
	}
	return pipeline.Recover(n.genesis, n.store, n.worker, n.log)
}

// openContracts starts the engine that runs contracts. The store is open: its lock makes the cache ours.
func (n *Node) openContracts() error {
	var err error
	if n.contracts, err = vm.New(vm.Config{CacheDir: config.ContractsDir(n.cfg.Home), Log: n.log}); err != nil {
		return err
	}
	if n.worker, err = n.contracts.Worker(); err != nil {
		return fmt.Errorf("starting the contract engine: %w", err)
	}
	return nil
}

// openStore takes the data directory for this process.
func (n *Node) openStore(opts Options) error {
	dir := config.DataDir(n.cfg.Home)
	var err error
	n.store, err = store.Open(dir, store.Options{Genesis: n.genesis, Logger: n.log, Wrap: opts.WrapStorage, OnSync: n.storeSynced})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("another process uses %s: stop it, or start this node with another --home: %w", dir, err)
	}
	if errors.Is(err, store.ErrWrongChain) {
		return fmt.Errorf("the databases in %s are not of the chain of %s: put back the genesis.json with which this home was made, "+
			"or make another home for the other chain: %w", dir, config.GenesisPath(n.cfg.Home), err)
	}
	if err != nil {
		return fmt.Errorf("opening the databases in %s: %w", dir, err)
	}
	return nil
}

func (n *Node) openHost(key []byte, recovered *pipeline.Recovered, opts Options) error {
	var err error
	n.host, err = host.New(host.Config{
		Key: key, Listen: n.cfg.P2P.Listen, Roster: n.roster.peers,
		Network: networkID(recovered.GenesisHash), Software: n.software(),
		Logger: n.log, OnFrame: n.onFrame, OnPeer: n.onPeer, OnGossip: n.onGossip, Limits: opts.Limits,
	})
	if err != nil {
		return fmt.Errorf("starting the peer network: %w", err)
	}
	return nil
}

func (n *Node) openListeners(recovered *pipeline.Recovered, opts Options) error {
	faucet, err := n.faucet(opts.FaucetKey)
	if err != nil {
		return err
	}
	n.rpc, err = rpc.New(rpc.Config{
		Genesis: n.genesis, Store: n.store, State: recovered.State, Pool: n.pool, Chain: n, Logger: n.log,
		Quarantined: n.quarantined, Contracts: n.contracts, Development: n.development.methods(), Faucet: faucet,
		Listen: n.cfg.RPC.Listen, Version: "tercet/" + n.build.Version, CORS: n.cfg.RPC.CORS,
		Hosts: n.cfg.RPC.Hosts, SendWait: n.cfg.RPC.SendWait,
		MaxBodyBytes: n.cfg.RPC.MaxBodyBytes, MaxBatch: n.cfg.RPC.MaxBatch, MaxConcurrent: n.cfg.RPC.MaxConcurrent,
		MaxSubscriptions: n.cfg.RPC.MaxSubscriptions, IPC: n.ipcPath(),
		MaxCalls: n.cfg.RPC.MaxCalls, CallGas: uint64(n.cfg.RPC.CallGas), CallTimeout: n.cfg.RPC.CallTimeout,
	})
	if err != nil {
		return err
	}
	n.ops, err = metrics.New(metrics.Config{
		Listen: n.cfg.Ops.Listen, Metrics: n.metrics, Sample: n.sample, Live: n.live, Ready: n.ready,
		Level: opts.Level, Logger: n.log,
	})
	return err
}

// ipcPath is where the Unix socket for JSON-RPC is; "" when there is none.
func (n *Node) ipcPath() string {
	if path := n.cfg.RPC.IPC; path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(n.cfg.Home, n.cfg.RPC.IPC)
}

// onExecuted sees each block before it is the head.
func (n *Node) onExecuted(b *ledger.Block) {
	n.development.executed(b)
	n.rpc.Executed(b)
	n.executed.Add(uint64(len(b.Transactions)))
	n.observe(b)
}

// onFrame routes a peer's frame by its first byte.
func (n *Node) onFrame(from p2p.PeerID, _ p2p.Lane, frame []byte) error {
	peer, known := n.roster.index[from]
	if !known || len(frame) == 0 {
		return fmt.Errorf("%w: empty frame, or peer %s outside the roster", p2p.ErrInvalid, from)
	}
	var err error
	switch tag := frame[0]; {
	case tag < pipeline.FrameExecVote:
		if consensus.IsVote(frame) {
			n.watch.pulses[peer].beat(n.engine().Snapshot().Final.Height)
		}
		err = n.engine().Receive(peer, frame)
	case tag == frameClockAsk, tag == frameClockTell:
		err = n.clocks.receive(peer, frame)
	default:
		err = n.pipeline().Receive(peer, frame)
	}
	if errors.Is(err, consensus.ErrInvalid) || errors.Is(err, ledger.ErrInvalid) {
		return fmt.Errorf("%w: %w", p2p.ErrInvalid, err)
	}
	return err
}

func (n *Node) onPeer(id p2p.PeerID, up bool) {
	peer, known := n.roster.index[id]
	switch {
	case !known:
	case up:
		n.watch.pulses[peer].beat(n.engine().Snapshot().Final.Height)
		n.clocks.peer(peer, true)
		n.engine().PeerUp(peer)
		n.gossip.peerUp()
		for _, frame := range n.evidence.first() { // it may have been away when they were found
			n.host.Send(id, p2p.Lane(consensus.LaneCert), frame)
		}
	default:
		n.clocks.peer(peer, false)
		n.engine().PeerDown(peer)
	}
}

func (n *Node) onGossip(from p2p.PeerID, data []byte) error { return n.gossip.receive(from, data) }

// maxLag is the number of ordered blocks waiting for execution from which on no transactions are
// accepted: some seconds of work.
const maxLag = 128

// busy says why new transactions should wait, in the pool's own terms.
func (n *Node) busy() error {
	if lag := n.pipeline().Lag(); lag > maxLag {
		return fmt.Errorf("%w: execution is %d blocks behind ordering, try again later", txpool.ErrFull, lag)
	}
	return nil
}

// Submit puts a transaction into the pool and passes it on to the other nodes. The error is one of
// txpool's or ledger's. Acceptance is not durable: a receipt is.
func (n *Node) Submit(_ context.Context, tx *ledger.Transaction) error {
	if err := n.busy(); err != nil {
		return err
	}
	if err := n.pool.Add(tx, time.Now()); err != nil {
		return err
	}
	n.gossip.offer(tx)
	if n.journal != nil {
		n.journal.Offer(tx)
	}
	return nil
}

// readmit puts a transaction of an earlier run into the pool again, unless it was executed since.
func (n *Node) readmit(raw []byte) {
	if p, err := n.store.Transaction(crypto.Keccak256Hash(raw)); err == nil && p.Dropped == 0 {
		return // most are: this costs less than a signature
	}
	tx, err := ledger.DecodeTransaction(raw, n.genesis.ChainID, n.genesis.Limits())
	if err == nil {
		err = n.pool.Add(tx, time.Now())
	}
	if err != nil {
		n.log.Debug("a transaction of an earlier run is not taken again", "error", err)
		return
	}
	n.gossip.offer(tx)
}

// Newest is the newest executed block, to wait on.
func (n *Node) Newest() *pipeline.Head { return n.pipeline().Head() }

// Head is the newest executed block.
func (n *Node) Head() rpc.Head {
	h := n.pipeline().Head()
	return rpc.Head{Header: h.Header, Certified: h.Certified}
}

// RPCURL is where JSON-RPC is served.
func (n *Node) RPCURL() string { return n.rpc.URL() }

// OpsURL is where the operations listener answers.
func (n *Node) OpsURL() string { return n.ops.URL() }

// PeerID is this node's libp2p id.
func (n *Node) PeerID() p2p.PeerID { return n.self }

// software is what peers are told for their logs.
func (n *Node) software() string { return "tercet/" + n.build.Version }

// network is the chain's name in protocol ids.
func (n *Node) network() string { return networkID(n.GenesisHash()) }

func networkID(genesis common.Hash) string { return hex.EncodeToString(genesis[:8]) }

// GenesisHash is the chain's identity.
func (n *Node) GenesisHash() common.Hash { return n.pipeline().GenesisHash() }
