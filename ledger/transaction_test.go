package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

func TestDecodeTransaction_ofEachType(t *testing.T) {
	for kind, tx := range testTransactions(t) {
		inner := tx.Inner()
		if int(tx.Type()) != kind || inner.Type() != tx.Type() {
			t.Errorf("type %d and %d, want %d", tx.Type(), inner.Type(), kind)
		}
		if want := crypto.PubkeyToAddress(testKey(t, 0).PublicKey); tx.From() != want {
			t.Errorf("type %d: from %s, want %s", kind, tx.From(), want)
		}
		if tx.Hash() != inner.Hash() || tx.Hash() != crypto.Keccak256Hash(tx.Raw()) {
			t.Errorf("type %d: hash %s", kind, tx.Hash())
		}
		if tx.Nonce() != inner.Nonce() || tx.Gas() != inner.Gas() || *tx.To() != *inner.To() || tx.Value().ToBig().Cmp(inner.Value()) != 0 {
			t.Errorf("type %d: %+v", kind, tx)
		}
		if !bytes.Equal(tx.Data(), inner.Data()) || !reflect.DeepEqual(tx.AccessList(), inner.AccessList()) {
			t.Errorf("type %d: data %x, access list %v", kind, tx.Data(), tx.AccessList())
		}
		if uint64(tx.Size()) != inner.Size() {
			t.Errorf("type %d: size %d, want %d", kind, tx.Size(), inner.Size())
		}
		if err := tx.Validate(); err != nil || tx.Static() != 0 {
			t.Errorf("type %d cannot be executed: %v", kind, err)
		}
		golden(t, fmt.Sprintf("transaction_%d", kind), tx.Raw())
	}
}

func TestDecodeTransaction_keepsTheCreationsRecipientNil(t *testing.T) {
	tx := decode(t, signRaw(t, &types.LegacyTx{Gas: 60_000, Data: []byte{1}}))
	if tx.To() != nil || tx.Validate() != nil {
		t.Errorf("to %v, %v", tx.To(), tx.Validate())
	}
}

// Lengths around every form of an RLP prefix, also of the shortened list that is signed.
func TestDecodeTransaction_ofEverySize_recoversTheSender(t *testing.T) {
	want := crypto.PubkeyToAddress(testKey(t, 0).PublicKey)
	sizes := []int{65_300, 65_400, 65_500, 65_535, 65_536, 70_000, 1_000_000}
	for size := range 300 {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		data := bytes.Repeat([]byte{7}, size)
		for _, tx := range []types.TxData{
			&types.LegacyTx{To: &someone, Gas: 50_000_000, Data: data},
			&types.DynamicFeeTx{ChainID: chainID, Gas: 50_000_000, Data: data},
		} {
			if got := decode(t, signRaw(t, tx)).From(); got != want {
				t.Fatalf("%d bytes of data: from %s, want %s", size, got, want)
			}
		}
	}
}

// unsigned makes a transaction with any signature values.
func unsigned(tb testing.TB, data types.TxData) []byte {
	tb.Helper()
	return marshal(tb, types.NewTx(data))
}

