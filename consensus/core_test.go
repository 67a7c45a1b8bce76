package consensus_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// commitViews feeds a replica a notarized and finalized block per view.
func commitViews(r *rig, from, to uint64, parent *consensus.Proposal) *consensus.Proposal {
	r.t.Helper()
	for v := from; v <= to; v++ {
		p := r.block(v, parent, nil)
		r.receive(r.cfg.Schedule().Leader(v), p)
		r.receive(1, r.cert(consensus.Notarize, v, p.Hash(), 0, 1, 2))
		r.receive(1, r.cert(consensus.Finalize, v, p.Hash(), 0, 1, 2))
		parent = p
	}
	return parent
}

func TestCore_votes_andCommits(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	p := r.block(1, nil, nil)
	r.receive(0, p)
	if !r.voted(consensus.RecordNotarize, 1) {
		t.Fatal("no NOTARIZE of a valid block")
	}
	r.receive(1, r.vote(consensus.Notarize, 1, p.Hash(), 1))
	if !r.voted(consensus.RecordFinalize, 1) {
		t.Fatal("no FINALIZE of a notarized block")
	}
	if len(r.final) != 0 {
		t.Fatal("final on one vote")
	}
	r.receive(1, r.vote(consensus.Finalize, 1, p.Hash(), 1))
	r.receive(0, r.vote(consensus.Finalize, 1, p.Hash(), 0))
	if len(r.final) != 1 || r.final[0].Hash != p.Hash() || r.final[0].Finalization == nil {
		t.Fatalf("delivered %+v, want block 1 with its finalization", r.final)
	}
	if s := r.core.Snapshot(); s.View != 2 || s.Final.Height != 1 {
		t.Errorf("at %+v", s)
	}
}

func TestCore_header_invalid_isNullified(t *testing.T) {
	for name, change := range map[string]func(b *consensus.Block){
		"version":      func(b *consensus.Block) { b.Header.Version = 2 },
		"height":       func(b *consensus.Block) { b.Header.Height++ },
		"parent view":  func(b *consensus.Block) { b.Header.ParentView++ },
		"time":         func(b *consensus.Block) { b.Header.TimeMs-- },
		"proposer":     func(b *consensus.Block) { b.Header.Proposer[0]++ },
		"flags":        func(b *consensus.Block) { b.Header.Flags = 2 },
		"committee":    func(b *consensus.Block) { b.Header.CommitteeHash[0]++ },
		"long payload": func(b *consensus.Block) { b.Payload = make([]byte, 1<<16+1) },
	} {
		r := newRig(t, 4, 3, 1, 0)
		first := commitViews(r, 1, 1, nil)
		r.receive(1, r.block(2, first, change))
		if r.voted(consensus.RecordNotarize, 2) || !r.voted(consensus.RecordNullify, 2) {
			t.Errorf("%s: want NULLIFY instead of NOTARIZE", name)
		}
	}
	r := newRig(t, 4, 3, 1, 0)
	r.judge = func(consensus.JudgeRequest) consensus.Verdict { return consensus.Invalid }
	r.receive(0, r.block(1, nil, nil))
	if r.voted(consensus.RecordNotarize, 1) || !r.voted(consensus.RecordNullify, 1) {
		t.Error("judged invalid: want NULLIFY instead of NOTARIZE")
	}
}

func TestCore_blockTime_aheadOfTheClock_waits(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	p := r.block(1, nil, func(b *consensus.Block) { b.Header.TimeMs = wallStart + 600 })
	r.receive(0, p)
	r.pass(90 * time.Millisecond)
	if r.voted(consensus.RecordNotarize, 1) || r.voted(consensus.RecordNullify, 1) {
		t.Fatal("voted 510 ms ahead of the clock; want to wait for 500 ms")
	}
	r.pass(20 * time.Millisecond)
	if !r.voted(consensus.RecordNotarize, 1) {
		t.Error("no vote once the time was near enough")
	}

	// The least time that the parent allows never waits.
	r = newRig(t, 4, 3, 1, 0)
	r.cfg.Tip.TimeMs = wallStart + 1_000_000
	r.restart(nil)
	r.receive(0, r.block(1, nil, func(b *consensus.Block) { b.Header.TimeMs = wallStart + 1_000_001 }))
	if !r.voted(consensus.RecordNotarize, 1) {
		t.Error("no vote on parent+1 while the clocks are behind")
	}
}

