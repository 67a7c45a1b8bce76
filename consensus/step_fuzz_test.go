package consensus_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

const (
	maxTape  = 1 << 10
	maxSteps = 4000 // of all cores together, so that an input is over in a moment
)

var pauses = []time.Duration{
	time.Millisecond, 8 * time.Millisecond, 50 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond, time.Second, 3 * time.Second,
}

// chaos does one thing that the tape chooses.
func (a *arena) chaos(in *tape) {
	var seats []*seat
	for s := range a.honest() {
		seats = append(seats, s)
	}
	s := seats[in.next(len(seats))]
	switch in.next(20) {
	case 0, 1, 2, 3:
		a.flow(1 + in.next(48))
	case 4:
		s.read(in.next(inboxLetters))
	case 5:
		s.inbox = s.inbox[min(in.next(64), len(s.inbox)):]
	case 6, 7:
		a.pass(pauses[in.next(len(pauses))])
	case 8:
		s.stray(in)
		s.work()
	case 9, 10:
		a.lie(in, a.anyVote(in, s))
	case 11, 12:
		a.lie(in, a.anyProposal(in, s))
	case 13:
		a.lie(in, a.anyCert(in, s))
	case 14:
		a.lie(in, a.anyRequest(in, s))
	case 15:
		a.lie(in, a.anyAnswer(in, s))
	case 16:
		a.lie(in, a.anyEvidence(in, s))
	case 17:
		s.peers(in)
	case 18:
		s.sync()
		s.step(consensus.Demand{AtUnixMs: uint64(in.next(3)) * (wallStart + 5000)})
	case 19:
		s.restart(in)
	}
}

// flow delivers letters in turn and lets the applications work, while a little time goes by.
func (a *arena) flow(rounds int) {
	for i := range rounds {
		for s := range a.honest() {
			s.read(0)
			s.work()
		}
		if a.steps > maxSteps {
			return
		}
		if i%8 == 7 {
			a.pass(3 * time.Millisecond)
		}
	}
}

// lie sends a message to some of the honest: from the liar, or from a replica if nobody lies.
func (a *arena) lie(in *tape, m consensus.Message) {
	if m == nil {
		return
	}
	decoded, verified, err := a.sealed(m)
	if err != nil {
		return // It would not have reached a core.
	}
	if p, ok := decoded.(*consensus.Proposal); ok {
		a.propose(p)
	}
	from := a.liar
	if from < 0 {
		from = replica
	}
	for mask := 1 + in.next(15); mask != 0; mask &= mask - 1 {
		for s := range a.honest() {
			if mask&-mask == 1<<s.index {
				s.step(consensus.Received{From: from, Message: verified})
			}
		}
	}
}

// near is a view around the one of a seat.
func (s *seat) near(in *tape) uint64 {
	return max(s.core.Snapshot().View+uint64(in.next(8)), 4) - 3
}

var allKinds = []consensus.Kind{consensus.Notarize, consensus.Nullify, consensus.Finalize}

// known is a block of a view that its leader signed, nil if there is none.
func (a *arena) known(in *tape, view uint64) *consensus.Proposal {
	if list := a.byView[view]; len(list) > 0 {
		return list[in.next(len(list))]
	}
	return nil
}

// anyBallot is a vote's content: for a block if it needs one and the view has one, sometimes for none that exists.
func (a *arena) anyBallot(in *tape, s *seat) ballot {
	b := ballot{kind: allKinds[in.next(3)], view: s.near(in)}
	if b.kind != consensus.Nullify {
		b.hash = common.Hash{byte(in.next(3) + 1)}
		if p := a.known(in, b.view); p != nil && in.next(8) > 0 {
			b.hash = p.Hash()
		}
	}
	return b
}

func (a *arena) signed(b ballot, who int) *consensus.Vote {
	return &consensus.Vote{
		Kind: b.kind, View: b.view, Hash: b.hash, Signer: uint16(who),
		Sig: sign(a.committee.Address(who), consensus.Digest(genesis, b.kind, 0, b.view, b.hash)),
	}
}

// anyVote is a liar's vote, or an honest one that was sent before.
func (a *arena) anyVote(in *tape, s *seat) consensus.Message {
	b := a.anyBallot(in, s)
	if a.liar >= 0 && in.next(4) > 0 {
		return a.signed(b, a.liar)
	}
	if v := a.cast[b][in.next(arenaSize)]; v != nil {
		return v
	}
	return nil
}

// cert is made of the votes that exist, nil if they are no quorum.
func (a *arena) cert(b ballot) *consensus.Cert {
	votes := a.cast[b]
	if a.liar >= 0 {
		votes[a.liar] = a.signed(b, a.liar)
	}
	c := &consensus.Cert{Kind: b.kind, View: b.view, Hash: b.hash, Bitmap: make([]byte, 1)}
	for i, v := range votes {
		if v != nil {
			c.Bitmap[0] |= 1 << i
			c.Sigs = append(c.Sigs, v.Sig[:]...)
		}
	}
	if len(c.Signers()) < arenaQuorum {
		return nil
	}
	return c
}

