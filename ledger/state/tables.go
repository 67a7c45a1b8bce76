package state

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// References of leaves say where key and value are: the upper two bits choose the table.
const (
	kindAccount = 0 << 30
	kindSlot    = 1 << 30
	kindOther   = 2 << 30
	kindOld     = 3 << 30
	kindMask    = 3 << 30
)

// slotKey is a [ledger.StorageKey] without its first byte: whose slot, and which.
type slotKey [ledger.StorageKeyLen - 1]byte

func makeSlotKey(addr common.Address, slot common.Hash) slotKey {
	var k slotKey
	copy(k[copy(k[:], addr[:]):], slot[:])
	return k
}

func (k *slotKey) address() common.Address { return common.Address(k[:common.AddressLength]) }

func (k *slotKey) slot() common.Hash { return common.Hash(k[common.AddressLength:]) }

// tables hold the pairs of a state, each kind of key in the form that suits it. They are guarded by their
// State.
type tables struct {
	accounts accounts
	slots    table[slotKey, common.Hash]
	others   others
}

func newTables() tables {
	return tables{
		accounts: accounts{table: newTable[common.Address, packed](), codeIndex: make(map[common.Hash]uint32)},
		slots:    newTable[slotKey, common.Hash](),
		others:   others{index: make(map[[32]byte]uint32)},
	}
}

// storage returns the value of a slot, zero when there is none.
func (t *tables) storage(addr common.Address, slot common.Hash) common.Hash {
	key := makeSlotKey(addr, slot)
	if v := t.slots.get(&key); v != nil {
		return *v
	}
	return common.Hash{}
}

// appendValue appends the value of a raw key, nothing when there is none.
func (t *tables) appendValue(dst, key []byte, path *[32]byte) []byte {
	if addr, ok := ledger.ParseAccountKey(key); ok {
		acc := t.accounts.get(&addr)
		return ledger.AppendAccount(dst, &acc)
	}
	if addr, slot, ok := ledger.ParseStorageKey(key); ok {
		if v := t.storage(addr, slot); v != (common.Hash{}) {
			dst = append(dst, v[:]...)
		}
		return dst
	}
	return append(dst, t.others.get(path)...)
}

// store puts a checked change into its table and returns the reference.
func (t *tables) store(c *ledger.Change) uint32 {
	if addr, ok := ledger.ParseAccountKey(c.Key); ok {
		if len(c.Value) == 0 {
			t.accounts.remove(&addr)
			return 0
		}
		acc, err := ledger.DecodeAccount(c.Value)
		if err != nil {
			panic("state: stored changes were checked: " + err.Error())
		}
		return kindAccount | t.accounts.set(&addr, &acc)
	}
	if addr, slot, ok := ledger.ParseStorageKey(c.Key); ok {
		key := makeSlotKey(addr, slot)
		if len(c.Value) == 0 {
			t.slots.remove(&key)
			return 0
		}
		value := common.Hash(c.Value) // 32 bytes, which was checked
		return kindSlot | t.slots.set(&key, &value)
	}
	if len(c.Value) == 0 {
		t.others.remove(&c.Path)
		return 0
	}
	return kindOther | t.others.set(c)
}

// pair returns the key and the value that a reference names, in memory of their own.
func (t *tables) pair(ref uint32) item {
	i := ref &^ kindMask
	switch ref & kindMask {
	case kindAccount:
		r := t.accounts.row(i)
		return item{ledger.AccountKey(r.key), ledger.EncodeAccount(t.accounts.unpack(&r.value))}
	case kindSlot:
		r := t.slots.row(i)
		return item{ledger.StorageKey(r.key.address(), r.key.slot()), append([]byte(nil), r.value[:]...)}
	case kindOther:
		return t.others.items[i].clone()
	}
	panic("state: a reference that names no table")
}

// packed is an account in 44 bytes, which make a row of 64 bytes together with the address: be32 index
// into codes plus one, 0 for no code ‖ be64 nonce ‖ be256 balance.
type packed [4 + 8 + 32]byte

// accounts is the table of accounts. Hashes of code are kept once.
type accounts struct {
	table[common.Address, packed]
	codes     []common.Hash
	codeIndex map[common.Hash]uint32
}

func (a *accounts) get(addr *common.Address) ledger.Account {
	if p := a.table.get(addr); p != nil {
		return a.unpack(p)
	}
	return ledger.Account{}
}

// set stores an account that is not empty and returns the index of its row.
func (a *accounts) set(addr *common.Address, acc *ledger.Account) uint32 {
	var p packed
	binary.BigEndian.PutUint32(p[:], a.codeID(acc.CodeHash))
	binary.BigEndian.PutUint64(p[4:], acc.Nonce)
	acc.Balance.PutUint256(p[12:])
	return a.table.set(addr, &p)
}

func (a *accounts) unpack(p *packed) ledger.Account {
	out := ledger.Account{Nonce: binary.BigEndian.Uint64(p[4:])}
	out.Balance.SetBytes32(p[12:])
	if code := binary.BigEndian.Uint32(p[:]); code > 0 {
		out.CodeHash = a.codes[code-1]
	}
	return out
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

// others holds the pairs that are neither accounts nor slots, of which there are few.
type others struct {
	index map[[32]byte]uint32 // by path
	items []item
	free  []uint32
}

// item is a key with its value.
type item struct{ key, value []byte }

func (it *item) clone() item {
	return item{append([]byte(nil), it.key...), append([]byte(nil), it.value...)}
}

func (o *others) get(path *[32]byte) []byte {
	if i, ok := o.index[*path]; ok {
		return o.items[i].value
	}
	return nil
}

func (o *others) set(c *ledger.Change) uint32 {
	i, ok := o.index[c.Path]
	if !ok {
		if n := len(o.free); n > 0 {
			i, o.free = o.free[n-1], o.free[:n-1]
		} else {
			i = uint32(len(o.items))
			o.items = append(o.items, item{})
		}
		o.index[c.Path] = i
		o.items[i].key = append([]byte(nil), c.Key...)
	}
	o.items[i].value = append([]byte(nil), c.Value...)
	return i
}

func (o *others) remove(path *[32]byte) {
	if i, ok := o.index[*path]; ok {
		delete(o.index, *path)
		o.items[i] = item{}
		o.free = append(o.free, i)
	}
}