func TestCore_blockTime_ofALeaderWhoseClockIsBehind_isAboveTheParents(t *testing.T) {
	r := newRig(t, 4, 0, 1, 0)
	r.cfg.Tip.TimeMs = wallStart + 1_000_000
	r.restart(nil)
	r.build = true
	r.step(consensus.Demand{AtUnixMs: 1})
	for _, s := range r.sent {
		if p, ok := s.Message.(*consensus.Proposal); ok {
			if got, want := p.Block.Header.TimeMs, r.cfg.Tip.TimeMs+1; got != want {
				t.Errorf("proposed at %d, want %d", got, want)
			}
			return
		}
	}
	t.Error("no proposal")
}

func TestCore_blockTime_farAhead_asksForNoTicks(t *testing.T) {
	for _, ahead := range []uint64{1 << 40, 1 << 54, 1 << 62, 1<<64 - 1 - wallStart} {
		r := newRig(t, 4, 3, 1, 0)
		r.receive(0, r.block(1, nil, func(b *consensus.Block) { b.Header.TimeMs = wallStart + ahead }))
		if r.wakeAt < r.now+time.Millisecond {
			t.Errorf("%d ms ahead: the next tick is in %v", ahead, r.wakeAt-r.now)
		}
	}
}

func TestCore_data_missing_isFetchedFromOthers(t *testing.T) {
	fits := func(j consensus.JudgeRequest) consensus.Verdict {
		if string(j.Block.Data) != "good" {
			return consensus.Missing
		}
		return consensus.Valid
	}
	for name, bad := range map[string][]byte{"absent": nil, "wrong": []byte("bad"), "swollen": make([]byte, 1<<16)} {
		r := newRig(t, 4, 3, 1, 0)
		r.judge = fits
		p := r.block(1, nil, func(b *consensus.Block) { b.Data = []byte("good") })
		spoilt := &consensus.Proposal{Block: p.Block, LeaderVote: p.LeaderVote}
		spoilt.Block.Data = bad
		// The leader gives the wrong bytes whenever it is asked, and so does
		// the next one; the last one has the right ones.
		r.receive(0, spoilt)
		for range 6 {
			asked := r.requests(p.Hash())
			if len(asked) == 0 {
				break
			}
			if last := asked[len(asked)-1]; last == 2 {
				r.receive(2, &consensus.BlockResponse{Proposals: []*consensus.Proposal{p}})
			} else {
				r.receive(last, &consensus.BlockResponse{Proposals: []*consensus.Proposal{spoilt}})
			}
			r.pass(10 * time.Millisecond)
		}
		if !r.voted(consensus.RecordNotarize, 1) {
			t.Errorf("%s data: no vote; asked %v", name, r.requests(p.Hash()))
			continue
		}
		i := slices.IndexFunc(r.log, func(rec consensus.Record) bool { return rec.Type == consensus.RecordNotarize })
		if !bytes.Contains(r.log[i].Data, []byte("good")) {
			t.Errorf("%s data: the log lacks the data that the vote promised", name)
		}
	}
}

func TestCore_data_ofARelay_doesNotSpoilAnHonestBlock(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	r.judge = func(j consensus.JudgeRequest) consensus.Verdict {
		if len(j.Block.Data) != 0 {
			return consensus.Missing
		}
		return consensus.Valid
	}
	p := r.block(1, nil, nil)
	swollen := &consensus.Proposal{Block: p.Block, LeaderVote: p.LeaderVote}
	swollen.Block.Data = make([]byte, 1<<17)
	r.receive(2, swollen)
	r.receive(0, p)
	r.receive(2, swollen)
	if !r.voted(consensus.RecordNotarize, 1) || r.voted(consensus.RecordNullify, 1) {
		t.Error("another validator's copy of the proposal kept the block from being voted for")
	}
	r.receive(1, r.cert(consensus.Finalize, 1, p.Hash(), 0, 1, 2))
	if len(r.final) != 1 || r.fault != "" {
		t.Errorf("delivered %d blocks, fault %q", len(r.final), r.fault)
	}
}

