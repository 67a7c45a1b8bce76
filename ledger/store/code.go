package store

import (
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
)

// codeCacheBytes is how much of the code that was used last stays in memory: reading 20 KiB and hashing it
// costs 80 µs, a call of a contract 10.
const codeCacheBytes = 16 << 20

// codes is the code in memory. The zero codes is empty and safe for concurrent use.
type codes struct {
	mu sync.Mutex
	// held was deployed by executed blocks and is not in state.ldb yet. Guarded by mu.
	held map[common.Hash][]byte
	// young and old are what was used last. When young has half of codeCacheBytes, it becomes old and what
	// was old is forgotten. Guarded by mu.
	young, old map[common.Hash][]byte
	youngBytes int // guarded by mu
}

func (c *codes) get(hash common.Hash) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if code, ok := c.held[hash]; ok {
		return code, true
	}
	if code, ok := c.young[hash]; ok {
		return code, true
	}
	code, ok := c.old[hash]
	if ok {
		c.use(hash, code)
	}
	return code, ok
}

func (c *codes) used(hash common.Hash, code []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use(hash, code)
}

// use enters code into young; the caller holds mu.
func (c *codes) use(hash common.Hash, code []byte) {
	if _, ok := c.young[hash]; ok {
		return
	}
	if c.young == nil || c.youngBytes+len(code) > codeCacheBytes/2 {
		c.old, c.young, c.youngBytes = c.young, make(map[common.Hash][]byte), 0
	}
	c.young[hash] = code
	c.youngBytes += len(code)
}

func (c *codes) hold(list []ledger.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, code := range list {
		if c.held == nil {
			c.held = make(map[common.Hash][]byte)
		}
		c.held[code.Hash] = code.Bytes
	}
}

// release forgets held code that is in state.ldb.
func (c *codes) release(list []ledger.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, code := range list {
		delete(c.held, code.Hash)
	}
}

// HoldCodes makes the code that an executed block deployed known to [Store.Code] until [Store.FlushState] has
// written it. How much there is is bounded by how far the caller lets the state lag. The bytes are not
// copied.
func (s *Store) HoldCodes(list []ledger.Code) { s.codes.hold(list) }

// Code returns a contract's code by its hash, [ErrNotFound] or, when what is stored under it has another hash,
// [CorruptError]. It must not be modified.
func (s *Store) Code(hash common.Hash) ([]byte, error) {
	if code, ok := s.codes.get(hash); ok {
		return code, nil
	}
	code, err := s.state.get(codeKey(hash))
	if err != nil {
		return nil, fmt.Errorf("reading code %s: %w", hash, err)
	}
	if got := crypto.Keccak256Hash(code); got != hash {
		return nil, corruptf(stateName, "the code under %s has the hash %s", hash, got)
	}
	s.codes.used(hash, code)
	return code, nil
}
