package invariant

import (
	"fmt"

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
	behind    []bool // by validator: its store lost blocks and has not come back to where it was
}

// NewJournals begins with empty journals.
func NewJournals(c *Committee) *Journals {
	j := &Journals{committee: c, sent: make([]map[sentVote]struct{}, len(c.Addresses)), behind: make([]bool, len(c.Addresses))}
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

// Recovery is what a validator's process found on its disk.
type Recovery struct {
	Records []consensus.Record
	// TipView is the view of the newest block in the store that has a finalization.
	TipView uint64
	// StoreLost says that a fault took blocks from the store.
	StoreLost bool
	// View that the process begins in, and whether it votes there.
	View   uint64
	Voting bool
}

// Recovered compares what a disk gave back with what was seen of its validator: every vote from two terms
// below the newest stored block on. Records must hold what they promise: a NOTARIZE the whole block, a
// FINALIZE the notarization, which also opens the next view. Where votes may be forgotten, because the store
// lost what had made them irrelevant, there is no voting. Records must not contradict each other, whether
// anybody saw their votes or not.
func (j *Journals) Recovered(validator int, r *Recovery) error {
	have := make(map[sentVote]struct{}, len(r.Records))
	own := newSigner()
	floor, opens := uint64(0), r.TipView+1
	for i := range r.Records {
		if r.Records[i].Type == consensus.RecordFloor {
			floor = max(floor, r.Records[i].View)
		}
		v, ok, err := Remembered(&r.Records[i])
		if err == nil && ok {
			_, err = own.consistent(j.committee, validator, sentVote{v.Kind, v.View, v.Hash})
		}
		if err == nil && v.Kind == consensus.Finalize {
			err = j.notarization(&r.Records[i])
		}
		if err != nil {
			return violation(RuleJournal, "validator %d: %v", validator, err)
		}
		if !ok {
			continue
		}
		have[sentVote{v.Kind, v.View, v.Hash}] = struct{}{}
		if v.Kind == consensus.Finalize {
			opens = max(opens, v.View+1)
		}
	}
	keep := r.TipView - min(r.TipView, 2*j.committee.Term)
	j.behind[validator] = floor > keep && (r.StoreLost || j.behind[validator])
	switch {
	case floor > keep && !j.behind[validator]:
		return violation(RuleJournal, "validator %d gave up its votes below view %d, its store is at view %d", validator, floor, r.TipView)
	case floor > r.TipView+1 && r.Voting && r.View <= floor:
		return violation(RuleJournal, "validator %d votes in view %d and may have voted below view %d", validator, r.View, floor)
	case r.View < opens:
		return violation(RuleJournal, "validator %d begins in view %d, its disk proves view %d", validator, r.View, opens)
	}
	for v := range j.sent[validator] {
		if v.view < max(keep, floor) {
			continue
		}
		if _, ok := have[v]; !ok {
			return violation(RuleJournal, "validator %d sent %s of view %d and does not remember it (store at view %d)", validator, v.kind, v.view, r.TipView)
		}
	}
	return nil
}

// notarization checks the proof that a FINALIZE is kept with.
func (j *Journals) notarization(r *consensus.Record) error {
	c := new(consensus.Cert)
	if err := rlp.DecodeBytes(r.Data, c); err != nil {
		return err
	}
	return j.committee.Certificate(c)
}

// Remembered reads the vote that a record of a journal stands for, without signer and signature; ok is false
// for records that are no vote.
func Remembered(r *consensus.Record) (v consensus.Vote, ok bool, err error) {
	v = consensus.Vote{Epoch: r.Epoch, View: r.View}
	if r.Epoch != 0 || r.View == 0 && r.Type != consensus.RecordAmnesia {
		return v, false, fmt.Errorf("%s of view %d, epoch %d", r.Type, r.View, r.Epoch)
	}
	switch r.Type {
	case consensus.RecordAmnesia, consensus.RecordFloor:
		return v, false, nil
	case consensus.RecordNullify:
		v.Kind = consensus.Nullify
	case consensus.RecordNotarize:
		m, err := consensus.DecodeMessage(r.Data)
		if err != nil {
			return v, false, fmt.Errorf("NOTARIZE of view %d does not read back: %w", r.View, err)
		}
		p, is := m.(*consensus.Proposal)
		if !is || p.Block.Header.View != r.View || crypto.Keccak256Hash(p.Block.Payload) != p.Block.Header.PayloadHash {
			return v, false, fmt.Errorf("NOTARIZE of view %d without its block", r.View)
		}
		v.Kind, v.Hash = consensus.Notarize, headerHash(&p.Block.Header)
	case consensus.RecordFinalize:
		c := new(consensus.Cert)
		if err := rlp.DecodeBytes(r.Data, c); err != nil {
			return v, false, fmt.Errorf("FINALIZE of view %d does not read back: %w", r.View, err)
		}
		if c.Kind != consensus.Notarize || c.View != r.View {
			return v, false, fmt.Errorf("FINALIZE of view %d without its notarization", r.View)
		}
		v.Kind, v.Hash = consensus.Finalize, c.Hash
	default:
		return v, false, fmt.Errorf("record of the unknown type %s", r.Type)
	}
	return v, true, nil
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
