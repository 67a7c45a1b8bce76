package consensus

import (
	"bytes"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// This file keeps the tree of blocks above the final one and commits along it.

// ordered lists the tree's blocks by view, then hash: a deterministic order.
func (c *Core) ordered() []*blockNode {
	nodes := make([]*blockNode, 0, len(c.blocks))
	for _, n := range c.blocks {
		nodes = append(nodes, n)
	}
	sortBlocks(nodes)
	return nodes
}

func sortBlocks(nodes []*blockNode) {
	slices.SortFunc(nodes, func(a, b *blockNode) int {
		if a.block.Header.View != b.block.Header.View {
			if a.block.Header.View < b.block.Header.View {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.hash[:], b.hash[:])
	})
}

// insert adds a block whose hash was checked, or new data for one whose data
// did not fit, and has it judged as soon as its parent is known.
func (c *Core) insert(from int, hash common.Hash, b *Block, p *Proposal) {
	n := c.blocks[hash]
	switch {
	case n == nil:
		n = &blockNode{hash: hash, block: b, proposal: p, from: from}
		c.blocks[hash], c.unsettled = n, true
	case n.verdict == Missing:
		if from >= 0 && n.unfit[from] {
			return
		}
		n.block, n.verdict, n.from = b, 0, from
		if p == nil {
			p = n.proposal.withBlock(b)
		}
		n.proposal = p
	default:
		if n.proposal == nil {
			n.proposal = p.withBlock(n.block)
		}
		return
	}
	c.dropFetch(hash)
	if s := c.views[b.Header.View]; s != nil {
		if s.proposal != nil && s.proposal.hash == hash && n.proposal != nil {
			s.proposal = n.proposal
		}
		if s.inotar == hash {
			c.markParent(n)
		}
	}
	c.judge(n)
	var children []*blockNode
	for _, child := range c.blocks {
		if child.block.Header.ParentHash == hash {
			children = append(children, child)
		}
	}
	sortBlocks(children)
	for _, child := range children {
		c.judge(child)
	}
}

// parent returns a block's parent as height, time and view, and the parent's
// node unless it is the final tip; ok is false while it is unknown.
func (c *Core) parent(h *Header) (node *blockNode, height, timeMs, view uint64, ok bool) {
	if h.ParentHash == c.fin.Hash {
		return nil, c.fin.Height, c.fin.TimeMs, c.fin.View, true
	}
	n := c.blocks[h.ParentHash]
	if n == nil {
		return nil, 0, 0, 0, false
	}
	ph := &n.block.Header
	return n, ph.Height, ph.TimeMs, ph.View, true
}

// judge checks a block's header against its parent's and hands the rest to the
// application, once.
func (c *Core) judge(n *blockNode) {
	if n.judging || n.verdict != 0 {
		return
	}
	h := &n.block.Header
	parent, height, timeMs, view, ok := c.parent(h)
	if !ok {
		return
	}
	n.parentTime = timeMs
	if h.Version != HeaderVersion || h.Epoch != c.cfg.Epoch || h.Height != height+1 ||
		h.TimeMs <= timeMs || h.ParentView != view || view >= h.View || h.Flags != 0 ||
		h.CommitteeHash != c.cfg.Committee.Hash() ||
		(h.Proposer != c.cfg.Committee.Address(c.sched.Leader(h.View)) && !mutant.On(mutant.LeaderUnchecked)) ||
		len(n.block.Payload) > c.cfg.MaxBlockBytes {
		n.verdict = Invalid
		return
	}
	if len(n.block.Payload)+len(n.block.Data) > c.cfg.MaxBlockBytes {
		c.missing(n) // The header does not commit to Data: who sent it may have swelled it.
		return
	}
	n.judging = true
	req := JudgeRequest{Hash: n.hash, Block: n.block}
	if parent != nil {
		req.Parent = parent.block
	}
	c.out.Judge = append(c.out.Judge, req)
}

func (c *Core) judged(in Judged) {
	n := c.blocks[in.Hash]
	if n == nil || !n.judging {
		return
	}
	if in.Verdict == Missing && mutant.On(mutant.MissingDataIsInvalid) {
		in.Verdict = Invalid
	}
	n.judging, n.verdict, c.unsettled = false, in.Verdict, true
	if in.Verdict == Missing {
		c.missing(n)
	}
}

// missing fetches the data of a block again, from somebody who has not sent
// unfit data for it.
func (c *Core) missing(n *blockNode) {
	n.verdict = Missing
	if n.unfit == nil {
		n.unfit = make([]bool, len(c.peers))
	}
	if n.from >= 0 {
		n.unfit[n.from] = true
		if n.proposal == nil { // It came in a range: ask somebody else for that.
			c.shun(n.from)
			c.ranged = nil
		}
	}
	view := n.block.Header.View
	source, leader := Everyone, c.sched.Leader(view)
	for i := range c.peers {
		p := (leader + i) % len(c.peers)
		if p != c.self && c.peers[p].up && !n.unfit[p] {
			source = p
			break
		}
	}
	if source == Everyone {
		clear(n.unfit) // Everybody had a turn: begin again.
	}
	c.fetch(n.hash, view, source)
}

// markNotarized records that a view's block is notarized, and with it the
// block's ancestors in the same term.
func (c *Core) markNotarized(view uint64, hash common.Hash, source int) {
	s := c.viewAt(view)
	if s.inotar != (common.Hash{}) {
		return // Two different ones need more than f faulty validators; S4 keeps to the first.
	}
	s.inotar = hash
	if view > c.topNotar {
		c.topNotar, c.risenAt = view, c.now.Mono
	}
	if n := c.blocks[hash]; n != nil {
		c.markParent(n)
	} else {
		c.fetch(hash, view, source)
	}
}

func (c *Core) markParent(n *blockNode) {
	h := &n.block.Header
	if h.ParentView > c.fin.View && h.ParentView < h.View && c.sched.sameTerm(h.ParentView, h.View) {
		c.markNotarized(h.ParentView, h.ParentHash, c.sched.Leader(h.View))
	}
}

// commit delivers everything up to the newest proof of finality, once each
// block on the way is known and valid. It reports whether the tip moved.
func (c *Core) commit() bool {
	if !c.unsettled {
		return false
	}
	c.unsettled = c.commitTo(&c.pending) || c.commitTo(&c.ranged) || c.commitBelow()
	return c.unsettled
}

// maxBelow bounds the views that commitBelow looks at.
const maxBelow = 256

// commitBelow commits up to the highest final block that is at hand while the
// newest one is on its way: a replica whose blocks arrive later than the next
// finalization would never commit otherwise.
func (c *Core) commitBelow() bool {
	if c.pending == nil {
		return false
	}
	var best *commitGoal
	for v := min(c.pending.view-1, c.fin.View+maxBelow); v > c.fin.View && best == nil; v-- {
		if s := c.views[v]; s != nil && s.final != nil && c.blocks[s.final.Hash] != nil {
			best = &commitGoal{target: s.final.Hash, view: v, cert: s.final}
		}
	}
	return c.commitTo(&best)
}

func (c *Core) commitTo(slot **commitGoal) bool {
	goal := *slot
	if goal == nil {
		return false
	}
	if goal.view <= c.fin.View {
		*slot = nil
		return false
	}
	if goal.gapView > c.fin.View && goal.gap != c.fin.Hash && c.blocks[goal.gap] == nil {
		c.fetch(goal.gap, goal.gapView, c.anyPeer(goal.gapView))
		return false
	}
	var path []*blockNode
	for hash, view := goal.target, goal.view; hash != c.fin.Hash; {
		n := c.blocks[hash]
		if n == nil {
			if view <= c.fin.View {
				c.fault("block %s of view %d is final but does not extend the final block %s of view %d: more than %d validators are faulty",
					goal.target, goal.view, c.fin.Hash, c.fin.View, c.cfg.Committee.Faulty())
				return false
			}
			goal.gap, goal.gapView = hash, view
			c.fetch(hash, view, c.anyPeer(view))
			return false
		}
		path = append(path, n)
		hash, view = n.block.Header.ParentHash, n.block.Header.ParentView
	}
	slices.Reverse(path)
	for _, n := range path {
		c.judge(n)
		switch n.verdict {
		case Valid:
		case Missing:
			c.fetch(n.hash, n.block.Header.View, c.anyPeer(n.block.Header.View))
			return false
		case Invalid:
			c.fault("block %s of view %d is final but judged invalid here: this node's rules differ from the quorum's", n.hash, n.block.Header.View)
			return false
		default:
			return false
		}
	}
	if mutant.On(mutant.CommitSkipsAncestors) {
		path = path[len(path)-1:]
	}
	for _, n := range path {
		c.deliver(n, goal)
	}
	*slot = nil
	c.forget()
	return true
}

func (c *Core) deliver(n *blockNode, goal *commitGoal) {
	f := FinalBlock{Block: n.block, Hash: n.hash}
	if s := c.views[n.block.Header.View]; s != nil && s.final != nil && s.final.Hash == n.hash {
		f.Finalization = s.final
	} else if goal.cert.Hash == n.hash {
		f.Finalization = goal.cert
	}
	c.out.Final = append(c.out.Final, f)
	h := &n.block.Header
	c.fin = Tip{Epoch: h.Epoch, View: h.View, Height: h.Height, Hash: n.hash, TimeMs: h.TimeMs, Finalization: goal.cert}
	c.finAt = c.now.Mono
	if mutant.On(mutant.ExecutedTipTrusted) {
		c.executed(c.fin)
	}
	if n.proposal != nil {
		c.recent = append(c.recent, n.proposal)
		if len(c.recent) > maxRecent {
			c.recent = c.recent[1:]
		}
	}
}

// Limits of what a replica keeps while it is far behind, when blocks arrive
// that it cannot commit before a range has closed the gap below them.
const (
	maxTreeBlocks = 2048
	maxTreeBodies = 64 // times MaxBlockBytes
	maxTreeViews  = 8192
	// keepNewest is how many views up to the newest final one are kept then,
	// so that the replica can still vote.
	keepNewest = 16
)

// shed drops final blocks that came ahead of their turn when they are too
// many; a range brings them again.
func (c *Core) shed() {
	if c.pending == nil || c.pending.view <= keepNewest {
		return
	}
	below := c.pending.view - keepNewest
	size := 0
	for _, n := range c.blocks {
		size += len(n.block.Payload) + len(n.block.Data)
	}
	if len(c.blocks) > maxTreeBlocks || size > maxTreeBodies*c.cfg.MaxBlockBytes {
		for hash, n := range c.blocks {
			h := &n.block.Header
			if h.View >= below || h.Height <= c.fin.Height+2*rangeCount {
				continue
			}
			delete(c.blocks, hash)
			if s := c.views[h.View]; s != nil {
				s.proposal = nil
			}
		}
	}
	if len(c.views) > maxTreeViews {
		for v := range c.views {
			if v < below-min(below, 2*c.sched.Term) {
				delete(c.views, v)
			}
		}
	}
}

// maxRecent is how many committed proposals stay at hand for peers that are a
// step behind; the block store serves the rest.
const maxRecent = 16

// forget drops what the final tip made irrelevant.
func (c *Core) forget() {
	for v := range c.views {
		if v <= c.fin.View {
			delete(c.views, v)
		}
	}
	for hash, n := range c.blocks {
		if n.block.Header.View <= c.fin.View {
			delete(c.blocks, hash)
		}
	}
	c.fetches = slices.DeleteFunc(c.fetches, func(f *fetch) bool { return f.view <= c.fin.View })
	for _, n := range c.ordered() {
		c.judge(n) // Children of the new tip may have waited for their parent.
	}
}

// prune forgets votes that no message can ask about any more: those two terms
// below a tip that the block store holds durably.
func (h *history) prune(tip uint64) {
	if tip <= 2*h.sched.Term {
		return
	}
	low := tip - 2*h.sched.Term
	for v := range h.voted {
		if v < low {
			delete(h.voted, v)
		}
	}
	for v := range h.nulled {
		if v < low {
			delete(h.nulled, v)
		}
	}
	for v := range h.fined {
		if v < low {
			delete(h.fined, v)
		}
	}
	for t := range h.minNull {
		if t < h.sched.TermOf(low) {
			delete(h.minNull, t)
		}
	}
	for t := range h.maxFin {
		if t < h.sched.TermOf(low) {
			delete(h.maxFin, t)
		}
	}
}
