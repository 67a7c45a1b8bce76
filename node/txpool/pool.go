// Package txpool keeps transactions that wait to be ordered.
//
// The pool holds, for each sender, its transactions sorted by nonce. Those whose nonces follow the
// account's nonce without a gap are pending: a proposal may take them in that order. The others are
// queued until the gap closes or they expire. A transaction leaves the pool when a block that used its
// nonce was executed ([Pool.Advance]), not when it is ordered: whoever builds on blocks that are ordered
// and not executed yet says which nonces those use ([Pool.Select]).
//
// Senders with pending transactions form one list in the order in which their next transaction became
// pending; a proposal takes one of each in turn, so that a sender with thousands waits in line with a
// sender with one. Fees decide nothing but replacement, because gas is free; the rule for that is
// go-ethereum's, as are the texts of the errors, which clients match.
//
// Everything is bounded: transactions and bytes, per sender and in total, the distance of a nonce from
// the account's, and the age. One mutex guards all; nothing under it blocks or does I/O.
//
// The model is go-ethereum's core/txpool/legacypool without prices.
package txpool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// State is the last executed state. It is read under the pool's mutex, so it must answer from memory.
// Implementations: ledger/state.State, and the tables of tests.
type State interface {
	Account(common.Address) ledger.Account
}

// Config says what a pool admits. Zero limits mean the defaults.
type Config struct {
	// Genesis gives the chain's gas limits.
	Genesis *ledger.Genesis
	// State is the last executed state.
	State State

	// MaxTransactions in the pool; default 131,072. A quarter of them may be queued.
	MaxTransactions int
	// MaxBytes of the encodings of all transactions; default 128 MiB.
	MaxBytes int
	// MaxPerSender counts one account's transactions; default 8,192.
	MaxPerSender int
	// MaxSenderBytes of the encodings of one account's transactions; default MaxBytes/4.
	MaxSenderBytes int
	// MaxGap is how far a nonce may be beyond the account's first free one; default 1,024.
	MaxGap uint64
	// Lifetime is how long a transaction may wait; default 1 h.
	Lifetime time.Duration
}

// Defaults of [Config]. A transfer is some 110 bytes encoded and 450 bytes in memory.
const (
	defaultMaxTransactions = 1 << 17
	defaultMaxBytes        = 128 << 20
	defaultMaxPerSender    = 8192
	defaultMaxGap          = 1024
	defaultLifetime        = time.Hour
)

// queuedShare is the share of MaxTransactions that may be queued: a gap costs its sender nothing, so
// queued transactions must never push out pending ones.
const queuedShare = 4

