package store_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

func TestStore_readsBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(9)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	if err := c.catchUp(s, 9); err != nil {
		t.Fatal(err)
	}
	if err := s.PutExecCert(4, []byte("cert")); err != nil {
		t.Fatal(err)
	}
	for _, reopened := range []bool{false, true} {
		if reopened {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			opts := c.options()
			opts.Logger = testlog.New(t)
			s = c.open(dir, opts)
		}
		c.check(s)
		got, err := s.Block(8)
		if err != nil {
			t.Fatal(err)
		}
		if want := c.blocks[8]; !reflect.DeepEqual(got.Ordered, want.Ordered) || !reflect.DeepEqual(got.Receipts, want.Receipts) {
			t.Errorf("block 8 is\n%+v %+v, want\n%+v %+v", got.Ordered, got.Receipts[0], want.Ordered, want.Receipts[0])
		}
		if tip, ok := s.FinalTip(); !ok || tip != 8 {
			t.Errorf("final tip %d %v, want 8", tip, ok)
		}
		if cert, err := s.ExecCert(4); err != nil || string(cert) != "cert" {
			t.Errorf("certificate %q, %v", cert, err)
		}
		if tip, ok := s.ExecCertTip(); !ok || tip != 4 {
			t.Errorf("certified tip %d %v, want 4", tip, ok)
		}
		if p, ok := s.IndexProgress(); !ok || p != 9 {
			t.Errorf("progress %d %v, want 9", p, ok)
		}
		_, err = s.Header(10)
		wantError(t, err, store.ErrNotFound)
		_, err = s.Finalization(7)
		wantError(t, err, store.ErrNotFound)
		_, err = s.Transaction(common.Hash{1})
		wantError(t, err, store.ErrNotFound)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.CommitBlocks([]*ledger.Block{c.grow(10).blocks[10]}), store.ErrClosed)
}

func TestStore_writesOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(5)
	s := c.open(t.TempDir(), c.options())
	defer s.Close()
	if err := s.CommitBlocks(c.blocks[:4]); err != nil {
		t.Fatal(err)
	}
	if err := s.FlushState(c.marker(0, 1), c.coalesce(0, 1), nil); err != nil {
		t.Fatal(err)
	}
	other := *c.blocks[4]
	h := *other.Header
	h.ParentHash = common.Hash{9}
	other.Header = &h
	wrongRoot := c.marker(2, 3)
	wrongRoot.StateRoot = common.Hash{1}
	for _, tc := range []struct {
		name string
		err  error
	}{
		{"block again", s.CommitBlocks(c.blocks[3:4])},
		{"block too far", s.CommitBlocks(c.blocks[5:6])},
		{"block of another parent", s.CommitBlocks([]*ledger.Block{&other})},
		{"state ahead of blocks", s.FlushState(c.marker(2, 4), nil, nil)},
		{"state with a gap", s.FlushState(c.marker(3, 3), nil, nil)},
		{"state of another root", s.FlushState(wrongRoot, nil, nil)},
		{"index ahead of state", s.IndexBlocks(c.blocks[:3])},
		{"certificate ahead of blocks", s.PutExecCert(4, []byte{1})},
	} {
		t.Run(tc.name, func(t *testing.T) { wantError(t, tc.err, store.ErrOrder) })
	}
	if err := s.Err(); err != nil {
		t.Errorf("refused writes latched: %v", err)
	}
	if err := c.catchUp(s, 5); err != nil {
		t.Error(err)
	}
	c.check(s)
}

func TestStore_Transaction_firstPositionStays(t *testing.T) {
	c := newChain(t)
	a, b := c.transfer(), c.transfer()
	c.add([]*ledger.Transaction{a}, []*ledger.Transaction{b}) // b is early
	c.add([]*ledger.Transaction{b}, []*ledger.Transaction{a}) // a again
	for _, indexed := range []bool{false, true} {
		s := c.open(t.TempDir(), c.options())
		if err := s.CommitBlocks(c.blocks); err != nil {
			t.Fatal(err)
		}
		if indexed {
			for h := range uint64(3) {
				if err := c.derive(s, h); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, tc := range []struct {
			tx     *ledger.Transaction
			height uint64
		}{{a, 1}, {b, 2}} {
			p, err := s.Transaction(tc.tx.Hash())
			if err != nil || p.Height != tc.height || p.Dropped != 0 || p.PayloadIndex != 1 {
				t.Errorf("indexed %v: position %+v, %v; want height %d", indexed, p, err, tc.height)
			}
		}
		if indexed {
			other := a.Hash()
			other[31] ^= 1 // the same prefix
			_, err := s.Transaction(other)
			wantError(t, err, store.ErrNotFound)
		}
		s.Close()
	}
}

func TestOpen_derivedDatabasesAreMadeAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, c *chain, dir string)
		warn   string
	}{
		{"both deleted", func(t *testing.T, _ *chain, dir string) {
			os.RemoveAll(filepath.Join(dir, "state.ldb"))
			os.RemoveAll(filepath.Join(dir, "index.ldb"))
		}, ""},
		{"state deleted", func(t *testing.T, _ *chain, dir string) { os.RemoveAll(filepath.Join(dir, "state.ldb")) }, "moved aside"},
		{"marker lost", func(t *testing.T, _ *chain, dir string) {
			edit(t, filepath.Join(dir, "state.ldb"), func(db *leveldb.DB) error {
				return db.Delete(binary.BigEndian.AppendUint64([]byte{'C'}, 2), nil)
			})
		}, "moved aside"},
		{"first marker lost", func(t *testing.T, _ *chain, dir string) {
			edit(t, filepath.Join(dir, "state.ldb"), func(db *leveldb.DB) error {
				return db.Delete(binary.BigEndian.AppendUint64([]byte{'C'}, 0), nil)
			})
		}, "moved aside"},
		{"no manifest", func(t *testing.T, _ *chain, dir string) {
			os.Remove(filepath.Join(dir, "state.ldb", "CURRENT"))
		}, "moved aside"},
		{"index garbage", func(t *testing.T, _ *chain, dir string) {
			os.WriteFile(filepath.Join(dir, "index.ldb", "CURRENT"), []byte("rubbish\n"), 0o600)
			os.Remove(filepath.Join(dir, "index.ldb", "CURRENT.bak"))
		}, "moved aside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t).grow(9)
			dir := t.TempDir()
			s := c.open(dir, c.options())
			if err := c.catchUp(s, 9); err != nil {
				t.Fatal(err)
			}
			s.Close()
			tc.damage(t, c, dir)
			opts := c.options()
			if tc.warn == "" {
				opts.Logger = testlog.New(t)
			} else {
				opts.Logger = testlog.New(t, testlog.Expect(tc.warn))
			}
			s = c.open(dir, opts)
			defer s.Close()
			c.check(s)
			if err := c.catchUp(s, 9); err != nil {
				t.Fatal(err)
			}
			c.check(s)
			entries, _ := filepath.Glob(filepath.Join(dir, "*.ldb.bad-*"))
			if (len(entries) > 0) != (tc.warn != "") {
				t.Errorf("moved aside: %q", entries)
			}
		})
	}
}

