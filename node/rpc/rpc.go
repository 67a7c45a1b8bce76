// Package rpc answers Ethereum clients over HTTP, WebSocket and a Unix socket.
//
// A [Server] is go-ethereum's JSON-RPC registry behind a handler that bounds what a request may cost:
// bytes of bodies in memory, requests at work, items of a batch, transactions whose signature is being
// recovered, clients that wait for a commit. Who exceeds a bound gets the error -32005 at once and the
// node goes on ordering.
//
// What is read has one rule: the head is the newest executed block, and every answer is taken at its
// height or below, from the blocks and the state that belong to it. latest and safe are the head,
// finalized is the newest block with an execution certificate, pending adds the pool, earliest is the
// genesis. [Server.Executed] moves the head and then wakes who waits for a commit: whoever is answered
// finds the receipt.
//
// Fields and texts are go-ethereum's, from internal/ethapi, because clients match them. Gas costs
// nothing: every fee is zero.
package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/sync/errgroup"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/vm"
)

// Chain is what the server asks of the running node. Implementations: node.Node, and the fixture of this
// package's tests.
type Chain interface {
	// Head is the newest block that is synced to disk and applied to the state.
	Head() Head
	// Submit puts a transaction into the pool and passes it on to the other nodes.
	Submit(ctx context.Context, tx *ledger.Transaction) error
	// Status describes the node for tercet_status and the net_ methods.
	Status() Status
	// Evidence lists the kept proofs that validators broke the rules, oldest first.
	Evidence() []Evidence
}

// Head is a point of the chain.
type Head struct {
	// Header of the newest executed block.
	Header *types.Header
	// Certified is the highest height with an execution certificate; 0 before the first.
	Certified uint64
}

// Config is what a server serves, and within what bounds. Zero bounds mean the defaults.
type Config struct {
	Genesis *ledger.Genesis
	Store   *store.Store
	State   *state.State
	Pool    *txpool.Pool
	Chain   Chain
	// Contracts runs eth_call and the like, on workers that the server makes and closes.
	Contracts *vm.Engine
	Logger    *slog.Logger
	// Quarantined, when set, says why this node's state must not be trusted, or nil: no state is
	// answered then.
	Quarantined func() error

	// Development is what clients may do to the chain if it is one for development; nil otherwise.
	Development *Development
	// Faucet gives money to who asks, in networks for tests; nil otherwise.
	Faucet *Faucet

	// Listen is host:port; port 0 picks a free one.
	Listen string
	// Version is the program's, for web3_clientVersion: "tercet/v0.1.0/linux-amd64/go1.26".
	Version string
	// CORS holds the browser origins admitted; "*" admits all. None by default.
	CORS []string
	// Hosts holds the names by which clients may address the server, beside IP addresses and
	// localhost; "*" admits all. It stops web pages that rebind their name to this machine.
	Hosts []string

	// MaxBodyBytes caps one request; default 5 MiB: 1 MB of contract code is 2.1 MB of hex.
	MaxBodyBytes int
	// MaxBatch caps the calls of one batch; default 1,000.
	MaxBatch int
	// MaxResponseBytes caps the answer to a batch; default 25 MiB.
	MaxResponseBytes int
	// MaxConcurrent caps the requests at work; default 256. Sixteen times as many may queue for up to
	// a second.
	MaxConcurrent int
	// MaxWaiters caps the clients that wait for a commit; default 4,096. They do not count as at work.
	MaxWaiters int
	// MaxLogRange caps the blocks of one eth_getLogs; default 10,000.
	MaxLogRange uint64
	// MaxCalls caps the contract calls at work, and likewise the searches for logs; default one fewer than
	// there are processors, at least 1, so that consensus always finds one. Others wait for up to a second.
	MaxCalls int
	// CallGas caps the gas of a call; default 50 million.
	CallGas uint64
	// CallTimeout ends a contract call or a search for logs; default 5 s.
	CallTimeout time.Duration
	// MaxSubscriptions caps the subscriptions of all WebSockets and IPC connections; default 10,240.
	MaxSubscriptions int
	// IPC is the path of the Unix socket that also serves JSON-RPC; none when it is empty.
	IPC string
	// SendWait is how long a single eth_sendRawTransaction may wait for the commit; 0 turns it off.
	SendWait time.Duration
}

