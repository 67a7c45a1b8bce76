package pipeline

import (
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
)

// Head is the newest executed block of this node. Whoever holds one may rely on the block and all
// its ancestors being synced to this node's disk and final. It is immutable.
type Head struct {
	Header *types.Header
	// TimeMs is the block's time in Unix milliseconds.
	TimeMs uint64
	// Certified is the highest height with an ExecCert that agrees with this node; 0 before the
	// first. It never exceeds Header.Number.
	Certified uint64

	// changed is closed by publish, once, when a newer Head is there; nobody sends.
	changed chan struct{}
}

// Height is the block's number.
func (h *Head) Height() uint64 { return h.Header.Number.Uint64() }

// Changed is closed once [Pipeline.Head] answers something newer.
func (h *Head) Changed() <-chan struct{} { return h.changed }

// Head returns the newest executed block. Safe for concurrent use; never nil.
func (p *Pipeline) Head() *Head { return p.head.Load() }

// publish replaces the head. Executing and certifying both do, so they take turns.
func (p *Pipeline) publish(change func(*Head)) {
	p.publishMu.Lock()
	defer p.publishMu.Unlock()
	old := p.head.Load()
	next := &Head{changed: make(chan struct{})}
	if old != nil {
		next.Header, next.TimeMs, next.Certified = old.Header, old.TimeMs, old.Certified
	}
	change(next)
	p.head.Store(next) // before the close: whoever wakes must see it
	if old != nil {
		close(old.changed)
	}
}

// headerTimeMs reads the block time of a header that this node made or stored.
func headerTimeMs(h *types.Header) uint64 {
	ms, err := ledger.HeaderTimeMs(h)
	if err != nil {
		panic("pipeline: a header of this chain carries its time: " + err.Error())
	}
	return ms
}
