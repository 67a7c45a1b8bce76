package invariant

import "github.com/ethereum/go-ethereum/common"

// justified checks that a NOTARIZE of a correct validator stands on certificates that can exist: at a term's
// start a notarized parent and nullifications for every view skipped, within a term its own vote for the
// parent or a notarization of it. Somebody must have shown the block.
func (v *Votes) justified(i int, vote sentVote) error {
	b, ok := v.tree[vote.hash]
	if !ok || b.view != vote.view || b.parentView >= b.view {
		return violation(RuleUnknownBlock, "validator %d notarized block %.8x in view %d, which nobody proposed there", i, vote.hash, vote.view)
	}
	start := v.committee.group(b.view)*v.committee.Term + 1
	switch {
	case b.parentView > 0 && b.parentView <= v.forgotten:
	case v.supported(b.parentView, b.hash):
	case b.view == start:
		return violation(RuleUnjustified, "validator %d notarized view %d on a block of view %d that nothing proves", i, b.view, b.parentView)
	case v.signers[i].notarize[b.parentView] != b.hash:
		return violation(RuleUnjustified, "validator %d notarized view %d on a block of view %d that it did not vote for and nothing proves", i, b.view, b.parentView)
	}
	if b.view != start {
		if b.parentView != b.view-1 {
			return violation(RuleUnjustified, "validator %d notarized view %d within a term on a block of view %d", i, b.view, b.parentView)
		}
		return nil
	}
	for x := max(b.parentView, v.forgotten) + 1; x < b.view; x++ {
		if !v.skipped(x) {
			return violation(RuleUnjustified, "validator %d notarized view %d on view %d, and nothing covers view %d", i, b.view, b.parentView, x)
		}
	}
	return nil
}

// supported reports whether a block can be notarized, directly or because one that descends from it within
// its term can. Below every block of view 1 is the genesis.
func (v *Votes) supported(view uint64, block common.Hash) bool {
	if view == 0 {
		return block == v.committee.Network
	}
	end := (v.committee.group(view) + 1) * v.committee.Term
	for u := view; u <= end; u++ {
		w := v.views[u]
		if w == nil || w.notarized == (common.Hash{}) {
			continue
		}
		at, atView := w.notarized, u
		for atView > view {
			b, ok := v.tree[at]
			if !ok || b.parentView >= atView {
				break
			}
			at, atView = b.hash, b.parentView
		}
		if at == block {
			return true
		}
	}
	return false
}

// skipped reports whether a nullification that covers a view can exist.
func (v *Votes) skipped(view uint64) bool {
	for u := max(v.committee.group(view)*v.committee.Term, v.forgotten) + 1; u <= view; u++ {
		if w := v.views[u]; w != nil && w.nullified {
			return true
		}
	}
	return v.committee.group(view)*v.committee.Term < v.forgotten // One that was forgotten may have.
}
