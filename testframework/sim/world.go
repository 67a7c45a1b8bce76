package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

// genesis is the network id of all simulated networks.
var genesis = crypto.Keccak256Hash([]byte("tercet simulation"))

// World is one network in virtual time. It is not safe for concurrent use.
type World struct {
	scenario  *Scenario
	rng       *rand.Rand
	now       time.Duration
	queue     queue
	nodes     []*node
	links     []link
	net       Network // of the moment: faults change it
	keys      *keyring
	committee *consensus.Committee
	verifier  consensus.Verifier
	audit     auditor
	stats     Stats
	always    bool
	muted     MessageKind
	wounded   bool    // some disk lost what it had synced
	away      []*node // stay down for a part of the second phase
	clockSeen uint64  // Unix ms, see latestClock
	topView   uint64  // the highest view that a correct node has been in
	rate      float64
	shift     uint32   // counts changes of rate: what an earlier one planned is void
	faults    int      // of the scenario, that have happened
	twins     *twinRun // nil but in scenarios of [Twins]
	machines  machines
	exec      execution

	txs        []transaction
	diskFaulty []bool // by node: its disk was told to fail
	doubles    []*double
	halts      int // of processes with a key that runs twice

	law      *invariant.Committee
	votes    *invariant.Votes
	chains   *invariant.Chains
	journals *invariant.Journals
	err      error
	meter    *meter // nil unless figures are taken

	// Trace, when not nil, receives what happens, for people.
	Trace func(at time.Duration, node int, text string)
	// OnMessage, when not nil, sees each delivery, for drawings.
	OnMessage func(sent, arrived time.Duration, from, to int, m consensus.Message)
	// OnEvent, when not nil, sees all other events, see [Record].
	OnEvent func(Entry)
}

// transaction is what a client gave to a node.
type transaction struct {
	at   time.Duration
	node int
	seen time.Duration // when a receipt was first shown, 0 while none was
}

// Stats count what a run did.
type Stats struct {
	Events, Steps, Sent, Lost, Refused uint64
	Height                             uint64
	Transactions, Receipts             int
}

// New builds the world of a scenario; nothing runs before [World.Run]. It fails for a scenario that makes
// no sense.
func New(s *Scenario) (*World, error) { return newWorld(s, nil) }

