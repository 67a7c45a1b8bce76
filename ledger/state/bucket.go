package state

import (
	"bytes"
	"sort"

	"github.com/ethereum/go-ethereum/common"
)

// leaf is one entry of the tree: where it is, its hash, and where [State] keeps its key and value.
type leaf struct {
	path [32]byte
	hash common.Hash
	ref  uint32
}

// bucket names a range of leaves in the arena. The zero bucket is empty.
type bucket struct {
	page, off uint32
	n, size   uint32
}

// pageLeaves is the number of leaves in a page of the arena: 68 B each, so a page is 1.1 MB, large
// enough that pages are few and small enough that a young chain stays small.
const pageLeaves = 1 << 14

// arena is a slab allocator for buckets. Freed ranges are kept by size and used again. It is not safe
// for concurrent mutation.
type arena struct {
	pages [][]leaf
	used  int // leaves used in the last page
	free  map[uint32][]bucket
}

// sizeClass rounds the capacity of a bucket up, with room to grow.
func sizeClass(n int) uint32 {
	switch {
	case n <= 16:
		return uint32(n+1) &^ 1
	case n <= 128:
		return uint32(n+7) &^ 7
	default:
		return uint32(n+n/4+63) &^ 63
	}
}

func (a *arena) alloc(n int) bucket {
	size := sizeClass(n)
	if f := a.free[size]; len(f) > 0 {
		b := f[len(f)-1]
		a.free[size] = f[:len(f)-1]
		b.n = uint32(n)
		return b
	}
	if len(a.pages) == 0 || a.used+int(size) > len(a.pages[len(a.pages)-1]) {
		a.pages = append(a.pages, make([]leaf, max(pageLeaves, int(size))))
		a.used = 0
	}
	b := bucket{page: uint32(len(a.pages) - 1), off: uint32(a.used), n: uint32(n), size: size}
	a.used += int(size)
	return b
}

func (a *arena) release(b bucket) {
	if b.size == 0 {
		return
	}
	if a.free == nil {
		a.free = make(map[uint32][]bucket)
	}
	a.free[b.size] = append(a.free[b.size], b)
}

// leaves returns the bucket's content; it is valid until the bucket changes.
func (a *arena) leaves(b bucket) []leaf {
	if b.n == 0 {
		return nil
	}
	return a.pages[b.page][b.off : b.off+b.n]
}

// fill returns a new bucket with a copy of the leaves.
func (a *arena) fill(ls []leaf) bucket {
	if len(ls) == 0 {
		return bucket{}
	}
	b := a.alloc(len(ls))
	copy(a.leaves(b), ls)
	return b
}

// put inserts or replaces one leaf and reports whether it is new.
func (a *arena) put(b *bucket, l *leaf) bool {
	ls := a.leaves(*b)
	i, found := search(ls, &l.path)
	if found {
		ls[i] = *l
		return false
	}
	if b.n < b.size {
		b.n++
		ls = a.leaves(*b)
		copy(ls[i+1:], ls[i:])
		ls[i] = *l
		return true
	}
	grown := a.alloc(len(ls) + 1)
	dst := a.leaves(grown)
	copy(dst, ls[:i])
	dst[i] = *l
	copy(dst[i+1:], ls[i:])
	a.release(*b)
	*b = grown
	return true
}

// remove deletes a leaf and reports whether it was there.
func (a *arena) remove(b *bucket, path *[32]byte) bool {
	ls := a.leaves(*b)
	i, found := search(ls, path)
	if !found {
		return false
	}
	copy(ls[i:], ls[i+1:])
	b.n--
	if b.n == 0 {
		a.release(*b)
		*b = bucket{}
	}
	return true
}

// search finds the index of a path in sorted leaves, or where it would be inserted.
func search(ls []leaf, path *[32]byte) (int, bool) {
	i := sort.Search(len(ls), func(i int) bool { return bytes.Compare(ls[i].path[:], path[:]) >= 0 })
	return i, i < len(ls) && ls[i].path == *path
}

// halve splits sorted leaves that share their first d bits by bit d.
func halve(ls []leaf, d int) (left, right []leaf) {
	i := sort.Search(len(ls), func(i int) bool { return bit(&ls[i].path, d) == 1 })
	return ls[:i], ls[i:]
}

// subtree is the hash of the sorted leaves that share their first d bits: zero for none, the leaf's
// own hash for one (a lone leaf floats up).
func subtree(ls []leaf, d int) common.Hash {
	switch len(ls) {
	case 0:
		return common.Hash{}
	case 1:
		return ls[0].hash
	}
	a, b := halve(ls, d)
	l, r := subtree(a, d+1), subtree(b, d+1)
	return innerHash(&l, &r)
}
