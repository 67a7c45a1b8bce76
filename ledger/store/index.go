package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/ledger"
)

// recent holds the blocks that are committed and not yet indexed, and their positions. How many there are
// is bounded by how far the caller lets the index lag.
type recent struct {
	txs    map[common.Hash]Position
	hashes map[common.Hash]uint64
	blocks map[uint64]*ledger.Block
}

func newRecent() recent {
	return recent{
		txs: make(map[common.Hash]Position), hashes: make(map[common.Hash]uint64), blocks: make(map[uint64]*ledger.Block),
	}
}

// add enters a block; the first execution of a transaction stays.
func (r *recent) add(b *ledger.Block) {
	r.blocks[b.Ordered.Height] = b
	r.hashes[b.Header.Hash()] = b.Ordered.Height
	for hash, p := range positions(b) {
		if old, ok := r.txs[hash]; !ok || old.Dropped != 0 {
			r.txs[hash] = p
		}
	}
}

// forget removes a block that is indexed.
func (r *recent) forget(b *ledger.Block) {
	delete(r.blocks, b.Ordered.Height)
	delete(r.hashes, b.Header.Hash())
	for hash := range positions(b) {
		if r.txs[hash].Height == b.Ordered.Height {
			delete(r.txs, hash)
		}
	}
}

// positions yields where a block puts its transactions, drops first, so that in a block which drops a
// duplicate of what it executed the execution comes last.
func positions(b *ledger.Block) func(func(common.Hash, Position) bool) {
	return func(yield func(common.Hash, Position) bool) {
		for _, d := range b.Drops {
			p := Position{Height: b.Ordered.Height, PayloadIndex: d.Index, Dropped: d.Reason}
			if !yield(d.Hash, p) {
				return
			}
		}
		at, drops := uint32(0), b.Drops
		for i, tx := range b.Transactions {
			for len(drops) > 0 && drops[0].Index == at {
				drops = drops[1:]
				at++
			}
			if !yield(tx.Hash(), Position{Height: b.Ordered.Height, Index: uint32(i), PayloadIndex: at}) {
				return
			}
			at++
		}
	}
}

// IndexBlocks writes hashes, positions and log postings of blocks in one batch with the progress. Blocks
// that are indexed already are skipped, the others MUST follow the progress and be covered by the state's
// marker, or it fails with [ErrOrder]. It is not synced: what a crash loses is indexed again, and the
// progress tells from where. Any other error is a failed write and latches.
func (s *Store) IndexBlocks(blocks []*ledger.Block) error {
	if err := s.Err(); err != nil {
		return err
	}
	w := indexing{written: make(map[common.Hash]Position)}
	next, marker := s.progress.Load(), s.marker.Load()
	first := uint64(0)
	for _, b := range blocks {
		height := b.Ordered.Height
		if next != nil && height <= *next {
			continue
		}
		if next != nil && height != *next+1 {
			return fmt.Errorf("indexing block %d after %d: %w", height, *next, ErrOrder)
		}
		if marker == nil || height > marker.LastHeight {
			return fmt.Errorf("indexing block %d ahead of the state: %w", height, ErrOrder)
		}
		if w.batch.Len() == 0 {
			first = height
		}
		if err := s.indexBlock(&w, b); err != nil {
			return err
		}
		next = &height
	}
	if w.batch.Len() == 0 {
		return nil
	}
	if err := s.indexLogs(&w); err != nil {
		return err
	}
	s.addRun(&w.batch, run{first, *next})
	w.batch.Put(metaKey(metaProgress), binary.BigEndian.AppendUint64(nil, *next))
	if err := s.write(s.index, &w.batch, false, fmt.Sprintf("indexing up to block %d", *next)); err != nil {
		return err
	}
	s.runNext++
	s.progress.Store(next)
	s.recentMu.Lock()
	defer s.recentMu.Unlock()
	for _, b := range blocks {
		s.recent.forget(b)
	}
	return nil
}

// indexing is what one batch of the index gathers.
type indexing struct {
	batch   leveldb.Batch
	written map[common.Hash]Position
	posted  []posted
}

func (s *Store) indexBlock(w *indexing, b *ledger.Block) error {
	w.batch.Put(hashKey(b.Header.Hash()), binary.BigEndian.AppendUint64(nil, b.Ordered.Height))
	w.posted = appendPosted(w.posted, b.Ordered.Height, b.Receipts)
	for hash, p := range positions(b) {
		old, ok := w.written[hash]
		if !ok {
			var err error
			if old, err = s.indexed(hash); err == nil {
				ok = true
			} else if !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("indexing block %d: %w", b.Ordered.Height, err)
			}
		}
		// The first execution stays; a drop stays until the transaction executes after all.
		if ok && (old.Dropped == 0 || p.Dropped != 0 && !old.Dropped.Retry()) {
			continue
		}
		w.written[hash] = p
		w.batch.Put(txKey(hash), encodePosition(&p))
	}
	return nil
}

