package consensus_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// story drives a replica through votes of all kinds and past timeouts.
func story(r *rig, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	r.build = true
	r.step(consensus.Demand{AtUnixMs: 1})
	others := []int{0, 1, 2}
	var parent *consensus.Proposal
	for range 40 {
		v := r.core.Snapshot().View
		leader := r.cfg.Schedule().Leader(v)
		switch rng.IntN(5) {
		case 0:
			r.pass(time.Duration(rng.IntN(900)) * time.Millisecond)
		case 1:
			r.receive(0, r.cert(consensus.Nullify, v, common.Hash{}, others...))
		default:
			if leader == 3 {
				r.pass(20 * time.Millisecond)
				continue
			}
			p := r.block(v, parent, nil)
			r.receive(leader, p)
			if rng.IntN(4) > 0 {
				r.receive(leader, r.cert(consensus.Notarize, v, p.Hash(), others...))
				parent = p
			}
			if rng.IntN(3) == 0 {
				r.receive(leader, r.cert(consensus.Finalize, v, p.Hash(), others...))
				parent = p
			}
		}
	}
}

// temptation offers a restarted replica another history: other blocks in every
// view, certificates for them, and time for its timers.
func temptation(r *rig, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 8))
	r.build = true
	r.step(consensus.Demand{AtUnixMs: 1})
	others := []int{0, 1, 2}
	var parent *consensus.Proposal
	for i := range 60 {
		v := r.core.Snapshot().View
		if rng.IntN(4) == 0 {
			v += uint64(rng.IntN(3))
		}
		p := r.block(v, parent, func(b *consensus.Block) { b.Payload = fmt.Appendf(nil, "temptation %d", i) })
		if leader := r.cfg.Schedule().Leader(v); leader != 3 {
			r.receive(leader, p)
		}
		switch rng.IntN(4) {
		case 0:
			r.pass(time.Duration(rng.IntN(900)) * time.Millisecond)
		case 1:
			r.receive(0, r.cert(consensus.Nullify, v, common.Hash{}, others...))
		default:
			r.receive(0, r.cert(consensus.Notarize, v, p.Hash(), others...))
			parent = p
		}
	}
}

// Incidents 2, 3 and 7: crash after every record. Whatever the restarted
// replica is shown, it signs nothing that excludes what it signed before, and
// what it had signed above the tip it says again.
func TestIncident02_crashAtEachRecord_noConflictingVote(t *testing.T) {
	for _, shape := range [][2]uint64{{1, 0}, {3, 0}, {3, 2}, {16, 4}} {
		for seed := range uint64(6) {
			r := newRig(t, 4, 3, shape[0], shape[1])
			story(r, seed)
			all, votes := r.log, r.sentVotes()
			noConflicts(t, r.cfg.Schedule(), votes)
			for cut := range len(all) + 1 {
				again := newRig(t, 4, 3, shape[0], shape[1])
				again.restart(all[:cut])
				resent := map[consensus.Vote]bool{}
				for _, v := range again.sentVotes() {
					resent[v] = true
				}
				view := again.core.Snapshot().View
				for _, rec := range all[:cut] {
					if want := voteOf(again, rec); (rec.Type == consensus.RecordFinalize || rec.View >= view) && !resent[want] {
						t.Fatalf("T=%d W=%d seed %d cut %d: %s of view %d is not sent again in view %d", shape[0], shape[1], seed, cut, rec.Type, rec.View, view)
					}
				}
				temptation(again, seed)
				if again.fault != "" {
					t.Fatalf("T=%d W=%d seed %d cut %d: %s", shape[0], shape[1], seed, cut, again.fault)
				}
				var before []consensus.Vote
				for _, rec := range all[:cut] {
					before = append(before, voteOf(again, rec))
				}
				noConflicts(t, r.cfg.Schedule(), append(before, again.sentVotes()...))
			}
		}
	}
}

// voteOf is the vote that a record promises.
func voteOf(r *rig, rec consensus.Record) consensus.Vote {
	one := newRig(r.t, 4, 3, r.cfg.Term, r.cfg.Window)
	kind, hash := consensus.Nullify, common.Hash{}
	switch rec.Type {
	case consensus.RecordNotarize:
		m, err := consensus.DecodeMessage(rec.Data)
		if err != nil {
			r.t.Fatal(err)
		}
		kind, hash = consensus.Notarize, m.(*consensus.Proposal).Hash()
	case consensus.RecordFinalize:
		kind, hash = consensus.Finalize, finalizedHash(one, rec)
	}
	return *r.vote(kind, rec.View, hash, 3)
}

// finalizedHash asks a fresh replica what it says after reading the record.
func finalizedHash(r *rig, rec consensus.Record) common.Hash {
	r.restart([]consensus.Record{rec})
	for _, v := range r.sentVotes() {
		if v.Kind == consensus.Finalize {
			return v.Hash
		}
	}
	r.t.Fatal("a FINALIZE in the log is not sent again")
	return common.Hash{}
}

