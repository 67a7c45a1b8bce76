package invariant

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/consensus"
)

// Journals remembers which votes of each validator were seen outside its process, to compare them with
// what its journal holds when it starts again (S5 of docs/protocol.md).
type Journals struct {
	committee *Committee
	sent      []map[sentVote]struct{}
}

type sentVote struct {
	kind consensus.Kind
	view uint64
	hash common.Hash
}

// NewJournals begins with empty journals.
func NewJournals(c *Committee) *Journals {
	j := &Journals{committee: c, sent: make([]map[sentVote]struct{}, len(c.Addresses))}
	for i := range j.sent {
		j.sent[i] = map[sentVote]struct{}{}
	}
	return j
}

// Sent notes a vote that left a validator's process.
func (j *Journals) Sent(v *consensus.Vote) {
	j.sent[v.Signer][sentVote{v.Kind, v.View, v.Hash}] = struct{}{}
}

// Holds reports that a vote left its signer's process.
func (j *Journals) Holds(v *consensus.Vote) bool {
	_, ok := j.sent[v.Signer][sentVote{v.Kind, v.View, v.Hash}]
	return ok
}

// Lost forgets a validator's votes: a fault took its journal.
func (j *Journals) Lost(validator int) { clear(j.sent[validator]) }

// Recovered compares what a journal gave back with what was seen of its validator above the view of the
// newest block in its store. Records must hold what they promise: a NOTARIZE the whole block, a FINALIZE
// the notarization.
func (j *Journals) Recovered(validator int, records []consensus.Record, tipView uint64) error {
	const rule = "journal"
	have := make(map[sentVote]struct{}, len(records))
	floor := uint64(0)
	for i := range records {
		r := &records[i]
		v := sentVote{view: r.View}
		switch r.Type {
		case consensus.RecordNullify:
			v.kind = consensus.Nullify
		case consensus.RecordNotarize:
			m, err := consensus.DecodeMessage(r.Data)
			p, ok := m.(*consensus.Proposal)
			if err != nil || !ok {
				return violation(rule, "validator %d: NOTARIZE of view %d does not read back: %v", validator, r.View, err)
			}
			v.kind, v.hash = consensus.Notarize, p.Hash()
			f := consensus.FinalBlock{Block: &p.Block, Hash: v.hash}
			if err := (&Chains{committee: j.committee}).bytes(validator, &f); err != nil {
				return violation(rule, "validator %d: NOTARIZE of view %d without its block", validator, r.View)
			}
		case consensus.RecordFinalize:
			c := new(consensus.Cert)
			if err := rlp.DecodeBytes(r.Data, c); err != nil || c.Kind != consensus.Notarize || c.View != r.View {
				return violation(rule, "validator %d: FINALIZE of view %d without its notarization: %v", validator, r.View, err)
			}
			v.kind, v.hash = consensus.Finalize, c.Hash
		case consensus.RecordFloor:
			floor = max(floor, r.View)
			continue
		default:
			continue
		}
		have[v] = struct{}{}
	}
	for v := range j.sent[validator] {
		if v.view <= tipView {
			continue
		}
		if _, ok := have[v]; !ok && v.view >= floor {
			return violation(rule, "validator %d sent %s of view %d and does not remember it (store at view %d)", validator, v.kind, v.view, tipView)
		}
	}
	return nil
}

// Forget drops votes at or below a view that lies two terms below what the validator's store holds.
func (j *Journals) Forget(validator int, view uint64) {
	for v := range j.sent[validator] {
		if v.view <= view {
			delete(j.sent[validator], v)
		}
	}
}
