package invariant

import (
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// Turned takes out of the counts what a validator signed: the committee's Liar names it from here on, and
// liars are taken to sign everything. That makes certificates possible for which one vote was missing.
func (v *Votes) Turned(validator int) error {
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
	v.need = v.committee.enough()
	for _, view := range slices.Sorted(maps.Keys(v.views)) {
		w := v.views[view]
		votes := []sentVote{{kind: consensus.Nullify, view: view}}
		for _, hash := range slices.SortedFunc(maps.Keys(w.notarize), common.Hash.Cmp) {
			votes = append(votes, sentVote{consensus.Notarize, view, hash})
		}
		for _, hash := range slices.SortedFunc(maps.Keys(w.finalize), common.Hash.Cmp) {
			votes = append(votes, sentVote{consensus.Finalize, view, hash})
		}
		for _, vote := range votes {
			if err := v.possible(w, vote); err != nil {
				return err
			}
		}
	}
	return nil
}
