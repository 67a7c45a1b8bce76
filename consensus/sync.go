package consensus

import (
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// This file helps peers and asks them for help: certificates, single blocks by
// hash, ranges of final blocks. Catching up is not a mode: what arrives goes
// through the same handlers, and a replica that finds itself leader proposes.

var noHash common.Hash

type peerState struct {
	up       bool
	heardAt  time.Duration // zero: never
	helpedAt time.Duration
	helped   bool
	// What the peer said last.
	finHeight, finView uint64
	status             bool
	observer           bool
	view               uint64
	claimedAt          time.Duration // when it first claimed a height above ours
	shunnedTo          time.Duration // not asked for ranges before, unless all are shunned
	// What blocks the peer had lately, in bytes, as of drawnAt.
	drawn   int
	drawnAt time.Duration
}

// fetch is one wanted block.
type fetch struct {
	hash  common.Hash
	view  uint64
	at    time.Duration // when it was asked for last, if asked
	asked uint          // how often
	next  int           // the peer to ask next
	tries int           // left; negative for a block that a certificate names
}

// maxFetches bounds the blocks asked for at once; the rest is asked for when
// these arrive.
const maxFetches = 64

// catchUp is the one outstanding range request.
type catchUp struct {
	active bool
	peer   int
	from   uint64 // first height asked for
	at     time.Duration
}

const (
	// rangeCount is how many blocks one range request asks for.
	rangeCount = 64
	// rangeTimeout is how long a peer may take to answer before the next one
	// is asked.
	rangeTimeout = 2 * time.Second
	// maxExecutionLag is how many delivered blocks may wait for execution
	// before catch-up pauses.
	maxExecutionLag = 256
	// maxHelpViews bounds the views that one help message covers.
	maxHelpViews = 32
)

func (c *Core) heard(from int) {
	p := &c.peers[from]
	p.up, p.heardAt = true, max(c.now.Mono, 1)
}

func (c *Core) peerUp(peer int) {
	c.heard(peer)
	c.tellStatus(peer)
	c.resend(peer)
}

// anyPeer picks a connected peer, spread by view.
func (c *Core) anyPeer(view uint64) int {
	n := len(c.peers)
	for i := range n {
		p := int((view + uint64(i)) % uint64(n))
		if p != c.self && c.peers[p].up {
			return p
		}
	}
	return Everyone
}

// help sends a peer what it needs to leave view x, at most every Δ/4.
func (c *Core) help(peer int, x uint64) {
	p := &c.peers[peer]
	if p.helped && c.now.Mono < p.helpedAt+c.cfg.Timing.Delta/4 {
		return
	}
	p.helped, p.helpedAt = true, c.now.Mono
	c.certsFor(peer, x)
	v := c.view
	if c.self < 0 || !c.repeats(v) {
		return
	}
	if hash, ok := c.own.voted[v]; ok {
		c.send(peer, LaneVote, c.sign(Notarize, v, hash))
	}
	if c.own.nulled[v] {
		c.send(peer, LaneVote, c.sign(Nullify, v, noHash))
	}
}

// certsFor sends the finalization, the certificates of views from x on, and,
// as leader, the current proposal.
func (c *Core) certsFor(to int, x uint64) {
	if !mutant.On(mutant.NoCertificatesInHelp) {
		c.sendCerts(to, c.certificates(x, c.view, maxHelpViews))
	}
	if s := c.views[c.view]; s != nil && s.proposal != nil && c.sched.Leader(c.view) == c.self {
		c.send(to, LaneProposal, s.proposal)
	}
}

// maxCertBytes is how much one message with certificates carries: what is
// below the cap of the certificate lane's frames.
const maxCertBytes = 48 << 10

// sendCerts sends certificates in as many messages as they need.
func (c *Core) sendCerts(to int, certs []*Cert) {
	for len(certs) > 0 {
		n, size := 0, 0
		for n < len(certs) && (n == 0 || size+certs[n].size() <= maxCertBytes) {
			size += certs[n].size()
			n++
		}
		c.send(to, LaneCert, &CertResponse{Certs: certs[:n:n]})
		certs = certs[n:]
	}
}

// certificates lists the finalization, what covers view from, what is known
// about the views from it up to another, and with what room is left about
// those below it in its term.
func (c *Core) certificates(from, to uint64, limit int) []*Cert {
	var certs []*Cert
	if c.fin.Finalization != nil {
		certs = append(certs, c.fin.Finalization)
	}
	add := func(v uint64) {
		if s := c.views[v]; s != nil {
			for _, cert := range []*Cert{s.notar, s.nul, s.final} {
				if cert != nil {
					certs = append(certs, cert)
				}
			}
		}
	}
	from = max(from, c.fin.View+1)
	if n := c.covering(from); n != nil && n.View < from {
		certs = append(certs, n)
	}
	for v := from; v <= to && limit > 0 && len(certs)+3 <= maxCertsPerAnswer; v++ {
		limit--
		add(v)
	}
	for v := from - 1; v >= max(c.sched.Start(from), c.fin.View+1) && limit > 0 && len(certs)+3 <= maxCertsPerAnswer; v-- {
		limit--
		add(v)
	}
	return certs
}

// helpLate helps the sender of a vote for a view that was left more than Δ ago.
func (c *Core) helpLate(from int, view uint64) {
	if view >= c.view {
		return
	}
	for _, l := range slices.Backward(c.left) {
		if l.view <= view {
			if l.view == view && c.now.Mono < l.at+c.cfg.Timing.Delta {
				return
			}
			break
		}
		if c.now.Mono < l.at+c.cfg.Timing.Delta && l.view <= view+c.cfg.Window+1 {
			return // Left only just: the vote crossed ours on the way.
		}
	}
	c.help(from, view)
}

func (c *Core) onStatus(from int, s *Status) {
	if s.Epoch != c.cfg.Epoch {
		return
	}
	p := &c.peers[from]
	if s.FinHeight > c.fin.Height && p.finHeight <= c.fin.Height {
		p.claimedAt = c.now.Mono
	}
	p.finHeight, p.finView, p.view = s.FinHeight, s.FinView, s.View
	p.status, p.observer = true, s.Observer
	c.rejoinCheck()
	if s.FinView < c.fin.View || s.View < c.view {
		c.help(from, s.View)
	}
}

func (c *Core) onCertRequest(from int, r *CertRequest) {
	if r.Epoch != c.cfg.Epoch || r.To < r.From {
		return
	}
	p := &c.peers[from]
	if p.helped && c.now.Mono < p.helpedAt+c.cfg.Timing.Delta/4 {
		return
	}
	p.helped, p.helpedAt = true, c.now.Mono
	c.sendCerts(from, c.certificates(r.From, min(r.To, c.horizon()), maxHelpViews+int(c.cfg.Term)))
}

// onBlockRequest answers with a proposal and its undelivered ancestors, or has
// the driver answer with stored blocks.
func (c *Core) onBlockRequest(from int, r *BlockRequest) {
	if r.Hash == noHash {
		if r.From > 0 && r.From <= c.fin.Height && c.draw(from, c.cfg.MaxBlockBytes) {
			c.out.Serve = append(c.out.Serve, RangeRequest{Peer: from, From: r.From, Count: min(r.Count, MaxBlocksPerRange)})
		}
		return
	}
	var found []*Proposal
	size := 0
	for hash := r.Hash; len(found) < maxProposals; {
		p := c.proposalOf(hash)
		if p == nil {
			break
		}
		size += len(p.Block.Payload) + len(p.Block.Data)
		if len(found) > 0 && size > c.cfg.MaxBlockBytes {
			break
		}
		found = append(found, p)
		size += justifyOverhead
		hash = p.Block.Header.ParentHash
		if hash == c.fin.Hash {
			break
		}
	}
	if len(found) > 0 && c.draw(from, size) {
		c.send(from, LaneSync, &BlockResponse{Proposals: found})
	}
}

// justifyOverhead stands for the header and certificates of a proposal where
// its size matters only roughly.
const justifyOverhead = 1 << 10

func (c *Core) proposalOf(hash common.Hash) *Proposal {
	if n := c.blocks[hash]; n != nil && (n.verdict == Valid || c.own.voted[n.block.Header.View] == hash) {
		return n.proposal // Data that nobody judged may be wrong.
	}
	for _, p := range c.recent {
		if p.hash == hash {
			return p
		}
	}
	return nil
}

func (c *Core) onBlockResponse(from int, r *BlockResponse) {
	for _, p := range r.Proposals {
		if p.Block.Header.View > c.fin.View {
			c.onProposal(from, p)
			// A requested block comes with ancestors that it waits for.
			if n := c.blocks[p.hash]; n == nil && c.wantedParent(p) {
				c.insert(from, p.hash, &p.Block, p)
			}
		}
	}
	if len(r.Blocks) == 0 {
		return
	}
	if c.catchUp.active && c.catchUp.peer == from {
		c.catchUp.active = false
		if c.stingy(r) || c.now.Mono > c.catchUp.at+rangeTimeout/2 {
			c.shun(from) // Perhaps another one gives more, or is faster.
		}
		c.catchUp.at = c.now.Mono
	}
	// Only a range that continues the own chain is of use: its hashes lead
	// from the tip to a verified finalization.
	first := 0
	for first < len(r.Blocks) && r.Blocks[first].Header.Height <= c.fin.Height {
		if b := r.Blocks[first]; mutant.On(mutant.DeliversTwice) {
			c.out.Final = append(c.out.Final, FinalBlock{Block: b, Hash: b.Header.Hash()})
		}
		first++
	}
	if first == len(r.Blocks) {
		return // What was asked for came by itself meanwhile, or was not sent.
	}
	if r.Blocks[first].Header.ParentHash != c.fin.Hash {
		c.shun(from)
		return
	}
	for _, b := range r.Blocks[first:] {
		c.insert(from, b.Header.Hash(), b, nil)
	}
	last := r.Blocks[len(r.Blocks)-1]
	if len(r.Headers) == 0 {
		c.onCert(r.Finalization)
	}
	c.ranged, c.unsettled = &commitGoal{target: last.Header.Hash(), view: last.Header.View, cert: r.Finalization}, true
}

// maxForks bounds the blocks of one view that are kept though no certificate
// names them: their leader can sign any number.
const maxForks = 4

// stingy reports that an answer ends before what was asked for, though neither
// the peer's chain nor the size of an answer does.
func (c *Core) stingy(r *BlockResponse) bool {
	last, size := r.Blocks[len(r.Blocks)-1].Header.Height, 0
	for _, b := range r.Blocks {
		size += len(b.Payload) + len(b.Data)
	}
	return last < min(c.catchUp.from+rangeCount-1, c.peers[c.catchUp.peer].finHeight) && size < c.cfg.MaxBlockBytes
}

// wantedParent reports that a known block waits for this one as its parent.
func (c *Core) wantedParent(p *Proposal) bool {
	h := &p.Block.Header
	if s := c.views[h.View]; s != nil && s.inotar == p.hash {
		return true
	}
	wanted, forks := false, 0
	for _, n := range c.blocks {
		child := &n.block.Header
		if child.View == h.View {
			forks++
		}
		if child.ParentHash == p.hash && child.ParentView == h.View && h.View < child.View && n.verdict == 0 && !n.judging {
			wanted = true
		}
	}
	return wanted && forks < maxForks
}

// shunTime is how long a peer that failed to answer a range request is not
// asked again while there are others.
const shunTime = 20 * time.Second

func (c *Core) shun(peer int) {
	c.peers[peer].shunnedTo = c.now.Mono + shunTime
}

// fetch asks for one block by hash, source first; repeated until it arrives or
// no longer matters.
func (c *Core) fetch(hash common.Hash, view uint64, source int) {
	c.fetchTries(hash, view, source, -1)
}

// fetchParent asks for the parent that a proposal names. Nothing proves that
// it exists, so it is asked for a few times only.
func (c *Core) fetchParent(h *Header, source int) {
	if h.ParentView < h.View {
		c.fetchTries(h.ParentHash, h.ParentView, source, len(c.peers)+1)
	}
}

func (c *Core) fetchTries(hash common.Hash, view uint64, source, tries int) {
	if hash == c.fin.Hash || view <= c.fin.View || c.fetching(hash) {
		return
	}
	if s := c.views[view]; s != nil && s.proposal != nil && s.proposal.hash != hash && mutant.On(mutant.NeverFetchesNotarizedSibling) {
		return
	}
	if len(c.fetches) >= maxFetches {
		idle := slices.IndexFunc(c.fetches, func(f *fetch) bool { return f.tries >= 0 })
		if tries >= 0 || idle < 0 {
			return
		}
		c.fetches = slices.Delete(c.fetches, idle, idle+1) // Certified blocks first.
	}
	if source == Everyone || source == c.self || !c.peers[source].up {
		source = c.anyPeer(view)
	}
	c.fetches = append(c.fetches, &fetch{hash: hash, view: view, next: source, tries: tries})
	c.askNext()
}

// maxAsked bounds the blocks that are asked for and not given up at a time: an
// answer brings the ancestors too, so asking for each of a long chain would bring
// all of it as often as it has blocks.
const maxAsked = 4

// askNext asks for the highest blocks that are due, as many as may be under way.
func (c *Core) askNext() {
	for {
		var next *fetch
		under := 0
		for _, f := range c.fetches {
			switch {
			case f.asked > 0 && c.now.Mono < c.patience(f):
				under++
			case f.asked > 0 && mutant.On(mutant.FetchWithoutRetry):
			case next == nil || f.view > next.view:
				next = f
			}
		}
		if next == nil || under >= maxAsked {
			return
		}
		c.ask(next)
	}
}

// patience is until when an answer is awaited: Δ at first, up to 8Δ where links
// are slower than what was asked for.
func (c *Core) patience(f *fetch) time.Duration {
	return f.at + c.cfg.Timing.Delta<<min(max(f.asked, 1)-1, 3)
}

func (c *Core) ask(f *fetch) {
	if n := c.blocks[f.hash]; n != nil && f.asked > 0 && f.tries%len(c.peers) == 0 {
		clear(n.unfit)
	}
	f.at = c.now.Mono
	f.asked++
	f.tries--
	if f.next != Everyone {
		c.send(f.next, LaneSync, &BlockRequest{Hash: f.hash})
		f.next = c.anyPeer(uint64(f.next) + 1)
	} else {
		f.next = c.anyPeer(f.view)
	}
	c.wake(c.patience(f))
}

func (c *Core) fetching(hash common.Hash) bool {
	return slices.ContainsFunc(c.fetches, func(f *fetch) bool { return f.hash == hash })
}

func (c *Core) dropFetch(hash common.Hash) {
	c.fetches = slices.DeleteFunc(c.fetches, func(f *fetch) bool { return f.hash == hash })
}

func (c *Core) retryFetches() {
	if len(c.fetches) == 0 {
		return
	}
	c.fetches = slices.DeleteFunc(c.fetches, func(f *fetch) bool {
		return f.tries == 0 && c.now.Mono >= c.patience(f)
	})
	c.askNext()
	for _, f := range c.fetches {
		if f.asked > 0 && c.now.Mono < c.patience(f) {
			c.wake(c.patience(f))
		}
	}
}

// syncRange asks a peer that is ahead for the blocks after the tip,
// when they do not come by themselves.
func (c *Core) syncRange() {
	if c.catchUp.active {
		if c.now.Mono < c.catchUp.at+rangeTimeout {
			c.wake(c.catchUp.at + rangeTimeout)
			return
		}
		c.catchUp.active = false
		c.shun(c.catchUp.peer)
	}
	if c.ranged != nil && c.now.Mono < c.catchUp.at+rangeTimeout {
		c.wake(c.catchUp.at + rangeTimeout)
		return // The last range is being judged.
	}
	if c.fin.Height > c.execTip.Height+maxExecutionLag && c.provenItself() {
		return
	}
	next := c.rangeSource()
	if next < 0 {
		return
	}
	p := &c.peers[next]
	wait := max(p.claimedAt, c.finAt) + 2*c.cfg.Timing.Delta
	if p.finHeight <= c.fin.Height+8 && c.now.Mono < wait {
		c.wake(wait)
		return
	}
	c.catchUp = catchUp{active: true, peer: next, from: c.fin.Height + 1, at: c.now.Mono}
	c.send(next, LaneSync, &BlockRequest{From: c.fin.Height + 1, Count: rangeCount})
	c.wake(c.now.Mono + rangeTimeout)
}

// provenItself reports that the final tip has a finalization of its own. Only such a
// block is ever reported as executed: where one finalization made hundreds of
// blocks final, waiting for the execution of one in between would be for ever.
func (c *Core) provenItself() bool {
	return c.fin.Finalization != nil && c.fin.Finalization.Hash == c.fin.Hash
}

// rangeSource picks the peer to ask for a range: the last one as long as it
// serves well, otherwise the next in turn that claims to be ahead. The highest
// claim does not count: a liar must not be asked for ever.
func (c *Core) rangeSource() int {
	shunned := -1
	for i := range c.peers {
		at := (c.catchUp.peer + i) % len(c.peers)
		p := &c.peers[at]
		if at == c.self || !p.up || p.finHeight <= c.fin.Height {
			continue
		}
		if p.shunnedTo <= c.now.Mono {
			return at
		}
		if shunned < 0 || p.shunnedTo < c.peers[shunned].shunnedTo {
			shunned = at
		}
	}
	return shunned
}

// The bytes that one peer may draw: a burst of 16 full blocks, then one more
// every Δ/16.
const drawBurst = 16

// draw reports whether a peer may have some more bytes, and counts them.
func (c *Core) draw(peer, size int) bool {
	p := &c.peers[peer]
	unit := max(c.cfg.Timing.Delta/drawBurst, 1)
	if back := int64((c.now.Mono - p.drawnAt) / unit); back > 0 {
		p.drawnAt = c.now.Mono
		p.drawn -= int(min(int64(p.drawn), min(back, drawBurst)*int64(c.cfg.MaxBlockBytes)))
	}
	if p.drawn > drawBurst*c.cfg.MaxBlockBytes {
		return false
	}
	p.drawn += size
	return true
}
