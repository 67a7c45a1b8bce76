package state_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
)

var update = flag.Bool("update", false, "write the golden files")

// history is a state with what it must answer at every height.
type history struct {
	state *state.State
	pairs []map[string][]byte // raw key → value, by height
	roots []common.Hash
}

// step applies random changes over a few dozen accounts, slots, activations and system keys.
func (h *history) step(t testing.TB, rng *rand.Rand, n int) {
	pairs := map[string][]byte{}
	if len(h.pairs) > 0 {
		pairs = maps.Clone(h.pairs[len(h.pairs)-1])
	}
	var cs []ledger.Change
	for range n {
		key := ledger.AccountKey(benchAddress(rng.IntN(60)))
		value := ledger.EncodeAccount(ledger.Account{Nonce: rng.Uint64N(3)})
		switch rng.IntN(10) {
		case 0:
			key, value = ledger.SystemKey(fmt.Sprint("k", rng.IntN(8))), bytes.Repeat([]byte{1}, rng.IntN(3))
		case 1:
			value = ledger.EncodeAccount(ledger.Account{CodeHash: common.Hash{31: byte(rng.IntN(4))}})
		case 2, 3, 4:
			key, value = storageKey(rng.IntN(50)), common.Hash{byte(rng.IntN(3)), 31: 1}.Bytes()
			if value[0] == 0 {
				value = nil
			}
		case 5:
			key, value = ledger.CodeKey(common.Hash{byte(rng.IntN(3))}), ledger.EncodeActivation(ledger.Activation{
				Version: uint16(1 + rng.IntN(3)), ModuleBytes: 7,
			})
		}
		if len(value) == 0 {
			value = nil
		}
		cs = append(cs, ledger.Change{Path: ledger.Path(key), Key: key, Value: value})
	}
	cs = sorted(cs)
	for _, c := range cs {
		if c.Value == nil {
			delete(pairs, string(c.Key))
		} else {
			pairs[string(c.Key)] = c.Value
		}
	}
	root, err := h.state.Apply(uint64(len(h.pairs)), cs)
	if err != nil {
		t.Fatal(err)
	}
	h.pairs, h.roots = append(h.pairs, pairs), append(h.roots, root)
}

func (h *history) check(t *testing.T, height uint64, keys [][]byte) {
	t.Helper()
	m := model{}
	for k, v := range h.pairs[height] {
		m[ledger.Path([]byte(k))] = v
	}
	root := h.roots[height]
	if want := m.root(); root != want {
		t.Fatalf("root at %d is %s, want %s", height, root, want)
	}
	for _, key := range keys {
		want := h.pairs[height][string(key)]
		p, err := h.state.Prove(height, key)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Value(); !bytes.Equal(got, want) {
			t.Fatalf("value of %q at %d is %x, want %x", key, height, got, want)
		}
		if key[0] == 'a' {
			account, err := h.state.AccountAt(height, common.Address(key[1:]))
			if got := ledger.EncodeAccount(account); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("account %x at %d is %x, %v; want %x", key[1:], height, got, err, want)
			}
		}
		if addr, slot, ok := ledger.ParseStorageKey(key); ok {
			value, err := h.state.StorageAt(height, addr, slot)
			if err != nil || value != common.BytesToHash(want) {
				t.Fatalf("slot %s of %s at %d is %s, %v; want %x", slot, addr, height, value, err, want)
			}
		}
		if got, err := h.state.ValueAt(height, key); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("value of %q at %d reads as %x, %v; want %x", key, height, got, err, want)
		}
		if err := p.Verify(root, key, want); err != nil {
			t.Fatalf("proof of %q at %d: %v", key, height, err)
		}
		wrong := []byte("other")
		if want != nil {
			wrong = nil
		}
		if err := p.Verify(root, key, wrong); !errors.Is(err, state.ErrProof) {
			t.Fatalf("proof of %q at %d shows two things: %v", key, height, err)
		}
	}
}

func allKeys() [][]byte {
	var keys [][]byte
	for i := range 63 {
		keys = append(keys, ledger.AccountKey(benchAddress(i)))
	}
	for i := range 9 {
		keys = append(keys, ledger.SystemKey(fmt.Sprint("k", i)))
	}
	for i := range 52 {
		keys = append(keys, storageKey(i))
	}
	for i := range byte(4) {
		keys = append(keys, ledger.CodeKey(common.Hash{i}))
	}
	return keys
}

// storageKey names slots of a few contracts, some of them with the number of another's.
func storageKey(i int) []byte {
	return ledger.StorageKey(common.Address{0xc0, byte(i % 5)}, common.Hash{31: byte(i / 3)})
}

