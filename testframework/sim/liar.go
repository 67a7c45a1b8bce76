package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// liar wraps the honest core of a Byzantine validator: it decides what is sent of what the core says, and
// may say things by itself. What it sends is encoded, decoded and verified for each receiver.
type liar struct {
	n          *node
	strategies []strategy
	censors    bool
	silent     bool
}

// strategy is one way to lie. Messages go through the strategies of a liar one after the other.
type strategy struct {
	// about is one line for people.
	about string
	// rewrite says what is sent to one node instead of a message; nil leaves messages as they are.
	rewrite func(l *liar, to *node, m consensus.Message) []speech
	// act is called every Δ; nil for nothing.
	act func(l *liar)
	// censors leaves out every second transaction.
	censors bool
}

// speech is a message that is held back for some time.
type speech struct {
	message consensus.Message
	after   time.Duration
}

// strategies are all ways to lie, by name.
func strategies() map[string]strategy {
	return map[string]strategy{
		"silent":      {about: "sends nothing at all", rewrite: func(*liar, *node, consensus.Message) []speech { return nil }},
		"late":        {about: "delays everything to just under the timeout", rewrite: late},
		"equivocate":  {about: "proposes one block to even nodes and another one to odd nodes", rewrite: equivocate},
		"double-vote": {about: "adds to each NOTARIZE one for another block, to each NULLIFY a FINALIZE", rewrite: doubleVote},
		"censor":      {about: "orders only every second transaction", censors: true},
	}
}

// Strategies names all ways to lie, sorted.
func Strategies() []string { return slices.Sorted(maps.Keys(strategies())) }

// turn makes liars of validators.
func (w *World) turn(liars []Liar) error {
	known := strategies()
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

// send puts a message on the link if the receiver's verifier takes it.
func (l *liar) send(to *node, lane consensus.Lane, s speech) {
	w := l.n.w
	m, err := consensus.DecodeMessage(append([]byte(nil), encode(s.message)...))
	if err == nil {
		var v consensus.Verified
		if v, err = w.verifier.Verify(m); err == nil {
			if p, ok := m.(*consensus.Proposal); ok {
				w.note(w.votes.Proposed(p.Hash(), &p.Block.Header))
			}
			w.transmit(l.n, to, lane, &packet{message: m, verified: v, sum: sumOf(m)}, s.after)
			return
		}
	}
	w.stats.Refused++
}

// encode does not keep the bytes in the message, which the liar may change.
func encode(m consensus.Message) []byte {
	if p, ok := m.(*consensus.Proposal); ok {
		m = &consensus.Proposal{Block: p.Block, Justify: p.Justify, LeaderVote: p.LeaderVote}
	}
	return consensus.EncodeMessage(m)
}

// act is the liar's own initiative.
func (l *liar) act() {
	w := l.n.w
	for i := range l.strategies {
		if do := l.strategies[i].act; do != nil {
			do(l)
		}
	}
	w.queue.push(w.now+w.scenario.Timing.Delta, event{kind: evAct, node: int32(l.n.index), life: l.n.life})
}

// vote signs with the liar's key.
func (l *liar) vote(kind consensus.Kind, view uint64, hash common.Hash) *consensus.Vote {
	digest := consensus.Digest(genesis, kind, 0, view, hash)
	return &consensus.Vote{Kind: kind, View: view, Hash: hash, Signer: uint16(l.n.signer), Sig: key{l.n.w.keys, l.n.signer}.Sign(digest)}
}

// twin is another block for the view of a proposal.
func (l *liar) twin(p *consensus.Proposal) *consensus.Proposal {
	t := &consensus.Proposal{Block: p.Block, Justify: p.Justify}
	t.Block.Header.TimeMs++
	t.LeaderVote = *l.vote(consensus.Notarize, t.Block.Header.View, t.Block.Header.Hash())
	return t
}

func late(l *liar, _ *node, m consensus.Message) []speech {
	return []speech{{m, l.n.w.scenario.Timing.Delta*2 - 10*time.Millisecond}}
}

func equivocate(l *liar, to *node, m consensus.Message) []speech {
	switch m := m.(type) {
	case *consensus.Proposal:
		if to.index%2 == 1 && int(m.LeaderVote.Signer) == l.n.signer {
			return []speech{{message: l.twin(m)}}
		}
	}
	return []speech{{message: m}}
}

func doubleVote(l *liar, _ *node, m consensus.Message) []speech {
	v, ok := m.(*consensus.Vote)
	if !ok {
		return []speech{{message: m}}
	}
	kind := consensus.Finalize
	if v.Kind == consensus.Notarize {
		kind = consensus.Notarize
	}
	return []speech{{message: m}, {message: l.vote(kind, v.View, crypto.Keccak256Hash([]byte("no such block")))}}
}
