package exec

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// block is the working state of one execution: the accounts read so far, over the parent's state.
type block struct {
	state Reader
	// index of an address in touched.
	index   map[common.Address]int32
	touched []touched
	// executed hashes; nil until the first drop asks for them.
	executed map[common.Hash]struct{}
	counted  int // how many executed transactions are in executed
}

type touched struct {
	address common.Address
	// changed says that account differs from the parent's state. Nothing changes it back: a sender's nonce
	// only grows, and so does the balance of an account that never sends.
	changed bool
	// account as of the last executed transaction.
	account ledger.Account
}

func newBlock(state Reader, txs int) *block {
	return &block{
		state:   state,
		index:   make(map[common.Address]int32, 2*txs),
		touched: make([]touched, 0, 2*txs),
	}
}

// load returns the place of an account in touched, reading it from the parent's state at the first use.
func (b *block) load(a common.Address) int32 {
	i, ok := b.index[a]
	if !ok {
		i = int32(len(b.touched)) // at most twice MaxBlockTransactions
		b.touched = append(b.touched, touched{address: a, account: b.state.Account(a)})
		b.index[a] = i
	}
	return i
}

// executedNow reports whether tx is among executed, the transactions of this block so far. The set is made at
// the first drop that needs it: honest blocks have none.
func (b *block) executedNow(tx *ledger.Transaction, executed []*ledger.Transaction) bool {
	if b.executed == nil {
		b.executed = make(map[common.Hash]struct{}, len(executed))
	}
	for _, e := range executed[b.counted:] {
		b.executed[e.Hash()] = struct{}{}
	}
	b.counted = len(executed)
	_, ok := b.executed[tx.Hash()]
	return ok
}

// place is where a changed account comes in the order of paths.
type place struct {
	// prefix is the path's first 8 bytes, enough to order nearly all: sorting small values without pointers
	// takes a third of the time of sorting the changes themselves.
	prefix uint64
	// touched is the account's index, path its whole path's.
	touched, path int32
}

// changes lists the accounts that differ from the parent's state, sorted by path.
func (b *block) changes() []ledger.Change {
	places := make([]place, 0, len(b.touched))
	paths := make([][32]byte, 0, len(b.touched))
	var key [ledger.AccountKeyLen]byte
	size := 0
	for i := range b.touched {
		t := &b.touched[i]
		if !t.changed {
			continue
		}
		path := ledger.Path(ledger.AppendAccountKey(key[:0], t.address))
		places = append(places, place{prefix: binary.BigEndian.Uint64(path[:]), touched: int32(i), path: int32(len(paths))})
		paths = append(paths, path)
		size += ledger.AccountKeyLen + ledger.AccountBytes(&t.account)
	}
	slices.SortFunc(places, func(x, y place) int {
		if c := cmp.Compare(x.prefix, y.prefix); c != 0 {
			return c
		}
		return bytes.Compare(paths[x.path][:], paths[y.path][:])
	})
	// Keys and values share one allocation; the full slice expressions keep them apart.
	slab := make([]byte, 0, size)
	changes := make([]ledger.Change, len(places))
	for i, p := range places {
		t, c, start := &b.touched[p.touched], &changes[i], len(slab)
		c.Path = paths[p.path]
		slab = ledger.AppendAccountKey(slab, t.address)
		middle := len(slab)
		c.Key = slab[start:middle:middle]
		slab = ledger.AppendAccount(slab, &t.account)
		if end := len(slab); end > middle {
			c.Value = slab[middle:end:end]
		}
	}
	return changes
}