func TestDecodeTransaction_refuses(t *testing.T) {
	key := testKey(t, 0)
	legacy := &types.LegacyTx{To: &someone, Gas: 21_000}
	valid := signRaw(t, legacy)
	sign := func(signer types.Signer) []byte {
		tx, err := types.SignNewTx(key, signer, legacy)
		if err != nil {
			t.Fatal(err)
		}
		return marshal(t, tx)
	}
	v, r, s := new(types.Transaction), new(big.Int), new(big.Int)
	if err := v.UnmarshalBinary(valid); err != nil {
		t.Fatal(err)
	}
	_, r, s = v.RawSignatureValues()
	high := new(big.Int).Sub(crypto.S256().Params().N, s)
	dynamic := func(change func(*types.DynamicFeeTx)) []byte {
		tx := &types.DynamicFeeTx{ChainID: chainID, To: &someone, Gas: 21_000, R: r, S: s, V: new(big.Int)}
		change(tx)
		return unsigned(t, tx)
	}
	two256 := new(big.Int).Lsh(big.NewInt(1), 256)
	for _, tt := range []struct {
		name string
		raw  []byte
		is   error
		text string
	}{
		{"nothing", nil, ledger.ErrInvalid, "invalid transaction"},
		{"garbage", []byte{0xff, 1, 2}, ledger.ErrInvalid, "invalid transaction"},
		{"type alone", []byte{2}, ledger.ErrInvalid, "typed transaction too short"},
		{"torn", valid[:len(valid)-1], ledger.ErrInvalid, "invalid transaction"},
		{"trailing byte", append(bytes.Clone(valid), 0), ledger.ErrInvalid, "invalid transaction"},
		{"wrapped in a string", mustRLP(t, valid), ledger.ErrInvalid, "invalid transaction"},
		{"blob", unsigned(t, &types.BlobTx{To: someone}), ledger.ErrTxType, "transaction type not valid"},
		{"set code", unsigned(t, &types.SetCodeTx{To: someone}), types.ErrTxTypeNotSupported, "transaction type not valid"},
		{"type 0 envelope", append([]byte{0}, valid...), ledger.ErrTxType, "type 0"},
		{"type 127", []byte{0x7f, 0xc0}, ledger.ErrTxType, "type 127"},
		{"unprotected", sign(types.HomesteadSigner{}), ledger.ErrUnprotected, "only replay-protected (EIP-155) transactions allowed over RPC"},
		{"unsigned", unsigned(t, legacy), ledger.ErrUnprotected, "only replay-protected"},
		{"other chain", sign(types.NewEIP155Signer(big.NewInt(1))), ledger.ErrInvalidChainID, "invalid chain id for signer: have 1 want 7357"},
		{"other chain, typed", dynamic(func(tx *types.DynamicFeeTx) { tx.ChainID = big.NewInt(2) }), types.ErrInvalidChainId, "have 2 want 7357"},
		{"chain of 65 bits", dynamic(func(tx *types.DynamicFeeTx) { tx.ChainID = new(big.Int).Lsh(chainID, 52) }), ledger.ErrInvalidChainID, "invalid chain id"},
		{"chain zero", dynamic(func(tx *types.DynamicFeeTx) { tx.ChainID = new(big.Int) }), ledger.ErrInvalidChainID, "invalid chain id"},
		{"high s", unsigned(t, &types.LegacyTx{To: &someone, Gas: 21_000, V: big.NewInt(2*7357 + 35), R: r, S: high}), ledger.ErrInvalidSender, "invalid sender: invalid transaction v, r, s values"},
		{"v of 2", dynamic(func(tx *types.DynamicFeeTx) { tx.V = big.NewInt(2) }), ledger.ErrInvalidSender, "invalid sender"},
		{"v of 230", dynamic(func(tx *types.DynamicFeeTx) { tx.V = big.NewInt(230) }), ledger.ErrInvalidSender, "invalid sender"},
		{"v of 257", dynamic(func(tx *types.DynamicFeeTx) { tx.V = big.NewInt(257) }), ledger.ErrInvalidSender, "invalid sender"},
		{"zero r", dynamic(func(tx *types.DynamicFeeTx) { tx.R = new(big.Int) }), ledger.ErrInvalidSender, "invalid sender"},
		{"zero s", dynamic(func(tx *types.DynamicFeeTx) { tx.S = new(big.Int) }), ledger.ErrInvalidSender, "invalid sender"},
		{"r of the group order", dynamic(func(tx *types.DynamicFeeTx) { tx.R = crypto.S256().Params().N }), ledger.ErrInvalidSender, "invalid sender"},
		{"r that is no point", dynamic(func(tx *types.DynamicFeeTx) { tx.R = big.NewInt(5) }), ledger.ErrInvalidSender, "invalid sender"},
		{"s of 257 bits", dynamic(func(tx *types.DynamicFeeTx) { tx.S = two256 }), ledger.ErrInvalid, "invalid transaction"},
		{"gas above the cap", signRaw(t, &types.LegacyTx{To: &someone, Gas: 50_000_001}), ledger.ErrGasLimitTooHigh, "transaction gas limit too high (cap: 50000000, tx: 50000001)"},
		{"value of 257 bits", signRaw(t, &types.LegacyTx{To: &someone, Gas: 21_000, Value: two256}), ledger.ErrInsufficientFunds, "insufficient funds"},
		{"fee cap of 257 bits", dynamic(func(tx *types.DynamicFeeTx) { tx.GasFeeCap = two256 }), ledger.ErrFeeCapVeryHigh, "max fee per gas higher than 2^256-1"},
		{"tip of 257 bits", dynamic(func(tx *types.DynamicFeeTx) { tx.GasTipCap = two256 }), ledger.ErrTipVeryHigh, "max priority fee per gas higher than 2^256-1"},
		{"oversized", make([]byte, ledger.MaxTransactionBytes+1), ledger.ErrOversizedData, "oversized data: transaction size 1044481, limit 1044480"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tx, err := ledger.DecodeTransaction(tt.raw, ledger.TestnetChainID, testGenesis().Limits())
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) || tx != nil {
				t.Errorf("got %v and %v, want %q", tx, err, tt.text)
			}
		})
	}
}

