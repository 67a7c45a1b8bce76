package txpool_test

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

const chainID = 7357

var start = time.Unix(1_700_000_000, 0)

// table is a state of a few accounts.
type table map[common.Address]ledger.Account

func (t table) Account(a common.Address) ledger.Account { return t[a] }

func genesis() *ledger.Genesis { return ledger.DefaultGenesis(chainID, nil, nil, 0) }

func key(i int) *ecdsa.PrivateKey {
	k, err := crypto.ToECDSA(crypto.Keccak256([]byte("txpool"), big.NewInt(int64(i)).Bytes()))
	if err != nil {
		panic(err)
	}
	return k
}

func address(i int) common.Address { return crypto.PubkeyToAddress(key(i).PublicKey) }

func sign(t testing.TB, from int, data types.TxData) *ledger.Transaction {
	t.Helper()
	raw, err := types.MustSignNewTx(key(from), types.LatestSignerForChainID(big.NewInt(chainID)), data).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	tx, err := ledger.DecodeTransaction(raw, chainID, ledger.Limits{Bytes: 4 << 20, Gas: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func transfer(t testing.TB, from int, nonce uint64) *ledger.Transaction {
	t.Helper()
	return sign(t, from, &types.LegacyTx{Nonce: nonce, Gas: 21000, To: &common.Address{1}, Value: big.NewInt(1)})
}

func priced(t testing.TB, from int, nonce uint64, tip, feeCap int64) *ledger.Transaction {
	t.Helper()
	return sign(t, from, &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 21000, To: &common.Address{1},
		GasTipCap: big.NewInt(tip), GasFeeCap: big.NewInt(feeCap),
	})
}

// newPool returns a pool over n accounts of one ether.
func newPool(t testing.TB, n int, change func(*txpool.Config)) (*txpool.Pool, table) {
	t.Helper()
	state := table{}
	for i := range n {
		state[address(i)] = ledger.Account{Balance: *uint256.NewInt(1e18)}
	}
	cfg := txpool.Config{Genesis: genesis(), State: state}
	if change != nil {
		change(&cfg)
	}
	pool, err := txpool.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pool, state
}

func mustAdd(t testing.TB, pool *txpool.Pool, txs ...*ledger.Transaction) {
	t.Helper()
	for _, tx := range txs {
		if err := pool.Add(tx, start); err != nil {
			t.Fatalf("adding nonce %d of %s: %v", tx.Nonce(), tx.From(), err)
		}
	}
}

func names(txs []*ledger.Transaction) string {
	var b strings.Builder
	for _, tx := range txs {
		for i := range 9 {
			if tx.From() == address(i) {
				fmt.Fprintf(&b, " %c%d", 'a'+i, tx.Nonce())
			}
		}
	}
	return strings.TrimSpace(b.String())
}

func all(pool *txpool.Pool) string { return names(pool.Select(1<<20, 1<<40, nil)) }

func TestPool_Add_refuses(t *testing.T) {
	pool, state := newPool(t, 3, nil)
	state[address(1)] = ledger.Account{Nonce: 5, Balance: *uint256.NewInt(100)}
	held := priced(t, 0, 0, 100, 200)
	mustAdd(t, pool, held)
	for _, tc := range []struct {
		name string
		tx   *ledger.Transaction
		is   error
		text string
	}{
		{"known", held, txpool.ErrAlreadyKnown, "already known"},
		{"replacement with the same fees", sign(t, 0, &types.DynamicFeeTx{
			ChainID: big.NewInt(chainID), Gas: 22000, To: &common.Address{}, GasTipCap: big.NewInt(100), GasFeeCap: big.NewInt(200),
		}), txpool.ErrReplaceUnderpriced, "replacement transaction underpriced"},
		{"replacement with only the tip raised", priced(t, 0, 0, 110, 200), txpool.ErrReplaceUnderpriced, ""},
		{"replacement raised by 9 %", priced(t, 0, 0, 109, 218), txpool.ErrReplaceUnderpriced, ""},
		{"stale nonce", transfer(t, 1, 4), ledger.ErrNonceTooLow, "nonce too low: next nonce 5, tx nonce 4"},
		{"far nonce", transfer(t, 1, 5+1025), ledger.ErrNonceTooHigh, "nonce too high: tx nonce 1030, gapped nonce 5"},
		{
			"value above the balance", sign(t, 1, &types.LegacyTx{Nonce: 5, Gas: 21000, GasPrice: big.NewInt(1e9), To: &common.Address{}, Value: big.NewInt(101)}),
			txpool.ErrInsufficientFunds, "insufficient funds for gas * price + value: balance 100, tx cost 101, overshot 1",
		},
		{
			"too little gas", sign(t, 1, &types.LegacyTx{Nonce: 5, Gas: 20999, To: &common.Address{}}),
			ledger.ErrIntrinsicGas, "intrinsic gas too low: gas 20999, minimum needed 21000",
		},
		{"more gas than a block", sign(t, 1, &types.LegacyTx{Nonce: 5, Gas: 200_000_001, To: &common.Address{}}), txpool.ErrGasLimit, "exceeds block gas limit"},
		{
			"more gas than the cap", sign(t, 1, &types.LegacyTx{Nonce: 5, Gas: 50_000_001, To: &common.Address{}}),
			ledger.ErrGasLimitTooHigh, "transaction gas limit too high (cap: 50000000, tx: 50000001)",
		},
		{"oversized", sign(t, 1, &types.LegacyTx{Nonce: 5, Gas: 50_000_000, To: &common.Address{}, Data: make([]byte, 1<<20)}), ledger.ErrOversizedData, "oversized data: "},
		{
			"oversized creation", sign(t, 1, &types.LegacyTx{Nonce: 5, Gas: 1_000_000, Data: make([]byte, ledger.MaxInitCodeBytes+1)}),
			ledger.ErrMaxInitCodeSizeExceeded, "max initcode size exceeded: code size 197633, limit 197632",
		},
		{"tip above fee cap", priced(t, 1, 5, 2, 1), ledger.ErrTipAboveFeeCap, "max priority fee per gas higher than max fee per gas"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := pool.Add(tc.tx, start)
			if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want %q", err, tc.text)
			}
		})
	}
	if got := pool.Stats(); got.Pending != 1 || got.Queued != 0 {
		t.Errorf("got %+v after refusals", got)
	}
}

