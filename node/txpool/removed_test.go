package txpool_test

import (
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

// TestPool_Removed makes a transaction leave in each way.
func TestPool_Removed(t *testing.T) {
	for _, tc := range []struct {
		name string
		// leave adds a transaction to a pool of 8 and makes it leave; it returns it with its replacement.
		leave func(t *testing.T, p *txpool.Pool, s table) (tx, by *ledger.Transaction)
		want  txpool.Reason
		err   error
	}{
		{"replaced", func(t *testing.T, p *txpool.Pool, _ table) (tx, by *ledger.Transaction) {
			tx, by = priced(t, 0, 0, 10, 10), priced(t, 0, 0, 20, 20)
			mustAdd(t, p, tx, by)
			return tx, by
		}, txpool.Replaced, nil},
		{"another of its nonce", func(t *testing.T, p *txpool.Pool, s table) (tx, by *ledger.Transaction) {
			tx, by = transfer(t, 0, 1), priced(t, 0, 1, 20, 20)
			first := transfer(t, 0, 0)
			mustAdd(t, p, first, tx)
			s[address(0)] = ledger.Account{Nonce: 2, Balance: *uint256.NewInt(1e18)}
			p.Advance(&ledger.Block{Transactions: []*ledger.Transaction{transfer(t, 1, 0), first, transfer(t, 2, 0), by}}, start)
			if r, ok := p.Removed(first.Hash()); ok {
				t.Errorf("an executed one was removed: %+v", r)
			}
			return tx, by
		}, txpool.NonceUsed, nil},
		{"the farthest makes room", func(t *testing.T, p *txpool.Pool, _ table) (tx, by *ledger.Transaction) {
			tx = transfer(t, 0, 9)
			mustAdd(t, p, tx)
			for i := range 8 {
				mustAdd(t, p, transfer(t, 1, uint64(i)))
			}
			return tx, nil
		}, txpool.Evicted, nil},
		{"its time is over", func(t *testing.T, p *txpool.Pool, _ table) (tx, by *ledger.Transaction) {
			tx = transfer(t, 0, 1)
			mustAdd(t, p, tx)
			p.Advance(&ledger.Block{}, start.Add(2*time.Hour))
			return tx, nil
		}, txpool.Expired, nil},
		{"the money is gone", func(t *testing.T, p *txpool.Pool, s table) (tx, by *ledger.Transaction) {
			first := transfer(t, 0, 0)
			tx = transfer(t, 0, 1)
			mustAdd(t, p, first, tx)
			s[address(0)] = ledger.Account{Nonce: 1}
			p.Advance(&ledger.Block{Transactions: []*ledger.Transaction{first}}, start)
			return tx, nil
		}, txpool.Unpaid, nil},
		{"dropped", func(t *testing.T, p *txpool.Pool, _ table) (tx, by *ledger.Transaction) {
			tx = transfer(t, 0, 0)
			mustAdd(t, p, tx)
			p.Advance(&ledger.Block{Drops: []ledger.Drop{{Hash: tx.Hash(), Reason: ledger.DropSenderNoEOA}}}, start)
			return tx, nil
		}, txpool.Dropped, ledger.ErrSenderNoEOA},
		{"refused", func(t *testing.T, p *txpool.Pool, _ table) (tx, by *ledger.Transaction) {
			tx = sign(t, 0, &types.LegacyTx{Gas: 21000, To: &common.Address{1}, Value: big.NewInt(2e18)})
			_ = p.Add(tx, start) // what it says is below
			return tx, nil
		}, txpool.Refused, txpool.ErrInsufficientFunds},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pool, state := newPool(t, 3, func(c *txpool.Config) { c.MaxTransactions = 8 })
			tx, by := tc.leave(t, pool, state)
			got, ok := pool.Removed(tx.Hash())
			if !ok || got.Reason != tc.want || got.From != address(0) || got.Nonce != tx.Nonce() || !errors.Is(got.Err, tc.err) {
				t.Errorf("got %+v, %t, want %s", got, ok, tc.want)
			}
			if by != nil && got.By != by.Hash() {
				t.Errorf("by %s, want %s", got.By, by.Hash())
			}
			if _, ok := pool.Place(tx.Hash()); ok {
				t.Error("it has a place in the pool")
			}
		})
	}
}

// TestPool_Removed_isBounded: a flood of refusals costs no memory and forgets nothing else.
func TestPool_Removed_isBounded(t *testing.T) {
	pool, _ := newPool(t, 1, nil)
	old := priced(t, 0, 0, 10, 10)
	mustAdd(t, pool, old, priced(t, 0, 0, 20, 20))
	var first, last *ledger.Transaction
	for i := range uint64(5000) {
		last = transfer(t, 1, i+2000) // beyond the gap that a sender may leave
		if first == nil {
			first = last
		}
		if err := pool.Add(last, start); err == nil {
			t.Fatal("it was admitted")
		}
	}
	for _, tc := range []struct {
		name string
		hash common.Hash
		want bool
	}{{"the removed one", old.Hash(), true}, {"the first refused", first.Hash(), false}, {"the last", last.Hash(), true}} {
		if _, got := pool.Removed(tc.hash); got != tc.want {
			t.Errorf("%s is remembered: %t", tc.name, got)
		}
	}
}

func TestPool_Place(t *testing.T) {
	pool, _ := newPool(t, 2, nil)
	gapped := transfer(t, 0, 5)
	mustAdd(t, pool, transfer(t, 0, 0), transfer(t, 0, 1), gapped, transfer(t, 1, 0))
	got, ok := pool.Place(gapped.Hash())
	if !ok || got.Tx != gapped || got.Next != 2 || got.Ahead != 2 || got.Pending != 3 || !got.Since.Equal(start) {
		t.Errorf("got %+v, %t", got, ok)
	}
}
