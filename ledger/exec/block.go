package exec

import (
	"bytes"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// block is the working state of one execution: the accounts read so far, over the parent's state.
type block struct {
	state Reader
	// index of an address in touched.
	index   map[common.Address]int
	touched []touched
	// executed hashes; nil until the first drop asks for them.
	executed map[common.Hash]struct{}
	counted  int // how many executed transactions are in executed
}

type touched struct {
	address common.Address
	// account as of the last executed transaction, before as of the parent.
	account, before ledger.Account
}

func newBlock(state Reader, txs int) *block {
	return &block{
		state:   state,
		index:   make(map[common.Address]int, 2*txs),
		touched: make([]touched, 0, 2*txs),
	}
}

// load returns the place of an account in touched, reading it from the parent's state at the first use.
func (b *block) load(a common.Address) int {
	i, ok := b.index[a]
	if !ok {
		i = len(b.touched)
		account := b.state.Account(a)
		b.touched = append(b.touched, touched{address: a, account: account, before: account})
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

// changes lists the accounts that differ from the parent's state, sorted by path.
func (b *block) changes() []ledger.Change {
	changed := 0
	for i := range b.touched {
		if b.touched[i].account != b.touched[i].before {
			changed++
		}
	}
	changes := make([]ledger.Change, 0, changed)
	// Keys and values share one allocation each; the full slice expressions keep them apart.
	keys := make([]byte, 0, changed*ledger.AccountKeyLen)
	values := make([]byte, 0, changed*ledger.MaxAccountBytes)
	for i := range b.touched {
		t := &b.touched[i]
		if t.account == t.before {
			continue
		}
		k, v := len(keys), len(values)
		keys = ledger.AppendAccountKey(keys, t.address)
		values = ledger.AppendAccount(values, &t.account)
		c := ledger.Change{Key: keys[k:len(keys):len(keys)]}
		if len(values) > v {
			c.Value = values[v:len(values):len(values)]
		}
		c.Path = ledger.Path(c.Key)
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(x, y ledger.Change) int { return bytes.Compare(x.Path[:], y.Path[:]) })
	return changes
}
