package txpool

import (
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// entry is a transaction in the pool.
type entry struct {
	tx    *ledger.Transaction
	owner *sender
	since time.Time
	age   link[*entry]
}

// sender is an account with transactions in the pool.
type sender struct {
	address common.Address
	nonce   uint64   // of the account, as of the last block that touched it
	txs     []*entry // by nonce, none below nonce
	pending int      // how many of txs follow nonce without a gap
	bytes   int      // of the encodings of txs

	inReady  link[*sender]
	inGapped link[*sender]
}

// next is the first nonce that no pending transaction uses.
func (s *sender) next() uint64 { return s.nonce + uint64(s.pending) }

// queued is how many transactions wait behind a gap.
func (s *sender) queued() int { return len(s.txs) - s.pending }

// search returns where the nonce is or would be.
func (s *sender) search(nonce uint64) (i int, found bool) {
	if n := len(s.txs); n > 0 && s.txs[n-1].tx.Nonce() < nonce {
		return n, false // the common case: the sender's next one
	}
	return slices.BinarySearchFunc(s.txs, nonce, func(e *entry, nonce uint64) int {
		switch have := e.tx.Nonce(); {
		case have < nonce:
			return -1
		case have > nonce:
			return 1
		}
		return 0
	})
}

func (s *sender) insert(i int, e *entry) {
	s.txs = slices.Insert(s.txs, i, e)
}

func (s *sender) removeAt(i int) {
	s.txs = slices.Delete(s.txs, i, i+1)
	s.pending = min(s.pending, i)
}

// extend counts the pending transactions again after one was added or the nonce rose, and reports
// whether there are more than before.
func (s *sender) extend() bool {
	before := s.pending
	for s.pending < len(s.txs) && s.txs[s.pending].tx.Nonce() == s.next() {
		s.pending++
	}
	return s.pending > before
}

// raise moves the account's nonce up and returns the transactions that it leaves behind.
func (s *sender) raise(nonce uint64) (stale []*entry) {
	if nonce <= s.nonce {
		return nil
	}
	n, _ := s.search(nonce)
	stale = slices.Clone(s.txs[:n])
	clear(s.txs[:n]) // the array lives on
	s.txs = s.txs[n:]
	s.pending = max(s.pending-n, 0)
	s.nonce = nonce
	s.extend()
	return stale
}
