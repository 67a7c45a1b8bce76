package consensus_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// told lists the evidence that a replica sent, and to whom.
func (r *rig) told() (list []*consensus.Evidence, to []int) {
	for _, s := range r.sent {
		if e, ok := s.Message.(*consensus.Evidence); ok {
			list, to = append(list, e), append(to, s.To)
		}
	}
	return list, to
}

// leaderVotes lists the votes of a signer that a replica passed on, and to whom.
func (r *rig) leaderVotes(signer int) (hashes []common.Hash, to []int) {
	for _, s := range r.sent {
		if v, ok := s.Message.(*consensus.Vote); ok && int(v.Signer) == signer {
			hashes, to = append(hashes, v.Hash), append(to, s.To)
		}
	}
	return hashes, to
}

func TestCore_ownEvidence_isSentToEveryoneOnce_withinBounds(t *testing.T) {
	r := newRig(t, 4, 3, 16, 4)
	for range 3 {
		r.receive(2, r.vote(consensus.Finalize, 2, blockA, 1))
		r.receive(2, r.vote(consensus.Finalize, 2, blockB, 1))
	}
	sent, to := r.told()
	if len(sent) != 1 || to[0] != consensus.Everyone || *sent[0] != r.evidence[0] {
		t.Fatalf("sent %v to %v, want the proof once to everyone", sent, to)
	}
	for view := uint64(3); view < 200; view++ {
		r.receive(2, r.cert(consensus.Notarize, view-1, blockA)) // opens the view
		r.receive(2, r.vote(consensus.Finalize, view, blockA, 1))
		r.receive(2, r.vote(consensus.Finalize, view, blockB, 1))
	}
	if sent, _ = r.told(); len(sent) != 16 || len(r.evidence) < 100 {
		t.Errorf("%d proofs sent of %d found, want 16", len(sent), len(r.evidence))
	}
}

func TestCore_evidenceOfOthers_isNotSentOn(t *testing.T) {
	r := newRig(t, 4, 3, 16, 4)
	r.receive(2, &consensus.Evidence{A: *r.vote(consensus.Notarize, 9, blockA, 1), B: *r.vote(consensus.Notarize, 9, blockB, 1)})
	if sent, _ := r.told(); len(sent) != 0 || len(r.evidence) != 1 {
		t.Errorf("reported %v, sent on %v", r.evidence, sent)
	}
}

// Who votes for another block than the one at hand learns what the leader signed for that one, whichever
// comes first, and once.
func TestCore_voteForAnotherBlock_isAnsweredWithTheLeadersVote(t *testing.T) {
	for _, early := range []bool{true, false} {
		r := newRig(t, 7, 6, 1, 0)
		a := r.block(1, nil, nil)
		if !early {
			r.receive(0, a)
		}
		for range 3 {
			r.receive(2, r.vote(consensus.Notarize, 1, a.Hash(), 2))
			r.receive(3, r.vote(consensus.Notarize, 1, blockB, 3))
		}
		if early {
			r.receive(0, a)
			r.receive(0, a)
		}
		hashes, to := r.leaderVotes(0)
		if len(hashes) != 1 || hashes[0] != a.Hash() || to[0] != 3 {
			t.Errorf("early=%v: the leader's votes for %v went to %v, want %s to 3", early, hashes, to, a.Hash())
		}
		if len(r.evidence) != 0 {
			t.Errorf("early=%v: evidence %v against nobody who lied", early, r.evidence)
		}
	}
}

func TestCore_leadersOtherVote_isEvidence_alsoAfterARestart(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t, 7, 6, 1, 0)
		a := r.block(1, nil, nil)
		b := r.block(1, nil, func(b *consensus.Block) { b.Payload = []byte("another") })
		r.receive(0, a)
		if restart {
			r.restart(r.log)
		}
		r.receive(3, &b.LeaderVote) // from a peer that has b
		if sent, _ := r.told(); len(r.evidence) != 1 || len(sent) != 1 || !r.voted(consensus.RecordNullify, 1) {
			t.Errorf("restart=%v: evidence %v, sent %v, log %v", restart, r.evidence, sent, r.log)
		}
		noConflicts(t, r.cfg.Schedule(), r.sentVotes())
	}
}
