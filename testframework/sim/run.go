package sim

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

// Result is what a run came to.
type Result struct {
	// Err is the first violation, nil when every promise held.
	Err error
	// At is the virtual time of the violation, or the length of the run.
	At time.Duration
	// Hash condenses all events; Digest is the same as a number.
	Hash   string
	Digest uint64
	Stats  Stats
	// Recovery is how long after everything healed the first block was final, and all were level.
	Recovery, Level time.Duration
	// IdleRate is how many messages all nodes together sent per second of idling.
	IdleRate float64
	// Answer is how long the transaction after the idling took until its receipt.
	Answer time.Duration
}

// Run runs a scenario to its end or to its first violation. It fails only for a scenario that makes no
// sense.
func Run(s *Scenario) (*Result, error) {
	w, err := New(s)
	if err != nil {
		return nil, err
	}
	return w.Run(), nil
}

// Run runs the world once.
func (w *World) Run() *Result {
	r := new(Result)
	w.guard(func() { w.phases(r) })
	w.finish(r)
	return r
}

// finish fills in what is known at the end of a run.
func (w *World) finish(r *Result) {
	r.Err, r.At, r.Hash, r.Digest, r.Stats = w.err, w.now, w.audit.String(), w.audit.h, w.stats
	r.Stats.Height = w.chains.Height()
	r.Stats.Transactions = len(w.txs)
	for i := range w.txs {
		if w.txs[i].seen != 0 {
			r.Stats.Receipts++
		}
	}
}

// guard turns a panic of the code under test into a violation.
func (w *World) guard(do func()) {
	defer func() {
		if p := recover(); p != nil {
			w.err = nil
			w.violate("panic", "%v%s", p, callers())
		}
	}()
	do()
}

func (w *World) phases(r *Result) {
	s := w.scenario
	w.begin()
	w.advance(s.Faulty)
	if s.Healed > 0 && w.err == nil {
		w.converge(r)
	}
	if s.Idle > 0 && w.err == nil && w.certifies() { // otherwise transactions stop at Dmax
		w.quiet(r)
	}
}

// begin starts all nodes and plans what comes from outside.
func (w *World) begin() {
	for _, n := range w.nodes {
		n.start()
	}
	w.plan()
	w.planWork()
}

// commitBound is how long a healed network may take to its next block: a timeout for each faulty leader at
// the longest that Δeff gets, and ten message delays.
func (w *World) commitBound() time.Duration {
	f := consensus.Faulty(w.scenario.Validators)
	d := w.scenario.Timing.Delta
	return time.Duration(3*(f+1))*(d*81/16) + 10*d + reconnectWithin + w.scenario.Timing.MaxIdle + 2*slowSync
}

// converge is the second phase: after everything healed the chain goes on and does not stop again, all correct
// nodes get level, all validators vote again, and every transaction that a correct node took is executed.
func (w *World) converge(r *Result) {
	healed, end := w.now, w.now+w.scenario.Healed
	due := len(w.txs)
	w.heal()
	w.setRate(max(w.rate, w.scenario.Work.Rate, healedRate))
	before := w.reached()
	if !w.goesOn() {
		before-- // not to be awaited
	}
	for w.err == nil && w.reached() == before && w.now < healed+w.commitBound() {
		w.advance(w.now + 10*time.Millisecond)
	}
	if w.err == nil && w.reached() == before {
		w.violate("liveness", "no block within %v after everything healed: %s", w.commitBound(), w.standings())
	}
	r.Recovery = w.now - healed
	past := progress{heights: []uint64{before}, top: w.reached(), risen: w.now}
	for w.err == nil && w.now < end && (r.Level == 0 || !w.machines.hasty) {
		w.advance(w.now + progressStep)
		if w.now >= healed+w.scenario.Healed/2 {
			for _, n := range w.away {
				w.restart(n)
			}
		}
		if stopped := past.note(w); w.err == nil && w.goesOn() && stopped > w.commitBound() {
			w.violate("liveness", "no block for %v, %v after everything healed: %s", stopped, w.now-healed, w.standings())
		}
		if r.Level == 0 && w.unlevel(due, past.expected()) == "" {
			r.Level = w.now - healed
		}
	}
	if len(w.scenario.Liars) == 0 { // A censor's term can last longer.
		due = max(due, w.sentBy(w.now-w.commitBound()))
	}
	if why := w.unlevel(due, past.expected()); w.err == nil && why != "" {
		w.violate("convergence", "%v after everything healed %s: %s", w.now-healed, why, w.standings())
	}
}

// reached is the newest height that a correct node has delivered: blocks that only a liar has help nobody.
func (w *World) reached() uint64 {
	top := uint64(0)
	for _, n := range w.nodes {
		if n.liar == nil {
			top = max(top, n.app.delivered)
		}
	}
	return top
}

// sentBy counts the transactions that clients had sent at a time.
func (w *World) sentBy(at time.Duration) int {
	return sort.Search(len(w.txs), func(i int) bool { return w.txs[i].at > at })
}

// progress is how the network's height grew, noted every progressStep.
type progress struct {
	heights []uint64 // oldest first, those of the last levelWithin
	top     uint64
	risen   time.Duration // when top last rose
}

const (
	progressStep = 100 * time.Millisecond
	// levelWithin is how old a block may be that a correct node does not have: some requests, if a liar
	// is asked first.
	levelWithin = 6 * time.Second
)

// note looks at the height of the moment and returns for how long it has not risen.
func (p *progress) note(w *World) time.Duration {
	if h := w.reached(); h > p.top {
		p.top, p.risen = h, w.now
	}
	p.heights = append(p.heights, p.top)
	if len(p.heights) > int(levelWithin/progressStep) {
		p.heights = p.heights[1:]
	}
	return w.now - p.risen
}

