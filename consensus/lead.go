package consensus

import (
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// This file is the leader's part: when to propose, on which parent, with what
// justification.

// slot is a view to propose in and the parent to build on.
type slot struct {
	view, parentView uint64
	parentHash       common.Hash
	height, timeMs   uint64 // the parent's
}

// lead asks for a payload when this validator may propose and something is to
// be proposed.
func (c *Core) lead() {
	if c.building != nil {
		return
	}
	at, ok := c.nextSlot()
	if !ok {
		return
	}
	force, ok := c.paced(at.view)
	if !ok {
		return
	}
	c.building = &BuildRequest{
		View: at.view, Height: at.height + 1, ParentHash: at.parentHash,
		TimeMs: c.blockTime(at.timeMs), Ancestors: c.ancestors(at.parentHash), Force: force,
	}
	c.out.Build = c.building
}

// nextSlot finds the next view that this validator leads and may vote in.
func (c *Core) nextSlot() (slot, bool) {
	if c.self < 0 || c.sched.Leader(c.view) != c.self || !c.voting(c.view) {
		return slot{}, false
	}
	if c.own.gaveUp(c.view) {
		return slot{}, false
	}
	v := max(c.lastProposed+1, c.view)
	if v >= c.sched.Next(c.view) || v-1-c.anchor(v) > c.cfg.Window+1 || c.own.nulled[v] {
		return slot{}, false
	}
	if _, done := c.own.voted[v]; done {
		return slot{}, false
	}
	s := slot{view: v}
	var ok bool
	if v == c.sched.Start(v) {
		s.parentView, s.parentHash, ok = c.termParent(v)
	} else {
		s.parentView = v - 1
		if s.parentHash, ok = c.notarizedAt(v - 1); !ok {
			s.parentHash, ok = c.own.voted[v-1]
		}
	}
	if !ok {
		return slot{}, false
	}
	if s.parentHash == c.fin.Hash {
		s.height, s.timeMs = c.fin.Height, c.fin.TimeMs
		return s, true
	}
	n := c.blocks[s.parentHash]
	if n == nil {
		c.fetch(s.parentHash, s.parentView, c.anyPeer(s.parentView))
		return slot{}, false
	}
	s.height, s.timeMs = n.block.Header.Height, n.block.Header.TimeMs
	return s, true
}

// termParent walks down from a term's start over covered views to the highest
// notarized one. A view that is neither is asked for; no proposal is made.
func (c *Core) termParent(v uint64) (uint64, common.Hash, bool) {
	if mutant.On(mutant.NoSkipCertificate) {
		return c.fin.View, c.fin.Hash, true
	}
	for x := v - 1; ; x-- {
		if hash, ok := c.own.voted[x]; ok && x > c.fin.View && mutant.On(mutant.NoParentCertificate) {
			return x, hash, true
		}
		if hash, ok := c.notarizedAt(x); ok {
			return x, hash, true
		}
		if !c.coveredAt(x) && !mutant.On(mutant.ProposesOverGap) {
			s := c.viewAt(v)
			if !s.asked || c.now.Mono >= s.askedAt+c.cfg.Timing.Delta {
				s.asked, s.askedAt = true, c.now.Mono
				c.send(Everyone, LaneCert, &CertRequest{Epoch: c.cfg.Epoch, From: x, To: x})
			}
			c.wake(s.askedAt + c.cfg.Timing.Delta)
			return 0, common.Hash{}, false
		}
	}
}

// retryDeclined is how soon an application that declined is asked again while
// its demand stands.
const retryDeclined = 50 * time.Millisecond

// paced decides whether to propose now, and whether the block must be made
// even if empty.
func (c *Core) paced(v uint64) (force, ok bool) {
	if next := c.proposedAt + c.cfg.Timing.MinInterval; c.proposedAt != 0 && c.now.Mono < next {
		c.wake(next)
		return false, false
	}
	if idle := c.cfg.Timing.MaxIdle; idle > 0 && v == c.view {
		if c.now.Mono >= c.entered+idle {
			return true, true
		}
		c.wake(c.entered + idle)
	}
	if v == c.view {
		if _, ok := c.overdue(); ok {
			return true, true
		}
	}
	if !c.wanted() {
		return false, false
	}
	if c.declined {
		if c.now.Mono < c.declinedAt+retryDeclined {
			c.wake(c.declinedAt + retryDeclined)
			return false, false
		}
		c.declined = false
	}
	return false, true
}

// blockTime is the time of a block that is proposed now on a parent of another:
// clocks that were set back must not halt the chain.
func (c *Core) blockTime(parent uint64) uint64 {
	if mutant.On(mutant.TimeNotAboveParent) {
		return c.now.UnixMs
	}
	return max(c.now.UnixMs, parent+1)
}

// ancestors lists the blocks from the oldest undelivered one to the parent.
func (c *Core) ancestors(parent common.Hash) []*Block {
	var out []*Block
	for h := parent; h != c.fin.Hash; {
		n := c.blocks[h]
		if n == nil {
			break
		}
		out = append(out, n.block)
		h = n.block.Header.ParentHash
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// built proposes the payload if its slot is still the one to propose in.
func (c *Core) built(in Built) {
	req := c.building
	if req == nil || in.View != req.View || in.ParentHash != req.ParentHash {
		return
	}
	c.building = nil
	at, ok := c.nextSlot()
	if !ok || at.view != in.View || at.parentHash != in.ParentHash {
		return
	}
	if !in.OK {
		c.declined, c.declinedAt = true, c.now.Mono
		return
	}
	c.propose(at, in.Payload, in.Data)
}

func (c *Core) propose(at slot, payload, data []byte) {
	p := &Proposal{Block: Block{Payload: payload, Data: data}}
	p.Block.Header = Header{
		Version: HeaderVersion, Epoch: c.cfg.Epoch, View: at.view, Height: at.height + 1,
		ParentHash: at.parentHash, ParentView: at.parentView,
		Proposer:    c.cfg.Committee.Address(c.self),
		TimeMs:      c.blockTime(at.timeMs),
		PayloadHash: crypto.Keccak256Hash(payload), CommitteeHash: c.cfg.Committee.Hash(),
	}
	if !c.own.mayNotarize(&p.Block.Header, c) && !mutant.On(mutant.ProposesOverGap) {
		return
	}
	p.hash = p.Block.Header.Hash()
	p.Justify = c.justify(at)
	p.LeaderVote = *c.sign(Notarize, at.view, p.hash)
	c.out.Record = append(c.out.Record, c.notarizeRecord(p))
	c.own.notarized(at.view, p.hash)
	s := c.viewAt(at.view)
	s.proposal, s.votedAt = p, c.now.Mono
	c.blocks[p.hash] = &blockNode{hash: p.hash, block: &p.Block, proposal: p, verdict: Valid, parentTime: at.timeMs, from: -1}
	c.lastProposed, c.proposedAt = at.view, c.now.Mono
	c.send(Everyone, LaneProposal, p)
	c.count(&p.LeaderVote)
}

// justify collects the certificates that a voter may lack: the anchor's
// notarization, one nullification for each skipped term, the finalization.
func (c *Core) justify(at slot) Justify {
	j := Justify{Finalization: c.fin.Finalization}
	if s := c.views[c.anchor(at.view)]; s != nil {
		j.Parent = s.notar
	}
	if at.view != c.sched.Start(at.view) {
		return j
	}
	if s := c.views[at.parentView]; s != nil {
		j.Parent = s.notar
		if s.notar == nil && s.final != nil {
			j.Finalization = s.final
		}
	}
	for x := at.parentView + 1; x < at.view; x = c.sched.Next(x) {
		if n := c.covering(x); n != nil {
			j.Nullifications = append(j.Nullifications, n)
		}
	}
	room, keep := maxJustifyBytes, len(j.Nullifications)
	for keep > 0 && len(j.Nullifications)-keep < maxNullifications && room >= j.Nullifications[keep-1].size() {
		keep--
		room -= j.Nullifications[keep].size()
	}
	j.Nullifications = j.Nullifications[keep:] // Voters ask for the older ones.
	return j
}

// maxJustifyBytes bounds the nullifications of a proposal, so that it fits its
// lane and the log beside a full block.
const maxJustifyBytes = 512 << 10

// notarizeRecord is what S5 asks to be durable before a NOTARIZE leaves. The
// nullifications of a proposal are not part of it and go when they would make
// the record too long for the log.
func (c *Core) notarizeRecord(p *Proposal) Record {
	data := EncodeMessage(p)
	if len(data) > c.cfg.MaxBlockBytes+2*maxJustifyBytes || mutant.On(mutant.NoBodiesInLog) {
		bare := *p
		bare.frame, bare.Justify.Nullifications = nil, nil
		if mutant.On(mutant.NoBodiesInLog) {
			bare.Block.Payload, bare.Block.Data = nil, nil
		}
		data = EncodeMessage(&bare)
	}
	return Record{Type: RecordNotarize, Epoch: c.cfg.Epoch, View: p.Block.Header.View, Data: data}
}
