package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

const (
	// upPatience is what a network gets to become final at height 3.
	upPatience = 90 * time.Second
	// commandPatience bounds every other command of the program.
	commandPatience = 90 * time.Second
	// downPatience bounds an orderly stop, killPatience the disorderly one after it.
	downPatience = 25 * time.Second
	killPatience = 10 * time.Second

	// portsPerNode is the distance of two nodes' ports that "testnet up" documents.
	portsPerNode = 10
	// firstPort and lastPort bound where networks are put: below the ports that
	// Linux gives to outgoing connections.
	firstPort, lastPort = 20000, 32000
)

// Options say which network to start.
type Options struct {
	Binary   string // Binary is the program, see [Build].
	Dir      string // Dir becomes the network's directory; an existing network is resumed.
	Nodes    int    // Nodes is the number of validators; 4 by default.
	BasePort int    // BasePort is the first port; by default free ones are found.
	Schedule string // Schedule is "T,W" of a new network; the program's by default.
}

// Network is a network of processes. Its methods are for one goroutine.
type Network struct {
	Dir      string
	ChainID  uint64
	Schedule string // Schedule is "T=1 W=0": what the genesis says.
	Nodes    []*Node
	Accounts []Account
	binary   string
}

// Node is one process of a network.
type Node struct {
	Name   string
	PID    int // PID is 0 when the process was stopped by a command.
	Home   string
	RPC    string // RPC is the URL of JSON-RPC.
	Ops    string // Ops is the URL of the operations listener.
	Client *Client
}

// Account is a funded account whose key is public.
type Account struct {
	Address    common.Address `json:"address"`
	PrivateKey string         `json:"privateKey"` // 0x-hex
}

// Up starts a network and returns when all its nodes are final at height 3. Whatever it answers,
// [Network.Down] of a network with the same Dir ends what it started.
func Up(ctx context.Context, o Options) (*Network, error) {
	if o.Nodes == 0 {
		o.Nodes = 4
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", o.Dir, err)
	}
	n := &Network{Dir: dir, binary: o.Binary}
	if o.BasePort == 0 {
		if o.BasePort, err = FreeBase(o.Nodes); err != nil {
			return n, err
		}
	}
	args := []string{"up", "--detach", "--base-port", strconv.Itoa(o.BasePort), "--nodes", strconv.Itoa(o.Nodes)}
	if o.Schedule != "" {
		args = append(args, "--schedule", o.Schedule)
	}
	if err := n.command(ctx, upPatience, args...); err != nil {
		return n, err
	}
	return n, errors.Join(n.load(), n.loadGenesis())
}

func (n *Network) loadGenesis() error {
	raw, err := os.ReadFile(filepath.Join(n.Dir, "genesis.json"))
	if err != nil {
		return fmt.Errorf("reading the genesis: %w", err)
	}
	var g struct {
		Consensus struct{ TermLength, Window uint64 }
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return fmt.Errorf("reading the genesis: %w", err)
	}
	n.Schedule = fmt.Sprintf("T=%d W=%d", g.Consensus.TermLength, g.Consensus.Window)
	return nil
}

// FreeBase finds a base port from which the ports of all nodes are free. The search begins at a place
// that depends on the pid, so that two test programs rarely meet.
func FreeBase(nodes int) (int, error) {
	span := nodes * portsPerNode
	slots := (lastPort - firstPort) / span
	for i := range slots {
		base := firstPort + (os.Getpid()*7+i)%slots*span
		if rangeFree(base, span) {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row between %d and %d", span, firstPort, lastPort)
}

func rangeFree(base, span int) bool {
	for port := base; port < base+span; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close() // nothing was accepted
	}
	return true
}

// PortsFree reports whether nothing listens any more where the network did.
func (n *Network) PortsFree() bool {
	for _, node := range n.Nodes {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(node.RPC, "http://"))
		base, err2 := strconv.Atoi(port)
		if errors.Join(err, err2) != nil || !rangeFree(base, 3) {
			return false
		}
	}
	return true
}

