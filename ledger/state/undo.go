package state

import (
	"slices"
	"sort"

	"github.com/tercet-chain/tercet/ledger"
)

// UndoBlocks is how many blocks back the state can be read and proved: eth_call-like reads of clients
// that lag a few seconds, and the distance between execution and its certificate.
const UndoBlocks = 256

// undo keeps what a block overwrote, in path order. It is immutable once made.
type undo struct {
	entries []undoEntry
	blob    []byte // key ‖ old value of each entry
}

type undoEntry struct {
	path            [32]byte
	off, klen, vlen uint32
}

func (u *undo) add(c *ledger.Change, old func(dst []byte) []byte) {
	e := undoEntry{path: c.Path, off: uint32(len(u.blob)), klen: uint32(len(c.Key))}
	u.blob = old(append(u.blob, c.Key...))
	e.vlen = uint32(len(u.blob)) - e.off - e.klen
	u.entries = append(u.entries, e)
}

func (u *undo) key(e *undoEntry) []byte { return u.blob[e.off : e.off+e.klen : e.off+e.klen] }

func (u *undo) value(e *undoEntry) []byte {
	end := e.off + e.klen + e.vlen
	return u.blob[e.off+e.klen : end : end]
}

// find returns the old value of a path and whether the block wrote it.
func (u *undo) find(path *[32]byte) ([]byte, bool) {
	i := sort.Search(len(u.entries), func(i int) bool { return compare(&u.entries[i].path, path) >= 0 })
	if i == len(u.entries) || u.entries[i].path != *path {
		return nil, false
	}
	return u.value(&u.entries[i]), true
}

// oldView is the tree at an earlier height, with the pairs that have changed since.
type oldView struct {
	*view
	height, tip uint64
	items       []item // named by references of kindOld
}

// viewAt builds the tree as it was before the blocks whose undo records are given, oldest first. It
// costs a few microseconds for each path written since.
func viewAt(t *Tree, records []*undo) *oldView {
	type old struct {
		u *undo
		e *undoEntry
	}
	first := make(map[[32]byte]old)
	for _, u := range slices.Backward(records) {
		for i := range u.entries {
			first[u.entries[i].path] = old{u, &u.entries[i]}
		}
	}
	leaves := make([]leaf, 0, len(first))
	v := &oldView{items: make([]item, 0, len(first))}
	for path, o := range first {
		l := leaf{path: path}
		if value := o.u.value(o.e); len(value) > 0 {
			l.hash = leafHash(&path, value)
			l.ref = kindOld | uint32(len(v.items))
			v.items = append(v.items, item{o.u.key(o.e), value})
		}
		leaves = append(leaves, l)
	}
	slices.SortFunc(leaves, func(a, b leaf) int { return compare(&a.path, &b.path) })
	v.view = t.viewBefore(leaves)
	return v
}
