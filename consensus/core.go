package consensus

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// Core is one replica of the protocol in one epoch. It is not safe for
// concurrent use: exactly one goroutine steps it.
type Core struct {
	cfg   Config
	sched Schedule
	self  int // own index, -1 for an observer

	now Instant
	out Output

	own history // what this validator signed; restored from the log

	fin     Tip // newest committed block
	finAt   time.Duration
	execTip Tip

	view     uint64
	entered  time.Duration
	left     []leftView // recently left views, newest last
	views    map[uint64]*viewState
	blocks   map[common.Hash]*blockNode
	recent   []*Proposal   // newest committed proposals, for peers one step behind
	topNotar uint64        // highest view notarized directly or indirectly
	risenAt  time.Duration // when topNotar last rose
	topNull  uint64        // highest view that a nullification opens
	pending  *commitGoal   // the newest proof of finality
	ranged   *commitGoal   // proof for the last range of blocks that arrived
	// unsettled is set by what may let a proof of finality commit.
	unsettled bool

	lastProposed uint64
	proposedAt   time.Duration
	building     *BuildRequest
	declined     bool // the application had nothing for the current parent
	declinedAt   time.Duration

	demandAt    uint64 // Unix ms, 0 for none
	demandSince time.Duration

	expired  bool   // the leader gave up its term: own timers count as expired
	closedAt uint64 // view in which closeGaps last ran
	replayed uint64 // highest view of a vote that came from the log
	resentAt time.Duration
	statusAt time.Duration

	peers   []peerState
	proven  []uint64 // by signer: highest view of the evidence that peers sent
	told    []int    // by signer: proofs sent to everyone
	fetches []*fetch
	catchUp catchUp
	rejoin  rejoin
}

type leftView struct {
	view uint64
	at   time.Duration
}

// viewState is what a replica knows about one view above the final one.
type viewState struct {
	proposal    *Proposal // the first one seen
	equivocated bool
	votes       [Finalize + 1][]*Vote // by kind, then signer
	accused     []bool                // signers whose evidence was reported
	notar       *Cert                 // direct notarization
	nul         *Cert
	final       *Cert
	// inotar is the view's notarized block, known directly or because a
	// descendant in the same term is notarized; zero when unknown.
	inotar  common.Hash
	notarAt time.Duration
	votedAt time.Duration // own NOTARIZE
	askedAt time.Duration // last request for certificates that this view needs
	asked   bool
}

// blockNode is a block above the final one.
type blockNode struct {
	hash       common.Hash
	block      *Block
	proposal   *Proposal // nil when it came from a range
	verdict    Verdict   // zero while unknown
	judging    bool
	parentTime uint64
	from       int    // the peer that sent the data, -1 for the log
	unfit      []bool // peers that sent data that did not fit; nil for none
}

// commitGoal is the newest known proof of finality that is not yet delivered:
// cert finalizes target or a descendant of it.
type commitGoal struct {
	target common.Hash
	view   uint64
	cert   *Cert
	// gap is the block on the way that was unknown at the last look.
	gap     common.Hash
	gapView uint64
}

// New makes a Core from its configuration and the log's records. It sends
// nothing: the first step must be [Start].
func New(cfg Config) (*Core, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Core{
		cfg: cfg, sched: cfg.Schedule(), self: -1,
		fin: cfg.Tip, execTip: cfg.Tip,
		views: map[uint64]*viewState{}, blocks: map[common.Hash]*blockNode{},
		peers: make([]peerState, cfg.Peers),
	}
	if cfg.Signer != nil {
		i, ok := cfg.Committee.Index(cfg.Signer.Address())
		if !ok {
			return nil, fmt.Errorf("consensus: the key of %s belongs to no validator", cfg.Signer.Address())
		}
		c.self = i
	}
	c.own = newHistory(c.sched)
	if err := c.recover(cfg.Recovered); err != nil {
		return nil, err
	}
	c.cfg.Recovered = nil
	if own := c.ownViews(); len(own) > 0 {
		c.replayed = own[len(own)-1]
	}
	c.view = max(c.fin.View, c.topNotar) + 1
	return c, nil
}

