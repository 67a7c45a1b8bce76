package invariant_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

// oracle knows a whole history of votes and judges it by the definitions, without any bookkeeping.
type oracle struct {
	n, quorum int
	term      uint64
	liar      []bool
	blocks    map[common.Hash]*consensus.Header
	votes     []*consensus.Vote
}

// supported counts who signed a vote, liars included.
func (o *oracle) supported(kind consensus.Kind, view uint64, hash common.Hash) bool {
	signers := map[uint16]bool{}
	for i, liar := range o.liar {
		if liar {
			signers[uint16(i)] = true
		}
	}
	cast := 0
	for _, v := range o.votes {
		if v.Kind == kind && v.View == view && v.Hash == hash {
			signers[v.Signer] = true
			cast++
		}
	}
	return cast > 0 && len(signers) >= o.quorum
}

func (o *oracle) group(view uint64) uint64 { return (view - 1) / o.term }

// bad reports whether the history breaks a promise.
func (o *oracle) bad() bool {
	for i, a := range o.votes {
		for _, b := range o.votes[:i] {
			if o.excludes(a, b) {
				return true
			}
		}
		if a.Kind == finalize && !o.proven(i, a) || a.Kind == notarize && !o.justified(i, a) {
			return true
		}
	}
	for _, a := range o.votes {
		for _, b := range o.votes {
			if o.supported(a.Kind, a.View, a.Hash) && o.supported(b.Kind, b.View, b.Hash) && o.forks(a, b) {
				return true
			}
		}
	}
	return false
}

// excludes reports two votes of one validator of which it may cast one.
func (o *oracle) excludes(a, b *consensus.Vote) bool {
	if a.Signer != b.Signer {
		return false
	}
	if a.Kind == b.Kind {
		return a.View == b.View && a.Hash != b.Hash
	}
	if a.Kind == finalize {
		a, b = b, a
	}
	return a.Kind == nullify && b.Kind == finalize && o.group(a.View) == o.group(b.View) && a.View <= b.View
}

// proven reports whether the FINALIZE at a place had a notarization before it.
func (o *oracle) proven(at int, f *consensus.Vote) bool {
	before := oracle{n: o.n, quorum: o.quorum, liar: o.liar, votes: o.votes[:at:at]}
	return before.supported(notarize, f.View, f.Hash)
}

// justified reports whether the NOTARIZE at a place stood on what could be proven before it.
func (o *oracle) justified(at int, v *consensus.Vote) bool {
	before := oracle{n: o.n, quorum: o.quorum, term: o.term, liar: o.liar, blocks: o.blocks, votes: o.votes[:at:at]}
	h := o.blocks[v.Hash]
	first := (h.View-1)%o.term == 0
	own, proven := false, h.ParentView == 0
	for _, w := range before.votes {
		own = own || w.Signer == v.Signer && w.Kind == notarize && w.Hash == h.ParentHash
		if w.Kind == notarize && h.ParentView > 0 && o.group(w.View) == o.group(h.ParentView) && before.supported(notarize, w.View, w.Hash) && o.descends(w.Hash, h.ParentHash) {
			proven = true
		}
	}
	if !first {
		return (own || proven) && h.ParentView == h.View-1
	}
	for x := h.ParentView + 1; x < h.View; x++ {
		covered := false
		for u := uint64(1); u <= x; u++ {
			covered = covered || o.group(u) == o.group(x) && before.supported(nullify, u, common.Hash{})
		}
		proven = proven && covered
	}
	return proven
}

func (o *oracle) descends(block, ancestor common.Hash) bool {
	for h := o.blocks[block]; h != nil && block != ancestor; h = o.blocks[block] {
		block = h.ParentHash
	}
	return block == ancestor
}

// implied is the own NOTARIZE without which the signer of a FINALIZE has not seen a notarization, if it can
// have cast one.
func (o *oracle) implied(f *consensus.Vote) *consensus.Vote {
	own := vote(int(f.Signer), notarize, f.View, f.Hash)
	with := oracle{n: o.n, quorum: o.quorum, liar: o.liar, votes: append(slices.Clip(o.votes), own)}
	for _, v := range o.votes {
		if v.Signer == f.Signer && v.Kind == notarize && v.View == f.View {
			return nil
		}
	}
	if f.Kind != finalize || o.proven(len(o.votes), f) || !with.supported(notarize, f.View, f.Hash) {
		return nil
	}
	return own
}

// forks reports two certificates that must not both exist.
func (o *oracle) forks(a, b *consensus.Vote) bool {
	switch {
	case a.Kind == notarize && b.Kind == notarize, a.Kind == finalize && b.Kind == finalize:
		if a.View == b.View && a.Hash != b.Hash {
			return true
		}
	case a.Kind == nullify && b.Kind == finalize:
		return o.group(a.View) == o.group(b.View) && a.View <= b.View
	}
	if a.Kind != finalize || b.Kind == nullify || b.View < a.View {
		return false
	}
	return !o.descends(b.Hash, a.Hash)
}

