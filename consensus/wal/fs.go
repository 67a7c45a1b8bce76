package wal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tercet-chain/tercet/internal/mutant"
)

const (
	segmentSuffix   = ".wal"
	temporarySuffix = ".new"
)

// File is one segment. Implementations: the operating system's files and
// simdisk's.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Allocate reserves the file's first size bytes; bytes never written
	// read as zeros. It never shrinks the file.
	Allocate(size int64) error
	// Truncate cuts the file; what is allocated later reads as zeros.
	Truncate(size int64) error
	// Sync makes data and size durable.
	Sync() error
	io.Closer
}

// FS is where segments live. Implementations: the operating system's file
// system and simdisk's. Names are paths.
type FS interface {
	// MkdirAll makes a directory, and missing parents, with mode 0700.
	MkdirAll(dir string) error
	// List names the files in dir; a missing dir is fs.ErrNotExist.
	List(dir string) ([]string, error)
	// Open opens for reading and writing; create makes an empty file with
	// mode 0600, replacing one that exists.
	Open(name string, create bool) (File, error)
	// Rename replaces newName atomically.
	Rename(oldName, newName string) error
	Remove(name string) error
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", number, segmentSuffix))
}

// listSegments returns the numbers of the segments, ascending.
func listSegments(fs FS, dir string) ([]uint64, error) {
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the write-ahead log: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, segmentSuffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err == nil && filepath.Base(segmentPath(dir, n)) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// createSegment makes a durable, empty segment. A crash leaves all of it or
// nothing but a temporary file.
func createSegment(fs FS, dir string, h header, size int64) (File, error) {
	path := segmentPath(dir, h.segment)
	f, err := fs.Open(path+temporarySuffix, true)
	if err != nil {
		return nil, fmt.Errorf("creating segment %d: %w", h.segment, err)
	}
	if err := fillSegment(fs, dir, path, f, h, size); err != nil {
		f.Close()
		return nil, fmt.Errorf("creating segment %d: %w", h.segment, err)
	}
	return f, nil
}

func fillSegment(fs FS, dir, path string, f File, h header, size int64) error {
	if err := f.Allocate(size); err != nil {
		return err
	}
	b := h.encode()
	if n, err := f.WriteAt(b, 0); err != nil || n != len(b) {
		return orShort(err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := fs.Rename(path+temporarySuffix, path); err != nil {
		return err
	}
	if mutant.On(mutant.WALRenameWithoutDirsync) {
		return nil
	}
	return fs.SyncDir(dir)
}

func orShort(err error) error {
	if err == nil {
		return io.ErrShortWrite
	}
	return err
}

func randomSalt() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// osFS is the operating system's file system.
type osFS struct{}

func (osFS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Open(name string, create bool) (File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// osFile is a file whose Sync and Allocate are the platform's best.
type osFile struct{ *os.File }

// extend is the allocation of last resort: a hole reads as zeros too, but
// writing to it may find the disk full.
func (f osFile) extend(size int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= size {
		return err
	}
	return f.Truncate(size)
}
