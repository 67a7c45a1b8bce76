package consensus_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
)

// tape is a fuzzer's input, read as choices. Behind its end all are the first.
type tape []byte

func (t *tape) next(n int) int {
	if len(*t) == 0 {
		return 0
	}
	b := (*t)[0]
	*t = (*t)[1:]
	return int(b) % n
}

const (
	arenaSize    = 4
	arenaQuorum  = 3
	replica      = arenaSize // a peer that has no vote
	maxBlockData = 1 << 12
	inboxLetters = 256
	maxServed    = 3 // blocks that are read at once, so that answers end with headers, too
)

// ballot is what a vote says.
type ballot struct {
	kind consensus.Kind
	view uint64
	hash common.Hash
}

// arena is a committee of four of which one is faulty: it lies, or loses its disk. Between
// the others stands a network that delays, reorders, repeats and loses. Nothing is
// forged: a certificate in it is made of votes that the honest ones have sent and
// of the liar's. So whatever happens the honest ones agree; [seat.check] judges each
// of their steps from the messages alone and knows nothing of the core's own state.
type arena struct {
	t            testing.TB
	term, window uint64
	committee    *consensus.Committee
	verifier     consensus.Verifier
	timing       consensus.Timing
	now          time.Duration
	steps        int

	liar     int     // its index; -1 when nobody lies
	careless int     // who loses its disk; -1 when somebody lies
	seats    []*seat // nil at the liar's

	cast   map[ballot][arenaSize]*consensus.Vote // what the honest have ever sent
	blocks map[common.Hash]*consensus.Proposal   // that a leader ever signed
	byView map[uint64][]*consensus.Proposal
	chain  map[uint64]common.Hash // final blocks, by anybody, by height
}

// letter is a message on its way.
type letter struct {
	from int
	m    consensus.Verified
}

// seat is an honest validator: its core, what its disk holds and what waits for it.
type seat struct {
	a     *arena
	index int
	core  *consensus.Core
	skew  int64 // of its wall clock, ms

	log    []consensus.Record
	ahead  []consensus.FinalBlock // delivered and not synced
	stored []consensus.FinalBlock // synced, from height 1 on

	inbox  []letter
	judge  []consensus.JudgeRequest
	build  *consensus.BuildRequest
	wakeAt time.Duration

	// Own votes ever sent, also by processes that were killed.
	voted, fined map[uint64]common.Hash
	nulled       map[uint64]bool
	// Its log was lost, with votes up to a view. While everybody seems to be at genesis it votes
	// again at once, so it may contradict them and be taken for a second process: it counts as faulty.
	wiped     bool
	forgotten uint64
	stopped   bool
}

func newArena(t testing.TB, in *tape) *arena {
	shape := [][2]uint64{{1, 0}, {2, 1}, {16, 4}}[in.next(3)]
	a := &arena{
		t: t, term: shape[0], window: shape[1], committee: members(t, arenaSize), timing: consensus.DefaultTiming(), now: 1,
		liar: in.next(arenaSize), careless: -1, cast: map[ballot][arenaSize]*consensus.Vote{},
		blocks: map[common.Hash]*consensus.Proposal{}, byView: map[uint64][]*consensus.Proposal{}, chain: map[uint64]common.Hash{0: genesis},
	}
	a.verifier = consensus.Verifier{
		Scheme: openKeys{}, Network: genesis, Committee: a.committee,
		Schedule: consensus.Schedule{Validators: arenaSize, Term: a.term},
	}
	if in.next(4) == 3 {
		a.liar, a.careless = -1, a.liar
	}
	if in.next(4) == 3 {
		a.timing.MaxIdle = 0
	}
	for i := range arenaSize {
		var s *seat
		if i != a.liar {
			s = &seat{
				a: a, index: i, skew: []int64{0, 0, 200, -200}[in.next(4)],
				voted: map[uint64]common.Hash{}, fined: map[uint64]common.Hash{}, nulled: map[uint64]bool{},
			}
		}
		a.seats = append(a.seats, s)
	}
	for s := range a.honest() {
		s.start()
	}
	return a
}

func (a *arena) honest() func(func(*seat) bool) {
	return func(yield func(*seat) bool) {
		for _, s := range a.seats {
			if s != nil && !yield(s) {
				return
			}
		}
	}
}

func (a *arena) termOf(v uint64) uint64 { return (v - 1) / a.term }
func (a *arena) leader(v uint64) int    { return int(a.termOf(v) % arenaSize) }

// signers counts whose signature under a ballot exists or can be made.
func (a *arena) signers(b ballot) int {
	n := 0
	for _, v := range a.cast[b] {
		if v != nil {
			n++
		}
	}
	if a.liar >= 0 {
		n++
	}
	return n
}