func TestCore_data_fromTheRange_isWhatTheLogKeeps(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	first := r.block(1, nil, nil)
	second := r.block(2, first, func(b *consensus.Block) { b.Data = []byte("good") })
	r.judge = func(consensus.JudgeRequest) consensus.Verdict { return 0 } // Later.
	r.receive(1, &consensus.BlockResponse{
		Blocks: []*consensus.Block{&first.Block, &second.Block}, Finalization: r.cert(consensus.Finalize, 2, second.Hash()),
	})
	spoilt := &consensus.Proposal{Block: second.Block, LeaderVote: second.LeaderVote}
	spoilt.Block.Data = []byte("bad")
	r.receive(2, spoilt)
	r.step(consensus.Judged{Hash: second.Hash(), Verdict: consensus.Valid})
	r.receive(0, &consensus.BlockRequest{Hash: second.Hash()})
	for _, s := range r.sent {
		if m, ok := s.Message.(*consensus.BlockResponse); ok && string(m.Proposals[0].Block.Data) != "good" {
			t.Errorf("served the data %q that nobody judged", m.Proposals[0].Block.Data)
		}
	}
}

// incident 1: what was given up alone is not given up by a quorum, which may have
// finalized there.
func TestIncident01_ownNullify_isNoCertificate(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	r.pass(1500 * time.Millisecond)
	if !r.voted(consensus.RecordNullify, 1) {
		t.Fatal("no NULLIFY of a view without a proposal")
	}
	r.receive(1, r.cert(consensus.Nullify, 2, common.Hash{}, 0, 1, 2))
	r.receive(2, r.block(3, nil, nil))
	if r.voted(consensus.RecordNotarize, 3) {
		t.Fatal("voted for a block that skips view 1 without its nullification")
	}
	r.receive(2, r.cert(consensus.Nullify, 1, common.Hash{}, 0, 1, 2))
	if !r.voted(consensus.RecordNotarize, 3) {
		t.Error("no vote with the nullification at hand")
	}
}

// incident 8: two processes, one key.
func TestIncident08_sameKeyElsewhere_faults(t *testing.T) {
	for name, m := range map[string]func(r *rig) consensus.Message{
		"NOTARIZE": func(r *rig) consensus.Message { return r.vote(consensus.Notarize, 1, common.Hash{1}, 3) },
		"NULLIFY":  func(r *rig) consensus.Message { return r.vote(consensus.Nullify, 1, common.Hash{}, 3) },
		"FINALIZE": func(r *rig) consensus.Message { return r.vote(consensus.Finalize, 9, common.Hash{1}, 3) },
		"proposal": func(r *rig) consensus.Message { return r.block(4, nil, nil) },
	} {
		r := newRig(t, 4, 3, 1, 0)
		r.receive(1, r.cert(consensus.Nullify, 2, common.Hash{}, 0, 1, 2))
		r.receive(1, m(r))
		if !strings.Contains(r.fault, "same key") {
			t.Errorf("%s: fault %q", name, r.fault)
		}
	}
	r := newRig(t, 4, 3, 1, 0)
	p := r.block(1, nil, nil)
	r.receive(0, p)
	r.receive(1, r.vote(consensus.Notarize, 1, p.Hash(), 3)) // Its own, sent back.
	if r.fault != "" {
		t.Errorf("an echo of an own vote: fault %q", r.fault)
	}
}

// incident 19: far-future views.
func TestIncident19_floodOfFarViews_isBounded(t *testing.T) {
	r := newRig(t, 4, 3, 16, 4)
	for i := range uint64(2000) {
		v := 1 + i*i*7
		hash := common.BytesToHash([]byte{byte(i >> 8), byte(i), 1})
		r.receive(1, r.vote(consensus.Notarize, v, hash, 1))
		r.receive(1, r.vote(consensus.Finalize, 1<<62-i, hash, 1))
		r.receive(1, r.vote(consensus.Nullify, 1+i, common.Hash{}, 1))
		r.receive(1, &consensus.CertRequest{From: 1 << 61, To: 1<<64 - 1})
		r.receive(1, &consensus.Status{View: 1 << 62, FinHeight: 1<<64 - 1, FinView: 1 << 62})
		r.receive(1, &consensus.BlockRequest{From: 1 << 63, Count: 1<<64 - 1})
		if p := r.block(17+i*64, nil, func(b *consensus.Block) { b.Header.ParentHash = hash }); p.LeaderVote.Signer == 1 {
			r.receive(1, p)
		}
	}
	views, blocks, fetches, votes := r.core.Sizes()
	if views > 40 || blocks > 40 || fetches > 64 || votes > 4 {
		t.Errorf("%d views, %d blocks, %d fetches, %d own votes", views, blocks, fetches, votes)
	}
}

