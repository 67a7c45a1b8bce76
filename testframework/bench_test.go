package testframework_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/tercet-chain/tercet/testframework"
)

// presign makes perAccount transfers for each account, by account and nonce.
func presign(tb testing.TB, c *testframework.Cluster, perAccount int) [][][]byte {
	tb.Helper()
	out := make([][][]byte, len(c.Accounts()))
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for a := w; a < len(out); a += 2 {
				for n := range perAccount {
					raw, err := c.Transfer(a, uint64(n), common.Address{0xdd}, 1)
					if err != nil {
						tb.Error(err)
						return
					}
					out[a] = append(out[a], raw)
				}
			}
		})
	}
	wg.Wait()
	return out
}

// submit sends raw transactions in one batch to node i.
func submit(ctx context.Context, tb testing.TB, c *testframework.Cluster, i int, raws [][]byte) {
	tb.Helper()
	calls := make([]testframework.Call, len(raws))
	for k, raw := range raws {
		calls[k] = testframework.Call{Method: "eth_sendRawTransaction", Params: []any{hexutil.Bytes(raw)}}
	}
	if err := c.Client(i).Batch(ctx, calls); err != nil {
		tb.Fatal(err)
	}
	for _, call := range calls {
		if call.Err != nil {
			tb.Fatal(call.Err)
		}
	}
}

// BenchmarkCluster_transfers is the throughput of signed transfers through all RPCs, from the first
// submission until all nodes have executed the last: everything, the clients included, in one process.
func BenchmarkCluster_transfers(b *testing.B) {
	const accounts, perAccount = 200, 100
	for _, nodes := range []int{1, 4} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				c, err := testframework.New(testframework.Options{Nodes: nodes, Accounts: accounts, Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				if err := c.StartAll(b.Context()); err != nil {
					b.Fatal(err)
				}
				txs := presign(b, c, perAccount)
				if err := c.WaitAll(b.Context(), 2); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				begin := time.Now()
				flood(b, c, txs)
				b.ReportMetric(accounts*perAccount/time.Since(begin).Seconds(), "tx/s")
				b.StopTimer()
				if err := c.Check(b.Context(), nil); err != nil {
					b.Fatal(err)
				}
				if err := c.Audit(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// flood submits all transactions, an account's in order through one node, and waits until they are
// executed everywhere.
func flood(b *testing.B, c *testframework.Cluster, txs [][][]byte) {
	var wg sync.WaitGroup
	for i := range c.Nodes() {
		wg.Go(func() {
			for n := 0; n < len(txs[0]); n += 50 {
				for a := i; a < len(txs); a += c.Nodes() {
					submit(b.Context(), b, c, i, txs[a][n:min(n+50, len(txs[a]))])
				}
			}
		})
	}
	wg.Wait()
	want := uint64(len(txs) * len(txs[0]))
	for i := range c.Nodes() {
		client := c.Client(i)
		for head := c.Node(i).Newest(); ; head = c.Node(i).Newest() {
			balance, err := client.Balance(b.Context(), common.Address{0xdd})
			if err != nil {
				b.Fatal(err)
			}
			if balance.Uint64() == want {
				break
			}
			select {
			case <-head.Changed():
			case <-time.After(patience):
				b.Fatalf("node %d: %s of %d transfers executed", i, balance, want)
			}
		}
	}
}
