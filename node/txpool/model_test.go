package txpool_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

// TestPool_random steps a small pool with random operations and checks after each what must always hold.
func TestPool_random(t *testing.T) {
	const senders, nonces = 4, 12
	txs := make([][]*ledger.Transaction, senders)
	for from := range txs {
		for n := range nonces {
			txs[from] = append(txs[from], transfer(t, from, uint64(n)))
		}
	}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		pool, state := newPool(t, senders, func(c *txpool.Config) {
			c.MaxTransactions, c.MaxPerSender, c.MaxGap, c.Lifetime = 20, 7, 5, 30*time.Second
		})
		now := start
		for range 300 {
			now = now.Add(time.Duration(rng.IntN(1000)) * time.Millisecond)
			from := rng.IntN(senders)
			switch rng.IntN(8) {
			case 0:
				advance(pool, state, rng.IntN(4), now)
			case 1:
				tx := txs[from][rng.IntN(nonces)]
				pool.Advance(&ledger.Block{Drops: []ledger.Drop{{Hash: tx.Hash(), Reason: ledger.DropInsufficientFunds}}}, now)
			default:
				_ = pool.Add(txs[from][rng.IntN(nonces)], now) // refusals are part of it
			}
			check(t, pool, state)
		}
	}
}

// advance executes up to n of what the pool selects.
func advance(pool *txpool.Pool, state table, n int, now time.Time) {
	chosen := pool.Select(1<<20, 1<<40, nil)
	chosen = chosen[:min(n, len(chosen))]
	for _, tx := range chosen {
		state[tx.From()] = ledger.Account{Nonce: tx.Nonce() + 1, Balance: *uint256.NewInt(1e18)}
	}
	pool.Advance(&ledger.Block{Transactions: chosen}, now)
}

func check(t *testing.T, pool *txpool.Pool, state table) {
	t.Helper()
	stats := pool.Stats()
	pending, queued, size := 0, 0, 0
	for _, account := range pool.Content(1 << 20) {
		next := state[account.Address].Nonce
		for _, tx := range account.Pending {
			if tx.Nonce() != next {
				t.Fatalf("%s: pending nonce %d, want %d", account.Address, tx.Nonce(), next)
			}
			next++
			size += tx.Size()
		}
		if got := pool.Nonce(account.Address); got != next {
			t.Fatalf("%s: next nonce %d, want %d", account.Address, got, next)
		}
		for i, tx := range account.Queued {
			if tx.Nonce() <= next && i == 0 || i > 0 && tx.Nonce() <= account.Queued[i-1].Nonce() {
				t.Fatalf("%s: queued nonce %d after %d", account.Address, tx.Nonce(), next)
			}
			size += tx.Size()
		}
		if len(account.Pending)+len(account.Queued) > 7 {
			t.Fatalf("%s has %d transactions", account.Address, len(account.Pending)+len(account.Queued))
		}
		pending += len(account.Pending)
		queued += len(account.Queued)
	}
	if stats.Pending != pending || stats.Queued != queued || stats.Bytes != size || pending+queued > 20 {
		t.Fatalf("stats are %+v, content is %d pending, %d queued, %d bytes", stats, pending, queued, size)
	}
	selected := pool.Select(1<<20, 1<<40, nil)
	if len(selected) != pending || pool.Ready() != (pending > 0) {
		t.Fatalf("%d selected of %d pending, ready %t", len(selected), pending, pool.Ready())
	}
	next := map[common.Address]uint64{}
	for _, tx := range selected {
		if n, seen := next[tx.From()]; seen && n != tx.Nonce() {
			t.Fatalf("selected nonce %d, want %d", tx.Nonce(), n)
		}
		next[tx.From()] = tx.Nonce() + 1
	}
}
