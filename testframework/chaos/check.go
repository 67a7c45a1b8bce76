package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Level waits until every node shows the same height, at least the one given, and returns it: the
// lowest that they all have. Heartbeats move the heads apart by a block at times, so it does not ask for
// equal heads.
func Level(ctx context.Context, atLeast uint64, patience time.Duration, clients ...*Client) (uint64, error) {
	ctx, cancel := within(ctx, patience, fmt.Sprintf("waiting for block %d on all nodes", atLeast))
	defer cancel()
	var lowest uint64
	var why error
	err := Await(ctx, 20*time.Millisecond, func() (bool, error) {
		lowest, why = lowestHead(ctx, clients)
		return why == nil && lowest >= atLeast, nil
	})
	if err != nil {
		return lowest, errors.Join(fmt.Errorf("%w; the lowest head was %d", err, lowest), why)
	}
	return lowest, nil
}

func lowestHead(ctx context.Context, clients []*Client) (uint64, error) {
	var heads []uint64
	for _, c := range clients {
		head, err := c.Head(ctx)
		if err != nil {
			return 0, err
		}
		heads = append(heads, head)
	}
	return slices.Min(heads), nil
}

// Highest returns the highest head of the nodes that answer.
func Highest(ctx context.Context, clients ...*Client) (highest uint64) {
	for _, c := range clients {
		if head, err := c.Head(ctx); err == nil {
			highest = max(highest, head)
		}
	}
	return highest
}

// SameChain reports the first height at which two nodes answer different hashes, state roots or
// transactions, or a block does not follow its parent. It returns the blocks of the first node.
func SameChain(ctx context.Context, first, last uint64, clients ...*Client) ([]*Block, error) {
	var reference []*Block
	for i, c := range clients {
		blocks, err := c.Blocks(ctx, first, last)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			reference = blocks
		}
		for j, b := range blocks {
			if j > 0 && b.ParentHash != blocks[j-1].Hash {
				return nil, fmt.Errorf("%s: block %d has the parent %s, but block %d is %s", c.Name, b.Number, b.ParentHash, b.Number-1, blocks[j-1].Hash)
			}
			r := reference[j]
			if uint64(b.Number) != first+uint64(j) || b.Hash != r.Hash || b.StateRoot != r.StateRoot || !slices.Equal(b.Transactions, r.Transactions) {
				return nil, fmt.Errorf("block %d differs: %s says %s with state root %s and %d transactions, %s says %s with %s and %d",
					first+uint64(j), clients[0].Name, r.Hash, r.StateRoot, len(r.Transactions), c.Name, b.Hash, b.StateRoot, len(b.Transactions))
			}
		}
	}
	return reference, nil
}

// Once reports a transfer that is not in exactly one of the blocks.
func Once(blocks []*Block, transfers []*Transfer) error {
	count := map[common.Hash]int{}
	for _, b := range blocks {
		for _, hash := range b.Transactions {
			count[hash]++
		}
	}
	for i, t := range transfers {
		if count[t.Hash] != 1 {
			return fmt.Errorf("transfer %d (%s) is in %d blocks", i, t.Hash, count[t.Hash])
		}
	}
	for hash, times := range count { // which one is reported first does not matter
		if times != 1 {
			return fmt.Errorf("transaction %s is in %d blocks", hash, times)
		}
	}
	return nil
}

// receiptsPerBatch keeps a batch below the server's limit of 1,000 calls.
const receiptsPerBatch = 500

// Kept reports a receipt that a client saw and a node does not have, or has otherwise.
func Kept(ctx context.Context, seen []*Receipt, clients ...*Client) error {
	for _, c := range clients {
		for from := 0; from < len(seen); from += receiptsPerBatch {
			part := seen[from:min(from+receiptsPerBatch, len(seen))]
			found := make([]*Receipt, len(part))
			calls := make([]Call, len(part))
			for i, r := range part {
				calls[i] = Call{"eth_getTransactionReceipt", []any{r.TransactionHash}, &found[i]}
			}
			if err := c.Batch(ctx, calls); err != nil {
				return err
			}
			for i, r := range part {
				if found[i] == nil {
					return fmt.Errorf("%s lost the receipt of %s, seen in block %d (%s)", c.Name, r.TransactionHash, r.BlockNumber, r.BlockHash)
				}
				if *found[i] != *r {
					return fmt.Errorf("%s changed a receipt: seen %+v, now %+v", c.Name, *r, *found[i])
				}
			}
		}
	}
	return nil
}
