package state

import (
	"maps"
	"slices"

	"github.com/tercet-chain/tercet/ledger"
)

// Rewind takes the blocks above a height back and returns the changes that led there, sorted by path. The
// height has to be readable, see [State.Oldest]; otherwise it fails with [ErrPruned] or [ErrFuture] and changes
// nothing. It is for the caller of [State.Apply].
func (s *State) Rewind(height uint64) ([]ledger.Change, error) {
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	if err := s.readable(height); err != nil {
		return nil, err
	}
	keep := len(s.undos) - int(s.tip-height)
	changes := changesBefore(s.undos[keep:])
	s.mu.Lock()
	clear(s.undos[keep:])
	s.undos = s.undos[:keep]
	s.mu.Unlock()
	s.view = nil
	root := s.tree.Apply(s.write(height, false, changes))
	s.head.Store(&head{height: height, root: root, some: true})
	return changes, nil
}

// changesBefore lists what makes the state again that was before the blocks of undo records, oldest first. It is
// never nil.
func changesBefore(records []*undo) []ledger.Change {
	first := make(map[[32]byte]ledger.Change)
	for _, u := range slices.Backward(records) {
		for i := range u.entries {
			e := &u.entries[i]
			c := ledger.Change{Path: e.path, Key: u.key(e)}
			if value := u.value(e); len(value) > 0 {
				c.Value = value
			}
			first[e.path] = c
		}
	}
	changes := make([]ledger.Change, 0, len(first))
	return append(changes, slices.SortedFunc(maps.Values(first), func(a, b ledger.Change) int { return compare(&a.Path, &b.Path) })...)
}

// Adopt makes this state the other one, which MUST NOT be used any more. It is for the caller of [State.Apply].
func (s *State) Adopt(other *State) {
	other.treeMu.Lock()
	defer other.treeMu.Unlock()
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree, s.tables, s.undos, s.tip, s.view = other.tree, other.tables, other.undos, other.tip, nil
	s.head.Store(other.head.Load())
}
