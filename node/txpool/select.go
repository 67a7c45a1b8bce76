package txpool

import (
	"math"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

const (
	// txOverhead is what a transaction takes in a block beside its own bytes: its hash in the payload
	// (33) and a length prefix in the data (4).
	txOverhead = 37
	// maxMisfits ends a selection that has found something after that many senders whose next transaction
	// is too large for the room that is left: the block is full for all practical purposes.
	maxMisfits = 64
)

// Select returns transactions for a proposal, in an order that respects the nonces of each sender, with
// at most maxBytes (transactions with their overhead in a block) and maxGas of declared gas. ordered has
// the next nonce of each sender with transactions in blocks that are ordered and not executed yet; it
// may be nil. The senders take turns, one transaction each, those that have waited longest first. The
// transactions stay in the pool. The cost is that of what is returned, and of the senders in ordered.
func (p *Pool) Select(maxBytes int, maxGas uint64, ordered map[common.Address]uint64) []*ledger.Transaction {
	return p.choose(budget{bytes: maxBytes, gas: maxGas, count: ledger.MaxBlockTransactions}, ordered)
}

// Executable reports whether [Pool.Select] would find a transaction after the given ordered ones.
func (p *Pool) Executable(ordered map[common.Address]uint64) bool {
	return len(p.choose(budget{bytes: math.MaxInt, gas: p.cfg.Genesis.BlockGasLimit, count: 1}, ordered)) > 0
}

// Ready reports whether there is a pending transaction.
func (p *Pool) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready.head != nil
}

// budget is the room left in a block.
type budget struct {
	bytes   int
	gas     uint64
	count   int
	taken   int
	misfits int // since the first was taken
}

// take reports whether the transaction fits, and then counts it.
func (b *budget) take(tx *ledger.Transaction) bool {
	if tx.Size()+txOverhead > b.bytes || tx.Gas() > b.gas {
		if b.taken > 0 {
			b.misfits++
		}
		return false
	}
	b.bytes -= tx.Size() + txOverhead
	b.gas -= tx.Gas()
	b.count--
	b.taken++
	return true
}

func (b *budget) spent() bool { return b.count <= 0 || b.misfits >= maxMisfits }

// choose goes round the senders: the first time round the ready list, then round those that have more.
func (p *Pool) choose(room budget, ordered map[common.Address]uint64) []*ledger.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	var (
		chosen []*ledger.Transaction
		more   []turn
	)
	for k := p.ready.head; k != nil && !room.spent(); k = k.next {
		s := k.member
		at := 0
		if next, ok := ordered[s.address]; ok && next > s.nonce {
			if next-s.nonce >= uint64(s.pending) {
				continue
			}
			at = int(next - s.nonce)
		}
		if tx := s.txs[at].tx; room.take(tx) {
			chosen = append(chosen, tx)
			if at+1 < s.pending {
				more = append(more, turn{s.txs[at+1 : s.pending]})
			}
		}
	}
	for len(more) > 0 {
		again := more[:0]
		for _, t := range more {
			if room.spent() {
				return chosen
			}
			if tx := t.rest[0].tx; room.take(tx) {
				chosen = append(chosen, tx)
				if len(t.rest) > 1 {
					again = append(again, turn{t.rest[1:]})
				}
			}
		}
		more = again
	}
	return chosen
}

// turn is a sender that has more to offer.
type turn struct{ rest []*entry }

// Subscribe returns a channel that receives a token when a transaction becomes pending, so that whoever
// drives proposals need not poll. It has room for one token and a send that finds it full is skipped: a
// token means "look again". The pool never closes it; cancel ends the subscription.
func (p *Pool) Subscribe() (pending <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters[c] = struct{}{}
	if p.ready.head != nil {
		c <- struct{}{} // room for one: it does not block
	}
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiters, c)
	}
}

// signal tells the subscribers that a transaction became pending. It never blocks.
func (p *Pool) signal() {
	for c := range p.waiters {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
