package rpc

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
)

// view is an executed block with its hash. It is immutable.
type view struct {
	block  *ledger.Block
	hash   common.Hash
	height uint64
	bytes  int // of the transactions and logs
}

// newView leaves out what no answer needs: the ordered bytes hold each transaction a second time.
func newView(b *ledger.Block) *view {
	kept := *b
	kept.Ordered.Payload, kept.Ordered.Data, kept.Ordered.Header = nil, nil, nil
	v := &view{block: &kept, hash: b.Header.Hash(), height: b.Header.Number.Uint64()}
	v.bytes = logsBytes(b.Receipts)
	for _, tx := range b.Transactions {
		v.bytes += tx.Size()
	}
	return v
}

// place is a transaction in an executed block.
type place struct {
	*view
	index int
}

const (
	// keepTransactions, keepBytes and keepBlocks are how much of the newest chain stays in memory: clients
	// ask for what has just happened. Some 1 KB per transaction beside its bytes.
	keepTransactions = 16_384
	keepBytes        = 16 << 20
	keepBlocks       = 256
)

// recent is the newest executed blocks, decoded, and who waits for a transaction.
type recent struct {
	newest atomic.Pointer[view] // stored under mu, before anyone is woken

	mu      sync.RWMutex // guards everything below
	blocks  []*view      // by height
	heights map[common.Hash]uint64
	txs     map[common.Hash]place
	waiters map[common.Hash][]chan outcome
	changed chan struct{} // closed with the next block, or when the chain goes back
	size    int           // transactions and drops in blocks
	bytes   int           // of the blocks
}

// outcome is what became of a transaction: a place in a block, or why it was dropped.
type outcome struct {
	place
	drop *ledger.Drop
}

func newRecent() *recent {
	return &recent{
		heights: make(map[common.Hash]uint64),
		txs:     make(map[common.Hash]place),
		waiters: make(map[common.Hash][]chan outcome),
		changed: make(chan struct{}),
	}
}

// news returns a channel that is closed when there is another head.
func (r *recent) news() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.changed
}

func (r *recent) add(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.blocks); n > 0 && r.blocks[n-1].height+1 != v.height {
		r.forget(n) // the chain jumped, as after a snapshot
	}
	r.enter(v)
	close(r.changed)
	r.changed = make(chan struct{})
	for i, tx := range v.block.Transactions {
		r.wake(tx.Hash(), outcome{place: place{v, i}})
	}
	for i := range v.block.Drops {
		d := &v.block.Drops[i]
		if _, executed := r.txs[d.Hash]; executed || d.Reason.Retry() {
			continue
		}
		r.wake(d.Hash, outcome{drop: d})
	}
	for len(r.blocks) > keepBlocks || (r.size > keepTransactions || r.bytes > keepBytes) && len(r.blocks) > 1 {
		r.forget(1)
	}
}

// enter makes a block the newest one; the caller holds mu.
func (r *recent) enter(v *view) {
	r.blocks = append(r.blocks, v)
	r.heights[v.hash] = v.height
	r.newest.Store(v)
	for i, tx := range v.block.Transactions {
		r.txs[tx.Hash()] = place{v, i}
	}
	r.size, r.bytes = r.size+v.load(), r.bytes+v.bytes
}

func (v *view) load() int { return len(v.block.Transactions) + len(v.block.Drops) }

// forget removes the n oldest blocks.
func (r *recent) forget(n int) {
	for _, v := range r.blocks[:n] {
		delete(r.heights, v.hash)
		for _, tx := range v.block.Transactions {
			if r.txs[tx.Hash()].view == v {
				delete(r.txs, tx.Hash())
			}
		}
		r.size, r.bytes = r.size-v.load(), r.bytes-v.bytes
	}
	clear(r.blocks[:n])
	r.blocks = r.blocks[n:]
}

