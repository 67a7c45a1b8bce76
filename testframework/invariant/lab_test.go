package invariant_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

// genesisMs is the time of block 0, network the genesis hash of histories made here.
const genesisMs = 1_000_000

func network() common.Hash { return common.Hash{9: 9} }

// lab makes histories by hand. Signatures are hashes that name their signer: who checks them recomputes the
// hash, and only the lab makes any.
type lab struct {
	law      *invariant.Committee
	votes    *invariant.Votes
	chains   *invariant.Chains
	journals *invariant.Journals
}

func newLab(n int, term uint64, liars ...int) *lab {
	law := &invariant.Committee{Liar: make([]bool, n), Term: term, Network: network(), Recover: recoverSigner}
	for i := range n {
		law.Addresses = append(law.Addresses, address(i))
	}
	for _, i := range liars {
		law.Liar[i] = true
	}
	return &lab{law, invariant.NewVotes(law), invariant.NewChains(law, n+1, genesisMs, 500), invariant.NewJournals(law)}
}

func address(i int) common.Address { return common.BytesToAddress([]byte{0xA0, byte(i)}) }

func sign(i int, digest common.Hash) (s consensus.Signature) {
	binary.BigEndian.PutUint16(s[:2], uint16(i))
	copy(s[2:34], crypto.Keccak256(digest[:], s[:2]))
	return s
}

func recoverSigner(digest common.Hash, s *consensus.Signature) (common.Address, error) {
	i := int(binary.BigEndian.Uint16(s[:2]))
	if want := sign(i, digest); *s != want {
		return common.Address{}, errors.New("forged")
	}
	return address(i), nil
}

func vote(i int, kind consensus.Kind, view uint64, hash common.Hash) *consensus.Vote {
	return &consensus.Vote{
		Kind: kind, View: view, Hash: hash, Signer: uint16(i),
		Sig: sign(i, consensus.Digest(network(), kind, 0, view, hash)),
	}
}

// cert is signed by some validators of n, ascending.
func cert(n int, kind consensus.Kind, view uint64, hash common.Hash, signers ...int) *consensus.Cert {
	c := &consensus.Cert{Kind: kind, View: view, Hash: hash, Bitmap: make([]byte, (n+7)/8)}
	for _, i := range signers {
		c.Bitmap[i/8] |= 1 << (i % 8)
		s := sign(i, consensus.Digest(network(), kind, 0, view, hash))
		c.Sigs = append(c.Sigs, s[:]...)
	}
	return c
}

// root is the genesis as a parent.
func root() *consensus.Header { return &consensus.Header{TimeMs: genesisMs} }

func hashOf(h *consensus.Header) common.Hash {
	if h.View == 0 {
		return network()
	}
	return h.Hash()
}

// child is a block of a view on a parent.
func (l *lab) child(view uint64, parent *consensus.Header, payload string) *consensus.Header {
	leader := (view - 1) / l.law.Term % uint64(len(l.law.Addresses))
	return &consensus.Header{
		Version: 1, View: view, Height: parent.Height + 1, ParentHash: hashOf(parent), ParentView: parent.View,
		Proposer: address(int(leader)), TimeMs: parent.TimeMs + 1, PayloadHash: crypto.Keccak256Hash([]byte(payload)),
	}
}

// propose makes a block and shows it.
func (l *lab) propose(view uint64, parent *consensus.Header, payload string) *consensus.Header {
	h := l.child(view, parent, payload)
	if err := l.votes.Proposed(h.Hash(), h); err != nil {
		panic(err) // Tests of this rule do without.
	}
	return h
}

// cast has validators vote for a block, or give up its view, and returns the first violation.
func (l *lab) cast(kind consensus.Kind, h *consensus.Header, signers ...int) error {
	for _, i := range signers {
		hash := common.Hash{}
		if kind != consensus.Nullify {
			hash = hashOf(h)
		}
		if err := l.votes.Signed(vote(i, kind, h.View, hash)); err != nil {
			return err
		}
	}
	return nil
}

// settle has validators notarize and finalize a block.
func (l *lab) settle(h *consensus.Header, signers ...int) error {
	return errors.Join(l.cast(consensus.Notarize, h, signers...), l.cast(consensus.Finalize, h, signers...))
}

func nullified(view uint64) *consensus.Header { return &consensus.Header{View: view} }

// final is a block as it is delivered, with its finalization.
func (l *lab) final(h *consensus.Header, payload string) *consensus.FinalBlock {
	return &consensus.FinalBlock{
		Block: &consensus.Block{Header: *h, Payload: []byte(payload)}, Hash: h.Hash(),
		Finalization: cert(len(l.law.Addresses), consensus.Finalize, h.View, h.Hash(), 0, 1, 2),
	}
}

// deliver is the delivery of a block by a node when clocks show the block's time.
func (l *lab) deliver(node int, f *consensus.FinalBlock) error {
	return l.chains.Delivered(node, f, f.Block.Header.TimeMs)
}

// kept is the record of a NOTARIZE, of a FINALIZE, or of a NULLIFY.
func (l *lab) kept(kind consensus.Kind, h *consensus.Header, payload string) consensus.Record {
	r := consensus.Record{Type: consensus.RecordNullify, View: h.View}
	switch kind {
	case consensus.Notarize:
		p := &consensus.Proposal{Block: consensus.Block{Header: *h, Payload: []byte(payload)}}
		r.Type, r.Data = consensus.RecordNotarize, consensus.EncodeMessage(p)
	case consensus.Finalize:
		r.Type = consensus.RecordFinalize
		r.Data, _ = rlp.EncodeToBytes(cert(len(l.law.Addresses), consensus.Notarize, h.View, h.Hash(), 0, 1, 2))
	}
	return r
}

// found is what a process finds on its disk and begins with, at the view after the last that it finalized.
func found(records []consensus.Record, tipView, view uint64) *invariant.Recovery {
	return &invariant.Recovery{Records: records, TipView: tipView, View: view, Voting: true}
}

func floor(view uint64) consensus.Record {
	return consensus.Record{Type: consensus.RecordFloor, View: view}
}

// breaks checks that an error is the violation of a rule.
func breaks(t *testing.T, err error, rule string) {
	t.Helper()
	var v *invariant.ViolationError
	if !errors.As(err, &v) || v.Rule != rule {
		t.Errorf("got %v, want a violation of %q", err, rule)
	}
}
