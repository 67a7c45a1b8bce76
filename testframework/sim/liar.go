package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// liar wraps the honest core of a Byzantine validator: it decides what is sent of what the core says, and
// may say things by itself. What it sends is encoded, decoded and verified as by a receiver.
type liar struct {
	n          *node
	strategies []strategy
	censors    bool
	plot       *conspiracy // nil unless it colludes
	// heard is a ring of the latest messages, what its own core said among them.
	heard []consensus.Message
	at    int
	// whim decides what all receivers shall see alike; drawn anew every Δ.
	whim uint64
	// passed are the latest messages that were verified: most have several receivers.
	passed   [8]verdict
	passedAt int
	// versions are the latest changed proposals.
	versions [4]version
	versionN int
	audience uint64 // nodes that a selective liar talks to
	muted    uint16 // kinds of messages that it keeps to itself
	rushedAt uint64 // the latest view with a hasty proposal
}

// verdict is a message with what the verifier made of it: a nil packet was refused.
type verdict struct {
	message consensus.Message
	lane    consensus.Lane
	packet  *packet
}

// version is a changed proposal, kept so that several receivers get the same one.
type version struct {
	of   common.Hash
	what int
	is   *consensus.Proposal
}

// strategy is one way to lie. Messages go through the strategies of a liar one after the other.
type strategy struct {
	// about is one line for people.
	about string
	// rewrite says what is sent to one node instead of a message; nil leaves messages as they are.
	rewrite func(l *liar, to *node, m consensus.Message) []speech
	// act is called every Δ while the liar's process runs; nil for nothing.
	act func(l *liar)
	// hears is called with each message that reaches the liar or that its core says; nil for nothing.
	hears func(l *liar, m consensus.Message)
	// attest says what is sent to one node instead of a vote for a result of execution, nil for nothing; a nil
	// function leaves votes as they are.
	attest func(l *liar, to *node, p *packet) *packet
	// censors leaves out every second transaction.
	censors bool
	// colludes joins the liar to all others that do.
	colludes bool
}

// speech is a message that is held back for some time.
type speech struct {
	message consensus.Message
	after   time.Duration
}

// same leaves a message as it is.
func same(m consensus.Message) []speech { return []speech{{message: m}} }

// strategies are all ways to lie, by name.
func strategies() map[string]strategy {
	return map[string]strategy{
		"silent":         {about: "sends nothing at all", rewrite: func(*liar, *node, consensus.Message) []speech { return nil }, attest: attestNothing},
		"late":           {about: "delays everything to just under the timeout", rewrite: late},
		"selective-send": {about: "talks to one less than a quorum, or keeps some kinds of messages to itself", rewrite: selective, act: chooseAudience},
		"stale-replay":   {about: "repeats what anybody said earlier, to anybody", act: replay},
		"future-spam":    {about: "votes, proposes, boasts and asks about views far ahead", act: spamFuture},
		"gossip-spam":    {about: "gossips old transactions again and again", act: spamGossip},
		"oversized":      {about: "sends lists and frames that are longer than allowed", act: oversize},
		"censor":         {about: "orders only every second transaction", censors: true},

		"double-vote":          {about: "adds to each NOTARIZE one for another block, to each NULLIFY a FINALIZE", rewrite: doubleVote},
		"nullify-only":         {about: "gives up every view at once and supports no block", rewrite: onlyNullify, act: nullifyNow},
		"finalize-and-nullify": {about: "sends NULLIFY and FINALIZE of one view, in any order", rewrite: finalizeAndNullify},
		"forged-votes":         {about: "votes in the names of others", act: forgeVotes},
		"false-evidence":       {about: "accuses correct validators", act: accuseFalsely},
		"bad-certificate":      {about: "sends certificates with too few, doubled, foreign or swapped signatures", rewrite: breakJustify, act: breakCertificates},

		"equivocate":     {about: "proposes one block to even nodes and another one to odd nodes", rewrite: equivocate},
		"invalid-block":  {about: "proposes payloads that break the rules of the application", rewrite: proposeInvalid},
		"wrong-parent":   {about: "proposes on parents that do not fit", rewrite: proposeOnWrongParent},
		"wrong-height":   {about: "proposes with heights, flags and versions that do not fit", rewrite: proposeWrongHeader},
		"rush":           {about: "proposes early, beside the block that is about to be final", rewrite: rushed, hears: rush},
		"usurp":          {about: "proposes in views that others lead", act: usurp},
		"timestamp-skew": {about: "proposes blocks of the future and of the past", rewrite: skewTime},
		"invalid-root":   {about: "signs made-up results of execution and proposes watermarks that nothing proves", rewrite: proposeFalseMarks, attest: attestFalsely},
		"bad-data":       {about: "sends wrong, swollen or no data beside the right payload", rewrite: spoilData},

		"lying-sync": {about: "serves short, empty, false or no ranges and blocks, and boasts of its height", rewrite: lieInSync, act: pushRanges},
		"mutate":     {about: "changes one field of what it sends", rewrite: mutateOne},
		"colluding":  {about: "acts together with all that collude: forks, split votes, late certificates", rewrite: collude, act: conspire, hears: overhear, colludes: true},
	}
}

