package store

import (
	"encoding/binary"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// Evidence is a proof that a validator broke the rules. The store keeps it for people and understands
// nothing of it: whoever reads it back MUST verify it.
type Evidence struct {
	FirstSeenMs uint64 // when this node first had it, Unix ms
	Proof       []byte
}

// AddEvidence keeps a proof behind those that are kept already; when it returns nil, it is on the disk. The
// caller bounds how many there are. An error is a failed write and latches. One caller at a time.
func (s *Store) AddEvidence(e Evidence) error {
	var b leveldb.Batch
	b.Put(evidenceKey(s.evidenceNext), append(binary.BigEndian.AppendUint64(nil, e.FirstSeenMs), e.Proof...))
	if err := s.write(s.blocks, &b, true, "keeping evidence"); err != nil {
		return err
	}
	s.evidenceNext++
	return nil
}

// Evidence lists the proofs in the order in which they were added. It is for the caller of AddEvidence.
func (s *Store) Evidence() ([]Evidence, error) {
	start, limit := tableRange(tableEvidence)
	it := s.blocks.db.NewIterator(&util.Range{Start: start, Limit: limit}, nil)
	defer it.Release()
	var list []Evidence
	for it.Next() {
		value := append([]byte(nil), it.Value()...)
		if len(value) < 8 {
			return nil, corruptf(blocksName, "evidence %x of %d bytes", it.Key(), len(value))
		}
		list = append(list, Evidence{FirstSeenMs: binary.BigEndian.Uint64(value), Proof: value[8:]})
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("reading evidence: %w", explain(blocksName, err))
	}
	return list, nil
}

// findEvidence finds where the next proof goes.
func (s *Store) findEvidence() error {
	start, limit := tableRange(tableEvidence)
	it := s.blocks.db.NewIterator(&util.Range{Start: start, Limit: limit}, nil)
	defer it.Release()
	if it.Last() {
		last, ok := parseHeight(it.Key())
		if !ok {
			return corruptf(blocksName, "evidence key %x", it.Key())
		}
		s.evidenceNext = last + 1
	}
	return explain(blocksName, it.Error())
}
