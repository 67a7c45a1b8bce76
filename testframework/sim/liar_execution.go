package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

// This file has the lies about execution.

// attest sends one node what the strategies make of the core's vote for a result.
func (l *liar) attest(to *node, p *packet) {
	for i := range l.strategies {
		if change := l.strategies[i].attest; change != nil {
			if p = change(l, to, p); p == nil {
				return
			}
		}
	}
	l.n.w.transmit(l.n, to, consensus.LaneCert, p, 0)
}

// attestNothing keeps votes for results back.
func attestNothing(*liar, *node, *packet) *packet { return nil }

// attestFalsely signs the right result for even nodes and a made-up one for odd nodes, and now and then
// votes in another's name or sends a certificate that nobody signed.
func attestFalsely(l *liar, to *node, p *packet) *packet {
	w := l.n.w
	if to.index%2 == 0 {
		return p
	}
	r := p.exec.vote.ExecResult
	r.HeaderHash[0] ^= 1
	v := w.attest(l.n.signer, r)
	m := &execMessage{vote: v}
	switch w.rng.IntN(8) {
	case 0:
		v.Signer = uint16(w.rng.IntN(w.scenario.Validators + 1))
	case 1:
		v.Height++
	case 2:
		m = &execMessage{cert: l.fabricate(r)}
	}
	packed := w.packExec(m)
	if packed == nil {
		w.stats.Refused++
	}
	return packed
}

// fabricate is a certificate of a result with the liar's own signature in every place.
func (l *liar) fabricate(r ledger.ExecResult) *ledger.ExecCert {
	w, votes := l.n.w, []*ledger.ExecVote{}
	for i := range w.committee.Quorum() {
		v := w.attest(l.n.signer, r)
		v.Signer = uint16(i)
		votes = append(votes, v)
	}
	c, err := ledger.NewExecCert(r, w.scenario.Validators, votes)
	w.check(err)
	return c
}

// markWays is how many ways [liar.remark] has.
const markWays = 7

// proposeFalseMarks proposes watermarks that break the rules, with and without certificates.
func proposeFalseMarks(l *liar, to *node, m consensus.Message) []speech {
	return l.instead(to, m, markWays, func(b *consensus.Block, way int) { l.remark(b, way) })
}

// remark gives a block another watermark.
func (l *liar) remark(b *consensus.Block, way int) {
	w := l.n.w
	mark, cert := watermark(b.Payload), uint64(0)
	switch way {
	case 0: // back to the beginning
		mark = 0
	case 1: // back, with the certificate that once proved it
		if k := len(w.exec.proofs); k > 0 {
			cert = 1 + w.rng.Uint64N(uint64(k))
			mark = w.exec.proofs[cert-1].cert.Height
		}
	case 2: // ahead, proven by nothing
		mark = b.Header.Height - 1
	case 3: // ahead, proven by a made-up certificate
		mark = b.Header.Height - 1
		set := w.committee.Hash()
		cert = w.exec.number(w, l.fabricate(ledger.ExecResult{Height: mark, HeaderHash: l.noise(), TimeMs: b.Header.TimeMs, ValidatorSetHash: set, PendingSetHash: set}))
	case 4: // of a block to come
		mark = b.Header.Height + w.rng.Uint64N(3)
	case 5: // a certificate of another height
		if k := len(w.exec.proofs); k > 0 {
			mark, cert = b.Header.Height-1, 1+w.rng.Uint64N(uint64(k))
		}
	case 6: // a certificate that does not exist, and never will: all must judge alike
		cert = 1<<40 + w.rng.Uint64N(5)
	}
	rest := b.Payload[len(idle(b.Payload)):]
	b.Payload = slices.Concat(appendMark(nil, mark, cert), rest)
	b.Header.PayloadHash = crypto.Keccak256Hash(b.Payload)
}
