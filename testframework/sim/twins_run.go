package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// This file runs one scenario of [Twins].
//
// While the views of the scenario last, all deliveries take the same time, nothing is lost within a group,
// and timeouts are far longer than a view takes, so that a view ends for what the groups make of it and not
// for chance. A view of which no group can make anything is opened to all when everybody has timed out. When
// all correct instances are beyond the last view, the twins fall silent, everything is connected, and the
// chain has to go on.

// TwinsResult is what one scenario came to.
type TwinsResult struct {
	// Index of the scenario.
	Index uint64
	// Err is the first violation, nil when every promise held.
	Err error
	// Hash condenses all events.
	Hash uint64
	// Events is how many there were, Height the height of the chain when the twins fell silent.
	Events, Height uint64
	// Deliveries is how many of them could be lost: those before the twins fell silent.
	Deliveries uint64
	// Settled is when the twins fell silent, Recovery how long after that a block was final everywhere.
	Settled, Recovery time.Duration
}

// The pace of a scenario. Virtual time costs nothing: Δ is large enough that the timeouts, of 2Δ and more,
// are far from the three or four delays that a view takes.
const (
	twinLatency = time.Millisecond
	twinDelta   = 4 * time.Millisecond
	// twinInterval lets a leader propose ahead of notarizations, as far as the window allows, without
	// hundreds of blocks while somebody fetches one.
	twinInterval = twinLatency / 2
	// twinOffset sets the clock of a twin off, so that it makes other blocks than its double.
	twinOffset = 100 * time.Millisecond
	// beyond is how many views an instance may be ahead of the last view while others are behind it.
	beyond = 4
)

// twinRun steers a world along a scenario.
type twinRun struct {
	w        *World
	scenario TwinsScenario
	late     bool
	// open marks views that are open to all, by view; loose says that all below are too, and every FINALIZE.
	open  []bool
	loose bool
	// moved is when an instance last entered a view or committed.
	moved time.Duration
	over  bool // the last phase has begun
	// view and height of each instance.
	view, height []uint64

	// masked are proposals by the hash of their block, as an instance gets them that has the key of the
	// leader, and real as they are.
	masked map[common.Hash]*consensus.Proposal
	real   map[common.Hash]*consensus.Proposal

	said  [][]uint64 // by sender and receiver: what was delivered
	drops []uint64   // ordinals of deliveries that are lost
	count uint64     // of deliveries before the last phase
}

// Run runs the scenario with an index below Count. Deliveries with the given ordinals, of those before the
// twins fall silent, are lost.
func (t *Twins) Run(index uint64, lost ...uint64) *TwinsResult { return t.run(index, lost, nil) }

// Trace is Run and says what happens, for people.
func (t *Twins) Trace(index uint64, tell func(at time.Duration, node int, text string), lost ...uint64) *TwinsResult {
	return t.run(index, lost, tell)
}

// RunTwins runs one scenario of some options.
func RunTwins(o TwinsOptions, index uint64) (*TwinsResult, error) {
	t, err := NewTwins(o)
	if err != nil {
		return nil, err
	}
	if index >= t.count {
		return nil, fmt.Errorf("there are %d scenarios, the last one is %d", t.count, t.count-1)
	}
	return t.Run(index), nil
}

func (t *Twins) run(index uint64, drops []uint64, tell func(at time.Duration, node int, text string)) *TwinsResult {
	s := t.At(index)
	r := &TwinsResult{Index: index}
	w, err := newWorld(t.options.scenario(), s.Twinned)
	if err != nil {
		r.Err = err
		return r
	}
	tw := newTwins(w, s, t.options.Late, drops)
	if tell != nil {
		w.Trace, w.OnMessage = tell, func(sent, arrived time.Duration, from, to int, m consensus.Message) {
			tell(sent, from, fmt.Sprintf("to n%d: %s", to, inWords(m)))
		}
	}
	w.guard(func() { tw.phases(r) })
	r.Err, r.Hash, r.Events, r.Deliveries = w.err, w.audit.h, w.stats.Events, tw.count
	return r
}

// scenario is the network that all scenarios share.
func (o TwinsOptions) scenario() *Scenario {
	return &Scenario{
		Validators: o.Validators, Term: o.Term, Window: o.Window, Memory: true, Work: Work{Always: true},
		Timing:  consensus.Timing{Delta: twinDelta, MinInterval: twinInterval, MaxDrift: time.Second},
		Network: Network{MinLatency: twinLatency, MaxLatency: twinLatency},
	}
}

