package sim

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// This file has the lies about votes.

func doubleVote(l *liar, _ *node, m consensus.Message) []speech {
	v, ok := m.(*consensus.Vote)
	if !ok {
		return same(m)
	}
	kind := consensus.Finalize
	if v.Kind == consensus.Notarize {
		kind = consensus.Notarize
	}
	return []speech{{message: m}, {message: l.vote(kind, v.View, l.noise())}}
}

// onlyNullify turns support into giving up.
func onlyNullify(l *liar, _ *node, m consensus.Message) []speech {
	if v, ok := m.(*consensus.Vote); ok && v.Kind != consensus.Nullify {
		return same(l.vote(consensus.Nullify, v.View, common.Hash{}))
	}
	return same(m)
}

func nullifyNow(l *liar) {
	v := l.view()
	l.tell(consensus.LaneVote, l.vote(consensus.Nullify, v, common.Hash{}))
	if next := v + l.n.w.rng.Uint64N(l.n.w.scenario.Term+1); l.chance(0.3) {
		l.tell(consensus.LaneVote, l.vote(consensus.Nullify, next, common.Hash{}))
	}
}

// finalizeAndNullify sends, with a vote for a block, the two that exclude each other; each receiver gets
// them in an order of its own.
func finalizeAndNullify(l *liar, _ *node, m consensus.Message) []speech {
	v, ok := m.(*consensus.Vote)
	if !ok {
		return same(m)
	}
	hash := v.Hash
	if v.Kind == consensus.Nullify {
		hash = l.proposedIn(v.View)
	}
	both := []speech{{message: l.vote(consensus.Finalize, v.View, hash)}, {message: l.vote(consensus.Nullify, v.View, common.Hash{})}}
	if l.chance(0.5) {
		both[0], both[1] = both[1], both[0]
	}
	if v.Kind == consensus.Notarize {
		both = append(both, speech{message: m})
	}
	return both
}

// proposedIn is a block of a view that the liar has heard of, noise when there is none.
func (l *liar) proposedIn(view uint64) common.Hash {
	for _, m := range l.heard {
		if p, ok := m.(*consensus.Proposal); ok && p.Block.Header.View == view {
			return p.Block.Header.Hash()
		}
	}
	return l.noise()
}

// forgeVotes votes for others: with the own key, with a signature they made for something else, with bytes.
func forgeVotes(l *liar) {
	w := l.n.w
	for range 3 {
		other := l.somebody().signer
		if other < 0 || other == l.n.signer {
			continue
		}
		v := l.vote(consensus.Kind(1+w.rng.IntN(3)), l.view(), l.noise())
		if v.Kind == consensus.Nullify {
			*v = *l.vote(consensus.Nullify, v.View, common.Hash{})
		}
		switch w.rng.IntN(3) {
		case 0:
			if old, ok := l.recall().(*consensus.Vote); ok {
				other, v.Sig = int(old.Signer), old.Sig
			}
		case 1:
			h := l.noise()
			copy(v.Sig[2:], h[:])
			v.Sig[0], v.Sig[1] = byte(other>>8), byte(other)
		}
		v.Signer = uint16(other)
		l.tell(consensus.LaneVote, v)
	}
}

// accuseFalsely pairs what correct validators did sign with what they did not, or with what excludes
// nothing.
func accuseFalsely(l *liar) {
	v, ok := l.recall().(*consensus.Vote)
	if !ok {
		return
	}
	e := &consensus.Evidence{A: *v, B: *v}
	switch l.n.w.rng.IntN(4) {
	case 0: // twice the same
	case 1:
		e.B.Hash = l.noise()
	case 2:
		e.B = *l.vote(v.Kind, v.View, l.noise())
		e.B.Signer = v.Signer
	case 3:
		if other, ok := l.recall().(*consensus.Vote); ok {
			e.B = *other
		}
	}
	l.tell(consensus.LaneCert, e)
}