func (a *arena) anyCert(in *tape, s *seat) consensus.Message {
	if c := a.cert(a.anyBallot(in, s)); c != nil {
		return c
	}
	return nil
}

// anyProposal is one that exists, with other data or another justification, or a new one of the liar.
func (a *arena) anyProposal(in *tape, s *seat) consensus.Message {
	view := s.near(in)
	p := a.known(in, view)
	if a.liar >= 0 && a.leader(view) == a.liar && (p == nil || in.next(2) == 0) {
		p = a.forge(in, view)
	}
	if p == nil {
		return nil
	}
	q := &consensus.Proposal{Block: p.Block, LeaderVote: p.LeaderVote}
	switch in.next(8) {
	case 0:
		q.Block.Data = nil
	case 1:
		q.Block.Data = make([]byte, maxBlockData+in.next(2))
	}
	h := &p.Block.Header
	if in.next(4) > 0 {
		q.Justify.Parent = a.cert(ballot{consensus.Notarize, h.ParentView, h.ParentHash})
		for x := max(h.ParentView, max(view, 40)-40) + 1; x < view; x++ {
			if c := a.cert(ballot{consensus.Nullify, x, common.Hash{}}); c != nil {
				q.Justify.Nullifications = append(q.Justify.Nullifications, c)
			}
		}
	}
	if in.next(4) == 0 {
		q.Justify.Finalization = a.cert(a.anyBallot(in, s))
	}
	return q
}

// forge signs a block for a view of the liar: on some parent, and wrong in some way or in none.
func (a *arena) forge(in *tape, view uint64) *consensus.Proposal {
	h := consensus.Header{
		Version: consensus.HeaderVersion, View: view, Height: 1, ParentHash: genesis, TimeMs: wallStart - 999,
		Proposer: a.committee.Address(a.liar), CommitteeHash: a.committee.Hash(),
	}
	for back := 1 + uint64(in.next(6)); back < view && back < 24; back++ {
		if p := a.known(in, view-back); p != nil {
			parent := &p.Block.Header
			h.Height, h.ParentHash, h.ParentView, h.TimeMs = parent.Height+1, parent.Hash(), parent.View, parent.TimeMs+1
			break
		}
	}
	payload := fmt.Appendf(nil, "view %d, form %d", view, in.next(4))
	switch in.next(16) {
	case 0:
		h.ParentView = view + uint64(in.next(3)) - 1
	case 1:
		h.ParentHash[0]++
	case 2:
		h.Height += uint64(in.next(3)) - 1
	case 3:
		h.TimeMs += 1<<in.next(64) - 2
	case 4:
		h.Flags = consensus.FlagSeal
	case 5:
		h.CommitteeHash[0]++
	case 6:
		h.Version++
	case 7:
		payload = append([]byte("bad "), payload...)
	case 8:
		payload = append(payload, make([]byte, maxBlockData)...)
	}
	h.PayloadHash = crypto.Keccak256Hash(payload)
	p := &consensus.Proposal{Block: consensus.Block{Header: h, Payload: payload, Data: dataOf(payload)}}
	p.LeaderVote = *a.signed(ballot{consensus.Notarize, view, h.Hash()}, a.liar)
	return p
}

// huge is a number from the edges of what a message can carry.
func huge(in *tape, near uint64) uint64 {
	return []uint64{near, 0, 1, near + 1, near + 100, 1 << 32, 1 << 62, 1<<64 - 1}[in.next(8)]
}

// anyRequest is a status, or a request, with absurd numbers.
func (a *arena) anyRequest(in *tape, s *seat) consensus.Message {
	view, height := s.near(in), s.core.Snapshot().Final.Height
	switch in.next(4) {
	case 0:
		return &consensus.Status{
			View: huge(in, view), FinHeight: huge(in, height), FinView: huge(in, view), FinHash: common.Hash{byte(in.next(3))},
			ExecHeight: huge(in, height), Observer: in.next(2) == 1,
		}
	case 1:
		return &consensus.CertRequest{From: huge(in, view), To: huge(in, view)}
	case 2:
		return &consensus.BlockRequest{From: huge(in, height), Count: huge(in, height)}
	}
	if p := a.known(in, view); p != nil {
		return &consensus.BlockRequest{Hash: p.Hash()}
	}
	return &consensus.BlockRequest{Hash: common.Hash{1}}
}