// expected is the height that every correct node must have.
func (p *progress) expected() uint64 { return p.heights[0] }

// healedRate is the least number of transactions per second while a network recovers: a validator that lost
// its journal votes again after up to 2T+2W+2 views, which take a second each when nothing is to be ordered.
// The shortest second phase, 11 s, has to hold those of the default T and W.
const healedRate = 8.0

// slack is how many blocks apart correct nodes may be while blocks are on their way.
const slack = 64

// unlevel says why the network is not as it was before the faults, and nothing when it is: how many
// transactions must be executed, and which height every correct node must have.
func (w *World) unlevel(due int, expected uint64) string {
	top, certifies := w.reached(), w.certifies()
	for _, n := range w.nodes {
		switch {
		case n.liar != nil:
		case !n.up:
			return fmt.Sprintf("node %d is down", n.index)
		case len(n.app.store)+slack < int(top), len(n.app.store) < int(expected):
			return fmt.Sprintf("node %d is at height %d of %d", n.index, len(n.app.store), top)
		case n.validator() && !n.voting && certifies: // Views take a second each when nothing may be ordered.
			return fmt.Sprintf("validator %d does not vote", n.index)
		}
	}
	if !certifies {
		return w.stopped()
	}
	if why := w.uncertified(); why != "" {
		return why
	}
	for tx := range w.txs[:due] {
		t := &w.txs[tx]
		if t.seen == 0 && w.keeps(tx) {
			return fmt.Sprintf("transaction %d, sent at %v to node %d, is not executed", tx, t.at, t.node)
		}
	}
	return ""
}

// keeps reports whether a correct node still holds a transaction: pools are in memory.
func (w *World) keeps(tx int) bool {
	for _, n := range w.nodes {
		if n.liar == nil && n.up && n.app.known[uint64(tx)] {
			return true
		}
	}
	return false
}

// Limits of an idle network.
const (
	settleTime = 3 * time.Second
	idleTime   = 5 * time.Second
	lossyTime  = time.Second
	// idleMessages is how many messages per second and ordered pair of nodes an idle network may
	// send: statuses, and heartbeat blocks.
	idleMessages = 20.0
)

// quiet is the third phase: without work the network is nearly silent, and then answers at once.
func (w *World) quiet(r *Result) {
	w.rate, w.always = 0, false
	for _, n := range w.nodes {
		n.demand()
		n.iterate()
	}
	w.advance(w.now + settleTime)
	sent, height := w.stats.Sent, w.reached()
	w.advance(w.now + w.scenario.Idle)
	if w.err != nil {
		return
	}
	if blocks := w.reached() - height; len(w.scenario.Liars) == 0 && blocks > w.idleBlocks() {
		w.violate("idle blocks", "%d blocks in %v without work, with a heartbeat every %v", blocks, w.scenario.Idle, w.scenario.Timing.MaxIdle)
		return
	}
	r.IdleRate = float64(w.stats.Sent-sent) / w.scenario.Idle.Seconds()
	pairs := len(w.nodes) * (len(w.nodes) - 1)
	if len(w.scenario.Liars) == 0 && r.IdleRate > idleMessages*float64(pairs) {
		w.violate("idle traffic", "%.0f messages per second between %d idle nodes", r.IdleRate, len(w.nodes))
		return
	}
	w.ask(r)
}

// idleBlocks is how many blocks an idle network may make: its heartbeats, and one that was still due.
func (w *World) idleBlocks() uint64 {
	if idle := w.scenario.Timing.MaxIdle; idle > 0 {
		return 1 + uint64(w.scenario.Idle/idle)
	}
	return 1
}

// ask submits one transaction to the idle network and waits for its receipt. Every other network loses half
// of its messages in the first moments.
func (w *World) ask(r *Result) {
	asked, tx := w.now, len(w.txs)
	bound := w.answerBound()
	if w.scenario.Seed%2 == 0 {
		w.net.Loss, bound = 0.5, w.commitBound()
	}
	for i := range w.nodes {
		if w.submit(i); len(w.txs) > tx {
			break
		}
	}
	for w.err == nil && w.txs[tx].seen == 0 && w.now < asked+bound {
		w.advance(w.now + time.Millisecond)
		if w.now > asked+lossyTime {
			w.net.Loss = 0
		}
	}
	r.Answer = w.now - asked
	if w.err == nil && w.txs[tx].seen == 0 {
		w.violate("idle answer", "a transaction to an idle network is not executed after %v: %s", bound, w.standings())
	}
}

// answerBound is how long the first transaction after idling may take: with liars, a timeout each.
func (w *World) answerBound() time.Duration {
	if len(w.scenario.Liars) > 0 {
		return w.commitBound()
	}
	return time.Second + 10*w.scenario.Network.MaxLatency + 10*w.scenario.Disk.Execute
}

// standings says where every node is.
func (w *World) standings() string {
	text := ""
	for _, n := range w.nodes {
		if text != "" {
			text += "; "
		}
		if !n.up {
			text += fmt.Sprintf("n%d down at height %d", n.index, len(n.app.store))
			continue
		}
		s := n.replica.Snapshot()
		text += fmt.Sprintf("n%d view %d final %d (view %d) stored %d voting %v from %d", n.index, s.View, s.Final.Height, s.Final.View, len(n.app.store), s.Voting, s.VotesFrom)
		if n.liar != nil {
			text += " liar"
		}
	}
	return text
}

// Rule is the promise that a result broke, "" for none.
func (r *Result) Rule() string { return ruleOf(r.Err) }

func ruleOf(err error) string {
	if v, ok := errors.AsType[*invariant.ViolationError](err); ok {
		return v.Rule
	}
	return ""
}
