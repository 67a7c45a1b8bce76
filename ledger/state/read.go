package state

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// Account returns an account at the newest height; an unknown one is empty. Safe for concurrent use.
func (s *State) Account(addr common.Address) ledger.Account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tables.accounts.get(&addr)
}

// AccountAt returns an account as it was after the block at height, [ErrPruned] or [ErrFuture]. Safe
// for concurrent use.
func (s *State) AccountAt(height uint64, addr common.Address) (ledger.Account, error) {
	var key [ledger.AccountKeyLen]byte
	s.mu.RLock()
	defer s.mu.RUnlock()
	old, found, err := s.replaced(height, ledger.AppendAccountKey(key[:0], addr))
	if err != nil {
		return ledger.Account{}, err
	}
	if !found {
		return s.tables.accounts.get(&addr), nil
	}
	acc, err := ledger.DecodeAccount(old)
	if err != nil {
		panic("state: undo records hold what was stored: " + err.Error())
	}
	return acc, nil
}

// Storage returns the value of a contract's slot at the newest height; an unknown one is zero. Safe for
// concurrent use.
func (s *State) Storage(addr common.Address, slot common.Hash) common.Hash {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tables.storage(addr, slot)
}

// StorageAt returns the value of a contract's slot as it was after the block at height, [ErrPruned] or
// [ErrFuture]. Safe for concurrent use.
func (s *State) StorageAt(height uint64, addr common.Address, slot common.Hash) (common.Hash, error) {
	var key [ledger.StorageKeyLen]byte
	s.mu.RLock()
	defer s.mu.RUnlock()
	old, found, err := s.replaced(height, ledger.AppendStorageKey(key[:0], addr, slot))
	if err != nil {
		return common.Hash{}, err
	}
	if !found {
		return s.tables.storage(addr, slot), nil
	}
	value, err := ledger.DecodeSlot(old)
	if err != nil {
		panic("state: undo records hold what was stored: " + err.Error())
	}
	return value, nil
}

// Value returns the value of any raw key at the newest height, in its encoding, nil when there is none.
// Safe for concurrent use.
func (s *State) Value(key []byte) []byte {
	path := ledger.Path(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tables.appendValue(nil, key, &path)
}

// ValueAt returns the value of any raw key as it was after the block at height, [ErrPruned] or
// [ErrFuture]. Safe for concurrent use.
func (s *State) ValueAt(height uint64, key []byte) ([]byte, error) {
	path := ledger.Path(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	old, found, err := s.replaced(height, key)
	if err != nil {
		return nil, err
	}
	if !found {
		return s.tables.appendValue(nil, key, &path), nil
	}
	return append([]byte(nil), old...), nil
}

// Oldest returns the lowest height that can be read and proved. Safe for concurrent use.
func (s *State) Oldest() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.oldest()
}

// oldest: each undo record was made by a block above the first height.
func (s *State) oldest() uint64 { return s.tip - uint64(len(s.undos)) }

// readable says whether a height can be read; the caller holds mu or treeMu.
func (s *State) readable(height uint64) error {
	switch {
	case height > s.tip:
		return fmt.Errorf("height %d, newest %d: %w", height, s.tip, ErrFuture)
	case height < s.oldest():
		return fmt.Errorf("height %d, oldest %d: %w", height, s.oldest(), ErrPruned)
	}
	return nil
}

// replaced returns the value under a raw key that the first block after height replaced, if any did. The
// caller holds mu.
func (s *State) replaced(height uint64, key []byte) (old []byte, found bool, err error) {
	if err := s.readable(height); err != nil || height == s.tip {
		return nil, false, err
	}
	path := ledger.Path(key)
	for _, u := range s.undos[len(s.undos)-int(s.tip-height):] {
		if old, found := u.find(&path); found {
			return old, true, nil
		}
	}
	return nil, false, nil
}
