package txpool

import (
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// Reason is why a transaction is not in the pool. The texts are stable: programs compare them.
type Reason string

// The reasons.
const (
	// Replaced by another transaction with its nonce that offers more.
	Replaced Reason = "replaced"
	// NonceUsed by another transaction that was executed.
	NonceUsed Reason = "nonce_used"
	// Evicted to make room.
	Evicted Reason = "evicted"
	// Expired after its lifetime.
	Expired Reason = "expired"
	// Unpaid is for a value that its sender cannot pay any more.
	Unpaid Reason = "insufficient_funds"
	// Dropped by the execution of a block.
	Dropped Reason = "dropped"
	// Refused when it came.
	Refused Reason = "refused"
)

// Removed says what became of a transaction that is not in the pool.
type Removed struct {
	Reason Reason
	From   common.Address
	Nonce  uint64
	// By is the transaction that took its place, if one did.
	By common.Hash
	// Err is why it was refused or dropped.
	Err error
	At  time.Time
}

// maxRemoved is how many removed and refused transactions the pool remembers of each kind: some 2 MB.
// The oldest make room, so that a flood of refusals wipes out no memory of what had been accepted.
const maxRemoved = 4096

// memory is what the pool remembers of transactions that it does not hold.
type memory struct {
	byHash map[common.Hash]Removed
	ring   []common.Hash // in the order in which they were noted
	oldest int
}

func newMemory() memory { return memory{byHash: make(map[common.Hash]Removed)} }

// note remembers what became of a transaction; what was noted of it before is forgotten.
func (m *memory) note(tx *ledger.Transaction, r Removed) {
	r.From, r.Nonce = tx.From(), tx.Nonce()
	hash := tx.Hash()
	_, known := m.byHash[hash]
	m.byHash[hash] = r
	switch {
	case known: // it keeps its place in the ring
	case len(m.ring) < maxRemoved:
		m.ring = append(m.ring, hash)
	default:
		delete(m.byHash, m.ring[m.oldest])
		m.ring[m.oldest] = hash
		m.oldest = (m.oldest + 1) % maxRemoved
	}
}

// Removed says why the pool does not hold a transaction, as far as it remembers: since the node's start, the
// newest few thousand. Executed transactions are not among them.
func (p *Pool) Removed(hash common.Hash) (Removed, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.removed.byHash[hash]; ok {
		return r, true
	}
	r, ok := p.refused.byHash[hash]
	return r, ok
}

// Place is where a transaction stands in the pool.
type Place struct {
	Tx    *ledger.Transaction
	Since time.Time
	// Next is the first nonce that no pending transaction of the sender uses: below the transaction's own, it
	// is missing.
	Next uint64
	// Ahead counts the sender's transactions with lower nonces in the pool.
	Ahead int
	// Pending counts all transactions that can be ordered.
	Pending int
}

// Place finds a transaction in the pool.
func (p *Pool) Place(hash common.Hash) (Place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byHash[hash]
	if e == nil {
		return Place{}, false
	}
	i, _ := e.owner.search(e.tx.Nonce())
	return Place{Tx: e.tx, Since: e.since, Next: e.owner.next(), Ahead: i, Pending: len(p.byHash) - p.queued}, true
}

// turns are the transactions of a block by sender, in nonce order: the first and the last of each, and which
// follows which.
type turns struct {
	block []*ledger.Transaction
	of    map[common.Address]span
	after []int32 // -1 for a sender's last
}

type span struct{ first, last int32 }

func newTurns(block []*ledger.Transaction) (t turns, senders []common.Address) {
	t = turns{block: block, of: make(map[common.Address]span, len(block)), after: make([]int32, len(block))}
	for i, tx := range block {
		at := int32(i)
		t.after[i] = -1
		s, seen := t.of[tx.From()]
		if seen {
			t.after[s.last] = at
			s.last = at
		} else {
			senders = append(senders, tx.From())
			s = span{at, at}
		}
		t.of[tx.From()] = s
	}
	return t, senders
}

// next is the nonce of a sender after the block.
func (t *turns) next(sender common.Address) uint64 { return t.block[t.of[sender].last].Nonce() + 1 }

// usurped calls f for those of a sender's stale entries that the block did not execute, with the
// transaction that it executed in their place, nil when that was in an earlier block.
func (t *turns) usurped(sender common.Address, stale []*entry, f func(*entry, *ledger.Transaction)) {
	at := t.of[sender].first
	for _, e := range stale {
		for at >= 0 && t.block[at].Nonce() < e.tx.Nonce() {
			at = t.after[at]
		}
		switch {
		case at < 0 || t.block[at].Nonce() != e.tx.Nonce():
			f(e, nil)
		case t.block[at].Hash() != e.tx.Hash():
			f(e, t.block[at])
		}
	}
}
