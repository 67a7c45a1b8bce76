package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

const (
	// receiptBlocksPerBatch and logBlocksPerQuery keep the answers below the server's limits of 25 MiB and
	// 10,000 logs at some 400 transactions per block.
	receiptBlocksPerBatch = 20
	logBlocksPerQuery     = 20
	// callsPerBatch keeps a batch of calls short.
	callsPerBatch = 200
)

// SameReceipts reports the first blocks of whose receipts two nodes say anything different. It returns
// the receipts of the first node.
func SameReceipts(ctx context.Context, first, last uint64, clients ...*Client) ([]*types.Receipt, error) {
	var all []*types.Receipt
	for from := first; from <= last; from += receiptBlocksPerBatch {
		count := min(receiptBlocksPerBatch, last-from+1)
		answers, err := askAll(clients, func(c *Client) ([]json.RawMessage, error) {
			blocks, calls := make([]json.RawMessage, count), make([]Call, count)
			for j := range calls {
				calls[j] = Call{"eth_getBlockReceipts", []any{hexutil.Uint64(from + uint64(j))}, &blocks[j]}
			}
			return blocks, c.Batch(ctx, calls)
		})
		if err != nil {
			return nil, err
		}
		for j, raw := range answers[0] {
			for i, c := range clients {
				if !bytes.Equal(answers[i][j], raw) {
					return nil, fmt.Errorf("the receipts of block %d differ: %s says %s, %s says %s", from+uint64(j), clients[0].Name, raw, c.Name, answers[i][j])
				}
			}
			var receipts []*types.Receipt
			if err := json.Unmarshal(raw, &receipts); err != nil {
				return nil, fmt.Errorf("reading the receipts of block %d: %w", from+uint64(j), err)
			}
			all = append(all, receipts...)
		}
	}
	return all, nil
}

// SameLogs reports the first range of blocks for which two nodes answer eth_getLogs differently. The
// filter has address and topics, or nothing. It returns the logs of the first node.
func SameLogs(ctx context.Context, first, last uint64, filter map[string]any, clients ...*Client) ([]*types.Log, error) {
	var all []*types.Log
	for from := first; from <= last; from += logBlocksPerQuery {
		query := map[string]any{"fromBlock": hexutil.Uint64(from), "toBlock": hexutil.Uint64(min(from+logBlocksPerQuery-1, last))}
		maps.Copy(query, filter)
		answers, err := askAll(clients, func(c *Client) (answer json.RawMessage, err error) {
			err = c.Call(ctx, &answer, "eth_getLogs", query)
			return answer, err
		})
		if err != nil {
			return nil, err
		}
		for i, c := range clients {
			if !bytes.Equal(answers[i], answers[0]) {
				return nil, fmt.Errorf("the logs from block %d on differ: %s says %s, %s says %s", from, clients[0].Name, answers[0], c.Name, answers[i])
			}
		}
		var logs []*types.Log
		if err := json.Unmarshal(answers[0], &logs); err != nil {
			return nil, fmt.Errorf("reading the logs from block %d on: %w", from, err)
		}
		all = append(all, logs...)
	}
	return all, nil
}

// Question is a call of a contract that changes nothing.
type Question struct {
	To   common.Address `json:"to"`
	Data hexutil.Bytes  `json:"data"`
}

// SameCalls asks every node the same at its newest block, reports the first call that two of them answer
// differently, and returns what they answer. Nothing may be on its way.
func SameCalls(ctx context.Context, questions []Question, clients ...*Client) ([]hexutil.Bytes, error) {
	answers, err := askAll(clients, func(c *Client) ([]hexutil.Bytes, error) {
		answers := make([]hexutil.Bytes, len(questions))
		for from := 0; from < len(questions); from += callsPerBatch {
			var calls []Call
			for j := from; j < min(from+callsPerBatch, len(questions)); j++ {
				calls = append(calls, Call{"eth_call", []any{questions[j], "latest"}, &answers[j]})
			}
			if err := c.Batch(ctx, calls); err != nil {
				return nil, err
			}
		}
		return answers, nil
	})
	if err != nil {
		return nil, err
	}
	for i, c := range clients {
		for j, q := range questions {
			if !bytes.Equal(answers[i][j], answers[0][j]) {
				return nil, fmt.Errorf("the call %s of %s differs: %s says %s, %s says %s", q.Data, q.To, clients[0].Name, answers[0][j], c.Name, answers[i][j])
			}
		}
	}
	return answers[0], nil
}

// askAll asks all nodes at the same time, and returns what each answers.
func askAll[T any](clients []*Client, ask func(*Client) (T, error)) ([]T, error) {
	answers, errs := make([]T, len(clients)), make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { answers[i], errs[i] = ask(c) })
	}
	wg.Wait()
	return answers, errors.Join(errs...)
}
