package invariant

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// Votes follows what every correct validator signs, over all its processes. It reports two votes of one
// validator that exclude each other, and, long before nodes disagree, certificates that could come to exist
// and exclude each other: the liars among the validators are taken to sign everything.
type Votes struct {
	committee *Committee
	signers   []signer
	views     map[uint64]*viewVotes
	blocks    map[common.Hash]link
	// Views with a possible certificate, in the order in which it became possible.
	notarized, finalized []uint64
	forgotten            uint64 // views at or below are not looked at any more
}

// signer is what one validator has signed.
type signer struct {
	notarize, finalize map[uint64]common.Hash
	nullify            map[uint64]bool
	lowNull, topFin    map[uint64]uint64 // by term
}

// viewVotes counts what correct validators signed in one view.
type viewVotes struct {
	notarize, finalize   map[common.Hash]int
	nullify              int
	notarized, finalized common.Hash // possible certificates, zero for none
	nullified            bool
}

// link is a block's place in the tree.
type link struct {
	view, parentView uint64
	parent           common.Hash
	height, timeMs   uint64
}

// NewVotes begins with an empty history.
func NewVotes(c *Committee) *Votes {
	v := &Votes{committee: c, signers: make([]signer, len(c.Addresses)), views: map[uint64]*viewVotes{}, blocks: map[common.Hash]link{}}
	for i := range v.signers {
		v.signers[i] = newSigner()
	}
	return v
}

func newSigner() signer {
	return signer{
		notarize: map[uint64]common.Hash{}, finalize: map[uint64]common.Hash{}, nullify: map[uint64]bool{},
		lowNull: map[uint64]uint64{}, topFin: map[uint64]uint64{},
	}
}

// Turned takes out of the counts what a validator signed: the committee's Liar names it from here on, and
// liars are taken to sign everything.
func (v *Votes) Turned(validator int) {
	s := &v.signers[validator]
	for view, hash := range s.notarize {
		if w := v.views[view]; w != nil {
			w.notarize[hash]--
		}
	}
	for view, hash := range s.finalize {
		if w := v.views[view]; w != nil {
			w.finalize[hash]--
		}
	}
	for view := range s.nullify {
		if w := v.views[view]; w != nil {
			w.nullify--
		}
	}
	*s = newSigner()
}

// Proposed notes a block that somebody proposed, so that ancestors can be told. One of a correct leader
// must continue its parent.
func (v *Votes) Proposed(hash common.Hash, h *consensus.Header) error {
	if h.View <= v.forgotten {
		return nil
	}
	v.blocks[hash] = link{view: h.View, parentView: h.ParentView, parent: h.ParentHash, height: h.Height, timeMs: h.TimeMs}
	parent, ok := v.blocks[h.ParentHash]
	if ok && !v.committee.Liar[v.committee.leader(h.View)] && (h.Height != parent.height+1 || h.TimeMs <= parent.timeMs) {
		return violation("proposal", "the correct leader of view %d proposes height %d at %d ms on height %d at %d ms",
			h.View, h.Height, h.TimeMs, parent.height, parent.timeMs)
	}
	return nil
}

// Signed takes a vote that left a validator. Votes of liars are ignored; repeating a vote is allowed.
func (v *Votes) Signed(vote *consensus.Vote) error {
	i := int(vote.Signer)
	if v.committee.Liar[i] || vote.View <= v.forgotten {
		return nil
	}
	fresh, err := v.consistent(i, vote)
	if err != nil || !fresh {
		return err
	}
	w := v.views[vote.View]
	if w == nil {
		w = &viewVotes{notarize: map[common.Hash]int{}, finalize: map[common.Hash]int{}}
		v.views[vote.View] = w
	}
	need := max(v.committee.quorum()-v.committee.liars(), 1)
	switch vote.Kind {
	case consensus.Notarize:
		if err := v.justified(i, vote); err != nil {
			return err
		}
		if w.notarize[vote.Hash]++; w.notarize[vote.Hash] >= need && w.notarized != vote.Hash {
			return v.canNotarize(w, vote)
		}
	case consensus.Nullify:
		if w.nullify++; w.nullify >= need && !w.nullified {
			w.nullified = true
			return v.exclusive(vote.View)
		}
	case consensus.Finalize:
		if w.finalize[vote.Hash]++; w.finalize[vote.Hash] >= need && w.finalized != vote.Hash {
			w.finalized = vote.Hash
			v.finalized = append(v.finalized, vote.View)
			if err := v.exclusive(vote.View); err != nil {
				return err
			}
			return v.everythingExtends(vote.View, vote.Hash)
		}
	}
	return nil
}

