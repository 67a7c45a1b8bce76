package sim

import (
	"slices"

	"github.com/tercet-chain/tercet/consensus"
)

// proposed tells the checkers which blocks a message shows, whoever sends it.
func (w *World) proposed(m consensus.Message) {
	switch m := m.(type) {
	case *consensus.Proposal:
		w.votes.Proposed(m.Hash(), &m.Block.Header)
	case *consensus.BlockResponse:
		for _, p := range m.Proposals {
			w.votes.Proposed(p.Hash(), &p.Block.Header)
		}
	}
}

// recovered tells the checkers which blocks a journal holds: a proposal of which a crash has kept every
// message from leaving is voted for again, and served to who asks.
func (w *World) recovered(records []consensus.Record) {
	for i := range records {
		if records[i].Type == consensus.RecordNotarize {
			if m, err := consensus.DecodeMessage(slices.Clone(records[i].Data)); err == nil {
				w.proposed(m)
			}
		}
	}
}

// shown tells the checkers which certificates a correct node shows: votes can be seen in them alone.
func (w *World) shown(m consensus.Message) {
	switch m := m.(type) {
	case *consensus.Cert:
		w.certified(m)
	case *consensus.CertResponse:
		w.certified(m.Certs...)
	case *consensus.Proposal:
		w.proposed(m)
		w.certified(m.Justify.Parent, m.Justify.Finalization)
		w.certified(m.Justify.Nullifications...)
	case *consensus.BlockResponse:
		w.certified(m.Finalization)
	}
}

func (w *World) certified(certs ...*consensus.Cert) {
	for _, c := range certs {
		if c == nil {
			continue
		}
		if err := w.votes.Certified(c); err != nil {
			w.fail(err)
		}
	}
}