// One leader can sign any number of blocks for one view; each could be the
// parent of the one before.
func TestCore_chainOfBlocksOfOneView_isBounded(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	var chain []*consensus.Proposal
	parent := common.Hash{1}
	for range 300 {
		p := r.block(2, nil, func(b *consensus.Block) { b.Header.ParentHash, b.Header.ParentView = parent, 1 })
		parent = p.Hash()
		chain = append(chain, p)
	}
	slices.Reverse(chain)
	r.receive(1, chain[0])
	for _, part := range slices.Collect(slices.Chunk(chain[1:], 32)) {
		r.receive(1, &consensus.BlockResponse{Proposals: part})
	}
	if _, blocks, _, _ := r.core.Sizes(); blocks > 40 {
		t.Errorf("%d blocks in memory", blocks)
	}
}

func TestCore_certificateFarAhead_isAccepted(t *testing.T) {
	for _, kind := range []consensus.Kind{consensus.Notarize, consensus.Nullify, consensus.Finalize} {
		r := newRig(t, 4, 3, 16, 4)
		hash := common.Hash{1}
		if kind == consensus.Nullify {
			hash = common.Hash{}
		}
		const far = 1<<62 - 1000
		r.receive(1, r.cert(kind, far, hash, 0, 1, 2))
		r.pass(3 * time.Second) // Timers must not walk the gap.
		if s := r.core.Snapshot(); s.View <= far {
			t.Errorf("%s: in view %d", kind, s.View)
		}
		if views, _, _, _ := r.core.Sizes(); views > 40 {
			t.Errorf("%s: %d views", kind, views)
		}
	}
}

func TestCore_contradictions_areEvidence(t *testing.T) {
	for name, votes := range map[string]func(r *rig) []*consensus.Vote{
		"two NOTARIZE": func(r *rig) []*consensus.Vote {
			return []*consensus.Vote{r.vote(consensus.Notarize, 2, blockA, 1), r.vote(consensus.Notarize, 2, blockB, 1)}
		},
		"two FINALIZE": func(r *rig) []*consensus.Vote {
			return []*consensus.Vote{r.vote(consensus.Finalize, 2, blockA, 1), r.vote(consensus.Finalize, 2, blockB, 1)}
		},
		"NULLIFY, FINALIZE": func(r *rig) []*consensus.Vote {
			return []*consensus.Vote{r.vote(consensus.Nullify, 2, common.Hash{}, 1), r.vote(consensus.Finalize, 3, blockA, 1)}
		},
		"FINALIZE, NULLIFY": func(r *rig) []*consensus.Vote {
			return []*consensus.Vote{r.vote(consensus.Finalize, 3, blockA, 1), r.vote(consensus.Nullify, 2, common.Hash{}, 1)}
		},
	} {
		r := newRig(t, 4, 3, 16, 4)
		for range 3 {
			for _, v := range votes(r) {
				r.receive(2, v)
			}
		}
		if len(r.evidence) != 1 || r.evidence[0].A.Signer != 1 || !consensus.Conflict(r.cfg.Schedule(), &r.evidence[0].A, &r.evidence[0].B) {
			t.Errorf("%s: evidence %+v", name, r.evidence)
		}
	}
	r := newRig(t, 4, 3, 16, 4)
	e := &consensus.Evidence{A: *r.vote(consensus.Notarize, 9, blockA, 1), B: *r.vote(consensus.Notarize, 9, blockB, 1)}
	for range 3 {
		r.receive(2, e)
	}
	if len(r.evidence) != 1 {
		t.Errorf("evidence of others is reported %d times, want once", len(r.evidence))
	}
}

// incident 10: two proposals of one view.
func TestIncident10_secondProposal_isEvidence_andNullifies(t *testing.T) {
	for _, hold := range []bool{true, false} {
		r := newRig(t, 4, 3, 1, 0)
		if hold {
			r.judge = func(consensus.JudgeRequest) consensus.Verdict { return 0 }
		}
		a := r.block(1, nil, nil)
		b := r.block(1, nil, func(b *consensus.Block) { b.Payload = []byte("another") })
		r.receive(0, a)
		r.receive(0, b)
		r.receive(0, b)
		if len(r.evidence) != 1 || !r.voted(consensus.RecordNullify, 1) || r.voted(consensus.RecordNotarize, 1) == hold {
			t.Errorf("hold=%v: %d evidence, log %v", hold, len(r.evidence), r.log)
		}
		noConflicts(t, r.cfg.Schedule(), r.sentVotes())
	}
}

