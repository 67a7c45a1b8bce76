package consensus

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// This file handles what peers send: proposals, votes and certificates.

func (c *Core) receive(from int, m Message) {
	c.heard(from)
	switch m := m.(type) {
	case *Proposal:
		c.onProposal(from, m)
	case *Vote:
		c.onVote(from, m)
	case *Cert:
		c.onCert(m)
	case *Status:
		c.onStatus(from, m)
	case *CertRequest:
		c.onCertRequest(from, m)
	case *CertResponse:
		for _, cert := range m.Certs {
			c.onCert(cert)
		}
	case *BlockRequest:
		c.onBlockRequest(from, m)
	case *BlockResponse:
		c.onBlockResponse(from, m)
	case *Evidence:
		c.onEvidence(m)
	case nil:
		panic("consensus: a message that no verifier made")
	}
}

// onProposal takes a proposal in. Its certificates count even when the block
// itself is too old, too far ahead, or the second of its view.
func (c *Core) onProposal(from int, p *Proposal) {
	if p.Justify.Finalization != nil {
		c.onCert(p.Justify.Finalization)
	}
	if p.Justify.Parent != nil {
		c.onCert(p.Justify.Parent)
	}
	for _, n := range p.Justify.Nullifications {
		c.onCert(n)
	}
	c.enter()
	v := p.Block.Header.View
	if v <= c.fin.View {
		return
	}
	if c.fetching(p.hash) {
		c.insert(from, p.hash, &p.Block, p)
	}
	if v > c.horizon() {
		return
	}
	s := c.viewAt(v)
	switch {
	case s.proposal == nil, s.proposal.hash != p.hash && mutant.On(mutant.VoteTwice):
		s.proposal = p
		for _, early := range s.votes[Notarize] {
			if early != nil {
				c.confront(s, early)
			}
		}
		c.insert(from, p.hash, &p.Block, p)
		if _, _, _, _, known := c.parent(&p.Block.Header); !known {
			c.fetchParent(&p.Block.Header, from)
		}
	case s.proposal.hash != p.hash:
		if mutant.On(mutant.SecondProposalPanics) {
			panic("consensus: two proposals of one view")
		}
		s.equivocated = true
	}
	c.onVote(from, &p.LeaderVote)
	c.shed()
}

// onVote counts a vote once per kind, view and signer.
func (c *Core) onVote(from int, v *Vote) {
	if int(v.Signer) == c.self {
		c.checkOwn(v)
		return
	}
	if v.View < c.view {
		c.helpLate(from, v.View)
	}
	if v.View <= c.fin.View || v.View > c.horizon() {
		return
	}
	if v.Kind == Nullify && int(v.Signer) == c.sched.Leader(c.view) && c.sched.sameTerm(v.View, c.view) {
		c.expired = true
	}
	c.count(v)
}

// checkOwn stops a node whose key also signs elsewhere: a valid own vote that
// the log does not know can have no other source.
func (c *Core) checkOwn(v *Vote) {
	if c.rejoin.amnesia || v.View <= c.fin.View || mutant.On(mutant.ForeignOwnVoteIgnored) {
		return
	}
	known := false
	switch v.Kind {
	case Notarize:
		known = c.own.voted[v.View] == v.Hash
	case Nullify:
		known = c.own.nulled[v.View]
	case Finalize:
		known = c.own.fined[v.View] == v.Hash
	}
	if !known {
		c.fault("this validator's key signed %s of view %d elsewhere: another process runs with the same key", v.Kind, v.View)
	}
}

