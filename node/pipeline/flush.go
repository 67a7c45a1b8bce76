package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

const (
	// flushInterval is how long state changes are coalesced: hot accounts are written once per
	// interval, and a restart re-executes at most that much.
	flushInterval = 500 * time.Millisecond
	// maxFlushKeys and maxFlushBytes bound one flush, in memory and as a batch.
	maxFlushKeys  = 50_000
	maxFlushBytes = 8 << 20
	// maxFlushBlocks and maxFlushBodies bound the blocks that are held for the index until then:
	// idle chains have many, full ones large ones.
	maxFlushBlocks = 1024
	maxFlushBodies = 32 << 20
)

// coalesced is a run of consecutive blocks with the last value per path and the codes that they deployed:
// one flush.
type coalesced struct {
	first, last uint64
	header      common.Hash // of the last block
	root        common.Hash // after the last block
	changes     map[[32]byte]ledger.Change
	codes       []ledger.Code
	bytes       int             // of changes and codes
	blocks      []*ledger.Block // for the index
	bodies      int             // bytes of blocks
}

// add appends the next block.
func (c *coalesced) add(e executed) {
	if c.changes == nil {
		c.changes = make(map[[32]byte]ledger.Change)
		c.first = e.block.Ordered.Height
	}
	c.last, c.header, c.root = e.block.Ordered.Height, e.block.Header.Hash(), e.block.Header.Root
	for _, ch := range e.changes {
		if old, ok := c.changes[ch.Path]; ok {
			c.bytes -= len(old.Key) + len(old.Value)
		}
		c.bytes += len(ch.Key) + len(ch.Value)
		c.changes[ch.Path] = ch
	}
	for _, code := range e.codes {
		c.codes = append(c.codes, code)
		c.bytes += len(code.Hash) + len(code.Bytes)
	}
	c.blocks = append(c.blocks, e.block)
	c.bodies += len(e.block.Ordered.Payload) + len(e.block.Ordered.Data)
}

func (c *coalesced) empty() bool { return c.changes == nil }

func (c *coalesced) full() bool {
	return len(c.changes) >= maxFlushKeys || c.bytes >= maxFlushBytes ||
		len(c.blocks) >= maxFlushBlocks || c.bodies >= maxFlushBodies
}

// sorted returns the changes by path.
func (c *coalesced) sorted() []ledger.Change {
	out := make([]ledger.Change, 0, len(c.changes))
	for _, ch := range c.changes {
		out = append(out, ch)
	}
	slices.SortFunc(out, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	return out
}

func (c *coalesced) marker() store.Marker {
	return store.Marker{FirstHeight: c.first, LastHeight: c.last, HeaderHash: c.header, StateRoot: c.root}
}

// flush writes c to state.ldb, then its blocks to index.ldb: the order blocks ≥ state ≥ index.
func (c *coalesced) flush(s *store.Store) error {
	if c.empty() {
		return nil
	}
	if err := s.FlushState(c.marker(), c.sorted(), c.codes); err != nil {
		return fmt.Errorf("flushing the state of blocks %d to %d: %w", c.first, c.last, err)
	}
	if err := s.IndexBlocks(c.blocks); err != nil {
		return fmt.Errorf("indexing blocks %d to %d: %w", c.first, c.last, err)
	}
	return nil
}

// flusher is the last stage: it follows the executor with the derived databases.
type flusher struct {
	store *store.Store
	// in: sent by the executor, closed by Pipeline.Run when the executor has ended; capacity
	// flushQueue, a full channel holds the executor up.
	in chan []executed
	// stopped: closed by run when it returns; nobody sends.
	stopped chan struct{}
	// abandoned makes the flusher drop what it holds when it stops, as a crash would.
	abandoned atomic.Bool
}

// flushQueue is the number of groups that may wait for one slow flush.
const flushQueue = 4

func newFlusher(s *store.Store) *flusher {
	return &flusher{store: s, in: make(chan []executed, flushQueue), stopped: make(chan struct{})}
}

// add hands executed blocks over, waiting while flushes are behind.
func (f *flusher) add(done []executed) error {
	select {
	case f.in <- done:
		return nil
	case <-f.stopped:
		return errors.New("the state flush has stopped")
	}
}

// run flushes until in is closed, and then what is left.
func (f *flusher) run() error {
	defer close(f.stopped)
	var pending coalesced
	timer := time.NewTimer(flushInterval)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case done, more := <-f.in:
			if !more {
				if f.abandoned.Load() {
					return nil
				}
				return pending.flush(f.store)
			}
			if pending.empty() {
				timer.Reset(flushInterval)
			}
			for _, e := range done {
				pending.add(e)
			}
			if !pending.full() {
				continue
			}
		case <-timer.C:
		}
		if err := pending.flush(f.store); err != nil {
			return err
		}
		pending = coalesced{}
	}
}