// Strategies names all ways to lie, sorted.
func Strategies() []string { return slices.Sorted(maps.Keys(strategies())) }

// About describes a way to lie in one line, "" for an unknown one.
func About(strategy string) string { return strategies()[strategy].about }

// turn makes liars of validators.
func (w *World) turn(liars []Liar) error {
	known := strategies()
	var plot *conspiracy
	for _, spec := range liars {
		if spec.Node < 0 || spec.Node >= w.scenario.Validators {
			return fmt.Errorf("a liar must be a validator, %d is none", spec.Node)
		}
		n := w.nodes[spec.Node]
		n.liar = &liar{n: n}
		w.law.Liar[spec.Node] = true
		for _, name := range spec.Strategies {
			s, ok := known[name]
			if !ok {
				return fmt.Errorf("no strategy %q; there are %v", name, Strategies())
			}
			n.liar.strategies = append(n.liar.strategies, s)
			n.liar.censors = n.liar.censors || s.censors
			if s.colludes && n.liar.plot == nil {
				if plot == nil {
					plot = newConspiracy(w)
				}
				n.liar.plot = plot
				plot.members = append(plot.members, n.liar)
			}
		}
	}
	return nil
}

// say sends to one node what the strategies make of a message.
func (l *liar) say(to *node, lane consensus.Lane, m consensus.Message) {
	out := []speech{{message: m}}
	for i := range l.strategies {
		rewrite := l.strategies[i].rewrite
		if rewrite == nil {
			continue
		}
		var next []speech
		for _, s := range out {
			for _, r := range rewrite(l, to, s.message) {
				next = append(next, speech{r.message, s.after + r.after})
			}
		}
		out = next
	}
	for _, s := range out {
		l.send(to, lane, s)
	}
}

// send puts a message on the link if the receiver's transport and verifier take it.
func (l *liar) send(to *node, lane consensus.Lane, s speech) {
	p := l.pass(lane, s.message)
	if p == nil {
		l.n.w.stats.Refused++
		return
	}
	l.n.w.transmit(l.n, to, lane, p, s.after)
}

// tell sends a message to every node.
func (l *liar) tell(lane consensus.Lane, m consensus.Message) {
	for _, to := range l.n.w.nodes {
		if to.peer != l.n.peer {
			l.send(to, lane, speech{message: m})
		}
	}
}

// maxFrame is what the transport carries on each lane, by its number.
var maxFrame = [...]int{4 << 10, 64 << 10, 4 << 20, 8 << 20}

// pass makes a message ready for its receivers, or returns nil when they refuse it. What the production
// verifier lets pass is checked again by rules of its own.
func (l *liar) pass(lane consensus.Lane, m consensus.Message) *packet {
	for i := range l.passed {
		if l.passed[i].message == m && l.passed[i].lane == lane {
			return l.passed[i].packet
		}
	}
	w := l.n.w
	var p *packet
	frame := bytes.Clone(encode(m))
	if len(frame) <= maxFrame[lane] {
		if decoded, err := consensus.DecodeMessage(frame); err == nil {
			if v, err := w.verifier.Verify(decoded); err == nil {
				p = &packet{message: decoded, verified: v, sum: sumOf(decoded)}
				w.accepted(decoded)
			}
		}
	}
	l.passed[l.passedAt] = verdict{m, lane, p}
	l.passedAt = (l.passedAt + 1) % len(l.passed)
	return p
}

