package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger/store"
)

const (
	// maxLogs and maxLogBytes bound the logs of several blocks in one answer: some 6 MB and 32 MB of JSON.
	// The logs of one block may be more, so that whoever reads block by block gets on, but not more than
	// maxBlockLogs: some 60 MB.
	maxLogs      = 10_000
	maxLogBytes  = 16 << 20
	maxBlockLogs = 100_000
	// logOverhead is what a log takes beside its topics and data.
	logOverhead = 256
)

// logBytes is about what a log takes in memory, and half of what it takes as JSON.
func logBytes(l *types.Log) int { return logOverhead + common.HashLength*len(l.Topics) + len(l.Data) }

func logsBytes(receipts []*types.Receipt) (size int) {
	for _, r := range receipts {
		for _, l := range r.Logs {
			size += logBytes(l)
		}
	}
	return size
}

// storeQuery is a checked query as the store takes it.
func (q *logQuery) storeQuery() store.LogQuery {
	var out store.LogQuery
	for _, a := range q.Address {
		out.Addresses = append(out.Addresses, common.Address(a))
	}
	for _, position := range q.Topics {
		var topics []common.Hash
		for _, topic := range position {
			topics = append(topics, common.Hash(topic))
		}
		out.Topics = append(out.Topics, topics)
	}
	return out
}

// searchLogs returns the logs that match a checked query in the blocks of a range up to reached, which is
// below to when there are too many or it takes too long. It gets on by a block at least.
func (s *Server) searchLogs(ctx context.Context, q *logQuery, from, to uint64) (logs []*types.Log, reached uint64, err error) {
	if logs, reached, err = s.collectLogs(ctx, q, from, to); err != nil {
		return nil, 0, err
	}
	size := 0
	for _, l := range logs {
		size += logBytes(l)
	}
	return logs, reached, requestOf(ctx).answers(ctx, 2*size)
}

// collectLogs is searchLogs before there is room for the answer: searches do not wait for slow readers.
func (s *Server) collectLogs(ctx context.Context, q *logQuery, from, to uint64) (logs []*types.Log, reached uint64, err error) {
	defer requestOf(ctx).waiting(ctx)()
	slot := s.searches.enter(ctx)
	if slot == nil {
		return nil, 0, busy("too many searches for logs at once")
	}
	defer slot.release()
	deadline, query := time.Now().Add(s.cfg.CallTimeout), q.storeQuery()
	heights, err := s.cfg.Store.LogBlocks(query, max(from, 1), to) // the genesis has no logs, and need not be there
	if err != nil {
		return nil, 0, s.broken(fmt.Errorf("looking for logs in the blocks %d to %d: %w", from, to, err))
	}
	logs = []*types.Log{}
	size := 0
	for i, height := range heights {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		found, bytes, err := s.logsOf(height, &query)
		if err != nil {
			return nil, 0, err
		}
		if i > 0 && (len(logs)+len(found) > maxLogs || size+bytes > maxLogBytes || time.Now().After(deadline)) {
			return logs, height - 1, nil
		}
		logs, size = append(logs, found...), size+bytes
	}
	return logs, to, nil
}

// logsOf returns the logs of a block that match, and about how many bytes they are.
func (s *Server) logsOf(height uint64, q *store.LogQuery) (logs []*types.Log, size int, err error) {
	found, err := s.matching(height, q)
	if err != nil {
		return nil, 0, err
	}
	if len(found) > maxBlockLogs {
		return nil, 0, &codedError{codeLimit, fmt.Sprintf("more than %d logs of block %d match: "+
			"narrow the query by address or topics, or ask for the receipts of its transactions", maxBlockLogs, height)}
	}
	for _, l := range found {
		logs = append(logs, shown(l))
		size += logBytes(l)
	}
	return logs, size, nil
}

// matching returns the logs of an executed block that match, from its receipts if they are in memory.
func (s *Server) matching(height uint64, q *store.LogQuery) ([]*types.Log, error) {
	if height == 0 {
		return nil, nil
	}
	v := s.recent.byHeight(height)
	if v == nil {
		logs, err := s.cfg.Store.Logs(*q, height)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("receipts of block %d not found", height)
		}
		if err != nil {
			return nil, s.broken(fmt.Errorf("reading the logs of block %d: %w", height, err))
		}
		return logs, nil
	}
	var logs []*types.Log
	for _, r := range v.block.Receipts {
		for _, l := range r.Logs {
			if q.Matches(l) {
				logs = append(logs, l)
			}
		}
	}
	return logs, nil
}

// shown is a log as clients know it: a list of no topics is no null.
func shown(l *types.Log) *types.Log {
	if l.Topics != nil {
		return l
	}
	out := *l
	out.Topics = []common.Hash{}
	return &out
}
