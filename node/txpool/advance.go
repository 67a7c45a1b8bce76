package txpool

import (
	"time"

	"github.com/tercet-chain/tercet/ledger"
)

// Advance tells the pool that block was executed and that the state has it. Transactions with used
// nonces leave; so do those that execution dropped for good, and those whose sender cannot pay their
// value any more. Transactions dropped because of a nonce gap stay. Blocks must come in height order;
// the cost is that of the block. Each sender of the block that has more to offer goes to the back of
// the line.
func (p *Pool) Advance(block *ledger.Block, now time.Time) {
	executed, order := newTurns(block.Transactions)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, address := range order {
		if s := p.senders[address]; s != nil {
			p.raise(s, &executed, now)
		}
	}
	for i := range block.Drops {
		if d := &block.Drops[i]; !d.Reason.Retry() {
			p.evict(d, now)
		}
	}
	p.expire(now)
}

// raise removes what the sender's new nonce leaves behind and looks at what comes next.
func (p *Pool) raise(s *sender, executed *turns, now time.Time) {
	p.queued -= s.queued()
	stale := s.raise(executed.next(s.address))
	for _, e := range stale {
		p.drop(e)
	}
	executed.usurped(s.address, stale, func(e *entry, by *ledger.Transaction) {
		r := Removed{Reason: NonceUsed, At: now}
		if by != nil {
			r.By = by.Hash()
		}
		p.removed.note(e.tx, r)
	})
	p.queued += s.queued()
	p.ready.remove(&s.inReady) // it had its turn
	p.relist(s)
	if s.pending == 0 {
		return
	}
	balance := p.cfg.State.Account(s.address).Balance
	if s.txs[0].tx.Value().Gt(&balance) {
		p.removeAt(s, 0, Removed{Reason: Unpaid, At: now})
	}
}

// evict removes a transaction that execution dropped.
func (p *Pool) evict(d *ledger.Drop, now time.Time) {
	e := p.byHash[d.Hash]
	if e == nil {
		return
	}
	i, _ := e.owner.search(e.tx.Nonce())
	p.removeAt(e.owner, i, Removed{Reason: Dropped, Err: d.Reason.Err(), At: now})
}
