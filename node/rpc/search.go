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

func logBytes(l *types.Log) int { return logOverhead + common.HashLength*len(l.Topics) + len(l.Data) }

// logMatcher is a query made fit for many logs. Nil sets match anything.
type logMatcher struct {
	addresses map[common.Address]struct{}
	topics    []map[common.Hash]struct{} // by position
}

func newLogMatcher(q *logQuery) *logMatcher {
	m := &logMatcher{topics: make([]map[common.Hash]struct{}, len(q.Topics))}
	if len(q.Address) > 0 {
		m.addresses = make(map[common.Address]struct{}, len(q.Address))
	}
	for _, a := range q.Address {
		m.addresses[common.Address(a)] = struct{}{}
	}
	for i, position := range q.Topics {
		if len(position) > 0 {
			m.topics[i] = make(map[common.Hash]struct{}, len(position))
		}
		for _, topic := range position {
			m.topics[i][common.Hash(topic)] = struct{}{}
		}
	}
	return m
}

// matches says whether a log is among those asked for. A query with more positions than a log has topics
// does not match it, whatever it wants there: as in go-ethereum.
func (m *logMatcher) matches(l *types.Log) bool {
	if _, ok := m.addresses[l.Address]; m.addresses != nil && !ok || len(m.topics) > len(l.Topics) {
		return false
	}
	for i, set := range m.topics {
		if _, ok := set[l.Topics[i]]; set != nil && !ok {
			return false
		}
	}
	return true
}

// mayMatch says whether a block with that bloom can have a log that matches.
func (m *logMatcher) mayMatch(bloom types.Bloom) bool {
	if bloom == (types.Bloom{}) || m.addresses != nil && !anyIn(bloom, m.addresses, common.Address.Bytes) {
		return false
	}
	for _, set := range m.topics {
		if set != nil && !anyIn(bloom, set, common.Hash.Bytes) {
			return false
		}
	}
	return true
}

func anyIn[K comparable](bloom types.Bloom, set map[K]struct{}, bytes func(K) []byte) bool {
	for k := range set {
		if bloom.Test(bytes(k)) {
			return true
		}
	}
	return false
}

// searchLogs returns the logs that match a checked query in the blocks of a range up to reached, which is
// below to when there are too many or it takes too long. It gets on by a block at least.
func (s *Server) searchLogs(ctx context.Context, q *logQuery, from, to uint64) (logs []*types.Log, reached uint64, err error) {
	slot := s.searches.enter(ctx)
	if slot == nil {
		return nil, 0, busy("too many searches for logs at once")
	}
	defer slot.release()
	m, deadline := newLogMatcher(q), time.Now().Add(s.cfg.CallTimeout)
	logs = []*types.Log{}
	size := 0
	for height := from; height <= to; height++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		found, bytes, err := s.logsOf(height, m)
		if err != nil {
			return nil, 0, err
		}
		if size += bytes; height > from && (len(logs)+len(found) > maxLogs || size > maxLogBytes || time.Now().After(deadline)) {
			return logs, height - 1, nil
		}
		logs = append(logs, found...)
	}
	return logs, to, nil
}

// logsOf returns the logs of a block that match, and about how many bytes they are.
func (s *Server) logsOf(height uint64, m *logMatcher) (logs []*types.Log, size int, err error) {
	header, err := s.header(height)
	if err != nil || !m.mayMatch(header.Bloom) {
		return nil, 0, err
	}
	receipts, err := s.receipts(height)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range receipts {
		for _, l := range r.Logs {
			if m.matches(l) {
				logs = append(logs, shown(l))
				size += logBytes(l)
			}
		}
	}
	if len(logs) > maxBlockLogs {
		return nil, 0, &codedError{codeLimit, fmt.Sprintf("more than %d logs of block %d match: "+
			"narrow the query by address or topics, or ask for the receipts of its transactions", maxBlockLogs, height)}
	}
	return logs, size, nil
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

// receipts returns the receipts of an executed block without its transactions, whose senders take long to
// recover.
func (s *Server) receipts(height uint64) ([]*types.Receipt, error) {
	if height == 0 {
		return nil, nil
	}
	if v := s.recent.byHeight(height); v != nil {
		return v.block.Receipts, nil
	}
	receipts, _, err := s.cfg.Store.Receipts(height)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("receipts of block %d not found", height)
	}
	if err != nil {
		return nil, s.broken(fmt.Errorf("reading the receipts of block %d: %w", height, err))
	}
	return receipts, nil
}
