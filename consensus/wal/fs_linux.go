package wal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Sync is fdatasync: sizes are flushed, times are not.
func (f osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return named("fdatasync", f, err)
		}
	}
}

// Allocate is fallocate, or a hole where the file system has none.
func (f osFile) Allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
			return f.extend(size)
		}
		if !errors.Is(err, unix.EINTR) {
			return named("fallocate", f, err)
		}
	}
}

func named(op string, f osFile, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, f.Name(), err)
}