func TestState_answersAtEveryKeptHeight(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	h := &history{state: state.New()}
	for range 40 {
		h.step(t, rng, 1+rng.IntN(50))
	}
	for height := range uint64(40) {
		h.check(t, height, allKeys())
	}
	for range state.UndoBlocks {
		h.step(t, rng, 5)
	}
	oldest := h.state.Oldest()
	if want := uint64(40 - 1); oldest != want {
		t.Errorf("oldest height %d, want %d", oldest, want)
	}
	newest := h.state.Height()
	for _, height := range []uint64{oldest, oldest + 1, oldest + 100, newest} {
		h.check(t, height, allKeys()[50:])
	}
	for _, key := range allKeys() {
		want := h.pairs[newest][string(key)]
		if got := h.state.Value(key); !bytes.Equal(got, want) {
			t.Errorf("value of %q is %x, want %x", key, got, want)
		}
		if addr, slot, ok := ledger.ParseStorageKey(key); ok && h.state.Storage(addr, slot) != common.BytesToHash(want) {
			t.Errorf("slot %s of %s is %s, want %x", slot, addr, h.state.Storage(addr, slot), want)
		}
	}
	if _, err := h.state.AccountAt(oldest-1, common.Address{}); !errors.Is(err, state.ErrPruned) {
		t.Errorf("reading below the oldest height: %v", err)
	}
	if _, err := h.state.StorageAt(oldest-1, common.Address{}, common.Hash{}); !errors.Is(err, state.ErrPruned) {
		t.Errorf("reading a slot below the oldest height: %v", err)
	}
	if _, err := h.state.ValueAt(newest+1, []byte("x")); !errors.Is(err, state.ErrFuture) {
		t.Errorf("reading a value above the newest height: %v", err)
	}
	if _, err := h.state.Prove(h.state.Height()+1, []byte("x")); !errors.Is(err, state.ErrFuture) {
		t.Errorf("proving above the newest height: %v", err)
	}
}

func TestState_Load_equalsApplying(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	h := &history{state: state.New()}
	for range 9 {
		h.step(t, rng, 60)
	}
	cs := benchChanges(20_000)
	if _, err := h.state.Apply(9, cs); err != nil {
		t.Fatal(err)
	}
	for k, v := range h.pairs[8] {
		cs = append([]ledger.Change{{Path: ledger.Path([]byte(k)), Key: []byte(k), Value: v}}, cs...)
	}
	for i := range cs { // what Apply(9) wrote wins
		for _, c := range benchChanges(60) {
			if c.Path == cs[i].Path {
				cs[i].Value = c.Value
			}
		}
	}
	other := state.New()
	root, err := other.Load(reader(sorted(cs)), 9)
	if err != nil || root != h.state.Root() || other.Height() != 9 || other.Len() != h.state.Len() {
		t.Fatalf("loaded root %s at %d with %d keys, %v; want %s with %d", root, other.Height(), other.Len(), err, h.state.Root(), h.state.Len())
	}
	more := benchChanges(30_000)[:999]
	a, err1 := h.state.Apply(10, more)
	b, err2 := other.Apply(10, more)
	if a != b || err1 != nil || err2 != nil {
		t.Errorf("after the next block the roots are %s, %v and %s, %v", a, err1, b, err2)
	}
	if _, err := other.AccountAt(8, common.Address{}); !errors.Is(err, state.ErrPruned) {
		t.Errorf("reading below the loaded height: %v", err)
	}
}

func TestState_invalidChangesAreRefused(t *testing.T) {
	good := sorted([]ledger.Change{accountChange(benchAddress(1), 1, 1), accountChange(benchAddress(2), 1, 1)})
	short := accountChange(benchAddress(1), 1, 1)
	short.Value = short.Value[:39]
	other := func(key, value []byte) []ledger.Change {
		return []ledger.Change{{Path: ledger.Path(key), Key: key, Value: value}}
	}
	slot := ledger.StorageKey(common.Address{1}, common.Hash{1})
	for _, tc := range []struct {
		name   string
		height uint64
		cs     []ledger.Change
	}{
		{"height skipped", 2, good},
		{"height again", 0, good},
		{"unsorted", 1, []ledger.Change{good[1], good[0]}},
		{"twice", 1, []ledger.Change{good[0], good[0]}},
		{"short account", 1, []ledger.Change{short}},
		{"no key", 1, []ledger.Change{{Value: []byte{1}}}},
		{"short slot", 1, other(slot, make([]byte, 31))},
		{"slot of zero", 1, other(slot, make([]byte, 32))},
		{"no activation", 1, other(ledger.CodeKey(common.Hash{1}), []byte{1})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := state.New()
			root, err := s.Apply(0, good)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(tc.height, tc.cs); !errors.Is(err, state.ErrInvalidChange) {
				t.Errorf("error %v, want %v", err, state.ErrInvalidChange)
			}
			if s.Root() != root || s.Height() != 0 {
				t.Error("the state changed")
			}
			bad := state.New()
			if tc.height == 1 && tc.name != "short account" {
				if _, err := bad.Load(reader(tc.cs), 1); !errors.Is(err, state.ErrInvalidChange) {
					t.Errorf("loading: error %v, want %v", err, state.ErrInvalidChange)
				}
			}
		})
	}
}

