package store_test

import (
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger/store"
)

// digests are of all files below a directory.
func digests(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	found := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		found[path] = sha256.Sum256(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestOpenReadOnly_changesNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(9)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	if err := c.catchUp(s, 9); err != nil {
		t.Fatal(err)
	}
	opts := c.options()
	_, _, err := store.OpenReadOnly(dir, opts)
	wantError(t, err, store.ErrLocked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := digests(t, dir)
	for range 2 {
		r, problems, err := store.OpenReadOnly(dir, opts)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v, %v", problems, err)
		}
		c.check(r)
		for _, change := range c.coalesce(0, 9) {
			if got, err := r.StateValue(change.Key); err != nil || string(got) != string(change.Value) {
				t.Errorf("%x is %x, %v, want %x", change.Key, got, err, change.Value)
			}
		}
		if got, err := r.StateValue([]byte("nothing")); err != nil || got != nil {
			t.Errorf("got %x, %v", got, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := digests(t, dir); !maps.Equal(before, after) {
		t.Errorf("files changed: %d before, %d after", len(before), len(after))
	}
}

func TestOpenReadOnly_whenSomethingIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(dir string) error
		want  string // names of the databases that have a problem
	}{
		{"no index", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "index.ldb")) }, "index.ldb"},
		{"no state", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "state.ldb")) }, "state.ldb index.ldb"},
		{"no manifest", func(dir string) error { return os.Remove(filepath.Join(dir, "index.ldb", "CURRENT")) }, "index.ldb"},
		{"nothing", func(dir string) error {
			for _, name := range []string{"blocks.ldb", "state.ldb", "index.ldb"} {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
			return nil
		}, "blocks.ldb state.ldb index.ldb"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t).grow(4)
			dir := t.TempDir()
			s := c.open(dir, c.options())
			if err := c.catchUp(s, 4); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := tc.spoil(dir); err != nil {
				t.Fatal(err)
			}
			before := digests(t, dir)
			opts := c.options()
			opts.Logger = testlog.New(t)
			r, problems, err := store.OpenReadOnly(dir, opts)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range problems {
				names = append(names, p.Database)
			}
			if got := strings.Join(names, " "); got != tc.want {
				t.Errorf("problems with %q: %v", got, problems)
			}
			_, err = r.Transaction(common.Hash{1})
			wantError(t, err, store.ErrNotFound)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if after := digests(t, dir); !maps.Equal(before, after) {
				t.Errorf("files changed: %v", after)
			}
		})
	}
}
