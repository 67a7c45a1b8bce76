package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/config"
)

const (
	// maxNodes is what one machine can reasonably carry.
	maxNodes = 64
	// portStride separates the ports of two nodes: RPC, peers and operations are
	// base, base+1 and base+2 of each.
	portStride = 10
	// namedPorts of those that are taken are named.
	namedPorts = 4
	// lockPatience is how long a command waits for another one on the same network.
	lockPatience = 30 * time.Second
)

// network is DIR/network.json: what scripts need to know of a test network, and
// all that the commands remember of one beside its homes.
type network struct {
	ChainID  uint64        `json:"chainId"`
	Nodes    []networkNode `json:"nodes"`
	Accounts []account     `json:"accounts"`

	dir string
}

// networkNode is one process of a network.
type networkNode struct {
	Name string `json:"name"`
	PID  int    `json:"pid"` // 0 when it was stopped
	RPC  string `json:"rpc"`
	WS   string `json:"ws"`
	Ops  string `json:"ops"`
	Home string `json:"home"`
}

func networkPath(dir string) string { return filepath.Join(dir, "network.json") }

// binaryPath is the program that the nodes of a network run: a copy, so that a
// rebuild does not change a network that runs.
func (n *network) binaryPath() string { return filepath.Join(n.dir, "bin", "tercet") }

func logPath(home string) string { return filepath.Join(home, "node.log") }

func dirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "", "the network's directory (default ~/.tercet/testnet)")
}

func testnetDir(flag string) (string, error) { return dirOr(flag, "--dir", "testnet") }

// openNetwork reads the network of the directory that a flag names.
func openNetwork(flag string) (*network, error) {
	dir, err := testnetDir(flag)
	if err != nil {
		return nil, err
	}
	n, err := readNetwork(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("no test network in %s: start one with \"tercet testnet up --dir %s\", or name another with --dir", dir, dir)
	}
	return n, err
}

func readNetwork(dir string) (*network, error) {
	raw, err := os.ReadFile(networkPath(dir))
	if err != nil {
		return nil, fmt.Errorf("reading the network: %w", err)
	}
	n := &network{dir: dir}
	if err := json.Unmarshal(raw, n); err != nil || len(n.Nodes) == 0 || !n.named() {
		return nil, coded(exitStorage, fmt.Errorf("%s is damaged: stop its nodes by hand and start over in another --dir", networkPath(dir)))
	}
	for i := range n.Nodes { // a directory that was moved or copied takes its nodes along
		n.Nodes[i].Home = filepath.Join(dir, n.Nodes[i].Name)
	}
	return n, nil
}

// named reports whether each node has a name of its own that can be its directory below the network's: commands
// delete what is in it.
func (n *network) named() bool {
	seen := map[string]bool{}
	for _, node := range n.Nodes {
		if !filepath.IsLocal(node.Name) || node.Name == "." || filepath.Base(node.Name) != node.Name || printable(node.Name) != node.Name || seen[node.Name] {
			return false
		}
		seen[node.Name] = true
	}
	return true
}

// save replaces network.json in one step.
func (n *network) save() error {
	var b bytes.Buffer
	if err := printJSON(&b, n); err != nil {
		return fmt.Errorf("encoding the network: %w", err)
	}
	tmp := networkPath(n.dir) + ".tmp"
	if err := os.WriteFile(tmp, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the network: %w", err)
	}
	if err := os.Rename(tmp, networkPath(n.dir)); err != nil {
		return fmt.Errorf("writing the network: %w", err)
	}
	return nil
}

// change runs f on the current network while no other command changes it, and
// saves the result, whatever f answers.
func (n *network) change(cmd *cobra.Command, f func(*network) error) error {
	unlock, err := lockNetwork(cmd, n.dir)
	if err != nil {
		return err
	}
	defer unlock()
	fresh, err := readNetwork(n.dir)
	if err != nil {
		return err
	}
	err = f(fresh)
	n.Nodes = fresh.Nodes
	return errors.Join(err, fresh.save())
}

func lockNetwork(cmd *cobra.Command, dir string) (unlock func(), err error) {
	var holder int
	ready := func() (bool, error) {
		unlock, holder, err = lockFile(filepath.Join(dir, "LOCK"))
		if errors.Is(err, errLocked) {
			return false, nil
		}
		return err == nil, err
	}
	if waitErr := poll(cmd.Context(), 50*time.Millisecond, lockPatience, ready); errors.Is(waitErr, errTimeout) {
		return nil, inUse("another tercet command (process %d) is changing the network in %s: wait for it, or stop it", holder, dir)
	} else if waitErr != nil {
		return nil, waitErr
	}
	return unlock, nil
}

// ports are those of one node on the loopback address.
type ports struct{ rpc, peer, ops int }

