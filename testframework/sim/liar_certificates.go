package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// This file has the lies about certificates. None of them may get through.

// signatureBytes is the length of one signature in a certificate.
const signatureBytes = len(consensus.Signature{})

// certificate makes one of equal votes, by signer; nil where a validator has none.
func certificate(kind consensus.Kind, view uint64, hash common.Hash, votes []*consensus.Vote) *consensus.Cert {
	c := &consensus.Cert{Kind: kind, View: view, Hash: hash, Bitmap: make([]byte, (len(votes)+7)/8)}
	for i, v := range votes {
		if v != nil {
			c.Bitmap[i/8] |= 1 << (i % 8)
			c.Sigs = append(c.Sigs, v.Sig[:]...)
		}
	}
	return c
}

// broken is a certificate with something wrong.
func (l *liar) broken(c *consensus.Cert) *consensus.Cert {
	w := l.n.w
	b := *c
	b.Bitmap, b.Sigs = slices.Clone(c.Bitmap), slices.Clone(c.Sigs)
	switch w.rng.IntN(10) {
	case 0: // one signature twice, in another's place
		copy(b.Sigs[signatureBytes:], b.Sigs[:signatureBytes])
	case 1: // one too few
		dropLast(&b)
	case 2: // a quorum of signatures with too few bits
		b.Bitmap[0] &= b.Bitmap[0] - 1
	case 3: // too few, but for a validator that does not exist
		dropLast(&b)
		n := w.scenario.Validators
		if n%8 == 0 {
			b.Bitmap = append(b.Bitmap, 0)
		}
		b.Bitmap[n/8] |= 1 << (n % 8)
		b.Sigs = append(b.Sigs, c.Sigs[:signatureBytes]...)
	case 4: // too few, and the first once more at the end
		dropLast(&b)
		b.Sigs = append(b.Sigs, c.Sigs[:signatureBytes]...)
	case 5:
		b.Bitmap = append(b.Bitmap, 0)
	case 6: // in another order
		copy(b.Sigs, c.Sigs[signatureBytes:2*signatureBytes])
		copy(b.Sigs[signatureBytes:], c.Sigs[:signatureBytes])
	case 7:
		b.View++
	case 8:
		b.Hash = l.noise()
	case 9: // the right signatures of another kind
		b.Kind = b.Kind%3 + 1
	}
	return &b
}

// dropLast takes the last signer away.
func dropLast(c *consensus.Cert) {
	signers := c.Signers()
	last := signers[len(signers)-1]
	c.Bitmap[last/8] &^= 1 << (last % 8)
	c.Sigs = c.Sigs[:len(c.Sigs)-signatureBytes]
}

// invented is a certificate that only the liar has signed, in everybody's place.
func (l *liar) invented(kind consensus.Kind, view uint64) *consensus.Cert {
	hash := l.noise()
	if kind == consensus.Nullify {
		hash = common.Hash{}
	}
	n := l.n.w.scenario.Validators
	votes := make([]*consensus.Vote, n)
	own := l.vote(kind, view, hash)
	for i := range consensus.Quorum(n) {
		votes[i] = own
	}
	if l.chance(0.3) {
		votes = make([]*consensus.Vote, n)
		votes[l.n.signer] = own
	}
	return certificate(kind, view, hash, votes)
}

// falseCertificate is a broken or invented one.
func (l *liar) falseCertificate() *consensus.Cert {
	switch m := l.recall().(type) {
	case *consensus.Cert:
		return l.broken(m)
	case *consensus.CertResponse:
		if len(m.Certs) > 0 {
			return l.broken(m.Certs[l.n.w.rng.IntN(len(m.Certs))])
		}
	case *consensus.Proposal:
		if c := m.Justify.Parent; c != nil {
			return l.broken(c)
		}
	}
	return l.invented(consensus.Kind(1+l.n.w.rng.IntN(3)), l.view())
}

func breakCertificates(l *liar) {
	for range 2 {
		c := l.falseCertificate()
		switch l.n.w.rng.IntN(3) {
		case 0:
			l.tell(consensus.LaneCert, c)
		case 1:
			l.tell(consensus.LaneCert, &consensus.CertResponse{Certs: []*consensus.Cert{c}})
		case 2:
			c.Kind = consensus.Finalize
			if blocks := l.n.app.blocks(1+l.n.w.rng.Uint64N(uint64(len(l.n.app.store)+1)), 1, maxBlockBytes); len(blocks) > 0 {
				c.Hash, c.View = blocks[0].Hash, blocks[0].Block.Header.View
				l.tell(consensus.LaneSync, &consensus.BlockResponse{Blocks: []*consensus.Block{blocks[0].Block}, Finalization: c})
			}
		}
	}
}

// breakJustify justifies own proposals with false certificates, now and then.
func breakJustify(l *liar, _ *node, m consensus.Message) []speech {
	p, ok := m.(*consensus.Proposal)
	if !ok || !l.chance(0.3) {
		return same(m)
	}
	c := copyOf(p)
	bad := l.falseCertificate()
	switch l.n.w.rng.IntN(3) {
	case 0:
		c.Justify.Parent = bad
	case 1:
		c.Justify.Finalization = bad
	case 2:
		c.Justify.Nullifications = append(slices.Clone(c.Justify.Nullifications), bad)
	}
	return same(c)
}
