package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/ledger/store"
)

func TestChainOf(t *testing.T) {
	t.Parallel()
	_, err := store.ChainOf(t.TempDir())
	wantError(t, err, store.ErrNotFound)
	c := newChain(t).grow(3)
	dir := t.TempDir()
	synced := 0
	opts := c.options()
	opts.OnSync = func(time.Duration) { synced++ }
	s := c.open(dir, opts)
	if err := c.catchUp(s, 3); err != nil {
		t.Fatal(err)
	}
	if synced == 0 {
		t.Error("no sync was reported")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	chain, err := store.ChainOf(dir)
	if err != nil || chain != c.genesis.Commitment() {
		t.Errorf("got %s, %v; want %s", chain, err, c.genesis.Commitment())
	}
	if after := listing(t, dir); after != before {
		t.Errorf("a look changed the directory from\n%s\nto\n%s", before, after)
	}
}

// listing is all files with their sizes and times.
func listing(t *testing.T, dir string) (text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			text += path + " " + info.ModTime().String() + "\n"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
