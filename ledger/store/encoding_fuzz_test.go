package store_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

// goldenValues are the values of a table in a golden file.
func goldenValues(f *testing.F, name string, table byte) (values [][]byte) {
	f.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		f.Fatal(err)
	}
	for key, value := range lines(string(file)) {
		if strings.HasPrefix(key, hex.EncodeToString([]byte{table})) {
			values = append(values, common.FromHex(value))
		}
	}
	if len(values) == 0 {
		f.Fatalf("no %c in %s", table, name)
	}
	return values
}

func FuzzDecodeBody(f *testing.F) {
	for _, v := range goldenValues(f, "blocks", 'B') {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := store.DecodeBody(b); err == nil && !bytes.Equal(store.EncodeBody(o), b) {
			t.Fatalf("%x is not canonical", b)
		}
	})
}

// FuzzDecodeReceipts: of a block with the golden number of ordered transactions, or fewer.
func FuzzDecodeReceipts(f *testing.F) {
	for _, v := range goldenValues(f, "blocks", 'R') {
		f.Add(v, uint8(3))
	}
	hashes := make([]common.Hash, 4)
	for _, v := range goldenValues(f, "blocks", 'B') {
		o, err := store.DecodeBody(v)
		if err != nil {
			f.Fatal(err)
		}
		if p, err := ledger.DecodePayload(o.Payload); err == nil && len(p.TxHashes) == 3 {
			copy(hashes, p.TxHashes)
		}
	}
	header := ledger.DefaultGenesis(1, nil, nil, 5000).Header(common.Hash{})
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		ordered := hashes[:n%5]
		receipts, drops, err := store.DecodeReceipts(b, header, ordered)
		if err != nil {
			return
		}
		if again := store.EncodeReceipts(receipts, drops); !bytes.Equal(again, b) {
			t.Fatalf("%x is not canonical, but %x", b, again)
		}
		if len(receipts)+len(drops) != len(ordered) {
			t.Fatalf("%d receipts and %d drops for %d transactions", len(receipts), len(drops), len(ordered))
		}
		chosen, err := store.ChooseLogs(b, store.LogQuery{})
		if err != nil {
			t.Fatalf("the logs of %x are not found: %v", b, err)
		}
		logs := uint(0)
		for i, r := range receipts {
			if r.TransactionIndex != uint(i) || r.BlockHash != header.Hash() || r.Bloom != types.CreateBloom(r) {
				t.Fatalf("receipt %d is %+v", i, r)
			}
			for _, l := range r.Logs {
				if l.Index != logs || l.TxHash != r.TxHash {
					t.Fatalf("log %d is %+v", logs, l)
				}
				short := &types.Log{Address: l.Address, Topics: l.Topics, Data: l.Data, TxIndex: l.TxIndex, Index: l.Index}
				if !reflect.DeepEqual(chosen[logs], short) {
					t.Fatalf("log %d is read alone as %+v, want %+v", logs, chosen[logs], short)
				}
				logs++
			}
		}
		if int(logs) != len(chosen) {
			t.Fatalf("%d logs are %d when they are read alone", logs, len(chosen))
		}
		for _, d := range drops {
			if ordered[d.Index] != d.Hash || d.Reason.Err() == nil {
				t.Fatalf("drop %+v", d)
			}
		}
	})
}

func FuzzDecodeMarker(f *testing.F) {
	for _, v := range goldenValues(f, "state", 'C') {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, prev, err := store.DecodeMarker(b)
		if err == nil && !bytes.Equal(store.EncodeMarker(&m, prev, [32]byte(b[len(b)-32:])), b) {
			t.Fatalf("%x is not canonical", b)
		}
	})
}

func FuzzDecodeStateValue(f *testing.F) {
	for _, v := range goldenValues(f, "state", 'S') {
		f.Add(v)
	}
	f.Add([]byte{0x81, 0x00, 'y'}) // a length that is not in its shortest form
	f.Add(bytes.Repeat([]byte{0xff}, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, value, err := store.DecodeStateValue(b)
		if err == nil && !bytes.Equal(store.EncodeStateValue(key, value), b) {
			t.Fatalf("%x is not canonical", b)
		}
	})
}

func FuzzDecodePosition(f *testing.F) {
	for _, v := range goldenValues(f, "index", 't') {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := store.DecodePosition(b)
		if err == nil && !bytes.Equal(store.EncodePosition(&p), b) {
			t.Fatalf("%x is not canonical", b)
		}
		if err == nil && p.Dropped != 0 && p.Dropped.Err() == nil {
			t.Fatalf("dropped for no reason: %d", p.Dropped)
		}
	})
}

func FuzzDecodePosting(f *testing.F) {
	for _, v := range goldenValues(f, "index", 'L') {
		f.Add(v)
	}
	f.Add([]byte{0x80, 0x20}) // the last block
	f.Add([]byte{0x81, 0x00}) // not the shortest form
	f.Add([]byte{0x81, 0x20}) // behind the last block
	f.Add([]byte{5, 0})       // the same again
	f.Add(make([]byte, 512))  // an empty bitmap
	f.Add(bytes.Repeat([]byte{0xff}, 512))
	f.Add(bytes.Repeat([]byte{1}, 511))
	f.Fuzz(func(t *testing.T, b []byte) {
		offsets, err := store.Posting(b)
		if err != nil {
			return
		}
		if len(offsets) == 0 || !slices.IsSorted(offsets) || offsets[len(offsets)-1] > 4095 {
			t.Fatalf("%x is of the blocks %d", b, offsets)
		}
		if again := store.EncodePosting(offsets); !bytes.Equal(again, b) {
			t.Fatalf("%x is not canonical, but %x", b, again)
		}
	})
}

// TestPosting_encoding: every set comes back, in at most the bytes of a bitmap.
func TestPosting_encoding(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, share := range []float64{0, 0.001, 0.01, 0.1, 0.12, 0.125, 0.13, 0.5, 1} {
		for range 20 {
			want := []uint16{uint16(rng.IntN(4096))}
			for o := range uint16(4096) {
				if o != want[0] && rng.Float64() < share {
					want = append(want, o)
				}
			}
			slices.Sort(want)
			encoded := store.EncodePosting(want)
			got, err := store.Posting(encoded)
			if err != nil || !slices.Equal(got, want) || len(encoded) > 512 {
				t.Fatalf("%d blocks in %d bytes come back as %d, %v", len(want), len(encoded), len(got), err)
			}
		}
	}
}

func FuzzDecodeRun(f *testing.F) {
	for _, v := range goldenValues(f, "index", 'C') {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := store.DecodeRun(b); err == nil && !bytes.Equal(store.EncodeRun(r), b) {
			t.Fatalf("%x is not canonical", b)
		}
	})
}

// FuzzHeaderLink: the short way to a header's links agrees with decoding all of it.
func FuzzHeaderLink(f *testing.F) {
	for _, v := range goldenValues(f, "blocks", 'H') {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		hash, parent, err := store.HeaderLink(b)
		var h types.Header
		if rlp.DecodeBytes(b, &h) != nil {
			return // Damaged, which reading the block finds.
		}
		if err != nil || hash != crypto.Keccak256Hash(b) || parent != h.ParentHash || hash != h.Hash() {
			t.Fatalf("%x links %s to %s: %v", b, hash, parent, err)
		}
		if again, err := rlp.EncodeToBytes(&h); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is not canonical: %v", b, err)
		}
		if m := new(types.Header); rlp.DecodeBytes(b, m) != nil || !reflect.DeepEqual(m, &h) {
			t.Fatal("decoded twice, it differs")
		}
	})
}
