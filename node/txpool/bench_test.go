package txpool_test

import (
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

// load signs perSender transactions for each sender and returns them in rounds.
func load(b *testing.B, senders, perSender int) []*ledger.Transaction {
	b.Helper()
	txs := make([]*ledger.Transaction, 0, senders*perSender)
	for nonce := range perSender {
		for from := range senders {
			txs = append(txs, transfer(b, from, uint64(nonce)))
		}
	}
	return txs
}

func BenchmarkPool_Add(b *testing.B) {
	for _, shape := range []struct{ senders, each int }{{1000, 20}, {20, 1000}} {
		b.Run(fmt.Sprintf("senders=%d", shape.senders), func(b *testing.B) {
			txs := load(b, shape.senders, shape.each)
			_, state := newPool(b, shape.senders, nil)
			for b.Loop() {
				pool, err := txpool.New(txpool.Config{Genesis: genesis(), State: state})
				if err != nil {
					b.Fatal(err)
				}
				for _, tx := range txs {
					if err := pool.Add(tx, start); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N*len(txs))/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

func BenchmarkPool_Select(b *testing.B) {
	pool, _ := newPool(b, 1000, nil)
	mustAdd(b, pool, load(b, 1000, 20)...)
	ordered := map[common.Address]uint64{}
	for i := range 500 {
		ordered[address(i)] = 1
	}
	for b.Loop() {
		if got := len(pool.Select(1000*(110+37), 1<<40, ordered)); got < 900 || got > 1100 {
			b.Fatalf("%d selected", got)
		}
	}
}

func BenchmarkPool_Advance(b *testing.B) {
	const rounds = 20
	txs := load(b, 1000, rounds)
	for b.Loop() {
		b.StopTimer()
		pool, state := newPool(b, 1000, nil)
		mustAdd(b, pool, txs...)
		b.StartTimer()
		for r := range rounds {
			b.StopTimer()
			block := &ledger.Block{Transactions: txs[r*1000 : (r+1)*1000]}
			for _, tx := range block.Transactions {
				state[tx.From()] = ledger.Account{Nonce: tx.Nonce() + 1, Balance: *uint256.NewInt(1e18)}
			}
			b.StartTimer()
			pool.Advance(block, start)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*rounds), "µs/block")
}