// indexLogs adds what is posted to the postings that are there.
func (s *Store) indexLogs(w *indexing) error {
	sortPosted(w.posted)
	for list := w.posted; len(list) > 0; {
		key := list[0].key
		blocks, err := s.posting(key)
		if err != nil {
			return err
		}
		for len(list) > 0 && list[0].key == key {
			blocks.add(list[0].offset)
			list = list[1:]
		}
		w.batch.Put(key[:], encodePosting(&blocks))
	}
	return nil
}

// run is the blocks that one batch indexed. LevelDB can lose a batch in the middle of its journal without
// a word; then the runs do not follow each other.
type run struct{ first, last uint64 }

// keptRuns is how many of the newest runs are kept: what a journal of indexBuffer holds, many times over.
const keptRuns = 3600

func (s *Store) addRun(batch *leveldb.Batch, r run) {
	batch.Put(runKey(s.runNext), encodeRun(r))
	if s.runNext >= keptRuns {
		batch.Delete(runKey(s.runNext - keptRuns))
	}
}

// indexed reads index.ldb; the position may be that of another transaction with the same prefix.
func (s *Store) indexed(hash common.Hash) (Position, error) {
	v, err := s.index.get(txKey(hash))
	if err != nil {
		return Position{}, err
	}
	p, err := decodePosition(v)
	if err != nil {
		return Position{}, corruptf(indexName, "transaction %s: %w", hash, err)
	}
	return p, nil
}

// IndexProgress returns the highest indexed height.
func (s *Store) IndexProgress() (uint64, bool) { return load(s.progress.Load()) }

// Transaction returns where a transaction was ordered, or [ErrNotFound]. Committed blocks are found
// whether they are indexed or not; after Open, blocks above [Store.IndexProgress] only when they have
// been indexed.
func (s *Store) Transaction(hash common.Hash) (Position, error) {
	s.recentMu.RLock()
	p, found := s.recent.txs[hash]
	s.recentMu.RUnlock()
	if found && p.Dropped == 0 {
		return p, nil
	}
	old, err := s.transactionIndexed(hash)
	if errors.Is(err, ErrNotFound) && found || err == nil && found && old.Dropped.Retry() {
		return p, nil
	}
	return old, err
}

func (s *Store) transactionIndexed(hash common.Hash) (Position, error) {
	p, err := s.indexed(hash)
	if err != nil {
		return Position{}, fmt.Errorf("transaction %s: %w", hash, err)
	}
	if tip, ok := s.Tip(); !ok || p.Height > tip {
		return Position{}, fmt.Errorf("transaction %s: %w", hash, ErrNotFound)
	}
	o, err := s.body(p.Height)
	if err != nil {
		return Position{}, err
	}
	hashes, err := payloadHashes(o)
	if err != nil {
		return Position{}, err
	}
	if int(p.PayloadIndex) >= len(hashes) {
		return Position{}, corruptf(indexName, "transaction %s at %d of the %d in block %d", hash, p.PayloadIndex, len(hashes), p.Height)
	}
	if hashes[p.PayloadIndex] != hash {
		return Position{}, fmt.Errorf("transaction %s: %w", hash, ErrNotFound)
	}
	return p, nil
}

// HeightByHash returns the height of an executed header's hash, or [ErrNotFound].
func (s *Store) HeightByHash(hash common.Hash) (uint64, error) {
	s.recentMu.RLock()
	height, found := s.recent.hashes[hash]
	s.recentMu.RUnlock()
	if found {
		return height, nil
	}
	v, err := s.index.get(hashKey(hash))
	if err != nil {
		return 0, fmt.Errorf("block %s: %w", hash, err)
	}
	if len(v) != 8 {
		return 0, corruptf(indexName, "block %s has a height of %d bytes", hash, len(v))
	}
	height = binary.BigEndian.Uint64(v)
	h, err := s.Header(height)
	if err != nil {
		return 0, err
	}
	if h.Hash() != hash {
		return 0, fmt.Errorf("block %s: %w", hash, ErrNotFound)
	}
	return height, nil
}

// checkIndex finds the progress and holds it against the state and the runs that led to it.
func (s *Store) checkIndex(d *database) error {
	s.progress.Store(nil)
	s.runNext = 0
	v, err := d.get(metaKey(metaProgress))
	if errors.Is(err, ErrNotFound) {
		return errors.Join(d.expectNone(tableTx), d.expectNone(tableHash), d.expectNone(tableLog), d.expectNone(tableRun))
	}
	if err != nil {
		return err
	}
	if len(v) != 8 {
		return corruptf(indexName, "progress of %d bytes", len(v))
	}
	height := binary.BigEndian.Uint64(v)
	if m := s.marker.Load(); m == nil || height > m.LastHeight {
		return fmt.Errorf("index of height %d is ahead of the state: %w", height, ErrOrder)
	}
	var last run
	s.runNext, err = d.walk(tableRun, keptRuns, func(seq uint64, value []byte, first bool) error {
		r, err := decodeRun(value)
		if err != nil {
			return err
		}
		if !first && r.first != last.last+1 {
			return fmt.Errorf("blocks %d to %d after %d", r.first, r.last, last.last)
		}
		last = r
		return nil
	})
	if err != nil {
		return err
	}
	if s.runNext == 0 || last.last != height {
		return corruptf(indexName, "progress of height %d after runs up to %d", height, last.last)
	}
	s.progress.Store(&height)
	return nil
}
