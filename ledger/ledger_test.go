package ledger_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares bytes with testdata/name.hex, or with a JSON file as it is: a difference is a fork of every existing chain.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path, text := filepath.Join("testdata", name+".hex"), hex.EncodeToString(got)+"\n"
	if filepath.Ext(name) == ".json" {
		path, text = filepath.Join("testdata", name), string(got)
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is\n%swant\n%s", name, text, want)
	}
}

// testKey is a key of its own for every i.
func testKey(tb testing.TB, i byte) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte("ledger test key"), []byte{i}))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// testValidators are n keys sorted by address.
func testValidators(tb testing.TB, n int) ([]*ecdsa.PrivateKey, []common.Address) {
	tb.Helper()
	keys := make([]*ecdsa.PrivateKey, n)
	for i := range keys {
		keys[i] = testKey(tb, byte(i))
	}
	address := func(k *ecdsa.PrivateKey) common.Address { return crypto.PubkeyToAddress(k.PublicKey) }
	slices.SortFunc(keys, func(a, b *ecdsa.PrivateKey) int {
		x, y := address(a), address(b)
		return bytes.Compare(x[:], y[:])
	})
	addresses := make([]common.Address, n)
	for i, k := range keys {
		addresses[i] = address(k)
	}
	return keys, addresses
}

func testGenesis() *ledger.Genesis {
	return ledger.DefaultGenesis(ledger.TestnetChainID,
		[]ledger.Validator{
			{Address: common.HexToAddress("0x02"), PeerID: "16Uiu2HAmA"},
			{Address: common.HexToAddress("0x01"), PeerID: "16Uiu2HAmB"},
		},
		[]ledger.Allocation{
			{Address: common.HexToAddress("0x0b"), Balance: uint256.NewInt(7)},
			{Address: common.HexToAddress("0x0a"), Balance: uint256.NewInt(1e18)},
		},
		1_700_000_000_123)
}

var (
	chainID = big.NewInt(ledger.TestnetChainID)
	someone = common.HexToAddress("0x50e0000000000000000000000000000000000e05")
)

// signRaw returns the canonical bytes of a transaction signed for the test chain.
func signRaw(tb testing.TB, data types.TxData) []byte {
	tb.Helper()
	tx, err := types.SignNewTx(testKey(tb, 0), types.NewPragueSigner(chainID), data)
	if err != nil {
		tb.Fatal(err)
	}
	return marshal(tb, tx)
}

func marshal(tb testing.TB, tx *types.Transaction) []byte {
	tb.Helper()
	raw, err := tx.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func decode(tb testing.TB, raw []byte) *ledger.Transaction {
	tb.Helper()
	tx, err := ledger.DecodeTransaction(raw, ledger.TestnetChainID, testGenesis().Limits())
	if err != nil {
		tb.Fatal(err)
	}
	return tx
}

// testTransactions are one of each type.
func testTransactions(tb testing.TB) []*ledger.Transaction {
	tb.Helper()
	list := types.AccessList{{Address: someone, StorageKeys: []common.Hash{{1}, {2}}}}
	var txs []*ledger.Transaction
	for _, data := range []types.TxData{
		&types.LegacyTx{Nonce: 1, To: &someone, Value: big.NewInt(5), Gas: 21_000, GasPrice: big.NewInt(1)},
		&types.AccessListTx{ChainID: chainID, Nonce: 2, To: &someone, Value: big.NewInt(6), Gas: 50_000, Data: []byte{1, 0, 2}, AccessList: list},
		&types.DynamicFeeTx{ChainID: chainID, Nonce: 3, To: &someone, Value: big.NewInt(7), Gas: 60_000, GasFeeCap: big.NewInt(9), GasTipCap: big.NewInt(8), AccessList: list},
	} {
		txs = append(txs, decode(tb, signRaw(tb, data)))
	}
	return txs
}
