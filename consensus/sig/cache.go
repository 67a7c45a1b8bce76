package sig

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

const (
	// cacheShards bounds contention between peers' readers; a power of two.
	cacheShards = 16
	// DefaultCacheEntries holds the votes of a few hundred views of ten
	// validators, in 2.5 MB.
	DefaultCacheEntries = 16384
)

// Cache is a scheme that remembers the successes of another one. Failures are
// not remembered: whoever sends them would choose what is. It holds a bounded
// number of entries and forgets the oldest. It is safe for concurrent use.
type Cache struct {
	scheme consensus.Scheme
	seed   maphash.Seed
	hits   atomic.Uint64
	misses atomic.Uint64
	shards [cacheShards]shard
}

var _ consensus.Scheme = (*Cache)(nil)

type shard struct {
	mu      sync.Mutex // guards the fields below
	signers map[cacheKey]common.Address
	ring    []cacheKey // in order of arrival, from next on once it is full
	next    int
	limit   int
}

// cacheKey is all that a signer depends on.
type cacheKey struct {
	digest common.Hash
	sig    consensus.Signature
}

// NewCache returns a cache of up to entries results (rounded up to a multiple
// of 16) in front of scheme. It must be positive.
func NewCache(scheme consensus.Scheme, entries int) *Cache {
	if entries <= 0 {
		panic(fmt.Sprintf("sig: a cache of %d entries", entries))
	}
	c := &Cache{scheme: scheme, seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].limit = (entries + cacheShards - 1) / cacheShards
		c.shards[i].signers = make(map[cacheKey]common.Address)
	}
	return c
}

// Recover returns what the scheme returned, or would return.
func (c *Cache) Recover(digest common.Hash, s *consensus.Signature) (common.Address, error) {
	k := cacheKey{digest, *s}
	sh := &c.shards[maphash.Bytes(c.seed, s[:])%cacheShards]
	if signer, ok := sh.get(k); ok {
		c.hits.Add(1)
		return signer, nil
	}
	c.misses.Add(1)
	signer, err := c.scheme.Recover(digest, &k.sig)
	if err != nil {
		return common.Address{}, err
	}
	sh.put(k, signer)
	return signer, nil
}

// Stats returns how many calls were answered from memory and how many not.
func (c *Cache) Stats() (hits, misses uint64) { return c.hits.Load(), c.misses.Load() }

// Len returns how many results are remembered.
func (c *Cache) Len() int {
	n := 0
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		n += len(sh.signers)
		sh.mu.Unlock()
	}
	return n
}

func (s *shard) get(k cacheKey) (common.Address, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signer, ok := s.signers[k]
	return signer, ok
}

func (s *shard) put(k cacheKey, signer common.Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.signers[k]; ok {
		return
	}
	if len(s.ring) < s.limit {
		s.ring = append(s.ring, k)
	} else {
		delete(s.signers, s.ring[s.next])
		s.ring[s.next] = k
		s.next = (s.next + 1) % s.limit
	}
	s.signers[k] = signer
}