const (
	defaultMaxBodyBytes     = 5 << 20
	defaultMaxBatch         = 1000
	defaultMaxResponseBytes = 25 << 20
	defaultMaxConcurrent    = 256
	defaultMaxWaiters       = 4096
	defaultSubscriptions    = 10_240
	defaultMaxLogRange      = 10_000
	defaultCallGas          = 50_000_000
	defaultCallTimeout      = 5 * time.Second

	// readTimeout is for a client to send its request, writeTimeout for it and the answer together;
	// syncMax, the longest wait of eth_sendRawTransactionSync, is below it.
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 40 * time.Second
	idleTimeout       = 2 * time.Minute
	// drainTimeout is what requests get to finish when the node stops.
	drainTimeout = 5 * time.Second
	// arrival is what the first request of a new connection gets to come in when the node stops.
	arrival = 100 * time.Millisecond
	// maxHeaderBytes of an HTTP request.
	maxHeaderBytes = 64 << 10
)

// spareProcessors is how many processors requests may keep busy, so that consensus always finds one.
func spareProcessors() int { return max(1, runtime.GOMAXPROCS(0)-1) }

func (c Config) withDefaults() (Config, error) {
	if c.Genesis == nil || c.Store == nil || c.State == nil || c.Pool == nil || c.Chain == nil || c.Contracts == nil {
		return c, errors.New("rpc: a server needs a genesis, a store, a state, a pool, a chain and an engine for contracts")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Quarantined == nil {
		c.Quarantined = func() error { return nil }
	}
	if c.Version == "" {
		c.Version = "tercet/" + runtime.GOOS + "-" + runtime.GOARCH + "/" + runtime.Version()
	}
	for _, l := range []struct {
		value *int
		deflt int
	}{
		{&c.MaxBodyBytes, defaultMaxBodyBytes},
		{&c.MaxBatch, defaultMaxBatch},
		{&c.MaxResponseBytes, defaultMaxResponseBytes},
		{&c.MaxConcurrent, defaultMaxConcurrent},
		{&c.MaxWaiters, defaultMaxWaiters},
		{&c.MaxCalls, spareProcessors()},
		{&c.MaxSubscriptions, defaultSubscriptions},
	} {
		if *l.value <= 0 {
			*l.value = l.deflt
		}
	}
	if c.MaxLogRange == 0 {
		c.MaxLogRange = defaultMaxLogRange
	}
	c.MaxLogRange = min(c.MaxLogRange, store.MaxLogRange)
	if c.CallGas == 0 {
		c.CallGas = defaultCallGas
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = defaultCallTimeout
	}
	return c, nil
}

// Server serves JSON-RPC on one port. All methods are safe for concurrent use.
type Server struct {
	cfg       Config
	log       *slog.Logger
	listener  net.Listener
	registry  *gethrpc.Server
	apis      map[string]any  // by namespace
	document  json.RawMessage // of rpc_discover
	recoverer *recoverer
	recent    *recent
	cache     blockCache
	filters   filters
	genesis   *view
	limits    ledger.Limits
	body      chan struct{} // a token per large body being read; see gate.go
	work      *gate
	// processors are those that requests may use at a time, calls and searches aside.
	processors *gate
	searches   *gate // for logs
	large      *gate // for answers
	caller     *caller
	waiting    atomic.Int64
	developer  *developer // nil on other chains
	hub        *hub
	ipc        net.Listener // nil without one
	sockets    atomic.Int64
	streams    atomic.Int64
	local      sync.WaitGroup // of the sockets
	// stopping is closed by Run when its context ends; nobody sends.
	stopping chan struct{}
}

// New binds the port, so that a conflict is named at once, and starts nothing.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:        cfg,
		log:        cfg.Logger,
		registry:   gethrpc.NewServer(),
		limits:     cfg.Genesis.Limits(),
		recoverer:  newRecoverer(),
		recent:     newRecent(),
		filters:    newFilters(),
		body:       make(chan struct{}, maxLargeBodies),
		work:       newGate(cfg.MaxConcurrent, queueFactor*cfg.MaxConcurrent),
		processors: newGate(spareProcessors(), cfg.MaxConcurrent),
		searches:   newGate(cfg.MaxCalls, cfg.MaxConcurrent/4),
		large:      newGate(maxLargeAnswers, cfg.MaxConcurrent/8),
		caller:     newCaller(cfg.Contracts, cfg.MaxCalls, cfg.MaxConcurrent),
		hub:        newHub(),
		stopping:   make(chan struct{}),
	}
	if s.genesis, err = genesisView(cfg.Genesis); err != nil {
		return nil, err
	}
	s.registry.SetBatchLimits(cfg.MaxBatch, cfg.MaxResponseBytes)
	s.registry.SetHTTPBodyLimit(cfg.MaxBodyBytes)
	s.apis = map[string]any{
		"eth": &ethAPI{s}, "net": &netAPI{s}, "web3": &web3API{s}, "txpool": &txpoolAPI{s}, "tercet": s.tercet(), "rpc": &rpcAPI{s}, "debug": &debugAPI{s},
		"ots": &otsAPI{s}, "erigon": &erigonAPI{s},
	}
	if s.developer, err = newDeveloper(s); err != nil {
		return nil, err
	}
	s.developer.register(s.apis)
	s.document = document(s.apis, cfg.Version)
	for name, api := range s.apis {
		if err := s.registry.RegisterName(name, api); err != nil {
			return nil, fmt.Errorf("registering the %s methods: %w", name, err)
		}
	}
	s.listener, err = net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for JSON-RPC on %s: %w", cfg.Listen, err)
	}
	if cfg.IPC == "" {
		return s, nil
	}
	if s.ipc, err = listenIPC(cfg.IPC); errors.Is(err, errLongPath) {
		s.log.Info("there is no Unix socket for JSON-RPC", "error", err)
	} else if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// genesisView executes block 0, which the store need not have.
