package consensus

import (
	"fmt"

	"github.com/ethereum/go-ethereum/rlp"
)

// RecordType says what a [Record] of the write-ahead log holds.
type RecordType uint8

// The records of one epoch and view.
const (
	// RecordNotarize is an own NOTARIZE; Data is the proposal's whole frame
	// (header, payload, data, justification, leader's vote).
	RecordNotarize RecordType = 1
	// RecordNullify is an own NULLIFY; Data is empty.
	RecordNullify RecordType = 2
	// RecordFinalize is an own FINALIZE; Data is the RLP of the NOTARIZATION
	// that allowed it.
	RecordFinalize RecordType = 3
	// RecordAmnesia says that votes may have been lost before this log began:
	// the validator observes until it is safe to vote again.
	RecordAmnesia RecordType = 4
	// RecordFloor says that records of views below its own may have been
	// deleted, because the block store held a tip above them. If the store
	// has lost that tip since, the votes in between are forgotten.
	RecordFloor RecordType = 5
)

func (t RecordType) String() string {
	switch t {
	case RecordNotarize:
		return "notarize"
	case RecordNullify:
		return "nullify"
	case RecordFinalize:
		return "finalize"
	case RecordAmnesia:
		return "amnesia"
	case RecordFloor:
		return "floor"
	}
	return fmt.Sprintf("record(%d)", uint8(t))
}

// Record is one entry of the write-ahead log. The log itself reads only Type,
// Epoch and View.
type Record struct {
	Type        RecordType
	Epoch, View uint64
	Data        []byte
}

// checkView refuses a view that no vote can be for; arithmetic on it would overflow.
func (r *Record) checkView() error {
	if r.View > maxView || r.View == 0 && r.Type != RecordAmnesia {
		return fmt.Errorf("%s of view %d", r.Type, r.View)
	}
	return nil
}

// proposalOf reads a [RecordNotarize].
func (r *Record) proposalOf() (*Proposal, error) {
	m, err := DecodeMessage(r.Data)
	if err != nil {
		return nil, err
	}
	p, ok := m.(*Proposal)
	if !ok {
		return nil, fmt.Errorf("record holds a %T, want a proposal", m)
	}
	if p.Block.Header.View != r.View {
		return nil, fmt.Errorf("record of view %d holds a proposal of view %d", r.View, p.Block.Header.View)
	}
	return p, nil
}

// notarizationOf reads a [RecordFinalize]. The log vouches for the signatures, the shape is checked: what
// follows indexes validators by it.
func (r *Record) notarizationOf(committee *Committee) (*Cert, error) {
	c := new(Cert)
	if err := rlp.DecodeBytes(r.Data, c); err != nil {
		return nil, err
	}
	if err := c.wellFormed(committee); err != nil {
		return nil, err
	}
	if c.Kind != Notarize || c.View != r.View || c.Epoch != r.Epoch {
		return nil, fmt.Errorf("record of view %d holds a %s certificate of view %d", r.View, c.Kind, c.View)
	}
	return c, nil
}

func finalizeRecord(c *Cert) Record {
	b, err := rlp.EncodeToBytes(c)
	if err != nil {
		panic("consensus: a certificate does not encode: " + err.Error())
	}
	return Record{Type: RecordFinalize, Epoch: c.Epoch, View: c.View, Data: b}
}
