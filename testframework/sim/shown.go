package sim

import (
	"slices"

	"github.com/tercet-chain/tercet/consensus"
)

// shown tells the checkers what a correct node shows beside its own votes: certificates, in which alone a
// vote may be seen.
func (w *World) shown(m consensus.Message) {
	switch m := m.(type) {
	case *consensus.Cert:
		w.certified(m)
	case *consensus.CertResponse:
		w.certified(m.Certs...)
	case *consensus.Proposal:
		w.certified(m.Justify.Parent, m.Justify.Finalization)
		w.certified(m.Justify.Nullifications...)
	case *consensus.BlockResponse:
		w.certified(m.Finalization)
	}
}

func (w *World) certified(certs ...*consensus.Cert) {
	for _, c := range certs {
		if c != nil {
			w.judge(w.votes.Certified(c))
		}
	}
}

// kept tells the checkers which blocks a journal holds: a proposal of which a crash has kept every message
// from leaving is voted for again, and served to who asks. All of its data must be there.
func (w *World) kept(n *node, records []consensus.Record) {
	for i := range records {
		if records[i].Type != consensus.RecordNotarize {
			continue
		}
		m, err := consensus.DecodeMessage(slices.Clone(records[i].Data))
		if p, ok := m.(*consensus.Proposal); ok && err == nil {
			w.judge(w.votes.Proposed(p.Hash(), &p.Block.Header))
			if n.correct() && !complete(transactions(p.Block.Payload), p.Block.Data) {
				w.violate("journal", "validator %d keeps NOTARIZE of view %d without the block's data", n.signer, records[i].View)
			}
		}
	}
}
