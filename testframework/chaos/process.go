package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is Linux's USER_HZ, the unit of /proc/PID/stat.
const ticksPerSecond = 100

// Usage is what a process used up to a moment.
type Usage struct {
	CPU  time.Duration // user and system time
	RSS  int64         // bytes in memory
	Peak int64         // the largest RSS so far, bytes
}

// UsageOf reads the usage of a process from /proc.
func UsageOf(pid int) (Usage, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the usage of process %d: %w", pid, err)
	}
	// The second field is the name in parentheses, which may hold anything.
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return Usage{}, fmt.Errorf("reading the usage of process %d: short stat %q", pid, raw)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return Usage{}, fmt.Errorf("reading the usage of process %d: %w", pid, err)
	}
	u := Usage{CPU: time.Duration(user+system) * time.Second / ticksPerSecond}
	if raw, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil {
		return u, fmt.Errorf("reading the usage of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			u.RSS = kib << 10
		case "VmHWM":
			u.Peak = kib << 10
		}
	}
	return u, nil
}

// mentions reports whether a process that runs names dir in its command line: one that this package
// started there, and not another that was given the same pid since.
func mentions(pid int, dir string) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(raw) == 0 { // gone, or a zombie
		return false
	}
	for word := range bytes.SplitSeq(raw, []byte{0}) {
		_, value, found := strings.Cut(string(word), "=")
		if !found {
			value = string(word)
		}
		if value == dir || strings.HasPrefix(value, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// runningIn lists the processes, this one aside, that name dir in their command lines.
func runningIn(dir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && mentions(pid, dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// gone reports whether a process has ended and given back its files and ports. The kernel takes away
// the command line first and the sockets last; of a process that only waits to be collected one thread
// is left, in state Z.
func gone(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err != nil || (strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")) && len(threads) <= 1
}

// awaitGone waits until processes have ended.
func awaitGone(ctx context.Context, pids []int) error {
	return Await(ctx, 5*time.Millisecond, func() (bool, error) {
		for _, pid := range pids {
			if !gone(pid) {
				return false, nil
			}
		}
		return true, nil
	})
}

// killIn ends all processes of dir by pid and waits until they are gone.
func killIn(ctx context.Context, dir string) error {
	for {
		pids := runningIn(dir)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("killing process %d of %s: %w", pid, dir, err)
			}
		}
		if err := awaitGone(ctx, pids); err != nil {
			return err
		}
	}
}
