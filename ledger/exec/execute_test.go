package exec_test

import (
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
)

// accounts is a state without contracts in a map.
type accounts map[common.Address]ledger.Account

func (a accounts) Account(address common.Address) ledger.Account       { return a[address] }
func (a accounts) Storage(common.Address, common.Hash) (v common.Hash) { return v }
func (a accounts) Value([]byte) []byte                                 { return nil }
func (a accounts) Code(common.Hash) []byte                             { return nil }

func testKey(tb testing.TB, i int) (*ecdsa.PrivateKey, common.Address) {
	tb.Helper()
	seed := binary.BigEndian.AppendUint64([]byte("exec test key"), uint64(i))
	key, err := crypto.ToECDSA(crypto.Keccak256(seed))
	if err != nil {
		tb.Fatal(err)
	}
	return key, crypto.PubkeyToAddress(key.PublicKey)
}

func testGenesis(tb testing.TB) *ledger.Genesis {
	tb.Helper()
	_, validator := testKey(tb, 1<<20)
	g := ledger.DefaultGenesis(ledger.TestnetChainID, []ledger.Validator{{Address: validator}}, nil, 1_700_000_000_000)
	if err := g.Validate(); err != nil {
		tb.Fatal(err)
	}
	return g
}

func sign(tb testing.TB, g *ledger.Genesis, key *ecdsa.PrivateKey, data types.TxData) *ledger.Transaction {
	tb.Helper()
	signed, err := types.SignNewTx(key, types.NewLondonSigner(new(big.Int).SetUint64(g.ChainID)), data)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := signed.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	tx, err := ledger.DecodeTransaction(raw, g.ChainID, g.Limits())
	if err != nil {
		tb.Fatal(err)
	}
	return tx
}

