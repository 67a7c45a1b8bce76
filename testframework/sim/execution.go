package sim

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

const (
	// chainID is what execution signatures bind beside the genesis.
	chainID = 1
	// defaultMaxAhead is the Dmax of a genesis that says nothing.
	defaultMaxAhead = 64
	// execRepeat is how often votes without a certificate are sent again, and answerInterval the least time
	// between two certificates in answer to one peer, as in production.
	execRepeat     = 500 * time.Millisecond
	answerInterval = execRepeat / 2
)

// execution is what a world knows about certified execution.
type execution struct {
	maxAhead uint64
	law      *invariant.Execution
	proofs   []proof
	numbers  map[*ledger.ExecCert]uint64
	finals   []time.Duration // by height: when a block was delivered first
}

// proof is a certificate with what verifying it came to.
type proof struct {
	cert  *ledger.ExecCert
	valid bool
}

func newExecution(w *World) execution {
	x := execution{maxAhead: cmp.Or(w.scenario.MaxAhead, defaultMaxAhead), numbers: map[*ledger.ExecCert]uint64{}}
	x.law = invariant.NewExecution(w.law, len(w.nodes), x.maxAhead)
	return x
}

// number puts a certificate into the table and verifies it; none has the number 0.
func (x *execution) number(w *World, c *ledger.ExecCert) uint64 {
	if c == nil {
		return 0
	}
	if i := x.numbers[c]; i != 0 {
		return i
	}
	x.proofs = append(x.proofs, proof{c, w.verifies(c)})
	x.numbers[c] = uint64(len(x.proofs))
	return x.numbers[c]
}

// verifies is [ledger.ExecCert.Verify] with the keys of the world.
func (w *World) verifies(c *ledger.ExecCert) bool {
	if c.CheckSigners(w.keys.addresses, w.committee.Quorum()) != nil {
		return false
	}
	digest := c.Digest(chainID, genesis)
	for i, signer := range c.Signers() {
		who, err := w.keys.Recover(digest, (*consensus.Signature)(c.Sigs[len(consensus.Signature{})*i:]))
		if err != nil || who != w.keys.addresses[signer] {
			return false
		}
	}
	return true
}

// ordered tells the checker of a block that is delivered first.
func (x *execution) ordered(w *World, f *consensus.FinalBlock) {
	if h := f.Block.Header.Height; h == uint64(len(x.finals))+1 {
		x.finals = append(x.finals, w.now)
		p, _ := x.payload(f.Block.Payload)
		w.judge(x.law.Ordered(h, p.Watermark, p.Cert, len(p.TxHashes)))
	}
}

// diverge breaks a machine's executor.
func (w *World) diverge(n *node) {
	n.app.exec.diverges = true
	w.exec.law.Diverged(n.index, n.signer)
}

// certifiedWithin is how long a sound network may take to certify a block that is final.
const certifiedWithin = 5 * time.Second

// uncertified says which correct node's certified height does not follow the chain, and nothing when all do.
func (w *World) uncertified() string {
	for _, n := range w.nodes {
		if n.liar != nil || n.app.exec.diverges {
			continue
		}
		at := n.app.exec.tally.Certified()
		if at < uint64(len(w.exec.finals)) && w.now > w.exec.finals[at]+certifiedWithin {
			return fmt.Sprintf("node %d has certificates up to height %d of %d", n.index, at, len(w.exec.finals))
		}
	}
	return ""
}

// certifies reports whether enough executors are sound for certificates to be due.
func (w *World) certifies() bool { return w.exec.law.Spare() >= 0 }

// goesOn reports whether blocks are due whatever is certified: heartbeats are all that is left beyond Dmax.
func (w *World) goesOn() bool { return w.certifies() || w.scenario.Timing.MaxIdle > 0 }

// stopped says that the chain ended, in a network where nothing is certified any more, and nothing when empty
// blocks go on.
func (w *World) stopped() string {
	if last := len(w.exec.finals); w.goesOn() && (last == 0 || w.now > w.exec.finals[last-1]+w.commitBound()) {
		return fmt.Sprintf("no block follows height %d", last)
	}
	return ""
}

// execMessage is what nodes tell each other about execution: a vote, a certificate, or the height from
// which on an observer lacks one.
type execMessage struct {
	vote  *ledger.ExecVote
	cert  *ledger.ExecCert
	lacks uint64
}

