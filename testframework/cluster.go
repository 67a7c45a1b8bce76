// Package testframework runs many complete nodes and checks what they promise.
//
// A [Cluster] is n nodes in one process, each with its own directory, keys, databases, safety journal and
// ports, connected over loopback by the real peer network. Nodes can be stopped, killed, restarted and
// deprived of their derived databases while the others run. The checkers are functions over what nodes
// answered and wrote: [OneBlockPerHeight], [EqualStates], [NoDoubleVote], [NoLostReceipt] and
// [BalancesConserved]; [Cluster.Check] applies them all.
//
// Whoever waits says for what, and gives a context with a deadline: there is no sleeping. The idea of one
// vocabulary of faults and invariants over all kinds of runs is that of Jepsen.
package testframework

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/metrics"
	"github.com/tercet-chain/tercet/p2p/host"
)

// Options describe a [Cluster]. The zero value of each is its default.
type Options struct {
	// Dir holds the homes, one directory per node. Default: a temporary one, which Close removes.
	Dir string
	// Nodes is the number of validators, 4 by default; Replicas follow them, none by default.
	Nodes, Replicas int
	// Accounts is the number of accounts with 10,000 ether, 10 by default.
	Accounts int
	// Logger makes the logger of a node; nothing is logged by default.
	Logger func(i int) *slog.Logger
	// Genesis may change the chain before the homes are made.
	Genesis func(*ledger.Genesis)
	// Configure may change a node's configuration before its home is made.
	Configure func(i int, c *config.Config)
	// Assemble may change how a process of a node is assembled: faults of its disk, for example.
	Assemble func(i int, o *node.Options)
}

// Account is a funded account.
type Account struct {
	Key     *ecdsa.PrivateKey
	Address common.Address
}

// Cluster is nodes in one process. Methods may be called concurrently for different nodes.
type Cluster struct {
	opts      Options
	dir       string
	temporary bool
	genesis   *ledger.Genesis
	accounts  []Account
	members   []*member // validators in the order of the genesis, then replicas
}

// member is one node with what outlives its processes.
type member struct {
	index int
	home  string

	mu      sync.Mutex          // held by whoever starts or stops the node
	running *process            // guarded by mu; nil while stopped
	votes   map[Signed]struct{} // guarded by mu; found in the journal whenever the node had ended
}

// process is one life of a node.
type process struct {
	node   *node.Node
	client *Client
	cancel context.CancelFunc
	ended  chan struct{} // closed by the goroutine that runs the node
	err    error         // set before ended is closed
}

// New makes the homes of a cluster. It starts nothing; call [Cluster.StartAll] and, in the end,
// [Cluster.Close].
func New(opts Options) (*Cluster, error) {
	if opts.Nodes == 0 {
		opts.Nodes = 4
	}
	if opts.Accounts == 0 {
		opts.Accounts = 10
	}
	if opts.Logger == nil {
		opts.Logger = func(int) *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	c := &Cluster{opts: opts, dir: opts.Dir}
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "tercet-cluster-")
		if err != nil {
			return nil, fmt.Errorf("making a cluster: %w", err)
		}
		c.dir, c.temporary = dir, true
	}
	if err := c.makeAccounts(); err != nil {
		return nil, err
	}
	if err := c.makeHomes(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) makeAccounts() error {
	for i := range c.opts.Accounts {
		key, err := crypto.ToECDSA(crypto.Keccak256(fmt.Appendf(nil, "tercet cluster account %d", i)))
		if err != nil {
			return fmt.Errorf("making account %d: %w", i, err)
		}
		c.accounts = append(c.accounts, Account{Key: key, Address: crypto.PubkeyToAddress(key.PublicKey)})
	}
	return nil
}

// identity is the keys and the address of a future node.
type identity struct {
	validator, host *sig.Key // validator is nil for a replica
	peer            config.Peer
}

