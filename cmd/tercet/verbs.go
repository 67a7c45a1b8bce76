package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// someNodes is the rule for the words after a command that wants nodes.
func someNodes(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name at least one node, or all")
	}
	return nil
}

// oneNode is the rule for the words after a command that wants a single node.
func oneNode(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one node")
	}
	return nil
}

func newDown() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop all nodes in order; their data stays",
		Long: `Down stops all nodes of a test network in order (SIGTERM) and waits until they are
gone, also when "testnet up" runs them in another terminal, which then ends. The data
stays: "testnet up" resumes the network. To start over, delete the directory.`,
		Example: "  tercet testnet down --dir ./net",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := openNetwork(dir)
			if err != nil {
				return err
			}
			if err := endForeground(cmd.Context(), n.dir); err != nil {
				return err
			}
			err = n.change(cmd, func(n *network) error { return n.stop(cmd.Context(), n.all(), false) })
			if err == nil {
				progress("all %d nodes of %s are stopped", len(n.Nodes), n.dir)
			}
			return err
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

// endForeground asks a "testnet up" in another terminal to stop its network, and
// waits for it. It is the process that holds the lock, so its pid is its own.
func endForeground(ctx context.Context, dir string) error {
	asked := false
	err := poll(ctx, 50*time.Millisecond, stopPatience+killPatience, func() (bool, error) {
		unlock, holder, err := lockFile(foregroundPath(dir))
		if !errors.Is(err, errLocked) {
			if err == nil {
				unlock()
			}
			return true, err
		}
		if holder > 0 && !asked {
			asked = true
			if err := syscall.Kill(holder, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return false, fmt.Errorf("asking process %d, which runs \"testnet up\", to stop: %w", holder, err)
			}
		}
		return false, nil
	})
	if errors.Is(err, errTimeout) {
		return notReady("\"tercet testnet up\" in %s does not end: kill its nodes with \"tercet testnet kill all --dir %s\"", dir, dir)
	}
	return err
}

func newLogs() *cobra.Command {
	var dir string
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show the log of a node",
		Example: `  tercet testnet logs node1
  tercet testnet logs node3 -n 200 -f`,
		Args: oneNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := openNetwork(dir)
			if err != nil {
				return err
			}
			nodes, err := n.selectNodes(args)
			if err != nil {
				return err
			}
			if len(nodes) != 1 {
				return usage("logs shows one node: name it")
			}
			ctx, _, stop := stopOnSignal(cmd.Context())
			defer stop()
			return showLog(ctx, cmd.OutOrStdout(), logPath(n.Nodes[nodes[0]].Home), lines, follow)
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing what is added, until Ctrl-C")
	cmd.Flags().IntVarP(&lines, "lines", "n", 50, "how many lines to begin with")
	return cmd
}

func showLog(ctx context.Context, w io.Writer, path string, lines int, follow bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the log: %w: was the node ever started?", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	for line := range strings.SplitSeq(tail(path, lines), "\n") {
		if _, err := fmt.Fprintln(w, strings.TrimPrefix(line, "  ")); err != nil {
			return err
		}
	}
	if !follow {
		return nil
	}
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	err = poll(ctx, 200*time.Millisecond, 1<<62, func() (bool, error) {
		_, err := io.Copy(w, f)
		return false, err
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func newKill() *cobra.Command {
	var dir, signal string
	cmd := &cobra.Command{
		Use:   "kill NAME… | leader | all",
		Short: "Kill nodes with kill -9, or send them another signal",
		Long: `Kill ends nodes as a crash would (SIGKILL) and waits until they are gone: a validator
that comes back must neither forget nor repeat a vote, and no receipt that was seen may
be lost. "leader" is whoever leads the highest view that a node reports.

With --signal another signal is sent: STOP and CONT pause and resume a node.`,
		Example: `  tercet testnet kill leader
  tercet testnet kill all && tercet testnet restart all
  tercet testnet kill node2 --signal STOP`,
		Args: someNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := parseSignal(signal)
			if err != nil {
				return err
			}
			n, err := openNetwork(dir)
			if err != nil {
				return err
			}
			if args, err = n.resolveLeader(cmd.Context(), args); err != nil {
				return err
			}
			return n.change(cmd, func(n *network) error { return n.kill(cmd.Context(), args, s) })
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().StringVar(&signal, "signal", "KILL", "signal to send, by name or number")
	return cmd
}

func (n *network) resolveLeader(ctx context.Context, names []string) ([]string, error) {
	var resolved []string
	for _, name := range names {
		if name == "leader" {
			found, ok := leader(n.report(ctx))
			if !ok {
				return nil, notReady("no node says who leads: see \"tercet testnet status --dir %s\"", n.dir)
			}
			name = found
		}
		resolved = append(resolved, name)
	}
	return resolved, nil
}

func (n *network) kill(ctx context.Context, names []string, s syscall.Signal) error {
	nodes, err := n.selectNodes(names)
	if err != nil {
		return err
	}
	for _, i := range nodes {
		if !n.alive(i) {
			progress("%s does not run", n.Nodes[i].Name)
			continue
		}
		if err := n.signal(i, s); err != nil {
			return err
		}
		progress("sent %s to %s", unix.SignalName(s), n.describe(i))
	}
	if s == syscall.SIGKILL {
		return n.stop(ctx, nodes, true)
	}
	return nil
}

func parseSignal(text string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && unix.SignalName(syscall.Signal(n)) != "" {
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG")); s != 0 {
		return s, nil
	}
	return 0, usage("--signal %s: use a name such as KILL, TERM, STOP or CONT, or its number", text)
}

func newRestart() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "restart NAME… | all",
		Short: "Stop nodes in order if they run, and start them",
		Long: `Restart stops the named nodes in order if they run, starts them on the same data, and
returns when they answer; "testnet status" shows them catching up.`,
		Example: `  tercet testnet restart node2
  tercet testnet restart all --dir ./net`,
		Args: someNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := openNetwork(dir)
			if err != nil {
				return err
			}
			return n.change(cmd, func(n *network) error { return n.restart(cmd.Context(), args) })
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

func (n *network) restart(ctx context.Context, names []string) error {
	nodes, err := n.selectNodes(names)
	if err != nil {
		return err
	}
	if err := n.stop(ctx, nodes, false); err != nil {
		return err
	}
	if err := n.checkPorts(nodes); err != nil {
		return err
	}
	for _, i := range nodes {
		if _, err := n.start(i); err != nil {
			return err
		}
		progress("started %s", n.describe(i))
	}
	err = poll(ctx, 50*time.Millisecond, defaultPatience, func() (bool, error) {
		reports := n.report(ctx)
		for _, i := range nodes {
			if !reports[i].Running {
				return false, n.death(i)
			}
			if reports[i].Error != "" {
				return false, nil
			}
		}
		return true, nil
	})
	if errors.Is(err, errTimeout) {
		return notReady("not all nodes answered within %s: see \"tercet testnet status --dir %s\"", defaultPatience, n.dir)
	}
	return err
}
