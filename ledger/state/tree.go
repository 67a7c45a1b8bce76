package state

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"
)

const (
	// firstDepth is the depth of the complete levels of an empty tree. At least 2, so that the four
	// subtrees which are hashed in parallel exist.
	firstDepth = 4
	// maxDepth bounds the complete levels: 2^28 buckets hold a thousand million leaves.
	maxDepth = 28
	// bucketLeaves is the mean number of leaves per bucket that splitting aims at: fewer cost memory
	// in the complete levels, more cost hashes within the bucket.
	bucketLeaves = 4
	// splitsPerUpdate bounds the buckets split in one Apply, so that growing never makes a pause. Two
	// per insertion overtake any growth.
	splitsPerUpdate = 2
	// parallelUpdates is the batch size from which hashing is spread over goroutines.
	parallelUpdates = 128
)

// Update is one write of a batch: the value at a path, or its deletion when Value is empty.
type Update struct {
	Path  [32]byte
	Value []byte

	ref uint32 // State's place of key and value
}

// Tree is the sparse Merkle tree of ICS-23's SmtSpec over 32-byte paths:
//
//	leaf = SHA256(0x00 ‖ path ‖ SHA256(value))    inner = SHA256(0x01 ‖ left ‖ right)    empty = 32 zero bytes
//
// and a subtree of one leaf is that leaf. The first levels are complete and lie in flat arrays; below
// them sorted buckets of a few leaves lie in an arena and are hashed anew when touched. When the tree
// grows, buckets are split in path order a few at a time, so that level depth+1 is filled from the
// left: buckets [0, split) of level depth have become 2·split buckets of the level below.
//
// A Tree is not safe for concurrent use; any number of readers may share it while nobody calls Apply.
type Tree struct {
	levels  [][]common.Hash // levels[d] has 2^d hashes; depth+1 (or +2 while splitting) of them
	lone    [][]bool        // whether the node at the same place is a single leaf
	depth   int
	split   int
	buckets []bucket // of level depth; those below split are unused
	next    []bucket // of level depth+1, nil until the first split
	arena   arena
	count   int
}

// NewTree returns the empty tree.
func NewTree() *Tree {
	t := new(Tree)
	t.reset(firstDepth)
	return t
}

func (t *Tree) reset(depth int) {
	*t = Tree{depth: depth, buckets: make([]bucket, 1<<depth)}
	for d := 0; d <= depth; d++ {
		t.addLevel()
	}
}

func (t *Tree) addLevel() {
	n := 1 << len(t.levels)
	t.levels = append(t.levels, make([]common.Hash, n))
	t.lone = append(t.lone, make([]bool, n))
}

// Root returns the root hash; that of the empty tree is zero.
func (t *Tree) Root() common.Hash { return t.levels[0][0] }

// Len returns the number of leaves.
func (t *Tree) Len() int { return t.count }

// Apply writes a batch and returns the new root. The updates MUST be sorted by path, each path at
// most once; a batch that is not breaks an invariant and panics. Deleting an absent path is nothing.
func (t *Tree) Apply(updates []Update) common.Hash {
	for i := 1; i < len(updates); i++ {
		if compare(&updates[i-1].Path, &updates[i].Path) >= 0 {
			panic("state: updates of a batch are sorted by path, each path once")
		}
	}
	if len(updates) == 0 {
		return t.Root()
	}
	t.write(updates, hashLeaves(updates))
	t.rehash(t.touched(updates))
	t.grow(splitsPerUpdate*len(updates) + 1)
	return t.Root()
}

// hashLeaves makes the leaf of each update, in parallel when there are many.
func hashLeaves(updates []Update) []leaf {
	leaves := make([]leaf, len(updates))
	work := func(from, to int) {
		for i := from; i < to; i++ {
			u := &updates[i]
			leaves[i].path, leaves[i].ref = u.Path, u.ref
			if len(u.Value) > 0 {
				leaves[i].hash = leafHash(&u.Path, u.Value)
			}
		}
	}
	if len(updates) < parallelUpdates {
		work(0, len(updates))
		return leaves
	}
	var wg sync.WaitGroup
	for q := range 4 {
		wg.Go(func() { work(len(updates)*q/4, len(updates)*(q+1)/4) })
	}
	wg.Wait()
	return leaves
}

// write puts the leaves into their buckets; hashes of the buckets stay stale.
func (t *Tree) write(updates []Update, leaves []leaf) {
	for i := range leaves {
		b := t.bucketOf(&leaves[i].path)
		if len(updates[i].Value) == 0 {
			if t.arena.remove(b, &leaves[i].path) {
				t.count--
			}
		} else if t.arena.put(b, &leaves[i]) {
			t.count++
		}
	}
}

