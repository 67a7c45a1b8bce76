package sim

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/tercet-chain/tercet/consensus"
)

// auditor is a running hash over all events of a run.
type auditor struct{ h uint64 }

func (a *auditor) mix(x uint64) {
	a.h = bits.RotateLeft64(a.h^x*0x9E3779B97F4A7C15, 29) * 0xBF58476D1CE4E5B9
}

func (a *auditor) String() string { return fmt.Sprintf("%016x", a.h) }

// sumOf condenses a message.
func sumOf(m consensus.Message) uint64 {
	var a auditor
	switch m := m.(type) {
	case *consensus.Vote:
		a.vote(m)
	case *consensus.Cert:
		a.cert(m)
	case *consensus.Proposal:
		a.mix(m.Block.Header.View)
		hash := m.Hash()
		a.mix(binary.BigEndian.Uint64(hash[:]))
		a.mix(uint64(len(m.Justify.Nullifications)))
	case *consensus.Status:
		a.mix(m.View)
		a.mix(m.FinHeight<<20 ^ m.ExecHeight)
	case *consensus.CertRequest:
		a.mix(m.From<<20 ^ m.To)
	case *consensus.CertResponse:
		for _, c := range m.Certs {
			a.cert(c)
		}
	case *consensus.BlockRequest:
		a.mix(m.From)
		a.mix(binary.BigEndian.Uint64(m.Hash[:]))
	case *consensus.BlockResponse:
		a.mix(uint64(len(m.Proposals))<<20 ^ uint64(len(m.Blocks)))
		for _, b := range m.Blocks {
			a.mix(b.Header.View)
		}
	case *consensus.Evidence:
		a.vote(&m.A)
		a.vote(&m.B)
	}
	return a.h
}

func (a *auditor) vote(v *consensus.Vote) {
	a.mix(uint64(v.Kind)<<48 ^ uint64(v.Signer)<<32 ^ v.View)
	a.mix(binary.BigEndian.Uint64(v.Hash[:]))
}

func (a *auditor) cert(c *consensus.Cert) {
	a.mix(uint64(c.Kind)<<48 ^ c.View)
	a.mix(binary.BigEndian.Uint64(c.Hash[:]))
}
