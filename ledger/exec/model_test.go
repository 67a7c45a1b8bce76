package exec_test

import (
	"crypto/ecdsa"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
)

// modelAccount and model are the rules once more, as plainly as possible.
type modelAccount struct {
	nonce   uint64
	balance *big.Int
}

type model struct {
	accounts map[common.Address]modelAccount
	gasLeft  uint64
	executed map[common.Hash]bool
}

func (m *model) get(a common.Address) modelAccount {
	if account, ok := m.accounts[a]; ok {
		return account
	}
	return modelAccount{balance: new(big.Int)}
}

func (m *model) put(a common.Address, account modelAccount) {
	if account.nonce == 0 && account.balance.Sign() == 0 {
		delete(m.accounts, a)
		return
	}
	m.accounts[a] = account
}

// apply executes what go-ethereum's type says, not what package ledger extracted.
func (m *model) apply(tx *types.Transaction, from common.Address) ledger.DropReason {
	gas := uint64(21_000)
	if tx.To() == nil { // which is more than the generator's transactions have
		gas = 53_000
	}
	for _, b := range tx.Data() {
		gas += 4
		if b != 0 {
			gas += 12
		}
	}
	for _, entry := range tx.AccessList() {
		gas += 2_400 + 1_900*uint64(len(entry.StorageKeys))
	}
	sender := m.get(from)
	switch {
	case tx.GasTipCap().Cmp(tx.GasFeeCap()) > 0:
		return ledger.DropTipAboveFeeCap
	case tx.Gas() < gas:
		return ledger.DropIntrinsicGas
	case m.executed[tx.Hash()]:
		return ledger.DropDuplicate
	case tx.Nonce() < sender.nonce:
		return ledger.DropNonceTooLow
	case tx.Nonce() > sender.nonce:
		return ledger.DropNonceTooHigh
	case tx.Gas() > m.gasLeft:
		return ledger.DropBlockGas
	case sender.balance.Cmp(tx.Value()) < 0:
		return ledger.DropInsufficientFunds
	}
	if *tx.To() != from {
		recipient := m.get(*tx.To())
		sum := new(big.Int).Add(recipient.balance, tx.Value())
		if sum.BitLen() > 256 {
			return ledger.DropBalanceOverflow
		}
		m.put(*tx.To(), modelAccount{recipient.nonce, sum})
		sender.balance = new(big.Int).Sub(sender.balance, tx.Value())
	}
	m.put(from, modelAccount{sender.nonce + 1, sender.balance})
	m.gasLeft -= gas
	m.executed[tx.Hash()] = true
	return 0
}

// generator makes transactions that mostly fit, among few accounts so that they meet.
type generator struct {
	*rand.Rand
	keys      []*ecdsa.PrivateKey
	addresses []common.Address
}

func (r *generator) transaction(m *model) (types.TxData, *ecdsa.PrivateKey) {
	i := r.IntN(len(r.keys))
	from := m.get(r.addresses[i])
	nonce := from.nonce
	switch r.IntN(10) {
	case 0:
		nonce++
	case 1:
		nonce -= min(nonce, 1)
	}
	// Recipients are the senders, and two accounts that never send.
	to := &r.addresses[r.IntN(len(r.addresses))]
	if r.IntN(20) == 0 {
		to = nil
	}
	value := new(big.Int)
	switch r.IntN(6) {
	case 0: // nothing
	case 1: // one more than there is, or the most that a transaction can say
		if value.Add(from.balance, big.NewInt(1)); value.BitLen() > 256 {
			value.Set(from.balance)
		}
	case 2:
		value.Set(from.balance)
	default:
		value.Rsh(from.balance, uint(1+r.IntN(250)))
	}
	data := make([]byte, r.IntN(4))
	for i := range data {
		data[i] = byte(r.IntN(2))
	}
	gas := uint64(20_990 + r.IntN(60))
	switch r.IntN(3) {
	case 0:
		return &types.LegacyTx{Nonce: nonce, To: to, Value: value, Gas: gas, Data: data, GasPrice: big.NewInt(r.Int64())}, r.keys[i]
	case 1:
		list := types.AccessList{{StorageKeys: make([]common.Hash, r.IntN(3))}}
		return &types.AccessListTx{ChainID: chainID(), Nonce: nonce, To: to, Value: value, Gas: gas + uint64(r.IntN(7_000)), Data: data, AccessList: list}, r.keys[i]
	}
	return &types.DynamicFeeTx{
		ChainID: chainID(), Nonce: nonce, To: to, Value: value, Gas: gas, Data: data,
		GasTipCap: big.NewInt(int64(r.IntN(3))), GasFeeCap: big.NewInt(int64(1 + r.IntN(3))),
	}, r.keys[i]
}