// recover replays the log: own votes bind again, kept bodies are served again
// and kept certificates are known again.
func (c *Core) recover(records []Record) error {
	floor := uint64(0)
	for i := range records {
		r := &records[i]
		if r.Epoch != c.cfg.Epoch || (r.Type == RecordFinalize && mutant.On(mutant.RecoveryForgetsFinalize)) {
			continue
		}
		if err := r.checkView(); err != nil {
			return fmt.Errorf("log record %d: %w", i, err)
		}
		if r.Type == RecordFloor {
			floor = max(floor, r.View)
			continue
		}
		if c.rejoin.amnesia && c.rejoin.from == 0 {
			c.rejoin.from = r.View // Votes after the loss: the wait was over by then.
		}
		switch r.Type {
		case RecordAmnesia:
			c.rejoin = rejoin{amnesia: !mutant.On(mutant.AmnesiaIgnored)}
		case RecordNullify:
			c.own.nullified(r.View)
		case RecordNotarize:
			p, err := r.proposalOf()
			if err != nil {
				return fmt.Errorf("log record %d: %w", i, err)
			}
			c.own.notarized(r.View, p.hash)
			if c.self >= 0 && c.sched.Leader(r.View) == c.self {
				c.lastProposed = max(c.lastProposed, r.View)
			}
			if r.View > c.fin.View && !mutant.On(mutant.NoBodiesInLog) {
				c.viewAt(r.View).proposal = p
				c.insert(-1, p.hash, &p.Block, p)
			}
		case RecordFinalize:
			cert, err := r.notarizationOf(c.cfg.Committee)
			if err != nil {
				return fmt.Errorf("log record %d: %w", i, err)
			}
			c.own.finalized(r.View, cert.Hash)
			if r.View > c.fin.View && !mutant.On(mutant.KeptCertificateNotReingested) {
				c.onCert(cert)
			}
		default:
			return fmt.Errorf("log record %d has the unknown type %d", i, r.Type)
		}
	}
	c.keepAbove(floor)
	c.out = Output{} // Judge and fetch again in Start, with a driver attached.
	for _, n := range c.blocks {
		n.judging = false
	}
	c.fetches = nil
	return nil
}

// Step applies one input at a time that never runs backwards and returns what
// to do. The output is valid until the next step.
func (c *Core) Step(now Instant, in Input) *Output {
	c.now, c.out = now, Output{}
	switch in := in.(type) {
	case Start:
		c.start()
	case Tick:
	case Received:
		c.receive(in.From, in.Message.msg)
	case Stale:
		c.heard(in.From)
		c.helpLate(in.From, in.View)
	case PeerUp:
		c.peerUp(in.Peer)
	case PeerDown:
		c.peers[in.Peer].up = false
	case Built:
		c.built(in)
	case Judged:
		c.judged(in)
	case Demand:
		c.demand(in.AtUnixMs)
	case Executed:
		c.executed(in.Tip)
	}
	c.advance()
	c.timers()
	c.retryFetches()
	c.syncRange()
	c.announce()
	return &c.out
}

func (c *Core) start() {
	c.entered, c.finAt, c.risenAt = c.now.Mono, c.now.Mono, c.now.Mono
	for _, n := range c.ordered() {
		c.judge(n)
	}
	for _, v := range slices.Sorted(maps.Keys(c.views)) {
		s := c.views[v]
		s.notarAt = c.now.Mono
		if s.inotar != noHash && c.blocks[s.inotar] == nil {
			c.fetch(s.inotar, v, c.anyPeer(v))
		}
	}
	c.rejoinCheck()
	c.recount()
	c.resend(Everyone)
}

// recount puts the recovered own votes into the tallies that they were in
// before the restart.
func (c *Core) recount() {
	if mutant.On(mutant.RestartDoesNotCountOwn) {
		return
	}
	for _, v := range c.ownViews() {
		if hash, ok := c.own.voted[v]; ok {
			c.count(c.sign(Notarize, v, hash))
		}
		if c.own.nulled[v] {
			c.count(c.sign(Nullify, v, noHash))
		}
		if hash, ok := c.own.fined[v]; ok {
			c.count(c.sign(Finalize, v, hash))
		}
	}
}

