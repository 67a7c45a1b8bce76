package consensus

import "github.com/tercet-chain/tercet/internal/mutant"

// rejoin is the way back for a validator whose log was lost. It may have
// signed anything before, so it observes until it is certain that every view
// it can have voted in lies behind.
type rejoin struct {
	amnesia bool
	// from is the first view to vote in again; 0 while unknown.
	from uint64
}

// keepAbove applies the highest floor of a recovered log. Below it votes may
// be forgotten; that matters only if the tip, which made them irrelevant, is
// gone from the block store too. Then this validator votes again from the first
// term that lies wholly above the floor.
func (c *Core) keepAbove(floor uint64) {
	if c.fin.View+1 >= floor || (c.rejoin.amnesia && c.rejoin.from == 0) {
		return
	}
	c.rejoin = rejoin{amnesia: true, from: max(c.rejoin.from, c.sched.Next(floor))}
}

// rejoinCheck looks at the statuses of the other validators, which all came
// after this process started. With q of them, no honest one has been more than
// W+1 views ahead of the highest stated view when the log was lost, so a term
// that starts beyond a margin of T+2W+2 is new to everybody. A status counts
// once certificates have led this replica to within W+1 of the view that it
// states, which they do for every honest one: a liar that states a view of the
// far future would keep this validator from voting for ever. A network that is
// still at genesis is no exception: this validator may have voted in its first
// views, and those may be all the votes that there are.
func (c *Core) rejoinCheck() {
	if !c.rejoin.amnesia || c.rejoin.from != 0 || c.self < 0 || mutant.On(mutant.WipedNeverRejoins) {
		return
	}
	said, top := 0, c.view
	for i := range c.cfg.Committee.Size() {
		p := &c.peers[i]
		if i == c.self || !p.status || p.observer {
			continue
		}
		if c.provenAt(p) {
			said++
			top = max(top, p.view)
		}
	}
	if said >= c.cfg.Committee.Quorum() {
		c.rejoin.from = c.sched.Next(top + c.cfg.Term + 2*c.cfg.Window + 2)
	}
}

// provenAt reports that certificates have led this replica to where a peer says
// that it is.
func (c *Core) provenAt(p *peerState) bool { return p.view <= c.view+c.cfg.Window+1 }

// Awaited is a validator whose status the way back of another one waits for.
type Awaited struct {
	Validator int
	// Observes is set when it has told where it is, but follows itself: its
	// status does not count.
	Observes bool
	// Unproven is set when it says that it is in a view to which no certificate
	// leads yet.
	Unproven bool
}

// awaited lists the validators whose statuses do not count yet while a
// validator that lost its log needs to hear q others; nil otherwise.
func (c *Core) awaited() []Awaited {
	if c.self < 0 || !c.rejoin.amnesia || c.rejoin.from != 0 {
		return nil
	}
	var list []Awaited
	for i := range c.cfg.Committee.Size() {
		if p := &c.peers[i]; i != c.self && (!p.status || p.observer || !c.provenAt(p)) {
			list = append(list, Awaited{Validator: i, Observes: p.status && p.observer, Unproven: p.status && !p.observer})
		}
	}
	return list
}