func TestPool_Add_admitsZeroBalanceAndAnyFee(t *testing.T) {
	pool, _ := newPool(t, 0, nil)
	mustAdd(t, pool, priced(t, 0, 0, 1e18, 1e18))
	mustAdd(t, pool, priced(t, 0, 0, 11e17, 11e17))
	if got := pool.Stats(); got.Pending != 1 {
		t.Errorf("got %+v, want the replacement alone", got)
	}
}

func TestPool_nonces(t *testing.T) {
	pool, state := newPool(t, 1, nil)
	for n := range uint64(1500) {
		mustAdd(t, pool, transfer(t, 0, n))
	}
	mustAdd(t, pool, transfer(t, 0, 1501))
	if got := pool.Nonce(address(0)); got != 1500 {
		t.Errorf("pending nonce %d, want 1500", got)
	}
	mustAdd(t, pool, transfer(t, 0, 1500))
	if got := pool.Nonce(address(0)); got != 1502 {
		t.Errorf("pending nonce %d after the gap closed, want 1502", got)
	}
	state[address(0)] = ledger.Account{Nonce: 700, Balance: *uint256.NewInt(1e18)}
	pool.Advance(&ledger.Block{Transactions: []*ledger.Transaction{transfer(t, 0, 699)}}, start)
	if got := pool.Stats(); got.Pending != 802 || got.Queued != 0 {
		t.Errorf("got %+v, want 802 pending", got)
	}
}

func TestPool_Select_takesTurns(t *testing.T) {
	pool, _ := newPool(t, 3, nil)
	mustAdd(t, pool, transfer(t, 0, 0), transfer(t, 0, 1), transfer(t, 0, 2), transfer(t, 2, 1), transfer(t, 1, 0), transfer(t, 1, 1), transfer(t, 2, 0))
	for _, tc := range []struct {
		name    string
		bytes   int
		gas     uint64
		ordered map[common.Address]uint64
		want    string
	}{
		{"everything", 1 << 20, 1 << 40, nil, "a0 b0 c0 a1 b1 c1 a2"},
		{"two transactions of gas", 1 << 20, 2*21000 + 20000, nil, "a0 b0"},
		{"no room", 50, 1 << 40, nil, ""},
		{"after ordered ones", 1 << 20, 1 << 40, map[common.Address]uint64{address(0): 2, address(1): 2, address(2): 1}, "a2 c1"},
		{"after everything", 1 << 20, 1 << 40, map[common.Address]uint64{address(0): 3, address(1): 2, address(2): 9}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := names(pool.Select(tc.bytes, tc.gas, tc.ordered)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if got := pool.Executable(tc.ordered); got != (tc.want != "" || tc.name == "no room") {
				t.Errorf("Executable is %t", got)
			}
		})
	}
}

