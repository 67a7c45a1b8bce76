package rpc_test

import (
	"fmt"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/tercet-chain/tercet/node/rpc"
)

// BenchmarkServer_publish measures a block of one transaction from its execution until all subscribers to heads,
// 100 on each WebSocket, have it.
func BenchmarkServer_publish(b *testing.B) {
	for _, subscribers := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			const each = 100
			c := newChain(b, func(_ *chain, cfg *rpc.Config) { cfg.MaxSubscriptions = subscribers })
			var conns []*websocket.Conn
			for left := subscribers; left > 0; left -= each {
				conn := c.socket()
				for range min(left, each) {
					ask(b, conn, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)
				}
				conns = append(conns, conn)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.emit()
				for i, conn := range conns {
					for range min(each, subscribers-i*each) {
						hear(b, conn)
					}
				}
			}
		})
	}
}