// rewind forgets the blocks above a height, if the chain goes back to it.
func (r *recent) rewind(height uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kept []*view
	for _, v := range r.blocks {
		if v.height <= height {
			kept = append(kept, v)
		}
	}
	r.forget(len(r.blocks))
	r.newest.Store(nil)
	for _, v := range kept {
		r.enter(v)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recent) wake(hash common.Hash, o outcome) {
	for _, c := range r.waiters[hash] {
		c <- o // room for the one that it gets
	}
	delete(r.waiters, hash)
}

// wait returns a channel that receives the outcome of a transaction, at once when it is known. It has
// room for that one value and is never closed. cancel MUST be called in the end.
func (r *recent) wait(hash common.Hash) (result <-chan outcome, cancel func()) {
	c := make(chan outcome, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.txs[hash]; ok {
		c <- outcome{place: at}
		return c, func() {}
	}
	r.waiters[hash] = append(r.waiters[hash], c)
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		list := r.waiters[hash]
		for i := range list {
			if list[i] == c {
				list = append(list[:i:i], list[i+1:]...)
				break
			}
		}
		if len(list) == 0 {
			delete(r.waiters, hash)
		} else {
			r.waiters[hash] = list
		}
	}
}

func (r *recent) byHeight(height uint64) *view {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.blocks) == 0 || height < r.blocks[0].height || height > r.blocks[len(r.blocks)-1].height {
		return nil
	}
	return r.blocks[height-r.blocks[0].height]
}

func (r *recent) heightOf(hash common.Hash) (uint64, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	h, ok := r.heights[hash]
	return h, ok
}

func (r *recent) transaction(hash common.Hash) (place, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	at, ok := r.txs[hash]
	return at, ok
}

// cachedTransactions and cachedBytes bound the older blocks kept decoded: a block of transactions costs
// their signatures' recovery to read.
const (
	cachedTransactions = 8192
	cachedBytes        = 16 << 20
)

// blockCache keeps the older blocks that were asked for last.
type blockCache struct {
	mu    sync.Mutex // guards everything below
	views []*view    // the one used last is the last
	size  int        // transactions
	bytes int        // of the transactions
}

func (c *blockCache) get(height uint64) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, v := range c.views {
		if v.height == height {
			copy(c.views[i:], c.views[i+1:])
			c.views[len(c.views)-1] = v
			return v
		}
	}
	return nil
}

func (c *blockCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.views, c.size, c.bytes = nil, 0, 0
}

func (c *blockCache) put(v *view) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, have := range c.views {
		if have.height == v.height {
			return
		}
	}
	c.views = append(c.views, v)
	c.size, c.bytes = c.size+v.load()+1, c.bytes+v.bytes
	for (c.size > cachedTransactions || c.bytes > cachedBytes) && len(c.views) > 1 {
		c.size, c.bytes = c.size-c.views[0].load()-1, c.bytes-c.views[0].bytes
		c.views[0] = nil
		c.views = c.views[1:]
	}
}

// blockAt returns the executed block at a height, nil above the head or when it is not kept.
func (s *Server) blockAt(height uint64) (*view, error) {
	if height == 0 {
		return s.genesis, nil
	}
	if height > s.head().Header.Number.Uint64() {
		return nil, nil
	}
	if v := s.recent.byHeight(height); v != nil {
		return v, nil
	}
	if v := s.cache.get(height); v != nil {
		return v, nil
	}
	block, err := s.cfg.Store.Block(height)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.broken(fmt.Errorf("reading block %d: %w", height, err))
	}
	v := newView(block)
	s.cache.put(v)
	return v, nil
}

// heightOf returns the height of an executed block.
func (s *Server) heightOf(hash common.Hash) (height uint64, found bool, err error) {
	if hash == s.genesis.hash {
		return 0, true, nil
	}
	height, found = s.recent.heightOf(hash)
	if !found {
		height, err = s.cfg.Store.HeightByHash(hash)
		if errors.Is(err, store.ErrNotFound) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, s.broken(fmt.Errorf("looking up block %s: %w", hash, err))
		}
	}
	return height, height <= s.head().Header.Number.Uint64(), nil
}