// execute runs txs, which call no contract, as block 1.
func execute(tb testing.TB, g *ledger.Genesis, state exec.Reader, txs ...*ledger.Transaction) *exec.Result {
	tb.Helper()
	res, err := exec.Execute(tb.Context(), nil, g, g.Header(common.Hash{}), &ledger.Ordered{Height: 1, TimeMs: g.TimeMs + 1}, txs, state)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// after applies a result to a copy of the state.
func (a accounts) after(tb testing.TB, changes []ledger.Change) accounts {
	tb.Helper()
	next := maps.Clone(a)
	for i, c := range changes {
		address, ok := ledger.ParseAccountKey(c.Key)
		if !ok || c.Path != ledger.Path(c.Key) || c.Value == nil {
			tb.Fatalf("change %d is not an account: %x %x %x", i, c.Path, c.Key, c.Value)
		}
		if i > 0 && string(changes[i-1].Path[:]) >= string(c.Path[:]) {
			tb.Fatalf("change %d is not sorted by path", i)
		}
		account, err := ledger.DecodeAccount(c.Value)
		if err != nil {
			tb.Fatal(err)
		}
		if account == a[address] {
			tb.Fatalf("change %d of %s changes nothing", i, address)
		}
		next[address] = account
	}
	return next
}

func wei(v uint64) uint256.Int { return *uint256.NewInt(v) }

func maxWei() uint256.Int { return *new(uint256.Int).SetAllOne() }

func TestExecute_transfers(t *testing.T) {
	g := testGenesis(t)
	key, from := testKey(t, 0)
	_, other := testKey(t, 1)
	stranger := common.HexToAddress("0x5000000000000000000000000000000000000005")
	big1 := big.NewInt(1)
	legacy := func(nonce, value, gas uint64) types.TxData {
		return &types.LegacyTx{Nonce: nonce, To: &other, Value: new(big.Int).SetUint64(value), Gas: gas, GasPrice: big1}
	}
	type drops []ledger.DropReason
	for _, tt := range []struct {
		name  string
		state accounts
		txs   []types.TxData
		drops drops
		gas   uint64
		want  accounts
	}{
		{
			name:  "to a known account",
			state: accounts{from: {Nonce: 3, Balance: wei(100)}, other: {Balance: wei(7)}},
			txs:   []types.TxData{legacy(3, 40, 21_000)},
			gas:   21_000,
			want:  accounts{from: {Nonce: 4, Balance: wei(60)}, other: {Balance: wei(47)}},
		}, {
			name:  "to an unknown account",
			state: accounts{from: {Balance: wei(100)}},
			txs:   []types.TxData{legacy(0, 100, 21_000)},
			gas:   21_000,
			want:  accounts{from: {Nonce: 1}, other: {Balance: wei(100)}},
		}, {
			name:  "of nothing does not create the recipient",
			state: accounts{},
			txs:   []types.TxData{legacy(0, 0, 21_000)},
			gas:   21_000,
			want:  accounts{from: {Nonce: 1}},
		}, {
			name:  "to oneself",
			state: accounts{from: {Balance: wei(5)}},
			txs:   []types.TxData{&types.LegacyTx{To: &from, Value: big.NewInt(5), Gas: 21_000}},
			gas:   21_000,
			want:  accounts{from: {Nonce: 1, Balance: wei(5)}},
		}, {
			name:  "to oneself of more than there is",
			state: accounts{from: {Balance: wei(5)}},
			txs:   []types.TxData{&types.LegacyTx{To: &from, Value: big.NewInt(6), Gas: 21_000}},
			drops: drops{ledger.DropInsufficientFunds},
			want:  accounts{from: {Balance: wei(5)}},
		}, {
			name:  "of the whole supply",
			state: accounts{from: {Balance: maxWei()}},
			txs:   []types.TxData{&types.LegacyTx{To: &stranger, Value: maxWeiBig(), Gas: 21_000}},
			gas:   21_000,
			want:  accounts{from: {Nonce: 1}, stranger: {Balance: maxWei()}},
		}, {
			name:  "that would overflow the recipient",
			state: accounts{from: {Balance: wei(1)}, other: {Balance: maxWei()}},
			txs:   []types.TxData{legacy(0, 1, 21_000)},
			drops: drops{ledger.DropBalanceOverflow},
			want:  accounts{from: {Balance: wei(1)}, other: {Balance: maxWei()}},
		}, {
			name:  "without funds",
			state: accounts{},
			txs:   []types.TxData{legacy(0, 1, 21_000)},
			drops: drops{ledger.DropInsufficientFunds},
			want:  accounts{},
		}, {
			name:  "charges no fee",
			state: accounts{from: {Balance: wei(1)}},
			txs: []types.TxData{
				&types.DynamicFeeTx{ChainID: chainID(), To: &other, Value: big1, Gas: 50_000_000, GasFeeCap: maxWeiBig(), GasTipCap: maxWeiBig()},
			},
			gas:  21_000,
			want: accounts{from: {Nonce: 1}, other: {Balance: wei(1)}},
		}, {
			name:  "with a tip above the fee cap",
			state: accounts{},
			txs:   []types.TxData{&types.DynamicFeeTx{ChainID: chainID(), To: &other, Gas: 21_000, GasFeeCap: big1, GasTipCap: big.NewInt(2)}},
			drops: drops{ledger.DropTipAboveFeeCap},
			want:  accounts{},
		}, {
			name:  "with calldata",
			state: accounts{},
			txs:   []types.TxData{&types.LegacyTx{To: &other, Data: []byte{0, 1, 0, 2, 3}, Gas: 21_000 + 2*4 + 3*16}},
			gas:   21_056,
			want:  accounts{from: {Nonce: 1}},
		}, {
			name:  "with too little gas for its calldata",
			state: accounts{},
			txs:   []types.TxData{&types.LegacyTx{To: &other, Data: []byte{0, 1, 0, 2, 3}, Gas: 21_055}},
			drops: drops{ledger.DropIntrinsicGas},
			want:  accounts{},
		}, {
			name:  "with an access list",
			state: accounts{},
			txs: []types.TxData{&types.AccessListTx{
				ChainID: chainID(), To: &other, Gas: 100_000,
				AccessList: types.AccessList{{Address: other, StorageKeys: make([]common.Hash, 3)}, {Address: from}},
			}},
			gas:  21_000 + 2*2_400 + 3*1_900,
			want: accounts{from: {Nonce: 1}},
		}, {
			name:  "creation from too much",
			state: accounts{from: {Balance: wei(9)}},
			txs:   []types.TxData{&types.LegacyTx{Data: make([]byte, ledger.MaxInitCodeBytes+1), Gas: 1_000_000}},
			drops: drops{ledger.DropInitCodeSize},
			want:  accounts{from: {Balance: wei(9)}},
		}, {
			name:  "with the last nonce",
			state: accounts{from: {Nonce: math.MaxUint64}},
			txs:   []types.TxData{legacy(math.MaxUint64, 0, 21_000)},
			drops: drops{ledger.DropNonceMax},
			want:  accounts{from: {Nonce: math.MaxUint64}},
		}, {
			name:  "with the last but one nonce",
			state: accounts{from: {Nonce: math.MaxUint64 - 1}},
			txs:   []types.TxData{legacy(math.MaxUint64-1, 0, 21_000)},
			gas:   21_000,
			want:  accounts{from: {Nonce: math.MaxUint64}},
		}, {
			name:  "nonce gap, then the missing one, then the next",
			state: accounts{},
			txs:   []types.TxData{legacy(1, 0, 21_000), legacy(0, 0, 21_000), legacy(1, 0, 22_000)},
			drops: drops{ledger.DropNonceTooHigh, 0, 0},
			gas:   42_000,
			want:  accounts{from: {Nonce: 2}},
		}, {
			name:  "old nonce",
			state: accounts{from: {Nonce: 5}},
			txs:   []types.TxData{legacy(4, 0, 21_000)},
			drops: drops{ledger.DropNonceTooLow},
			want:  accounts{from: {Nonce: 5}},
		}, {
			name:  "same transaction again, another one with its nonce, and again",
			state: accounts{},
			txs:   []types.TxData{legacy(0, 0, 21_000), legacy(0, 0, 21_000), legacy(0, 0, 22_000), legacy(1, 0, 21_000), legacy(1, 0, 21_000)},
			drops: drops{0, ledger.DropDuplicate, ledger.DropNonceTooLow, 0, ledger.DropDuplicate},
			gas:   42_000,
			want:  accounts{from: {Nonce: 2}},
		}, {
			name:  "from an account with code",
			state: accounts{from: {CodeHash: common.Hash{1}}},
			txs:   []types.TxData{legacy(0, 0, 21_000)},
			drops: drops{ledger.DropSenderNoEOA},
			want:  accounts{from: {CodeHash: common.Hash{1}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var txs []*ledger.Transaction
			for _, data := range tt.txs {
				txs = append(txs, sign(t, g, key, data))
			}
			if tt.drops == nil {
				tt.drops = make(drops, len(txs))
			}
			res := execute(t, g, tt.state, txs...)
			checkShape(t, txs, res)
			got := make(drops, len(txs))
			for _, d := range res.Drops {
				got[d.Index] = d.Reason
			}
			if !reflect.DeepEqual(got, tt.drops) {
				t.Errorf("drops %v, want %v", got, tt.drops)
			}
			if res.GasUsed != tt.gas {
				t.Errorf("gas used %d, want %d", res.GasUsed, tt.gas)
			}
			if got := tt.state.after(t, res.Changes); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("state %v, want %v", got, tt.want)
			}
		})
	}
}

func chainID() *big.Int { return big.NewInt(ledger.TestnetChainID) }

func maxWeiBig() *big.Int { m := maxWei(); return m.ToBig() }

// checkShape checks what holds for every result.
func checkShape(t *testing.T, txs []*ledger.Transaction, res *exec.Result) {
	t.Helper()
	if len(res.Transactions) != len(res.Receipts) || len(res.Transactions)+len(res.Drops) != len(txs) {
		t.Fatalf("%d transactions, %d receipts and %d drops of %d", len(res.Transactions), len(res.Receipts), len(res.Drops), len(txs))
	}
	cumulative := uint64(0)
	for i, r := range res.Receipts {
		tx := res.Transactions[i]
		cumulative += r.GasUsed
		want := &types.Receipt{
			Type: tx.Type(), Status: 1, CumulativeGasUsed: cumulative, Logs: []*types.Log{}, TxHash: tx.Hash(),
			GasUsed: r.GasUsed, EffectiveGasPrice: new(big.Int), BlockNumber: big.NewInt(1), TransactionIndex: uint(i),
		}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("receipt %d\n%+v\nwant\n%+v", i, r, want)
		}
	}
	if cumulative != res.GasUsed {
		t.Errorf("receipts use %d gas, the block %d", cumulative, res.GasUsed)
	}
	seen := make(map[uint32]bool)
	for i, d := range res.Drops {
		if i > 0 && d.Index <= res.Drops[i-1].Index || int(d.Index) >= len(txs) || seen[d.Index] || d.Hash != txs[d.Index].Hash() || !d.Reason.Valid() {
			t.Errorf("drop %d is %+v", i, d)
		}
		seen[d.Index] = true
	}
}

