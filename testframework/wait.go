package testframework

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/node/pipeline"
)

// await calls found after each new head of node i until it reports true, fails, or ctx ends.
func (c *Cluster) await(ctx context.Context, i int, what string, found func(*pipeline.Head) (bool, error)) error {
	p := c.process(i)
	if p == nil {
		return fmt.Errorf("waiting for %s at node %d, which does not run", what, i)
	}
	for {
		head := p.node.Newest()
		if ok, err := found(head); ok || err != nil {
			return err
		}
		select {
		case <-head.Changed():
		case <-p.ended:
			return errors.Join(fmt.Errorf("node %d ended at height %d before %s", i, head.Height(), what), p.err)
		case <-ctx.Done():
			s := p.node.Status()
			return fmt.Errorf("node %d at height %d, certified %d, ordered %d, view %d, peers %v, not ready because %q: no %s: %w",
				i, head.Height(), head.Certified, s.Ordered, s.View, s.PeerNames, s.Reasons, what, context.Cause(ctx))
		}
	}
}

// WaitHeight waits until node i has executed a block at or above height.
func (c *Cluster) WaitHeight(ctx context.Context, i int, height uint64) error {
	return c.await(ctx, i, fmt.Sprintf("height %d", height), func(h *pipeline.Head) (bool, error) { return h.Height() >= height, nil })
}

// WaitCertified waits until node i has a certificate at or above height.
func (c *Cluster) WaitCertified(ctx context.Context, i int, height uint64) error {
	return c.await(ctx, i, fmt.Sprintf("certificate of %d", height), func(h *pipeline.Head) (bool, error) { return h.Certified >= height, nil })
}

// WaitAll waits until all running nodes are at or above height.
func (c *Cluster) WaitAll(ctx context.Context, height uint64) error {
	for i := range c.members {
		if c.Running(i) {
			if err := c.WaitHeight(ctx, i, height); err != nil {
				return err
			}
		}
	}
	return nil
}

// WaitReceipt waits until node i answers a receipt.
func (c *Cluster) WaitReceipt(ctx context.Context, i int, hash common.Hash) (*types.Receipt, error) {
	var receipt *types.Receipt
	client := c.Client(i)
	err := c.await(ctx, i, fmt.Sprintf("receipt of %s", hash), func(*pipeline.Head) (bool, error) {
		var err error
		receipt, err = client.Receipt(ctx, hash)
		return receipt != nil, err
	})
	return receipt, err
}
