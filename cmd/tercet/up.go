package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/ledger"
)

const (
	// readyHeight is final on all nodes before a new network counts as up.
	readyHeight     = 3
	defaultNodes    = 4
	defaultBasePort = 8545
	defaultPatience = time.Minute
)

type upFlags struct {
	dir, schedule   string
	nodes, basePort int
	chainID         uint64
	timeout         time.Duration
	detach          bool
}

func newUp() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a network, or resume the one in the directory",
		Long: `Up makes a network of validators, each with its own process, home, keys and ports on
127.0.0.1, waits until every one has finalized height 3, prints a table and ten
funded accounts, and runs until Ctrl-C, which stops all nodes in order (a second one
kills them). With --detach it leaves them running; "tercet testnet down" stops them.

A directory that holds a network is resumed: same genesis, same keys, same data; up
then waits until every node has finalized a new block. Nodes that run already are
left alone. The nodes run a copy of this program (bin/tercet), which up renews.

The accounts are funded in the genesis and their keys are public.`,
		Example: `  tercet testnet up
  tercet testnet up --nodes 7 --base-port 20000 --dir ./seven --detach
  jq -r .nodes[0].rpc ~/.tercet/testnet/network.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runUp(cmd, f) },
	}
	dirFlag(cmd, &f.dir)
	fs := cmd.Flags()
	fs.IntVar(&f.nodes, "nodes", defaultNodes, "validators of a new network")
	fs.IntVar(&f.basePort, "base-port", defaultBasePort, "RPC port of node1; the others follow in steps of 10")
	fs.Uint64Var(&f.chainID, "chain-id", ledger.TestnetChainID, "chain id of a new network")
	fs.StringVar(&f.schedule, "schedule", "", "views in a leader's term and views that votes may run ahead, as `T,W`, in a new network (default: this program's)")
	fs.DurationVar(&f.timeout, "timeout", defaultPatience, "how long to wait until all are final")
	fs.BoolVar(&f.detach, "detach", false, "leave the nodes running in the background")
	return cmd
}

func runUp(cmd *cobra.Command, f upFlags) error {
	if f.nodes < 1 || f.nodes > maxNodes {
		return usage("--nodes %d: use 1 to %d", f.nodes, maxNodes)
	}
	if last := f.basePort + f.nodes*portStride; f.basePort < 1 || last > 65535 {
		return usage("--base-port %d: use 1 to %d, so that the ports of %d nodes fit below 65536", f.basePort, 65535-f.nodes*portStride, f.nodes)
	}
	dir, err := testnetDir(f.dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the network's directory: %w", err)
	}
	foreground, err := lockForeground(dir, f.detach)
	if err != nil {
		return err
	}
	defer foreground()
	ctx, again, stop := stopOnSignal(cmd.Context())
	defer stop()
	cmd.SetContext(ctx)

	n, ends, err := bringUp(cmd, dir, f)
	if err != nil {
		return err
	}
	if err := n.announce(cmd); err != nil {
		return err
	}
	if f.detach {
		progress("the network runs in the background: stop it with \"tercet testnet down --dir %s\"", dir)
		return nil
	}
	progress("Ctrl-C stops the network")
	n.watch(ctx, ends)
	progress("stopping all nodes in order (Ctrl-C kills them)")
	return n.stopAll(context.WithoutCancel(ctx), again)
}

// lockForeground marks that a command in the foreground owns the network, so that
// down can ask it to end.
func lockForeground(dir string, detach bool) (func(), error) {
	unlock, holder, err := lockFile(foregroundPath(dir))
	if errors.Is(err, errLocked) {
		return nil, inUse("\"tercet testnet up\" (process %d) runs the network in %s already: see \"tercet testnet status --dir %s\", or end it with \"tercet testnet down --dir %s\"", holder, dir, dir, dir)
	}
	if err == nil && detach {
		unlock()
		return func() {}, nil
	}
	return unlock, err
}

func foregroundPath(dir string) string { return filepath.Join(dir, "LOCK.up") }

// bringUp opens or makes the network and starts what does not run. Whatever it
// started it stops again when not all become ready.
func bringUp(cmd *cobra.Command, dir string, f upFlags) (*network, map[int]<-chan error, error) {
	unlock, err := lockNetwork(cmd, dir)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	n, resumed, err := openOrCreate(cmd, dir, f)
	if err != nil {
		return nil, nil, err
	}
	if err := n.installBinary(); err != nil {
		return nil, nil, err
	}
	ends, err := n.startMissing()
	if err != nil { // the file may name processes that end here: readers check that they are nodes
		return nil, nil, errors.Join(err, n.stop(context.WithoutCancel(cmd.Context()), slices.Sorted(maps.Keys(ends)), true))
	}
	if err := n.awaitReady(cmd.Context(), resumed, f.timeout); err != nil {
		progress("stopping what was started")
		err = errors.Join(err, n.stop(context.WithoutCancel(cmd.Context()), slices.Sorted(maps.Keys(ends)), false))
		return nil, nil, errors.Join(err, n.save())
	}
	return n, ends, nil
}

// startMissing starts the nodes that do not run and saves their pids. The answer
// holds those that it started, also after an error.
func (n *network) startMissing() (map[int]<-chan error, error) {
	ends := map[int]<-chan error{}
	for i, node := range n.Nodes {
		if n.alive(i) {
			progress("%s runs already", n.describe(i))
			continue
		}
		ended, err := n.start(i)
		if err != nil {
			return ends, err
		}
		ends[i] = ended
		if err := n.save(); err != nil {
			return ends, err
		}
		progress("started %s, log in %s", n.describe(i), logPath(node.Home))
	}
	return ends, nil
}

func openOrCreate(cmd *cobra.Command, dir string, f upFlags) (n *network, resumed bool, err error) {
	n, err = readNetwork(dir)
	if errors.Is(err, fs.ErrNotExist) {
		var names []string
		for i := range f.nodes {
			names = append(names, fmt.Sprintf("node%d", i+1))
		}
		if err := checkPorts(names, func(i int) ports { return portsOf(f.basePort, i) }); err != nil {
			return nil, false, err
		}
		n, err = createNetwork(dir, f)
		return n, false, err
	}
	if err != nil {
		return nil, false, err
	}
	flags := cmd.Flags()
	if flags.Changed("nodes") && f.nodes != len(n.Nodes) {
		return nil, false, usage("the network in %s has %d nodes, not %d: leave --nodes out to resume it, or name another --dir", dir, len(n.Nodes), f.nodes)
	}
	if flags.Changed("chain-id") && f.chainID != n.ChainID {
		return nil, false, usage("the network in %s has chain id %d, not %d: leave --chain-id out to resume it, or name another --dir", dir, n.ChainID, f.chainID)
	}
	if flags.Changed("schedule") {
		return nil, false, usage("the network in %s has its schedule in genesis.json: leave --schedule out to resume it, or name another --dir", dir)
	}
	if flags.Changed("base-port") && n.Nodes[0].RPC != "http://"+loopback(f.basePort) {
		if err := n.movePorts(f.basePort); err != nil {
			return nil, false, err
		}
	}
	progress("resuming the network in %s", dir)
	return n, true, n.checkPorts(n.all())
}

// applySchedule puts T,W of a flag into the genesis of a new network.
func applySchedule(g *ledger.Genesis, flag string) error {
	if flag == "" {
		return nil
	}
	term, window, found := strings.Cut(flag, ",")
	t, err := strconv.ParseUint(term, 10, 64)
	w, err2 := strconv.ParseUint(window, 10, 64)
	if !found || err != nil || err2 != nil {
		return usage("--schedule %s: write T,W, for example 16,4", flag)
	}
	g.Consensus.TermLength, g.Consensus.Window = t, w
	return coded(exitUsage, g.Validate())
}

// checkPorts names the ports that nodes which do not run will miss.
func (n *network) checkPorts(nodes []int) error {
	var names []string
	var theirs []ports
	for _, i := range nodes {
		if n.alive(i) {
			continue
		}
		p, err := configuredPorts(n.Nodes[i].Home)
		if err != nil {
			return err
		}
		names, theirs = append(names, n.Nodes[i].Name), append(theirs, p)
	}
	return checkPorts(names, func(i int) ports { return theirs[i] })
}

// awaitReady waits until all nodes are final at readyHeight, or, when resumed, one
// block above the highest that any had at its first answer.
func (n *network) awaitReady(ctx context.Context, resumed bool, patience time.Duration) error {
	target := uint64(readyHeight)
	first := make([]bool, len(n.Nodes))
	var reports []nodeReport
	said := ""
	ready := func() (bool, error) {
		reports = n.report(ctx)
		low, all := ^uint64(0), true
		for i, r := range reports {
			if !r.Running {
				return false, n.death(i)
			}
			if r.Error != "" {
				all, low = false, 0
				continue
			}
			if resumed && !first[i] {
				target = max(target, r.Height+1)
			}
			first[i] = true
			low = min(low, r.Height)
		}
		if s := fmt.Sprintf("waiting until all are final at height %d: %s", target, heights(reports)); s != said && isTerminal(os.Stderr) {
			said = s
			progress("%s", s)
		}
		return all && low >= target, nil
	}
	err := poll(ctx, 50*time.Millisecond, patience, ready)
	switch {
	case errors.Is(err, errTimeout):
		return notReady("not all nodes were final at height %d within %s (%s): see \"tercet testnet logs NAME --dir %s\", or give more time with --timeout", target, patience, heights(reports), n.dir)
	case errors.Is(err, context.Canceled):
		return notReady("stopped before the network was ready")
	}
	return err
}

func heights(reports []nodeReport) string {
	var all []string
	for _, r := range reports {
		if r.Error != "" {
			all = append(all, r.Name+" no answer")
		} else {
			all = append(all, fmt.Sprintf("%s %d", r.Name, r.Height))
		}
	}
	return strings.Join(all, ", ")
}

// death shows why a node may have ended.
func (n *network) death(i int) error {
	node := n.Nodes[i]
	progress("%s ended. The end of %s:\n%s", n.describe(i), logPath(node.Home), tail(logPath(node.Home), tailLines))
	return notReady("%s ended before the network was ready: its last words are above, all of them in %s", node.Name, logPath(node.Home))
}

// announce prints the table and the accounts.
func (n *network) announce(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	if err := printReports(w, n.report(cmd.Context())); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\nchain id %d, described for scripts in %s\n\n", n.ChainID, networkPath(n.dir)); err != nil {
		return err
	}
	return printAccounts(w, n.Accounts)
}

// watch says when nodes end until ctx does. Nodes that other commands restart are
// theirs to watch.
func (n *network) watch(ctx context.Context, ends map[int]<-chan error) {
	type end struct {
		node int
		err  error
	}
	ended := make(chan end)  // from one goroutine per node, which give up when ctx ends
	for i, c := range ends { // in any order: each only waits
		go func() {
			select {
			case err := <-c:
				select {
				case ended <- end{i, err}:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		}()
	}
	for {
		select {
		case e := <-ended:
			how := "in order"
			if e.err != nil {
				how = e.err.Error()
			}
			progress("%s ended (%s): start it again with \"tercet testnet restart %s --dir %s\"", n.describe(e.node), how, n.Nodes[e.node].Name, n.dir)
		case <-ctx.Done():
			return
		}
	}
}

// stopAll stops the nodes in order; a signal meanwhile kills them.
func (n *network) stopAll(ctx context.Context, again <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	forced := make(chan bool, 1) // from the goroutine, once
	go func() {
		select {
		case <-again:
			cancel()
			forced <- true
		case <-ctx.Done():
			forced <- false
		}
	}()
	fresh, err := readNetwork(n.dir) // others may have restarted nodes
	if err != nil {
		return err
	}
	err = errors.Join(fresh.stop(ctx, fresh.all(), false), fresh.save())
	cancel()
	if <-forced && err == nil {
		err = coded(exitForced, errors.New("killed the nodes: what was acknowledged is on disk"))
	}
	return err
}
