package state_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
)

// TestState_Rewind goes back and on again, many times, and compares with a state that never went further.
func TestState_Rewind(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	h := &history{state: state.New()}
	h.step(t, rng, 60)
	for range 60 {
		for range 1 + rng.IntN(12) {
			h.step(t, rng, 1+rng.IntN(20))
		}
		oldest, tip := h.state.Oldest(), h.state.Height()
		height := tip - rng.Uint64N(min(tip-oldest, 20)+1)
		changes, err := h.state.Rewind(height)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(changes, func(a, b ledger.Change) int { return slices.Compare(a.Path[:], b.Path[:]) }) {
			t.Fatal("the changes are not sorted")
		}
		h.pairs, h.roots = h.pairs[:height+1], h.roots[:height+1]
		if h.state.Height() != height || h.state.Root() != h.roots[height] || h.state.Oldest() != oldest || h.state.Len() != len(h.pairs[height]) {
			t.Fatalf("back from %d to %d: height %d, root %s, want %s", tip, height, h.state.Height(), h.state.Root(), h.roots[height])
		}
		h.check(t, height, allKeys())
		h.check(t, oldest, allKeys()[:9])
	}
}

func TestState_Rewind_onlyWhereItCanBeRead(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 5))
	h := &history{state: state.New()}
	for range state.UndoBlocks + 10 {
		h.step(t, rng, 3)
	}
	tip, root := h.state.Height(), h.state.Root()
	if _, err := h.state.Rewind(h.state.Oldest() - 1); !errors.Is(err, state.ErrPruned) {
		t.Errorf("too far: %v", err)
	}
	if _, err := h.state.Rewind(tip + 1); !errors.Is(err, state.ErrFuture) {
		t.Errorf("forward: %v", err)
	}
	if h.state.Height() != tip || h.state.Root() != root {
		t.Error("a refusal changed the state")
	}
	if _, err := h.state.Rewind(h.state.Oldest()); err != nil || h.state.Height() != h.state.Oldest() {
		t.Errorf("as far as possible: %v", err)
	}
}

func TestState_Adopt(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	one, other := &history{state: state.New()}, &history{state: state.New()}
	for range 5 {
		one.step(t, rng, 9)
	}
	for range 3 {
		other.step(t, rng, 9)
	}
	one.state.Adopt(other.state)
	other.state = one.state
	other.check(t, 2, allKeys())
	other.step(t, rng, 9)
	other.check(t, 3, allKeys())
}