// ownViews lists the views above the final one that this validator voted in,
// ascending.
func (c *Core) ownViews() []uint64 {
	var views []uint64
	add := func(v uint64) {
		if v > c.fin.View {
			views = append(views, v)
		}
	}
	for v := range c.own.voted {
		add(v)
	}
	for v := range c.own.nulled {
		add(v)
	}
	for v := range c.own.fined {
		add(v)
	}
	slices.Sort(views)
	return slices.Compact(views)
}

func (c *Core) executed(t Tip) {
	if t.Height > c.execTip.Height {
		c.execTip = t
		c.declined = false
		c.own.prune(t.View)
	}
}

func (c *Core) demand(at uint64) {
	if at != 0 && (c.demandAt == 0 || c.demandAt > c.now.UnixMs) {
		c.demandSince = c.now.Mono
		if at > c.now.UnixMs {
			c.demandSince += millis(at - c.now.UnixMs)
		}
	}
	c.demandAt, c.declined = at, false
}

// overdue reports that a notarized block has waited for its finality for longer
// than that takes in good times, and since when. Nobody's demand speaks for it: its
// transactions are in a block already, so applications with nothing else to order
// decline. One block on top of it makes it final; more would only be in its way.
func (c *Core) overdue() (since time.Duration, ok bool) {
	if c.topNotar <= c.fin.View || mutant.On(mutant.FinalizeNeverRepeated) {
		return 0, false
	}
	since = max(c.finAt, c.risenAt) + 3*c.cfg.Timing.Delta
	if c.now.Mono >= since {
		return since, true
	}
	c.wake(since)
	return 0, false
}

// wanted reports whether the application wants a block, and otherwise arranges
// to wake when it will.
func (c *Core) wanted() bool {
	if c.demandAt == 0 {
		return false
	}
	if c.demandAt > c.now.UnixMs {
		c.wake(c.now.Mono + millis(c.demandAt-c.now.UnixMs))
		return false
	}
	return true
}

// advance enters the newest view, commits, votes and leads until nothing
// moves. Each round signs or commits something, so it ends.
func (c *Core) advance() {
	for c.out.Fault == "" {
		c.enter()
		committed := c.commit()
		if !c.castVotes() && !committed {
			break
		}
	}
	if c.out.Fault == "" {
		c.lead()
	}
}

// enter moves to the highest view that any certificate opens.
func (c *Core) enter() {
	v := max(c.view, c.topNotar+1, c.topNull, c.fin.View+1)
	if v == c.view {
		return
	}
	c.left = append(c.left, leftView{c.view, c.now.Mono})
	if len(c.left) > 64 {
		c.left = c.left[len(c.left)-64:]
	}
	c.view, c.entered = v, c.now.Mono
	c.expired, c.declined = c.leaderLeft(), false
	if v <= c.replayed {
		c.resend(Everyone) // What was said in this view before the restart may be lost.
	}
}

// leaderLeft reports that the current leader gave up its term at or below the
// current view.
func (c *Core) leaderLeft() bool {
	leader := c.sched.Leader(c.view)
	for u := max(c.sched.Start(c.view), c.fin.View+1); u <= c.view; u++ {
		if s := c.views[u]; s != nil && s.votes[Nullify] != nil && s.votes[Nullify][leader] != nil {
			return true
		}
	}
	return false
}

// viewAt returns the state of a view above the final one, making it if needed.
func (c *Core) viewAt(v uint64) *viewState {
	s := c.views[v]
	if s == nil {
		s = new(viewState)
		c.views[v] = s
	}
	return s
}

// horizon is the highest view whose votes and proposals are kept.
func (c *Core) horizon() uint64 {
	if mutant.On(mutant.HorizonUnbounded) {
		return maxView
	}
	return max(c.view+c.cfg.Window+1, c.sched.Next(c.view))
}