// newWorld adds, for validators, a second instance of each with the same key.
func newWorld(s *Scenario, twinned []int) (*World, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	n := s.nodes() + len(twinned)
	w := &World{
		scenario: s, rng: rand.New(rand.NewPCG(s.Seed, 0x7E4CE7)), net: s.Network, keys: newKeyring(s.Validators),
		rate: s.Work.Rate, always: s.Work.Always, diskFaulty: make([]bool, n),
		machines: machines{pruneViews: engine.DefaultPruneViews},
	}
	var err error
	if w.committee, err = consensus.NewCommittee(w.keys.addresses); err != nil {
		return nil, err
	}
	for i := range n {
		w.nodes = append(w.nodes, &node{w: w, index: i, peer: i, signer: i})
		if i >= s.Validators {
			w.nodes[i].signer = -1
		}
		if twin := i - s.Validators - s.Observers; twin >= 0 {
			w.nodes[i].peer, w.nodes[i].signer = twinned[twin], twinned[twin]
		}
		w.nodes[i].app.n, w.nodes[i].app.exec.n = w.nodes[i], w.nodes[i]
	}
	cfg := w.coreConfig(w.nodes[0])
	if _, err := consensus.New(cfg); err != nil {
		return nil, err
	}
	w.verifier = consensus.Verifier{Scheme: w.keys, Network: genesis, Committee: w.committee, Schedule: cfg.Schedule()}
	w.law = &invariant.Committee{
		Addresses: w.keys.addresses, Liar: make([]bool, s.Validators), Term: s.Term, Network: genesis, Recover: w.keys.Recover,
	}
	if err := w.turn(s.Liars); err != nil {
		return nil, err
	}
	for _, i := range twinned {
		w.law.Liar[i] = true
	}
	w.votes, w.journals = invariant.NewVotes(w.law), invariant.NewJournals(w.law)
	w.chains = invariant.NewChains(w.law, n, epochMs, uint64(s.Timing.MaxDrift.Milliseconds())+1)
	w.exec = newExecution(w)
	w.makeLinks()
	for _, nd := range w.nodes {
		if err := nd.format(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *World) coreConfig(n *node) consensus.Config {
	s := w.scenario
	cfg := consensus.Config{
		Network: genesis, Committee: w.committee, Peers: s.Validators + s.Observers, Term: s.Term, Window: s.Window,
		MaxBlockBytes: 1 << 16, Timing: s.Timing,
	}
	if n.validator() {
		cfg.Signer = key{w.keys, n.signer}
	}
	return cfg
}

// upTo draws a duration below a bound.
func (w *World) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

// input hands a node's process an input, as an event of its own.
func (w *World) input(n *node, in consensus.Input) {
	w.queue.push(w.now, event{kind: evInput, node: int32(n.index), life: n.life, input: in})
}

// advance lets time pass until end, or until something is violated.
func (w *World) advance(end time.Duration) {
	for w.err == nil {
		at, ok := w.queue.next()
		if !ok || at > end {
			break
		}
		var e event
		w.now, e = w.queue.pop()
		w.stats.Events++
		w.handle(&e)
	}
	if w.err == nil {
		w.now = max(w.now, end)
	}
}

// handle carries out one event.
func (w *World) handle(e *event) {
	n := w.nodes[e.node]
	w.audit.mix(uint64(w.now)<<8 | uint64(e.kind))
	w.audit.mix(uint64(e.node)<<32 | uint64(e.peer))
	switch e.kind {
	case evFault:
		w.nextFault()
		return
	case evWork:
		if e.life == w.shift {
			w.work()
		}
		return
	case evLink:
		w.noticed(int(e.node), int(e.peer))
		return
	case evResume:
		n.resume()
		return
	case evStart:
		w.restart(n)
		return
	}
	if !n.up || e.life != n.life {
		return
	}
	if n.paused > w.now {
		if len(n.held) < maxHeld {
			n.held = append(n.held, *e)
		}
		return
	}
	w.process(n, e)
}

// process carries out an event of a running process.
func (w *World) process(n *node, e *event) {
	switch e.kind {
	case evDeliver:
		w.audit.mix(e.packet.sum)
		n.receive(int(e.peer), e.packet)
	case evTick:
		n.tick()
	case evCarry:
		n.carryOut()
		n.iterate()
	case evInput:
		n.inbox = append(n.inbox, e.input)
		n.iterate()
	case evBuild:
		n.inbox = append(n.inbox, n.app.build(e.build))
		n.demand()
		n.iterate()
	case evExecuted:
		n.app.executedGroup()
	case evDemand:
		n.demand()
		n.iterate()
	case evGossip:
		n.app.repeat()
	case evRepeat:
		n.app.exec.repeat()
	case evAct:
		n.liar.act()
	}
}

// send passes on what a core wants sent.
func (w *World) send(n *node, s *consensus.Send) {
	if w.twins != nil {
		w.twins.send(n, s)
		return
	}
	w.spoke(n, s.Message)
	if n.liar == nil {
		w.failStop(n, s.Message)
		w.promised(n, s.Message)
		if n.double != nil {
			n.double.says(n, s.Message)
		}
		p := w.pack(n, s.Message)
		if p == nil {
			return
		}
		for _, to := range w.nodes {
			if to.peer != n.peer && (s.To == consensus.Everyone || s.To == to.peer) {
				w.transmit(n, to, s.Lane, p, 0)
			}
		}
		return
	}
	n.liar.hear(s.Message)
	for _, to := range w.nodes {
		if to.peer != n.peer && (s.To == consensus.Everyone || s.To == to.peer) {
			n.liar.say(to, s.Lane, s.Message)
		}
	}
}

// promised tells the checkers what leaves a correct validator.
func (w *World) promised(n *node, m consensus.Message) {
	var v *consensus.Vote
	switch m := m.(type) {
	case *consensus.Vote:
		v = m
	case *consensus.Proposal:
		w.judge(w.votes.Proposed(m.Hash(), &m.Block.Header))
		if w.meter != nil {
			w.meter.proposal(w, m)
		}
		v = &m.LeaderVote
	}
	if n.correct() {
		w.shown(m)
	}
	if v == nil || int(v.Signer) != n.signer {
		return
	}
	n.topVote = max(n.topVote, v.View)
	if !n.correct() {
		return
	}
	w.journals.Sent(v)
	w.judge(w.votes.Signed(v))
}

// recovered tells the checkers what a process begins with. Votes that its journal remembers count as
// signed: it may have crashed before it sent them.
func (w *World) recovered(n *node, tip *consensus.Tip, records []consensus.Record) {
	lost := n.rolledBack
	n.reopened(tip.Height)
	w.kept(n, records)
	if n.validator() && n.correct() {
		s := n.replica.Snapshot()
		w.judge(w.journals.Recovered(n.signer, &invariant.Recovery{
			Records: records, TipView: tip.View, StoreLost: lost, View: s.View, Voting: s.Voting,
		}))
		for i := range records {
			if v, ok, err := invariant.Remembered(&records[i]); ok && err == nil {
				w.judge(w.votes.Kept(n.signer, v.Kind, v.View, v.Hash))
			}
		}
	}
}

// judge keeps what a checker reports.
func (w *World) judge(err error) {
	if err != nil {
		w.fail(err)
	}
}

// pack makes a message of a correct node ready for its receivers. All of them verify it in production;
// here the first one does it for all.
func (w *World) pack(n *node, m consensus.Message) *packet {
	if w.scenario.Wire {
		decoded, err := consensus.DecodeMessage(append([]byte(nil), consensus.EncodeMessage(m)...))
		if err != nil {
			w.violate("encoding", "node %d sent a %T that does not decode: %v", n.index, m, err)
			return nil
		}
		m = decoded
	}
	v, err := w.verifier.Verify(m)
	if err != nil {
		w.violate("refused", "node %d sent a %T that others refuse: %v", n.index, m, err)
		return nil
	}
	return &packet{message: m, verified: v, sum: sumOf(m)}
}

// publish gossips transactions.
func (w *World) publish(n *node, txs []uint64) {
	p := &packet{txs: txs, sum: txs[0]}
	for _, to := range w.nodes {
		if to.peer != n.peer {
			w.transmit(n, to, consensus.LaneSync, p, 0)
		}
	}
}

// work submits a transaction and plans the next one.
func (w *World) work() {
	if w.rate <= 0 {
		return
	}
	w.submit(w.rng.IntN(len(w.nodes)))
	w.planWork()
}

func (w *World) planWork() {
	if w.rate > 0 {
		wait := time.Duration(w.rng.ExpFloat64() / w.rate * float64(time.Second))
		w.queue.push(w.now+min(wait, time.Minute), event{kind: evWork, life: w.shift})
	}
}

// submit gives a new transaction to a node, if it is there.
func (w *World) submit(at int) {
	n := w.nodes[at]
	if !n.up || n.paused > w.now || n.liar != nil {
		return
	}
	tx := uint64(len(w.txs))
	w.txs = append(w.txs, transaction{at: w.now, node: at})
	n.app.add(tx)
	w.publish(n, []uint64{tx})
	n.app.repeatLater()
	n.demand()
	n.iterate()
}

func (w *World) submitted(tx uint64) bool { return tx < uint64(len(w.txs)) }

// delivered notes what a block orders when it is delivered first.
func (w *World) delivered(n *node, f *consensus.FinalBlock) {
	h := f.Block.Header.Height
	w.audit.mix(h)
	if n.liar == nil {
		w.judge(w.votes.Final(f.Block.Header.View, f.Hash))
	}
	if w.meter != nil {
		w.meter.final(w, f)
	}
	w.note(n, Entry{Kind: EntryFinal, View: f.Block.Header.View, Height: h, hash: f.Hash})
	var fresh []uint64
	for _, tx := range transactions(f.Block.Payload) {
		if w.chains.OrderedAt(tx) == 0 {
			fresh = append(fresh, tx) // Executing the others again changes nothing.
		}
	}
	if err := w.chains.Ordered(h, fresh, w.submitted); err != nil {
		w.fail(err)
	}
	w.exec.ordered(w, f)
}

// acknowledged notes receipts that a node shows.
func (w *World) acknowledged(n *node) {
	for ; n.app.acked < len(n.app.store); n.app.acked++ {
		for _, tx := range transactions(n.app.store[n.app.acked].Block.Payload) {
			if t := &w.txs[tx]; t.seen == 0 {
				t.seen = w.now
			}
		}
	}
	tip := n.app.tip().View
	if two := 2 * w.scenario.Term; n.validator() && tip > two {
		w.journals.Forget(n.signer, tip-two)
	}
}

// accused checks evidence: it must never name a correct validator.
func (w *World) accused(n *node, e *consensus.Evidence) {
	w.note(n, Entry{Kind: EntryEvidence, View: e.A.View, Text: fmt.Sprintf("accuses n%d of %s and %s", e.A.Signer, e.A.Kind, e.B.Kind)})
	if who := int(e.A.Signer); !w.law.Liar[who] && n.correct() {
		w.violate("false evidence", "node %d accuses validator %d of %s and %s in the views %d and %d", n.index, who, e.A.Kind, e.B.Kind, e.A.View, e.B.View)
	}
}

// maxHeldBlocks is the most blocks that a replica may hold above its final one, whatever it is sent.
const maxHeldBlocks = 3000

// held checks that a replica's memory is bounded: what it knows of views ends a term and a window above the
// highest view that a correct node has been in, because no certificate leads further.
func (w *World) held(n *node, s *consensus.Snapshot) {
	if !n.correct() {
		return
	}
	w.topView = max(w.topView, s.View)
	most := w.topView - min(w.topView, s.Final.View) + 2*w.scenario.Term + w.scenario.Window + 2
	if s.HeldBlocks > maxHeldBlocks || uint64(s.HeldViews) > most {
		w.violate("memory", "node %d holds %d blocks and %d views above the final one", n.index, s.HeldBlocks, s.HeldViews)
	}
}

// latestClock is the most that the wall clock of any correct node shows, or has shown before it was set.
func (w *World) latestClock() uint64 {
	latest := w.clockSeen
	for _, n := range w.nodes {
		if n.liar == nil {
			latest = max(latest, n.clock.instant(w.now, n.started).UnixMs)
		}
	}
	return latest
}

func (w *World) violate(rule, format string, args ...any) {
	w.fail(&invariant.ViolationError{Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// fail keeps the first violation.
func (w *World) fail(err error) {
	if w.err == nil {
		if _, ok := errors.AsType[*invariant.ViolationError](err); !ok {
			err = &invariant.ViolationError{Rule: "failure", Text: err.Error()}
		}
		w.err = err
	}
}