// TestState_readersDuringApply is for the race detector; what readers see is checked too.
func TestState_readersDuringApply(t *testing.T) {
	s := state.New()
	const blocks, n = 60, 200
	changes := func(h uint64) []ledger.Change {
		cs := make([]ledger.Change, n)
		for i := range cs {
			cs[i] = accountChange(benchAddress(i), h+1, h+1)
		}
		return sorted(cs)
	}
	roots := make([]common.Hash, blocks)
	var mu sync.Mutex // guards roots
	apply := func(h uint64) {
		mu.Lock()
		defer mu.Unlock()
		var err error
		if roots[h], err = s.Apply(h, changes(h)); err != nil {
			t.Error(err)
		}
	}
	apply(0)
	var wg sync.WaitGroup
	for r := range 3 {
		wg.Go(func() {
			for i := 0; s.Height() < blocks-1; i++ {
				addr := benchAddress((i*7 + r) % n)
				h := s.Height() - min(s.Height(), uint64(i%4))
				acc, err := s.AccountAt(h, addr)
				if err != nil || acc.Nonce != h+1 {
					t.Errorf("nonce at %d is %d, %v", h, acc.Nonce, err)
				}
				p, err := s.Prove(h, ledger.AccountKey(addr))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				root := roots[h]
				mu.Unlock()
				if err := p.Verify(root, p.Key, ledger.EncodeAccount(acc)); err != nil {
					t.Error(err)
					return
				}
				s.Account(addr)
			}
		})
	}
	for h := uint64(1); h < blocks; h++ {
		apply(h)
	}
	wg.Wait()
}

// vector is a golden state: the keys with their values, the root, and proofs.
type vector struct {
	Name   string            `json:"name"`
	Pairs  map[string]string `json:"pairs"` // hex raw key → hex value
	Root   common.Hash       `json:"root"`
	Proofs []*state.Proof    `json:"proofs"`
}

func TestState_goldenVectors(t *testing.T) {
	var got []vector
	for _, n := range []int{0, 1, 2, 3, 8, 100} {
		s := state.New()
		cs := sorted(append(benchChanges(n), ledger.Change{
			Path: ledger.Path(ledger.SystemKey("genesis")), Key: ledger.SystemKey("genesis"), Value: []byte{7, 7},
		}))
		if n == 0 {
			cs = nil
		}
		v := vector{Name: fmt.Sprintf("%d accounts", n), Pairs: map[string]string{}}
		for _, c := range cs {
			v.Pairs[fmt.Sprintf("%x", c.Key)] = fmt.Sprintf("%x", c.Value)
		}
		var err error
		if v.Root, err = s.Apply(0, cs); err != nil {
			t.Fatal(err)
		}
		for _, key := range [][]byte{ledger.AccountKey(benchAddress(0)), ledger.AccountKey(benchAddress(1_000_000)), ledger.SystemKey("genesis")} {
			p, err := s.Prove(0, key)
			if err != nil {
				t.Fatal(err)
			}
			v.Proofs = append(v.Proofs, p)
		}
		got = append(got, v)
	}
	out, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/vectors.json"
	if *update {
		if err := os.WriteFile(golden, append(out, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(want), out) {
		t.Error("roots or proofs differ from testdata/vectors.json; changing them is a fork")
	}
}

func TestProof_Verify_refusesForgeries(t *testing.T) {
	s := state.New()
	cs := benchChanges(64)
	root, err := s.Apply(0, cs)
	if err != nil {
		t.Fatal(err)
	}
	absent := ledger.AccountKey(benchAddress(1000))
	prove := func(key []byte) *state.Proof {
		p, err := s.Prove(0, key)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	member, non := prove(cs[5].Key), prove(absent)
	if err := non.Verify(root, absent, nil); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		proof *state.Proof
		key   []byte
		value []byte
	}{
		{"empty proof", &state.Proof{}, absent, nil},
		{"left only", &state.Proof{Left: non.Left}, absent, nil},
		{"right only", &state.Proof{Right: non.Right}, absent, nil},
		{"swapped", &state.Proof{Left: non.Right, Right: non.Left}, absent, nil},
		{"neighbours around a member", &state.Proof{Left: prove(cs[4].Key).Member, Right: prove(cs[6].Key).Member}, cs[5].Key, nil},
		{"same neighbour twice", &state.Proof{Left: non.Left, Right: non.Left}, absent, nil},
		{"member for another key", member, cs[6].Key, cs[6].Value},
		{"one sibling less", &state.Proof{Member: &state.Opening{Key: cs[5].Key, Value: cs[5].Value, Siblings: member.Member.Siblings[1:]}}, cs[5].Key, cs[5].Value},
		{"endless", &state.Proof{Member: &state.Opening{Key: cs[5].Key, Value: cs[5].Value, Siblings: slices.Repeat(member.Member.Siblings, 300)}}, cs[5].Key, cs[5].Value},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.proof.Verify(root, tc.key, tc.value); !errors.Is(err, state.ErrProof) {
				t.Errorf("error %v, want %v", err, state.ErrProof)
			}
		})
	}
}