// certifiable reports whether a certificate can exist.
func (a *arena) certifiable(kind consensus.Kind, view uint64, hash common.Hash) bool {
	return a.signers(ballot{kind, view, hash}) >= arenaQuorum
}

// notarized reports whether a block can be known to be notarized: by a certificate, through a descendant
// in its term, or because it is final.
func (a *arena) notarized(view uint64, hash common.Hash) bool {
	if a.certifiable(consensus.Notarize, view, hash) || a.certifiable(consensus.Finalize, view, hash) {
		return true
	}
	for _, final := range a.chain {
		if final == hash {
			return true
		}
	}
	for v := view + 1; a.termOf(v) == a.termOf(view); v++ {
		for _, p := range a.byView[v] {
			if !a.certifiable(consensus.Notarize, v, p.Hash()) {
				continue
			}
			for q := p; q != nil && q.Block.Header.View > view; q = a.blocks[q.Block.Header.ParentHash] {
				if q.Block.Header.ParentHash == hash {
					return true
				}
			}
		}
	}
	return false
}

// covered reports whether a nullification in x's term at or below x can exist.
func (a *arena) covered(x uint64) bool {
	for u := a.termOf(x)*a.term + 1; u <= x; u++ {
		if a.certifiable(consensus.Nullify, u, common.Hash{}) {
			return true
		}
	}
	return false
}

// record takes an honest vote into what everybody may know.
func (a *arena) record(v *consensus.Vote) {
	b := ballot{v.Kind, v.View, v.Hash}
	list := a.cast[b]
	list[v.Signer] = v
	a.cast[b] = list
}

func (a *arena) propose(p *consensus.Proposal) {
	if a.blocks[p.Hash()] == nil {
		v := p.Block.Header.View
		a.blocks[p.Hash()] = p
		a.byView[v] = append(a.byView[v], p)
	}
}

// sealed decodes and verifies a message as its receiver does.
func (a *arena) sealed(m consensus.Message) (consensus.Message, consensus.Verified, error) {
	decoded, err := consensus.DecodeMessage(bytes.Clone(consensus.EncodeMessage(m)))
	if err != nil {
		return nil, consensus.Verified{}, err
	}
	verified, err := a.verifier.Verify(decoded)
	return decoded, verified, err
}

// tip is where the block store ends: at the newest synced block with a finalization.
func (s *seat) tip() consensus.Tip {
	for _, f := range slices.Backward(s.stored) {
		if f.Finalization != nil {
			h := &f.Block.Header
			return consensus.Tip{View: h.View, Height: h.Height, Hash: f.Hash, TimeMs: h.TimeMs, Finalization: f.Finalization}
		}
	}
	return consensus.GenesisTip(genesis, wallStart-1000)
}

// start makes a process from what the disk holds. What was not synced is gone.
func (s *seat) start() {
	a := s.a
	tip := s.tip()
	s.stored, s.ahead = s.stored[:tip.Height], nil
	s.inbox, s.judge, s.build = nil, nil, nil
	core, err := consensus.New(consensus.Config{
		Network: genesis, Committee: a.committee, Signer: openSigner(a.committee.Address(s.index)), Peers: arenaSize + 1,
		Term: a.term, Window: a.window, MaxBlockBytes: maxBlockData, Timing: a.timing, Tip: tip, Recovered: slices.Clone(s.log),
	})
	if err != nil {
		a.t.Fatalf("validator %d does not start from its own log: %v", s.index, err)
	}
	s.core = core
	s.step(consensus.Start{})
	for i := range arenaSize + 1 {
		if i != s.index {
			s.step(consensus.PeerUp{Peer: i})
		}
	}
	s.step(consensus.Demand{AtUnixMs: 1})
}

// step is the driver: it checks an output, keeps its records, sends its messages and stores its blocks.
func (s *seat) step(in consensus.Input) {
	a := s.a
	if s.stopped {
		return
	}
	a.steps++
	out := s.core.Step(consensus.Instant{Mono: a.now, UnixMs: uint64(int64(wallStart) + a.now.Milliseconds() + s.skew)}, in)
	if s.stopped = out.Fault != "" && s.wiped; s.stopped {
		return
	}
	s.check(in, out)
	s.log = append(s.log, out.Record...)
	for _, send := range out.Send {
		s.post(send)
	}
	if out.Build != nil {
		s.build = out.Build
	}
	s.judge = append(s.judge, out.Judge...)
	for _, r := range out.Serve {
		if answer := s.serve(r); answer != nil {
			s.post(consensus.Send{To: r.Peer, Lane: consensus.LaneSync, Message: answer})
		}
	}
	s.ahead = append(s.ahead, out.Final...)
	s.wakeAt = out.WakeAt
}