// consistent compares a vote with all earlier ones of its signer.
func (v *Votes) consistent(i int, vote *consensus.Vote) (fresh bool, err error) {
	const rule = "double vote"
	s, view := &v.signers[i], vote.View
	group := v.committee.group(view)
	switch vote.Kind {
	case consensus.Notarize:
		if old, ok := s.notarize[view]; ok {
			if old != vote.Hash {
				return false, violation(rule, "validator %d notarized two blocks in view %d", i, view)
			}
			return false, nil
		}
		s.notarize[view] = vote.Hash
	case consensus.Finalize:
		if old, ok := s.finalize[view]; ok {
			if old != vote.Hash {
				return false, violation(rule, "validator %d finalized two blocks in view %d", i, view)
			}
			return false, nil
		}
		if low, ok := s.lowNull[group]; ok && low <= view {
			return false, violation(rule, "validator %d finalized view %d after nullifying view %d of the term", i, view, low)
		}
		s.finalize[view] = vote.Hash
		s.topFin[group] = max(s.topFin[group], view)
	case consensus.Nullify:
		if s.nullify[view] {
			return false, nil
		}
		if top := s.topFin[group]; top >= view {
			return false, violation(rule, "validator %d nullified view %d after finalizing view %d of the term", i, view, top)
		}
		s.nullify[view] = true
		if low, ok := s.lowNull[group]; !ok || view < low {
			s.lowNull[group] = view
		}
	default:
		return false, violation(rule, "validator %d signed the unknown kind %d", i, vote.Kind)
	}
	return true, nil
}

// justified checks that a NOTARIZE of a correct validator stands on certificates that can exist: at a term's
// start a notarized parent and nullifications for every view skipped, within a term its own vote for the
// parent or a notarization of it.
func (v *Votes) justified(i int, vote *consensus.Vote) error {
	b, ok := v.blocks[vote.Hash]
	if !ok || b.view != vote.View {
		return nil
	}
	const rule = "unjustified vote"
	start := v.committee.group(b.view)*v.committee.Term + 1
	switch {
	case b.parentView <= v.forgotten:
	case v.supported(b.parentView, b.parent):
	case b.view == start:
		return violation(rule, "validator %d notarized view %d on a block of view %d that nothing proves", i, b.view, b.parentView)
	case v.signers[i].notarize[b.parentView] != b.parent:
		return violation(rule, "validator %d notarized view %d on a block of view %d that it did not vote for and nothing proves", i, b.view, b.parentView)
	}
	if b.view != start {
		if b.parentView != b.view-1 {
			return violation(rule, "validator %d notarized view %d within a term on a block of view %d", i, b.view, b.parentView)
		}
		return nil
	}
	for x := max(b.parentView, v.forgotten) + 1; x < b.view; x++ {
		if !v.skipped(x) {
			return violation(rule, "validator %d notarized view %d on view %d, and nothing covers view %d", i, b.view, b.parentView, x)
		}
	}
	return nil
}