func mustRLP(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := rlp.EncodeToBytes(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestTransaction_Static(t *testing.T) {
	data := []byte{0, 1, 2}
	list := types.AccessList{{StorageKeys: make([]common.Hash, 2)}, {}}
	for _, tt := range []struct {
		name string
		tx   types.TxData
		want ledger.DropReason
		text string
	}{
		{"enough gas", &types.LegacyTx{To: &someone, Data: data, Gas: 21_036}, 0, ""},
		{"too little gas", &types.LegacyTx{To: &someone, Data: data, Gas: 21_035}, ledger.DropIntrinsicGas, "intrinsic gas too low: gas 21035, minimum needed 21036"},
		{"enough for a list", &types.AccessListTx{ChainID: chainID, To: &someone, Gas: 29_600, AccessList: list}, 0, ""},
		{"too little for a list", &types.AccessListTx{ChainID: chainID, To: &someone, Gas: 29_599, AccessList: list}, ledger.DropIntrinsicGas, "minimum needed 29600"},
		{"tip", &types.DynamicFeeTx{ChainID: chainID, To: &someone, Gas: 21_000, GasTipCap: big.NewInt(1)}, ledger.DropTipAboveFeeCap, "max priority fee per gas higher than max fee per gas"},
		{"tip at the cap", &types.DynamicFeeTx{ChainID: chainID, To: &someone, Gas: 21_000, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(1)}, 0, ""},
		{"last nonce", &types.LegacyTx{To: &someone, Gas: 21_000, Nonce: math.MaxUint64}, ledger.DropNonceMax, "nonce has max value"},
		{"creation", &types.LegacyTx{Gas: 53_000}, 0, ""},
		{"creation with too little gas", &types.LegacyTx{Gas: 52_999}, ledger.DropIntrinsicGas, "minimum needed 53000"},
		{"largest creation", &types.LegacyTx{Gas: 1_000_000, Data: make([]byte, ledger.MaxInitCodeBytes)}, 0, ""},
		{
			"creation too large", &types.LegacyTx{Gas: 1_000_000, Data: make([]byte, ledger.MaxInitCodeBytes+1)},
			ledger.DropInitCodeSize, "max initcode size exceeded: code size 197633, limit 197632",
		},
		{"as much for a contract", &types.LegacyTx{To: &someone, Gas: 1_000_000, Data: make([]byte, ledger.MaxInitCodeBytes+1)}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tx := decode(t, signRaw(t, tt.tx))
			if got := tx.Static(); got != tt.want {
				t.Errorf("reason %s, want %s", got, tt.want)
			}
			err := tx.Validate()
			if (err == nil) != (tt.want == 0) || err != nil && (!strings.Contains(err.Error(), tt.text) || !errors.Is(err, tt.want.Err())) {
				t.Errorf("error %v, want %q", err, tt.text)
			}
		})
	}
}

func TestIntrinsicGas_ofCreations(t *testing.T) {
	if got, want := ledger.IntrinsicGas(make([]byte, 33), nil, true), uint64(53_000+33*4+2*2); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}

func TestDropReason(t *testing.T) {
	for r := ledger.DropReason(1); r.Valid(); r++ {
		if r.Err() == nil || r.String() != r.Err().Error() || r.Retry() != (r == ledger.DropNonceTooHigh) {
			t.Errorf("reason %d: %v, %s", uint8(r), r.Err(), r)
		}
	}
	for _, r := range []ledger.DropReason{0, ledger.DropInitCodeSize + 1, 255} {
		if r.Valid() || r.Err() != nil || r.String() != fmt.Sprintf("DropReason(%d)", uint8(r)) {
			t.Errorf("reason %d is valid: %v", uint8(r), r.Err())
		}
	}
}

// FuzzDecodeTransaction compares with go-ethereum's decoder and signer.
func FuzzDecodeTransaction(f *testing.F) {
	for _, tx := range testTransactions(f) {
		f.Add(tx.Raw())
	}
	f.Add(signRaw(f, &types.LegacyTx{Data: []byte("creation"), Nonce: math.MaxUint64, GasPrice: new(big.Int).SetBytes(bytes.Repeat([]byte{255}, 40))}))
	f.Add(unsigned(f, &types.SetCodeTx{To: someone}))
	f.Add(unsigned(f, &types.DynamicFeeTx{ChainID: chainID, To: &someone, V: big.NewInt(2), R: big.NewInt(5), S: big.NewInt(7)}))
	f.Add(unsigned(f, &types.LegacyTx{V: big.NewInt(2*7357 + 36), R: big.NewInt(5), S: big.NewInt(7)}))
	limits := testGenesis().Limits()
	signer := types.NewLondonSigner(chainID)
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, err := ledger.DecodeTransaction(raw, ledger.TestnetChainID, limits)
		var want types.Transaction
		wantErr := want.UnmarshalBinary(raw)
		var from common.Address
		if wantErr == nil {
			from, wantErr = signer.Sender(&want)
		}
		if wantErr == nil && !acceptable(&want, limits) {
			wantErr = errors.New("beyond the chain's rules")
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: error %v, go-ethereum says %v", raw, err, wantErr)
		}
		if err != nil {
			return
		}
		if tx.From() != from || tx.Hash() != want.Hash() || tx.Nonce() != want.Nonce() || tx.Gas() != want.Gas() || tx.Type() != want.Type() ||
			tx.Value().ToBig().Cmp(want.Value()) != 0 || (tx.To() == nil) != (want.To() == nil) || tx.To() != nil && *tx.To() != *want.To() ||
			tx.IntrinsicGas() != ledger.IntrinsicGas(want.Data(), want.AccessList(), want.To() == nil) ||
			!bytes.Equal(tx.Data(), want.Data()) || !equalLists(tx.AccessList(), want.AccessList()) ||
			(tx.Static() == ledger.DropTipAboveFeeCap) && want.GasTipCap().Cmp(want.GasFeeCap()) <= 0 {
			t.Fatalf("%x: decoded %+v", raw, tx)
		}
		if !bytes.Equal(marshal(t, tx.Inner()), raw) {
			t.Fatalf("%x is not canonical", raw)
		}
	})
}

// equalLists compares access lists; absent and empty ones are equal.
func equalLists(a, b types.AccessList) bool {
	return slices.EqualFunc(a, b, func(a, b types.AccessTuple) bool {
		return a.Address == b.Address && slices.Equal(a.StorageKeys, b.StorageKeys)
	})
}

func acceptable(tx *types.Transaction, limits ledger.Limits) bool {
	var fits uint256.Int
	return tx.Protected() && tx.Gas() <= limits.Gas && !fits.SetFromBig(tx.Value()) && tx.GasFeeCap().BitLen() <= 256 && tx.GasTipCap().BitLen() <= 256
}

// BenchmarkTransaction_Decode is what admitting one transaction costs: decode, hash, recover.
func BenchmarkTransaction_Decode(b *testing.B) {
	for kind, tx := range testTransactions(b) {
		b.Run(fmt.Sprintf("type=%d", kind), func(b *testing.B) {
			limits := testGenesis().Limits()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ledger.DecodeTransaction(tx.Raw(), ledger.TestnetChainID, limits); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}
