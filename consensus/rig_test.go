package consensus_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// openKeys is a scheme in which everybody can sign for everybody: a signature
// is the signer's address and a hash over it and the digest.
type openKeys struct{}

func sign(who common.Address, digest common.Hash) (s consensus.Signature) {
	copy(s[:20], who[:])
	copy(s[20:52], crypto.Keccak256(who[:], digest[:]))
	return s
}

func (openKeys) Recover(digest common.Hash, s *consensus.Signature) (common.Address, error) {
	who := common.Address(s[:20])
	if *s != sign(who, digest) {
		return common.Address{}, errors.New("forged")
	}
	return who, nil
}

type openSigner common.Address

func (o openSigner) Address() common.Address { return common.Address(o) }
func (o openSigner) Sign(digest common.Hash) consensus.Signature {
	return sign(common.Address(o), digest)
}

func members(t testing.TB, n int) *consensus.Committee {
	t.Helper()
	list := make([]common.Address, n)
	for i := range list {
		list[i] = common.BytesToAddress([]byte{0xC0, byte(i >> 8), byte(i)})
	}
	c, err := consensus.NewCommittee(list)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var genesis = crypto.Keccak256Hash([]byte("genesis of the tests"))

const wallStart = 1_700_000_000_000

// rig drives one Core by hand and signs for all the others.
type rig struct {
	t    testing.TB
	cfg  consensus.Config
	core *consensus.Core
	v    consensus.Verifier
	now  time.Duration

	// judge answers judgements; nil finds everything valid.
	judge func(consensus.JudgeRequest) consensus.Verdict
	// build answers build requests with a payload of the height.
	build bool

	log      []consensus.Record
	sent     []consensus.Send
	final    []consensus.FinalBlock
	evidence []consensus.Evidence
	serve    []consensus.RangeRequest
	fault    string
	wakeAt   time.Duration
}

func newRig(t testing.TB, n, self int, term, window uint64) *rig {
	t.Helper()
	c := members(t, n)
	r := &rig{t: t, now: 1}
	r.cfg = consensus.Config{
		Network: genesis, Committee: c, Peers: n, Term: term, Window: window, MaxBlockBytes: 1 << 16,
		Timing: consensus.DefaultTiming(), Tip: consensus.GenesisTip(genesis, wallStart-1000),
	}
	if self >= 0 {
		r.cfg.Signer = openSigner(c.Address(self))
	}
	r.v = consensus.Verifier{Scheme: openKeys{}, Network: genesis, Committee: c, Schedule: r.cfg.Schedule()}
	r.restart(nil)
	return r
}

// restart makes a new Core from records and starts it.
func (r *rig) restart(records []consensus.Record) {
	r.t.Helper()
	cfg := r.cfg
	cfg.Recovered = records
	core, err := consensus.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.core, r.log, r.sent = core, append([]consensus.Record(nil), records...), nil
	r.step(consensus.Start{})
	for i := range r.cfg.Peers {
		if r.cfg.Signer == nil || i >= r.cfg.Committee.Size() || r.cfg.Committee.Address(i) != r.cfg.Signer.Address() {
			r.step(consensus.PeerUp{Peer: i})
		}
	}
}

func (r *rig) step(in consensus.Input) {
	if r.fault != "" {
		return
	}
	out := r.core.Step(consensus.Instant{Mono: r.now, UnixMs: wallStart + uint64(r.now.Milliseconds())}, in)
	r.log = append(r.log, out.Record...)
	if r.fault = out.Fault; r.fault != "" {
		return
	}
	r.sent = append(r.sent, out.Send...)
	r.final = append(r.final, out.Final...)
	r.evidence = append(r.evidence, out.Evidence...)
	r.serve = append(r.serve, out.Serve...)
	r.wakeAt = out.WakeAt
	build, judge := out.Build, out.Judge
	for _, j := range judge {
		verdict := consensus.Valid
		if r.judge != nil {
			verdict = r.judge(j)
		}
		if verdict != 0 {
			r.step(consensus.Judged{Hash: j.Hash, Verdict: verdict})
		}
	}
	if build != nil && r.build {
		r.step(consensus.Built{View: build.View, ParentHash: build.ParentHash, Payload: binary.BigEndian.AppendUint64(nil, build.Height), OK: true})
	}
}

// pass lets time pass with a tick whenever the Core asked for one.
func (r *rig) pass(d time.Duration) {
	end := r.now + d
	for r.wakeAt != 0 && r.wakeAt <= end && r.fault == "" {
		r.now = max(r.now, r.wakeAt)
		r.wakeAt = 0
		r.step(consensus.Tick{})
	}
	r.now = end
	r.step(consensus.Tick{})
}

// receive sends a message through the codec and the verifier.
func (r *rig) receive(from int, m consensus.Message) {
	r.t.Helper()
	if err := r.try(from, m); err != nil {
		r.t.Fatalf("%T is refused: %v", m, err)
	}
}

func (r *rig) try(from int, m consensus.Message) error {
	decoded, err := consensus.DecodeMessage(bytes.Clone(consensus.EncodeMessage(m)))
	if err != nil {
		return err
	}
	verified, err := r.v.Verify(decoded)
	if err != nil {
		return err
	}
	r.step(consensus.Received{From: from, Message: verified})
	return nil
}

func (r *rig) vote(kind consensus.Kind, view uint64, hash common.Hash, signer int) *consensus.Vote {
	return &consensus.Vote{
		Kind: kind, View: view, Hash: hash, Signer: uint16(signer),
		Sig: sign(r.cfg.Committee.Address(signer), consensus.Digest(genesis, kind, 0, view, hash)),
	}
}

// cert is signed by the given validators, or by the first q.
func (r *rig) cert(kind consensus.Kind, view uint64, hash common.Hash, signers ...int) *consensus.Cert {
	n := r.cfg.Committee.Size()
	if len(signers) == 0 {
		for i := range r.cfg.Committee.Quorum() {
			signers = append(signers, i)
		}
	}
	c := &consensus.Cert{Kind: kind, View: view, Hash: hash, Bitmap: make([]byte, (n+7)/8)}
	for _, i := range signers {
		v := r.vote(kind, view, hash, i)
		c.Bitmap[i/8] |= 1 << (i % 8)
		c.Sigs = append(c.Sigs, v.Sig[:]...)
	}
	return c
}

// block is the proposal of a view's leader on a parent (nil: genesis), after
// change, if any, had its way with the block.
func (r *rig) block(view uint64, parent *consensus.Proposal, change func(*consensus.Block)) *consensus.Proposal {
	h := consensus.Header{Version: consensus.HeaderVersion, View: view, Height: 1, ParentHash: genesis, TimeMs: wallStart - 999}
	if parent != nil {
		p := &parent.Block.Header
		h.Height, h.ParentHash, h.ParentView, h.TimeMs = p.Height+1, p.Hash(), p.View, p.TimeMs+1
	}
	leader := r.cfg.Schedule().Leader(view)
	h.Proposer, h.CommitteeHash = r.cfg.Committee.Address(leader), r.cfg.Committee.Hash()
	b := consensus.Block{Header: h, Payload: fmt.Appendf(nil, "payload of view %d", view)}
	if change != nil {
		change(&b)
	}
	b.Header.PayloadHash = crypto.Keccak256Hash(b.Payload)
	p := &consensus.Proposal{Block: b}
	p.LeaderVote = *r.vote(consensus.Notarize, b.Header.View, b.Header.Hash(), leader)
	m, err := consensus.DecodeMessage(consensus.EncodeMessage(p))
	if err != nil {
		r.t.Fatal(err)
	}
	return m.(*consensus.Proposal)
}

// voted reports whether the replica recorded a vote.
func (r *rig) voted(kind consensus.RecordType, view uint64) bool {
	for _, rec := range r.log {
		if rec.Type == kind && rec.View == view {
			return true
		}
	}
	return false
}

// sentVotes lists the distinct own votes that were sent.
func (r *rig) sentVotes() []consensus.Vote {
	var list []consensus.Vote
	seen := map[consensus.Vote]bool{}
	add := func(v consensus.Vote) {
		if !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	for _, s := range r.sent {
		switch m := s.Message.(type) {
		case *consensus.Vote:
			add(*m)
		case *consensus.Proposal:
			add(m.LeaderVote)
		}
	}
	return list
}

// noConflicts fails when two of the votes exclude each other.
func noConflicts(t testing.TB, s consensus.Schedule, votes []consensus.Vote) {
	t.Helper()
	for i := range votes {
		for j := range i {
			if consensus.Conflict(s, &votes[i], &votes[j]) {
				t.Fatalf("signed %s %d %s and %s %d %s", votes[j].Kind, votes[j].View, votes[j].Hash, votes[i].Kind, votes[i].View, votes[i].Hash)
			}
		}
	}
}

// requests lists who was asked for a block by hash, in order.
func (r *rig) requests(hash common.Hash) (peers []int) {
	for _, s := range r.sent {
		if m, ok := s.Message.(*consensus.BlockRequest); ok && m.Hash == hash && hash != (common.Hash{}) {
			peers = append(peers, s.To)
		}
	}
	return peers
}
