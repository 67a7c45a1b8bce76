package vm

import "github.com/ethereum/go-ethereum/common"

// slots is a frame's cache of storage. What is written stays here until it is flushed, and is lost without.
type slots struct {
	entries []slot
	// index finds entries once there are too many to look through.
	index map[common.Hash]int
}

type slot struct {
	key, value common.Hash
	dirty      bool
}

// indexedSlots is where a map becomes faster than looking at each entry.
const indexedSlots = 16

func (c *slots) find(key common.Hash) *slot {
	if len(c.entries) > indexedSlots {
		if i, ok := c.index[key]; ok {
			return &c.entries[i]
		}
		return nil
	}
	for i := range c.entries {
		if c.entries[i].key == key {
			return &c.entries[i]
		}
	}
	return nil
}

func (c *slots) add(s slot) {
	c.entries = append(c.entries, s)
	switch n := len(c.entries); {
	case n == indexedSlots+1:
		c.index = make(map[common.Hash]int, 4*indexedSlots)
		for i := range c.entries {
			c.index[c.entries[i].key] = i
		}
	case n > indexedSlots:
		c.index[s.key] = n - 1
	}
}

// reset forgets everything, and keeps a little memory for the next frame.
func (c *slots) reset() {
	c.index = nil
	if cap(c.entries) > 4*indexedSlots {
		c.entries = nil
	}
	c.entries = c.entries[:0]
}

// storageLoad (key, dest) reads a slot.
func (r *running) storageLoad(s []uint64) {
	key, dest := r.hash(s[0]), r.view(s[1], 32)
	if cached := r.slots.find(key); cached != nil {
		r.payInk(inkCachedSlot)
		copy(dest, cached.value[:])
		return
	}
	value, cold := r.State.Load(r.Contract, key)
	if cold {
		r.payGas(gasColdSlot)
	} else {
		r.payGas(gasWarm)
	}
	r.slots.add(slot{key: key, value: value})
	copy(dest, value[:])
}

// storageCache (key, value) writes a slot of the cache.
func (r *running) storageCache(s []uint64) {
	key, value := r.hash(s[0]), r.hash(s[1])
	if cached := r.slots.find(key); cached != nil {
		r.payInk(inkCachedSlot)
		cached.value, cached.dirty = value, true
		return
	}
	r.payInk(inkNewSlot)
	r.slots.add(slot{key, value, true})
}

// storageFlush (clear) stores what was written since the last flush, in the order in which the slots were first
// used. A frame that has written nothing may flush where nothing may be written: SDKs do so at every exit.
func (r *running) storageFlush(s []uint64) {
	for i := range r.slots.entries {
		e := &r.slots.entries[i]
		if !e.dirty {
			continue
		}
		if r.Static {
			panic(errTrap)
		}
		if r.gasLeft() <= gasStoreSentry {
			panic(errOutOfGas)
		}
		stored := r.State.Store(r.Contract, e.key, e.value)
		r.payGas(storeGas(stored, stored.Current != e.value))
		e.dirty = false
	}
	if uint32(s[0]) != 0 {
		r.slots.reset()
	}
}

// transientLoad (key, dest) reads what ends with the transaction.
func (r *running) transientLoad(s []uint64) {
	r.payGas(gasTransient)
	key, dest := r.hash(s[0]), r.view(s[1], 32)
	value := r.State.LoadTransient(r.Contract, key)
	copy(dest, value[:])
}

// transientStore (key, value) writes what ends with the transaction.
func (r *running) transientStore(s []uint64) {
	if r.Static {
		panic(errTrap)
	}
	r.payGas(gasTransient)
	r.State.StoreTransient(r.Contract, r.hash(s[0]), r.hash(s[1]))
}
