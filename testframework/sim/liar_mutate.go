package sim

import (
	"slices"

	"github.com/tercet-chain/tercet/consensus"
)

// This file changes single fields of messages. What the liar's key signs is often signed again, so that
// the verifier lets it pass.

// mutateOne changes some messages, for one receiver each.
func mutateOne(l *liar, _ *node, m consensus.Message) []speech {
	if !l.chance(0.2) {
		return same(m)
	}
	w := l.n.w
	switch m := m.(type) {
	case *consensus.Vote:
		v := *m
		l.mutateVote(&v)
		return same(&v)
	case *consensus.Cert:
		return same(l.mutateCert(m))
	case *consensus.CertResponse:
		r := &consensus.CertResponse{Certs: slices.Clone(m.Certs)}
		if len(r.Certs) > 0 {
			i := w.rng.IntN(len(r.Certs))
			r.Certs[i] = l.mutateCert(r.Certs[i])
		}
		return same(r)
	case *consensus.Proposal:
		if l.leads(m) {
			return same(l.mutateProposal(m))
		}
	case *consensus.Status:
		s := *m
		*[]*uint64{&s.Epoch, &s.View, &s.FinHeight, &s.FinView, &s.ExecHeight}[w.rng.IntN(5)] += l.step()
		return same(&s)
	case *consensus.CertRequest:
		r := *m
		*[]*uint64{&r.Epoch, &r.From, &r.To}[w.rng.IntN(3)] += l.step()
		return same(&r)
	case *consensus.BlockRequest:
		r := *m
		*[]*uint64{&r.From, &r.Count}[w.rng.IntN(2)] += l.step()
		return same(&r)
	case *consensus.Evidence:
		e := *m
		l.mutateVote(&e.A)
		return same(&e)
	}
	return same(m)
}

// step is 1 or -1.
func (l *liar) step() uint64 { return l.n.w.rng.Uint64N(2)*2 - 1 }

func (l *liar) mutateVote(v *consensus.Vote) {
	switch l.n.w.rng.IntN(6) {
	case 0, 1:
		v.View += l.step()
	case 2:
		v.Kind = v.Kind%3 + 1
	case 3:
		v.Hash = l.noise()
	case 4:
		v.Epoch += l.step()
	case 5:
		v.Signer = uint16(l.n.w.rng.IntN(l.n.w.scenario.Validators + 1))
	}
	if l.chance(0.7) && int(v.Signer) == l.n.signer && v.Epoch == 0 {
		*v = *l.vote(v.Kind, v.View, v.Hash)
	}
}

func (l *liar) mutateCert(c *consensus.Cert) *consensus.Cert {
	if l.chance(0.5) {
		return l.broken(c)
	}
	m := *c
	switch l.n.w.rng.IntN(4) {
	case 0:
		m.View += l.step()
	case 1:
		m.Kind = m.Kind%3 + 1
	case 2:
		m.Epoch += l.step()
	case 3:
		m.Sigs = slices.Clone(m.Sigs)
		m.Sigs[l.n.w.rng.IntN(len(m.Sigs))]++
	}
	return &m
}

func (l *liar) mutateProposal(p *consensus.Proposal) *consensus.Proposal {
	w, c := l.n.w, copyOf(p)
	h := &c.Block.Header
	switch w.rng.IntN(12) {
	case 0:
		h.View += l.step()
	case 1:
		h.Height += l.step()
	case 2:
		h.ParentView += l.step()
	case 3:
		h.ParentHash = l.noise()
	case 4:
		h.TimeMs += l.step()
	case 5:
		h.Epoch += l.step()
	case 6:
		h.PayloadHash = l.noise()
	case 7:
		c.Block.Payload = append(slices.Clone(c.Block.Payload), 0)
	case 8:
		c.Justify.Parent = nil
		return c
	case 9:
		c.Justify.Finalization = nil
		return c
	case 10:
		if n := len(c.Justify.Nullifications); n > 0 {
			i := w.rng.IntN(n)
			c.Justify.Nullifications = slices.Delete(slices.Clone(c.Justify.Nullifications), i, i+1)
		}
		return c
	case 11:
		c.Justify = consensus.Justify{}
		return c
	}
	if l.chance(0.8) {
		c.LeaderVote = *l.vote(consensus.Notarize, h.View, h.Hash())
	}
	return c
}