func (c *Cluster) makeHomes() error {
	ports, err := freePorts(c.opts.Nodes + c.opts.Replicas)
	if err != nil {
		return err
	}
	identities := make(map[common.Address]identity)
	var replicas []identity
	var validators []ledger.Validator
	for i, port := range ports {
		id, err := newIdentity(port, i < c.opts.Nodes)
		if err != nil {
			return err
		}
		if id.validator == nil {
			replicas = append(replicas, id)
			continue
		}
		identities[id.validator.Address()] = id
		validators = append(validators, ledger.Validator{Address: id.validator.Address(), PeerID: id.peer.ID})
	}
	balance := new(uint256.Int).Mul(uint256.NewInt(10_000), uint256.NewInt(1e18))
	var alloc []ledger.Allocation
	for _, a := range c.accounts {
		alloc = append(alloc, ledger.Allocation{Address: a.Address, Balance: balance})
	}
	c.genesis = ledger.DefaultGenesis(ledger.TestnetChainID, validators, alloc, uint64(time.Now().UnixMilli()))
	if c.opts.Genesis != nil {
		c.opts.Genesis(c.genesis)
	}
	var all []identity
	for _, v := range c.genesis.Validators {
		all = append(all, identities[v.Address])
	}
	all = append(all, replicas...)
	for i := range all {
		all[i].peer.Name = fmt.Sprintf("node-%d", i)
	}
	for i, id := range all {
		if err := c.makeHome(i, id, all); err != nil {
			return err
		}
	}
	return nil
}

func newIdentity(port int, validator bool) (identity, error) {
	var id identity
	var err error
	if id.host, err = sig.GenerateKey(); err != nil {
		return id, err
	}
	peer, err := host.IDFromKey(id.host.Secret())
	if err != nil {
		return id, err
	}
	id.peer = config.Peer{ID: string(peer), Addrs: []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)}}
	if validator {
		id.validator, err = sig.GenerateKey()
	}
	return id, err
}

func (c *Cluster) makeHome(i int, id identity, all []identity) error {
	cfg := config.Default()
	cfg.Chain.Replica = id.validator == nil
	cfg.P2P.Listen = id.peer.Addrs
	cfg.P2P.Peers = nil
	for _, other := range all {
		if other.peer.ID != id.peer.ID {
			cfg.P2P.Peers = append(cfg.P2P.Peers, other.peer)
		}
	}
	cfg.RPC.Listen, cfg.Ops.Listen = "127.0.0.1:0", "127.0.0.1:0"
	if c.opts.Configure != nil {
		c.opts.Configure(i, cfg)
	}
	m := &member{index: i, home: filepath.Join(c.dir, fmt.Sprintf("node-%d", i)), votes: make(map[Signed]struct{})}
	c.members = append(c.members, m)
	return node.Init(m.home, node.Home{Config: cfg, Genesis: c.genesis, ValidatorKey: id.validator, HostKey: id.host})
}

// freePorts finds TCP ports of the loopback interface that nobody listens on.
func freePorts(n int) ([]int, error) {
	var listeners []net.Listener
	defer func() { // after all were found, so that they differ
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding free ports: %w", err)
		}
		listeners = append(listeners, l)
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// Nodes is the number of nodes, replicas included.
func (c *Cluster) Nodes() int { return len(c.members) }

// Genesis describes the chain.
func (c *Cluster) Genesis() *ledger.Genesis { return c.genesis }

// Accounts are the funded accounts.
func (c *Cluster) Accounts() []Account { return c.accounts }

// Home is the directory of node i.
func (c *Cluster) Home(i int) string { return c.members[i].home }

// Transfer signs a transfer of value wei by account from.
func (c *Cluster) Transfer(from int, nonce uint64, to common.Address, value int64) ([]byte, error) {
	return c.Sign(from, &types.LegacyTx{Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(value), GasPrice: new(big.Int)})
}

// Sign signs a transaction by account from.
func (c *Cluster) Sign(from int, data types.TxData) ([]byte, error) {
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(c.genesis.ChainID))
	tx, err := types.SignNewTx(c.accounts[from].Key, signer, data)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return tx.MarshalBinary()
}

