package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
)

// Bounds of a log query, go-ethereum's.
const (
	maxTopics        = 4
	maxSubTopics     = 1000
	maxLogAddresses  = 1000
	maxSubscriptions = 1024 // filters that a server keeps
)

// logQuery is a filter object of eth_getLogs and eth_newFilter.
type logQuery struct {
	BlockHash *common.Hash         `json:"blockHash"`
	FromBlock *gethrpc.BlockNumber `json:"fromBlock"`
	ToBlock   *gethrpc.BlockNumber `json:"toBlock"`
	Address   oneOrMore            `json:"address"`
	Topics    []oneOrMore          `json:"topics"`
}

// oneOrMore is a hex string, a list of such, or null.
type oneOrMore [][]byte

// UnmarshalJSON implements [json.Unmarshaler].
func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	var list []*hexBytes
	if len(b) > 0 && b[0] == '[' {
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
	} else {
		var one *hexBytes
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		list = []*hexBytes{one}
	}
	*o = nil
	for _, one := range list {
		if one == nil {
			*o = nil // null matches anything
			return nil
		}
		*o = append(*o, *one)
	}
	return nil
}

// check applies the rules that need no chain.
func (q *logQuery) check() error {
	if q.BlockHash != nil && (q.FromBlock != nil || q.ToBlock != nil) {
		return invalidParams("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")
	}
	if len(q.Topics) > maxTopics {
		return invalidParams("exceed max topics")
	}
	if len(q.Address) > maxLogAddresses {
		return invalidParams("exceed max addresses or topics per search position")
	}
	for _, a := range q.Address {
		if len(a) != common.AddressLength {
			return invalidParams("hex has invalid length %d after decoding; expected %d for address", len(a), common.AddressLength)
		}
	}
	for _, position := range q.Topics {
		if len(position) > maxSubTopics {
			return invalidParams("exceed max addresses or topics per search position")
		}
		for _, topic := range position {
			if len(topic) != common.HashLength {
				return invalidParams("hex has invalid length %d after decoding; expected %d for topic", len(topic), common.HashLength)
			}
		}
	}
	return nil
}

// GetLogs returns the logs of a block or of a range of blocks that match, oldest first.
func (e *ethAPI) GetLogs(ctx context.Context, q logQuery) (logList, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	from, to, err := e.s.logRange(&q)
	if err != nil {
		return nil, err
	}
	logs, reached, err := e.s.searchLogs(ctx, &q, from, to)
	if err != nil {
		return nil, err
	}
	if reached < to {
		return nil, shorter(from, reached, "query returned more than %d results or takes too long", maxLogs)
	}
	return logs, nil
}

// logRange resolves the blocks that a query covers, within the rules for ranges.
func (s *Server) logRange(q *logQuery) (from, to uint64, err error) {
	if q.BlockHash != nil {
		height, found, err := s.heightOf(*q.BlockHash)
		if err == nil && !found {
			err = errors.New("unknown block")
		}
		return height, height, err
	}
	head := s.head().Header.Number.Uint64()
	from, to = head, head
	if q.FromBlock != nil {
		from = s.height(*q.FromBlock)
	}
	if q.ToBlock != nil {
		to = s.height(*q.ToBlock)
	}
	if from > to {
		return 0, 0, invalidParams("invalid block range params")
	}
	if to > head {
		return 0, 0, invalidParams("block range extends beyond current head block")
	}
	if to-from >= s.cfg.MaxLogRange {
		return 0, 0, shorter(from, from+s.cfg.MaxLogRange-1, "query exceeds the limit of %d blocks", s.cfg.MaxLogRange)
	}
	return from, to, nil
}
