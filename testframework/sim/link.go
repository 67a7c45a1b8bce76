package sim

import (
	"math"
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// Network describes the links between nodes. Rates are between 0 and 1.
type Network struct {
	// MinLatency and MaxLatency bound the one-way delay of a link, which is drawn once per link.
	MinLatency, MaxLatency time.Duration
	// Regions spreads the nodes over the five regions of a fixed matrix instead.
	Regions bool
	// Jitter is the mean of an exponential delay on top, per message.
	Jitter time.Duration
	// Loss, Duplicate and Reorder are how often a message is lost, comes twice, overtakes others.
	Loss, Duplicate, Reorder float64
	// Bandwidth of each link in bytes per second; 0 is unlimited.
	Bandwidth int
}

// regions are one-way delays in ms between five places: Frankfurt, Virginia, Oregon, Singapore, São Paulo.
var regions = [5][5]int64{
	{1, 45, 71, 80, 102},
	{45, 1, 33, 108, 57},
	{71, 33, 1, 83, 89},
	{80, 108, 83, 1, 164},
	{102, 57, 89, 164, 1},
}

// link is one direction between two nodes.
type link struct {
	base        time.Duration
	cut         bool
	down        bool // the connection was given up
	clogged     time.Duration
	free        time.Duration // when the last byte before is on the wire
	lastArrival [4]time.Duration
}

const (
	// noticeAfter is how long a cut link looks alive: keepalives need that time to fail.
	noticeAfter = 3 * time.Second
	// reconnectWithin bounds how long a connection takes to come back.
	reconnectWithin = time.Second
)

func (w *World) link(from, to int) *link { return &w.links[from*len(w.nodes)+to] }

// makeLinks draws the delays of all links; both directions of a pair share one.
func (w *World) makeLinks() {
	n := len(w.nodes)
	w.links = make([]link, n*n)
	net := &w.scenario.Network
	for i := range n {
		for j := range i {
			base := net.MinLatency
			if spread := net.MaxLatency - net.MinLatency; spread > 0 {
				base += time.Duration(w.rng.Int64N(int64(spread)))
			}
			if net.Regions {
				base = time.Duration(regions[i%5][j%5]) * time.Millisecond
			}
			w.link(i, j).base, w.link(j, i).base = base, base
		}
	}
}

// transmit puts a packet on a link.
func (w *World) transmit(from, dest *node, lane consensus.Lane, p *packet, extra time.Duration) {
	l := w.link(from.index, dest.index)
	w.stats.Sent++
	if l.cut || l.down || !dest.up || w.muted != 0 && p.kind() == w.muted {
		w.stats.Lost++
		return
	}
	net := &w.net
	if net.Loss > 0 && w.rng.Float64() < net.Loss {
		w.stats.Lost++
		return
	}
	start := w.now + extra
	if net.Bandwidth > 0 {
		l.free = max(l.free, w.now) + time.Duration(p.bytes())*time.Second/time.Duration(net.Bandwidth)
		start = max(start, l.free)
	}
	at := w.arrival(l, start)
	if extra == 0 && (net.Reorder == 0 || w.rng.Float64() >= net.Reorder) {
		at = max(at, l.lastArrival[lane])
		l.lastArrival[lane] = at
	}
	if w.OnMessage != nil && p.message != nil {
		w.OnMessage(w.now, at, from.index, dest.index, p.message)
	}
	w.queue.push(at, event{kind: evDeliver, node: int32(dest.index), peer: int32(from.peer), life: dest.life, packet: p})
	if net.Duplicate > 0 && w.rng.Float64() < net.Duplicate {
		w.queue.push(w.arrival(l, start)+l.base, event{kind: evDeliver, node: int32(dest.index), peer: int32(from.peer), life: dest.life, packet: p})
	}
}

func (w *World) arrival(l *link, start time.Duration) time.Duration {
	at := max(start, l.clogged) + l.base
	if w.net.Jitter > 0 {
		at += time.Duration(-math.Log(1-w.rng.Float64()) * float64(w.net.Jitter))
	}
	return at
}

// cut sets which links carry nothing. Links that change notice it later.
func (w *World) cut(severed func(from, to int) bool) {
	for i := range w.nodes {
		for j := range w.nodes {
			if i == j {
				continue
			}
			l, now := w.link(i, j), severed(i, j)
			if l.cut == now {
				continue
			}
			l.cut = now
			after := noticeAfter
			if !now {
				after = time.Duration(w.rng.Int64N(int64(reconnectWithin)))
			}
			w.queue.push(w.now+after, event{kind: evLink, node: int32(i), peer: int32(j)})
		}
	}
}

// noticed is when the ends of a link find out what became of it.
func (w *World) noticed(i, j int) {
	a, b := w.link(i, j), w.link(j, i)
	broken := a.cut || b.cut
	switch {
	case broken && !a.down:
		a.down, b.down = true, true
		w.input(w.nodes[i], consensus.PeerDown{Peer: w.nodes[j].peer})
		w.input(w.nodes[j], consensus.PeerDown{Peer: w.nodes[i].peer})
	case !broken && a.down:
		w.connect(i, j)
	}
}

// connect brings a connection up if both ends run.
func (w *World) connect(i, j int) {
	if !w.nodes[i].up || !w.nodes[j].up {
		return
	}
	w.link(i, j).down, w.link(j, i).down = false, false
	w.input(w.nodes[i], consensus.PeerUp{Peer: w.nodes[j].peer})
	w.input(w.nodes[j], consensus.PeerUp{Peer: w.nodes[i].peer})
}

// packet is a message on its way: verified once, shared by its receivers.
type packet struct {
	message  consensus.Message // nil: transactions, or something about execution
	verified consensus.Verified
	exec     *execMessage // nil: none
	txs      []uint64
	sum      uint64 // for the auditor
	size     int
}

func (p *packet) bytes() int {
	if p.size == 0 {
		p.size = 32 + 120*len(p.txs)
		if p.exec != nil {
			p.size = p.exec.bytes()
		}
		if p.message != nil {
			p.size = len(consensus.EncodeMessage(p.message))
		}
	}
	return p.size
}

// kind is how the packet is sorted for [Mute], 0 for transactions.
func (p *packet) kind() MessageKind {
	switch {
	case p.exec != nil:
		return MuteExecution
	case p.message != nil:
		return kindOf(p.message)
	}
	return 0
}