// incident 9: block A is in the log while B was notarized.
func TestIncident09_restartWithTheLosingBlock_proceeds(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	a := r.block(1, nil, nil)
	b := r.block(1, nil, func(b *consensus.Block) { b.Payload = []byte("another") })
	r.receive(0, a)
	r.restart(r.log)
	r.receive(1, r.cert(consensus.Notarize, 1, b.Hash(), 0, 1, 2))
	if len(r.requests(b.Hash())) == 0 {
		t.Fatal("the notarized block is not asked for")
	}
	r.receive(1, &consensus.BlockResponse{Proposals: []*consensus.Proposal{b}})
	c := r.block(2, b, nil)
	r.receive(1, c)
	if !r.voted(consensus.RecordNotarize, 2) {
		t.Error("no vote on the child of the notarized block")
	}
	r.receive(1, r.cert(consensus.Finalize, 2, c.Hash(), 0, 1, 2))
	if len(r.final) != 2 || r.final[0].Hash != b.Hash() {
		t.Errorf("delivered %d blocks", len(r.final))
	}
	noConflicts(t, r.cfg.Schedule(), r.sentVotes())
}

// incident 13: a leader without a gap's certificate asks and does not propose.
func TestIncident13_leaderWithoutTheGapsCertificate_asks(t *testing.T) {
	r := newRig(t, 4, 2, 1, 0)
	r.build = true
	r.step(consensus.Demand{AtUnixMs: 1})
	r.receive(1, r.cert(consensus.Nullify, 2, common.Hash{}, 0, 1, 3)) // View 1 is unknown.
	proposed := func() bool {
		return slices.ContainsFunc(r.sent, func(s consensus.Send) bool { _, ok := s.Message.(*consensus.Proposal); return ok })
	}
	asked := slices.ContainsFunc(r.sent, func(s consensus.Send) bool {
		m, ok := s.Message.(*consensus.CertRequest)
		return ok && m.From == 1 && m.To == 1
	})
	if proposed() || !asked {
		t.Fatalf("proposed %v, asked %v", proposed(), asked)
	}
	r.receive(1, &consensus.CertResponse{Certs: []*consensus.Cert{r.cert(consensus.Nullify, 1, common.Hash{}, 0, 1, 3)}})
	if !proposed() {
		t.Error("no proposal with the certificate at hand")
	}
}

// The gap of a restart: nobody has the certificate.
func TestCore_gapThatNobodyCanClose_isNullified(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	r.receive(1, r.cert(consensus.Nullify, 2, common.Hash{}, 0, 1, 2))
	r.pass(3 * time.Second)
	if !r.voted(consensus.RecordNullify, 1) {
		t.Error("view 1 is neither notarized nor covered, and was not nullified")
	}
	// With a FINALIZE in the log S2 forbids it.
	r = newRig(t, 4, 3, 2, 0)
	p := r.block(1, nil, nil)
	r.receive(0, p)
	r.receive(1, r.cert(consensus.Notarize, 1, p.Hash(), 0, 1, 2))
	r.receive(1, r.cert(consensus.Nullify, 3, common.Hash{}, 0, 1, 2))
	r.pass(3 * time.Second)
	if r.voted(consensus.RecordNullify, 1) || !r.voted(consensus.RecordNullify, 2) {
		t.Error("want NULLIFY of view 2, which is above the finalized one, and not of 1")
	}
	noConflicts(t, r.cfg.Schedule(), r.sentVotes())
}

// What the log keeps follows what is stored, not what was committed.
func TestCore_KeepFrom_isTwoTermsBelowTheStoredTip(t *testing.T) {
	r := newRig(t, 4, -1, 2, 0)
	commitViews(r, 1, 9, nil)
	if got := r.core.KeepFrom(); got != 0 {
		t.Errorf("nothing is stored: got %d, want 0", got)
	}
	h := r.final[7].Block.Header
	r.step(consensus.Executed{Tip: consensus.Tip{View: h.View, Height: h.Height, Hash: r.final[7].Hash, TimeMs: h.TimeMs}})
	if got := r.core.KeepFrom(); got != 4 {
		t.Errorf("view 8 is stored: got %d, want 4", got)
	}
}

// S3 and S5 ask for the block's own certificate: it is what the log keeps.
func TestCore_indirectNotarization_allowsNoFinalize(t *testing.T) {
	r := newRig(t, 4, 3, 3, 2)
	first := r.block(1, nil, nil)
	second := r.block(2, first, nil)
	r.receive(0, first)
	r.receive(0, second)
	r.receive(1, r.cert(consensus.Notarize, 2, second.Hash(), 0, 1, 2))
	finalized := map[common.Hash]bool{}
	for _, v := range r.sentVotes() {
		finalized[v.Hash] = finalized[v.Hash] || v.Kind == consensus.Finalize
	}
	if finalized[first.Hash()] || !finalized[second.Hash()] {
		t.Errorf("FINALIZE of the ancestor %v, of the block itself %v", finalized[first.Hash()], finalized[second.Hash()])
	}
	r.receive(1, r.cert(consensus.Notarize, 1, first.Hash(), 0, 1, 2))
	if !r.voted(consensus.RecordFinalize, 1) {
		t.Error("no FINALIZE with the certificate at hand")
	}
}

