package testframework_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/testframework"
)

// Four validators run in this process. One is killed, the others go on, and it catches up.
func ExampleCluster() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := runExample(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the receipt says status 1
	// no promise was broken
}

func runExample(ctx context.Context) error {
	c, err := testframework.New(testframework.Options{Nodes: 4})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.StartAll(ctx); err != nil {
		return err
	}
	if err := c.Kill(3); err != nil {
		return err
	}
	raw, err := c.Transfer(0, 0, common.Address{0xaa}, 1) // account 0, nonce 0, one wei
	if err != nil {
		return err
	}
	hash, err := c.Client(0).Send(ctx, raw)
	if err != nil {
		return err
	}
	receipt, err := c.WaitReceipt(ctx, 1, hash)
	if err != nil {
		return err
	}
	fmt.Println("the receipt says status", receipt.Status)
	if err := c.Start(ctx, 3); err != nil {
		return err
	}
	if err := c.WaitAll(ctx, receipt.BlockNumber.Uint64()); err != nil {
		return err
	}
	if err := c.Check(ctx, []*types.Receipt{receipt}); err != nil {
		return err
	}
	if err := c.Audit(); err != nil {
		return err
	}
	fmt.Println("no promise was broken")
	return nil
}
