package simdisk_test

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/tercet-chain/tercet/testframework/simdisk"
)

var journal = storage.FileDesc{Type: storage.TypeJournal, Num: 1}

func readFile(t *testing.T, s storage.Storage) []byte {
	t.Helper()
	r, err := s.Open(journal)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLevelDB_PowerOff_losesWhatWasNotSynced(t *testing.T) {
	for _, tc := range []struct {
		name     string
		mode     simdisk.Retention
		failSync bool
		min, max int
		synced   []byte
	}{
		{name: "lose unsynced", mode: simdisk.LoseUnsynced, min: 3, max: 3, synced: []byte("abc")},
		{name: "keep prefix", mode: simdisk.KeepPrefix, min: 3, max: 6, synced: []byte("abc")},
		{name: "torn", mode: simdisk.TornLastPage, min: 6, max: 6, synced: []byte("abc")},
		{name: "failed sync", mode: simdisk.LoseUnsynced, failSync: true, min: 7, max: 7, synced: []byte("abc\x00\x00\x00g")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem := storage.NewMemStorage()
			disk := simdisk.NewLevelDB(1)
			w, err := disk.Wrap("db", mem).Create(journal)
			if err != nil {
				t.Fatal(err)
			}
			write := func(s string) {
				if _, err := w.Write([]byte(s)); err != nil {
					t.Fatal(err)
				}
			}
			write("abc")
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			write("def")
			if tc.failSync {
				disk.FailNext("sync", simdisk.Fault{Err: syscall.EIO})
				if err := w.Sync(); !errors.Is(err, syscall.EIO) {
					t.Fatalf("failed sync returned %v", err)
				}
				write("g")
				if err := w.Sync(); err != nil {
					t.Fatalf("the sync after a failed one: %v", err)
				}
			}
			w.Close() // mem storage gives a file to one user at a time
			if err := disk.PowerOff(tc.mode); err != nil {
				t.Fatal(err)
			}
			got := readFile(t, mem)
			if len(got) < tc.min || len(got) > tc.max || !bytes.HasPrefix(got, tc.synced) {
				t.Errorf("disk holds %q, want %d to %d bytes from %q", got, tc.min, tc.max, tc.synced)
			}
			if _, err := w.Write([]byte("x")); !errors.Is(err, simdisk.ErrPowerOff) {
				t.Errorf("write without power returned %v", err)
			}
		})
	}
}

func TestLevelDB_FailAt_stickyAndShort(t *testing.T) {
	mem := storage.NewMemStorage()
	disk := simdisk.NewLevelDB(1)
	disk.FailAt(2, simdisk.Fault{Err: syscall.ENOSPC, Short: 2, Sticky: true})
	w, err := disk.Wrap("db", mem).Create(journal)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write([]byte("abc")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write returned %d, %v; want 2 bytes and ENOSPC", n, err)
	}
	if err := w.Sync(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("sync returned %v, want the sticky ENOSPC", err)
	}
	if got := disk.Ops(); len(got) != 3 || got[1] != "db journal write" {
		t.Errorf("operations %q", got)
	}
}

func TestFlipBit_changesOneBit(t *testing.T) {
	mem := storage.NewMemStorage()
	w, err := mem.Create(journal)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte{0, 0})
	w.Close()
	if err := simdisk.FlipBit(mem, journal, 16+9); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, mem); !bytes.Equal(got, []byte{0, 2}) {
		t.Errorf("file holds %x, want 0002", got)
	}
}

// TestLevelDB_flippedBitIsSilent reproduces the first of goleveldb's faults that ledger/store has to
// survive: a damaged journal opens without an error and lacks a synced record.
func TestLevelDB_flippedBitIsSilent(t *testing.T) {
	path := t.TempDir()
	files, err := storage.OpenFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	db, err := leveldb.Open(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte{7}, 40_000)
	for _, k := range []string{"a", "b", "c"} {
		if err := db.Put([]byte(k), value, &opt.WriteOptions{Sync: true}); err != nil {
			t.Fatal(err)
		}
	}
	fds, err := files.List(storage.TypeJournal)
	if err != nil || len(fds) != 1 {
		t.Fatalf("journals %v, %v", fds, err)
	}
	db.Close()
	if err := simdisk.FlipBit(files, fds[0], 8*60_000); err != nil {
		t.Fatal(err)
	}
	files.Close()
	if db, err = leveldb.OpenFile(path, nil); err != nil {
		t.Fatalf("the damaged journal was noticed: %v", err)
	}
	defer db.Close()
	if _, err := db.Get([]byte("b"), nil); !errors.Is(err, leveldb.ErrNotFound) {
		t.Errorf("the damaged record reads as %v, want not found", err)
	}
}
