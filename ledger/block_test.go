package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
)

// rfc6962 is the definition in RFC 6962 §2.1, word for word.
func rfc6962(items [][]byte) [32]byte {
	if len(items) == 1 {
		return sha256.Sum256(append([]byte{0}, items[0]...))
	}
	k := 1
	for k*2 < len(items) {
		k *= 2
	}
	left, right := rfc6962(items[:k]), rfc6962(items[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// testReceipts has one receipt per transaction, one of them with logs and one failed.
func testReceipts(txs []*ledger.Transaction) []*types.Receipt {
	receipts := make([]*types.Receipt, len(txs))
	for i, tx := range txs {
		r := &types.Receipt{Type: tx.Type(), Status: 1, CumulativeGasUsed: uint64(i+1) * 21_000, Logs: []*types.Log{}, TxHash: tx.Hash(), GasUsed: 21_000, EffectiveGasPrice: new(big.Int)}
		if i%3 == 1 {
			r.Logs = []*types.Log{{Address: someone, Topics: []common.Hash{{byte(i)}, {2}}, Data: []byte{3}}}
			r.Bloom = types.CreateBloom(r)
		}
		if i%3 == 2 {
			r.Status = 0
		}
		receipts[i] = r
	}
	return receipts
}

func TestRoots_areThoseOfRFC6962(t *testing.T) {
	if ledger.TransactionsRoot(nil) != types.EmptyRootHash || ledger.ReceiptsRoot(nil) != types.EmptyRootHash {
		t.Error("the root of nothing is not Ethereum's constant")
	}
	kinds := testTransactions(t)
	for n := 1; n <= 33; n++ {
		txs := make([]*ledger.Transaction, n)
		raws := make([][]byte, n)
		for i := range txs {
			txs[i] = kinds[i%3]
			raws[i] = txs[i].Raw()
		}
		if got, want := ledger.TransactionsRoot(txs), common.Hash(rfc6962(raws)); got != want {
			t.Errorf("root of %d transactions is %s, want %s", n, got, want)
		}
		receipts := testReceipts(txs)
		for i, r := range receipts {
			encoded, err := r.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			raws[i] = encoded
		}
		if got, want := ledger.ReceiptsRoot(receipts), common.Hash(rfc6962(raws)); got != want {
			t.Errorf("root of %d receipts is %s, want %s", n, got, want)
		}
	}
	txRoot, receiptRoot := ledger.TransactionsRoot(kinds), ledger.ReceiptsRoot(testReceipts(kinds))
	golden(t, "transactions_root", txRoot[:])
	golden(t, "receipts_root", receiptRoot[:])
}

func TestReceiptsRoot_ofOne_isItsLeaf(t *testing.T) {
	bloom := types.Bloom(bytes.Repeat([]byte{0xb1}, types.BloomByteLength))
	for kind := range uint8(3) {
		for _, gas := range []uint64{0, 1, 127, 128, 255, 256, 21_000, 1 << 16, 1<<24 - 1, 1 << 32, 1 << 40, 1 << 48, 1 << 56, 1<<64 - 1} {
			for _, r := range []*types.Receipt{
				{Status: 0},
				{Status: 1},
				{Status: 1, Bloom: bloom},
				{PostState: bytes.Repeat([]byte{7}, 32)},
				{Status: 1, Logs: []*types.Log{{Data: []byte{1}}}},
				{Status: 1, Logs: []*types.Log{{}, {Data: []byte{0x80}, Topics: make([]common.Hash, 4)}}},
				{Status: 0, Logs: []*types.Log{{Data: make([]byte, 55)}, {Data: make([]byte, 56)}, {Data: make([]byte, 70_000)}}},
				{Status: 1, Logs: slices.Repeat([]*types.Log{{Address: someone, Topics: []common.Hash{{1}}, Data: []byte{0x7f}}}, 300)},
			} {
				r.Type, r.CumulativeGasUsed = kind, gas
				encoded, err := r.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if got, want := ledger.ReceiptsRoot([]*types.Receipt{r}), common.Hash(rfc6962([][]byte{encoded})); got != want {
					t.Errorf("root of %+v is %s, want %s", r, got, want)
				}
			}
		}
	}
}

func TestSealHeader(t *testing.T) {
	g := testGenesis()
	parent := g.Header(common.Hash{0xab})
	txs := testTransactions(t)
	receipts := testReceipts(txs)
	o := &ledger.Ordered{Hash: common.Hash{0xc0}, Height: 1, TimeMs: g.TimeMs + 2_345, Proposer: someone}
	h := ledger.SealHeader(g, parent, o, txs, receipts, common.Hash{0xcd})
	encoded := mustRLP(t, h)
	golden(t, "header", encoded)
	if h.Hash() != crypto.Keccak256Hash(encoded) {
		t.Error("the hash is not keccak256 of the encoding")
	}
	hash := h.Hash()
	golden(t, "header_hash", hash[:])
	if h.ParentHash != parent.Hash() || h.Coinbase != someone || h.Root != (common.Hash{0xcd}) || h.MixDigest != o.Hash || h.Number.Uint64() != 1 ||
		h.GasLimit != g.BlockGasLimit || h.GasUsed != 63_000 || h.Time != 1_700_000_002 || h.Difficulty.Sign() != 0 || h.BaseFee.Sign() != 0 ||
		h.Nonce != (types.BlockNonce{}) || h.UncleHash != types.EmptyUncleHash || h.WithdrawalsHash != nil {
		t.Errorf("header %+v", h)
	}
	if h.TxHash != ledger.TransactionsRoot(txs) || h.ReceiptHash != ledger.ReceiptsRoot(receipts) || h.Bloom != types.MergeBloom(receipts) || h.Bloom == (types.Bloom{}) {
		t.Errorf("roots %s %s, bloom %x", h.TxHash, h.ReceiptHash, h.Bloom)
	}
	if ms, err := ledger.HeaderTimeMs(h); err != nil || ms != o.TimeMs {
		t.Errorf("time %d, %v", ms, err)
	}
	h.Extra = h.Extra[:7]
	if _, err := ledger.HeaderTimeMs(h); err == nil {
		t.Error("7 bytes of extra data are a time")
	}
}

func TestSealHeader_whenTheClockWentBack_keepsTheParentsSeconds(t *testing.T) {
	g := testGenesis()
	parent := g.Header(common.Hash{})
	h := ledger.SealHeader(g, parent, &ledger.Ordered{Height: 1, TimeMs: 1}, nil, nil, common.Hash{})
	if h.Time != parent.Time || !bytes.Equal(h.Extra, []byte{0, 0, 0, 0, 0, 0, 0, 1}) {
		t.Errorf("time %d, extra %x", h.Time, h.Extra)
	}
	if h.GasUsed != 0 || h.TxHash != types.EmptyRootHash || h.Bloom != (types.Bloom{}) {
		t.Errorf("header of an empty block %+v", h)
	}
}

func TestSealHeader_ofAnotherHeight_panics(t *testing.T) {
	g := testGenesis()
	defer func() {
		if got, want := fmt.Sprint(recover()), "ledger: sealing height 2 on top of 0"; got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}()
	ledger.SealHeader(g, g.Header(common.Hash{}), &ledger.Ordered{Height: 2}, nil, nil, common.Hash{})
}

func TestNewBlock_placesReceiptsAndLogs(t *testing.T) {
	g := testGenesis()
	h := g.Header(common.Hash{})
	h.Number.SetUint64(7)
	txs := slices.Repeat(testTransactions(t), 2)
	b := ledger.NewBlock(ledger.Ordered{Height: 7}, h, txs, testReceipts(txs), []ledger.Drop{{Index: 3}})
	index := uint(0)
	for i, r := range b.Receipts {
		if r.BlockHash != h.Hash() || r.BlockNumber.Uint64() != 7 || r.TransactionIndex != uint(i) {
			t.Errorf("receipt %d is of transaction %d in block %s %s", i, r.TransactionIndex, r.BlockNumber, r.BlockHash)
		}
		for _, l := range r.Logs {
			want := &types.Log{
				Address: l.Address, Topics: l.Topics, Data: l.Data, BlockHash: h.Hash(), BlockNumber: 7,
				BlockTimestamp: h.Time, TxHash: txs[i].Hash(), TxIndex: uint(i), Index: index,
			}
			if !reflect.DeepEqual(l, want) {
				t.Errorf("log %d is\n%+v, want\n%+v", index, l, want)
			}
			index++
		}
	}
	if index != 2 {
		t.Errorf("%d logs, want 2", index)
	}
	if b.Ordered.Height != 7 || b.Header != h || len(b.Transactions) != 6 || len(b.Drops) != 1 {
		t.Errorf("block %+v", b)
	}
}

// BenchmarkRoots is what committing to the transactions and receipts of a block of transfers costs.
func BenchmarkRoots(b *testing.B) {
	const n = 1000
	txs := slices.Repeat(testTransactions(b)[:1], n)
	receipts := func(logs ...*types.Log) []*types.Receipt {
		list := make([]*types.Receipt, n)
		for i := range list {
			list[i] = &types.Receipt{Status: 1, CumulativeGasUsed: uint64(i+1) * 21_000, Logs: logs}
		}
		return list
	}
	b.Run(fmt.Sprintf("transactions=%d", n), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ledger.TransactionsRoot(txs)
		}
	})
	token := &types.Log{Topics: make([]common.Hash, 3), Data: make([]byte, 32)}
	for _, logs := range [][]*types.Log{nil, {token}} {
		list := receipts(logs...)
		b.Run(fmt.Sprintf("receipts=%d/logs=%d", n, len(logs)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ledger.ReceiptsRoot(list)
			}
		})
	}
}