func TestExecute_whenTheBlockIsFull_drops(t *testing.T) {
	g := testGenesis(t)
	g.BlockGasLimit = 50_000
	key, from := testKey(t, 0)
	_, to := testKey(t, 1)
	var txs []*ledger.Transaction
	for i, gas := range []uint64{29_000, 30_000, 29_000, 21_000} { // 50,000, 29,000, 29,000 and 8,000 are left
		nonce := uint64(i)
		if i > 1 {
			nonce--
		}
		txs = append(txs, sign(t, g, key, &types.LegacyTx{Nonce: nonce, To: &to, Gas: gas}))
	}
	res := execute(t, g, accounts{}, txs...)
	checkShape(t, txs, res)
	if len(res.Drops) != 2 || res.Drops[0].Index != 1 || res.Drops[0].Reason != ledger.DropBlockGas || res.Drops[1].Index != 3 || res.Drops[1].Reason != ledger.DropBlockGas {
		t.Errorf("drops %v", res.Drops)
	}
	if got := (accounts{}).after(t, res.Changes)[from].Nonce; got != 2 {
		t.Errorf("nonce %d, want 2", got)
	}
}

func TestExecute_whenNotTheNextBlock_fails(t *testing.T) {
	g := testGenesis(t)
	for _, height := range []uint64{0, 2} {
		if _, err := exec.Execute(t.Context(), nil, g, g.Header(common.Hash{}), &ledger.Ordered{Height: height}, nil, accounts{}); err == nil {
			t.Errorf("height %d on top of 0 executes", height)
		}
	}
}

func TestExecute_ofNothing(t *testing.T) {
	g := testGenesis(t)
	res := execute(t, g, accounts{})
	if len(res.Transactions)+len(res.Receipts)+len(res.Drops)+len(res.Changes) != 0 || res.GasUsed != 0 {
		t.Errorf("an empty block gave %+v", res)
	}
}

// BenchmarkExecute runs blocks of plain transfers between accounts that exist.
func BenchmarkExecute(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("txs=%d", n), func(b *testing.B) {
			g := testGenesis(b)
			state := make(accounts)
			txs := make([]*ledger.Transaction, n)
			for i := range txs {
				key, from := testKey(b, i)
				state[from] = ledger.Account{Balance: wei(1e18)}
				_, to := testKey(b, n+i)
				state[to] = ledger.Account{Balance: wei(1)}
				txs[i] = sign(b, g, key, &types.DynamicFeeTx{ChainID: chainID(), To: &to, Value: big.NewInt(1), Gas: 21_000})
			}
			parent := g.Header(common.Hash{})
			o := &ledger.Ordered{Height: 1, TimeMs: g.TimeMs + 1}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := exec.Execute(b.Context(), nil, g, parent, o, txs, state); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}
