package sim

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// This file has the lies about what a liar proposes when it leads.

var emptyPayload = crypto.Keccak256Hash(nil)

// later is another valid block: the same one, a millisecond later.
func later(b *consensus.Block) { b.Header.TimeMs++ }

func equivocate(l *liar, to *node, m consensus.Message) []speech {
	if p, ok := m.(*consensus.Proposal); ok && to.index%2 == 1 && l.leads(p) {
		return same(l.changed(p, 0, later))
	}
	return same(m)
}

// instead answers with a changed block. Of the receivers all get it, or half of them, or none: the view
// decides.
func (l *liar) instead(to *node, m consensus.Message, ways int, change func(b *consensus.Block, way int)) []speech {
	p, ok := m.(*consensus.Proposal)
	if !ok || !l.leads(p) {
		return same(m)
	}
	view := p.Block.Header.View
	switch l.mood(view, 4) {
	case 0:
		return same(m)
	case 1:
		if to.index%2 == 0 {
			return same(m)
		}
	}
	way := l.mood(^view, ways)
	return same(l.changed(p, 1+way, func(b *consensus.Block) { change(b, way) }))
}

// proposeInvalid breaks a rule of the application.
func proposeInvalid(l *liar, to *node, m consensus.Message) []speech {
	return l.instead(to, m, 4+markWays, func(b *consensus.Block, way int) {
		if way >= 4 {
			l.remark(b, way-4)
			return
		}
		txs := transactions(b.Payload)
		switch way {
		case 0:
			txs = append(txs, 1<<40) // nobody sent it
		case 1:
			if len(txs) == 0 {
				txs = append(txs, 0)
			}
			txs = append(txs, txs[0])
		case 2: // The odd byte comes below.
		case 3:
			for i := uint64(0); len(txs) <= maxBlockTxs; i++ {
				txs = append(txs, i)
			}
		}
		b.Payload, b.Data = idle(b.Payload), nil
		for _, tx := range txs {
			b.Payload = binary.BigEndian.AppendUint64(b.Payload, tx)
			b.Data = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b.Data, tx), ^tx)
		}
		if way == 2 {
			b.Payload = append(b.Payload, 1)
		}
		b.Header.PayloadHash = crypto.Keccak256Hash(b.Payload)
	})
}

// proposeOnWrongParent names a parent that does not exist, is another view's, or is not the last block.
func proposeOnWrongParent(l *liar, to *node, m consensus.Message) []speech {
	return l.instead(to, m, 5, func(b *consensus.Block, way int) {
		h := &b.Header
		switch way {
		case 0:
			h.ParentHash = l.noise()
		case 1:
			h.ParentView -= min(h.ParentView, 1+l.n.w.rng.Uint64N(3))
		case 2:
			h.ParentView = h.View + l.n.w.rng.Uint64N(2)
		case 3: // the parent's parent
			if up := l.header(h.ParentHash); up != nil {
				h.ParentHash, h.ParentView, h.Height = up.ParentHash, up.ParentView, up.Height
			}
		case 4:
			h.ParentHash, h.ParentView, h.Height = genesis, 0, 1
		}
	})
}

// header is that of a block the liar has heard of.
func (l *liar) header(hash common.Hash) *consensus.Header {
	for _, m := range l.heard {
		if p, ok := m.(*consensus.Proposal); ok && p.Hash() == hash {
			return &p.Block.Header
		}
	}
	return nil
}

func proposeWrongHeader(l *liar, to *node, m consensus.Message) []speech {
	return l.instead(to, m, 9, func(b *consensus.Block, way int) {
		h := &b.Header
		switch way {
		case 0:
			h.Height++
		case 1:
			h.Height--
		case 2:
			h.Height = math.MaxUint64
		case 3:
			h.Version++
		case 4:
			h.Flags = consensus.FlagSeal
		case 5:
			h.CommitteeHash = l.noise()
		case 6:
			h.Proposer = l.n.w.keys.addresses[(l.n.signer+1)%len(l.n.w.keys.addresses)]
		case 7:
			h.PayloadHash = l.noise()
		case 8:
			h.Epoch = 1
		}
	})
}

