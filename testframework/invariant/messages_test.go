package invariant_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

// court is a committee of four with a scheme in which a signature is the signer's number and the digest;
// validator 3 may lie.
type court struct {
	*invariant.Committee
	network common.Hash
}

func newCourt() *court {
	c := &court{network: crypto.Keccak256Hash([]byte("court"))}
	c.Committee = &invariant.Committee{
		Addresses: []common.Address{{1}, {2}, {3}, {4}}, Liar: []bool{false, false, false, true}, Term: 2, Network: c.network,
		Recover: func(digest common.Hash, s *consensus.Signature) (common.Address, error) {
			if common.Hash(s[1:33]) != digest {
				return common.Address{}, errors.New("not a signature of this")
			}
			return common.Address{s[0] + 1}, nil
		},
	}
	return c
}

func (c *court) vote(kind consensus.Kind, view uint64, hash common.Hash, signer uint16) *consensus.Vote {
	digest := consensus.Digest(c.network, kind, 0, view, hash)
	v := &consensus.Vote{Kind: kind, View: view, Hash: hash, Signer: signer}
	v.Sig[0] = byte(signer)
	copy(v.Sig[1:], digest[:])
	return v
}

func (c *court) cert(kind consensus.Kind, view uint64, hash common.Hash, signers ...uint16) *consensus.Cert {
	cert := &consensus.Cert{Kind: kind, View: view, Hash: hash, Bitmap: []byte{0}}
	for _, i := range signers {
		cert.Bitmap[0] |= 1 << i
		v := c.vote(kind, view, hash, i)
		cert.Sigs = append(cert.Sigs, v.Sig[:]...)
	}
	return cert
}

// proposal is one for view 3, which validator 1 leads, decoded as by a receiver.
func (c *court) proposal(t *testing.T, change func(p *consensus.Proposal)) *consensus.Proposal {
	t.Helper()
	payload := binary.BigEndian.AppendUint64(nil, 7)
	p := &consensus.Proposal{Block: consensus.Block{Payload: payload}}
	p.Block.Header = consensus.Header{Version: 1, View: 3, Height: 2, ParentView: 2, ParentHash: common.Hash{9}, PayloadHash: crypto.Keccak256Hash(payload)}
	p.LeaderVote = *c.vote(consensus.Notarize, 3, p.Block.Header.Hash(), 1)
	p.Justify = consensus.Justify{
		Parent:         c.cert(consensus.Notarize, 2, common.Hash{9}, 0, 1, 2),
		Nullifications: []*consensus.Cert{c.cert(consensus.Nullify, 1, common.Hash{}, 0, 1, 2)},
		Finalization:   c.cert(consensus.Finalize, 1, common.Hash{8}, 0, 1, 2),
	}
	change(p)
	m, err := consensus.DecodeMessage(consensus.EncodeMessage(p))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*consensus.Proposal)
}

