package invariant

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/consensus"
)

// Journals remembers which votes of each validator were seen outside its process, to compare them with
// what its journal holds when it starts again (S5 of docs/protocol.md).
type Journals struct {
	committee *Committee
	sent      []map[sentVote]struct{}
	// excused is, by validator, up to which view its journal had been pruned when its store lost blocks.
	excused []uint64
}

// NewJournals begins with empty journals.
func NewJournals(c *Committee) *Journals {
	j := &Journals{committee: c, sent: make([]map[sentVote]struct{}, len(c.Addresses)), excused: make([]uint64, len(c.Addresses))}
	for i := range j.sent {
		j.sent[i] = map[sentVote]struct{}{}
	}
	return j
}

// Sent notes a vote that left a validator's process.
func (j *Journals) Sent(v *consensus.Vote) {
	j.sent[v.Signer][sentVote{v.Kind, v.View, v.Hash}] = struct{}{}
}

// Lost forgets a validator's votes: a fault took its journal.
func (j *Journals) Lost(validator int) {
	clear(j.sent[validator])
	j.excused[validator] = 0
}

// Recovered compares what a journal gave back with what was seen of its validator above the view of the
// newest block in its store; lost says that a fault took blocks from the store. Records must hold what they
// promise: a NOTARIZE the whole block, a FINALIZE the notarization. They must not contradict each other,
// seen outside or not. And a journal must not be pruned but far below what the store holds.
func (j *Journals) Recovered(validator int, records []consensus.Record, tipView uint64, lost bool) error {
	have := make(map[sentVote]struct{}, len(records))
	own := newSigner()
	floor := uint64(0)
	for i := range records {
		if records[i].Type == consensus.RecordFloor {
			floor = max(floor, records[i].View)
			continue
		}
		v, err := j.record(validator, &records[i])
		if err != nil {
			return err
		}
		if v.kind == 0 {
			continue
		}
		if _, err := own.consistent(j.committee, validator, v); err != nil {
			return violation(RuleJournal, "the journal of validator %d contradicts itself: %v", validator, err)
		}
		have[v] = struct{}{}
	}
	if lost {
		j.excused[validator] = max(j.excused[validator], floor)
	}
	if floor > j.excused[validator] && floor+2*j.committee.Term > tipView {
		return violation(RuleJournal, "the journal of validator %d is pruned up to view %d, its store is at view %d", validator, floor, tipView)
	}
	for v := range j.sent[validator] {
		if v.view <= tipView {
			continue
		}
		if _, ok := have[v]; !ok && v.view >= floor {
			return violation(RuleJournal, "validator %d sent %s of view %d and does not remember it (store at view %d)", validator, v.kind, v.view, tipView)
		}
	}
	return nil
}

// record reads what vote a record promises; the kind is 0 for a record of something else.
func (j *Journals) record(validator int, r *consensus.Record) (sentVote, error) {
	v := sentVote{view: r.View}
	if r.Type == consensus.RecordAmnesia {
		return v, nil
	}
	if r.Epoch != 0 || r.View == 0 {
		return v, violation(RuleJournal, "validator %d: %s of view %d, epoch %d", validator, r.Type, r.View, r.Epoch)
	}
	switch r.Type {
	case consensus.RecordNullify:
		v.kind = consensus.Nullify
	case consensus.RecordNotarize:
		m, err := consensus.DecodeMessage(r.Data)
		p, ok := m.(*consensus.Proposal)
		if err != nil || !ok {
			return v, violation(RuleJournal, "validator %d: NOTARIZE of view %d does not read back: %v", validator, r.View, err)
		}
		if p.Block.Header.View != r.View || crypto.Keccak256Hash(p.Block.Payload) != p.Block.Header.PayloadHash {
			return v, violation(RuleJournal, "validator %d: NOTARIZE of view %d without its block", validator, r.View)
		}
		v.kind, v.hash = consensus.Notarize, headerHash(&p.Block.Header)
	case consensus.RecordFinalize:
		c := new(consensus.Cert)
		err := rlp.DecodeBytes(r.Data, c)
		if err == nil {
			err = j.committee.Certificate(c)
		}
		if err != nil || c.Kind != consensus.Notarize || c.View != r.View {
			return v, violation(RuleJournal, "validator %d: FINALIZE of view %d without its notarization: %v", validator, r.View, err)
		}
		v.kind, v.hash = consensus.Finalize, c.Hash
	default:
		return v, violation(RuleJournal, "validator %d: a record of the unknown type %s", validator, r.Type)
	}
	return v, nil
}

// headerHash is a block's identity, by docs/protocol.md §3.
func headerHash(h *consensus.Header) common.Hash {
	b, err := rlp.EncodeToBytes(h)
	if err != nil {
		panic("invariant: a header of fixed fields does not encode: " + err.Error())
	}
	return crypto.Keccak256Hash(b)
}

// Forget drops votes at or below a view that lies two terms below what the validator's store holds.
func (j *Journals) Forget(validator int, view uint64) {
	for v := range j.sent[validator] {
		if v.view <= view {
			delete(j.sent[validator], v)
		}
	}
}