func TestPool_Select_passesLargeOnes(t *testing.T) {
	pool, _ := newPool(t, 81, nil)
	for from := range 80 {
		mustAdd(t, pool, sign(t, from, &types.LegacyTx{Gas: 1_000_000, To: &common.Address{1}, Data: make([]byte, 10_000)}))
	}
	mustAdd(t, pool, transfer(t, 80, 0))
	if got := len(pool.Select(8_000, 1<<40, nil)); got != 1 { // as a proposal shrinks while execution lags
		t.Errorf("%d transactions fit, want the small one behind the large ones", got)
	}
}

func TestPool_Advance(t *testing.T) {
	pool, state := newPool(t, 4, nil)
	b1 := sign(t, 1, &types.LegacyTx{Nonce: 1, Gas: 21000, To: &common.Address{}, Value: big.NewInt(1e17)})
	gap := transfer(t, 3, 1)
	bad := transfer(t, 2, 0)
	mustAdd(t, pool, transfer(t, 0, 0), transfer(t, 0, 1), transfer(t, 1, 0), b1, transfer(t, 1, 2), bad, transfer(t, 2, 1), gap)
	state[address(0)] = ledger.Account{Nonce: 1, Balance: *uint256.NewInt(1e18)}
	state[address(1)] = ledger.Account{Nonce: 1, Balance: *uint256.NewInt(5)}
	pool.Advance(&ledger.Block{
		Transactions: []*ledger.Transaction{transfer(t, 0, 0), priced(t, 1, 0, 7, 7)}, // b0 was replaced elsewhere
		Drops: []ledger.Drop{
			{Hash: gap.Hash(), Reason: ledger.DropNonceTooHigh},
			{Hash: bad.Hash(), Reason: ledger.DropInsufficientFunds},
		},
	}, start)
	if got, want := all(pool), "a1"; got != want {
		t.Errorf("got %q, want %q: b cannot pay its next one, c lost its first, d has a gap", got, want)
	}
	if got := pool.Stats(); got != (txpool.Stats{Pending: 1, Queued: 3, Senders: 4, Bytes: got.Bytes}) {
		t.Errorf("got %+v, want 1 pending, b2, c1 and d1 queued", got)
	}
	mustAdd(t, pool, transfer(t, 3, 0))
	if got, want := all(pool), "a1 d0 d1"; got != want {
		t.Errorf("got %q, want %q: the gap closed", got, want)
	}
}

func TestPool_Advance_sendsToTheBack(t *testing.T) {
	pool, state := newPool(t, 3, nil)
	mustAdd(t, pool, transfer(t, 0, 0), transfer(t, 0, 1), transfer(t, 1, 0), transfer(t, 2, 0))
	state[address(0)] = ledger.Account{Nonce: 1, Balance: *uint256.NewInt(1e18)}
	pool.Advance(&ledger.Block{Transactions: []*ledger.Transaction{transfer(t, 0, 0)}}, start)
	if got, want := all(pool), "b0 c0 a1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPool_limits(t *testing.T) {
	pool, _ := newPool(t, 4, func(c *txpool.Config) { c.MaxTransactions, c.MaxPerSender = 8, 4 })
	mustAdd(t, pool, transfer(t, 0, 0), transfer(t, 0, 1), transfer(t, 0, 2), transfer(t, 0, 3))
	if err := pool.Add(transfer(t, 0, 4), start); !errors.Is(err, txpool.ErrAccountLimit) {
		t.Errorf("got %v, want the account's limit", err)
	}
	mustAdd(t, pool, transfer(t, 1, 1), transfer(t, 1, 2)) // queued: a quarter of the pool
	if err := pool.Add(transfer(t, 1, 3), start); !errors.Is(err, txpool.ErrFull) {
		t.Errorf("got %v, want no room for more queued ones", err)
	}
	mustAdd(t, pool, transfer(t, 2, 0), transfer(t, 2, 1))
	mustAdd(t, pool, transfer(t, 3, 0)) // pushes b2 out
	mustAdd(t, pool, transfer(t, 3, 1)) // and b1
	if err := pool.Add(transfer(t, 3, 2), start); !errors.Is(err, txpool.ErrFull) {
		t.Errorf("got %v, want a full pool", err)
	}
	if got, want := all(pool), "a0 c0 d0 a1 c1 d1 a2 a3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPool_limits_closingAGapPushesOutTheFarthest(t *testing.T) {
	pool, _ := newPool(t, 1, func(c *txpool.Config) { c.MaxPerSender = 3 })
	mustAdd(t, pool, transfer(t, 0, 1), transfer(t, 0, 2), transfer(t, 0, 3), transfer(t, 0, 0))
	if got := all(pool); got != "a0 a1 a2" {
		t.Errorf("got %q, want a0 a1 a2", got)
	}
}

