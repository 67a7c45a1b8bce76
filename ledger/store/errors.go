package store

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
)

var (
	// ErrNotFound is returned for a height, hash or certificate that the store does not have.
	ErrNotFound = errors.New("not found")
	// ErrLocked is returned by Open when another process has the directory.
	ErrLocked = errors.New("data directory is in use by another process")
	// ErrSchemaNewer is returned by Open for a database that a newer version of the program wrote.
	ErrSchemaNewer = errors.New("database was written by a newer version")
	// ErrWrongChain is returned by Open for a database of another genesis.
	ErrWrongChain = errors.New("database belongs to another genesis")
	// ErrOrder is returned by a write that would break blocks ≥ state ≥ index, or heights that do not
	// follow the ones that are stored. Nothing was written.
	ErrOrder = errors.New("write out of order")
	// ErrLogRange is returned for logs of more blocks than [MaxLogRange].
	ErrLogRange = errors.New("block range is too wide")
	// ErrNoSpace is wrapped by write errors of a full disk.
	ErrNoSpace = errors.New("disk is full")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store is closed")
)

// CorruptError says which database holds what cannot be right.
type CorruptError struct {
	// Database is the name of its directory, blocks.ldb for example.
	Database string
	// Err says what is wrong.
	Err error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s is corrupt: %v", e.Database, e.Err) }

func (e *CorruptError) Unwrap() error { return e.Err }

// GapError names the heights that are missing in the middle of blocks.ldb.
type GapError struct{ First, Last uint64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("blocks.ldb lacks heights %d to %d", e.First, e.Last)
}

func corruptf(database, format string, args ...any) error {
	return &CorruptError{Database: database, Err: fmt.Errorf(format, args...)}
}

// explain turns an error of LevelDB into one of this package, keeping its text.
func explain(database string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, leveldb.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, leveldb.ErrClosed), errors.Is(err, leveldb.ErrIterReleased):
		return ErrClosed
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%s: %w: %w", database, ErrNoSpace, err)
	case lerrors.IsCorrupted(err):
		return &CorruptError{Database: database, Err: err}
	}
	return fmt.Errorf("%s: %w", database, err)
}
