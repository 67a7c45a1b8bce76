package txpool

import (
	"bytes"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// Get returns the transaction, or nil.
func (p *Pool) Get(hash common.Hash) *ledger.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byHash[hash]; e != nil {
		return e.tx
	}
	return nil
}

// Nonce is the nonce that a sender's next transaction should use: after its pending ones.
func (p *Pool) Nonce(address common.Address) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	nonce := p.cfg.State.Account(address).Nonce
	if s := p.senders[address]; s != nil {
		nonce = max(nonce, s.next())
	}
	return nonce
}

// Count is how many transactions the sender has in the pool.
func (p *Pool) Count(address common.Address) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.senders[address]; s != nil {
		return len(s.txs)
	}
	return 0
}

// Stats is the pool's size.
type Stats struct {
	// Pending transactions can be ordered; Queued ones wait behind a nonce gap.
	Pending, Queued int
	// Senders have at least one transaction.
	Senders int
	// Bytes of all encodings.
	Bytes int
}

// Stats returns the pool's size.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Pending: len(p.byHash) - p.queued, Queued: p.queued, Senders: len(p.senders), Bytes: p.bytes}
}

// Account is one sender's transactions, each list in nonce order.
type Account struct {
	Address         common.Address
	Pending, Queued []*ledger.Transaction
}

// ContentFrom returns one sender's transactions.
func (p *Pool) ContentFrom(address common.Address) Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.senders[address]; s != nil {
		return s.content()
	}
	return Account{Address: address}
}

// Content returns the transactions of up to maxTransactions, whole senders in the order of their
// addresses. It copies under the mutex: a tool for operators, not for a hot path.
func (p *Pool) Content(maxTransactions int) []Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	addresses := p.addresses()
	accounts := make([]Account, 0, len(addresses))
	for _, address := range addresses {
		s := p.senders[address]
		if maxTransactions -= len(s.txs); maxTransactions < 0 {
			break
		}
		accounts = append(accounts, s.content())
	}
	return accounts
}

// addresses lists the senders, sorted.
func (p *Pool) addresses() []common.Address {
	return slices.SortedFunc(maps.Keys(p.senders), func(a, b common.Address) int { return bytes.Compare(a[:], b[:]) })
}

func (s *sender) content() Account {
	a := Account{Address: s.address}
	for i, e := range s.txs {
		if i < s.pending {
			a.Pending = append(a.Pending, e.tx)
		} else {
			a.Queued = append(a.Queued, e.tx)
		}
	}
	return a
}
