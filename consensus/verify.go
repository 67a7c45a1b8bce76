package consensus

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// Verified is a message whose signatures and hashes were checked. Only
// [Verifier.Verify] makes one; the zero value is refused by [Core].
type Verified struct{ msg Message }

// Verifier checks messages of one epoch. It has no mutable state and is safe
// for concurrent use when its Scheme is: verifying is the one parallel step
// between the network and the Core.
type Verifier struct {
	Scheme    Scheme
	Network   common.Hash
	Epoch     uint64
	Committee *Committee
	Schedule  Schedule
}

// Verify checks everything about a message that depends on no state. Errors
// wrap [ErrInvalid] (the sender is at fault) or [ErrEpoch].
func (v *Verifier) Verify(m Message) (Verified, error) {
	var err error
	switch m := m.(type) {
	case *Proposal:
		err = v.proposal(m)
	case *Vote:
		err = v.vote(m)
	case *Cert:
		err = v.cert(m)
	case *Status:
		// Nothing is signed; the stream names the sender.
		if m.View > maxView || m.FinView > maxView {
			err = invalidf("status in view %d, final %d", m.View, m.FinView)
		}
	case *CertRequest:
		if m.From > maxView {
			err = invalidf("request for certificates from view %d on", m.From)
		}
	case *BlockRequest:
	case *CertResponse:
		err = v.certs(m.Certs)
	case *BlockResponse:
		err = v.blockResponse(m)
	case *Evidence:
		err = v.evidence(m)
	}
	if err != nil {
		return Verified{}, err
	}
	return Verified{m}, nil
}

func (v *Verifier) signed(digest common.Hash, signer int, s *Signature) error {
	who, err := v.Scheme.Recover(digest, s)
	if err != nil {
		return invalid("signature", err)
	}
	if who != v.Committee.Address(signer) {
		return invalidf("signature by %s, want validator %d", who, signer)
	}
	return nil
}

func (v *Verifier) vote(m *Vote) error {
	if m.Epoch != v.Epoch {
		return ErrEpoch
	}
	if err := m.wellFormed(v.Committee.Size()); err != nil || mutant.On(mutant.VoteSignatureUnchecked) {
		return err
	}
	return v.signed(m.digest(v.Network), int(m.Signer), &m.Sig)
}

func (v *Verifier) cert(c *Cert) error {
	if c == nil {
		return invalidf("absent certificate")
	}
	if c.Epoch != v.Epoch {
		return ErrEpoch
	}
	if err := c.wellFormed(v.Committee); err != nil {
		return err
	}
	digest := Digest(v.Network, c.Kind, c.Epoch, c.View, c.Hash)
	for i, signer := range c.Signers() {
		if err := v.signed(digest, signer, (*Signature)(c.Sigs[i*65:])); err != nil {
			return err
		}
	}
	return nil
}

// kinds verifies a certificate that must be of one kind, or absent.
func (v *Verifier) kinds(kind Kind, c *Cert) error {
	if c == nil {
		return nil
	}
	if c.Kind != kind {
		return invalidf("%s certificate where a %s one belongs", c.Kind, kind)
	}
	return v.cert(c)
}

func (v *Verifier) certs(list []*Cert) error {
	for _, c := range list {
		if err := v.cert(c); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) proposal(p *Proposal) error {
	h := &p.Block.Header
	if h.Epoch != v.Epoch {
		return ErrEpoch
	}
	if h.View == 0 || h.View > maxView {
		return invalidf("proposal for view %d", h.View)
	}
	leader := v.Schedule.Leader(h.View)
	if (int(p.LeaderVote.Signer) != leader && !mutant.On(mutant.LeaderUnchecked)) || p.LeaderVote.Kind != Notarize ||
		p.LeaderVote.View != h.View || p.LeaderVote.Hash != p.hash {
		return invalidf("proposal of view %d without its leader's vote", h.View)
	}
	if err := v.vote(&p.LeaderVote); err != nil {
		return err
	}
	if !payloadFits(&p.Block) {
		return invalidf("proposal of view %d with another payload than it names", h.View)
	}
	if err := v.kinds(Notarize, p.Justify.Parent); err != nil {
		return err
	}
	if err := v.kinds(Finalize, p.Justify.Finalization); err != nil {
		return err
	}
	for _, c := range p.Justify.Nullifications {
		if c == nil || c.Kind != Nullify {
			return invalidf("proposal of view %d justified by something else than a nullification", h.View)
		}
	}
	return v.certs(p.Justify.Nullifications)
}

// payloadFits reports that a block has the payload that its header names.
func payloadFits(b *Block) bool {
	return crypto.Keccak256Hash(b.Payload) == b.Header.PayloadHash || mutant.On(mutant.PayloadHashUnchecked)
}

// blockResponse checks that blocks and headers form one chain of hashes that
// ends in the block of the finalization.
func (v *Verifier) blockResponse(r *BlockResponse) error {
	for _, p := range r.Proposals {
		if err := v.proposal(p); err != nil {
			return err
		}
	}
	if len(r.Blocks) == 0 {
		if len(r.Headers) != 0 || r.Finalization != nil {
			return invalidf("answer with headers but no block")
		}
		return nil
	}
	if r.Finalization == nil {
		return invalidf("final blocks without a finalization")
	}
	var prev common.Hash
	for i, b := range r.Blocks {
		if b == nil || !payloadFits(b) || (i > 0 && b.Header.ParentHash != prev) {
			return invalidf("block %d of the answer does not fit its chain", i)
		}
		prev = b.Header.Hash()
	}
	for i, h := range r.Headers {
		if h == nil || h.ParentHash != prev {
			return invalidf("header %d of the answer does not fit its chain", i)
		}
		prev = h.Hash()
	}
	if mutant.On(mutant.SyncRangeUnverified) {
		return nil
	}
	if r.Finalization.Hash != prev {
		return invalidf("finalization of another block than the last one")
	}
	return v.kinds(Finalize, r.Finalization)
}

func (v *Verifier) evidence(e *Evidence) error {
	if !Conflict(v.Schedule, &e.A, &e.B) {
		return invalidf("evidence of two votes that do not conflict")
	}
	if err := v.vote(&e.A); err != nil {
		return err
	}
	return v.vote(&e.B)
}