// accepted tells the checkers what a verifier let pass of a liar.
func (w *World) accepted(m consensus.Message) {
	if err := w.law.Message(m); err != nil {
		w.fail(err)
	}
	switch m := m.(type) {
	case *consensus.Proposal:
		w.judge(w.votes.Proposed(m.Hash(), &m.Block.Header))
	case *consensus.BlockResponse:
		for _, p := range m.Proposals {
			w.judge(w.votes.Proposed(p.Hash(), &p.Block.Header))
		}
	}
}

// encode does not keep the bytes in the message, which the liar may change.
func encode(m consensus.Message) []byte {
	if p, ok := m.(*consensus.Proposal); ok {
		m = copyOf(p)
	}
	return consensus.EncodeMessage(m)
}

// copyOf is a proposal that may be changed, but for what it points to.
func copyOf(p *consensus.Proposal) *consensus.Proposal {
	return &consensus.Proposal{Block: p.Block, Justify: p.Justify, LeaderVote: p.LeaderVote}
}

// begin starts the liar's own initiative with its process.
func (l *liar) begin() {
	l.whim = l.n.w.rng.Uint64()
	for i := range l.strategies {
		if l.strategies[i].act != nil {
			l.plan()
			return
		}
	}
}

func (l *liar) plan() {
	w := l.n.w
	w.queue.push(w.now+w.scenario.Timing.Delta, event{kind: evAct, node: int32(l.n.index), life: l.n.life})
}

// act is the liar's own initiative.
func (l *liar) act() {
	l.whim = l.n.w.rng.Uint64()
	for i := range l.strategies {
		if do := l.strategies[i].act; do != nil {
			do(l)
		}
	}
	l.plan()
}

// maxHeard bounds what a liar remembers.
const maxHeard = 128

// hear remembers a message of anybody.
func (l *liar) hear(m consensus.Message) {
	for i := range l.strategies {
		if do := l.strategies[i].hears; do != nil {
			do(l, m)
		}
	}
	if len(l.heard) < maxHeard {
		l.heard = append(l.heard, m)
		return
	}
	l.heard[l.at] = m
	l.at = (l.at + 1) % maxHeard
}

// recall is a message heard lately, nil when there was none.
func (l *liar) recall() consensus.Message {
	if len(l.heard) == 0 {
		return nil
	}
	return l.heard[l.n.w.rng.IntN(len(l.heard))]
}

func (l *liar) chance(p float64) bool { return l.n.w.rng.Float64() < p }

// mood is a choice among k for a view that all receivers see alike.
func (l *liar) mood(view uint64, k int) int {
	a := auditor{h: l.whim}
	a.mix(view)
	return int(a.h >> 33 % uint64(k))
}

// somebody is another node.
func (l *liar) somebody() *node {
	nodes := l.n.w.nodes
	i := l.n.w.rng.IntN(len(nodes) - 1)
	if i >= l.n.index {
		i++
	}
	return nodes[i]
}

// view is where the liar's core stands.
func (l *liar) view() uint64 { return l.n.replica.Snapshot().View }

// leads reports whether a proposal is the liar's own.
func (l *liar) leads(p *consensus.Proposal) bool { return int(p.LeaderVote.Signer) == l.n.signer }

// vote signs with the liar's key.
func (l *liar) vote(kind consensus.Kind, view uint64, hash common.Hash) *consensus.Vote {
	digest := consensus.Digest(genesis, kind, 0, view, hash)
	return &consensus.Vote{Kind: kind, View: view, Hash: hash, Signer: uint16(l.n.signer), Sig: key{l.n.w.keys, l.n.signer}.Sign(digest)}
}

// changed is a copy of a proposal with a change, signed anew. What numbers the change: all receivers of
// one change get the same block.
func (l *liar) changed(p *consensus.Proposal, what int, change func(b *consensus.Block)) *consensus.Proposal {
	of := p.Block.Header.Hash()
	for i := range l.versions {
		if v := &l.versions[i]; v.is != nil && v.of == of && v.what == what {
			return v.is
		}
	}
	c := copyOf(p)
	change(&c.Block)
	c.LeaderVote = *l.vote(consensus.Notarize, c.Block.Header.View, c.Block.Header.Hash())
	l.versions[l.versionN] = version{of, what, c}
	l.versionN = (l.versionN + 1) % len(l.versions)
	return c
}
