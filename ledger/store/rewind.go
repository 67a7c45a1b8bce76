package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/tercet-chain/tercet/ledger"
)

// errNoDevelopment is for who tries to take blocks back where they are final.
var errNoDevelopment = errors.New("only a development chain goes back to an earlier block")

// RewindDerived makes index and state those of an earlier block of a development chain. The state is at
// [Store.StateMarker]; changes, sorted by path, lead back from there. A nil list empties both databases
// instead, to be made again from the blocks. [Store.RewindBlocks] is to follow: until then a restart
// brings back what was taken. An error is a failed write and latches, or says that the databases are not as they
// should be.
func (s *Store) RewindDerived(height uint64, changes []ledger.Change) error {
	if !s.opts.Genesis.Development {
		return errNoDevelopment
	}
	if changes == nil {
		return s.emptyDerived()
	}
	if err := s.rewindIndex(height); err != nil {
		return err
	}
	return s.rewindState(height, changes)
}

// RewindBlocks takes back the blocks above a height of a development chain, in one synced batch. Index and state
// MUST be at or below it, or it fails with [ErrOrder].
func (s *Store) RewindBlocks(height uint64) error {
	if !s.opts.Genesis.Development {
		return errNoDevelopment
	}
	tip, ok := s.Tip()
	m, marked := s.StateMarker()
	indexed, some := s.IndexProgress()
	if !ok || height > tip || marked && m.LastHeight > height || some && indexed > height {
		return fmt.Errorf("going back to block %d, with blocks up to %d, state %d and index %d: %w", height, tip, m.LastHeight, indexed, ErrOrder)
	}
	header, err := s.Header(height)
	if err != nil {
		return err
	}
	var batch leveldb.Batch
	for h := height + 1; h <= tip; h++ {
		for _, table := range []byte{tableHeader, tableBody, tableReceipts, tableFinalization, tableExecCert} {
			batch.Delete(heightKey(table, h))
		}
	}
	if err := s.write(s.blocks, &batch, true, fmt.Sprintf("going back to block %d", height)); err != nil {
		return err
	}
	s.recentMu.Lock()
	s.recent = newRecent()
	s.recentMu.Unlock()
	s.tip.Store(&height)
	s.tipHash = header.Hash()
	return s.findCertified(height)
}

// rewindIndex takes what it says of later blocks out of the index.
func (s *Store) rewindIndex(height uint64) error {
	progress, ok := s.IndexProgress()
	if !ok || progress <= height {
		return nil
	}
	var batch leveldb.Batch
	cut := make(map[postingKey]struct{})
	for h := height + 1; h <= progress; h++ {
		if err := s.unindexBlock(&batch, height, h, cut); err != nil {
			return err
		}
	}
	for key := range cut { // a batch has no order that anybody sees
		if err := s.cutPosting(&batch, key, height); err != nil {
			return err
		}
	}
	if err := s.index.deleteAll(&batch, tableRun); err != nil {
		return err
	}
	batch.Put(runKey(0), encodeRun(run{0, height}))
	batch.Put(metaKey(metaProgress), binary.BigEndian.AppendUint64(nil, height))
	if err := s.write(s.index, &batch, true, fmt.Sprintf("taking back the index to block %d", height)); err != nil {
		return err
	}
	s.runNext = 1
	s.progress.Store(&height)
	return nil
}

// unindexBlock removes the hashes of a block and notes its postings. A transaction that an earlier block dropped
// too is not found there any more.
func (s *Store) unindexBlock(batch *leveldb.Batch, keep, height uint64, cut map[postingKey]struct{}) error {
	b, err := s.parts(height)
	if err != nil {
		return err
	}
	batch.Delete(hashKey(b.header.Hash()))
	for _, hash := range b.hashes {
		p, err := s.indexed(hash)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if p.Height > keep {
			batch.Delete(txKey(hash))
		}
	}
	for _, p := range appendPosted(nil, height, b.receipts) {
		cut[p.key] = struct{}{}
	}
	return nil
}

// cutPosting removes the blocks above a height from a posting.
func (s *Store) cutPosting(batch *leveldb.Batch, key postingKey, height uint64) error {
	blocks, err := s.posting(key)
	if err != nil {
		return err
	}
	first := uint64(binary.BigEndian.Uint32(key[len(key)-4:])) << sectionBits
	var kept section
	some := false
	for offset := range blocks.offsets {
		if first+uint64(offset) <= height {
			kept.add(offset)
			some = true
		}
	}
	if some {
		batch.Put(key[:], encodePosting(&kept))
	} else {
		batch.Delete(key[:])
	}
	return nil
}

// rewindState applies changes and begins the chain of markers anew.
func (s *Store) rewindState(height uint64, changes []ledger.Change) error {
	was := s.marker.Load()
	if was == nil || was.LastHeight <= height {
		return nil
	}
	if tip, ok := s.Tip(); !ok || was.LastHeight != tip {
		return fmt.Errorf("going back from the state of block %d, with blocks up to %d: %w", was.LastHeight, tip, ErrOrder)
	}
	header, err := s.Header(height)
	if err != nil {
		return err
	}
	var batch leveldb.Batch
	for i := range changes {
		c := &changes[i]
		if len(c.Value) == 0 {
			batch.Delete(stateKey(&c.Path))
		} else {
			batch.Put(stateKey(&c.Path), encodeStateValue(c.Key, c.Value))
		}
	}
	if err := s.state.deleteAll(&batch, tableMarker); err != nil {
		return err
	}
	next := chained{Marker: Marker{LastHeight: height, HeaderHash: header.Hash(), StateRoot: header.Root}}
	marker := encodeMarker(&next.Marker, [32]byte{}, sha256.Sum256(batch.Dump()))
	batch.Put(markerKey(0), marker)
	if err := s.write(s.state, &batch, true, fmt.Sprintf("taking back the state to block %d", height)); err != nil {
		return err
	}
	next.hash = markerHash(marker)
	s.marker.Store(&next)
	return nil
}

// emptyDerived empties the index and then the state.
func (s *Store) emptyDerived() error {
	var index, state leveldb.Batch
	for _, table := range []byte{tableTx, tableHash, tableLog, tableRun} {
		if err := s.index.deleteAll(&index, table); err != nil {
			return err
		}
	}
	index.Delete(metaKey(metaProgress))
	if err := s.write(s.index, &index, true, "emptying the index"); err != nil {
		return err
	}
	s.progress.Store(nil)
	s.runNext = 0
	for _, table := range []byte{tableState, tableCode, tableMarker} {
		if err := s.state.deleteAll(&state, table); err != nil {
			return err
		}
	}
	if err := s.write(s.state, &state, true, "emptying the state"); err != nil {
		return err
	}
	s.marker.Store(nil)
	s.codes.forget()
	return nil
}

// deleteAll deletes the keys of a table.
func (d *database) deleteAll(batch *leveldb.Batch, table byte) error {
	start, limit := tableRange(table)
	it := d.db.NewIterator(&util.Range{Start: start, Limit: limit}, &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	for it.Next() {
		batch.Delete(it.Key())
	}
	return explain(d.name, it.Error())
}

// forget empties the memory of codes: those that taken back blocks deployed are not of the chain any more.
func (c *codes) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.young, c.old, c.youngBytes = nil, nil, nil, 0
}
