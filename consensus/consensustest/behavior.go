package consensustest

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// Behavior rewrites what an honest core sends, per receiver.
type Behavior interface {
	Rewrite(r *Replica, to int, m consensus.Message) []consensus.Message
}

// Honest sends what the core says.
type Honest struct{}

// Rewrite implements [Behavior].
func (Honest) Rewrite(_ *Replica, _ int, m consensus.Message) []consensus.Message {
	return []consensus.Message{m}
}

func honest(r *Replica) bool {
	_, ok := r.behavior.(Honest)
	return ok
}

// Withholder is silent.
type Withholder struct{}

// Rewrite implements [Behavior].
func (Withholder) Rewrite(*Replica, int, consensus.Message) []consensus.Message { return nil }

// Equivocator proposes one block to even validators and another one to odd
// ones, and votes for each where it was sent.
type Equivocator struct{}

// Rewrite implements [Behavior].
func (Equivocator) Rewrite(r *Replica, to int, m consensus.Message) []consensus.Message {
	p, ok := m.(*consensus.Proposal)
	if !ok || to%2 == 0 {
		return []consensus.Message{m}
	}
	return []consensus.Message{r.twin(p)}
}

// twin is another proposal of the same view.
func (r *Replica) twin(p *consensus.Proposal) *consensus.Proposal {
	twin := &consensus.Proposal{Block: p.Block, Justify: p.Justify}
	twin.Block.Payload = append([]byte("twin"), p.Block.Payload...)
	twin.Block.Header.PayloadHash = crypto.Keccak256Hash(twin.Block.Payload)
	h := &twin.Block.Header
	twin.LeaderVote = r.sign(consensus.Notarize, h.View, h.Hash())
	return twin
}

// Splitter shows one block to half of the others and another one to the rest,
// and sends nothing else of the view from which a half could learn of the
// other one's: no vote and no answer to who asks for blocks.
type Splitter struct{}

// Rewrite implements [Behavior].
func (Splitter) Rewrite(r *Replica, to int, m consensus.Message) []consensus.Message {
	switch m := m.(type) {
	case *consensus.Proposal:
		others := len(r.net.nodes) - 1
		if at := (to - r.Index + others) % (others + 1); at >= others/2 {
			return []consensus.Message{r.twin(m)}
		}
	case *consensus.Vote:
		if m.Kind == consensus.Notarize {
			return nil
		}
	case *consensus.BlockResponse, *consensus.Evidence:
		return nil
	}
	return []consensus.Message{m}
}

// Laggard sends only what it must to be counted as alive: its votes never
// arrive, its statuses do.
type Laggard struct{}

// Rewrite implements [Behavior].
func (Laggard) Rewrite(_ *Replica, _ int, m consensus.Message) []consensus.Message {
	if _, ok := m.(*consensus.Status); ok {
		return []consensus.Message{m}
	}
	return nil
}

// Contradictor adds to each NULLIFY a FINALIZE of the same view, and to each
// NOTARIZE one for a block that does not exist.
type Contradictor struct{}

// Rewrite implements [Behavior].
func (Contradictor) Rewrite(r *Replica, _ int, m consensus.Message) []consensus.Message {
	v, ok := m.(*consensus.Vote)
	if !ok {
		return []consensus.Message{m}
	}
	kind := consensus.Finalize
	if v.Kind == consensus.Notarize {
		kind = consensus.Notarize
	}
	other := r.sign(kind, v.View, crypto.Keccak256Hash([]byte("no such block")))
	return []consensus.Message{m, &other}
}

func (r *Replica) sign(kind consensus.Kind, view uint64, hash common.Hash) consensus.Vote {
	s := signer{r.net.scheme, r.net.committee.Address(r.Index)}
	return consensus.Vote{
		Kind: kind, View: view, Hash: hash, Signer: uint16(r.Index),
		Sig: s.Sign(consensus.Digest(r.net.network, kind, 0, view, hash)),
	}
}
