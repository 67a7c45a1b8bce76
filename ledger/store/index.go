package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/ledger"
)

// recent holds the positions of blocks that are committed and not yet indexed. How many there are is
// bounded by how far the caller lets the index lag.
type recent struct {
	txs    map[common.Hash]Position
	hashes map[common.Hash]uint64
}

func newRecent() recent {
	return recent{txs: make(map[common.Hash]Position), hashes: make(map[common.Hash]uint64)}
}

// add enters a block; the first execution of a transaction stays.
func (r *recent) add(b *ledger.Block) {
	r.hashes[b.Header.Hash()] = b.Ordered.Height
	for hash, p := range positions(b) {
		if old, ok := r.txs[hash]; !ok || old.Dropped != 0 {
			r.txs[hash] = p
		}
	}
}

// forget removes a block that is indexed.
func (r *recent) forget(b *ledger.Block) {
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

// IndexBlocks writes hashes and positions of blocks in one batch with the progress. Blocks that are
// indexed already are skipped, the others MUST follow the progress and be covered by the state's
// marker, or it fails with [ErrOrder]. It is not synced: what a crash loses is indexed again, and the
// progress tells from where. Any other error is a failed write and latches.
func (s *Store) IndexBlocks(blocks []*ledger.Block) error {
	if err := s.Err(); err != nil {
		return err
	}
	var batch leveldb.Batch
	written := make(map[common.Hash]Position)
	next, marker := s.progress.Load(), s.marker.Load()
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
		if err := s.indexBlock(&batch, b, written); err != nil {
			return err
		}
		next = &height
	}
	if batch.Len() == 0 {
		return nil
	}
	batch.Put(metaKey(metaProgress), binary.BigEndian.AppendUint64(nil, *next))
	if err := s.write(s.index, &batch, false, fmt.Sprintf("indexing up to block %d", *next)); err != nil {
		return err
	}
	s.progress.Store(next)
	s.recentMu.Lock()
	defer s.recentMu.Unlock()
	for _, b := range blocks {
		s.recent.forget(b)
	}
	return nil
}

func (s *Store) indexBlock(batch *leveldb.Batch, b *ledger.Block, written map[common.Hash]Position) error {
	batch.Put(hashKey(b.Header.Hash()), binary.BigEndian.AppendUint64(nil, b.Ordered.Height))
	for hash, p := range positions(b) {
		old, ok := written[hash]
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
		written[hash] = p
		batch.Put(txKey(hash), encodePosition(&p))
	}
	return nil
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

// checkIndex finds the progress and holds it against the state.
func (s *Store) checkIndex(d *database) error {
	s.progress.Store(nil)
	v, err := d.get(metaKey(metaProgress))
	if errors.Is(err, ErrNotFound) {
		return errors.Join(d.expectNone(tableTx), d.expectNone(tableHash))
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
	s.progress.Store(&height)
	return nil
}
