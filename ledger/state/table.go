package state

import "hash/maphash"

// row is a key with its value. Both are free of pointers.
type row[K comparable, V any] struct {
	key   K
	value V
}

const (
	pageRows     = 1 << 14 // about 1 MiB of rows
	firstEntries = 1 << 10
	maxRows      = 1 << 30 // what references can name; so many accounts need 200 GB
)

// table maps keys to values: rows at stable places in pages, found through an open-addressed array of
// entries. It is guarded by its State.
type table[K comparable, V any] struct {
	seed    maphash.Seed // secret, so that nobody can choose keys that collide
	entries []uint64     // tag ‖ row index plus one; 0: free. Linear probing, length a power of two
	n       int
	pages   [][]row[K, V]
	used    uint32   // rows handed out
	free    []uint32 // rows given back
}

func newTable[K comparable, V any]() table[K, V] {
	return table[K, V]{seed: maphash.MakeSeed(), entries: make([]uint64, firstEntries)}
}

func (t *table[K, V]) tag(key *K) uint32 { return uint32(maphash.Comparable(t.seed, *key) >> 32) }

// row returns the row at an index that set returned.
func (t *table[K, V]) row(i uint32) *row[K, V] { return &t.pages[i/pageRows][i%pageRows] }

// find returns the entry's position and the row's index. When there is none, position is where the
// entry would be put.
func (t *table[K, V]) find(key *K) (pos int, index uint32, ok bool) {
	tag, mask := t.tag(key), len(t.entries)-1
	for pos = int(tag) & mask; ; pos = (pos + 1) & mask {
		e := t.entries[pos]
		if e == 0 {
			return pos, 0, false
		}
		if uint32(e>>32) == tag {
			if i := uint32(e) - 1; t.row(i).key == *key {
				return pos, i, true
			}
		}
	}
}

// get returns the value of a key, nil when there is none; it is valid until the table changes.
func (t *table[K, V]) get(key *K) *V {
	_, i, ok := t.find(key)
	if !ok {
		return nil
	}
	return &t.row(i).value
}

// set stores a value and returns the index of its row.
func (t *table[K, V]) set(key *K, value *V) uint32 {
	pos, i, ok := t.find(key)
	if !ok {
		if (t.n+1)*4 > len(t.entries)*3 {
			t.rehash()
			pos, _, _ = t.find(key)
		}
		i = t.newRow()
		t.entries[pos] = uint64(t.tag(key))<<32 | uint64(i+1)
		t.n++
	}
	*t.row(i) = row[K, V]{*key, *value}
	return i
}

func (t *table[K, V]) newRow() uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return i
	}
	if int(t.used) == len(t.pages)*pageRows {
		if t.used >= maxRows {
			panic("state: more rows than references can name")
		}
		t.pages = append(t.pages, make([]row[K, V], pageRows))
	}
	t.used++
	return t.used - 1
}

// remove deletes a key, shifting back the entries that probed past it.
func (t *table[K, V]) remove(key *K) {
	pos, i, ok := t.find(key)
	if !ok {
		return
	}
	*t.row(i) = row[K, V]{}
	t.free = append(t.free, i)
	t.n--
	mask := len(t.entries) - 1
	for next := (pos + 1) & mask; t.entries[next] != 0; next = (next + 1) & mask {
		home := int(t.entries[next]>>32) & mask
		if (next-home)&mask >= (next-pos)&mask {
			t.entries[pos] = t.entries[next]
			pos = next
		}
	}
	t.entries[pos] = 0
}

func (t *table[K, V]) rehash() {
	old := t.entries
	t.entries = make([]uint64, 2*len(old))
	mask := len(t.entries) - 1
	for _, e := range old {
		if e == 0 {
			continue
		}
		pos := int(e>>32) & mask
		for t.entries[pos] != 0 {
			pos = (pos + 1) & mask
		}
		t.entries[pos] = e
	}
}
