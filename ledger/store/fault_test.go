package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

func wantCorrupt(t *testing.T, err error, database string) {
	t.Helper()
	var corrupt *store.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Database != database {
		t.Errorf("error %v, want %s to be corrupt", err, database)
	}
}

// TestStore_powerFailureAtEveryWrite runs a small scenario, takes the power away at each operation of
// the disk, and demands that what was acknowledged is there and that the rest can be made again.
func TestStore_powerFailureAtEveryWrite(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(5)
	run := func(dir string, disk *simdisk.LevelDB) (acked int, err error) {
		opts := c.options()
		opts.Wrap = disk.Wrap
		s, err := store.Open(dir, opts)
		if err != nil {
			return -1, err
		}
		err = c.catchUp(s, 5)
		acked = -1
		if tip, ok := s.Tip(); ok {
			acked = int(tip)
		}
		return acked, errors.Join(err, s.Close())
	}
	disk := simdisk.NewLevelDB(0)
	if _, err := run(t.TempDir(), disk); err != nil {
		t.Fatal(err)
	}
	ops := disk.Ops()
	if len(ops) < 20 {
		t.Fatalf("the scenario has only the operations %q", ops)
	}
	others := []simdisk.Retention{simdisk.KeepPrefix, simdisk.TornLastPage}
	for op := range ops {
		for _, mode := range []simdisk.Retention{simdisk.LoseUnsynced, others[op%2]} {
			disk := simdisk.NewLevelDB(uint64(op))
			disk.FailAt(op+1, simdisk.Fault{PowerOff: true})
			dir := t.TempDir()
			disk.Retain(mode)
			acked, err := run(dir, disk)
			if !disk.Off() {
				t.Fatalf("operation %d did not come: %v", op+1, err)
			}
			s, err := store.Open(dir, c.options())
			if err != nil {
				t.Fatalf("opening after losing power at operation %d (%s), %s: %v", op+1, ops[op], mode, err)
			}
			if tip, ok := s.Tip(); acked >= 0 && (!ok || int(tip) < acked) {
				t.Fatalf("operation %d (%s), %s: acknowledged block %d is lost, tip %d", op+1, ops[op], mode, acked, tip)
			}
			c.check(s)
			if err := c.catchUp(s, 5); err != nil {
				t.Fatalf("operation %d (%s), %s: catching up: %v", op+1, ops[op], mode, err)
			}
			c.check(s)
			s.Close()
		}
	}
}

func TestStore_failedWriteLatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, op string
		err      error
		want     error
		write    func(c *chain, s *store.Store) error
	}{
		{"sync of blocks", "blocks.ldb journal sync", syscall.EIO, syscall.EIO, func(c *chain, s *store.Store) error { return s.CommitBlocks(c.blocks[4:5]) }},
		{"write of blocks", "blocks.ldb journal write", syscall.EIO, syscall.EIO, func(c *chain, s *store.Store) error { return s.CommitBlocks(c.blocks[4:5]) }},
		{"full disk", "blocks.ldb journal write", syscall.ENOSPC, store.ErrNoSpace, func(c *chain, s *store.Store) error { return s.CommitBlocks(c.blocks[4:5]) }},
		{"sync of state", "state.ldb journal sync", syscall.EIO, syscall.EIO, func(c *chain, s *store.Store) error {
			return s.FlushState(c.marker(2, 3), c.coalesce(2, 3), c.deployed(2, 3))
		}},
		{"write of index", "index.ldb journal write", syscall.EIO, syscall.EIO, func(c *chain, s *store.Store) error { return s.IndexBlocks(c.blocks[:2]) }},
		{"certificate", "blocks.ldb journal write", syscall.EIO, syscall.EIO, func(c *chain, s *store.Store) error { return s.PutExecCert(1, []byte{1}) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t).grow(6)
			disk := simdisk.NewLevelDB(1)
			dir := t.TempDir()
			opts := c.options()
			opts.Wrap = disk.Wrap
			s := c.open(dir, opts)
			if err := s.CommitBlocks(c.blocks[:4]); err != nil {
				t.Fatal(err)
			}
			if err := s.FlushState(c.marker(0, 1), c.coalesce(0, 1), nil); err != nil {
				t.Fatal(err)
			}
			disk.FailNext(tc.op, simdisk.Fault{Err: tc.err})
			err := tc.write(c, s)
			wantError(t, err, tc.want)
			if err != nil && !strings.Contains(err.Error(), ".ldb") {
				t.Errorf("error %q does not name the database", err)
			}
			select {
			case <-s.Failed():
			default:
				t.Error("the failure is not announced")
			}
			// The disk is well again, the store is not: LevelDB could lose what it acknowledges.
			wantError(t, s.CommitBlocks(c.blocks[4:5]), tc.want)
			wantError(t, s.FlushState(c.marker(2, 3), nil, nil), tc.want)
			wantError(t, s.PutExecCert(0, []byte{1}), tc.want)
			if _, err := s.Header(3); err != nil {
				t.Errorf("reading after a failed write: %v", err)
			}
			if err := disk.PowerOff(simdisk.LoseUnsynced); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = c.open(dir, c.options())
			defer s.Close()
			if tip, ok := s.Tip(); !ok || tip < 3 {
				t.Errorf("tip %d after the failure, want at least the acknowledged 3", tip)
			}
			c.check(s)
			if err := c.catchUp(s, 6); err != nil {
				t.Fatal(err)
			}
			c.check(s)
		})
	}
}

// TestOpen_findsFlippedBits flips bits all over the journals. Either the store says so, or it ends
// earlier with everything right; never is something wrong in the middle.
func TestOpen_findsFlippedBits(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(20)
	for _, name := range []string{"blocks.ldb", "state.ldb", "index.ldb"} {
		silent, gaps, refused := 0, 0, 0
		for i := range 6 {
			dir := t.TempDir()
			s := c.open(dir, c.options())
			if err := c.catchUp(s, 20); err != nil {
				t.Fatal(err)
			}
			s.Close()
			flip(t, filepath.Join(dir, name), int64(i))
			s, err := store.Open(dir, c.options())
			if err != nil {
				wantCorrupt(t, err, name)
				refused++
				continue
			}
			if s.Gap() != nil {
				gaps++
			} else {
				silent++
			}
			c.check(s)
			if err := c.catchUp(s, 20); err != nil {
				t.Fatal(err)
			}
			c.check(s)
			s.Close()
		}
		t.Logf("%s: %d shorter or whole, %d with a gap, %d refused", name, silent, gaps, refused)
	}
}

func flip(t *testing.T, path string, i int64) {
	t.Helper()
	files, err := storage.OpenFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	fds, err := files.List(storage.TypeJournal)
	if err != nil || len(fds) == 0 {
		t.Fatal(fmt.Errorf("journals %v: %w", fds, errors.Join(err, fs.ErrNotExist)))
	}
	if err := simdisk.FlipBit(files, fds[len(fds)-1], 997*i*i*8+i); err != nil {
		t.Fatal(err)
	}
}