// bucketOf returns the bucket that holds a path.
func (t *Tree) bucketOf(path *[32]byte) *bucket {
	if i := prefix(path, t.depth); i >= t.split {
		return &t.buckets[i]
	}
	return &t.next[prefix(path, t.depth+1)]
}

// place returns level and index of the bucket that holds a path.
func (t *Tree) place(path *[32]byte) (level, index int) {
	if i := prefix(path, t.depth); i >= t.split {
		return t.depth, i
	}
	return t.depth + 1, prefix(path, t.depth+1)
}

// leavesAt returns the leaves of the bucket at a place.
func (t *Tree) leavesAt(level, index int) []leaf {
	if level == t.depth {
		return t.arena.leaves(t.buckets[index])
	}
	return t.arena.leaves(t.next[index])
}

// quarter lists the touched buckets of one of the four subtrees below level 2, ascending.
type quarter struct{ upper, lower []int } // of level depth; of level depth+1

// touched lists the buckets of a sorted batch.
func (t *Tree) touched(updates []Update) *[4]quarter {
	var qs [4]quarter
	last := [2]int{-1, -1}
	for i := range updates {
		level, index := t.place(&updates[i].Path)
		if last == [2]int{level, index} {
			continue
		}
		last = [2]int{level, index}
		q := &qs[index>>(level-2)]
		if level == t.depth {
			q.upper = append(q.upper, index)
		} else {
			q.lower = append(q.lower, index)
		}
	}
	return &qs
}

// rehash recomputes the hashes of touched buckets and of everything above them.
func (t *Tree) rehash(qs *[4]quarter) {
	n := 0
	for i := range qs {
		n += len(qs[i].upper) + len(qs[i].lower)
	}
	if n < parallelUpdates {
		for i := range qs {
			t.rehashQuarter(&qs[i])
		}
	} else {
		var wg sync.WaitGroup
		for i := range qs {
			wg.Go(func() { t.rehashQuarter(&qs[i]) })
		}
		wg.Wait()
	}
	t.join(1, 0)
	t.join(1, 1)
	t.join(0, 0)
}

func (t *Tree) rehashQuarter(q *quarter) {
	for _, i := range q.lower {
		t.rehashBucket(t.depth+1, i)
	}
	for _, i := range q.upper {
		t.rehashBucket(t.depth, i)
	}
	// Split buckets lie left of all others, so the parents of lower come before upper.
	nodes := append(t.joinParents(t.depth, q.lower), q.upper...)
	for d := t.depth - 1; d >= 2; d-- {
		nodes = t.joinParents(d, nodes)
	}
}

func (t *Tree) rehashBucket(level, index int) {
	ls := t.leavesAt(level, index)
	t.levels[level][index] = subtree(ls, level)
	t.lone[level][index] = len(ls) == 1
}

// joinParents recomputes the nodes of level d that are parents of the ascending children and returns
// them; it reuses the slice.
func (t *Tree) joinParents(d int, children []int) []int {
	parents := children[:0]
	for _, c := range children {
		if p := c >> 1; len(parents) == 0 || parents[len(parents)-1] != p {
			t.join(d, p)
			parents = append(parents, p)
		}
	}
	return parents
}

func (t *Tree) join(d, i int) {
	h, lone := t.levels[d+1], t.lone[d+1]
	t.levels[d][i], t.lone[d][i] = join(&h[2*i], lone[2*i], &h[2*i+1], lone[2*i+1])
}

// join is the node above two subtrees, and whether it is a single leaf.
func join(l *common.Hash, loneL bool, r *common.Hash, loneR bool) (common.Hash, bool) {
	switch emptyL, emptyR := *l == (common.Hash{}), *r == (common.Hash{}); {
	case emptyL && emptyR:
		return common.Hash{}, false
	case emptyL && loneR:
		return *r, true
	case emptyR && loneL:
		return *l, true
	}
	return innerHash(l, r), false
}

// grow splits at most n buckets if the tree holds more leaves than bucketLeaves per bucket.
func (t *Tree) grow(n int) {
	for ; n > 0 && (1<<t.depth+t.split)*bucketLeaves < t.count && t.depth < maxDepth; n-- {
		if t.next == nil {
			t.next = make([]bucket, 2<<t.depth)
			t.addLevel()
		}
		old := t.buckets[t.split]
		a, b := halve(t.arena.leaves(old), t.depth)
		t.next[2*t.split], t.next[2*t.split+1] = t.arena.fill(a), t.arena.fill(b)
		t.arena.release(old)
		t.buckets[t.split] = bucket{}
		t.rehashBucket(t.depth+1, 2*t.split)
		t.rehashBucket(t.depth+1, 2*t.split+1)
		if t.split++; t.split == 1<<t.depth {
			t.buckets, t.next, t.depth, t.split = t.next, nil, t.depth+1, 0
		}
	}
}
