package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startPatience is what the kernel gets to show the command line of a new process.
	startPatience = 10 * time.Second
	// stopPatience is what a node gets to finish after SIGTERM: it drains requests
	// for a few seconds and flushes its state.
	stopPatience = 20 * time.Second
	// killPatience is what the kernel gets to end a process after SIGKILL.
	killPatience = 10 * time.Second
	// tailLines of a log are shown when a node dies.
	tailLines = 15
	// tailBytes bounds what is read for them.
	tailBytes = 64 << 10
)

// errTimeout says that poll gave up.
var errTimeout = errors.New("timed out")

// poll calls done at once and then every interval, until it answers true, fails, or
// patience is over.
func poll(ctx context.Context, interval, patience time.Duration, done func() (bool, error)) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return errTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// start runs node i in a session of its own, so that neither Ctrl-C nor the end of
// the terminal reaches it, with its output in its log. The node is alive when start
// returns, unless it has ended already. The answer tells when and how it ends, for
// as long as this process lives.
func (n *network) start(i int) (<-chan error, error) {
	node := &n.Nodes[i]
	log, err := os.OpenFile(logPath(node.Home), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", node.Name, err)
	}
	defer func() { _ = log.Close() }() // the node has its own descriptor
	cmd := exec.Command(n.binaryPath(), nodeArguments(node.Home)...)
	cmd.Dir = n.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // meant for one node, they would hit all
		return strings.HasPrefix(v, "TERCET_") && !strings.HasPrefix(v, "TERCET_LOG_")
	})
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", node.Name, err)
	}
	node.PID = cmd.Process.Pid
	ended := make(chan error, 1) // from the goroutine, once; one buffered, so that nobody has to listen
	go func() { ended <- cmd.Wait() }()
	// A process that has just begun has no command line, by which alive would know it.
	begun := func() (bool, error) { return n.alive(i) || len(ended) > 0, nil }
	if err := poll(context.Background(), time.Millisecond, startPatience, begun); err != nil {
		_ = cmd.Process.Kill() // nobody would find it again
		return nil, fmt.Errorf("starting %s: its process did not begin: %w", node.Name, err)
	}
	return ended, nil
}

func nodeArguments(home string) []string { return []string{"run", "--home", home} }

// alive reports whether the process of node i exists and is still that node: its
// pid may have gone to a stranger since it was written down.
func (n *network) alive(i int) bool { return isNode(n.Nodes[i].PID, n.Nodes[i].Home) }

// isNode compares the command line of a process with what start gave a node. A
// process that has ended but was not collected has none.
func isNode(pid int, home string) bool {
	if pid <= 0 {
		return false
	}
	want := nodeArguments(home)
	if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		args := strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
		return len(args) == len(want)+1 && filepath.Base(args[0]) == "tercet" && slices.Equal(args[1:], want)
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		return false
	}
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.HasSuffix(strings.TrimSpace(string(out)), strings.Join(want, " "))
}

// exiting reports whether a process is on its way out: it has no command line any
// more, but may still hold its ports and files. Linux only; elsewhere it is over
// with the command line.
func exiting(pid int) bool {
	if pid <= 0 {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(raw, []byte(") ")) // the name before it is the program's own: "(tercet)"
	fields := strings.Fields(string(rest))     // proc(5): state is field 3, flags is field 9
	if len(fields) < 7 {
		return false
	}
	if fields[0] == "Z" { // nobody collected it; its other threads may still be there
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		return err == nil && len(threads) > 1
	}
	const exitingFlag = 0x4 // PF_EXITING of linux/sched.h
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&exitingFlag != 0
}

// signal sends a signal to node i if its process is still that node.
func (n *network) signal(i int, s syscall.Signal) error {
	if !n.alive(i) {
		return nil
	}
	if err := syscall.Kill(n.Nodes[i].PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %s to %s (pid %d): %w", s, n.Nodes[i].Name, n.Nodes[i].PID, err)
	}
	return nil
}

// stop ends the nodes together: SIGTERM, or SIGKILL with force, and waits until
// they are gone. When ctx ends it kills the rest. Those that are gone have pid 0.
func (n *network) stop(ctx context.Context, nodes []int, force bool) error {
	s, patience := syscall.SIGTERM, stopPatience
	if force {
		s, patience = syscall.SIGKILL, killPatience
	}
	var errs []error
	for _, i := range nodes {
		errs = append(errs, n.signal(i, s))
		if !force { // a process that is paused (SIGSTOP) would not see SIGTERM
			errs = append(errs, n.signal(i, syscall.SIGCONT))
		}
	}
	gone := func() (bool, error) {
		for _, i := range nodes {
			if n.alive(i) || exiting(n.Nodes[i].PID) {
				return false, nil
			}
			n.Nodes[i].PID = 0
		}
		return true, nil
	}
	err := poll(ctx, 20*time.Millisecond, patience, gone)
	if errors.Is(err, context.Canceled) {
		return n.stop(context.WithoutCancel(ctx), nodes, true)
	}
	if errors.Is(err, errTimeout) {
		var left []string
		for _, i := range nodes {
			if n.alive(i) {
				left = append(left, fmt.Sprintf("%s (pid %d)", n.Nodes[i].Name, n.Nodes[i].PID))
			}
		}
		err = notReady("%s did not stop within %s: end them with \"tercet testnet kill all --dir %s\"", strings.Join(left, ", "), patience, n.dir)
	}
	return errors.Join(append(errs, err)...)
}

// all are the indexes of the nodes.
func (n *network) all() []int {
	indexes := make([]int, len(n.Nodes))
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

// tail returns the last lines of a file, indented.
func tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return "  (no log: " + err.Error() + ")"
	}
	defer func() { _ = f.Close() }() // it was only read
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-tailBytes), io.SeekStart) // worst case: from where it is
	}
	raw, _ := io.ReadAll(io.LimitReader(f, tailBytes)) // a part is better than nothing
	all := bytes.Split(bytes.TrimRight(raw, "\n"), []byte("\n"))
	all = all[max(0, len(all)-lines):]
	return "  " + string(bytes.Join(all, []byte("\n  ")))
}
