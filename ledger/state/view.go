package state

import (
	"bytes"

	"github.com/ethereum/go-ethereum/common"
)

func compare(a, b *[32]byte) int { return bytes.Compare(a[:], b[:]) }

// node is a hash of the complete levels and whether it is a single leaf.
type node struct {
	hash common.Hash
	lone bool
}

// place names a node of the complete levels.
type place struct{ level, index int }

// view is a tree as it was before some updates: the tree plus what differs. With nil maps it is the
// tree itself. It is valid until the next Apply.
type view struct {
	t       *Tree
	nodes   map[place]node
	buckets map[place][]leaf
}

// viewBefore returns the tree with the given leaves put back, sorted by path; a zero hash stands for
// a path that was absent.
func (t *Tree) viewBefore(old []leaf) *view {
	v := &view{t: t, nodes: make(map[place]node), buckets: make(map[place][]leaf)}
	var upper, lower []int
	for len(old) > 0 {
		level, index := t.place(&old[0].path)
		n := 1
		for ; n < len(old); n++ {
			if l, i := t.place(&old[n].path); l != level || i != index {
				break
			}
		}
		merged := merge(t.leavesAt(level, index), old[:n])
		at := place{level, index}
		v.buckets[at] = merged
		v.nodes[at] = node{subtree(merged, level), len(merged) == 1}
		if level == t.depth {
			upper = append(upper, index)
		} else {
			lower = append(lower, index)
		}
		old = old[n:]
	}
	nodes := append(v.joinParents(t.depth, lower), upper...)
	for d := t.depth - 1; d >= 0; d-- {
		nodes = v.joinParents(d, nodes)
	}
	return v
}

func (v *view) joinParents(d int, children []int) []int {
	parents := children[:0]
	for _, c := range children {
		if p := c >> 1; len(parents) == 0 || parents[len(parents)-1] != p {
			l, r := v.node(d+1, 2*p), v.node(d+1, 2*p+1)
			var n node
			n.hash, n.lone = join(&l.hash, l.lone, &r.hash, r.lone)
			v.nodes[place{d, p}] = n
			parents = append(parents, p)
		}
	}
	return parents
}

// merge lays updates over sorted leaves; a zero hash removes.
func merge(ls, updates []leaf) []leaf {
	out := make([]leaf, 0, len(ls)+len(updates))
	for len(updates) > 0 {
		i, found := search(ls, &updates[0].path)
		out = append(out, ls[:i]...)
		if ls = ls[i:]; found {
			ls = ls[1:]
		}
		if updates[0].hash != (common.Hash{}) {
			out = append(out, updates[0])
		}
		updates = updates[1:]
	}
	return append(out, ls...)
}

func (v *view) node(level, index int) node {
	if n, ok := v.nodes[place{level, index}]; ok {
		return n
	}
	return node{v.t.levels[level][index], v.t.lone[level][index]}
}

func (v *view) leaves(level, index int) []leaf {
	if ls, ok := v.buckets[place{level, index}]; ok {
		return ls
	}
	return v.t.leavesAt(level, index)
}

// siblings returns the hashes beside the way from the root towards a path, root first, and the leaf
// at the path if there is one. When there is none, the way ends at an empty place or another leaf.
func (v *view) siblings(path *[32]byte) ([]common.Hash, *leaf) {
	level, index := v.t.place(path)
	ls := v.leaves(level, index)
	var found *leaf
	if i, ok := search(ls, path); ok {
		found = &ls[i]
	}
	out := make([]common.Hash, 0, level+4)
	for d := range level {
		if n := v.node(d, index>>(level-d)); n.lone || n.hash == (common.Hash{}) {
			return out, found
		}
		out = append(out, v.node(d+1, index>>(level-d-1)^1).hash)
	}
	for d := level; len(ls) > 1; d++ {
		l, r := halve(ls, d)
		if bit(path, d) == 1 {
			l, r = r, l
		}
		out = append(out, subtree(r, d+1))
		ls = l
	}
	return out, found
}

// neighbours returns the nearest leaves on both sides of a path, nil where there is none.
func (v *view) neighbours(path *[32]byte) (left, right *leaf) {
	level, index := v.t.place(path)
	ls := v.leaves(level, index)
	i, found := search(ls, path)
	if i > 0 {
		left = &ls[i-1]
	} else {
		left = v.beside(level, index, 0)
	}
	if found {
		i++
	}
	if i < len(ls) {
		right = &ls[i]
	} else {
		right = v.beside(level, index, 1)
	}
	return left, right
}

// beside returns the nearest leaf outside a bucket: the last before it (side 0) or the first after it
// (side 1).
func (v *view) beside(level, index, side int) *leaf {
	for ; level > 0; level, index = level-1, index>>1 {
		if index&1 == side || v.node(level, index^1).hash == (common.Hash{}) {
			continue
		}
		index ^= 1
		for !v.isBucket(level, index) {
			level++
			if index = 2*index + 1 - side; v.node(level, index).hash == (common.Hash{}) {
				index ^= 1
			}
		}
		ls := v.leaves(level, index)
		if side == 0 {
			return &ls[len(ls)-1]
		}
		return &ls[0]
	}
	return nil
}

func (v *view) isBucket(level, index int) bool {
	return level > v.t.depth || level == v.t.depth && index >= v.t.split
}

// Prove returns the siblings on the way to a path, root first, and whether a value is there.
func (t *Tree) Prove(path [32]byte) (siblings []common.Hash, found bool) {
	s, l := (&view{t: t}).siblings(&path)
	return s, l != nil
}

// build makes the tree of sorted leaves at once; chunks are released as they are read.
func (t *Tree) build(chunks [][]leaf, n int) {
	depth := firstDepth
	for depth < maxDepth && (1<<depth)*bucketLeaves < n {
		depth++
	}
	if depth > firstDepth {
		depth-- // buckets at bucketLeaves..2·bucketLeaves; grow splits the rest
	}
	t.reset(depth)
	t.count = n
	var run []leaf
	at := -1
	flush := func() {
		if len(run) > 0 {
			t.buckets[at] = t.arena.fill(run)
			run = run[:0]
		}
	}
	for c := range chunks {
		for i := range chunks[c] {
			l := &chunks[c][i]
			if p := prefix(&l.path, depth); p != at {
				flush()
				at = p
			}
			run = append(run, *l)
		}
		chunks[c] = nil
	}
	flush()
	var qs [4]quarter
	for i := range t.buckets {
		if t.buckets[i].n > 0 {
			q := &qs[i>>(depth-2)]
			q.upper = append(q.upper, i)
		}
	}
	t.rehash(&qs)
	t.grow(1 << depth)
}