// count tallies a vote, reports a contradiction, and makes the certificate at
// the quorum.
func (c *Core) count(v *Vote) {
	s := c.viewAt(v.View)
	n := c.cfg.Committee.Size()
	if s.votes[v.Kind] == nil {
		s.votes[v.Kind] = make([]*Vote, n)
	}
	if first := s.votes[v.Kind][v.Signer]; first != nil {
		if first.Hash != v.Hash {
			c.accuse(s, first, v)
		}
		if first.Hash != v.Hash || !mutant.On(mutant.SignerCountedTwice) {
			return
		}
		s.votes[v.Kind] = append(s.votes[v.Kind], v)
	}
	s.votes[v.Kind][v.Signer] = v
	c.crossCheck(s, v)
	c.confront(s, v)
	if s.cert(v.Kind) != nil {
		return
	}
	equal := 0
	for _, other := range s.votes[v.Kind] {
		if other != nil && (other.Hash == v.Hash || mutant.On(mutant.HashesMixed)) {
			equal++
		}
	}
	if equal >= c.cfg.Committee.Quorum() {
		c.onCert(assemble(v, equal, s.votes[v.Kind][:n]))
	}
}

// crossCheck looks for a NULLIFY and a FINALIZE of one signer that exclude
// each other.
func (c *Core) crossCheck(s *viewState, v *Vote) {
	other, low, high := Nullify, c.sched.Start(v.View), v.View
	if mutant.On(mutant.EvidenceAcrossTerms) {
		low = 0
	}
	if v.Kind == Nullify {
		other, low, high = Finalize, v.View, min(c.sched.Next(v.View)-1, c.horizon())
	} else if v.Kind == Notarize {
		return
	}
	for u := max(low, c.fin.View+1); u <= high; u++ {
		t := c.views[u]
		if t != nil && t.votes[other] != nil && t.votes[other][v.Signer] != nil {
			c.accuse(s, t.votes[other][v.Signer], v)
		}
	}
}

func (s *viewState) cert(k Kind) *Cert {
	switch k {
	case Notarize:
		return s.notar
	case Nullify:
		return s.nul
	default:
		return s.final
	}
}

// onCert takes a verified or own certificate in. Certificates are never
// refused for being far ahead: a quorum signed them.
func (c *Core) onCert(cert *Cert) {
	if cert.View <= c.fin.View {
		return
	}
	s := c.viewAt(cert.View)
	if s.cert(cert.Kind) != nil {
		return
	}
	switch cert.Kind {
	case Notarize:
		s.notar, s.notarAt = cert, c.now.Mono
		c.markNotarized(cert.View, cert.Hash, c.signerOf(cert))
		c.tryFinalize(cert.View, cert.Hash, cert)
	case Nullify:
		s.nul = cert
		c.topNull = max(c.topNull, c.sched.Next(cert.View))
		c.send(Everyone, LaneCert, cert)
	case Finalize:
		s.final, c.unsettled = cert, true
		c.markNotarized(cert.View, cert.Hash, c.signerOf(cert))
		c.aim(commitGoal{target: cert.Hash, view: cert.View, cert: cert})
	}
}

// aim remembers the newest proof of finality.
func (c *Core) aim(g commitGoal) {
	if c.pending == nil || g.view > c.pending.view {
		c.pending, c.unsettled = &g, true
	}
}

// signerOf names a peer that signed a certificate, to ask it for the block.
func (c *Core) signerOf(cert *Cert) int {
	for _, i := range cert.Signers() {
		if i != c.self && c.peers[i].up {
			return i
		}
	}
	return c.anyPeer(cert.View)
}

// vote signs a vote, logs it and sends it to everyone; the caller has checked
// the rule that allows it and gives the record that S5 asks for.
func (c *Core) vote(kind Kind, view uint64, hash common.Hash, r Record) {
	c.out.Record = append(c.out.Record, r)
	c.resentAt = c.now.Mono
	v := c.sign(kind, view, hash)
	c.send(Everyone, LaneVote, v)
	c.count(v)
}

// sign returns an own vote. One that is in the tallies is not signed anew: peers
// can ask for it many times in a view that does not end.
func (c *Core) sign(kind Kind, view uint64, hash common.Hash) *Vote {
	if s := c.views[view]; s != nil && s.votes[kind] != nil {
		if v := s.votes[kind][c.self]; v != nil && v.Hash == hash {
			return v
		}
	}
	digest := Digest(c.cfg.Network, kind, c.cfg.Epoch, view, hash)
	return &Vote{Kind: kind, Epoch: c.cfg.Epoch, View: view, Hash: hash, Signer: uint16(c.self), Sig: c.cfg.Signer.Sign(digest)}
}