func TestPool_limits_bytes(t *testing.T) {
	size := transfer(t, 0, 0).Size()
	pool, _ := newPool(t, 3, func(c *txpool.Config) { c.MaxBytes, c.MaxSenderBytes = 4*size, 2*size })
	mustAdd(t, pool, transfer(t, 0, 0), transfer(t, 0, 1))
	if err := pool.Add(transfer(t, 0, 2), start); !errors.Is(err, txpool.ErrAccountLimit) {
		t.Errorf("got %v, want the account's limit", err)
	}
	mustAdd(t, pool, transfer(t, 1, 0), transfer(t, 1, 1))
	if err := pool.Add(transfer(t, 2, 0), start); !errors.Is(err, txpool.ErrFull) {
		t.Errorf("got %v, want a full pool", err)
	}
	if got := pool.Stats().Bytes; got != 4*size {
		t.Errorf("%d bytes, want %d", got, 4*size)
	}
}

func TestPool_Advance_expires(t *testing.T) {
	pool, _ := newPool(t, 1, func(c *txpool.Config) { c.Lifetime = time.Minute })
	mustAdd(t, pool, transfer(t, 0, 0))
	later := start.Add(40 * time.Second)
	if err := pool.Add(transfer(t, 0, 1), later); err != nil {
		t.Fatal(err)
	}
	pool.Advance(&ledger.Block{}, start.Add(61*time.Second))
	if got := pool.Stats(); got.Pending != 0 || got.Queued != 1 || pool.Ready() {
		t.Errorf("got %+v, want the later one queued", got)
	}
	a0 := transfer(t, 0, 0)
	if err := pool.Add(a0, later.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := pool.Stats(); got != (txpool.Stats{Pending: 1, Senders: 1, Bytes: a0.Size()}) {
		t.Errorf("got %+v, want the new one alone", got)
	}
}

func TestPool_Subscribe(t *testing.T) {
	pool, _ := newPool(t, 1, nil)
	pending, cancel := pool.Subscribe()
	token := func() bool {
		select {
		case <-pending:
			return true
		default:
			return false
		}
	}
	mustAdd(t, pool, transfer(t, 0, 1))
	if token() || pool.Ready() {
		t.Error("a queued transaction is announced")
	}
	mustAdd(t, pool, transfer(t, 0, 0))
	if !token() || !pool.Ready() {
		t.Error("a pending transaction is not announced")
	}
	cancel()
	mustAdd(t, pool, transfer(t, 0, 2))
	if token() {
		t.Error("a token after the end of the subscription")
	}
}

func TestPool_lookups(t *testing.T) {
	pool, _ := newPool(t, 2, nil)
	a0, b1 := transfer(t, 0, 0), transfer(t, 1, 1)
	mustAdd(t, pool, a0, b1)
	if got := pool.Get(a0.Hash()); got != a0 {
		t.Errorf("got %v", got)
	}
	if got := pool.Get(common.Hash{1}); got != nil {
		t.Errorf("got %v for a hash that is not there", got)
	}
	if got := pool.ContentFrom(address(1)); len(got.Queued) != 1 || len(got.Pending) != 0 {
		t.Errorf("got %+v", got)
	}
	if got := pool.Content(10); len(got) != 2 {
		t.Errorf("got %d accounts", len(got))
	}
	if got := pool.Content(1); len(got) != 1 {
		t.Errorf("got %d accounts, want one within the limit", len(got))
	}
}