// anchor is the highest view in [start(v)-1, v-1] that is known to be
// notarized, or start(v)-1.
func (c *Core) anchor(v uint64) uint64 {
	low := c.sched.Start(v) - 1
	for x := v - 1; x > low; x-- {
		if _, ok := c.notarizedAt(x); ok {
			return x
		}
	}
	return low
}

// The three methods of evidence, on which S4 rests.

func (c *Core) finalTip() (uint64, common.Hash) { return c.fin.View, c.fin.Hash }

func (c *Core) notarizedAt(v uint64) (common.Hash, bool) {
	if v == c.fin.View {
		return c.fin.Hash, true
	}
	s := c.views[v]
	if s == nil || s.inotar == (common.Hash{}) {
		return common.Hash{}, false
	}
	return s.inotar, true
}

func (c *Core) coveredAt(x uint64) bool {
	return c.covering(x) != nil || (mutant.On(mutant.CoverByOwnNullify) && c.own.gaveUp(x))
}

// covering returns a nullification that covers view x, or nil.
func (c *Core) covering(x uint64) *Cert {
	for u := max(c.sched.Start(x), c.fin.View+1); u <= x; u++ {
		if s := c.views[u]; s != nil && s.nul != nil {
			return s.nul
		}
	}
	return nil
}

// voting reports whether this replica may sign for view v.
func (c *Core) voting(v uint64) bool {
	return c.self >= 0 && (!c.rejoin.amnesia || (c.rejoin.from != 0 && v >= c.rejoin.from))
}

// wake asks for a tick at t at the latest.
func (c *Core) wake(t time.Duration) {
	t = max(t, c.now.Mono+1)
	if c.out.WakeAt == 0 || t < c.out.WakeAt {
		c.out.WakeAt = t
	}
}

func (c *Core) send(to int, lane Lane, m Message) {
	if to != c.self || to == Everyone {
		c.out.Send = append(c.out.Send, Send{to, lane, m})
	}
}

func (c *Core) fault(format string, args ...any) {
	if c.out.Fault == "" {
		c.out.Fault = fmt.Sprintf(format, args...)
	}
}

// Snapshot is where a replica stands, for people and metrics.
type Snapshot struct {
	Epoch, View uint64
	// Leader is the index of the current view's leader.
	Leader int
	Final  Tip
	// Voting is false on observers and while a lost log keeps the validator
	// from voting; VotesFrom is then the view from which it votes again, 0
	// while that is unknown.
	Voting    bool
	VotesFrom uint64
	// Awaits are those whose statuses do not count yet while VotesFrom is unknown.
	Awaits []Awaited
	// Highest is the final height that at least one honest validator has
	// stated, or the own one if that is higher.
	Highest uint64
	// CatchingUp is set while blocks are requested by range.
	CatchingUp bool
	// HeldViews and HeldBlocks are how many views and blocks above the final
	// one are in memory.
	HeldViews, HeldBlocks int
}

// Snapshot describes the replica after its latest step.
func (c *Core) Snapshot() Snapshot {
	return Snapshot{
		Epoch: c.cfg.Epoch, View: c.view, Leader: c.sched.Leader(c.view), Final: c.fin,
		Voting: c.voting(c.view), VotesFrom: c.rejoin.from, Awaits: c.awaited(), Highest: c.highest(), CatchingUp: c.catchUp.active || c.ranged != nil,
		HeldViews: len(c.views), HeldBlocks: len(c.blocks),
	}
}

// highest believes f+1 validators: one of them is honest.
func (c *Core) highest() uint64 {
	claims := make([]uint64, c.cfg.Committee.Size())
	for i := range claims {
		claims[i] = c.peers[i].finHeight
	}
	slices.Sort(claims)
	return max(c.fin.Height, claims[len(claims)-1-c.cfg.Committee.Faulty()])
}

// KeepFrom is the lowest view whose records the log must keep, given the tip
// that the driver last reported as [Executed].
func (c *Core) KeepFrom() uint64 {
	if mutant.On(mutant.PruneAboveDurable) {
		return c.fin.View
	}
	return c.execTip.View - min(c.execTip.View, 2*c.sched.Term)
}
