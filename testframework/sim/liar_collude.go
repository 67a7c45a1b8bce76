package sim

import (
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// conspiracy is what all liars that collude share: what one of them hears all know, and each signs what
// any of them needs. For some terms at a time they follow one plan:
//
//	fork   leaders propose two chains to two sides of the network, and all sign both
//	split  votes of one view contradict each other between the sides; one node alone hears of finality
//	hide   votes are kept back, the certificates that they complete come late, to one node each
//	loyal  as the rules say
//
// With f of them agreement holds. With f+1 there is a way to have two certificates of everything.
type conspiracy struct {
	w       *World
	members []*liar // by node
	plan    plan
	until   uint64 // view from which another plan is made
	sides   uint64 // nodes that see the second chain
	crossed bool   // the second chain has one block, then its side is asked to follow the first
	lucky   int    // the node that alone hears what others do not
	twins   map[common.Hash]*consensus.Proposal
	ballots []*ballot
	byVote  map[ballotKey]*ballot
	vault   []secret
}

type plan uint8

const (
	planFork plan = iota
	planSplit
	planHide
	planLoyal
)

// ballot collects what validators signed for one thing.
type ballot struct {
	ballotKey
	votes []*consensus.Vote // by signer
	done  bool
}

type ballotKey struct {
	kind consensus.Kind
	view uint64
	hash common.Hash
}

// secret is a certificate that is shown late.
type secret struct {
	cert *consensus.Cert
	at   time.Duration
}

// Bounds of a conspiracy's memory.
const (
	maxVault   = 64
	keptBallot = 40 // views below the highest heard of
)

func newConspiracy(w *World) *conspiracy {
	return &conspiracy{w: w, plan: planFork, twins: map[common.Hash]*consensus.Proposal{}, byVote: map[ballotKey]*ballot{}}
}

// second reports whether a node is on the side of the second chain. Members and their cores follow the first.
func (c *conspiracy) second(n *node) bool { return n.liar == nil && c.sides>>n.index&1 != 0 }

// scheme makes a plan for the next views, and divides the network.
func (c *conspiracy) scheme(view uint64) {
	rng := c.w.rng
	c.until = view + 1 + rng.Uint64N(2*c.w.scenario.Term*uint64(c.w.scenario.Validators))
	c.plan = []plan{planFork, planFork, planFork, planSplit, planSplit, planHide, planLoyal}[rng.IntN(7)]
	var honest []int
	for _, n := range c.w.nodes {
		if n.liar == nil {
			honest = append(honest, n.index)
		}
	}
	if len(honest) == 0 {
		return
	}
	rng.Shuffle(len(honest), func(i, j int) { honest[i], honest[j] = honest[j], honest[i] })
	cut := (len(honest) + rng.IntN(2)) / 2
	if rng.IntN(3) == 0 {
		cut = rng.IntN(len(honest) + 1)
	}
	c.sides, c.crossed = 0, rng.IntN(3) == 0
	for _, i := range honest[:cut] {
		c.sides |= 1 << i
	}
	c.lucky = honest[rng.IntN(len(honest))]
}

// conspire is the conspiracy's own initiative, once every Δ: the first member that runs takes it.
func conspire(l *liar) {
	c := l.plot
	for _, other := range c.members {
		if other.n.up && other.n.paused <= c.w.now {
			if other != l {
				return
			}
			break
		}
	}
	view := l.view()
	if view >= c.until {
		c.scheme(view)
	}
	c.release(l)
	c.prune(view)
	if c.plan == planSplit {
		c.split(l, view)
	}
}

// split gives the current view up towards one side, and makes it final towards the other.
func (c *conspiracy) split(l *liar, view uint64) {
	hash := l.proposedIn(view)
	for _, to := range c.w.nodes {
		if to.liar != nil {
			continue
		}
		for _, m := range c.members {
			if c.second(to) {
				l.send(to, consensus.LaneVote, speech{message: m.vote(consensus.Nullify, view, common.Hash{})})
			} else if to.index == c.lucky {
				l.send(to, consensus.LaneVote, speech{message: m.vote(consensus.Finalize, view, hash)})
			}
		}
	}
}

// collude changes what a member's core says.
func collude(l *liar, to *node, m consensus.Message) []speech {
	c := l.plot
	if to.liar != nil {
		return same(m)
	}
	switch m := m.(type) {
	case *consensus.Proposal:
		if c.plan == planFork && l.leads(m) {
			return c.fork(l, to, m)
		}
	case *consensus.Vote:
		return c.cast(l, to, m)
	case *consensus.Cert:
		return c.certs(to, m, []*consensus.Cert{m})
	case *consensus.CertResponse:
		return c.certs(to, m, m.Certs)
	case *consensus.BlockResponse:
		if c.plan == planFork && c.second(to) && !c.crossed || c.plan == planHide && l.chance(0.5) {
			return nil
		}
	}
	return same(m)
}

// fork proposes the block or its twin, whichever belongs to the receiver's side.
func (c *conspiracy) fork(l *liar, to *node, p *consensus.Proposal) []speech {
	hash := p.Block.Header.Hash()
	t := c.twins[hash]
	if t == nil {
		if c.crossed && c.twins[p.Block.Header.ParentHash] != nil {
			return same(p)
		}
		t = c.twin(l, p)
		c.twins[hash] = t
		defer c.support(l, p.Block.Header.View, hash, t.Block.Header.Hash())
	}
	if c.second(to) {
		return same(t)
	}
	return same(p)
}

// twin is the block of the second chain: a child of the parent's twin, if that has one.
func (c *conspiracy) twin(l *liar, p *consensus.Proposal) *consensus.Proposal {
	t := copyOf(p)
	h := &t.Block.Header
	later(&t.Block)
	if c.w.rng.IntN(2) == 0 {
		t.Block.Payload, t.Block.Data = idle(t.Block.Payload), nil
		h.PayloadHash = crypto.Keccak256Hash(t.Block.Payload)
	}
	if up := c.twins[h.ParentHash]; up != nil {
		h.ParentHash = up.Block.Header.Hash()
		t.Justify = consensus.Justify{}
		if b := c.byVote[ballotKey{consensus.Notarize, h.ParentView, h.ParentHash}]; b != nil {
			t.Justify.Parent = c.complete(b)
		}
	}
	t.LeaderVote = *l.vote(consensus.Notarize, h.View, h.Hash())
	return t
}

// support signs both blocks of a view, and asks to commit both, each towards its side. Where the second
// side is to follow the first chain later, its own block gets its votes when it knows the other's child.
func (c *conspiracy) support(l *liar, view uint64, first, second common.Hash) {
	for _, m := range c.members {
		for _, to := range c.w.nodes {
			if to.liar != nil {
				continue
			}
			hash, after := first, time.Duration(0)
			if c.second(to) {
				hash = second
				if c.crossed {
					after = c.w.scenario.Timing.Delta
				}
			}
			l.send(to, consensus.LaneVote, speech{m.vote(consensus.Notarize, view, hash), after})
			l.send(to, consensus.LaneVote, speech{m.vote(consensus.Finalize, view, hash), after})
		}
	}
}

// cast sends a member's vote by the plan.
func (c *conspiracy) cast(l *liar, to *node, v *consensus.Vote) []speech {
	switch c.plan {
	case planFork:
		if t := c.twins[v.Hash]; t != nil && c.second(to) {
			if c.crossed {
				return nil
			}
			return same(l.vote(v.Kind, v.View, t.Block.Header.Hash()))
		}
	case planSplit:
		switch {
		case v.Kind == consensus.Nullify && !c.second(to):
			return nil
		case v.Kind == consensus.Finalize && to.index != c.lucky, v.Kind == consensus.Notarize && c.second(to):
			return same(l.vote(consensus.Nullify, v.View, common.Hash{}))
		}
	case planHide:
		if to.index != c.lucky {
			return nil
		}
	}
	return same(v)
}

// certs keeps certificates from those who shall not see them yet.
func (c *conspiracy) certs(to *node, m consensus.Message, list []*consensus.Cert) []speech {
	for _, cert := range list {
		switch {
		case c.plan == planFork && c.second(to) && c.twins[cert.Hash] != nil:
			return nil
		case c.plan == planHide || c.plan == planSplit && to.index != c.lucky:
			c.keep(cert)
			return nil
		}
	}
	return same(m)
}

// keep puts a certificate away to show it later.
func (c *conspiracy) keep(cert *consensus.Cert) {
	if len(c.vault) < maxVault {
		c.vault = append(c.vault, secret{cert, c.w.now + c.w.upTo(20*c.w.scenario.Timing.Delta)})
	}
}

// release shows certificates whose time has come, mostly to one node.
func (c *conspiracy) release(l *liar) {
	kept := c.vault[:0]
	for _, s := range c.vault {
		switch {
		case s.at > c.w.now:
			kept = append(kept, s)
		case c.w.rng.IntN(8) == 0:
			l.tell(consensus.LaneCert, s.cert)
		default:
			l.send(l.somebody(), consensus.LaneCert, speech{message: s.cert})
		}
	}
	c.vault = kept
}

// overhear counts a vote that any member heard, and completes certificates with the members' own votes.
func overhear(l *liar, m consensus.Message) {
	c := l.plot
	var v *consensus.Vote
	switch m := m.(type) {
	case *consensus.Vote:
		v = m
	case *consensus.Proposal:
		v = &m.LeaderVote
	}
	if v == nil {
		return
	}
	k := ballotKey{v.Kind, v.View, v.Hash}
	b := c.byVote[k]
	if b == nil {
		b = &ballot{ballotKey: k, votes: make([]*consensus.Vote, c.w.scenario.Validators)}
		c.byVote[k] = b
		c.ballots = append(c.ballots, b)
	}
	b.votes[v.Signer] = v
	if !b.done {
		if cert := c.complete(b); cert != nil {
			b.done = true
			c.keep(cert)
		}
	}
}

// complete makes a certificate if the members' signatures are all that it lacks.
func (c *conspiracy) complete(b *ballot) *consensus.Cert {
	count := len(c.members)
	for i, v := range b.votes {
		if v != nil && !c.member(i) {
			count++
		}
	}
	if count < consensus.Quorum(len(b.votes)) {
		return nil
	}
	votes := slices.Clone(b.votes)
	for _, m := range c.members {
		votes[m.n.signer] = m.vote(b.kind, b.view, b.hash)
	}
	return certificate(b.kind, b.view, b.hash, votes)
}

func (c *conspiracy) member(i int) bool {
	return slices.ContainsFunc(c.members, func(m *liar) bool { return m.n.signer == i })
}

// prune forgets views that are long over.
func (c *conspiracy) prune(view uint64) {
	if view <= keptBallot || len(c.ballots) < 8*keptBallot {
		return
	}
	low := view - keptBallot
	c.ballots = slices.DeleteFunc(c.ballots, func(b *ballot) bool {
		if b.view < low || b.view > view+keptBallot {
			delete(c.byVote, b.ballotKey)
			return true
		}
		return false
	})
	for hash, t := range c.twins {
		if t.Block.Header.View < low {
			delete(c.twins, hash)
		}
	}
}
