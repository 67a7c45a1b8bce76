package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/node/rpc"
)

// BenchmarkServer_eth_sendRawTransaction measures the way of a transfer from the socket into the pool,
// with client and server in one process.
func BenchmarkServer_eth_sendRawTransaction(b *testing.B) {
	for _, batch := range []int{1, 50} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			c := newChain(b, func(_ *chain, _ *rpc.Config) {})
			const bodies = 4000
			nonce, left := uint64(0), []string(nil)
			for b.Loop() {
				if len(left) == 0 {
					b.StopTimer()
					for c.pool.Stats().Pending > 0 {
						c.produce()
					}
					for range bodies / batch {
						calls := make([]string, batch)
						for i := range calls {
							calls[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["%s"]}`, raw(b, pay(b, alice, nonce, 0)))
							nonce++
						}
						body := calls[0]
						if batch > 1 {
							body = "[" + strings.Join(calls, ",") + "]"
						}
						left = append(left, body)
					}
					b.StartTimer()
				}
				if _, answer := c.post("/", left[0]); strings.Contains(string(answer), "error") {
					b.Fatalf("%s", answer)
				}
				left = left[1:]
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

func BenchmarkServer_eth_getTransactionReceipt(b *testing.B) {
	c := newChain(b, nil)
	tx := pay(b, alice, 0, 0)
	c.execute(decoded(b, tx))
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["%s"]}`, tx.Hash())
	for b.Loop() {
		if _, answer := c.post("/", body); !strings.Contains(string(answer), "0x1") {
			b.Fatalf("%s", answer)
		}
	}
}

// BenchmarkServer_eth_call measures the call of a contract from the socket on, with client and server in one
// process: alone, and without the HTTP requests around it.
func BenchmarkServer_eth_call(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			c := newChain(b, nil)
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":%q,"data":"%#x"},"latest"]}`, c.deploy(7), probing('g', word(0)))
			if batch > 1 {
				body = "[" + strings.Repeat(body+",", batch-1) + body + "]"
			}
			for b.Loop() {
				if _, answer := c.post("/", body); strings.Contains(string(answer), "error") {
					b.Fatalf("%s", answer)
				}
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