func genesisView(g *ledger.Genesis) (*view, error) {
	root, err := state.New().Apply(0, g.Changes())
	if err != nil {
		return nil, fmt.Errorf("executing the genesis: %w", err)
	}
	header := g.Header(root)
	return &view{block: &ledger.Block{Header: header}, hash: header.Hash(), height: 0}, nil
}

// Addr is the address that the server listens on, with the port resolved.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is the address for clients.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close releases the port of a server that never ran. [Server.Run] does it itself.
func (s *Server) Close() error {
	err := s.listener.Close()
	if s.ipc != nil {
		err = errors.Join(err, s.ipc.Close())
	}
	return err
}

// Run serves until ctx ends, then refuses new requests, answers those who wait for a commit, and drains
// the others for up to 5 s.
func (s *Server) Run(ctx context.Context) error {
	// Requests and workers outlive ctx by the time that draining takes.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	accepting, hangUp := context.WithCancel(serving)
	defer hangUp()
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return serving },
		ConnState:         closeUnused(accepting),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var group errgroup.Group
	group.Go(func() error { return s.recoverer.run(serving, s.cfg.Genesis.ChainID, s.limits) })
	group.Go(func() error { return s.runHub(serving) })
	if s.ipc != nil {
		group.Go(func() error { return s.serveIPC(serving) })
	}
	group.Go(func() error {
		if err := server.Serve(&limitListener{Listener: s.listener, free: make(chan struct{}, maxConnections)}); !errors.Is(err, http.ErrServerClosed) {
			stop()
			return fmt.Errorf("serving JSON-RPC on %s: %w", s.listener.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-serving.Done(): // the listener broke
		}
		close(s.stopping)
		late := time.AfterFunc(arrival, hangUp)
		defer late.Stop()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if err := server.Shutdown(drain); err != nil {
			s.log.Info("JSON-RPC requests were cut off", "error", err)
			_ = server.Close() // its only error is the listener's, which is closed
		}
		if s.ipc != nil {
			_ = s.ipc.Close() // nobody else can connect; its file goes with it
		}
		stop()
		s.local.Wait()
		s.registry.Stop()
		return nil
	})
	return errors.Join(group.Wait(), s.caller.close())
}

// Executed announces a block, which is the head from then on. The node MUST call it for every block in
// height order, when the block is synced and the state has it, before the pool lets go of its
// transactions. It never blocks.
func (s *Server) Executed(block *ledger.Block) {
	s.recent.add(newView(block))
	s.hub.poke()
}

// head is the newest executed block that [Chain.Head] or [Server.Executed] told of.
func (s *Server) head() Head {
	head := s.cfg.Chain.Head()
	if v := s.recent.newest.Load(); v != nil && v.block.Header.Number.Cmp(head.Header.Number) > 0 {
		head.Header = v.block.Header
	}
	return head
}