func (c Config) withDefaults() (Config, error) {
	if c.Genesis == nil || c.State == nil {
		return c, errors.New("txpool: a pool needs a genesis and a state")
	}
	for _, l := range []struct {
		name  string
		value *int
		deflt int
	}{
		{"MaxTransactions", &c.MaxTransactions, defaultMaxTransactions},
		{"MaxBytes", &c.MaxBytes, defaultMaxBytes},
		{"MaxPerSender", &c.MaxPerSender, defaultMaxPerSender},
		{"MaxSenderBytes", &c.MaxSenderBytes, 0},
	} {
		if *l.value < 0 {
			return c, fmt.Errorf("txpool: %s is %d: set it to a positive number", l.name, *l.value)
		}
		if *l.value == 0 {
			*l.value = l.deflt
		}
	}
	if c.MaxSenderBytes == 0 {
		c.MaxSenderBytes = max(c.MaxBytes/4, 1)
	}
	if c.MaxGap == 0 {
		c.MaxGap = defaultMaxGap
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	return c, nil
}

// Pool is a set of transactions that wait to be ordered. All methods are safe for concurrent use.
type Pool struct {
	cfg Config

	mu      sync.Mutex // guards everything below
	byHash  map[common.Hash]*entry
	senders map[common.Address]*sender
	ready   list[*sender] // senders with a pending transaction, the longest waiting first
	gapped  list[*sender] // senders with a queued transaction
	arrival list[*entry]  // all transactions, the oldest first
	bytes   int           // of all encodings
	queued  int           // transactions behind a gap
	waiters map[chan<- struct{}]struct{}
	newest  arrivals
	removed memory // what was in the pool
	refused memory // what was not let in
}

// New returns an empty pool.
func New(cfg Config) (*Pool, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Pool{
		cfg:     cfg,
		byHash:  make(map[common.Hash]*entry),
		senders: make(map[common.Address]*sender),
		waiters: make(map[chan<- struct{}]struct{}),
		removed: newMemory(),
		refused: newMemory(),
	}, nil
}

// Add admits a transaction at the time now. The error wraps one of the sentinels of this package or of
// ledger; it says what is wrong with the transaction, or that the pool is full ([ErrFull],
// [ErrAccountLimit]), never that this node is broken.
func (p *Pool) Add(tx *ledger.Transaction, now time.Time) error {
	err := p.validateStatic(tx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.expire(now)
		err = p.add(tx, now)
	}
	if err != nil && !errors.Is(err, ErrAlreadyKnown) {
		p.refused.note(tx, Removed{Reason: Refused, Err: err, At: now})
	}
	return err
}

func (p *Pool) add(tx *ledger.Transaction, now time.Time) error {
	if _, known := p.byHash[tx.Hash()]; known {
		return ErrAlreadyKnown
	}
	account := p.cfg.State.Account(tx.From())
	s := p.senders[tx.From()]
	if s == nil {
		s = &sender{address: tx.From(), nonce: account.Nonce}
	}
	if err := p.validateState(tx, s, &account); err != nil {
		return err
	}
	i, taken := s.search(tx.Nonce())
	if taken {
		return p.replace(s, i, tx, now)
	}
	if err := p.makeRoom(s, tx, now); err != nil {
		return err
	}
	p.senders[s.address] = s
	i, _ = s.search(tx.Nonce()) // making room may have shortened the sender's list
	p.insert(s, i, &entry{tx: tx, owner: s, since: now})
	return nil
}

// replace is go-ethereum's rule: both the tip and the fee cap rise by at least 10 %.
func (p *Pool) replace(s *sender, i int, tx *ledger.Transaction, now time.Time) error {
	old := s.txs[i]
	if !outbids(tx, old.tx) {
		return ErrReplaceUnderpriced
	}
	grow := tx.Size() - old.tx.Size()
	if p.bytes+grow > p.cfg.MaxBytes {
		return ErrFull
	}
	if s.bytes+grow > p.cfg.MaxSenderBytes {
		return ErrAccountLimit
	}
	p.drop(old)
	p.removed.note(old.tx, Removed{Reason: Replaced, By: tx.Hash(), At: now})
	s.txs[i] = &entry{tx: tx, owner: s, since: now}
	p.hold(s.txs[i])
	p.newest.add(tx.Hash())
	if i < s.pending {
		p.signal()
	}
	return nil
}

// makeRoom evicts what the new transaction may push out, or says why it may not enter.
func (p *Pool) makeRoom(s *sender, tx *ledger.Transaction, now time.Time) error {
	if len(s.txs) >= p.cfg.MaxPerSender || s.bytes+tx.Size() > p.cfg.MaxSenderBytes {
		// A transaction that closes a gap is worth more than the one farthest behind it.
		if len(s.txs) == 0 || s.txs[len(s.txs)-1].tx.Nonce() < tx.Nonce() || s.txs[len(s.txs)-1].tx.Size() < tx.Size() {
			return fmt.Errorf("%w: %d transactions of %s are waiting, limit %d transactions or %d bytes",
				ErrAccountLimit, len(s.txs), s.address, p.cfg.MaxPerSender, p.cfg.MaxSenderBytes)
		}
		p.removeAt(s, len(s.txs)-1, Removed{Reason: Evicted, At: now})
	}
	pending := tx.Nonce() == s.next()
	if !pending && p.queued >= p.cfg.MaxTransactions/queuedShare {
		return fmt.Errorf("%w: too many transactions wait behind a nonce gap", ErrFull)
	}
	for len(p.byHash) >= p.cfg.MaxTransactions || p.bytes+tx.Size() > p.cfg.MaxBytes {
		victim := p.gapped.front()
		if !pending || victim == nil {
			return fmt.Errorf("%w: %d transactions, %d bytes", ErrFull, len(p.byHash), p.bytes)
		}
		p.removeAt(victim, len(victim.txs)-1, Removed{Reason: Evicted, At: now})
	}
	return nil
}

// insert puts a new transaction at position i of its sender's list.
func (p *Pool) insert(s *sender, i int, e *entry) {
	p.queued -= s.queued()
	s.insert(i, e)
	p.hold(e)
	p.newest.add(e.tx.Hash())
	grown := s.extend()
	p.queued += s.queued()
	p.relist(s)
	if grown {
		p.signal()
	}
}

// removeAt takes the transaction at position i out and notes why; later ones of the sender become queued.
func (p *Pool) removeAt(s *sender, i int, why Removed) {
	p.queued -= s.queued()
	p.removed.note(s.txs[i].tx, why)
	p.drop(s.txs[i])
	s.removeAt(i)
	p.queued += s.queued()
	p.relist(s)
}

// hold and drop keep the pool-wide books about one transaction.
func (p *Pool) hold(e *entry) {
	p.byHash[e.tx.Hash()] = e
	p.arrival.pushBack(&e.age, e)
	p.bytes += e.tx.Size()
	e.owner.bytes += e.tx.Size()
}

func (p *Pool) drop(e *entry) {
	delete(p.byHash, e.tx.Hash())
	p.arrival.remove(&e.age)
	p.bytes -= e.tx.Size()
	e.owner.bytes -= e.tx.Size()
}

// relist puts the sender into the lists it belongs to, and forgets one without transactions.
func (p *Pool) relist(s *sender) {
	p.ready.set(&s.inReady, s, s.pending > 0)
	p.gapped.set(&s.inGapped, s, s.queued() > 0)
	if len(s.txs) == 0 {
		delete(p.senders, s.address)
	}
}

// expire removes transactions that have waited too long.
func (p *Pool) expire(now time.Time) {
	for e := p.arrival.front(); e != nil && now.Sub(e.since) > p.cfg.Lifetime; e = p.arrival.front() {
		i, _ := e.owner.search(e.tx.Nonce())
		p.removeAt(e.owner, i, Removed{Reason: Expired, At: now})
	}
}
