package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// filterLifetime is how long a filter lives that nobody asks, as in go-ethereum.
const filterLifetime = 5 * time.Minute

// maxFilterBlocks bounds the hashes of one eth_getFilterChanges; the rest comes with the next.
const maxFilterBlocks = 1024

var errFilterNotFound = errors.New("filter not found")

type filterKind uint8

const (
	blockFilter filterKind = iota
	logFilter
	pendingFilter
)

// filter is a client's place in the chain.
type filter struct {
	kind  filterKind
	query logQuery
	next  uint64 // height that the client has not seen
	used  time.Time
}

// filters are the installed ones, at most maxSubscriptions.
type filters struct {
	mu   sync.Mutex // guards byID
	byID map[string]*filter
}

func newFilters() filters { return filters{byID: make(map[string]*filter)} }

// install adds a filter and removes those that nobody asked for too long.
func (f *filters) install(kind filterKind, query logQuery, next uint64) (string, error) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	name := "0x" + strings.TrimLeft(hex.EncodeToString(id[:]), "0")
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, old := range f.byID {
		if now.Sub(old.used) > filterLifetime {
			delete(f.byID, id)
		}
	}
	if len(f.byID) >= maxSubscriptions {
		return "", busy("%d filters are installed; uninstall some", maxSubscriptions)
	}
	f.byID[name] = &filter{kind: kind, query: query, next: next, used: now}
	return name, nil
}

// take returns a copy of the filter and moves its place to next, at most maxFilterBlocks on.
func (f *filters) take(id string, next uint64) (filter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	have := f.byID[id]
	if have == nil {
		return filter{}, errFilterNotFound
	}
	was := *have
	have.used = time.Now()
	have.next = max(have.next, min(next, have.next+maxFilterBlocks))
	return was, nil
}

// rewind moves the places of all filters back to next, where a chain that went back goes on.
func (f *filters) rewind(next uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, have := range f.byID {
		have.next = min(have.next, next)
	}
}

// putBack moves a filter's place back to next: what follows was taken and not answered.
func (f *filters) putBack(id string, next uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if have := f.byID[id]; have != nil {
		have.next = min(have.next, next)
	}
}

// NewBlockFilter installs a filter of block hashes.
func (e *ethAPI) NewBlockFilter() (string, error) {
	return e.s.filters.install(blockFilter, logQuery{}, uint64(e.BlockNumber())+1)
}

// NewPendingTransactionFilter installs a filter that reports nothing: what is pending is final before a
// client polls.
func (e *ethAPI) NewPendingTransactionFilter(*bool) (string, error) {
	return e.s.filters.install(pendingFilter, logQuery{}, uint64(e.BlockNumber())+1)
}

// NewFilter installs a filter of logs.
func (e *ethAPI) NewFilter(q logQuery) (string, error) {
	if err := q.check(); err != nil {
		return "", err
	}
	return e.s.filters.install(logFilter, q, uint64(e.BlockNumber())+1)
}

// UninstallFilter reports whether there was one.
func (e *ethAPI) UninstallFilter(id string) bool {
	f := &e.s.filters
	f.mu.Lock()
	defer f.mu.Unlock()
	_, found := f.byID[id]
	delete(f.byID, id)
	return found
}

// GetFilterChanges returns what is new since the last call: block hashes, or logs.
func (e *ethAPI) GetFilterChanges(ctx context.Context, id string) (any, error) {
	next := uint64(e.BlockNumber()) + 1
	f, err := e.s.filters.take(id, next)
	if err != nil {
		return nil, err
	}
	next = min(next, f.next+maxFilterBlocks)
	hashes := []common.Hash{}
	switch f.kind {
	case pendingFilter:
		return hashes, nil
	case logFilter:
		return e.s.filteredLogs(ctx, id, &f, next)
	case blockFilter:
	}
	for height := f.next; height < next; height++ {
		header, err := e.s.header(height)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, header.Hash())
	}
	return hashes, nil
}

// filteredLogs returns the logs of the blocks from a filter's place to next. Those for which there is no
// room come with the next call.
func (s *Server) filteredLogs(ctx context.Context, id string, f *filter, next uint64) (logList, error) {
	from, end := f.next, next
	if n := f.query.FromBlock; n != nil && *n >= 0 {
		from = max(from, uint64(*n))
	}
	if n := f.query.ToBlock; n != nil && *n >= 0 {
		end = min(end, uint64(*n)+1)
	}
	if from >= end {
		return logList{}, nil
	}
	logs, reached, err := s.searchLogs(ctx, &f.query, from, end-1)
	if err != nil {
		s.filters.putBack(id, f.next)
		return nil, err
	}
	if reached < end-1 {
		s.filters.putBack(id, reached+1)
	}
	return logs, nil
}

// GetFilterLogs returns all logs of a filter.
func (e *ethAPI) GetFilterLogs(ctx context.Context, id string) (logList, error) {
	f, err := e.s.filters.take(id, 0)
	if err != nil {
		return nil, err
	}
	if f.kind != logFilter {
		return nil, errFilterNotFound
	}
	return e.GetLogs(ctx, f.query)
}

// hexBytes are bytes in JSON that may be longer or shorter than a type wants: the query says so itself.
type hexBytes = hexutil.Bytes
