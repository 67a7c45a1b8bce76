package invariant

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// Leader is the index of who proposes in a view of epoch 0.
func (c *Committee) Leader(view uint64) int { return c.leader(view) }

// Message checks from first principles what a verifier let pass: every signature is made by whom it
// stands for, certificates prove something, proposals are their leaders', ranges are chains that end in
// what is final, and evidence is against liars only.
func (c *Committee) Message(m consensus.Message) error {
	switch m := m.(type) {
	case *consensus.Vote:
		return c.vote(m)
	case *consensus.Cert:
		return c.certificate(m, m.Kind)
	case *consensus.Proposal:
		return c.proposal(m)
	case *consensus.CertResponse:
		for _, cert := range m.Certs {
			if err := c.certificate(cert, cert.Kind); err != nil {
				return err
			}
		}
	case *consensus.BlockResponse:
		return c.blocks(m)
	case *consensus.Evidence:
		return c.evidence(m)
	}
	return nil
}

func (c *Committee) vote(v *consensus.Vote) error {
	if v.Kind < consensus.Notarize || v.Kind > consensus.Finalize || v.Epoch != 0 || v.View == 0 || int(v.Signer) >= len(c.Addresses) {
		return violation(RuleSignature, "%s of view %d of epoch %d by validator %d was let through", v.Kind, v.View, v.Epoch, v.Signer)
	}
	if (v.Kind == consensus.Nullify) != (v.Hash == common.Hash{}) {
		return violation(RuleSignature, "%s of view %d by validator %d for %.8x was let through", v.Kind, v.View, v.Signer, v.Hash)
	}
	who, err := c.Recover(c.digest(v.Kind, v.View, v.Hash), &v.Sig)
	if err != nil || who != c.Addresses[v.Signer] {
		return violation(RuleSignature, "%s of view %d that validator %d did not sign was let through", v.Kind, v.View, v.Signer)
	}
	return nil
}

func (c *Committee) certificate(cert *consensus.Cert, kind consensus.Kind) error {
	switch {
	case cert == nil:
		return violation(RuleCertificate, "none where one belongs")
	case cert.Kind != kind || kind < consensus.Notarize || kind > consensus.Finalize:
		return violation(RuleCertificate, "%s where %s belongs", cert.Kind, kind)
	case (kind == consensus.Nullify) != (cert.Hash == common.Hash{}):
		return violation(RuleCertificate, "%s of view %d for %.8x", kind, cert.View, cert.Hash)
	}
	return c.Certificate(cert)
}

func (c *Committee) proposal(p *consensus.Proposal) error {
	h, v := &p.Block.Header, &p.LeaderVote
	hash := crypto.Keccak256Hash(h.Encode())
	switch {
	case h.View == 0 || h.Epoch != 0:
		return violation(RuleProposal, "one for view %d of epoch %d was let through", h.View, h.Epoch)
	case v.Kind != consensus.Notarize || v.View != h.View || v.Hash != hash || p.Hash() != hash:
		return violation(RuleProposal, "the vote of view %d's proposal is for something else", h.View)
	case int(v.Signer) != c.leader(h.View):
		return violation(RuleProposal, "validator %d proposes in view %d, which %d leads", v.Signer, h.View, c.leader(h.View))
	case crypto.Keccak256Hash(p.Block.Payload) != h.PayloadHash:
		return violation(RuleProposal, "the payload of view %d's proposal is another one than its header names", h.View)
	}
	if err := c.vote(v); err != nil {
		return err
	}
	j := &p.Justify
	if j.Parent != nil {
		if err := c.certificate(j.Parent, consensus.Notarize); err != nil {
			return err
		}
	}
	if j.Finalization != nil {
		if err := c.certificate(j.Finalization, consensus.Finalize); err != nil {
			return err
		}
	}
	for _, n := range j.Nullifications {
		if err := c.certificate(n, consensus.Nullify); err != nil {
			return err
		}
	}
	return nil
}

func (c *Committee) blocks(r *consensus.BlockResponse) error {
	for _, p := range r.Proposals {
		if err := c.proposal(p); err != nil {
			return err
		}
	}
	if len(r.Blocks) == 0 && len(r.Headers) == 0 && r.Finalization == nil {
		return nil
	}
	var headers []*consensus.Header
	for _, b := range r.Blocks {
		if crypto.Keccak256Hash(b.Payload) != b.Header.PayloadHash {
			return violation(RuleRange, "block %d has another payload than its header names", b.Header.Height)
		}
		headers = append(headers, &b.Header)
	}
	headers = append(headers, r.Headers...)
	if len(r.Blocks) == 0 {
		return violation(RuleRange, "headers without a block were let through")
	}
	last := headers[0].Hash()
	for _, h := range headers[1:] {
		if h.ParentHash != last {
			return violation(RuleRange, "block %d does not follow the one before", h.Height)
		}
		last = h.Hash()
	}
	if r.Finalization == nil || r.Finalization.Hash != last {
		return violation(RuleRange, "blocks up to height %d without a finalization of the last were let through", headers[len(headers)-1].Height)
	}
	return c.certificate(r.Finalization, consensus.Finalize)
}

func (c *Committee) evidence(e *consensus.Evidence) error {
	for _, v := range []*consensus.Vote{&e.A, &e.B} {
		if err := c.vote(v); err != nil {
			return err
		}
	}
	if e.A.Signer != e.B.Signer || !c.Liar[e.A.Signer] || !c.contradict(&e.A, &e.B) {
		return violation(RuleEvidence, "against validator %d was let through: %s of view %d and %s of view %d", e.A.Signer, e.A.Kind, e.A.View, e.B.Kind, e.B.View)
	}
	return nil
}

// contradict reports that an honest validator signs only one of two votes.
func (c *Committee) contradict(a, b *consensus.Vote) bool {
	if a.Kind == b.Kind {
		return a.Kind != consensus.Nullify && a.View == b.View && a.Hash != b.Hash
	}
	low, high := a, b
	if a.Kind == consensus.Finalize {
		low, high = b, a
	}
	return low.Kind == consensus.Nullify && high.Kind == consensus.Finalize &&
		c.group(low.View) == c.group(high.View) && low.View <= high.View
}