func TestCommittee_Message(t *testing.T) {
	c, h := newCourt(), common.Hash{5}
	b1 := &consensus.Block{Header: consensus.Header{Height: 1, PayloadHash: crypto.Keccak256Hash(nil)}}
	b2 := &consensus.Block{Header: consensus.Header{Height: 2, ParentHash: b1.Header.Hash(), PayloadHash: crypto.Keccak256Hash(nil)}}
	final := func(b *consensus.Block) *consensus.Cert {
		return c.cert(consensus.Finalize, 4, b.Header.Hash(), 0, 1, 2)
	}
	other := func(v *consensus.Vote, change func(v *consensus.Vote)) *consensus.Vote {
		change(v)
		return v
	}
	wrong := c.cert(consensus.Notarize, 4, h, 0, 1, 2)
	copy(wrong.Sigs[65:130], wrong.Sigs[:65])
	for _, tt := range []struct {
		name string
		m    consensus.Message
		want string // the rule that is broken, "" for none
	}{
		{"vote", c.vote(consensus.Notarize, 4, h, 2), ""},
		{"vote of another", other(c.vote(consensus.Notarize, 4, h, 2), func(v *consensus.Vote) { v.Signer = 1 }), "signature"},
		{"vote for another", other(c.vote(consensus.Notarize, 4, h, 2), func(v *consensus.Vote) { v.Hash[0]++ }), "signature"},
		{"vote of another epoch", other(c.vote(consensus.Notarize, 4, h, 2), func(v *consensus.Vote) { v.Epoch = 1 }), "signature"},
		{"vote of nobody", other(c.vote(consensus.Notarize, 4, h, 2), func(v *consensus.Vote) { v.Signer = 4 }), "signature"},
		{"nullify for a block", c.vote(consensus.Nullify, 4, h, 2), "signature"},
		{"certificate", c.cert(consensus.Notarize, 4, h, 0, 1, 2), ""},
		{"short certificate", c.cert(consensus.Notarize, 4, h, 0, 1), "certificate"},
		{"one signature twice", wrong, "certificate"},
		{"nullification of a block", c.cert(consensus.Nullify, 4, h, 0, 1, 2), "certificate"},
		{"certificates", &consensus.CertResponse{Certs: []*consensus.Cert{c.cert(consensus.Notarize, 4, h, 0, 1, 2), c.cert(consensus.Notarize, 4, h, 0)}}, "certificate"},
		{"range", &consensus.BlockResponse{Blocks: []*consensus.Block{b1, b2}, Finalization: final(b2)}, ""},
		{"range with headers", &consensus.BlockResponse{Blocks: []*consensus.Block{b1}, Headers: []*consensus.Header{&b2.Header}, Finalization: final(b2)}, ""},
		{"range that is not final", &consensus.BlockResponse{Blocks: []*consensus.Block{b1, b2}, Finalization: final(b1)}, "range"},
		{"range without proof", &consensus.BlockResponse{Blocks: []*consensus.Block{b1}}, "range"},
		{"range with a gap", &consensus.BlockResponse{Blocks: []*consensus.Block{b2, b1}, Finalization: final(b1)}, "range"},
		{"range with another payload", &consensus.BlockResponse{Blocks: []*consensus.Block{{Header: b1.Header, Payload: []byte{1}}}, Finalization: final(b1)}, "range"},
		{"headers only", &consensus.BlockResponse{Headers: []*consensus.Header{&b1.Header}, Finalization: final(b1)}, "range"},
		{"nothing", &consensus.BlockResponse{}, ""},
		{"evidence", &consensus.Evidence{A: *c.vote(consensus.Notarize, 4, h, 3), B: *c.vote(consensus.Notarize, 4, common.Hash{6}, 3)}, ""},
		{"evidence of no conflict", &consensus.Evidence{A: *c.vote(consensus.Nullify, 4, common.Hash{}, 3), B: *c.vote(consensus.Finalize, 3, h, 3)}, "false evidence"},
		{"evidence against the correct", &consensus.Evidence{A: *c.vote(consensus.Notarize, 4, h, 0), B: *c.vote(consensus.Notarize, 4, common.Hash{6}, 0)}, "false evidence"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := broken(c.Message(tt.m)); got != tt.want {
				t.Errorf("breaks %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCommittee_Message_proposals(t *testing.T) {
	c := newCourt()
	for _, tt := range []struct {
		name   string
		change func(p *consensus.Proposal)
		want   string
	}{
		{"as it should be", func(*consensus.Proposal) {}, ""},
		{"without justification", func(p *consensus.Proposal) { p.Justify = consensus.Justify{} }, ""},
		{"not the leader's", func(p *consensus.Proposal) {
			p.LeaderVote = *c.vote(consensus.Notarize, 3, p.Block.Header.Hash(), 2)
		}, "proposal"},
		{"vote for another block", func(p *consensus.Proposal) { p.Block.Header.TimeMs++ }, "proposal"},
		{"another payload", func(p *consensus.Proposal) { p.Block.Payload = slices.Concat(p.Block.Payload, p.Block.Payload) }, "proposal"},
		{"vote signed by another", func(p *consensus.Proposal) { p.LeaderVote.Sig[0] = 2 }, "signature"},
		{"short parent", func(p *consensus.Proposal) { p.Justify.Parent = c.cert(consensus.Notarize, 2, common.Hash{9}, 0, 1) }, "certificate"},
		{"parent of another kind", func(p *consensus.Proposal) { p.Justify.Parent = p.Justify.Finalization }, "certificate"},
		{"finalization of another kind", func(p *consensus.Proposal) { p.Justify.Finalization = p.Justify.Parent }, "certificate"},
		{"short nullification", func(p *consensus.Proposal) {
			p.Justify.Nullifications[0] = c.cert(consensus.Nullify, 1, common.Hash{}, 3)
		}, "certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := broken(c.Message(c.proposal(t, tt.change))); got != tt.want {
				t.Errorf("breaks %q, want %q", got, tt.want)
			}
		})
	}
}

// TestVotes_Turned takes a validator's votes out of the counts when it turns out to be a liar: together
// with the liars that are taken to sign everything it would count twice.
func TestVotes_Turned(t *testing.T) {
	c := newCourt()
	c.Liar[3] = false
	v := invariant.NewVotes(c.Committee)
	for i := range byte(3) {
		if err := v.Proposed(common.Hash{i + 1}, &consensus.Header{View: 1, Height: 1, ParentHash: c.network}); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(signer uint16, hash common.Hash) error {
		return v.Signed(c.vote(consensus.Notarize, 1, hash, signer))
	}
	if err := errors.Join(sign(3, common.Hash{1}), sign(1, common.Hash{2})); err != nil {
		t.Fatal(err)
	}
	c.Liar[3] = true
	if err := v.Turned(3); err != nil {
		t.Fatal(err)
	}
	if got := broken(errors.Join(sign(0, common.Hash{1}), sign(2, common.Hash{2}))); got != "" {
		t.Errorf("two votes and a liar's notarize one block only, yet %q is broken", got)
	}
	if err := v.Signed(c.vote(consensus.Notarize, 1, common.Hash{3}, 3)); err != nil {
		t.Errorf("a liar may sign anything: %v", err)
	}
}

// broken is the rule of a violation, "" for none.
func broken(err error) string {
	if v, ok := errors.AsType[*invariant.ViolationError](err); ok {
		return v.Rule
	}
	return ""
}
