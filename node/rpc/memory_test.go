package rpc_test

import (
	"runtime"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// What stays in memory of the chain is bounded in bytes: a few transactions may fill a block.
func TestServer_largeBlocksAreForgotten(t *testing.T) {
	const (
		blocks = 96
		size   = 1_000_000
		limit  = 80 << 20 // of the 96 to 192 MB that the blocks take
	)
	c := newChain(t, nil)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	data := make([]byte, size)
	for nonce := range uint64(blocks) {
		c.execute(decoded(t, sign(t, alice, &types.LegacyTx{Nonce: nonce, Gas: 5_000_000, To: &common.Address{1}, Data: data})))
	}
	if got := heap(); got > before+limit {
		t.Errorf("%d MiB are held of the newest %d blocks", (got-before)>>20, blocks)
	}
	for height := range uint64(blocks) {
		if got := c.result("eth_getBlockTransactionCountByNumber", hexutil.Uint64(height+1)); got != `"0x1"` {
			t.Fatalf("block %d has %s transactions", height+1, got)
		}
	}
	if got := heap(); got > before+limit {
		t.Errorf("%d MiB are held after a client has read %d old blocks", (got-before)>>20, blocks)
	}
}
