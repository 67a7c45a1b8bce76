package ledger_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/ledger"
)

func testPayload(tb testing.TB) *ledger.Payload {
	tb.Helper()
	cert, _ := testCert(tb, 4, 0, 1, 3)
	return &ledger.Payload{Watermark: cert.Height, Cert: cert, TxHashes: []common.Hash{{1}, {2}, {3}}}
}

func TestPayload_encoding(t *testing.T) {
	for name, p := range map[string]*ledger.Payload{
		"payload":       testPayload(t),
		"payload_empty": {TxHashes: []common.Hash{}},
		"payload_plain": {Watermark: math.MaxUint64, TxHashes: []common.Hash{{0xff}}},
	} {
		encoded := ledger.EncodePayload(p)
		golden(t, name, encoded)
		got, err := ledger.DecodePayload(encoded)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s decodes to %+v, %v", name, got, err)
		}
	}
}

func TestDecodePayload_refuses(t *testing.T) {
	encode := func(change func(*ledger.Payload)) []byte {
		p := testPayload(t)
		change(p)
		return ledger.EncodePayload(p)
	}
	valid := encode(func(*ledger.Payload) {})
	for _, tt := range []struct {
		name string
		b    []byte
		text string
	}{
		{"nothing", nil, "invalid payload: "},
		{"a string", []byte{0x80}, "invalid payload: "},
		{"torn", valid[:len(valid)-1], "invalid payload: "},
		{"trailing", append(bytes.Clone(valid), 0), "invalid payload: "},
		{"two fields", mustRLP(t, []any{uint64(0), []any{}}), "too few elements"},
		{"four fields", mustRLP(t, []any{uint64(0), []any{}, []any{}, []any{}}), "too many elements"},
		{"cert as an empty string", mustRLP(t, []any{uint64(0), "", []any{}}), "invalid payload: "},
		{"short hash", mustRLP(t, []any{uint64(0), []any{}, []any{make([]byte, 31)}}), "invalid payload: "},
		{"leading zero", []byte{0xc4, 0x00, 0xc0, 0xc0}, "invalid payload: "},
		{"watermark of another height", encode(func(p *ledger.Payload) { p.Watermark++ }), "a certificate of height"},
		{"cert without signers", encode(func(p *ledger.Payload) { p.Cert.Bitmap, p.Cert.Sigs = nil, nil }), "0 signers"},
		{"cert with a signature too many", encode(func(p *ledger.Payload) { p.Cert.Sigs = append(p.Cert.Sigs, make([]byte, 65)...) }), "3 signers and 260 signature bytes"},
		{"cert with a vast bitmap", encode(func(p *ledger.Payload) { p.Cert.Bitmap = make([]byte, 129) }), "bitmap of 129 bytes"},
		{"too many transactions", ledger.EncodePayload(&ledger.Payload{TxHashes: make([]common.Hash, 1<<16+1)}), "65537 transactions"},
		{"vast", make([]byte, 3<<20+1), "limit 3145728"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ledger.DecodePayload(tt.b)
			if !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), tt.text) || p != nil {
				t.Errorf("got %v and %v, want %q", p, err, tt.text)
			}
		})
	}
}

func TestData_encoding(t *testing.T) {
	if b := ledger.EncodeData(nil); b != nil {
		t.Errorf("no transactions encode to %x", b)
	}
	if txs, err := ledger.DecodeData(nil); txs != nil || err != nil {
		t.Errorf("no bytes decode to %x, %v", txs, err)
	}
	var raws [][]byte
	for _, tx := range testTransactions(t) {
		raws = append(raws, tx.Raw())
	}
	encoded := ledger.EncodeData(raws)
	golden(t, "data", encoded)
	if got, err := ledger.DecodeData(encoded); err != nil || !reflect.DeepEqual(got, raws) {
		t.Errorf("decodes to %x, %v", got, err)
	}
}