func (c *Core) nullify(u uint64) {
	if !c.voting(u) || u <= c.fin.View || !c.own.mayNullify(u) {
		return
	}
	c.own.nullified(u)
	if mutant.On(mutant.CoverByOwnNullify) {
		c.topNull = max(c.topNull, c.sched.Next(u))
	}
	c.vote(Nullify, u, common.Hash{}, Record{Type: RecordNullify, Epoch: c.cfg.Epoch, View: u})
}

// tryFinalize finalizes a block whose notarization was seen, if S3 allows it.
func (c *Core) tryFinalize(v uint64, hash common.Hash, notar *Cert) {
	if v <= c.fin.View || !c.voting(v) || !c.own.mayFinalize(v) {
		return
	}
	c.own.finalized(v, hash)
	c.vote(Finalize, v, hash, finalizeRecord(notar))
	if n := c.blocks[hash]; n != nil && mutant.On(mutant.FinalizeOnIndirect) && c.sched.sameTerm(n.block.Header.ParentView, v) {
		c.tryFinalize(n.block.Header.ParentView, n.block.Header.ParentHash, notar)
	}
}

// castVotes notarizes what it may in the current view and the window ahead of
// it. It reports whether it signed anything.
func (c *Core) castVotes() bool {
	cast := false
	end := min(c.sched.Next(c.view)-1, c.view+c.cfg.Window)
	for v := c.view; v <= end; v++ {
		s := c.views[v]
		if s == nil || !c.voting(v) {
			continue
		}
		n := (*blockNode)(nil)
		if s.proposal != nil {
			n = c.blocks[s.proposal.hash]
		}
		if v == c.view && ((s.equivocated && !mutant.On(mutant.VoteTwice)) || (n != nil && n.verdict == Invalid && !n.votable())) {
			if c.own.mayNullify(v) {
				c.nullify(v)
				cast = true
			}
			continue
		}
		if n == nil || n.proposal == nil || !n.votable() || c.tooEarly(n) || v-1-c.anchor(v) > c.cfg.Window {
			continue
		}
		if !c.own.mayNotarize(&n.block.Header, c) {
			c.askMissing(s, n)
			continue
		}
		c.own.notarized(v, n.hash)
		s.votedAt = c.now.Mono
		c.vote(Notarize, v, n.hash, c.notarizeRecord(n.proposal))
		cast = true
	}
	return cast
}

// votable reports that the application and the header's rules allow a vote.
func (n *blockNode) votable() bool {
	return n.verdict == Valid || (n.verdict == Invalid && mutant.On(mutant.InvalidBlockVoted))
}

// tooEarly reports that a block's time is ahead of the local clock. A block
// with the least time that its parent allows never waits: clocks that were set
// back must not halt the chain.
func (c *Core) tooEarly(n *blockNode) bool {
	h := &n.block.Header
	limit := c.now.UnixMs + uint64(c.cfg.Timing.MaxDrift.Milliseconds())
	if h.TimeMs <= limit || h.TimeMs == n.parentTime+1 || mutant.On(mutant.ClockUnchecked) {
		return false
	}
	c.wake(c.now.Mono + millis(h.TimeMs-limit))
	return true
}

// askMissing requests the certificates without which a valid proposal cannot
// be voted for.
func (c *Core) askMissing(s *viewState, n *blockNode) {
	h := &n.block.Header
	if _, done := c.own.voted[h.View]; done || c.own.nulled[h.View] || h.ParentView < c.fin.View {
		return
	}
	if s.asked && c.now.Mono < s.askedAt+c.cfg.Timing.Delta {
		c.wake(s.askedAt + c.cfg.Timing.Delta)
		return
	}
	s.asked, s.askedAt = true, c.now.Mono
	c.wake(s.askedAt + c.cfg.Timing.Delta)
	c.send(c.sched.Leader(h.View), LaneCert, &CertRequest{Epoch: c.cfg.Epoch, From: max(h.ParentView, c.fin.View+1), To: h.View - 1})
}
