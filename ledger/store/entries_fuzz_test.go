package store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
)

var databases = []string{"blocks.ldb", "state.ldb", "index.ldb"}

// inMemory is a disk of databases that hold entries; one that is opened again is empty.
type inMemory map[string]storage.Storage

func (m inMemory) wrap(name string, files storage.Storage) storage.Storage {
	files.Close()
	s := m[name]
	if s == nil {
		s = storage.NewMemStorage()
	}
	delete(m, name)
	return s
}

type entry struct{ key, value []byte }

// contents are the entries of the three databases of a chain of four blocks.
func contents(f *testing.F, c *chain) [][]entry {
	f.Helper()
	disk := map[string]storage.Storage{}
	opts := c.options()
	opts.Wrap = func(name string, files storage.Storage) storage.Storage {
		files.Close()
		disk[name] = storage.NewMemStorage()
		return disk[name]
	}
	s := c.open(f.TempDir(), opts)
	if err := errors.Join(c.catchUp(s, 4), s.PutExecCert(1, []byte("cert")), s.Close()); err != nil {
		f.Fatal(err)
	}
	all := make([][]entry, len(databases))
	for i, name := range databases {
		db, err := leveldb.Open(disk[name], nil)
		if err != nil {
			f.Fatal(err)
		}
		it := db.NewIterator(nil, nil)
		for it.Next() {
			all[i] = append(all[i], entry{append([]byte(nil), it.Key()...), append([]byte(nil), it.Value()...)})
		}
		it.Release()
		if err := errors.Join(it.Error(), db.Close()); err != nil {
			f.Fatal(err)
		}
	}
	return all
}

// FuzzStore_entries: one entry of one database is something else, gone, or too many. The store opens, or says what is
// wrong, and so does each answer.
func FuzzStore_entries(f *testing.F) {
	c := newChain(f)
	early := c.transfer()
	c.add([]*ledger.Transaction{c.transfer()}, []*ledger.Transaction{early})
	c.add([]*ledger.Transaction{early}, nil)
	c.grow(4)
	all := contents(f, c)
	for d := range all {
		for e := range all[d] {
			v := all[d][e].value
			f.Add(uint8(d), uint8(e), []byte(nil), v[:len(v)/2])
		}
		f.Add(uint8(d), uint8(0), all[d][0].key[:1], []byte{1})
	}
	f.Fuzz(func(t *testing.T, database, at uint8, key, value []byte) {
		d := int(database) % len(all)
		e := int(at) % len(all[d])
		disk := inMemory{}
		for i, name := range databases {
			disk[name] = storage.NewMemStorage()
			db, err := leveldb.Open(disk[name], nil)
			if err != nil {
				t.Fatal(err)
			}
			var batch leveldb.Batch
			for j, have := range all[i] {
				if i != d || j != e || len(key) > 0 {
					batch.Put(have.key, have.value)
				} else if len(value) > 0 {
					batch.Put(have.key, value)
				}
			}
			if i == d && len(key) > 0 {
				batch.Put(key, value)
			}
			if err := errors.Join(db.Write(&batch, nil), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
		opts := c.options()
		opts.Wrap = disk.wrap
		s, err := store.Open(t.TempDir(), opts)
		if err != nil {
			explained(t, err)
			return
		}
		ask(t, c, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// ask reads everything that a store can be asked for.
func ask(t *testing.T, c *chain, s *store.Store) {
	tip, _ := s.Tip()
	for h := uint64(0); h <= min(tip, 5)+1; h++ {
		b, err := s.Block(h)
		explained(t, err)
		if err == nil && (b.Ordered.Height != h || b.Header.Number.Uint64() != h || len(b.Transactions) != len(b.Receipts)) {
			t.Fatalf("block %d reads as %+v", h, b)
		}
		for _, ask := range []func(uint64) error{
			func(h uint64) error { _, err := s.Header(h); return err },
			func(h uint64) error { _, err := s.Ordered(h); return err },
			func(h uint64) error { _, _, err := s.Receipts(h); return err },
			func(h uint64) error { _, err := s.Logs(store.LogQuery{}, h); return err },
			func(h uint64) error { _, err := s.LogBlocks(store.LogQuery{}, 0, h); return err },
			func(h uint64) error { _, err := s.Finalization(h); return err },
			func(h uint64) error { _, err := s.ExecCert(h); return err },
		} {
			explained(t, ask(h))
		}
	}
	for _, b := range append(c.blocks, &ledger.Block{Header: c.blocks[0].Header}) {
		hash := b.Header.Hash()
		h, err := s.HeightByHash(hash)
		explained(t, err)
		if err == nil && h != b.Header.Number.Uint64() {
			t.Fatalf("block %s has height %d", hash, h)
		}
		for _, tx := range b.Transactions {
			_, err := s.Transaction(tx.Hash())
			explained(t, err)
		}
	}
	for _, code := range append(c.deployed(0, 4), ledger.Code{Hash: common.Hash{1}}) {
		got, err := s.Code(code.Hash)
		explained(t, err)
		if err == nil && !bytes.Equal(got, code.Bytes) {
			t.Fatalf("code %s reads as %q", code.Hash, got)
		}
	}
	_, err := s.Transaction(common.Hash{1})
	explained(t, err)
	load(t, s)
}

// load reads the flat state into a tree, as a node that starts does.
func load(t *testing.T, s *store.Store) {
	var changes []ledger.Change
	err := s.ScanState(func(ch ledger.Change) error {
		changes = append(changes, ledger.Change{Path: ch.Path, Key: append([]byte(nil), ch.Key...), Value: append([]byte(nil), ch.Value...)})
		return nil
	})
	explained(t, err)
	if err != nil {
		return
	}
	next := func() (ledger.Change, bool, error) {
		if len(changes) == 0 {
			return ledger.Change{}, false, nil
		}
		ch := changes[0]
		changes = changes[1:]
		return ch, true, nil
	}
	if _, err := state.New().Load(next, 4); err != nil && !errors.Is(err, state.ErrInvalidChange) {
		t.Fatalf("loading fails with %v", err)
	}
}

// explained fails the test on an error that its receiver could not tell from a failing disk.
func explained(t *testing.T, err error) {
	t.Helper()
	var corrupt *store.CorruptError
	for _, known := range []error{store.ErrNotFound, store.ErrOrder, store.ErrWrongChain, store.ErrSchemaNewer} {
		if errors.Is(err, known) {
			return
		}
	}
	if err != nil && !errors.As(err, &corrupt) {
		t.Fatalf("%v says neither that something is missing nor that it is damaged", err)
	}
}
