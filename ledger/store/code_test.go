package store_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

// TestStore_Code_beforeAndAfterTheFlush: code is there from the moment its block is executed.
func TestStore_Code_beforeAndAfterTheFlush(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.deploy("first")
	c.deploy("second")
	c.grow(2)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	first := c.codes[1][0]
	want := func(err error) {
		t.Helper()
		got, have := s.Code(first.Hash)
		if err != nil {
			wantError(t, have, err)
		} else if have != nil || !bytes.Equal(got, first.Bytes) {
			t.Errorf("code is %q, %v; want %q", got, have, first.Bytes)
		}
	}
	want(store.ErrNotFound)
	s.HoldCodes(c.codes[1])
	want(nil)
	if err := c.catchUp(s, 2); err != nil {
		t.Fatal(err)
	}
	want(nil)
	c.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = c.open(dir, c.options())
	defer s.Close()
	want(nil)
	c.check(s)
}

// TestStore_Code_ofAnotherHash: what lies under a hash and has another one is never answered.
func TestStore_Code_ofAnotherHash(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(3)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	if err := c.catchUp(s, 3); err != nil {
		t.Fatal(err)
	}
	s.Close()
	hash := c.codes[2][0].Hash
	edit(t, filepath.Join(dir, "state.ldb"), func(db *leveldb.DB) error {
		return db.Put(append([]byte{'K'}, hash[:]...), []byte("other code"), nil)
	})
	s = c.open(dir, c.options())
	defer s.Close()
	_, err := s.Code(hash)
	wantCorrupt(t, err, "state.ldb")
}

// TestStore_Code_ofMoreThanFitsInMemory reads more code than is kept there, twice.
func TestStore_Code_ofMoreThanFitsInMemory(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(1)
	var all []ledger.Code
	for i := range byte(20) {
		code := bytes.Repeat([]byte{i}, 1<<20)
		all = append(all, ledger.Code{Hash: crypto.Keccak256Hash(code), Bytes: code})
	}
	s := c.open(t.TempDir(), c.options())
	defer s.Close()
	if err := s.CommitBlocks(c.blocks); err != nil {
		t.Fatal(err)
	}
	s.HoldCodes(all)
	if err := s.FlushState(c.marker(0, 1), c.coalesce(0, 1), all); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i, code := range all {
			if got, err := s.Code(code.Hash); err != nil || !bytes.Equal(got, code.Bytes) {
				t.Errorf("code %d has %d bytes, %v", i, len(got), err)
			}
		}
	}
	_, err := s.Code(common.Hash{1})
	wantError(t, err, store.ErrNotFound)
}
