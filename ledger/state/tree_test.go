package state_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger/state"
)

// model is the definition of the tree, as plain as it can be said.
type model map[[32]byte][]byte

func (m model) root() common.Hash {
	return naive(m, slices.SortedFunc(maps.Keys(m), comparePaths), 0)
}

func comparePaths(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }

func naive(m model, paths [][32]byte, depth int) common.Hash {
	switch len(paths) {
	case 0:
		return common.Hash{}
	case 1:
		v := sha256.Sum256(m[paths[0]])
		return sha256.Sum256(slices.Concat([]byte{0}, paths[0][:], v[:]))
	}
	i, _ := slices.BinarySearchFunc(paths, 1, func(p [32]byte, _ int) int {
		return int(p[depth/8]>>(7-depth%8)&1) - 1
	})
	l, r := naive(m, paths[:i], depth+1), naive(m, paths[i:], depth+1)
	return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
}

// fold computes the root that a proof leads to.
func fold(path [32]byte, value []byte, siblings []common.Hash) common.Hash {
	v := sha256.Sum256(value)
	h := common.Hash(sha256.Sum256(slices.Concat([]byte{0}, path[:], v[:])))
	for d, s := range slices.Backward(siblings) {
		if path[d/8]>>(7-d%8)&1 == 0 {
			h = sha256.Sum256(slices.Concat([]byte{1}, h[:], s[:]))
		} else {
			h = sha256.Sum256(slices.Concat([]byte{1}, s[:], h[:]))
		}
	}
	return h
}

// batch sorts updates and drops repeated paths.
func batch(us []state.Update) []state.Update {
	slices.SortStableFunc(us, func(a, b state.Update) int { return comparePaths(a.Path, b.Path) })
	return slices.CompactFunc(us, func(a, b state.Update) bool { return a.Path == b.Path })
}

// randomBatch draws writes and deletions over a small path space with many long common prefixes.
func randomBatch(rng *rand.Rand, space, n int) []state.Update {
	us := make([]state.Update, n)
	for i := range us {
		x := rng.IntN(space)
		us[i].Path = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(x)))
		if x%7 == 0 { // clustered: only the last bits differ
			us[i].Path = [32]byte{0: byte(x % 3), 31: byte(x)}
		}
		if rng.IntN(3) > 0 {
			us[i].Value = binary.BigEndian.AppendUint64(nil, rng.Uint64())
		}
	}
	return batch(us)
}

func (m model) apply(us []state.Update) {
	for _, u := range us {
		if len(u.Value) == 0 {
			delete(m, u.Path)
		} else {
			m[u.Path] = u.Value
		}
	}
}

func TestTree_Apply_equalsNaiveTree(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		tree, m := state.NewTree(), model{}
		space := 20 << (seed % 10)
		for round := range 25 {
			us := randomBatch(rng, space, 1+rng.IntN(1+space/2))
			m.apply(us)
			if got, want := tree.Apply(us), m.root(); got != want {
				t.Fatalf("seed %d round %d: root %s, want %s", seed, round, got, want)
			}
			if tree.Len() != len(m) {
				t.Fatalf("seed %d round %d: %d leaves, want %d", seed, round, tree.Len(), len(m))
			}
		}
		for path, value := range m {
			siblings, found := tree.Prove(path)
			if !found || fold(path, value, siblings) != tree.Root() {
				t.Fatalf("seed %d: proof of %x does not lead to the root", seed, path)
			}
		}
	}
}

func TestTree_Apply_deletionRestoresRoots(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	tree, m := state.NewTree(), model{}
	first := randomBatch(rng, 500, 300)
	tree.Apply(first)
	m.apply(first)
	before := tree.Root()
	var extra, gone []state.Update
	for i := range 20_000 { // enough that the tree splits many buckets
		p := sha256.Sum256(fmt.Append(nil, "extra", i))
		extra = append(extra, state.Update{Path: p, Value: []byte{1}})
		gone = append(gone, state.Update{Path: p})
	}
	tree.Apply(batch(extra))
	if tree.Root() == before {
		t.Fatal("the root did not change")
	}
	if got := tree.Apply(batch(gone)); got != before {
		t.Errorf("root after deletion %s, want %s", got, before)
	}
	var all []state.Update
	for p := range m {
		all = append(all, state.Update{Path: p})
	}
	if got := tree.Apply(batch(all)); got != (common.Hash{}) || tree.Len() != 0 {
		t.Errorf("root of the emptied tree %s with %d leaves, want zero", got, tree.Len())
	}
}

func TestTree_Apply_panicsOnUnsortedBatch(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an unsorted batch was accepted")
		}
	}()
	p := [32]byte{1}
	state.NewTree().Apply([]state.Update{{Path: p, Value: []byte{1}}, {Path: p, Value: []byte{2}}})
}

func FuzzTree_Apply(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0x81, 2, 0x40, 9, 9, 200})
	f.Add(bytes.Repeat([]byte{0xff, 0x01}, 300))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, m := state.NewTree(), model{}
		for len(data) > 0 {
			n := min(1+int(data[0])%40, len(data))
			var us []state.Update
			for i, b := range data[:n] {
				u := state.Update{Path: sha256.Sum256([]byte{b, byte(i % 5)})}
				if b&1 == 1 {
					u.Path = [32]byte{0: b & 0xc0, 20: b}
				}
				if b&2 == 2 {
					u.Value = []byte{b, byte(n)}
				}
				us = append(us, u)
			}
			data = data[n:]
			us = batch(us)
			m.apply(us)
			if got, want := tree.Apply(us), m.root(); got != want {
				t.Fatalf("root %s, want %s", got, want)
			}
		}
		for path, value := range m {
			if s, found := tree.Prove(path); !found || fold(path, value, s) != tree.Root() {
				t.Fatalf("proof of %x does not lead to the root", path)
			}
		}
	})
}