func TestDecodeData_refuses(t *testing.T) {
	valid := ledger.EncodeData([][]byte{{1, 2}, {3, 4}})
	for _, tt := range []struct {
		name string
		b    []byte
		text string
	}{
		{"empty list", []byte{0xc0}, "empty list"},
		{"string", []byte{0x82, 1, 2}, "invalid block data"},
		{"torn", valid[:len(valid)-1], "invalid block data"},
		{"trailing", append(bytes.Clone(valid), 0), "followed by 1 bytes"},
		{"list inside", []byte{0xc1, 0xc0}, "transaction 0"},
		{"empty transaction", []byte{0xc1, 0x80}, "transaction 0 is empty"},
		{"long form of a byte", []byte{0xc2, 0x81, 0x01}, "invalid block data"},
		{"too many", mustRLP(t, make([][]byte, 1<<16+1)), "65537 transactions"},
		{"vast", make([]byte, 3<<20+1), "limit 3145728"},
		{"length beyond the end", []byte{0xfb, 0xff, 0xff, 0xff, 0xff}, "invalid block data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			txs, err := ledger.DecodeData(tt.b)
			if !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), tt.text) || txs != nil {
				t.Errorf("got %x and %v, want %q", txs, err, tt.text)
			}
		})
	}
}

func TestValidateBlock(t *testing.T) {
	txs := testTransactions(t)
	for _, tt := range []struct {
		name  string
		block func(g *ledger.Genesis, p *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction
		text  string
	}{
		{"valid", func(_ *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			return txs
		}, ""},
		{"gas at the limit", func(g *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			g.BlockGasLimit = 131_000
			return txs
		}, ""},
		{"gas", func(g *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			g.BlockGasLimit = 130_999
			return txs
		}, "more gas than 130999"},
		{"missing", func(_ *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			return txs[:2]
		}, "2 transactions for 3 hashes"},
		{"swapped", func(_ *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			return []*ledger.Transaction{txs[1], txs[0], txs[2]}
		}, "whose transaction 0 is"},
		{"twice", func(_ *ledger.Genesis, p *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			p.TxHashes[2] = p.TxHashes[0]
			return []*ledger.Transaction{txs[0], txs[1], txs[0]}
		}, "twice"},
		{"size at the limit", func(g *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			g.MaxBlockBytes = uint64(100 + txs[0].Size() + txs[1].Size() + txs[2].Size())
			return txs
		}, ""},
		{"size", func(g *ledger.Genesis, _ *ledger.Payload, txs []*ledger.Transaction) []*ledger.Transaction {
			g.MaxBlockBytes = uint64(99 + txs[0].Size() + txs[1].Size() + txs[2].Size())
			return txs
		}, "block of "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, p := testGenesis(), &ledger.Payload{}
			for _, tx := range txs {
				p.TxHashes = append(p.TxHashes, tx.Hash())
			}
			err := ledger.ValidateBlock(g, p, 100, tt.block(g, p, txs))
			if (err == nil) != (tt.text == "") || err != nil && (!errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), tt.text)) {
				t.Errorf("error %v, want %q", err, tt.text)
			}
		})
	}
}

func FuzzDecodePayload(f *testing.F) {
	f.Add(ledger.EncodePayload(testPayload(f)))
	f.Add(ledger.EncodePayload(&ledger.Payload{}))
	f.Add([]byte{0xc4, 0x00, 0xc0, 0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ledger.DecodePayload(b)
		if err != nil {
			if !errors.Is(err, ledger.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(ledger.EncodePayload(p), b) {
			t.Fatalf("%x is not canonical", b)
		}
	})
}

func FuzzDecodeData(f *testing.F) {
	f.Add(ledger.EncodeData([][]byte{{1}, {2, 3}, bytes.Repeat([]byte{4}, 60)}))
	f.Add([]byte{0xc0})
	f.Add([]byte{0xfb, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		txs, err := ledger.DecodeData(b)
		if err != nil {
			if !errors.Is(err, ledger.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		var want [][]byte
		if err := rlp.DecodeBytes(b, &want); len(b) > 0 && (err != nil || !reflect.DeepEqual(txs, want)) {
			t.Fatalf("%x decodes to %x, package rlp says %x, %v", b, txs, want, err)
		}
		if !bytes.Equal(ledger.EncodeData(txs), b) {
			t.Fatalf("%x is not canonical", b)
		}
	})
}
