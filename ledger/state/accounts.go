package state

import (
	"hash/maphash"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

// slot is an account in 64 bytes without a pointer.
type slot struct {
	addr    common.Address
	code    uint32 // index into accounts.codes plus one; 0: no code
	nonce   uint64
	balance uint256.Int
}

const (
	pageSlots    = 1 << 14 // 1 MiB of slots
	firstEntries = 1 << 10
)

// accounts is the table of accounts: slots at stable places in pages, found through an open-addressed
// array of entries. It is guarded by its State.
type accounts struct {
	seed    maphash.Seed // secret, so that nobody can choose addresses that collide
	entries []uint64     // tag ‖ slot index plus one; 0: free. Linear probing, length a power of two
	n       int
	pages   [][]slot
	used    uint32   // slots handed out
	free    []uint32 // slots given back

	codes     []common.Hash
	codeIndex map[common.Hash]uint32
}

func newAccounts() accounts {
	return accounts{seed: maphash.MakeSeed(), entries: make([]uint64, firstEntries), codeIndex: make(map[common.Hash]uint32)}
}

func (a *accounts) tag(addr *common.Address) uint32 {
	return uint32(maphash.Bytes(a.seed, addr[:]) >> 32)
}

func (a *accounts) slot(i uint32) *slot { return &a.pages[i/pageSlots][i%pageSlots] }

// find returns the entry's position and the slot's index. When there is none, position is where the
// entry would be put.
func (a *accounts) find(addr *common.Address) (pos int, index uint32, ok bool) {
	tag, mask := a.tag(addr), len(a.entries)-1
	for pos = int(tag) & mask; ; pos = (pos + 1) & mask {
		e := a.entries[pos]
		if e == 0 {
			return pos, 0, false
		}
		if uint32(e>>32) == tag {
			if i := uint32(e) - 1; a.slot(i).addr == *addr {
				return pos, i, true
			}
		}
	}
}

func (a *accounts) get(addr *common.Address) ledger.Account {
	_, i, ok := a.find(addr)
	if !ok {
		return ledger.Account{}
	}
	return a.at(i)
}

func (a *accounts) at(i uint32) ledger.Account {
	s := a.slot(i)
	out := ledger.Account{Nonce: s.nonce, Balance: s.balance}
	if s.code > 0 {
		out.CodeHash = a.codes[s.code-1]
	}
	return out
}

// set stores an account that is not empty and returns its slot.
func (a *accounts) set(addr *common.Address, acc *ledger.Account) uint32 {
	pos, i, ok := a.find(addr)
	if !ok {
		if (a.n+1)*4 > len(a.entries)*3 {
			a.rehash()
			pos, _, _ = a.find(addr)
		}
		i = a.newSlot()
		a.entries[pos] = uint64(a.tag(addr))<<32 | uint64(i+1)
		a.n++
	}
	*a.slot(i) = slot{addr: *addr, code: a.codeID(acc.CodeHash), nonce: acc.Nonce, balance: acc.Balance}
	return i
}

func (a *accounts) newSlot() uint32 {
	if n := len(a.free); n > 0 {
		i := a.free[n-1]
		a.free = a.free[:n-1]
		return i
	}
	if int(a.used) == len(a.pages)*pageSlots {
		if a.used >= kindOther {
			panic("state: more accounts than references can name") // 2^30 accounts need 200 GB
		}
		a.pages = append(a.pages, make([]slot, pageSlots))
	}
	a.used++
	return a.used - 1
}

// codeID names a code hash; names are never given back, as code is shared and rarely goes away.
func (a *accounts) codeID(h common.Hash) uint32 {
	if h == (common.Hash{}) {
		return 0
	}
	if id, ok := a.codeIndex[h]; ok {
		return id
	}
	a.codes = append(a.codes, h)
	id := uint32(len(a.codes))
	a.codeIndex[h] = id
	return id
}

// remove deletes an account, shifting back the entries that probed past it.
func (a *accounts) remove(addr *common.Address) {
	pos, i, ok := a.find(addr)
	if !ok {
		return
	}
	*a.slot(i) = slot{}
	a.free = append(a.free, i)
	a.n--
	mask := len(a.entries) - 1
	for next := (pos + 1) & mask; a.entries[next] != 0; next = (next + 1) & mask {
		home := int(a.entries[next]>>32) & mask
		if (next-home)&mask >= (next-pos)&mask {
			a.entries[pos] = a.entries[next]
			pos = next
		}
	}
	a.entries[pos] = 0
}

func (a *accounts) rehash() {
	old := a.entries
	a.entries = make([]uint64, 2*len(old))
	mask := len(a.entries) - 1
	for _, e := range old {
		if e == 0 {
			continue
		}
		pos := int(e>>32) & mask
		for a.entries[pos] != 0 {
			pos = (pos + 1) & mask
		}
		a.entries[pos] = e
	}
}

// values holds the pairs that are not accounts.
type values struct {
	index map[[32]byte]uint32
	items []item
	free  []uint32
}

type item struct{ key, value []byte }

func (v *values) get(path *[32]byte) []byte {
	if i, ok := v.index[*path]; ok {
		return v.items[i].value
	}
	return nil
}

func (v *values) set(c *ledger.Change) uint32 {
	i, ok := v.index[c.Path]
	if !ok {
		if n := len(v.free); n > 0 {
			i, v.free = v.free[n-1], v.free[:n-1]
		} else {
			i = uint32(len(v.items))
			v.items = append(v.items, item{})
		}
		v.index[c.Path] = i
		v.items[i].key = append([]byte(nil), c.Key...)
	}
	v.items[i].value = append([]byte(nil), c.Value...)
	return i
}

func (v *values) remove(path *[32]byte) {
	if i, ok := v.index[*path]; ok {
		delete(v.index, *path)
		v.items[i] = item{}
		v.free = append(v.free, i)
	}
}
