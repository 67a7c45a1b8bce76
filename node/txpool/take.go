package txpool

import (
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Take removes a transaction and reports whether it was there; later ones of its sender wait for another with its
// nonce. For development chains: other nodes keep what they have.
func (p *Pool) Take(hash common.Hash, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byHash[hash]
	if e == nil {
		return false
	}
	i, _ := e.owner.search(e.tx.Nonce())
	p.removeAt(e.owner, i, Removed{Reason: Evicted, At: now})
	return true
}

// Clear removes everything, and what is remembered of earlier transactions: for a development chain that goes
// back to an earlier block.
func (p *Pool) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.arrival.front(); e != nil; e = p.arrival.front() {
		i, _ := e.owner.search(e.tx.Nonce())
		p.removeAt(e.owner, i, Removed{Reason: Evicted})
	}
	p.removed, p.refused = newMemory(), newMemory()
}