// post puts a message on its way. What finds an inbox full is lost.
func (s *seat) post(send consensus.Send) {
	a := s.a
	decoded, verified, err := a.sealed(send.Message)
	if err != nil {
		a.t.Fatalf("validator %d sends %T, which nobody accepts: %v", s.index, send.Message, err)
	}
	if p, ok := decoded.(*consensus.Proposal); ok {
		a.propose(p)
	}
	for to := range a.honest() {
		if to != s && (send.To == consensus.Everyone || send.To == to.index) && len(to.inbox) < inboxLetters {
			to.inbox = append(to.inbox, letter{s.index, verified})
		}
	}
}

// serve answers a range request from the synced blocks.
func (s *seat) serve(r consensus.RangeRequest) *consensus.BlockResponse {
	return engine.RangeAnswer(func(from uint64, count, _ int) []consensus.FinalBlock {
		if from < 1 || from > uint64(len(s.stored)) {
			return nil
		}
		return s.stored[from-1:][:min(count, maxServed, len(s.stored)-int(from-1))]
	}, r)
}

// read takes the letter at a place of the inbox in.
func (s *seat) read(at int) {
	if at < len(s.inbox) {
		l := s.inbox[at]
		s.inbox = slices.Delete(s.inbox, at, at+1)
		s.step(consensus.Received{From: l.from, Message: l.m})
	}
}

// verdict is the application's answer; all nodes give the same, apart from data that did not arrive.
func verdict(b *consensus.Block) consensus.Verdict {
	switch {
	case bytes.HasPrefix(b.Payload, []byte("bad")):
		return consensus.Invalid
	case !bytes.Equal(b.Data, dataOf(b.Payload)):
		return consensus.Missing
	}
	return consensus.Valid
}

func dataOf(payload []byte) []byte { return payload[:len(payload)/2] }

// work answers what the application was asked for.
func (s *seat) work() {
	for len(s.judge) > 0 {
		req := s.judge[0]
		s.judge = s.judge[1:]
		s.step(consensus.Judged{Hash: req.Hash, Verdict: verdict(req.Block)})
	}
	if req := s.build; req != nil {
		s.build = nil
		payload := fmt.Appendf(nil, "height %d by %d at %d", req.Height, s.index, s.a.now)
		s.step(consensus.Built{View: req.View, ParentHash: req.ParentHash, Payload: payload, Data: dataOf(payload), OK: true})
	}
}

// sync makes delivered blocks durable, as far as a finalization reaches, and says so.
func (s *seat) sync() {
	s.stored = append(s.stored, s.ahead...)
	s.ahead = nil
	if tip := s.tip(); tip.Height > 0 {
		s.step(consensus.Executed{Tip: tip})
	}
}

// pass lets time go by, with the ticks that were asked for.
func (a *arena) pass(d time.Duration) {
	for end := a.now + d; a.now < end; {
		next := end
		for s := range a.honest() {
			next = min(next, max(s.wakeAt, a.now+1))
		}
		a.now = next
		for s := range a.honest() {
			if s.wakeAt <= a.now {
				s.step(consensus.Tick{})
			}
		}
	}
}

// lose takes the log away and what it kept from being forgotten.
func (s *seat) lose() {
	for _, views := range []map[uint64]common.Hash{s.voted, s.fined} {
		for v := range views {
			s.forgotten = max(s.forgotten, v)
		}
		clear(views)
	}
	for v := range s.nulled {
		s.forgotten = max(s.forgotten, v)
	}
	clear(s.nulled)
	s.log, s.wiped = []consensus.Record{{Type: consensus.RecordAmnesia}}, true
}

// heal gives the honest a network that works and a liar that is silent, and wants a new block from each of
// them: whatever was done to them, they go on.
func (a *arena) heal() {
	a.t.Helper()
	goal := uint64(0)
	for s := range a.honest() {
		if s.stopped {
			continue
		}
		goal = max(goal, s.core.Snapshot().Final.Height+1)
	}
	for s := range a.honest() {
		for p := range arenaSize + 1 {
			if p == a.liar || p == replica {
				s.step(consensus.PeerDown{Peer: p})
			} else if p != s.index {
				s.step(consensus.PeerUp{Peer: p})
			}
		}
		s.step(consensus.Demand{AtUnixMs: 1})
	}
	const patience = 2 * time.Minute
	for end := a.now + patience; a.now < end; a.pass(5 * time.Millisecond) {
		for s := range a.honest() {
			for range len(s.inbox) {
				s.read(0)
			}
			s.work()
			s.sync()
		}
		done := true
		for s := range a.honest() {
			done = done && (s.stopped || s.core.Snapshot().Final.Height >= goal)
		}
		if done {
			return
		}
	}
	for s := range a.honest() {
		a.t.Logf("validator %d: %+v", s.index, s.core.Snapshot())
	}
	a.t.Fatalf("no block of height %d within %v of a working network", goal, patience)
}
