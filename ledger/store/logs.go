package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
)

// MaxLogRange is how many blocks one [Store.LogBlocks] looks through: its answer has at most 8 MiB.
const MaxLogRange = 1 << 20

// LogQuery chooses logs, as eth_getLogs does.
type LogQuery struct {
	// Addresses of contracts, any of them; none: every contract.
	Addresses []common.Address
	// Topics by position: at each any of those listed, none for everything. Logs with fewer topics than there
	// are positions are not chosen.
	Topics [][]common.Hash
}

// Matches reports whether the query chooses a log.
func (q *LogQuery) Matches(l *types.Log) bool {
	if len(q.Addresses) > 0 && !slices.Contains(q.Addresses, l.Address) || len(q.Topics) > len(l.Topics) {
		return false
	}
	for i, topics := range q.Topics {
		if len(topics) > 0 && !slices.Contains(topics, l.Topics[i]) {
			return false
		}
	}
	return true
}

func (q *LogQuery) matchesOneOf(receipts []*types.Receipt) bool {
	for _, r := range receipts {
		if slices.ContainsFunc(r.Logs, q.Matches) {
			return true
		}
	}
	return false
}

// LogBlocks returns the heights from from to to, ascending, whose blocks may have logs that the query
// chooses: none that has is missing; a few others may be there, so the caller looks at their receipts with
// [LogQuery.Matches]. Heights above the tip have no logs. It fails with [ErrLogRange] for more than
// [MaxLogRange] blocks. It reads index.ldb once for each value in the query and each 4,096 blocks.
func (s *Store) LogBlocks(q LogQuery, from, to uint64) ([]uint64, error) {
	tip, some := s.Tip()
	if to = min(to, tip); !some || from > to || len(q.Topics) > maxTopics {
		return nil, nil
	}
	if to-from >= MaxLogRange {
		return nil, fmt.Errorf("logs of %d blocks, at most %d at a time: %w", to-from+1, MaxLogRange, ErrLogRange)
	}
	first, waiting := s.waiting(from, to)
	var heights []uint64
	if from < first {
		var err error
		if heights, err = s.logBlocksIndexed(q.criteria(), from, min(to, first-1)); err != nil {
			return nil, err
		}
	}
	for i, b := range waiting {
		height := first + uint64(i)
		var receipts []*types.Receipt
		var err error
		if b != nil {
			receipts = b.Receipts
		} else if receipts, _, err = s.Receipts(height); err != nil {
			return nil, err
		}
		if q.matchesOneOf(receipts) {
			heights = append(heights, height)
		}
	}
	return heights, nil
}

// waiting returns the first height from from that is not indexed, and the blocks from there to to. After
// Open, those that are not indexed yet are nil.
func (s *Store) waiting(from, to uint64) (first uint64, blocks []*ledger.Block) {
	// A block leaves recent after the progress has reached it: seen under the lock it is in one of them.
	s.recentMu.RLock()
	defer s.recentMu.RUnlock()
	first = from
	if progress, indexed := s.IndexProgress(); indexed {
		first = max(from, progress+1)
	}
	for height := first; height <= to; height++ {
		blocks = append(blocks, s.recent.blocks[height])
	}
	return first, blocks
}

// criterion is a kind of posting and the values of which a block must have one.
type criterion struct {
	kind   byte
	values [][]byte
}

// criteria are those that a block must meet all to be a candidate.
func (q *LogQuery) criteria() []criterion {
	var list []criterion
	if n := len(q.Addresses); n > 0 {
		c := criterion{logAddress, make([][]byte, n)}
		for i := range q.Addresses {
			c.values[i] = q.Addresses[i][:]
		}
		list = append(list, c)
	}
	for position, topics := range q.Topics {
		if len(topics) == 0 {
			continue
		}
		c := criterion{logTopic + byte(position), make([][]byte, len(topics))}
		for i := range topics {
			c.values[i] = topics[i][:]
		}
		list = append(list, c)
	}
	if list == nil {
		list = append(list, criterion{logAny, [][]byte{nil}})
	}
	return list
}

// logBlocksIndexed answers from the postings.
func (s *Store) logBlocksIndexed(criteria []criterion, from, to uint64) ([]uint64, error) {
	var heights []uint64
	for at := from >> sectionBits; at <= to>>sectionBits; at++ {
		found, err := s.logSection(criteria, at)
		if err != nil {
			return nil, err
		}
		for offset := range found.offsets {
			if height := at<<sectionBits + uint64(offset); height >= from && height <= to {
				heights = append(heights, height)
			}
		}
	}
	return heights, nil
}

// logSection returns the blocks of a section that meet all criteria.
func (s *Store) logSection(criteria []criterion, at uint64) (section, error) {
	var found section
	for i, c := range criteria {
		var some section
		for _, value := range c.values {
			one, err := s.posting(makePostingKey(c.kind, value, at))
			if err != nil {
				return section{}, err
			}
			some.or(&one)
		}
		if i == 0 {
			found = some
		} else {
			found.and(&some)
		}
		if found == (section{}) {
			break
		}
	}
	return found, nil
}

// posting reads index.ldb; an absent posting is empty.
func (s *Store) posting(key postingKey) (section, error) {
	v, err := s.index.get(key[:])
	if errors.Is(err, ErrNotFound) {
		return section{}, nil
	}
	if err != nil {
		return section{}, fmt.Errorf("reading posting %x: %w", key, err)
	}
	blocks, err := decodePosting(v)
	if err != nil {
		return section{}, corruptf(indexName, "posting %x: %w", key, err)
	}
	return blocks, nil
}