// Views pass, but nothing becomes final: the others' FINALIZE votes may be held
// back by a NULLIFY in this term.
func TestCore_termThatDoesNotFinalize_isHandedOver(t *testing.T) {
	r := newRig(t, 4, 3, 16, 0)
	var parent *consensus.Proposal
	for v := uint64(1); v <= 8; v++ {
		parent = r.block(v, parent, nil)
		r.receive(0, parent)
		r.receive(1, r.cert(consensus.Notarize, v, parent.Hash(), 0, 1, 2))
		r.pass(100 * time.Millisecond)
	}
	if !r.voted(consensus.RecordNullify, 8) || r.voted(consensus.RecordNullify, 5) {
		t.Error("want the term given up 600 ms after its first notarization")
	}
	noConflicts(t, r.cfg.Schedule(), r.sentVotes())
}

func TestCore_helpForAPeerLateInALongTerm_reachesItsView(t *testing.T) {
	r := newRig(t, 4, 3, 200, 0)
	var parent *consensus.Proposal
	for v := uint64(1); v <= 150; v++ {
		parent = r.block(v, parent, nil)
		r.receive(0, parent)
		r.receive(0, r.cert(consensus.Notarize, v, parent.Hash(), 0, 1, 2))
	}
	r.pass(time.Second)
	r.sent = nil
	r.receive(1, &consensus.Status{View: 100})
	for _, s := range r.sent {
		if m, ok := s.Message.(*consensus.CertResponse); ok && s.To == 1 {
			for _, c := range m.Certs {
				if c.View == 100 {
					return
				}
			}
		}
	}
	t.Error("a peer in view 100 of 150 got no certificate of its view")
}

func TestCore_answers_fitTheirLane(t *testing.T) {
	r := newRig(t, 100, 99, 1, 0)
	for v := uint64(1); v <= 60; v++ {
		r.receive(0, r.cert(consensus.Nullify, v, common.Hash{}))
	}
	r.pass(time.Second)
	r.sent = nil
	r.receive(1, &consensus.Status{View: 1})
	r.pass(time.Second)
	r.receive(2, &consensus.CertRequest{From: 1, To: 60})
	total := 0
	for _, s := range r.sent {
		if s.Lane != consensus.LaneCert {
			continue
		}
		if size := len(consensus.EncodeMessage(s.Message)); size > 64<<10 {
			t.Errorf("%T of %d bytes", s.Message, size)
		}
		if m, ok := s.Message.(*consensus.CertResponse); ok {
			total += len(m.Certs)
		}
	}
	if total < 60 {
		t.Errorf("%d certificates in all answers", total)
	}
}

// A notarized block that waits for its finality asks for one block on top of it,
// not for as many as the window holds.
func TestCore_whenABlockIsOverdue_oneMoreIsForced(t *testing.T) {
	r := newRig(t, 4, 0, 16, 4)
	r.cfg.Timing.MaxIdle = 0
	r.restart(nil)
	r.build = true
	r.step(consensus.Demand{AtUnixMs: 1})
	r.step(consensus.Demand{})
	proposed := func() []*consensus.Proposal {
		var list []*consensus.Proposal
		for _, s := range r.sent {
			if p, ok := s.Message.(*consensus.Proposal); ok && s.To == consensus.Everyone {
				list = append(list, p)
			}
		}
		return list
	}
	for _, signer := range []int{1, 2} {
		r.receive(signer, r.vote(consensus.Notarize, 1, proposed()[0].Hash(), signer))
	}
	r.pass(2 * r.cfg.Timing.Delta)
	if got := len(proposed()); got != 1 {
		t.Fatalf("%d proposals after 2Δ, want 1", got)
	}
	r.pass(3 * r.cfg.Timing.Delta / 2)
	list := proposed()
	if len(list) != 2 || list[1].Block.Header.ParentHash != list[0].Hash() {
		t.Fatalf("%d proposals after 3.5Δ, want a second one on the first", len(list))
	}
}
