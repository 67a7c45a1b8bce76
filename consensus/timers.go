package consensus

import (
	"time"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// This file decides when to give up on a leader and what to send again. Timers
// influence progress only.

const (
	// statusInterval is how often a replica says where it stands.
	statusInterval = 500 * time.Millisecond
	// minSuspicion is the least silence after which a leader counts as dead.
	minSuspicion = 1500 * time.Millisecond
)

// millis converts a time ahead, at most an hour: block times of others reach
// it, and who waits looks again long before.
func millis(ms uint64) time.Duration {
	return time.Duration(min(ms, uint64(time.Hour.Milliseconds()))) * time.Millisecond
}

// deltaEff is Δ·1.5^k, with k the terms since the last commit less two, at
// most 4: an outage of any length is followed by recovery within seconds.
func (c *Core) deltaEff() time.Duration {
	terms := c.sched.TermOf(c.view)
	if c.fin.View > 0 {
		terms -= c.sched.TermOf(c.fin.View)
	}
	d := c.cfg.Timing.Delta
	if mutant.On(mutant.PacemakerUncapped) {
		d <<= min(max(terms, 2)-2, 12)
	}
	for k := uint64(2); k < min(terms, 6); k++ {
		d += d / 2
	}
	return d
}

// timers nullifies the current view when its leader had its time, and repeats
// own messages for as long as the view lasts.
func (c *Core) timers() {
	for c.out.Fault == "" && c.voting(c.view) {
		c.expire()
		if max(c.topNotar+1, c.topNull) <= c.view {
			return
		}
		c.advance() // A timer's vote completed a certificate.
	}
}

func (c *Core) expire() {
	v := c.view
	d := c.deltaEff()
	expired := c.expired || c.suspected(c.sched.Leader(v))
	from, armed := c.waitingSince()
	_, voted := c.own.voted[v]
	late := func(after time.Duration) bool {
		if expired {
			return true
		}
		if !armed {
			return false
		}
		if c.now.Mono >= from+after {
			return true
		}
		c.wake(from + after)
		return false
	}
	if !voted && late(2*d) {
		c.nullify(v)
		c.closeGaps()
	}
	stuck := late(3 * d)
	if stuck {
		c.nullify(v)
		c.closeGaps()
	}
	if c.handOver(4 * d) {
		c.nullify(v)
	}
	if stuck || c.unfinished(3*d) {
		if c.now.Mono >= c.resentAt+c.cfg.Timing.Delta {
			c.resentAt = c.now.Mono
			c.resend(Everyone)
		}
		c.wake(c.resentAt + c.cfg.Timing.Delta)
	}
}

// maxGaps bounds the terms that one call of closeGaps looks into.
const maxGaps = 32

// closeGaps nullifies, once per view, the lowest view of each earlier term that
// is neither notarized nor covered, if S2 allows it, and repeats the NULLIFY if
// it was sent before. Nullifications are not logged: when all replicas restart,
// a view above a gap may be given up again by votes from the logs while the gap
// below it lacks the votes of those who had a certificate for it. No leader
// could ever propose across the gap.
func (c *Core) closeGaps() {
	if c.closedAt == c.view {
		return
	}
	c.closedAt = c.view
	x := c.view - 1
	for range maxGaps {
		gap := uint64(0)
		for low := max(c.sched.Start(max(x, 1)), c.fin.View+1); x >= low; x-- {
			if _, ok := c.notarizedAt(x); ok && !mutant.On(mutant.NullifyAfterFinalize) && !mutant.On(mutant.ExcludePerView) {
				x = 0 // Leaders build on it; what lies below does not matter.
				break
			}
			if !c.coveredAt(x) {
				gap = x
			}
		}
		switch {
		case gap == 0:
		case c.own.nulled[gap] && c.repeats(gap):
			c.send(Everyone, LaneVote, c.sign(Nullify, gap, noHash))
		default:
			c.nullify(gap)
		}
		if x <= c.fin.View {
			return
		}
	}
}

// waitingSince is the moment from which the leader's time counts: entering the
// view, or later, when something has been waiting for Δ, a proposal was voted
// for, or a heartbeat is due.
func (c *Core) waitingSince() (time.Duration, bool) {
	var at time.Duration
	armed := false
	sooner := func(t time.Duration) {
		if t = max(t, c.entered); !armed || t < at {
			at, armed = t, true
		}
	}
	if _, voted := c.own.voted[c.view]; voted {
		since := c.entered
		if s := c.views[c.view]; s != nil {
			since = s.votedAt
		}
		sooner(since)
	}
	if c.wanted() && (c.demandSince <= c.entered || !mutant.On(mutant.IdleNeverExpires)) {
		sooner(c.demandSince + c.cfg.Timing.Delta)
	}
	if since, ok := c.overdue(); ok {
		sooner(since) // From here on the leader owes a block.
	}
	if idle := c.cfg.Timing.MaxIdle; idle > 0 && !mutant.On(mutant.IdleNeverExpires) {
		sooner(c.entered + idle)
	}
	return at, armed
}

// handOver is t_f: a view of this term is notarized but not final for too
// long, so the rest of the term is given up to let finality move on.
func (c *Core) handOver(after time.Duration) bool {
	for w := max(c.sched.Start(c.view), c.fin.View+1); w < c.view; w++ {
		if s := c.views[w]; s != nil && s.notar != nil {
			if c.now.Mono >= s.notarAt+after {
				return true
			}
			c.wake(s.notarAt + after)
			return false
		}
	}
	return false
}

// unfinished reports that own FINALIZE votes have waited too long: some may
// have been lost, and in an idle chain nothing else would repeat them.
func (c *Core) unfinished(after time.Duration) bool {
	if c.own.topFin <= c.fin.View {
		return false
	}
	since := max(c.entered, c.finAt)
	if c.now.Mono >= since+after {
		return true
	}
	c.wake(since + after)
	return false
}

// suspected reports that a leader has been silent while a quorum was not. It
// heals itself with the leader's next message.
func (c *Core) suspected(leader int) bool {
	if leader == c.self {
		return false
	}
	silence := max(6*c.cfg.Timing.Delta, minSuspicion)
	if mutant.On(mutant.SuspectsEverybody) {
		silence = c.cfg.Timing.Delta / 8
	}
	if c.now.Mono < silence || c.peers[leader].heardAt+silence > c.now.Mono {
		c.wake(c.peers[leader].heardAt + silence)
		return false
	}
	heard := 0
	for i := range c.cfg.Committee.Size() {
		if i != c.self && c.peers[i].heardAt != 0 && c.peers[i].heardAt+silence > c.now.Mono {
			heard++
		}
	}
	return heard >= c.cfg.Committee.Quorum()-1 || mutant.On(mutant.SuspectsEverybody)
}

// resend repeats everything of this validator's that may still matter: votes
// of the current view and above, NULLIFY votes of views that no nullification
// covers yet, unfinalized FINALIZE votes, and help.
func (c *Core) resend(to int) {
	for _, v := range c.ownViews() {
		if !c.repeats(v) {
			continue
		}
		if hash, ok := c.own.fined[v]; ok && !mutant.On(mutant.FinalizeNeverRepeated) {
			c.send(to, LaneVote, c.sign(Finalize, v, hash))
		}
		if hash, ok := c.own.voted[v]; ok && v >= c.view {
			c.send(to, LaneVote, c.sign(Notarize, v, hash))
		}
		if c.own.nulled[v] && (v >= c.view || !c.coveredAt(v)) {
			c.send(to, LaneVote, c.sign(Nullify, v, noHash))
		}
	}
	c.certsFor(to, max(c.fin.View+1, c.view-min(c.view, maxHelpViews)))
}

// repeats reports that own votes of a view are sent again when they may be lost.
func (c *Core) repeats(v uint64) bool {
	return v > c.replayed || !mutant.On(mutant.NoResendAfterRestart)
}

// announce sends the status when it is due.
func (c *Core) announce() {
	if c.statusAt == 0 || c.now.Mono >= c.statusAt+statusInterval {
		c.statusAt = max(c.now.Mono, 1)
		c.unsettled = true // Ask again for what a proof of finality waits for.
		c.tellStatus(Everyone)
	}
	c.wake(c.statusAt + statusInterval)
}

func (c *Core) tellStatus(to int) {
	if s := c.status(); !mutant.On(mutant.StatusNeverSent) {
		c.send(to, LaneCert, &s)
	}
}

func (c *Core) status() Status {
	view := c.view
	for v := range c.own.nulled {
		view = max(view, v)
	}
	for v := range c.own.voted {
		view = max(view, v)
	}
	return Status{
		Epoch: c.cfg.Epoch, View: view, FinHeight: c.fin.Height, FinView: c.fin.View, FinHash: c.fin.Hash,
		ExecHeight: c.execTip.Height, Observer: !c.voting(c.view),
	}
}