func portsOf(base, i int) ports {
	p := base + i*portStride
	return ports{p, p + 1, p + 2}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// portFree tries to listen on a TCP address.
func portFree(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// checkPorts names the ports that are taken, and whose they should be.
func checkPorts(nodes []string, of func(i int) ports) error {
	var taken []string
	for i, name := range nodes {
		p := of(i)
		for _, use := range []struct {
			what string
			port int
		}{{"RPC", p.rpc}, {"peers", p.peer}, {"operations", p.ops}} {
			if portFree(loopback(use.port)) != nil {
				taken = append(taken, fmt.Sprintf("port %d (%s of %s)", use.port, use.what, name))
			}
		}
	}
	if len(taken) == 0 {
		return nil
	}
	verb := "is"
	if len(taken) > 1 {
		verb = "are"
	}
	if more := len(taken) - namedPorts; more > 0 {
		taken = append(taken[:namedPorts], fmt.Sprintf("and %d more", more))
	}
	return inUse("%s %s in use: stop what listens there, or choose other ports with --base-port", strings.Join(taken, ", "), verb)
}

// createNetwork generates homes, keys and a genesis for the validators of a new
// network in dir. network.json is written last: without it nothing in dir counts.
func createNetwork(dir string, f upFlags) (*network, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the network's directory: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "LOCK") {
			return nil, usage("%s is not empty and holds no network (no network.json): name another --dir, or delete it", dir)
		}
	}
	accounts, err := devAccounts()
	if err != nil {
		return nil, err
	}
	n := &network{ChainID: f.chainID, Accounts: accounts, dir: dir}
	var validators []ledger.Validator
	var peers []config.Peer
	for i := range f.nodes {
		name := fmt.Sprintf("node%d", i+1)
		home := filepath.Join(dir, name)
		if _, err := makeKeys(home, ""); err != nil {
			return nil, err
		}
		id, err := readIdentity(home)
		if err != nil {
			return nil, err
		}
		validators = append(validators, ledger.Validator{Address: common.HexToAddress(id.Address), PeerID: id.PeerID})
		peers = append(peers, config.Peer{Name: name, ID: id.PeerID})
		n.Nodes = append(n.Nodes, networkNode{Name: name, Home: home})
	}
	alloc, err := devAllocations()
	if err != nil {
		return nil, err
	}
	g, err := chainOf(f.chainID, validators, alloc)
	if err != nil {
		return nil, err
	}
	if err := applySchedule(g, f.schedule); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "genesis.json"), g.EncodeJSON(), 0o600); err != nil {
		return nil, fmt.Errorf("writing the genesis: %w", err)
	}
	n.assignPorts(f.basePort, peers)
	for i, node := range n.Nodes {
		c := config.Default()
		c.RPC.Faucet = faucetEther
		c.Log.Format = "text" // people read it with testnet logs
		setPorts(c, portsOf(f.basePort, i), peers)
		if err := writeHome(node.Home, c, g); err != nil {
			return nil, err
		}
	}
	return n, n.save()
}

// assignPorts gives all nodes and roster entries the ports that start at base.
func (n *network) assignPorts(base int, peers []config.Peer) {
	for i := range n.Nodes {
		p := portsOf(base, i)
		n.Nodes[i].RPC = "http://" + loopback(p.rpc)
		n.Nodes[i].WS = "ws://" + loopback(p.rpc)
		n.Nodes[i].Ops = "http://" + loopback(p.ops)
		peers[i].Addrs = []string{peerAddress(p)}
	}
}

func peerAddress(p ports) string { return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", p.peer) }

func setPorts(c *config.Config, p ports, peers []config.Peer) {
	c.P2P.Listen = []string{peerAddress(p)}
	c.P2P.Peers = peers
	c.RPC.Listen = loopback(p.rpc)
	c.Ops.Listen = loopback(p.ops)
}

// movePorts rewrites the configuration of a stopped network for other ports.
func (n *network) movePorts(base int) error {
	configs := make([]*config.Config, len(n.Nodes))
	for i, node := range n.Nodes {
		if n.alive(i) {
			return inUse("%s runs: stop the network with \"tercet testnet down --dir %s\" before changing its ports", node.Name, n.dir)
		}
		c, err := config.LoadFile(node.Home)
		if err != nil {
			return err
		}
		configs[i] = c
	}
	peers := slices.Clone(configs[0].P2P.Peers)
	if len(peers) != len(n.Nodes) {
		return usage("the roster of %s was edited: change the ports of the network in the config.toml files", n.Nodes[0].Name)
	}
	n.assignPorts(base, peers)
	for i, c := range configs {
		setPorts(c, portsOf(base, i), peers)
		if err := c.Write(config.FilePath(n.Nodes[i].Home)); err != nil {
			return err
		}
	}
	return n.save()
}

// configuredPorts reads the ports of a node from its home.
func configuredPorts(home string) (ports, error) {
	c, err := config.LoadFile(home)
	if err != nil {
		return ports{}, err
	}
	var p ports
	for _, a := range []struct {
		port    *int
		address string
	}{{&p.rpc, c.RPC.Listen}, {&p.ops, c.Ops.Listen}} {
		_, port, err := net.SplitHostPort(a.address)
		if err != nil {
			return ports{}, usage("%s: %w", config.FilePath(home), err)
		}
		*a.port, _ = strconv.Atoi(port) // config checked it
	}
	parts := strings.Split(c.P2P.Listen[0], "/")
	if i := slices.Index(parts, "tcp"); i >= 0 && i+1 < len(parts) {
		p.peer, _ = strconv.Atoi(parts[i+1]) // 0, any free port, if it is none
	}
	return p, nil
}

// installBinary copies this program into the network.
func (n *network) installBinary() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if self == n.binaryPath() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(n.binaryPath()), 0o700); err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	tmp := n.binaryPath() + ".tmp"
	if err := copyFile(tmp, self, 0o700); err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	return os.Rename(tmp, n.binaryPath()) // nodes that run keep the old one
}

func copyFile(to, from string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // it was only read
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// selectNodes resolves the names on a command line to indexes: names of nodes, or "all".
func (n *network) selectNodes(names []string) ([]int, error) {
	var known []string
	for _, node := range n.Nodes {
		known = append(known, node.Name)
	}
	var selected []int
	for _, name := range names {
		i := slices.Index(known, name)
		switch {
		case name == "all":
			for j := range n.Nodes {
				selected = append(selected, j)
			}
		case i < 0:
			return nil, usage("no node %q in %s: use %s or all", name, n.dir, strings.Join(known, ", "))
		default:
			selected = append(selected, i)
		}
	}
	slices.Sort(selected)
	return slices.Compact(selected), nil
}
