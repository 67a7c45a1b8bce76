package store

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/tercet-chain/tercet/ledger"
)

// keptMarkers is how many markers stay in the chain: an hour of flushes at one a second.
const keptMarkers = 3600

// FlushState writes the coalesced changes of the blocks from m.FirstHeight to m.LastHeight, the codes that
// they deployed and their marker in one synced batch. changes MUST be sorted by path and hold the last
// value of each path; codes that are there already may be among codes. The marker must follow the one
// before and name the committed block of its last height; otherwise it fails with [ErrOrder] and writes
// nothing. Any other error is a failed write and latches.
func (s *Store) FlushState(m Marker, changes []ledger.Change, codes []ledger.Code) error {
	if err := s.Err(); err != nil {
		return err
	}
	if err := s.checkMarker(&m); err != nil {
		return err
	}
	var next chained
	var prev [32]byte
	if last := s.marker.Load(); last != nil {
		if m.FirstHeight != last.LastHeight+1 {
			return fmt.Errorf("flushing state %d to %d after %d: %w", m.FirstHeight, m.LastHeight, last.LastHeight, ErrOrder)
		}
		next.seq, prev = last.seq+1, last.hash
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
	for _, c := range codes {
		batch.Put(codeKey(c.Hash), c.Bytes)
	}
	marker := encodeMarker(&m, prev, sha256.Sum256(batch.Dump()))
	batch.Put(markerKey(next.seq), marker)
	if next.seq >= keptMarkers {
		batch.Delete(markerKey(next.seq - keptMarkers))
	}
	if err := s.write(s.state, &batch, true, fmt.Sprintf("flushing state %d to %d", m.FirstHeight, m.LastHeight)); err != nil {
		return err
	}
	next.Marker, next.hash = m, markerHash(marker)
	s.marker.Store(&next)
	s.codes.release(codes)
	return nil
}

// checkMarker holds a marker against blocks.ldb.
func (s *Store) checkMarker(m *Marker) error {
	if m.FirstHeight > m.LastHeight {
		return fmt.Errorf("state %d to %d: %w", m.FirstHeight, m.LastHeight, ErrOrder)
	}
	h, err := s.Header(m.LastHeight)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("state %d to %d is ahead of the blocks: %w", m.FirstHeight, m.LastHeight, ErrOrder)
	}
	if err != nil {
		return err
	}
	if hash := h.Hash(); hash != m.HeaderHash || h.Root != m.StateRoot {
		return fmt.Errorf("state %d to %d has header %s and root %s, block %s and %s: %w",
			m.FirstHeight, m.LastHeight, m.HeaderHash, m.StateRoot, hash, h.Root, ErrOrder)
	}
	return nil
}

// StateMarker returns the marker of the newest flush.
func (s *Store) StateMarker() (Marker, bool) {
	if m := s.marker.Load(); m != nil {
		return m.Marker, true
	}
	return Marker{}, false
}

// ScanState calls yield with the flat state at [Store.StateMarker] in path order until it returns an
// error. Key and Value are valid during the call.
func (s *Store) ScanState(yield func(ledger.Change) error) error {
	start, limit := tableRange(tableState)
	it := s.state.db.NewIterator(&util.Range{Start: start, Limit: limit}, &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	for it.Next() {
		k := it.Key()
		if len(k) != 33 {
			return corruptf(stateName, "state key %x", k)
		}
		key, value, err := decodeStateValue(it.Value())
		if err != nil {
			return corruptf(stateName, "path %x: %w", k[1:], err)
		}
		if err := yield(ledger.Change{Path: [32]byte(k[1:]), Key: key, Value: value}); err != nil {
			return err
		}
	}
	return explain(stateName, it.Error())
}

// checkState walks the chain of markers: a record that the journal lost breaks it.
func (s *Store) checkState(d *database) error {
	s.marker.Store(nil)
	var last *chained
	_, err := d.walk(tableMarker, keptMarkers, func(seq uint64, value []byte, first bool) error {
		m, prev, err := decodeMarker(value)
		if err != nil {
			return err
		}
		if !first && (prev != last.hash || m.FirstHeight != last.LastHeight+1) {
			return fmt.Errorf("it does not follow the one before")
		}
		last = &chained{Marker: m, seq: seq, hash: markerHash(value)}
		return nil
	})
	if err != nil {
		return err
	}
	if last == nil {
		return errors.Join(d.expectNone(tableState), d.expectNone(tableCode))
	}
	if err := s.checkMarker(&last.Marker); err != nil {
		return err
	}
	s.marker.Store(last)
	return nil
}

// walk goes through a table of numbered entries of which the newest kept ones are there, and returns the
// number of the next one. Entries that are missing or that visit refuses are damage.
func (d *database) walk(table byte, kept uint64, visit func(seq uint64, value []byte, first bool) error) (next uint64, err error) {
	start, limit := tableRange(table)
	it := d.db.NewIterator(&util.Range{Start: start, Limit: limit}, nil)
	defer it.Release()
	var first uint64
	some := false
	for it.Next() {
		seq, ok := parseHeight(it.Key())
		if !ok {
			return 0, corruptf(d.name, "key %x", it.Key())
		}
		if some && seq != next {
			return 0, corruptf(d.name, "entry %d of table %c follows entry %d", seq, table, next-1)
		}
		if err := visit(seq, it.Value(), !some); err != nil {
			return 0, corruptf(d.name, "entry %d of table %c: %w", seq, table, err)
		}
		if !some {
			first, some = seq, true
		}
		next = seq + 1
	}
	if err := it.Error(); err != nil {
		return 0, explain(d.name, err)
	}
	// Each new entry removes the one that is kept entries older, so that the first one is known too.
	if want := next - min(next, kept); first != want {
		return 0, corruptf(d.name, "the first entry of table %c is %d instead of %d", table, first, want)
	}
	return next, nil
}

// expectNone fails when a table that must be empty is not.
func (d *database) expectNone(table byte) error {
	start, limit := tableRange(table)
	it := d.db.NewIterator(&util.Range{Start: start, Limit: limit}, nil)
	defer it.Release()
	if it.First() {
		return corruptf(d.name, "table %c has entries but no progress", table)
	}
	return explain(d.name, it.Error())
}
