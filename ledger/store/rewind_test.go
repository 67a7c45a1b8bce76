package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

func newDevelopmentChain(t testing.TB) *chain {
	c := newChain(t)
	g := *c.genesis
	g.Development = true
	d := chainOf(t, &g)
	d.key = c.key
	return d
}

// rewind makes the chain end at a height and returns the changes that lead back there.
func (c *chain) rewind(height uint64) []ledger.Change {
	c.t.Helper()
	changes, err := c.state.Rewind(height)
	if err != nil {
		c.t.Fatal(err)
	}
	c.blocks, c.changes, c.codes = c.blocks[:height+1], c.changes[:height+1], c.codes[:height+1]
	c.nonce = 0
	for _, b := range c.blocks {
		c.nonce += uint64(len(b.Transactions))
	}
	return changes
}

// TestStore_rewinds goes back, on along another branch, and back again, and restarts after each step. A store which
// restarts in the middle has the old chain.
func TestStore_rewinds(t *testing.T) {
	c := newDevelopmentChain(t)
	dir := t.TempDir()
	opts := c.options()
	opts.Logger = testlog.New(t) // no database is moved aside
	s := c.open(dir, opts)
	restart := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = c.open(dir, opts)
	}
	for i, height := range []uint64{25, 24, 0, 7} {
		c.grow(30)
		if i%2 == 1 { // another branch: other transactions at the same heights
			c.add([]*ledger.Transaction{c.transfer()}, []*ledger.Transaction{c.transfer()})
			c.grow(33)
		}
		if err := c.catchUp(s, uint64(len(c.blocks)-1)); err != nil {
			t.Fatal(err)
		}
		c.check(s)
		whole := *c
		whole.blocks, whole.changes, whole.codes = slices.Clone(c.blocks), slices.Clone(c.changes), slices.Clone(c.codes)
		changes := c.rewind(height)
		if err := s.RewindDerived(height, changes); err != nil {
			t.Fatal(err)
		}
		restart()
		if tip, _ := s.Tip(); tip != uint64(len(whole.blocks)-1) {
			t.Fatalf("a store that was interrupted ends at %d", tip)
		}
		whole.check(s)
		if err := s.RewindBlocks(height); err != nil {
			t.Fatal(err)
		}
		c.check(s)
		restart()
		if tip, _ := s.Tip(); tip != height {
			t.Fatalf("the store ends at %d, want %d", tip, height)
		}
		c.check(s)
		for _, b := range whole.blocks[height+1:] {
			if _, err := s.HeightByHash(b.Header.Hash()); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("block %d is found by its hash: %v", b.Ordered.Height, err)
			}
			for _, tx := range b.Transactions {
				if _, err := s.Transaction(tx.Hash()); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("a transaction of block %d is found: %v", b.Ordered.Height, err)
				}
			}
		}
	}
	if aside, err := filepath.Glob(filepath.Join(dir, "*.bad-*")); err != nil || len(aside) > 0 {
		t.Errorf("databases were moved aside: %v, %v", aside, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStore_rewindsFarther empties what is derived.
func TestStore_rewindsFarther(t *testing.T) {
	c := newDevelopmentChain(t).grow(12)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	if err := c.catchUp(s, 12); err != nil {
		t.Fatal(err)
	}
	if err := s.RewindBlocks(5); !errors.Is(err, store.ErrOrder) {
		t.Errorf("blocks below the state: %v", err)
	}
	c.rewind(5)
	if err := errors.Join(s.RewindDerived(5, nil), s.RewindBlocks(5)); err != nil {
		t.Fatal(err)
	}
	c.check(s)
	if _, some := s.StateMarker(); some {
		t.Error("there is a state")
	}
	c.grow(9)
	if err := c.catchUp(s, 9); err != nil {
		t.Fatal(err)
	}
	c.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = c.open(dir, c.options())
	defer s.Close()
	c.check(s)
}

func TestStore_rewinds_onDevelopmentChainsOnly(t *testing.T) {
	c := newChain(t).grow(6)
	s := c.open(t.TempDir(), c.options())
	defer s.Close()
	if err := c.catchUp(s, 6); err != nil {
		t.Fatal(err)
	}
	if s.RewindDerived(3, []ledger.Change{}) == nil || s.RewindDerived(3, nil) == nil || s.RewindBlocks(3) == nil || s.RewindBlocks(6) == nil {
		t.Error("a chain went back")
	}
	c.check(s)
	if tip, _ := s.Tip(); tip != 6 {
		t.Errorf("it ends at %d", tip)
	}
}