func (m *execMessage) bytes() int {
	switch {
	case m.vote != nil:
		return 345
	case m.cert != nil:
		return 280 + len(m.cert.Bitmap) + len(m.cert.Sigs)
	}
	return 9
}

// packExec makes a message about execution ready for its receivers, nil if they refuse it.
func (w *World) packExec(m *execMessage) *packet {
	sum := auditor{h: m.lacks}
	switch {
	case m.vote != nil:
		v := m.vote
		who, err := w.keys.Recover(v.Digest(chainID, genesis), (*consensus.Signature)(&v.Sig))
		if int(v.Signer) >= len(w.keys.addresses) || v.ValidatorSetHash != w.committee.Hash() || err != nil || who != w.keys.addresses[v.Signer] {
			return nil
		}
		sum.mix(uint64(v.Signer)<<48 ^ v.Height)
	case m.cert != nil:
		if !w.exec.proofs[w.exec.number(w, m.cert)-1].valid {
			return nil
		}
		sum.mix(m.cert.Height)
	}
	return &packet{exec: m, sum: sum.h}
}

// executor is what package node/pipeline is in production: it executes what the application stores, signs the
// results, and follows the certificates. What it decides it asks a [ledger.Tally].
type executor struct {
	n *node

	// The machine: what the disk holds, and whether it computes what others compute.
	headers  []common.Hash
	newest   *ledger.ExecCert
	diverges bool

	// The process.
	tally    *ledger.Tally
	own      map[uint64]*packet
	answered []time.Duration // by peer
}

// restart rebuilds what a process knows from what is stored.
func (x *executor) restart() {
	w, tip := x.n.w, uint64(len(x.n.app.store))
	x.headers = x.headers[:min(len(x.headers), int(tip))]
	w.exec.law.Started(x.n.index, tip)
	newest := x.newest
	if x.newest = nil; newest != nil && newest.Height > tip {
		newest = nil
	}
	floor := tip - min(tip, ledger.ExecWindow)
	if newest != nil {
		floor = max(floor, newest.Height)
	}
	x.tally = ledger.NewTally(w.scenario.Validators, w.committee.Quorum(), floor, x.n.app.tailAt(floor).ms)
	x.own, x.answered = map[uint64]*packet{}, make([]time.Duration, len(w.nodes))
	for h := floor + 1; h <= tip; h++ {
		x.tally.Executed(x.result(h))
	}
	if newest != nil {
		x.learn(newest)
	}
	x.learnFrom(int(floor))
}

// begin is the process's first word.
func (x *executor) begin() {
	w := x.n.w
	if w.twins == nil { // Twins are about consensus alone.
		x.sign()
		w.queue.push(w.now+execRepeat, event{kind: evRepeat, node: int32(x.n.index), life: x.n.life})
	}
}

// commit executes blocks that are stored now.
func (x *executor) commit(blocks []consensus.FinalBlock) {
	for i := range blocks {
		var b [2*common.HashLength + 1]byte
		if len(x.headers) > 0 {
			copy(b[:], x.headers[len(x.headers)-1][:])
		}
		copy(b[common.HashLength:], blocks[i].Hash[:])
		if x.diverges {
			b[2*common.HashLength] = byte(x.n.index + 1)
		}
		x.headers = append(x.headers, crypto.Keccak256Hash(b[:]))
		x.n.w.judge(x.n.w.exec.law.Executed(x.n.index, x.n.correct(), x.headers[len(x.headers)-1]))
	}
}

// result of a stored block.
func (x *executor) result(height uint64) ledger.ExecResult {
	set := x.n.w.committee.Hash()
	return ledger.ExecResult{
		Height: height, HeaderHash: x.headers[height-1], TimeMs: x.n.app.store[height-1].Block.Header.TimeMs,
		ValidatorSetHash: set, PendingSetHash: set,
	}
}

// executed takes over what was stored beyond a height: certificates in payloads are learnt first.
func (x *executor) executed(height int) {
	store := x.n.app.store
	for h := height; h < len(store); h++ {
		x.tally.Executed(x.result(uint64(h) + 1))
	}
	x.learnFrom(height)
	if due := x.tally.Due(); due != nil {
		x.learn(due)
	}
	if x.n.w.twins == nil {
		x.sign()
	}
}