func TestRecovery_servesBodies_andKnowsCertificates(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	p := r.block(1, nil, func(b *consensus.Block) { b.Data = []byte("transactions") })
	r.receive(0, p)
	r.receive(1, r.cert(consensus.Notarize, 1, p.Hash(), 0, 1, 2))
	r.restart(r.log)
	if s := r.core.Snapshot(); s.View != 2 {
		t.Errorf("in view %d, want 2: the notarization is in the log", s.View)
	}
	r.sent = nil
	r.receive(2, &consensus.BlockRequest{Hash: p.Hash()})
	r.pass(time.Second)
	r.receive(2, &consensus.CertRequest{From: 1, To: 1})
	body, cert := false, false
	for _, s := range r.sent {
		switch m := s.Message.(type) {
		case *consensus.BlockResponse:
			body = body || (len(m.Proposals) == 1 && string(m.Proposals[0].Block.Data) == "transactions")
		case *consensus.CertResponse:
			cert = cert || (m.Certs[0].Kind == consensus.Notarize && m.Certs[0].Hash == p.Hash())
		}
	}
	if !body || !cert {
		t.Errorf("body served: %v, certificate served: %v", body, cert)
	}
}

// A FINALIZE without an own NOTARIZE: the certificate is in the log, the body
// is not and must be asked for.
func TestRecovery_finalizedWithoutTheBody_fetchesIt(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	p := r.block(1, nil, nil)
	r.receive(1, r.cert(consensus.Notarize, 1, p.Hash(), 0, 1, 2))
	if !r.voted(consensus.RecordFinalize, 1) {
		t.Fatal("no FINALIZE")
	}
	r.restart(r.log)
	r.pass(time.Second)
	if len(r.requests(p.Hash())) == 0 {
		t.Error("the body is not asked for")
	}
}

// A view that was reached before the restart is reached again: the votes for
// it are in the log, and nobody else has them.
func TestRecovery_votesFarAhead_areSentWhenTheViewComes(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	for v := uint64(1); v <= 9; v++ {
		r.pass(4 * time.Second)
		r.receive(0, r.cert(consensus.Nullify, v, common.Hash{}, 0, 1, 2))
	}
	r.restart(r.log)
	for v := uint64(1); v <= 9; v++ {
		r.sent = nil
		r.receive(0, r.cert(consensus.Nullify, v, common.Hash{}, 0, 1, 2))
		if v == 9 {
			break
		}
		found := false
		for _, vote := range r.sentVotes() {
			found = found || (vote.Kind == consensus.Nullify && vote.View == v+1)
		}
		if !found {
			t.Errorf("NULLIFY of view %d is not said again on entering it", v+1)
		}
	}
}

func TestRejoin_waitsForAQuorum_thenForANewTerm(t *testing.T) {
	r := newRig(t, 4, 3, 4, 2)
	amnesia := []consensus.Record{{Type: consensus.RecordAmnesia}}
	r.restart(amnesia)
	status := func(view uint64) *consensus.Status {
		return &consensus.Status{View: view, FinHeight: 5, FinView: 5, FinHash: common.Hash{5}}
	}
	if s := r.core.Snapshot(); s.Voting || s.VotesFrom != 0 {
		t.Fatalf("votes without its log: %+v", s)
	}
	r.receive(0, r.cert(consensus.Nullify, 17, common.Hash{}, 0, 1, 2))
	r.receive(0, status(10))
	r.receive(0, status(10)) // The same one twice counts once.
	r.receive(1, status(21))
	observer := status(90)
	observer.Observer = true
	r.receive(2, observer)
	if s := r.core.Snapshot(); s.VotesFrom != 0 {
		t.Fatalf("two statuses and an observer's are no quorum, yet it votes from %d", s.VotesFrom)
	}
	r.receive(2, status(12))
	// max(view)+T+2W+2 = 31 lies in the term 29-32.
	s := r.core.Snapshot()
	if s.VotesFrom != 33 || s.Voting {
		t.Fatalf("votes from %d, want 33", s.VotesFrom)
	}
	r.receive(0, r.cert(consensus.Nullify, 28, common.Hash{}, 0, 1, 2))
	r.pass(5 * time.Second)
	if len(r.log) != 1 {
		t.Fatalf("signed %+v before its term", r.log[1:])
	}
	r.receive(0, r.cert(consensus.Nullify, 29, common.Hash{}, 0, 1, 2))
	if len(r.log) != 1 || !r.core.Snapshot().Voting {
		t.Fatal("want to vote from view 33 on")
	}
	r.pass(5 * time.Second)
	if !r.voted(consensus.RecordNullify, 33) {
		t.Error("no vote in its first term")
	}
	for _, rec := range r.log[1:] {
		if rec.View < 33 {
			t.Errorf("signed %s of view %d", rec.Type, rec.View)
		}
	}
	r.restart(r.log)
	if s := r.core.Snapshot(); s.VotesFrom < 33 || s.VotesFrom > 36 {
		t.Errorf("after the next restart it votes from %d", s.VotesFrom)
	}
}