// blockByHash returns the executed block, nil when there is none.
func (s *Server) blockByHash(hash common.Hash) (*view, error) {
	height, found, err := s.heightOf(hash)
	if err != nil || !found {
		return nil, err
	}
	return s.blockAt(height)
}

// height resolves a tag or number to a height that may be above the head.
func (s *Server) height(n gethrpc.BlockNumber) uint64 {
	head := s.head()
	switch n {
	case gethrpc.LatestBlockNumber, gethrpc.SafeBlockNumber, gethrpc.PendingBlockNumber:
		return head.Header.Number.Uint64()
	case gethrpc.FinalizedBlockNumber:
		return head.Certified
	case gethrpc.EarliestBlockNumber:
		return 0
	}
	return uint64(n) // the decoder admits no other negative number
}

// blockByNumber returns the executed block at a number or tag; the pending one is the newest here.
func (s *Server) blockByNumber(n gethrpc.BlockNumber) (*view, error) { return s.blockAt(s.height(n)) }

// block resolves an EIP-1898 reference; an unknown block is nil.
func (s *Server) block(ref gethrpc.BlockNumberOrHash) (*view, error) {
	if hash, ok := ref.Hash(); ok {
		return s.blockByHash(hash)
	}
	n, _ := ref.Number()
	return s.blockByNumber(n)
}

// stateHeight resolves the block that a state is asked for at, nil being the newest.
func (s *Server) stateHeight(ref *gethrpc.BlockNumberOrHash) (uint64, error) {
	head := s.head().Header.Number.Uint64()
	if ref == nil {
		return head, nil
	}
	if hash, ok := ref.Hash(); ok {
		height, found, err := s.heightOf(hash)
		if err != nil {
			return 0, err
		}
		if !found {
			return 0, errors.New("header for hash not found")
		}
		return height, nil
	}
	n, _ := ref.Number()
	height := s.height(n)
	if height > head && n >= 0 {
		return 0, errors.New("header not found")
	}
	return height, nil
}

// account reads an account after the block at height.
func (s *Server) account(height uint64, address common.Address) (ledger.Account, error) {
	if err := s.cfg.Quarantined(); err != nil {
		return ledger.Account{}, err
	}
	a, err := s.cfg.State.AccountAt(height, address)
	return a, s.unreadable(height, err)
}

// unreadable says why a state could not be read, in words for clients; nil stays nil.
func (s *Server) unreadable(height uint64, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, state.ErrPruned):
		return s.pruned(height)
	}
	return s.broken(fmt.Errorf("reading the state of block %d: %w", height, err))
}

// pruned is go-ethereum's complaint about a state that is gone, with what would help.
func (s *Server) pruned(height uint64) error {
	return fmt.Errorf("historical state is not available at block %d: this node keeps the states of blocks from %d on; "+
		"ask for a newer block", height, s.cfg.State.Oldest())
}

// transaction finds an executed transaction.
func (s *Server) transaction(hash common.Hash) (place, bool, error) {
	if at, ok := s.recent.transaction(hash); ok {
		return at, at.height <= s.head().Header.Number.Uint64(), nil
	}
	position, err := s.cfg.Store.Transaction(hash)
	if errors.Is(err, store.ErrNotFound) || err == nil && position.Dropped != 0 {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, s.broken(fmt.Errorf("looking up transaction %s: %w", hash, err))
	}
	v, err := s.blockAt(position.Height)
	if err != nil || v == nil {
		return place{}, false, err
	}
	i := int(position.Index)
	if i >= len(v.block.Transactions) || v.block.Transactions[i].Hash() != hash {
		return place{}, false, s.broken(fmt.Errorf("the index says that transaction %s is number %d of block %d, which it is not", hash, i, position.Height))
	}
	return place{v, i}, true, nil
}