// learnFrom learns the certificates in the payloads of stored blocks above a height.
func (x *executor) learnFrom(height int) {
	for _, f := range x.n.app.store[height:] {
		if p, ok := x.n.w.exec.payload(f.Block.Payload); ok && p.Cert != nil {
			x.learn(p.Cert)
		}
	}
}

// sign makes and sends votes.
func (x *executor) sign() {
	if !x.n.validator() {
		return
	}
	for _, r := range x.tally.ToSign() {
		if x.own[r.Height] != nil {
			continue
		}
		v := x.n.w.attest(x.n.signer, r)
		if x.own[r.Height] = x.n.w.packExec(&execMessage{vote: v}); x.own[r.Height] == nil {
			x.n.w.violate("refused", "node %d signed a result of height %d that others refuse", x.n.index, r.Height)
			return
		}
		x.say(x.own[r.Height])
		x.count(v)
	}
}

// attest signs a result with a validator's key.
func (w *World) attest(signer int, r ledger.ExecResult) *ledger.ExecVote {
	w.exec.law.Signed(signer, &r)
	return &ledger.ExecVote{ExecResult: r, Signer: uint16(signer), Sig: key{w.keys, signer}.Sign(r.Digest(chainID, genesis))}
}

// say sends an own vote to everybody.
func (x *executor) say(p *packet) {
	w := x.n.w
	if x.n.correct() {
		w.judge(w.exec.law.Said(x.n.index, &p.exec.vote.ExecResult))
	}
	for _, to := range w.nodes {
		if to.peer == x.n.peer {
			continue
		}
		if x.n.liar != nil {
			x.n.liar.attest(to, p)
		} else {
			w.transmit(x.n, to, consensus.LaneCert, p, 0)
		}
	}
}

// repeat sends again what has no certificate.
func (x *executor) repeat() {
	w := x.n.w
	w.queue.push(w.now+execRepeat, event{kind: evRepeat, node: int32(x.n.index), life: x.n.life})
	if x.n.validator() {
		for _, h := range x.tally.ToRepeat() {
			if p := x.own[h]; p != nil {
				x.say(p)
			}
		}
		return
	}
	if lacking, ok := x.tally.Lacking(); ok {
		p := w.packExec(&execMessage{lacks: lacking})
		for _, to := range w.nodes {
			if to.peer != x.n.peer {
				w.transmit(x.n, to, consensus.LaneCert, p, 0)
			}
		}
	}
}

// receive takes a message of a peer.
func (x *executor) receive(from int, p *packet) {
	switch m := p.exec; {
	case m.vote != nil && x.tally.Wants(m.vote):
		x.count(m.vote)
	case m.vote != nil:
		x.answer(from, m.vote.Height)
	case m.cert != nil:
		if x.tally.WantsCert(m.cert.Height) {
			x.learn(m.cert)
		}
	default:
		x.answer(from, m.lacks)
	}
}

// answer sends the newest certificate to a peer that seems to lack it.
func (x *executor) answer(to int, height uint64) {
	w := x.n.w
	if x.newest == nil || x.newest.Height < height || w.now < x.answered[to] {
		return
	}
	x.answered[to] = w.now + answerInterval
	p := w.packExec(&execMessage{cert: x.newest})
	if p == nil {
		w.violate("refused", "node %d sent a certificate of height %d that others refuse", x.n.index, x.newest.Height)
		return
	}
	w.transmit(x.n, w.nodes[to], consensus.LaneCert, p, 0)
}

func (x *executor) count(v *ledger.ExecVote) {
	if c := x.tally.Add(v); c != nil {
		x.learn(c)
	}
}

// learn takes a certificate, and stores one that agrees with what was executed here.
func (x *executor) learn(c *ledger.ExecCert) {
	if !x.tally.Learn(c) {
		return
	}
	w := x.n.w
	if x.n.correct() {
		w.judge(w.exec.law.Saw(x.n.index, c))
	}
	own, known := x.result(c.Height), x.tally.Divergence()
	if !x.tally.Agrees(c, &own) {
		if known == nil {
			w.note(x.n, Entry{Kind: EntryRemark, Height: c.Height, Text: "executed a block differently than a quorum: it signs no more results"})
		}
		return
	}
	x.newest = c
	x.tally.Certify(c.Height)
	for h := range x.own {
		if h <= c.Height {
			delete(x.own, h)
		}
	}
	x.n.demand()
}