// Its own NULLIFY may be why the others are still in view 1.
func TestRejoin_atGenesis_isNoException(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	r.restart([]consensus.Record{{Type: consensus.RecordAmnesia}})
	r.receive(0, &consensus.Status{View: 1})
	r.receive(1, &consensus.Status{View: 1})
	if s := r.core.Snapshot(); s.Voting || s.VotesFrom != 0 {
		t.Errorf("it heard two others, which are no quorum: %+v", s)
	}
	r.receive(2, &consensus.Status{View: 1})
	if s := r.core.Snapshot(); s.Voting || s.VotesFrom <= 1+3 {
		t.Errorf("it may have voted in the first views: %+v", s)
	}
}

// Those at genesis may have been cut off. One that says it has left genesis is
// believed in that, long before its certificates arrive.
func TestRejoin_whenOneHasLeftGenesis_isALoss(t *testing.T) {
	r := newRig(t, 4, 3, 4, 1)
	r.restart([]consensus.Record{{Type: consensus.RecordAmnesia}})
	r.receive(0, &consensus.Status{View: 20, FinHeight: 15, FinView: 18, FinHash: common.Hash{5}})
	r.receive(1, &consensus.Status{View: 1})
	r.receive(2, &consensus.Status{View: 1})
	s := r.core.Snapshot()
	if s.Voting || s.VotesFrom != 0 {
		t.Errorf("it votes, from %d, though another one is in view 20", s.VotesFrom)
	}
	if want := []consensus.Awaited{{Validator: 0, Unproven: true}}; !slices.Equal(s.Awaits, want) {
		t.Errorf("waits for %+v, want %+v", s.Awaits, want)
	}
	r.receive(0, r.block(1, nil, nil))
	if len(r.log) != 1 {
		t.Errorf("signed %+v", r.log[1:])
	}
}

// A liar that states a view of the far future must not keep the rejoining one
// from voting, and what others state counts once certificates prove it.
func TestRejoin_withALyingStatus_votesAllTheSame(t *testing.T) {
	for _, claim := range []uint64{1<<64 - 1, 1 << 63, 1 << 62, 1 << 40, 200, 1, 0} {
		r := newRig(t, 7, 6, 16, 4)
		r.restart([]consensus.Record{{Type: consensus.RecordAmnesia}})
		_ = r.try(0, &consensus.Status{View: claim, FinHeight: 1})
		for i := 1; i < 5; i++ {
			r.receive(i, &consensus.Status{View: 50, FinHeight: 1})
		}
		r.receive(5, &consensus.Status{View: 53, FinHeight: 1})
		if s := r.core.Snapshot(); s.VotesFrom != 0 {
			t.Errorf("claim %d: votes from %d though nothing proves the views", claim, s.VotesFrom)
		}
		r.receive(1, r.cert(consensus.Nullify, 48, common.Hash{}, 0, 1, 2, 3, 4))
		r.receive(5, &consensus.Status{View: 53, FinHeight: 1})
		// max(view)+T+2W+2 = 79 lies in the term 65-80.
		if s := r.core.Snapshot(); s.VotesFrom != 81 {
			t.Errorf("claim %d: votes from %d, want 81", claim, s.VotesFrom)
		}
	}
}

// A block store that lost its newest blocks brings the replica back to views
// whose votes the log has forgotten since.
func TestRecovery_whenTheStoreIsBehindTheLog_signsNothingForgotten(t *testing.T) {
	r := newRig(t, 4, 3, 4, 0)
	log := []consensus.Record{
		{Type: consensus.RecordFloor, View: 30},
		{Type: consensus.RecordNullify, View: 41},
	}
	r.cfg.Tip.View, r.cfg.Tip.Height, r.cfg.Tip.Hash = 29, 20, common.Hash{29}
	r.restart(log)
	if s := r.core.Snapshot(); !s.Voting {
		t.Errorf("a tip just below the floor forgets nothing, yet it votes from %d", s.VotesFrom)
	}
	r.cfg.Tip.View, r.cfg.Tip.Height, r.cfg.Tip.Hash = 12, 9, common.Hash{12}
	r.restart(log)
	// The floor lies in the term 29-32, of which the votes before 30 are gone.
	if s := r.core.Snapshot(); s.Voting || s.VotesFrom != 33 {
		t.Fatalf("votes from %d, want 33", s.VotesFrom)
	}
	r.pass(5 * time.Second)
	if len(r.log) != len(log) {
		t.Fatalf("signed %+v below the floor", r.log[len(log):])
	}
	r.receive(0, r.cert(consensus.Nullify, 32, common.Hash{}, 0, 1, 2))
	if !r.core.Snapshot().Voting {
		t.Error("does not vote above the floor")
	}
	// A wiped validator that waits is not freed by a floor.
	r.restart([]consensus.Record{{Type: consensus.RecordAmnesia}, {Type: consensus.RecordFloor, View: 30}})
	if s := r.core.Snapshot(); s.Voting || s.VotesFrom != 0 {
		t.Errorf("votes from %d without its log", s.VotesFrom)
	}
}