func TestExecute_agreesWithTheModel(t *testing.T) {
	const seeds, blocks, perBlock = 12, 6, 40
	g := testGenesis(t)
	counts := make(map[ledger.DropReason]int)
	for seed := range uint64(seeds) {
		r := &generator{Rand: rand.New(rand.NewPCG(seed, 6))}
		state, m := make(accounts), &model{accounts: make(map[common.Address]modelAccount)}
		for i := range 6 {
			key, address := testKey(t, i)
			r.addresses = append(r.addresses, address)
			if i < 4 {
				r.keys = append(r.keys, key)
			}
			// Two of them together exceed 2^256, which no genesis allows: overflow is a case, too.
			if i%2 == 0 {
				state[address] = ledger.Account{Balance: maxWei()}
				m.put(address, modelAccount{0, maxWeiBig()})
			}
		}
		for block := range blocks {
			g.BlockGasLimit = uint64(21_000 * (5 + r.IntN(perBlock)))
			m.gasLeft, m.executed = g.BlockGasLimit, make(map[common.Hash]bool)
			var txs []*ledger.Transaction
			var want []ledger.DropReason
			for range perBlock {
				data, key := r.transaction(m)
				tx := sign(t, g, key, data)
				if n := len(txs); n > 0 && r.IntN(15) == 0 {
					tx = txs[r.IntN(n)]
				}
				txs = append(txs, tx)
				want = append(want, m.apply(tx.Inner(), tx.From()))
				counts[want[len(want)-1]]++
			}
			res := execute(t, g, state, txs...)
			checkShape(t, txs, res)
			got := make([]ledger.DropReason, len(txs))
			for _, d := range res.Drops {
				got[d.Index] = d.Reason
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, block %d: reasons\n%v, want\n%v", seed, block, got, want)
			}
			if res.GasUsed != g.BlockGasLimit-m.gasLeft {
				t.Fatalf("seed %d, block %d: gas %d, want %d", seed, block, res.GasUsed, g.BlockGasLimit-m.gasLeft)
			}
			if again := execute(t, g, state, txs...); !reflect.DeepEqual(again, res) {
				t.Fatalf("seed %d, block %d: another result at the second run", seed, block)
			}
			state = state.after(t, res.Changes)
			compare(t, state, m)
		}
	}
	for reason := range ledger.DropDuplicate + 1 {
		if counts[reason] == 0 && reason != ledger.DropNonceMax && reason != ledger.DropSenderNoEOA && reason != ledger.DropCreation {
			t.Errorf("no transaction met %q: the generator is too tame", reason)
		}
	}
}

func compare(t *testing.T, state accounts, m *model) {
	t.Helper()
	if len(state) != len(m.accounts) {
		t.Fatalf("%d accounts, want %d", len(state), len(m.accounts))
	}
	for address, want := range m.accounts {
		got := state[address]
		if got.Nonce != want.nonce || got.Balance.ToBig().Cmp(want.balance) != 0 {
			t.Fatalf("account %s is %d %s, want %d %s", address, got.Nonce, &got.Balance, want.nonce, want.balance)
		}
	}
}