func newTwins(w *World, s TwinsScenario, late bool, drops []uint64) *twinRun {
	t := &twinRun{
		w: w, scenario: s, late: late, said: make([][]uint64, len(w.nodes)*len(w.nodes)), open: make([]bool, len(s.Groups)+1), drops: drops, view: make([]uint64, len(w.nodes)), height: make([]uint64, len(w.nodes)),
		masked: map[common.Hash]*consensus.Proposal{}, real: map[common.Hash]*consensus.Proposal{},
	}
	t.open[0] = true
	for i := range s.Twinned {
		w.nodes[w.scenario.Validators+i].clock.offset = twinOffset * time.Duration(i+1)
	}
	w.twins = t
	return t
}

// twinned reports whether a node shares its key with another one.
func (t *twinRun) twinned(n *node) bool { return !n.correct() }

func (t *twinRun) phases(r *TwinsResult) {
	w := t.w
	w.begin()
	for w.err == nil && !t.past() {
		at, ok := w.queue.next()
		if ok && at <= t.moved+t.patience() {
			w.advance(at)
			continue
		}
		if !t.unlock() {
			break // All are connected, and yet nothing moves: the last phase reports why.
		}
	}
	r.Settled, r.Height = w.now, w.chains.Height()
	if w.err == nil && len(t.scenario.Twinned) <= consensus.Faulty(w.scenario.Validators) {
		t.converge()
		r.Recovery = w.now - r.Settled
	}
}

// unlock opens the highest view that anybody is in, or else everything up to it. It reports whether there was
// anything to open.
func (t *twinRun) unlock() bool {
	t.moved = max(t.w.now, t.moved+t.patience())
	top := min(t.top(), uint64(len(t.open)-1))
	if slices.Contains(t.open[top:top+1], false) {
		t.open[top] = true
		if t.w.Trace != nil {
			t.w.Trace(t.w.now, -1, fmt.Sprintf("view %d is opened to all", top))
		}
		return true
	}
	shut := !t.loose
	t.loose = true
	for v := range top {
		t.open[v] = true
	}
	return shut
}

// past reports that all correct instances are beyond the views of the scenario, or some far beyond.
func (t *twinRun) past() bool {
	last, least := uint64(len(t.scenario.Groups)), t.top()
	for i, n := range t.w.nodes {
		if !t.twinned(n) {
			least = min(least, t.view[i])
		}
	}
	return least > last || t.top() > last+beyond
}

func (t *twinRun) top() uint64 {
	top := uint64(0)
	for i := range t.view {
		top = max(top, t.view[i])
	}
	return top
}

// longest is the most that Δeff can be at an instance in the highest view: the others have timed out before.
func (t *twinRun) longest() time.Duration {
	top := t.top()
	final := top
	for i, n := range t.w.nodes {
		if t.view[i] == top {
			final = min(final, n.final)
		}
	}
	terms := (top - final) / t.w.scenario.Term
	d := t.w.scenario.Timing.Delta
	for k := uint64(2); k < min(terms+1, 6); k++ {
		d += d / 2
	}
	return d
}

// patience is how long nothing may move until all timeouts have had their effect: 3Δeff after the last
// view began, 4Δeff with terms that can be handed over.
func (t *twinRun) patience() time.Duration {
	wait := 3 * t.longest()
	if t.w.scenario.Term > 1 {
		wait = 4 * t.longest()
	}
	return wait + t.w.scenario.Timing.Delta
}

// converge is the last phase: a block that is new to all becomes final, then all correct instances get to
// one tip at or above it.
func (t *twinRun) converge() {
	w := t.w
	t.over = true
	for _, n := range w.nodes {
		if t.twinned(n) {
			n.stop()
		}
	}
	f, d := consensus.Faulty(w.scenario.Validators), w.scenario.Timing.Delta
	height := w.chains.Height() + 1
	t.within(time.Duration(3*(f+1))*(d*81/16)+10*d, "is not final", height, func() bool { return w.chains.Height() >= height })
	t.within(hearsay+10*d, "is not final everywhere", height, func() bool { return t.level(height) })
}

// hearsay is how long nobody may tell an instance that it is behind.
const hearsay = 500 * time.Millisecond

