package host

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/tercet-chain/tercet/p2p"
)

// remote is one peer of the roster, for the life of the host.
type remote struct {
	host   *Host
	logger *slog.Logger
	peer   peer.ID
	id     p2p.PeerID
	name   string
	addrs  []ma.Multiaddr

	penalty penalty
	queue   atomic.Pointer[sendQueue] // nil unless the peer is up
	counts  counters

	// kick is sent to when a connection to the peer comes or goes, and received
	// from by run. Capacity 1: one token is as good as many.
	kick chan struct{}

	mu       sync.Mutex
	out      *outbound // guarded by mu: the stream we write, after its handshake
	in       *inbound  // guarded by mu: the newest stream we read, after its handshake
	since    time.Time // guarded by mu
	software string    // guarded by mu
	lastErr  string    // guarded by mu
	warned   string    // guarded by mu: incompatibility in the log since the peer was last up

	opens bucket // guarded by mu: streams that the peer opens

	sightings sightings    // guarded by mu
	heard     atomic.Int64 // Unix ns of the last byte of the frame stream; 0 before the first

	// callback orders the calls of OnPeer. It is held during the call, which is
	// why OnPeer must not block.
	callback sync.Mutex
	told     link // guarded by callback: what OnPeer was told; zero when down
}

// link is the pair of streams without which a peer is not up.
type link struct {
	out *outbound
	in  *inbound
}

type counters struct {
	framesIn, framesOut, bytesIn, bytesOut    atomic.Uint64
	invalid, queueDrops, gossipIn, gossipDrop atomic.Uint64
}

func newRemote(h *Host, id peer.ID, p p2p.Peer, addrs []ma.Multiaddr) *remote {
	name := p.Name
	if name == "" {
		name = string(p.ID)
	}
	return &remote{
		host: h, logger: h.logger.With("peer", name), peer: id, id: p2p.PeerID(id.String()), name: name, addrs: addrs,
		penalty: penalty{limits: h.cfg.Limits},
		kick:    make(chan struct{}, 1),
		opens:   newBucket(streamsPerSecond, time.Now()),
	}
}

// streamsPerSecond is how many streams a peer may open: two per connection, and
// it makes a connection at most every RedialMin.
const streamsPerSecond = 32

// mayOpen counts a stream that the peer opens and returns whether it is within
// bounds.
func (r *remote) mayOpen(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opens.try(1, now)
}

func (r *remote) send(lane p2p.Lane, frame []byte) bool {
	q := r.queue.Load()
	return q != nil && q.push(lane, frame)
}

func (r *remote) nudge() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// run keeps the outbound stream to the peer open until ctx ends.
func (r *remote) run(ctx context.Context) {
	pause := r.host.cfg.Limits.RedialMin
	for ctx.Err() == nil {
		if left := r.penalty.remaining(time.Now()); left > 0 {
			r.wait(ctx, left, false)
			continue
		}
		began := time.Now()
		err := r.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		limits := &r.host.cfg.Limits
		incompatible := errors.Is(err, p2p.ErrNetwork) || errors.Is(err, p2p.ErrVersion)
		r.failed(err, incompatible)
		r.reached(reachOf(err))
		if incompatible {
			r.wait(ctx, jitter(limits.RedialIncompatible), false)
			continue
		}
		if time.Since(began) > limits.DeadAfter {
			pause = limits.RedialMin // it was up, or dead for long: begin again
		}
		r.wait(ctx, jitter(pause), true)
		pause = min(limits.RedialMax, pause*3/2)
	}
}

// jitter spreads d over 75 to 125 percent, so that two sides that lost each
// other do not dial in step.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

// wait returns after d, at the end of ctx, or, if eager, when the peer has
// dialled us.
func (r *remote) wait(ctx context.Context, d time.Duration, eager bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-r.kick:
			if eager && r.connection() != nil {
				return
			}
		}
	}
}

// failed records why there is no stream, and logs it when it is news.
func (r *remote) failed(err error, incompatible bool) {
	text := err.Error()
	r.mu.Lock()
	news := text != r.lastErr && text != r.warned
	if incompatible {
		r.warned = text
	}
	r.lastErr = text
	if r.warned != "" {
		r.lastErr = r.warned // what else fails until the peer is up follows from it
	}
	r.mu.Unlock()
	switch {
	case !news:
	case incompatible:
		r.logger.Warn("peer cannot be talked to", "err", err)
	default:
		r.logger.Debug("no stream to peer", "err", err)
	}
}

// connection returns the connection to use, if there is one.
func (r *remote) connection() network.Conn {
	keep, _ := choose(r.host.id, r.peer, r.host.swarm.ConnsToPeer(r.peer))
	return keep
}

// dial returns a connection to the peer, waiting to be dialled if it has no
// address.
func (r *remote) dial(ctx context.Context) (network.Conn, error) {
	for {
		if c := r.connection(); c != nil {
			return c, nil
		}
		if len(r.addrs) == 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-r.kick:
				continue
			}
		}
		r.host.swarm.Backoff().Clear(r.peer) // ours is shorter
		ctx, cancel := context.WithTimeout(ctx, 2*r.host.cfg.Limits.HandshakeTimeout)
		c, err := r.host.swarm.DialPeer(ctx, r.peer)
		cancel()
		if err != nil {
			return nil, err
		}
		if keep := r.connection(); keep != nil {
			return keep, nil
		}
		return c, nil
	}
}