// StartAll starts the nodes that do not run.
func (c *Cluster) StartAll(ctx context.Context) error {
	for i := range c.members {
		if c.Running(i) {
			continue
		}
		if err := c.Start(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Start starts node i, which must not run. The node goes on when ctx has ended; [Cluster.Stop] stops it.
func (c *Cluster) Start(ctx context.Context, i int) error {
	m := c.members[i]
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running != nil {
		return fmt.Errorf("node %d runs already", i)
	}
	cfg, err := config.Load(m.home, nil)
	if err != nil {
		return err
	}
	opts := node.Options{Logger: c.opts.Logger(i).With("node", i), Build: metrics.Build{Version: "test"}}
	if c.opts.Assemble != nil {
		c.opts.Assemble(i, &opts)
	}
	n, err := node.New(cfg, opts)
	if err != nil {
		return fmt.Errorf("starting node %d: %w", i, err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &process{node: n, client: NewClient(n.RPCURL()), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = n.Run(ctx)
	}()
	m.running = p
	return nil
}

// Stop stops node i gracefully and returns what its process ended with.
func (c *Cluster) Stop(i int) error { return c.end(i, func(p *process) { p.cancel() }) }

// Kill ends node i without letting it flush, as far as that is possible inside a process: files that were
// written stay written, as after kill -9.
func (c *Cluster) Kill(i int) error { return c.end(i, func(p *process) { p.node.Kill() }) }

func (c *Cluster) end(i int, how func(*process)) error {
	m := c.members[i]
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.running
	if p == nil {
		return fmt.Errorf("node %d does not run", i)
	}
	how(p)
	<-p.ended
	p.cancel()
	p.client.Close()
	m.running = nil
	if p.err != nil {
		return fmt.Errorf("node %d: %w", i, p.err)
	}
	return c.readJournal(m)
}

// Ended is closed when the process of node i ends; nil when it does not run. Err says what with.
func (c *Cluster) Ended(i int) <-chan struct{} {
	if p := c.process(i); p != nil {
		return p.ended
	}
	return nil
}

// WipeDerived deletes state.ldb and index.ldb of a stopped node.
func (c *Cluster) WipeDerived(i int) error {
	if c.Running(i) {
		return fmt.Errorf("node %d runs: stop it before its databases are deleted", i)
	}
	for _, name := range []string{"state.ldb", "index.ldb"} {
		if err := os.RemoveAll(filepath.Join(config.DataDir(c.members[i].home), name)); err != nil {
			return fmt.Errorf("deleting %s of node %d: %w", name, i, err)
		}
	}
	return nil
}

// Running reports whether node i runs.
func (c *Cluster) Running(i int) bool { return c.process(i) != nil }

func (c *Cluster) process(i int) *process {
	m := c.members[i]
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running
}

// Node is the running node i, nil when it does not run.
func (c *Cluster) Node(i int) *node.Node {
	if p := c.process(i); p != nil {
		return p.node
	}
	return nil
}

// Client asks the running node i; nil when it does not run.
func (c *Cluster) Client(i int) *Client {
	if p := c.process(i); p != nil {
		return p.client
	}
	return nil
}

// Leader is the index of the validator that leads the current view, as node i sees it, which must run.
func (c *Cluster) Leader(i int) int {
	leader := c.Node(i).Status().Leader
	for k, v := range c.genesis.Validators {
		if v.Address == leader {
			return k
		}
	}
	return -1
}

// Close stops all nodes and removes a temporary directory.
func (c *Cluster) Close() error {
	var wg sync.WaitGroup
	errs := make([]error, len(c.members))
	for i := range c.members {
		if c.Running(i) {
			wg.Go(func() { errs[i] = c.Stop(i) })
		}
	}
	wg.Wait()
	err := errors.Join(errs...)
	if c.temporary {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}