// rush proposes for the first view of an own term as soon as the block before is proposed, and instead of
// it: a node that enters the view has just asked to make that one final.
func rush(l *liar, m consensus.Message) {
	p, ok := m.(*consensus.Proposal)
	if !ok {
		return
	}
	w, v := l.n.w, p.Block.Header.View+1
	if (v-1)%w.scenario.Term != 0 || w.law.Leader(v) != l.n.signer || v <= l.rushedAt || l.leads(p) {
		return
	}
	l.rushedAt = v
	h := p.Block.Header
	h.View, h.Proposer, h.TimeMs, h.PayloadHash = v, w.keys.addresses[l.n.signer], h.TimeMs+1, crypto.Keccak256Hash(idle(p.Block.Payload))
	hasty := &consensus.Proposal{Block: consensus.Block{Header: h, Payload: idle(p.Block.Payload)}, Justify: p.Justify, LeaderVote: *l.vote(consensus.Notarize, v, h.Hash())}
	l.tell(consensus.LaneProposal, hasty)
}

// rushed keeps the core's own block of a view with a hasty one back.
func rushed(l *liar, _ *node, m consensus.Message) []speech {
	if p, ok := m.(*consensus.Proposal); ok && l.leads(p) && p.Block.Header.View == l.rushedAt {
		return nil
	}
	return same(m)
}

// usurp proposes in the current view, or near it, whoever leads there.
func usurp(l *liar) {
	w := l.n.w
	p := l.invent(l.view() + w.rng.Uint64N(w.scenario.Term*2))
	if old, ok := l.recall().(*consensus.Proposal); ok {
		h := p.Block.Header
		h.ParentHash, h.ParentView, h.Height = old.Hash(), old.Block.Header.View, old.Block.Header.Height+1
		p.Block.Payload = appendMark(nil, watermark(old.Block.Payload), 0)
		h.PayloadHash = crypto.Keccak256Hash(p.Block.Payload)
		p.Block.Header = h
		p.LeaderVote = *l.vote(consensus.Notarize, h.View, h.Hash())
	}
	if l.chance(0.5) {
		leader := w.law.Leader(p.Block.Header.View)
		p.Block.Header.Proposer = w.keys.addresses[leader]
		p.LeaderVote = *l.vote(consensus.Notarize, p.Block.Header.View, p.Block.Header.Hash())
		p.LeaderVote.Signer = uint16(leader)
	}
	l.tell(consensus.LaneProposal, p)
}

// skewTime proposes blocks that nobody may accept yet, or ever, and the ones that just pass.
func skewTime(l *liar, to *node, m consensus.Message) []speech {
	return l.instead(to, m, 7, func(b *consensus.Block, way int) {
		h, drift := &b.Header, uint64(l.n.w.scenario.Timing.MaxDrift.Milliseconds())
		parent := uint64(epochMs)
		if up := l.header(h.ParentHash); up != nil {
			parent = up.TimeMs
		}
		switch way {
		case 0:
			h.TimeMs += drift - 1
		case 1:
			h.TimeMs += drift + 200
		case 2:
			h.TimeMs += 600_000
		case 3:
			h.TimeMs = math.MaxUint64
		case 4:
			h.TimeMs = parent + 1
		case 5:
			h.TimeMs = parent
		case 6:
			h.TimeMs = parent - 1000
		}
	})
}

// spoilData sends blocks with data that does not fit. The header does not commit to it: the hash stays.
func spoilData(l *liar, _ *node, m consensus.Message) []speech {
	switch m := m.(type) {
	case *consensus.Proposal:
		if l.chance(0.6) {
			return same(l.spoiled(m))
		}
	case *consensus.BlockResponse:
		r := *m
		r.Proposals = slices.Clone(m.Proposals)
		for i, p := range r.Proposals {
			if l.chance(0.6) {
				r.Proposals[i] = l.spoiled(p)
			}
		}
		r.Blocks = slices.Clone(m.Blocks)
		for i, b := range r.Blocks {
			if l.chance(0.1) {
				spoiled := *b
				spoiled.Data = l.spoil(b.Data)
				r.Blocks[i] = &spoiled
			}
		}
		return same(&r)
	}
	return same(m)
}

func (l *liar) spoiled(p *consensus.Proposal) *consensus.Proposal {
	c := copyOf(p)
	c.Block.Data = l.spoil(p.Block.Data)
	return c
}

func (l *liar) spoil(data []byte) []byte {
	w := l.n.w
	switch w.rng.IntN(8) {
	case 0: // swollen
		return append(slices.Clone(data), make([]byte, maxBlockBytes+1)...)
	case 1, 2, 3:
		return nil
	case 4, 5:
		return append(slices.Clone(data), 0)
	}
	if len(data) == 0 {
		return []byte{1}
	}
	wrong := slices.Clone(data)
	wrong[w.rng.IntN(len(wrong))] ^= 1 << w.rng.IntN(8)
	return wrong
}
