package vm

import "github.com/ethereum/go-ethereum/common"

// slots is a frame's cache of storage. What is written stays here until it is flushed, and is lost without.
type slots struct {
	entries []slot
	// index finds entries once there are too many to look through.
	index map[common.Hash]int
	// dirty are the entries to flush, by place, in the order in which they were first written.
	dirty []int
}

type slot struct {
	key, value common.Hash
	dirty      bool
}

// indexedSlots is where a map becomes faster than looking at each entry.
const indexedSlots = 16

// find returns the place of a slot in entries, or −1.
func (c *slots) find(key common.Hash) int {
	if len(c.entries) > indexedSlots {
		if i, ok := c.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range c.entries {
		if c.entries[i].key == key {
			return i
		}
	}
	return -1
}

// write changes an entry.
func (c *slots) write(i int, value common.Hash) {
	e := &c.entries[i]
	e.value = value
	if !e.dirty {
		e.dirty = true
		c.dirty = append(c.dirty, i)
	}
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
	if cap(c.dirty) > 4*indexedSlots {
		c.dirty = nil
	}
	c.entries, c.dirty = c.entries[:0], c.dirty[:0]
}

// storageLoad (key, dest) reads a slot.
func (r *running) storageLoad(s []uint64) {
	key, dest := r.hash(s[0]), r.view(s[1], 32)
	if i := r.slots.find(key); i >= 0 {
		r.payInk(inkCachedSlot)
		copy(dest, r.slots.entries[i].value[:])
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
	if i := r.slots.find(key); i >= 0 {
		r.payInk(inkCachedSlot)
		r.slots.write(i, value)
		return
	}
	r.payInk(inkNewSlot)
	r.slots.add(slot{key: key})
	r.slots.write(len(r.slots.entries)-1, value)
}

// storageFlush (clear) stores what was written since the last flush, in the order in which the slots were
// written. A frame that has written nothing may flush where nothing may be written: SDKs do so at every exit. It
// looks at what it stores and at nothing else: a flush of many clean slots costs no more than the call.
func (r *running) storageFlush(s []uint64) {
	for _, i := range r.slots.dirty {
		e := &r.slots.entries[i]
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
	r.slots.dirty = r.slots.dirty[:0]
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
