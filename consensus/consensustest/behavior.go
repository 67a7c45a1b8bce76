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
	twin := &consensus.Proposal{Block: p.Block, Justify: p.Justify}
	twin.Block.Payload = append([]byte("twin"), p.Block.Payload...)
	twin.Block.Header.PayloadHash = crypto.Keccak256Hash(twin.Block.Payload)
	h := &twin.Block.Header
	twin.LeaderVote = r.sign(consensus.Notarize, h.View, h.Hash())
	return []consensus.Message{twin}
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
