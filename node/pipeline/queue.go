package pipeline

import (
	"context"
	"sync"

	"github.com/tercet-chain/tercet/consensus"
)

const (
	// maxQueuedBlocks bounds how far ordering may run ahead of execution in one process before
	// the engine's loop is held up.
	maxQueuedBlocks = 512
	// maxQueuedBytes bounds the same queue in memory: 512 full blocks would be a gigabyte.
	maxQueuedBytes = 64 << 20
	// maxGroupBlocks and maxGroupBytes bound what one synced batch commits. Under load groups grow
	// until the fixed cost of a sync disappears; beyond this they would only add latency.
	maxGroupBlocks = 64
	maxGroupBytes  = 8 << 20
)

// queue carries delivered blocks from the engine's loop to the executor, bounded in blocks and in
// bytes. One side puts, one side takes.
type queue struct {
	mu     sync.Mutex
	blocks []consensus.FinalBlock // guarded by mu
	bytes  int                    // guarded by mu; payload and data of blocks
	closed bool                   // guarded by mu

	// more: sent by put, received by take; capacity 1, a full channel already says "look again".
	more chan struct{}
	// room: sent by take, received by put; capacity 1, a full channel already says "look again".
	room chan struct{}
	// done: closed by close, once; wakes both sides.
	done chan struct{}
}

func newQueue() *queue {
	return &queue{more: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{})}
}

func blockBytes(b *consensus.FinalBlock) int { return len(b.Block.Payload) + len(b.Block.Data) }

// put appends blocks in order, waiting for room. It reports false when the queue was closed: the
// rest is then dropped, which is harmless because consensus delivers it again after a restart.
func (q *queue) put(blocks []consensus.FinalBlock) bool {
	for len(blocks) > 0 {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return false
		}
		n := q.fit(blocks)
		q.blocks = append(q.blocks, blocks[:n]...)
		q.mu.Unlock()
		blocks = blocks[n:]
		if n > 0 {
			signal(q.more)
			continue
		}
		select {
		case <-q.room:
		case <-q.done:
		}
	}
	return true
}

// fit is how many of blocks may enter, and accounts for their bytes. A block larger than the
// limit enters an empty queue. The caller holds mu.
func (q *queue) fit(blocks []consensus.FinalBlock) int {
	for n := range blocks {
		waiting, size := len(q.blocks)+n, blockBytes(&blocks[n])
		if waiting > 0 && (waiting >= maxQueuedBlocks || q.bytes+size > maxQueuedBytes) {
			return n
		}
		q.bytes += size
	}
	return len(blocks)
}

// take waits for blocks and returns the next group, or false when ctx ends. Blocks which are
// still queued when ctx ends are dropped: consensus delivers them again after a restart.
func (q *queue) take(ctx context.Context) ([]consensus.FinalBlock, bool) {
	for {
		if ctx.Err() != nil {
			return nil, false
		}
		q.mu.Lock()
		if n := groupLen(q.blocks); n > 0 {
			group := append([]consensus.FinalBlock(nil), q.blocks[:n]...)
			for i := range group {
				q.bytes -= blockBytes(&group[i])
			}
			rest := copy(q.blocks, q.blocks[n:])
			clear(q.blocks[rest:])
			q.blocks = q.blocks[:rest]
			q.mu.Unlock()
			signal(q.room)
			return group, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil, false
		}
		select {
		case <-q.more:
		case <-q.done:
		case <-ctx.Done():
		}
	}
}

// groupLen is how many of the queued blocks one batch commits: as many as the limits allow, cut
// behind a block with its own finalization when there is one, so that what is on disk ends in a
// block which proves itself.
func groupLen(blocks []consensus.FinalBlock) int {
	bytes, within, final := 0, 0, 0
	for i := range blocks {
		bytes += blockBytes(&blocks[i])
		if i > 0 && (i >= maxGroupBlocks || bytes > maxGroupBytes) {
			break
		}
		within = i + 1
		if blocks[i].Finalization != nil {
			final = within
		}
	}
	if final > 0 {
		return final
	}
	return within
}

// close makes put drop and wakes whoever waits. It may be called more than once.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.done)
	}
}

// signal wakes the receiver of a channel of capacity 1 without waiting for it.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