// within lets time pass until something holds, at most as long as the protocol promises: a timeout for
// each faulty leader and ten message delays for a block.
func (t *twinRun) within(bound time.Duration, wrong string, height uint64, holds func() bool) {
	w := t.w
	start := w.now
	for w.err == nil && !holds() {
		at, ok := w.queue.next()
		if !ok || at > start+bound {
			w.violate("liveness", "height %d %s after %v with all connected: %s", height, wrong, bound, w.standings())
			return
		}
		w.advance(at)
	}
}

// level reports whether all correct instances are at one tip, at or above a height.
func (t *twinRun) level(height uint64) bool {
	for i, n := range t.w.nodes {
		if !t.twinned(n) && (t.height[i] < height || t.height[i] != t.w.chains.Height()) {
			return false
		}
	}
	return true
}

// stepped notes where an instance stands after a step.
func (t *twinRun) stepped(n *node, s *consensus.Snapshot) {
	if s.View != t.view[n.index] || s.Final.Height != t.height[n.index] {
		t.view[n.index], t.height[n.index] = s.View, s.Final.Height
		t.moved = t.w.now
	}
}

// send passes on what an instance says to those whom it reaches.
func (t *twinRun) send(from *node, s *consensus.Send) {
	w := t.w
	m := t.unmask(s.Message)
	w.promised(from, m)
	about, sum := t.about(from, m), said(m)
	var p *packet // One for all whom all of it reaches, made when there is somebody.
	for _, to := range w.nodes {
		if to.peer == from.peer || s.To != consensus.Everyone && s.To != to.peer || !to.up {
			continue
		}
		part, what := m, sum
		if !t.over && t.view[from.index] != 0 { // Else it is the last phase, or the first word after the start.
			if certs, ok := m.(*consensus.CertResponse); ok {
				if part = t.certificates(from, to, certs); part != m {
					what = said(part)
				}
			} else if !t.reaches(from, to, about) {
				part = nil
			}
			if part == nil || t.old(from, to, what) || t.dropped() {
				continue
			}
			t.remember(from, to, what)
		}
		q := p
		if part != m || q == nil {
			if q = w.pack(from, part); q == nil {
				return
			}
			if part == m {
				p = q
			}
		}
		w.transmit(from, to, s.Lane, t.mask(to, q), 0)
	}
}

// dropped counts a delivery and reports whether it is one that is lost.
func (t *twinRun) dropped() bool {
	t.count++
	return slices.Contains(t.drops, t.count-1)
}

// said condenses a message that need not be told twice, 0 for one that asks for an answer.
func said(m consensus.Message) uint64 {
	switch m.(type) {
	case nil, *consensus.CertRequest, *consensus.BlockRequest:
		return 0
	case *consensus.Vote:
		return ^sumOf(m) // The sum of a vote by validator 0 is that of a certificate.
	}
	return sumOf(m)
}

// old reports whether a receiver had the same from its sender. Those who are behind repeat themselves for
// as long as the views last, and nobody learns anything from it.
func (t *twinRun) old(from, dest *node, sum uint64) bool {
	return sum != 0 && slices.Contains(t.said[from.index*len(t.w.nodes)+dest.index], sum)
}

func (t *twinRun) remember(from, dest *node, sum uint64) {
	if sum != 0 {
		all := &t.said[from.index*len(t.w.nodes)+dest.index]
		*all = append(*all, sum)
	}
}

// subject is the view whose groups a message travels in; sticky if they are not opened with the view.
type subject struct {
	view   uint64
	sticky bool
}

// about is the subject of a message.
func (t *twinRun) about(from *node, m consensus.Message) subject {
	switch m := m.(type) {
	case *consensus.Vote:
		return t.subject(m.Kind, m.View)
	case *consensus.Cert:
		return t.subject(m.Kind, m.View)
	case *consensus.Proposal:
		return subject{view: m.Block.Header.View}
	}
	return subject{view: t.view[from.index]}
}

func (t *twinRun) subject(kind consensus.Kind, view uint64) subject {
	if t.late && kind == consensus.Finalize {
		return subject{view + 1, true}
	}
	return subject{view: view}
}

// reaches reports whether what is said about something reaches another instance.
func (t *twinRun) reaches(from, dest *node, s subject) bool {
	if s.view >= uint64(len(t.open)) || t.open[s.view] && (t.loose || !s.sticky) {
		return true
	}
	groups := t.scenario.Groups[s.view-1]
	return groups[from.index] == groups[dest.index]
}

