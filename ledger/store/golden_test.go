package store_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Every entry of each database is a line in testdata: the key, a space, the value. A difference needs a new schema
// version, or nodes would misread the databases of yesterday.
func TestStore_goldenDatabases(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	a, b, early := c.transfer(), c.transfer(), c.transfer()
	c.deploy("code")
	c.add([]*ledger.Transaction{a, b}, []*ledger.Transaction{early})
	c.add([]*ledger.Transaction{early}, nil)
	last := c.blocks[2]
	receipt := last.Receipts[0]
	receipt.Status, receipt.ContractAddress = 0, common.Address{0xc0}
	receipt.Logs = []*types.Log{
		{Address: common.Address{0xa1}, Topics: []common.Hash{{1}, {2}}, Data: []byte("data")},
		{Address: common.Address{0xa2}, Topics: []common.Hash{}, Data: []byte{}},
	}
	receipt.Bloom = types.CreateBloom(receipt)
	last.Header = ledger.SealHeader(c.genesis, c.blocks[1].Header, &last.Ordered, last.Transactions, last.Receipts, last.Header.Root)

	dir := t.TempDir()
	s := c.open(dir, c.options())
	if err := c.catchUp(s, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.PutExecCert(1, []byte("cert")); err != nil {
		t.Fatal(err)
	}
	if err := s.AddEvidence(store.Evidence{FirstSeenMs: 1_700_000_000_000, Proof: []byte("proof")}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Block(2)
	if err != nil {
		t.Fatal(err)
	}
	if r := got.Receipts[0]; r.Status != 0 || r.ContractAddress != receipt.ContractAddress || r.Bloom != receipt.Bloom ||
		len(r.Logs) != 2 || !reflect.DeepEqual(r.Logs[0].Topics, receipt.Logs[0].Topics) {
		t.Errorf("the receipt reads as %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blocks", "state", "index"} {
		edit(t, filepath.Join(dir, name+".ldb"), func(db *leveldb.DB) error {
			golden(t, name, db)
			return nil
		})
	}
}

// golden compares what a database holds with testdata/name.hex.
func golden(t *testing.T, name string, db *leveldb.DB) {
	t.Helper()
	var text strings.Builder
	entries := db.NewIterator(nil, nil)
	defer entries.Release()
	for entries.Next() {
		fmt.Fprintf(&text, "%x %x\n", entries.Key(), entries.Value())
	}
	if err := entries.Error(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".hex")
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, want := lines(text.String()), lines(string(file))
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: key %s has\n%s, want\n%s", name, key, got[key], value)
		}
	}
	for key, value := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: key %s is new, with %s", name, key, value)
		}
	}
}

// lines maps the keys of a golden file to their values, both as they are written there.
func lines(text string) map[string]string {
	entries := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		entries[key] = value
	}
	return entries
}