// crossing is the age difference up to which two connections to a peer are taken
// for a simultaneous dial: less than a peer needs to restart.
const crossing = time.Second

// choose returns which of the open connections to a peer to keep. Two that
// crossed are decided by who dialled them, so that both sides keep the same one.
// Otherwise the newest wins: when a peer that restarted dials us, the old
// connection is dead whether we know it or not.
func choose(us, them peer.ID, conns []network.Conn) (keep network.Conn, rest []network.Conn) {
	preferred := func(c network.Conn) bool {
		return (c.Stat().Direction == network.DirOutbound) == (us < them)
	}
	better := func(a, b network.Conn) bool {
		age := a.Stat().Opened.Sub(b.Stat().Opened)
		if age.Abs() < crossing && preferred(a) != preferred(b) {
			return preferred(a)
		}
		return age > 0
	}
	for _, c := range conns {
		switch {
		case c.IsClosed():
		case keep == nil:
			keep = c
		case better(c, keep):
			keep, rest = c, append(rest, keep)
		default:
			rest = append(rest, c)
		}
	}
	return keep, rest
}

// connected is called by the swarm for each new connection, before it is used.
func (h *Host) connected(c network.Conn) {
	r := h.byPeer[c.RemotePeer()]
	if r == nil {
		return
	}
	if _, rest := choose(h.id, r.peer, h.swarm.ConnsToPeer(r.peer)); len(rest) > 0 {
		h.running.Go(func() {
			for _, c := range rest {
				_ = c.Close() // a connection that does not close is closed already
			}
		})
	}
	r.nudge()
}

func (h *Host) disconnected(c network.Conn) {
	if r := h.byPeer[c.RemotePeer()]; r != nil {
		r.nudge()
	}
}

// settle tells OnPeer what has become of the peer.
func (r *remote) settle() {
	r.callback.Lock()
	defer r.callback.Unlock()
	r.mu.Lock()
	now := link{out: r.out, in: r.in}
	if now.out == nil || now.in == nil {
		now = link{}
	}
	changed := now != r.told
	if changed && (now == link{} || r.told == link{}) {
		r.since = time.Now()
	}
	if now != (link{}) {
		r.software, r.lastErr, r.warned = now.in.software, "", ""
		r.sightings.compatible()
	}
	r.mu.Unlock()
	if !changed {
		return
	}
	if r.told != (link{}) {
		r.queue.Store(nil)
		r.logger.Info("peer is down")
		r.host.cfg.OnPeer(r.id, false)
	}
	r.told = now
	if now != (link{}) {
		r.queue.Store(now.out.queue)
		r.logger.Info("peer is up", "remote_addr", now.out.conn.RemoteMultiaddr().String(), "software", now.in.software)
		r.host.cfg.OnPeer(r.id, true)
		now.in.open()
		if g := r.host.gossip.Load(); g != nil {
			g.nudge()
		}
	}
}

// blame records n offences of the peer. At the threshold it is disconnected and
// refused for a while; blame returns whether that happened.
func (r *remote) blame(n int, err error) bool {
	r.counts.invalid.Add(1)
	sentence := r.penalty.offend(n, time.Now())
	if sentence == 0 {
		r.logger.Debug("peer sent something invalid", "err", err)
		return r.penalty.remaining(time.Now()) > 0
	}
	r.logger.Warn("peer misbehaves: disconnecting", "err", err, "refused_for", sentence, "invalid", r.counts.invalid.Load())
	r.mu.Lock()
	r.lastErr = err.Error()
	r.mu.Unlock()
	_ = r.host.swarm.ClosePeer(r.peer) // a connection that does not close is closed already
	return true
}

// status returns the peer's state for [Host.Peers].
func (r *remote) status(now time.Time) p2p.PeerStatus {
	r.mu.Lock()
	s := p2p.PeerStatus{
		ID: r.id, Name: r.name, Connected: r.out != nil && r.in != nil, Since: r.since,
		Software: r.software, LastError: r.lastErr,
	}
	r.sightings.describe(&s)
	if s.Connected {
		s.RemoteAddr = r.out.conn.RemoteMultiaddr().String()
	}
	r.mu.Unlock()
	if ns := r.heard.Load(); ns != 0 {
		s.Heard = time.Unix(0, ns)
	}
	s.Refused = r.penalty.refusedUntil(now)
	s.FramesIn, s.FramesOut = r.counts.framesIn.Load(), r.counts.framesOut.Load()
	s.BytesIn, s.BytesOut = r.counts.bytesIn.Load(), r.counts.bytesOut.Load()
	s.Invalid, s.QueueDrops = r.counts.invalid.Load(), r.counts.queueDrops.Load()
	s.GossipIn, s.GossipDrops = r.counts.gossipIn.Load(), r.counts.gossipDrop.Load()
	return s
}