// certificates is what of an answer reaches another instance, nil for nothing.
func (t *twinRun) certificates(from, dest *node, m *consensus.CertResponse) consensus.Message {
	var kept []*consensus.Cert
	for _, c := range m.Certs {
		if t.reaches(from, dest, t.subject(c.Kind, c.View)) {
			kept = append(kept, c)
		}
	}
	switch len(kept) {
	case 0:
		return nil
	case len(m.Certs):
		return m
	}
	return &consensus.CertResponse{Certs: kept}
}

// mask lets an instance have blocks of its double. A validator halts when it sees its own vote and does
// not know it, as for a second process with its key; a liar would not. So the leader's vote beside the
// block is put below every view, where nobody looks at it.
func (t *twinRun) mask(dest *node, p *packet) *packet {
	m, ok := p.message.(*consensus.BlockResponse)
	if !ok || !t.twinned(dest) {
		return p
	}
	proposals := make([]*consensus.Proposal, len(m.Proposals))
	changed := false
	for i, proposal := range m.Proposals {
		if proposals[i] = proposal; int(proposal.LeaderVote.Signer) == dest.signer {
			proposals[i], changed = t.hidden(proposal), true
		}
	}
	if !changed {
		return p
	}
	answer := *m
	answer.Proposals = proposals
	hide := func(hidden bool) {
		for i, proposal := range proposals {
			if proposal != m.Proposals[i] {
				proposal.LeaderVote.View = 0
				if !hidden {
					proposal.LeaderVote.View = proposal.Block.Header.View
				}
			}
		}
	}
	hide(false)
	packed := t.w.pack(dest, &answer)
	hide(true)
	return packed
}

// hidden is the one masked copy of a proposal.
func (t *twinRun) hidden(p *consensus.Proposal) *consensus.Proposal {
	h := t.masked[p.Hash()]
	if h == nil {
		h = new(*p)
		t.masked[p.Hash()], t.real[p.Hash()] = h, p
	}
	return h
}

// unmask is what an instance sends of what it got.
func (t *twinRun) unmask(m consensus.Message) consensus.Message {
	switch m := m.(type) {
	case *consensus.Vote:
		if m.View == 0 { // The leader's vote of a masked proposal, to a voter who had another one.
			return &t.real[m.Hash].LeaderVote
		}
	case *consensus.Proposal:
		if m == t.masked[m.Hash()] && m != nil {
			return t.real[m.Hash()]
		}
	case *consensus.BlockResponse:
		proposals := make([]*consensus.Proposal, len(m.Proposals))
		for i, p := range m.Proposals {
			if proposals[i] = p; p == t.masked[p.Hash()] {
				proposals[i] = t.real[p.Hash()]
			}
		}
		answer := *m
		answer.Proposals = proposals
		return &answer
	}
	return m
}

// inWords is a message in a few words.
func inWords(m consensus.Message) string {
	switch m := m.(type) {
	case *consensus.Vote:
		return fmt.Sprintf("%s of view %d for %.4x by %d", m.Kind, m.View, m.Hash, m.Signer)
	case *consensus.Cert:
		return fmt.Sprintf("certificate: %s of view %d for %.4x by %v", m.Kind, m.View, m.Hash, m.Signers())
	case *consensus.Proposal:
		h := &m.Block.Header
		return fmt.Sprintf("proposal %.4x of view %d, height %d on %.4x of view %d", m.Hash(), h.View, h.Height, h.ParentHash, h.ParentView)
	case *consensus.CertResponse:
		words := []string{"certificates:"}
		for _, c := range m.Certs {
			words = append(words, fmt.Sprintf("%s of view %d;", c.Kind, c.View))
		}
		return strings.Join(words, " ")
	case *consensus.BlockResponse:
		words := []string{fmt.Sprintf("%d blocks, proposals:", len(m.Blocks))}
		for _, p := range m.Proposals {
			words = append(words, fmt.Sprintf("%.4x of view %d;", p.Hash(), p.Block.Header.View))
		}
		return strings.Join(words, " ")
	case *consensus.BlockRequest:
		return fmt.Sprintf("asks for block %.4x, or %d from height %d on", m.Hash, m.Count, m.From)
	case *consensus.Status:
		return fmt.Sprintf("status: view %d, final height %d", m.View, m.FinHeight)
	}
	return fmt.Sprintf("%T", m)
}
