package invariant

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// Votes follows what every correct validator signs, over all its processes. It reports two votes of one
// validator that exclude each other, and, long before nodes disagree, certificates that could come to exist
// and exclude each other: the liars among the validators are taken to sign everything. With more than f of
// them two such certificates need no mistake of a correct validator, and are reported all the same.
//
// Who turns out to be a liar later is reported with [Votes.Turned].
type Votes struct {
	committee *Committee
	need      int // votes of correct validators with which a certificate is possible, at least 1; see enough
	signers   []signer
	views     map[uint64]*viewVotes
	tree      tree
	// certified has the signers of certificates that were seen, so that they are looked at once.
	certified map[sentVote]string
	// Views with a possible certificate, ascending.
	notarized, finalized []uint64
	forgotten            uint64 // views at or below are not looked at any more
	// base is the highest possible finalization at or below forgotten, zero for none.
	base link
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

// sentVote is what a vote says, whoever signs it.
type sentVote struct {
	kind consensus.Kind
	view uint64
	hash common.Hash
}

func newSigner() signer {
	return signer{
		notarize: map[uint64]common.Hash{}, finalize: map[uint64]common.Hash{}, nullify: map[uint64]bool{},
		lowNull: map[uint64]uint64{}, topFin: map[uint64]uint64{},
	}
}

// NewVotes begins with an empty history.
func NewVotes(c *Committee) *Votes {
	v := &Votes{
		committee: c, need: c.enough(), signers: make([]signer, len(c.Addresses)),
		views: map[uint64]*viewVotes{}, tree: tree{}, certified: map[sentVote]string{},
	}
	for i := range v.signers {
		v.signers[i] = newSigner()
	}
	return v
}

// Proposed notes a block that somebody showed, so that ancestors can be told; votes for it come later. One of
// a correct leader must continue its parent.
func (v *Votes) Proposed(hash common.Hash, h *consensus.Header) error {
	if h.View <= v.base.view {
		return nil
	}
	v.tree[hash] = link{view: h.View, hash: h.ParentHash, parentView: h.ParentView, height: h.Height, timeMs: h.TimeMs}
	parent, ok := v.tree[h.ParentHash]
	if ok && !v.committee.Liar[v.committee.leader(h.View)] && (h.Height != parent.height+1 || h.TimeMs <= parent.timeMs) {
		return violation(RuleProposal, "the correct leader of view %d proposes height %d at %d ms on height %d at %d ms",
			h.View, h.Height, h.TimeMs, parent.height, parent.timeMs)
	}
	return nil
}

// Kept takes a vote that a correct validator's journal remembers: a crash may have kept it from leaving. Its
// signature is not looked at.
func (v *Votes) Kept(validator int, kind consensus.Kind, view uint64, hash common.Hash) error {
	if v.committee.Liar[validator] {
		return nil
	}
	return v.signed(validator, sentVote{kind, view, hash}, nil)
}

// Signed takes a vote that left a validator. Votes of liars are ignored; repeating a vote is allowed.
func (v *Votes) Signed(vote *consensus.Vote) error {
	if int(vote.Signer) >= len(v.signers) {
		return violation(RuleMalformed, "%s of view %d by validator %d of %d", vote.Kind, vote.View, vote.Signer, len(v.signers))
	}
	if v.committee.Liar[vote.Signer] {
		return nil
	}
	if vote.Epoch != 0 || vote.View == 0 || vote.Kind < consensus.Notarize || vote.Kind > consensus.Finalize ||
		(vote.Kind == consensus.Nullify) != (vote.Hash == common.Hash{}) {
		return violation(RuleMalformed, "validator %d signed %s of view %d, epoch %d, for block %.8x", vote.Signer, vote.Kind, vote.View, vote.Epoch, vote.Hash)
	}
	return v.signed(int(vote.Signer), sentVote{vote.Kind, vote.View, vote.Hash}, &vote.Sig)
}

// Certified takes a certificate that a correct node showed. It must be one, and its signers cast its votes.
func (v *Votes) Certified(cert *consensus.Cert) error {
	vote := sentVote{cert.Kind, cert.View, cert.Hash}
	if v.certified[vote] == string(cert.Bitmap) {
		return nil
	}
	if err := v.committee.Certificate(cert); err != nil {
		return err
	}
	v.certified[vote] = string(cert.Bitmap)
	for i := range v.signers {
		if cert.Bitmap[i/8]>>(i%8)&1 == 0 || v.committee.Liar[i] {
			continue
		}
		if err := v.signed(i, vote, nil); err != nil {
			return err
		}
	}
	return nil
}

// signed takes a vote of a correct validator; sig is nil when it was verified already.
func (v *Votes) signed(i int, vote sentVote, sig *consensus.Signature) error {
	if vote.view <= v.forgotten {
		return nil
	}
	fresh, err := v.signers[i].consistent(v.committee, i, vote)
	if err != nil || !fresh {
		return err
	}
	if sig != nil {
		if who, err := v.committee.Recover(v.committee.digest(vote.kind, vote.view, vote.hash), sig); err != nil || who != v.committee.Addresses[i] {
			return violation(RuleSignature, "validator %d sent a %s of view %d that it did not sign: %v", i, vote.kind, vote.view, err)
		}
	}
	w := v.views[vote.view]
	if w == nil {
		w = &viewVotes{notarize: map[common.Hash]int{}, finalize: map[common.Hash]int{}}
		v.views[vote.view] = w
	}
	switch vote.kind {
	case consensus.Notarize:
		if err := v.justified(i, vote); err != nil {
			return err
		}
		w.notarize[vote.hash]++
	case consensus.Nullify:
		w.nullify++
	case consensus.Finalize:
		if err := v.proven(w, i, vote); err != nil {
			return err
		}
		w.finalize[vote.hash]++
	}
	return v.possible(w, vote)
}

// possible looks at the certificate that a vote may have made possible.
func (v *Votes) possible(w *viewVotes, vote sentVote) error {
	switch {
	case vote.kind == consensus.Notarize && w.notarize[vote.hash] >= v.need && w.notarized != vote.hash:
		return v.notarizable(w, vote)
	case vote.kind == consensus.Nullify && w.nullify >= v.need && !w.nullified:
		w.nullified = true
		return v.exclusive(vote.view)
	case vote.kind == consensus.Finalize && w.finalize[vote.hash] >= v.need && w.finalized != vote.hash:
		return v.finalizable(w, vote)
	}
	return nil
}

// consistent compares a vote with all earlier ones of its signer.
func (s *signer) consistent(c *Committee, i int, vote sentVote) (fresh bool, err error) {
	view, group := vote.view, c.group(vote.view)
	switch vote.kind {
	case consensus.Notarize:
		if old, ok := s.notarize[view]; ok {
			if old != vote.hash {
				return false, violation(RuleDoubleVote, "validator %d notarized two blocks in view %d", i, view)
			}
			return false, nil
		}
		s.notarize[view] = vote.hash
	case consensus.Finalize:
		if old, ok := s.finalize[view]; ok {
			if old != vote.hash {
				return false, violation(RuleDoubleVote, "validator %d finalized two blocks in view %d", i, view)
			}
			return false, nil
		}
		if low, ok := s.lowNull[group]; ok && low <= view {
			return false, violation(RuleDoubleVote, "validator %d finalized view %d after nullifying view %d of the term", i, view, low)
		}
		s.finalize[view] = vote.hash
		s.topFin[group] = max(s.topFin[group], view)
	case consensus.Nullify:
		if s.nullify[view] {
			return false, nil
		}
		if top := s.topFin[group]; top >= view {
			return false, violation(RuleDoubleVote, "validator %d nullified view %d after finalizing view %d of the term", i, view, top)
		}
		s.nullify[view] = true
		if low, ok := s.lowNull[group]; !ok || view < low {
			s.lowNull[group] = view
		}
	}
	return true, nil
}

// notarizable is L1, and the theorem for the highest possible finalization at or below the view.
func (v *Votes) notarizable(w *viewVotes, vote sentVote) error {
	if w.notarized != (common.Hash{}) {
		return violation(RuleNotarization, "two blocks of view %d can be notarized", vote.view)
	}
	w.notarized = vote.hash
	v.notarized = insert(v.notarized, vote.view)
	final := v.base
	if at, found := slices.BinarySearch(v.finalized, vote.view); found {
		final = link{view: vote.view, hash: w.finalized}
	} else if at > 0 {
		final = link{view: v.finalized[at-1], hash: v.views[v.finalized[at-1]].finalized}
	}
	return v.tree.extends(vote.view, vote.hash, final)
}

// proven checks that the signer of a FINALIZE can have seen a notarization: the votes of all correct
// validators in it are known, but perhaps its own, which a crash may have kept from leaving.
func (v *Votes) proven(w *viewVotes, i int, vote sentVote) error {
	if _, voted := v.signers[i].notarize[vote.view]; !voted && w.notarize[vote.hash] == v.need-1 {
		if err := v.signed(i, sentVote{consensus.Notarize, vote.view, vote.hash}, nil); err != nil {
			return err
		}
	}
	if seen := w.notarize[vote.hash]; seen < v.need {
		return violation(RuleUnproven, "validator %d finalized a block of view %d that %d correct validators notarized, %d are needed", i, vote.view, seen, v.need)
	}
	return nil
}

// finalizable is L3 and the theorem for a new possible finalization.
func (v *Votes) finalizable(w *viewVotes, vote sentVote) error {
	w.finalized = vote.hash
	v.finalized = insert(v.finalized, vote.view)
	if err := v.exclusive(vote.view); err != nil {
		return err
	}
	return v.everythingExtends(vote.view, vote.hash)
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
			return violation(RuleSkipped, "view %d can be nullified and view %d of the same term can be final", low, u)
		}
	}
	return nil
}

// everythingExtends is the theorem for a new possible finalization.
func (v *Votes) everythingExtends(view uint64, hash common.Hash) error {
	at, _ := slices.BinarySearch(v.notarized, view)
	for _, u := range v.notarized[at:] {
		if err := v.tree.extends(u, v.views[u].notarized, link{view: view, hash: hash}); err != nil {
			return err
		}
	}
	return nil
}

// Final checks a block that a correct node delivered: a possible finalization is of it or of a descendant.
func (v *Votes) Final(view uint64, hash common.Hash) error {
	if view <= v.forgotten {
		return nil
	}
	at, _ := slices.BinarySearch(v.finalized, view)
	if at == len(v.finalized) {
		return violation(RuleNeverFinal, "the block of view %d was delivered, and neither it nor one after it can be final", view)
	}
	top := v.finalized[at]
	if err := v.tree.extends(top, v.views[top].finalized, link{view: view, hash: hash}); err != nil {
		return violation(RuleNeverFinal, "the block of view %d was delivered, and the first one from there that can be final, of view %d, does not extend it", view, top)
	}
	return nil
}

func insert(views []uint64, view uint64) []uint64 {
	at, _ := slices.BinarySearch(views, view)
	return slices.Insert(views, at, view)
}
