package store_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

func TestStore_evidence_keepsItsOrder_overPowerFailures(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	dir := t.TempDir()
	var want []store.Evidence
	for i := range 5 {
		disk := simdisk.NewLevelDB(uint64(i))
		disk.Retain(simdisk.LoseUnsynced)
		opts := c.options()
		opts.Wrap = disk.Wrap
		s := c.open(dir, opts)
		for range 3 {
			e := store.Evidence{FirstSeenMs: uint64(1000 - len(want)), Proof: []byte{byte(len(want)), 0, 0xff}}
			if err := s.AddEvidence(e); err != nil {
				t.Fatal(err)
			}
			want = append(want, e)
		}
		disk.FailAt(len(disk.Ops())+1, simdisk.Fault{PowerOff: true})
		_ = s.AddEvidence(store.Evidence{Proof: []byte("not acknowledged")}) // the power is gone
		_ = s.Close()
	}
	s := c.open(dir, c.options())
	got, err := s.Evidence()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStore_AddEvidence_failureLatches(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	disk := simdisk.NewLevelDB(1)
	opts := c.options()
	opts.Wrap = disk.Wrap
	s := c.open(t.TempDir(), opts)
	disk.FailAt(len(disk.Ops())+1, simdisk.Fault{Err: syscall.ENOSPC})
	if err := s.AddEvidence(store.Evidence{Proof: []byte("x")}); !errors.Is(err, store.ErrNoSpace) || s.Err() == nil {
		t.Errorf("error %v, latched %v", err, s.Err())
	}
	_ = s.Close()
}

func TestStore_Evidence_findsDamage(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	dir := t.TempDir()
	if err := c.open(dir, c.options()).Close(); err != nil {
		t.Fatal(err)
	}
	put := func(key []byte) func(*leveldb.DB) error {
		return func(db *leveldb.DB) error { return db.Put(key, []byte{1}, nil) }
	}
	edit(t, filepath.Join(dir, "blocks.ldb"), put(heightKey('V', 7)))
	s := c.open(dir, c.options())
	_, err := s.Evidence()
	wantCorrupt(t, err, "blocks.ldb")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(dir, "blocks.ldb"), put([]byte("Vshort")))
	_, err = store.Open(dir, c.options())
	wantCorrupt(t, err, "blocks.ldb")
}
