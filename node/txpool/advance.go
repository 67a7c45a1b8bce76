package txpool

import (
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// Advance tells the pool that block was executed and that the state has it. Transactions with used
// nonces leave; so do those that execution dropped for good, and those whose sender cannot pay their
// value any more. Transactions dropped because of a nonce gap stay. Blocks must come in height order;
// the cost is that of the block. Each sender of the block that has more to offer goes to the back of
// the line.
func (p *Pool) Advance(block *ledger.Block, now time.Time) {
	next := make(map[common.Address]uint64, len(block.Transactions))
	order := make([]common.Address, 0, len(block.Transactions))
	for _, tx := range block.Transactions {
		if _, seen := next[tx.From()]; !seen {
			order = append(order, tx.From())
		}
		next[tx.From()] = tx.Nonce() + 1 // a sender's transactions execute in nonce order
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, address := range order {
		if s := p.senders[address]; s != nil {
			p.raise(s, next[address])
		}
	}
	for i := range block.Drops {
		if d := &block.Drops[i]; !d.Reason.Retry() {
			p.evict(d.Hash)
		}
	}
	p.expire(now)
}

// raise removes what the sender's new nonce leaves behind and looks at what comes next.
func (p *Pool) raise(s *sender, nonce uint64) {
	p.queued -= s.queued()
	for _, e := range s.raise(nonce) {
		p.drop(e)
	}
	p.queued += s.queued()
	p.ready.remove(&s.inReady) // it had its turn
	p.relist(s)
	if s.pending == 0 {
		return
	}
	balance := p.cfg.State.Account(s.address).Balance
	if s.txs[0].tx.Value().Gt(&balance) {
		p.removeAt(s, 0)
	}
}

// evict removes a transaction that execution dropped.
func (p *Pool) evict(hash common.Hash) {
	e := p.byHash[hash]
	if e == nil {
		return
	}
	i, _ := e.owner.search(e.tx.Nonce())
	p.removeAt(e.owner, i)
}