// anyAnswer is certificates, proposals or a range, asked for or not.
func (a *arena) anyAnswer(in *tape, s *seat) consensus.Message {
	switch in.next(3) {
	case 0:
		r := new(consensus.CertResponse)
		for range in.next(8) {
			if c := a.cert(a.anyBallot(in, s)); c != nil {
				r.Certs = append(r.Certs, c)
			}
		}
		return r
	case 1:
		r := new(consensus.BlockResponse)
		for p := a.known(in, s.near(in)); p != nil && len(r.Proposals) < 4; p = a.blocks[p.Block.Header.ParentHash] {
			q := &consensus.Proposal{Block: p.Block, LeaderVote: p.LeaderVote}
			if in.next(8) == 1 {
				q.Block.Data = []byte{1}
			}
			r.Proposals = append(r.Proposals, q)
		}
		return r
	}
	return a.anyRange(in, s)
}

// anyRange leads from some block down to its ancestors: a chain that a finalization ends, final elsewhere or not.
func (a *arena) anyRange(in *tape, s *seat) consensus.Message {
	last := a.known(in, s.near(in))
	if last == nil {
		return nil
	}
	r := &consensus.BlockResponse{Finalization: a.cert(ballot{consensus.Finalize, last.Block.Header.View, last.Hash()})}
	headers := in.next(3)
	for p := last; p != nil && len(r.Blocks) < 6; p = a.blocks[p.Block.Header.ParentHash] {
		if headers > 0 {
			headers--
			r.Headers = append(r.Headers, &p.Block.Header)
			continue
		}
		b := p.Block
		if in.next(8) == 1 {
			b.Data = []byte{1}
		}
		r.Blocks = append(r.Blocks, &b)
	}
	slices.Reverse(r.Blocks)
	slices.Reverse(r.Headers)
	return r
}

func (a *arena) anyEvidence(in *tape, s *seat) consensus.Message {
	if a.liar < 0 {
		return nil
	}
	x, y := a.anyBallot(in, s), a.anyBallot(in, s)
	return &consensus.Evidence{A: *a.signed(x, a.liar), B: *a.signed(y, a.liar)}
}

// stray answers a judgement out of turn, and what the core did not ask for.
func (s *seat) stray(in *tape) {
	if n := len(s.judge); n > 0 {
		at := in.next(n)
		req := s.judge[at]
		s.judge = slices.Delete(s.judge, at, at+1)
		s.step(consensus.Judged{Hash: req.Hash, Verdict: verdict(req.Block)})
	}
	view := s.near(in)
	hash := common.Hash{1}
	if p := s.a.known(in, view); p != nil {
		hash = p.Hash()
	}
	if !slices.ContainsFunc(s.judge, func(req consensus.JudgeRequest) bool { return req.Hash == hash }) {
		s.step(consensus.Judged{Hash: hash, Verdict: consensus.Verdict(in.next(4))})
	}
	s.step(consensus.Built{View: view, ParentHash: hash, Payload: []byte("stray"), Data: dataOf([]byte("stray")), OK: in.next(2) == 0})
}

func (s *seat) peers(in *tape) {
	peer := (s.index + 1 + in.next(arenaSize)) % (arenaSize + 1)
	switch in.next(3) {
	case 0:
		s.step(consensus.PeerDown{Peer: peer})
	case 1:
		s.step(consensus.PeerUp{Peer: peer})
	case 2:
		s.step(consensus.Stale{From: peer, View: min(s.near(in), s.core.Snapshot().Final.View)})
	}
}

// restart kills the process and starts it again from its disk, which may have been pruned as the driver does it.
// The careless one's disk may have lost the end of the blocks, or everything.
func (s *seat) restart(in *tape) {
	if s.stopped {
		return
	}
	how := in.next(8)
	if below := s.core.KeepFrom(); how < 4 && below > 0 && s.core.Snapshot().Voting {
		s.log = slices.DeleteFunc(slices.Clone(s.log), func(r consensus.Record) bool { return r.View < below })
		s.log = append(s.log, consensus.Record{Type: consensus.RecordFloor, View: below})
	}
	if s.index == s.a.careless {
		switch how {
		case 0, 4:
			s.stored = s.stored[:in.next(len(s.stored)+1)]
		case 7:
			s.lose()
			s.stored = s.stored[:in.next(len(s.stored)+1)]
		}
	}
	s.start()
}

// FuzzCore_Step: whatever one liar and the network do, the honest cores keep the rules, agree, and go on when it is over.
func FuzzCore_Step(f *testing.F) {
	f.Add([]byte{})
	for shape := range byte(3) {
		for mode := range byte(4) {
			run := []byte{shape, mode, mode, 0, 0, 0, 0, 0}
			for i := range byte(40) {
				run = append(run, i%3, i*7%20, 40, i, i/2, i)
			}
			f.Add(run)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := tape(data[:min(len(data), maxTape)])
		a := newArena(t, &in)
		for len(in) > 0 && a.steps < maxSteps {
			a.chaos(&in)
		}
		a.heal()
	})
}
