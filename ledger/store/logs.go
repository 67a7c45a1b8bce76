package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

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

// Logs returns the logs of a block that the query chooses, complete with their place in the chain. It costs a
// fraction of [Store.Receipts], which makes the bloom filter of every receipt.
func (s *Store) Logs(q LogQuery, height uint64) ([]*types.Log, error) {
	header, err := s.Header(height)
	if err != nil {
		return nil, err
	}
	stored, err := s.receipts(height)
	if err != nil {
		return nil, err
	}
	logs, drops, err := chooseLogs(stored, &q)
	if err != nil {
		return nil, corruptf(blocksName, "block %d: receipts: %w", height, err)
	}
	if len(logs) == 0 {
		return nil, nil
	}
	o, err := s.body(height)
	if err != nil {
		return nil, err
	}
	hashes, err := payloadHashes(o)
	if err != nil {
		return nil, err
	}
	restored, err := restoreDrops(drops, hashes)
	if err != nil {
		return nil, corruptf(blocksName, "block %d: %w", height, err)
	}
	executed, hash := executedOf(hashes, restored), header.Hash()
	for _, l := range logs {
		if int(l.TxIndex) >= len(executed) {
			return nil, corruptf(blocksName, "block %d has a log of transaction %d of %d", height, l.TxIndex, len(executed))
		}
		l.TxHash = hashes[executed[l.TxIndex]]
		l.BlockHash, l.BlockNumber, l.BlockTimestamp = hash, height, header.Time
	}
	return logs, nil
}

// chooseLogs reads stored receipts without decoding more than the logs that the query chooses, whose places in the
// block are set.
func chooseLogs(stored []byte, q *LogQuery) (logs []*types.Log, drops []storedDrop, err error) {
	content, _, err := rlp.SplitList(stored)
	if err != nil {
		return nil, nil, err
	}
	receipts, rest, err := rlp.SplitList(content)
	if err != nil {
		return nil, nil, err
	}
	if err := rlp.DecodeBytes(rest, &drops); err != nil {
		return nil, nil, err
	}
	index := uint(0)
	for at := uint(0); len(receipts) > 0; at++ {
		var fields, list []byte
		if fields, receipts, err = rlp.SplitList(receipts); err != nil {
			return nil, nil, err
		}
		for range storedReceiptFields - 1 {
			if _, _, fields, err = rlp.Split(fields); err != nil {
				return nil, nil, err
			}
		}
		if list, _, err = rlp.SplitList(fields); err != nil {
			return nil, nil, err
		}
		for ; len(list) > 0; index++ {
			l := types.Log{TxIndex: at, Index: index}
			var topics [maxTopics]common.Hash
			if list, err = splitLog(list, &l, &topics); err != nil {
				return nil, nil, err
			}
			if q.Matches(&l) {
				chosen := l
				chosen.Topics, chosen.Data = slices.Clone(l.Topics), bytes.Clone(l.Data)
				logs = append(logs, &chosen)
			}
		}
	}
	return logs, drops, nil
}

// splitLog takes the first log off a list of stored ones. Its topics are in topics, its data in list.
func splitLog(list []byte, l *types.Log, topics *[maxTopics]common.Hash) (rest []byte, err error) {
	fields, rest, err := rlp.SplitList(list)
	if err != nil {
		return nil, err
	}
	address, fields, err := rlp.SplitString(fields)
	if err != nil {
		return nil, err
	}
	words, fields, err := rlp.SplitList(fields)
	if err != nil {
		return nil, err
	}
	if len(address) != common.AddressLength || len(words)%(1+common.HashLength) != 0 || len(words) > maxTopics*(1+common.HashLength) {
		return nil, fmt.Errorf("log with an address of %d bytes and %d bytes of topics", len(address), len(words))
	}
	n := 0
	for ; len(words) > 0; n++ {
		var word []byte
		if word, words, err = rlp.SplitString(words); err != nil {
			return nil, err
		}
		if len(word) != common.HashLength {
			return nil, fmt.Errorf("topic of %d bytes", len(word))
		}
		topics[n] = common.Hash(word)
	}
	l.Address, l.Topics = common.Address(address), topics[:n]
	if l.Data, _, err = rlp.SplitString(fields); err != nil {
		return nil, err
	}
	return rest, nil
}

// LogBlocks returns the heights from from to to, ascending, whose blocks may have logs that the query
// chooses: none that has is missing; a few others may be there, so the caller asks each with [Store.Logs]. Heights above the tip have no logs. It fails with [ErrLogRange] for more than
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