func edit(t *testing.T, path string, change func(*leveldb.DB) error) {
	t.Helper()
	db, err := leveldb.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := change(db); err != nil {
		t.Fatal(err)
	}
}

func heightKey(table byte, h uint64) []byte { return binary.BigEndian.AppendUint64([]byte{table}, h) }

func TestOpen_gapIsNamedAndRefilled(t *testing.T) {
	t.Parallel()
	c := newChain(t).grow(12)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	if err := c.catchUp(s, 12); err != nil {
		t.Fatal(err)
	}
	s.Close()
	edit(t, filepath.Join(dir, "blocks.ldb"), func(db *leveldb.DB) error {
		var b leveldb.Batch
		for h := uint64(5); h <= 7; h++ {
			b.Delete(heightKey('H', h))
			b.Delete(heightKey('B', h))
			b.Delete(heightKey('R', h))
		}
		return db.Write(&b, nil)
	})
	opts := c.options()
	opts.Logger = testlog.New(t, testlog.Expect("blocks are missing"), testlog.Expect("moved aside"))
	s = c.open(dir, opts)
	gap := s.Gap()
	if gap == nil || gap.First != 5 || gap.Last != 7 {
		t.Fatalf("gap %v, want 5 to 7", gap)
	}
	if tip, _ := s.Tip(); tip != 4 {
		t.Errorf("tip %d, want 4", tip)
	}
	if _, err := s.Header(6); err == nil || !strings.Contains(err.Error(), "lacks heights 5 to 7") {
		t.Errorf("reading the gap: %v", err)
	}
	if err := c.catchUp(s, 12); err != nil {
		t.Fatal(err)
	}
	s.Close()
	opts.Logger = testlog.New(t)
	s = c.open(dir, opts)
	defer s.Close()
	if s.Gap() != nil {
		t.Errorf("gap after the repair: %v", s.Gap())
	}
	c.check(s)
}

func TestOpen_refuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(db *leveldb.DB) error
		other  bool
		want   error
	}{
		{name: "another chain", other: true, want: store.ErrWrongChain},
		{name: "newer schema", want: store.ErrSchemaNewer, change: func(db *leveldb.DB) error {
			return db.Put([]byte("Mschema"), []byte{0, 0, 0, 2}, nil)
		}},
		{name: "broken link", change: func(db *leveldb.DB) error {
			v, err := db.Get(heightKey('H', 2), nil)
			if err != nil {
				return err
			}
			v[10] ^= 1
			return db.Put(heightKey('H', 2), v, nil)
		}},
		{name: "no body at the tip", change: func(db *leveldb.DB) error { return db.Delete(heightKey('B', 3), nil) }},
		{name: "no schema", change: func(db *leveldb.DB) error { return db.Delete([]byte("Mschema"), nil) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t).grow(3)
			dir := t.TempDir()
			s := c.open(dir, c.options())
			if err := c.catchUp(s, 3); err != nil {
				t.Fatal(err)
			}
			s.Close()
			opts := c.options()
			if tc.other {
				g := *c.genesis
				g.TimeMs++
				opts.Genesis = &g
			} else {
				edit(t, filepath.Join(dir, "blocks.ldb"), tc.change)
			}
			_, err := store.Open(dir, opts)
			if tc.want != nil {
				wantError(t, err, tc.want)
				return
			}
			wantCorrupt(t, err, "blocks.ldb")
		})
	}
}

func TestOpen_locksTheDirectory(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	dir := t.TempDir()
	s := c.open(dir, c.options())
	_, err := store.Open(dir, c.options())
	wantError(t, err, store.ErrLocked)
	s.Close()
	c.open(dir, c.options()).Close()
}
