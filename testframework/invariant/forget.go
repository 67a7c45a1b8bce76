package invariant

import "slices"

// Forget drops what lies at or below a view, which every validator must have left for good: votes there are
// not looked at any more. What is above still has to extend the highest possible finalization below.
func (v *Votes) Forget(view uint64) {
	if view <= v.forgotten {
		return
	}
	v.forgotten = view
	keep := func(u uint64) bool { return u > view }
	at, found := slices.BinarySearch(v.finalized, view)
	if found {
		at++
	}
	if at > 0 {
		top := v.finalized[at-1]
		v.base = link{view: top, hash: v.views[top].finalized}
	}
	drop(v.views, keep)
	for h, b := range v.tree {
		if b.view <= v.base.view { // What is above the base leads down to it.
			delete(v.tree, h)
		}
	}
	for c := range v.certified {
		if c.view <= view {
			delete(v.certified, c)
		}
	}
	// The term of the next view still binds: nullifications below and finalizations above exclude each other.
	group := v.committee.group(view + 1)
	keepTerm := func(g uint64) bool { return g >= group }
	for i := range v.signers {
		s := &v.signers[i]
		drop(s.notarize, keep)
		drop(s.finalize, keep)
		drop(s.nullify, keep)
		drop(s.lowNull, keepTerm)
		drop(s.topFin, keepTerm)
	}
	v.notarized, v.finalized = above(v.notarized, view), above(v.finalized, view)
}

func drop[V any](m map[uint64]V, keep func(uint64) bool) {
	for u := range m {
		if !keep(u) {
			delete(m, u)
		}
	}
}

// above cuts off the part of ascending views that is at or below a view.
func above(views []uint64, view uint64) []uint64 {
	at, _ := slices.BinarySearch(views, view+1)
	return slices.Clone(views[at:])
}