// command runs "tercet testnet" on the network's directory.
func (n *Network) command(ctx context.Context, patience time.Duration, args ...string) error {
	ctx, cancel := within(ctx, patience, "tercet testnet "+args[0])
	defer cancel()
	words := append([]string{"testnet"}, args...)
	cmd := exec.CommandContext(ctx, n.binary, append(words, "--dir", n.Dir)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.WaitDelay = time.Second // the nodes may have inherited a pipe
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("tercet testnet %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return nil
}

// load reads network.json, which the commands keep up to date.
func (n *Network) load() error {
	raw, err := os.ReadFile(filepath.Join(n.Dir, "network.json"))
	if err != nil {
		return fmt.Errorf("reading the network: %w", err)
	}
	var file struct {
		ChainID uint64 `json:"chainId"`
		Nodes   []struct {
			Name string `json:"name"`
			PID  int    `json:"pid"`
			RPC  string `json:"rpc"`
			Ops  string `json:"ops"`
			Home string `json:"home"`
		} `json:"nodes"`
		Accounts []Account `json:"accounts"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return fmt.Errorf("reading the network: %w", err)
	}
	n.ChainID, n.Accounts = file.ChainID, file.Accounts
	if n.Nodes == nil {
		for range file.Nodes {
			n.Nodes = append(n.Nodes, &Node{})
		}
	}
	for i, f := range file.Nodes {
		node := n.Nodes[i]
		node.Name, node.PID, node.RPC, node.Ops, node.Home = f.Name, f.PID, f.RPC, f.Ops, f.Home
		if node.Client == nil || node.Client.URL != f.RPC {
			node.Client = NewClient(f.Name, f.RPC)
		}
	}
	return nil
}

// Clients returns the clients of all nodes, in their order.
func (n *Network) Clients() []*Client {
	clients := make([]*Client, len(n.Nodes))
	for i, node := range n.Nodes {
		clients[i] = node.Client
	}
	return clients
}

// ByAddress finds the node with a validator's address by asking all that answer; nil if none has it.
func (n *Network) ByAddress(ctx context.Context, address common.Address) *Node {
	for _, node := range n.Nodes {
		if s, err := node.Client.Status(ctx); err == nil && s.Validator != nil && *s.Validator == address {
			return node
		}
	}
	return nil
}

// Crash ends nodes with SIGKILL, all at the same moment, and waits until they are gone.
func (n *Network) Crash(ctx context.Context, nodes ...*Node) error {
	return n.end(ctx, syscall.SIGKILL, killPatience, nodes)
}

// Stop stops nodes in order, as SIGTERM does.
func (n *Network) Stop(ctx context.Context, nodes ...*Node) error {
	return n.end(ctx, syscall.SIGTERM, downPatience, nodes)
}

func (n *Network) end(ctx context.Context, s syscall.Signal, patience time.Duration, nodes []*Node) error {
	var pids []int
	for _, node := range nodes {
		if err := node.Signal(s); err != nil {
			return err
		}
		pids = append(pids, node.PID)
	}
	ctx, cancel := within(ctx, patience, fmt.Sprintf("the end of %d nodes by %v", len(nodes), s))
	defer cancel()
	return awaitGone(ctx, pids)
}

// Restart starts nodes on their data and returns when they answer.
func (n *Network) Restart(ctx context.Context, nodes ...*Node) error {
	args := []string{"restart"}
	for _, node := range nodes {
		args = append(args, node.Name)
	}
	return errors.Join(n.command(ctx, commandPatience, args...), n.load())
}

// Kill is "testnet kill": names of nodes, leader or all.
func (n *Network) Kill(ctx context.Context, names ...string) error {
	return errors.Join(n.command(ctx, commandPatience, append([]string{"kill"}, names...)...), n.load())
}

// Wipe is "testnet wipe", which stops nodes and deletes data: names of nodes, and flags.
func (n *Network) Wipe(ctx context.Context, args ...string) error {
	return errors.Join(n.command(ctx, commandPatience, append([]string{"wipe"}, args...)...), n.load())
}

// Down ends the network and waits until no process is left below its directory. It works on networks
// of which only the directory is known.
func (n *Network) Down(ctx context.Context) error {
	var err error
	for _, node := range n.Nodes {
		node.Client.Close()
	}
	if _, statErr := os.Stat(filepath.Join(n.Dir, "network.json")); statErr == nil {
		err = n.command(ctx, downPatience, "down")
	}
	ctx, cancel := within(ctx, killPatience, "the end of killed processes")
	defer cancel()
	return errors.Join(err, killIn(ctx, n.Dir))
}

// Running reports whether the node's process runs. A pid that went to another program does not count.
func (node *Node) Running() bool { return node.PID > 0 && mentions(node.PID, node.Home) }

// Signal sends a signal to the node's process, which has to run.
func (node *Node) Signal(s syscall.Signal) error {
	if !node.Running() {
		return fmt.Errorf("sending %v to %s: it does not run", s, node.Name)
	}
	if err := syscall.Kill(node.PID, s); err != nil {
		return fmt.Errorf("sending %v to %s: %w", s, node.Name, err)
	}
	return nil
}

// Data is the path of a file of the node's data directory.
func (node *Node) Data(name string) string { return filepath.Join(node.Home, "data", name) }
