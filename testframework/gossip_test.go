package testframework_test

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/testframework"
)

// A replica never proposes: what it accepted while it was alone must reach the validators whatever its size
// and its gas, and whatever waits beside it.
func TestCluster_acceptedByALonelyReplica(t *testing.T) {
	c, ctx := start(t, testframework.Options{Nodes: 1, Replicas: 1})
	must(t, c.WaitAll(ctx, 1))
	must(t, c.Stop(0))
	var hashes []common.Hash
	for from := range 6 {
		data, gas := make([]byte, 66_000), uint64(50_000_000) // more than a message; four fill a block
		if from == 5 {
			data, gas = nil, 21_000
		}
		raw, err := c.Sign(from, &types.LegacyTx{Gas: gas, To: &common.Address{0xcc}, Data: data, GasPrice: new(big.Int)})
		must(t, err)
		hash, err := c.Client(1).Send(ctx, raw)
		must(t, err)
		hashes = append(hashes, hash)
	}
	must(t, c.Start(ctx, 0))
	for _, hash := range hashes {
		_, err := c.WaitReceipt(ctx, 0, hash)
		must(t, err)
	}
}
