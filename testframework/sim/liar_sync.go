package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
)

// This file has the lies of a peer that others catch up from.

func lieInSync(l *liar, _ *node, m consensus.Message) []speech {
	switch m := m.(type) {
	case *consensus.Status:
		return same(l.boast(m))
	case *consensus.BlockResponse:
		if r := l.falsify(m); r != nil {
			return same(r)
		}
		return nil
	case *consensus.CertResponse:
		if l.chance(0.3) {
			return nil
		}
		return same(&consensus.CertResponse{Certs: m.Certs[l.n.w.rng.IntN(len(m.Certs)+1):]})
	}
	return same(m)
}

// boast claims heights and views that nobody has, or says nothing of those that it has.
func (l *liar) boast(s *consensus.Status) *consensus.Status {
	w, b := l.n.w, *s
	switch w.rng.IntN(6) {
	case 0:
		b.FinHeight += 1 + w.rng.Uint64N(2000)
		b.FinView += w.rng.Uint64N(100)
	case 1:
		b.FinHeight, b.ExecHeight = 1<<62, 1<<62
	case 2:
		b.View = 1<<62 - w.rng.Uint64N(5)
		b.FinView = b.View - 1
	case 3:
		b.View += w.rng.Uint64N(200)
	case 4:
		b = consensus.Status{View: 1}
	case 5:
		b.Observer = !b.Observer
	}
	return &b
}

// falsify makes another answer of one to a request for blocks, or none.
func (l *liar) falsify(m *consensus.BlockResponse) *consensus.BlockResponse {
	w, r := l.n.w, *m
	r.Blocks, r.Headers, r.Proposals = slices.Clone(m.Blocks), slices.Clone(m.Headers), slices.Clone(m.Proposals)
	if len(r.Blocks) == 0 {
		switch w.rng.IntN(4) {
		case 0:
			return nil
		case 1:
			r.Proposals = r.Proposals[:w.rng.IntN(len(r.Proposals)+1)]
		case 2:
			if p, ok := l.recall().(*consensus.Proposal); ok {
				r.Proposals = []*consensus.Proposal{copyOf(p)}
			}
		}
		return &r
	}
	k := 1 + w.rng.IntN(len(r.Blocks))
	switch w.rng.IntN(9) {
	case 0:
		return nil
	case 1: // nothing
		return &consensus.BlockResponse{}
	case 2: // fewer blocks, the rest as headers only
		for _, b := range slices.Backward(r.Blocks[k:]) {
			r.Headers = slices.Insert(r.Headers, 0, &b.Header)
		}
		r.Blocks = r.Blocks[:k]
	case 3: // a tail that is not final
		r.Blocks = append(r.Blocks, r.Blocks[0])
	case 4: // cut off
		r.Blocks, r.Headers = r.Blocks[:k], nil
	case 5: // another payload under the right header
		b := *r.Blocks[k-1]
		b.Payload = append(slices.Clone(b.Payload), make([]byte, 8)...)
		r.Blocks[k-1] = &b
	case 6: // another payload under a header that names it
		b := *r.Blocks[k-1]
		b.Payload = nil
		b.Header.PayloadHash = crypto.Keccak256Hash(nil)
		r.Blocks[k-1] = &b
	case 7:
		r.Finalization = nil
	case 8: // later blocks than were asked for
		r.Blocks = r.Blocks[k-1:]
	}
	return &r
}

// pushRanges sends ranges that nobody asked for, now and then.
func pushRanges(l *liar) {
	w := l.n.w
	if !l.chance(0.1) || len(l.n.app.store) == 0 {
		return
	}
	from := 1 + w.rng.Uint64N(uint64(len(l.n.app.store)))
	to := l.somebody()
	req := consensus.RangeRequest{Peer: to.peer, From: from, Count: 1 + w.rng.Uint64N(16)}
	if r := engine.RangeAnswer(l.n.app.blocks, req); r != nil {
		l.say(to, consensus.LaneSync, r)
	}
}