// randomHistory casts votes that are mostly sensible until one breaks a promise, by the checker or the oracle.
func randomHistory(t *testing.T, seed uint64) (violated bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	n := 4 + rng.IntN(2)
	var liars []int
	for i := range rng.IntN(3) {
		liars = append(liars, n-1-i)
	}
	l := newLab(n, 1+rng.Uint64N(3), liars...)
	o := &oracle{n: n, quorum: (n + (n-1)/3 + 2) / 2, term: l.law.Term, liar: l.law.Liar, blocks: map[common.Hash]*consensus.Header{}}
	heads := []*consensus.Header{root()}
	var blocks []*consensus.Header
	for view := uint64(1); view <= 4; view++ {
		for twin := range 1 + rng.IntN(2) {
			parent := heads[max(0, len(heads)-1-rng.IntN(3))]
			if parent.View >= view {
				parent = root()
			}
			if before := heads[len(heads)-1]; (view-1)%l.law.Term != 0 && rng.IntN(8) > 0 && before.View == view-1 {
				parent = before // Within a term most other parents are refused.
			}
			h := l.propose(view, parent, fmt.Sprint(view, twin))
			o.blocks[h.Hash()] = h
			heads, blocks = append(heads, h), append(blocks, h)
		}
	}
	for range 60 {
		h := blocks[rng.IntN(len(blocks))]
		kind := []consensus.Kind{notarize, notarize, notarize, finalize, finalize, nullify}[rng.IntN(6)]
		v := vote(rng.IntN(n), kind, h.View, h.Hash())
		if kind == nullify {
			v = vote(int(v.Signer), kind, h.View, common.Hash{})
		}
		if careful := rng.IntN(20) > 0; careful && o.spoils(v) {
			continue // Otherwise nearly all histories end with two votes of one validator.
		}
		if !l.law.Liar[v.Signer] {
			if own := o.implied(v); own != nil {
				o.votes = append(o.votes, own)
			}
			o.votes = append(o.votes, v)
		}
		err, bad := l.votes.Signed(v), o.bad()
		if (err != nil) != bad {
			t.Fatalf("seed %d: the checker says %v, by the definitions it is %v, after %d votes of %d validators with liars %v in terms of %d", seed, err, bad, len(o.votes), n, liars, l.law.Term)
		}
		if bad {
			return true
		}
	}
	return false
}

// spoils reports a vote that its signer must not cast.
func (o *oracle) spoils(v *consensus.Vote) bool {
	for _, w := range o.votes {
		if o.excludes(v, w) {
			return true
		}
	}
	return v.Kind == finalize && !o.proven(len(o.votes), v) && o.implied(v) == nil ||
		v.Kind == notarize && !o.justified(len(o.votes), v)
}

// TestVotes_agreesWithTheDefinitions compares the checker, which counts as it goes, with an oracle that looks
// at every pair of votes and certificates of the whole history after each vote.
func TestVotes_agreesWithTheDefinitions(t *testing.T) {
	violated := 0
	const histories = 1000
	for seed := range uint64(histories) {
		if randomHistory(t, seed) {
			violated++
		}
	}
	if violated < histories/10 || violated > histories*9/10 {
		t.Errorf("%d of %d histories break a promise: the test sees too little of one kind", violated, histories)
	}
}

// TestVotes_Forget_keepsTheVerdict forgets now and then what every validator has left, on a long chain.
func TestVotes_Forget_keepsTheVerdict(t *testing.T) {
	l := newLab(4, 4)
	parent := root()
	for view := uint64(1); view <= 400; view++ {
		if view%16 > 12 || view%16 == 0 { // the end of a term is given up
			if err := l.cast(nullify, nullified(view), 0, 1, 2); err != nil {
				t.Fatal(err)
			}
			continue
		}
		parent = l.propose(view, parent, fmt.Sprint(view))
		if err := l.settle(parent, 0, 1, 2); err != nil {
			t.Fatal(err)
		}
		if view%10 == 0 && view > 20 {
			l.votes.Forget(view - 20)
		}
	}
	l.votes.Forget(400)
	breaks(t, l.cast(notarize, l.propose(401, root(), "fork"), 0, 1, 2), invariant.RuleFork)
}

func BenchmarkVotes_Signed(b *testing.B) {
	l := newLab(4, 16)
	parent := root()
	view := uint64(0)
	var votes []*consensus.Vote
	for b.Loop() {
		b.StopTimer()
		view++
		parent = l.propose(view, parent, "a")
		votes = votes[:0]
		for i := range 4 {
			votes = append(votes, vote(i, notarize, view, parent.Hash()), vote(i, finalize, view, parent.Hash()))
		}
		b.StartTimer()
		for _, kind := range []consensus.Kind{notarize, finalize} {
			for _, v := range votes {
				if v.Kind != kind {
					continue
				}
				if err := l.votes.Signed(v); err != nil {
					b.Fatal(err)
				}
			}
		}
		if view%1024 == 0 {
			l.votes.Forget(view - 64)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(8*b.N), "ns/vote")
}