// supported reports whether a block can be notarized, directly or because one that descends from it within
// its term can.
func (v *Votes) supported(view uint64, block common.Hash) bool {
	if view == 0 {
		return true
	}
	end := (v.committee.group(view) + 1) * v.committee.Term
	for u := view; u <= end; u++ {
		w := v.views[u]
		if w == nil || w.notarized == (common.Hash{}) {
			continue
		}
		at, atView := w.notarized, u
		for atView > view {
			b, ok := v.blocks[at]
			if !ok || b.parentView >= atView {
				break
			}
			at, atView = b.parent, b.parentView
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

// canNotarize is L1, and the theorem for the highest possible finalization at or below the view.
func (v *Votes) canNotarize(w *viewVotes, vote *consensus.Vote) error {
	if w.notarized != (common.Hash{}) {
		return violation("two notarizations", "two blocks of view %d can be notarized", vote.View)
	}
	w.notarized = vote.Hash
	v.notarized = append(v.notarized, vote.View)
	top := uint64(0)
	for _, u := range v.finalized {
		if u <= vote.View && u > top {
			top = u
		}
	}
	if top == 0 {
		return nil
	}
	return v.extends(vote.View, vote.Hash, top, v.views[top].finalized)
}

// exclusive is L3 for the term of a view: no possible finalization at or above a possible nullification.
func (v *Votes) exclusive(view uint64) error {
	first := v.committee.group(view)*v.committee.Term + 1
	low := uint64(0)
	for u := first; u < first+v.committee.Term; u++ {
		w := v.views[u]
		if w == nil {
			continue
		}
		if w.nullified && low == 0 {
			low = u
		}
		if low != 0 && w.finalized != (common.Hash{}) {
			return violation("skipped final block", "view %d can be nullified and view %d of the same term can be final", low, u)
		}
	}
	return nil
}

// everythingExtends is the theorem for a new possible finalization.
func (v *Votes) everythingExtends(view uint64, hash common.Hash) error {
	for _, u := range v.notarized {
		if u >= view {
			if err := v.extends(u, v.views[u].notarized, view, hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// extends reports a block of view w that does not descend from the final block of a view below it. Blocks
// that nobody has shown yet end the search without a verdict.
func (v *Votes) extends(w uint64, block common.Hash, view uint64, final common.Hash) error {
	at, atView := block, w
	for atView > view {
		b, ok := v.blocks[at]
		if !ok {
			return nil
		}
		if b.parentView >= atView {
			return violation("fork", "the block of view %d can be notarized and names a parent in view %d", atView, b.parentView)
		}
		at, atView = b.parent, b.parentView
	}
	if at != final {
		return violation("fork", "view %d can be final and the block of view %d can be notarized without extending it", view, w)
	}
	return nil
}

// Forget drops what lies at or below a view, which every validator must have left for good.
func (v *Votes) Forget(view uint64) {
	if view <= v.forgotten {
		return
	}
	v.forgotten = view
	group := v.committee.group(view + 1)
	for u := range v.views {
		if u <= view {
			delete(v.views, u)
		}
	}
	for h, b := range v.blocks {
		if b.view <= view {
			delete(v.blocks, h)
		}
	}
	for i := range v.signers {
		v.signers[i].forget(view, group)
	}
	v.notarized, v.finalized = above(v.notarized, view), above(v.finalized, view)
}

func (s *signer) forget(view, group uint64) {
	for u := range s.notarize {
		if u <= view {
			delete(s.notarize, u)
		}
	}
	for u := range s.finalize {
		if u <= view {
			delete(s.finalize, u)
		}
	}
	for u := range s.nullify {
		if u <= view {
			delete(s.nullify, u)
		}
	}
	for g := range s.lowNull {
		if g < group {
			delete(s.lowNull, g)
		}
	}
	for g := range s.topFin {
		if g < group {
			delete(s.topFin, g)
		}
	}
}

func above(views []uint64, view uint64) []uint64 {
	kept := views[:0]
	for _, u := range views {
		if u > view {
			kept = append(kept, u)
		}
	}
	return kept
}
