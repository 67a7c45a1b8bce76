package consensus

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// This file holds the rules that agreement depends on, S1 to S4. Everything
// else in the package is about progress. S5, durable before visible, is the
// driver's obligation stated at [Output].

// history is what this validator has signed in the epoch. It is exactly what
// the log restores; nothing else about the past matters for safety.
type history struct {
	sched  Schedule
	voted  map[uint64]common.Hash // NOTARIZE by view
	nulled map[uint64]bool        // NULLIFY by view
	fined  map[uint64]common.Hash // FINALIZE by view
	// minNull is the lowest nullified view of a term; absent means none.
	minNull map[uint64]uint64
	// maxFin is the highest finalized view of a term; absent means none.
	maxFin map[uint64]uint64
	// topFin is the highest finalized view of all.
	topFin uint64
}

func newHistory(s Schedule) history {
	return history{
		sched: s,
		voted: map[uint64]common.Hash{}, nulled: map[uint64]bool{}, fined: map[uint64]common.Hash{},
		minNull: map[uint64]uint64{}, maxFin: map[uint64]uint64{},
	}
}

func (h *history) notarized(v uint64, block common.Hash) { h.voted[v] = block }

func (h *history) nullified(u uint64) {
	h.nulled[u] = true
	t := h.sched.TermOf(u)
	if low, ok := h.minNull[t]; !ok || u < low {
		h.minNull[t] = u
	}
}

func (h *history) finalized(v uint64, block common.Hash) {
	h.fined[v] = block
	h.topFin = max(h.topFin, v)
	t := h.sched.TermOf(v)
	if v > h.maxFin[t] {
		h.maxFin[t] = v
	}
}

// mayNullify is S2: a view may be given up only while no view from it to the
// end of its term was finalized by this validator.
func (h *history) mayNullify(u uint64) bool {
	return !h.nulled[u] && (h.maxFin[h.sched.TermOf(u)] < u ||
		mutant.On(mutant.NullifyAfterFinalize) || (mutant.On(mutant.ExcludePerView) && h.fined[u] == noHash))
}

// mayFinalize is S3 without the certificate, which the caller holds: no view
// of the term up to v was given up, and v was not finalized before (S1).
func (h *history) mayFinalize(v uint64) bool {
	if _, done := h.fined[v]; done {
		return false
	}
	return !h.gaveUp(v) || (mutant.On(mutant.FinalizeWithoutGate) && !h.nulled[v])
}

// gaveUp reports an own NULLIFY in v's term at or below v.
func (h *history) gaveUp(v uint64) bool {
	low, ok := h.minNull[h.sched.TermOf(v)]
	return ok && low <= v
}

// evidence is what S4 needs to know about the certificates seen so far.
// [Core] implements it on its state.
type evidence interface {
	// finalTip is the newest committed block.
	finalTip() (view uint64, hash common.Hash)
	// notarizedAt is the block of view v that is notarized directly, or
	// because a descendant in the same term is.
	notarizedAt(v uint64) (common.Hash, bool)
	// coveredAt reports a nullification in x's term at or below x.
	coveredAt(x uint64) bool
}

// mayNotarize is S4 for a block that is signed by its view's leader. (The
// window W is pacing, not safety, and checked elsewhere.)
func (h *history) mayNotarize(b *Header, e evidence) bool {
	v, pv, ph := b.View, b.ParentView, b.ParentHash
	if block, done := h.voted[v]; h.nulled[v] || (done && (!mutant.On(mutant.VoteTwice) || block == b.Hash())) {
		return false
	}
	finView, finHash := e.finalTip()
	if v == h.sched.Start(v) {
		if pv < finView || pv >= v {
			return false
		}
		if pv == finView {
			if ph != finHash {
				return false
			}
		} else if got, ok := e.notarizedAt(pv); (!ok || got != ph) && !mutant.On(mutant.NoParentCertificate) {
			return false
		}
		for x := v - 1; x > pv; x-- {
			if !e.coveredAt(x) && !mutant.On(mutant.NoSkipCertificate) {
				return false
			}
		}
		return true
	}
	if pv != v-1 {
		return false
	}
	if mutant.On(mutant.NoParentEvidence) {
		return true
	}
	if got, ok := e.notarizedAt(pv); ok {
		return got == ph
	}
	return h.voted[pv] == ph && ph != common.Hash{}
}

// Conflict reports whether no honest validator signs both votes: two NOTARIZE
// or two FINALIZE of one view for different blocks, or NULLIFY(u) with
// FINALIZE(v >= u) in one term.
func Conflict(s Schedule, a, b *Vote) bool {
	if a.Signer != b.Signer || a.Epoch != b.Epoch || a.View == 0 || b.View == 0 {
		return false
	}
	if a.Kind == b.Kind {
		return a.Kind != Nullify && a.View == b.View && a.Hash != b.Hash
	}
	if a.Kind == Finalize {
		a, b = b, a
	}
	return a.Kind == Nullify && b.Kind == Finalize && b.View >= a.View && (s.TermOf(a.View) == s.TermOf(b.View) || mutant.On(mutant.EvidenceAcrossTerms))
}
