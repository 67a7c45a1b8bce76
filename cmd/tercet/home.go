package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func homeFlag(cmd *cobra.Command, home *string) {
	cmd.Flags().StringVar(home, "home", "", "the node's directory (default $TERCET_HOME, else ~/.tercet/node)")
}

func setFlag(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "override one setting, `key=value`; may be repeated")
}

// homeDir is the absolute path of the home that a flag names or implies.
func homeDir(flag string) (string, error) {
	if flag == "" {
		flag = os.Getenv("TERCET_HOME")
	}
	return dirOr(flag, "--home", "node")
}

// dirOr makes dir absolute; without one it is ~/.tercet/name.
func dirOr(dir, flag, name string) (string, error) {
	if dir == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", usage("no home directory of the user (%w): name a directory with %s", err, flag)
		}
		dir = filepath.Join(user, ".tercet", name)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", dir, err)
	}
	return abs, nil
}

// parseSet splits the values of --set.
func parseSet(set []string) (map[string]string, error) {
	flags := map[string]string{}
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usage("--set %s: write key=value, for example --set log.level=debug", s)
		}
		flags[key] = value
	}
	return flags, nil
}

// homeAndSet reads the two flags with which a command finds its configuration.
func homeAndSet(home string, set []string) (dir string, flags map[string]string, err error) {
	if dir, err = homeDir(home); err != nil {
		return "", nil, err
	}
	flags, err = parseSet(set)
	return dir, flags, err
}

// errLocked says that another process holds a lock file.
var errLocked = errors.New("locked")

// lockFile takes path for this process and writes its pid there. The kernel gives
// the lock back when the process ends, however it ends. When another process has
// it, holder is that process's pid and the error wraps errLocked.
func lockFile(path string) (unlock func(), holder int, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		raw := make([]byte, 20) // the digits of a pid
		n, _ := f.ReadAt(raw, 0)
		holder, _ := strconv.Atoi(strings.TrimSpace(string(raw[:n])))
		_ = f.Close() // nothing was written to it
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, holder, fmt.Errorf("%s: %w", path, errLocked)
		}
		return nil, 0, fmt.Errorf("locking %s: %w", path, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { _ = f.Close() }, 0, nil
}

// lockHome makes this process the only one that runs the node of home.
func lockHome(home string) (unlock func(), err error) {
	unlock, holder, err := lockFile(filepath.Join(home, "LOCK"))
	if errors.Is(err, errLocked) {
		return nil, inUse("%s is run by process %d already: stop that one first (kill %d), or use another --home", home, holder, holder)
	}
	return unlock, err
}
