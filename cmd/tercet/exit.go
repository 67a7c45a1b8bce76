package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/config"
)

const (
	exitOK       = 0
	exitFailure  = 1
	exitUsage    = 2
	exitInUse    = 3
	exitNotReady = 4
	exitStorage  = 5
	exitFindings = 6
	exitForced   = 130
)

// exitCodes documents them in the help.
const exitCodes = `Exit codes:
  0    done; also after a stop that was asked for
  1    failed: the line on standard error says what and what to do
  2    the command line, the configuration, the genesis or a key is wrong
  3    in use: the home directory, the network's directory or a port
  4    not ready: a node did not start, died or did not answer in time
  5    the data directory is missing, damaged, or of another chain or version
  6    "tercet doctor" found something that needs somebody
  130  stopped by force (second Ctrl-C)`

// codedError is an error with the exit code of its kind.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }

func (e *codedError) Unwrap() error { return e.err }

func coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code, err}
}

func usage(format string, args ...any) error { return coded(exitUsage, fmt.Errorf(format, args...)) }

func inUse(format string, args ...any) error { return coded(exitInUse, fmt.Errorf(format, args...)) }

func notReady(format string, args ...any) error {
	return coded(exitNotReady, fmt.Errorf(format, args...))
}

// exitCode sorts an error into one of the documented kinds.
func exitCode(err error) int {
	var c *codedError
	var storeCorrupt *store.CorruptError
	var walCorrupt *wal.CorruptError
	var gap *store.GapError
	var mistake *config.Error
	var op *net.OpError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &mistake):
		return exitUsage
	case errors.Is(err, store.ErrLocked), errors.As(err, &op) && errors.Is(err, syscall.EADDRINUSE):
		return exitInUse
	case errors.As(err, &storeCorrupt), errors.As(err, &walCorrupt), errors.As(err, &gap),
		errors.Is(err, store.ErrSchemaNewer), errors.Is(err, store.ErrWrongChain),
		errors.Is(err, wal.ErrMissing), errors.Is(err, wal.ErrNetwork), errors.Is(err, wal.ErrVersion):
		return exitStorage
	}
	return exitFailure
}
