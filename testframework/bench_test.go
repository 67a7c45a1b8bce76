package testframework_test

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/contracts"
	"github.com/tercet-chain/tercet/testframework"
	"github.com/tercet-chain/tercet/vm"
)

// presign makes perAccount transactions for each account, by account and number.
func presign(tb testing.TB, c *testframework.Cluster, perAccount int, sign func(account, number int) ([]byte, error)) [][][]byte {
	tb.Helper()
	out := make([][][]byte, len(c.Accounts()))
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for a := w; a < len(out); a += 2 {
				for n := range perAccount {
					raw, err := sign(a, n)
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

// A rush is many transactions, each of which gives one unit of something to the same account.
type rush struct {
	txs     [][][]byte // by account and number
	arrived func(context.Context, *testframework.Client) (uint64, error)
}

// benchmark is the throughput of a rush through all RPCs, from the first submission until all nodes have
// executed the last: everything, the clients included, in one process.
func benchmark(b *testing.B, prepare func(*testing.B, *testframework.Cluster) rush) {
	const accounts = 200
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
				if err := c.WaitAll(b.Context(), 2); err != nil {
					b.Fatal(err)
				}
				r := prepare(b, c)
				b.StartTimer()
				begin := time.Now()
				flood(b, c, r)
				b.ReportMetric(float64(r.size())/time.Since(begin).Seconds(), "tx/s")
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

func (r rush) size() int { return len(r.txs) * len(r.txs[0]) }

// rushPatience is for what is submitted to be executed.
const rushPatience = 2 * time.Minute

// flood submits all transactions, an account's in order through one node, and waits until they are
// executed everywhere.
func flood(b *testing.B, c *testframework.Cluster, r rush) {
	var wg sync.WaitGroup
	for i := range c.Nodes() {
		wg.Go(func() {
			for n := 0; n < len(r.txs[0]); n += 50 {
				for a := i; a < len(r.txs); a += c.Nodes() {
					submit(b.Context(), b, c, i, r.txs[a][n:min(n+50, len(r.txs[a]))])
				}
			}
		})
	}
	wg.Wait()
	late := time.After(rushPatience)
	for i := range c.Nodes() {
		client := c.Client(i)
		for head := c.Node(i).Newest(); ; head = c.Node(i).Newest() {
			arrived, err := r.arrived(b.Context(), client)
			if err != nil {
				b.Fatal(err)
			}
			if arrived == uint64(r.size()) {
				break
			}
			select {
			case <-head.Changed():
			case <-late:
				b.Fatalf("node %d: %d of %d transactions had an effect", i, arrived, r.size())
			}
		}
	}
}

// receiver is who is given everything.
var receiver = common.Address{0xdd}

// BenchmarkCluster_transfers is the throughput of signed transfers.
func BenchmarkCluster_transfers(b *testing.B) {
	benchmark(b, func(b *testing.B, c *testframework.Cluster) rush {
		return rush{
			presign(b, c, 100, func(account, n int) ([]byte, error) { return c.Transfer(account, uint64(n), receiver, 1) }),
			func(ctx context.Context, client *testframework.Client) (uint64, error) {
				balance, err := client.Balance(ctx, receiver)
				if err != nil {
					return 0, err
				}
				return balance.Uint64(), nil
			},
		}
	})
}

// BenchmarkCluster_contracts is the throughput of transfers of the example ERC-20 token.
func BenchmarkCluster_contracts(b *testing.B) {
	benchmark(b, func(b *testing.B, c *testframework.Cluster) rush {
		token, parsed, nonce := deployToken(b, c)
		give, err := parsed.Pack("transfer", receiver, big.NewInt(1))
		if err != nil {
			b.Fatal(err)
		}
		ask, err := parsed.Pack("balanceOf", receiver)
		if err != nil {
			b.Fatal(err)
		}
		return rush{
			presign(b, c, 100, func(account, n int) ([]byte, error) {
				if account == 0 {
					n += nonce
				}
				return c.Sign(account, &types.LegacyTx{Nonce: uint64(n), To: &token, Gas: 100_000, GasPrice: new(big.Int), Data: give})
			}),
			func(ctx context.Context, client *testframework.Client) (uint64, error) {
				var balance hexutil.Bytes
				err := client.Call(ctx, &balance, "eth_call", map[string]any{"to": token, "data": hexutil.Bytes(ask)}, "latest")
				return new(big.Int).SetBytes(balance).Uint64(), err
			},
		}
	})
}

// deployToken gives every account tokens, in transactions of account 0, of which nonce is the next.
func deployToken(b *testing.B, c *testframework.Cluster) (token common.Address, parsed abi.ABI, nonce int) {
	b.Helper()
	const wealth = 1000
	example, accounts := contracts.Token(), c.Accounts()
	parsed, err := abi.JSON(bytes.NewReader(example.ABI))
	if err != nil {
		b.Fatal(err)
	}
	code, err := vm.Pack(example.Wasm)
	if err != nil {
		b.Fatal(err)
	}
	args, err := parsed.Pack("", "Tercet Euro", "TEUR", big.NewInt(int64(wealth*len(accounts))), accounts[0].Address)
	if err != nil {
		b.Fatal(err)
	}
	token = crypto.CreateAddress(accounts[0].Address, 0)
	txs := []*types.LegacyTx{{Gas: 12_000_000, Data: append(code, args...)}}
	for _, a := range accounts[1:] {
		data, err := parsed.Pack("transfer", a.Address, big.NewInt(wealth))
		if err != nil {
			b.Fatal(err)
		}
		txs = append(txs, &types.LegacyTx{To: &token, Gas: 100_000, Data: data})
	}
	var last common.Hash
	for i, tx := range txs {
		tx.Nonce, tx.GasPrice = uint64(i), new(big.Int)
		raw, err := c.Sign(0, tx)
		if err != nil {
			b.Fatal(err)
		}
		if last, err = c.Client(0).Send(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
	for i := range c.Nodes() {
		receipt, err := c.WaitReceipt(b.Context(), i, last)
		if err != nil {
			b.Fatal(err)
		}
		if receipt.Status != types.ReceiptStatusSuccessful {
			b.Fatalf("node %d: the last account was given no tokens: %d gas of %d", i, receipt.GasUsed, txs[len(txs)-1].Gas)
		}
	}
	return token, parsed, len(txs)
}
