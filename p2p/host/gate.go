package host

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// gate admits the roster and nobody else. It sees an inbound connection twice:
// when it is accepted, where only the address is known and the number of
// handshakes in flight is bounded; and when TLS has proved who it is. Under TLS
// 1.3 the dialling side is done by then: to it a refusal looks like a connection
// that is closed at once.
type gate struct {
	logger *slog.Logger
	limits Limits
	peers  map[peer.ID]*remote // immutable

	busyLog, strangerLog logLimit
	busy, stranger       atomic.Uint64 // connections refused, by reason
	convicted            atomic.Uint64

	mu      sync.Mutex
	total   int            // guarded by mu: handshakes in flight
	perAddr map[string]int // guarded by mu: the same by IP address
}

var _ connmgr.ConnectionGater = (*gate)(nil)

func newGate(logger *slog.Logger, limits Limits, peers map[peer.ID]*remote) *gate {
	return &gate{
		logger: logger, limits: limits, peers: peers, perAddr: make(map[string]int),
		busyLog: logLimit{interval: logInterval}, strangerLog: logLimit{interval: logInterval},
	}
}

// logInterval is the least time between two warnings about the same kind of
// refused connection.
const logInterval = time.Second

// InterceptPeerDial allows to dial the roster.
func (g *gate) InterceptPeerDial(id peer.ID) bool {
	p := g.peers[id]
	return p != nil && p.penalty.remaining(time.Now()) == 0
}

// InterceptAddrDial allows any address that the roster gives.
func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept bounds the handshakes in flight.
func (g *gate) InterceptAccept(c network.ConnMultiaddrs) bool {
	pending, ok := c.(*pendingConn)
	if !ok {
		panic("p2p/host: a connection that our listener did not accept")
	}
	if pending.reserve(g) {
		return true
	}
	g.busy.Add(1)
	if ok, more := g.busyLog.allow(time.Now()); ok {
		g.logger.Warn("refusing connection: too many handshakes in flight",
			"remote_addr", c.RemoteMultiaddr().String(), "suppressed", more)
	}
	return false
}

// InterceptSecured admits the roster.
func (g *gate) InterceptSecured(dir network.Direction, id peer.ID, c network.ConnMultiaddrs) bool {
	if pending, ok := c.(*pendingConn); ok {
		pending.release()
	}
	p := g.peers[id]
	if p == nil {
		g.stranger.Add(1)
		if ok, more := g.strangerLog.allow(time.Now()); ok {
			g.logger.Warn("refusing connection: peer is not in the roster",
				"peer", id.String(), "remote_addr", c.RemoteMultiaddr().String(), "direction", dir.String(), "suppressed", more)
		}
		return false
	}
	if left := p.penalty.remaining(time.Now()); left > 0 {
		g.convicted.Add(1)
		g.logger.Debug("refusing connection: peer misbehaved", "peer", p.name, "for", left)
		return false
	}
	return true
}

// InterceptUpgraded has nothing to add.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// enter counts a handshake from addr, unless there are too many.
func (g *gate) enter(addr string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.limits.Handshakes || g.perAddr[addr] >= g.limits.HandshakesPerAddress {
		return false
	}
	g.total++
	g.perAddr[addr]++
	return true
}

func (g *gate) leave(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.perAddr[addr]--; g.perAddr[addr] == 0 {
		delete(g.perAddr, addr)
	}
}

// pendingConn is an inbound connection that holds a place among the handshakes
// in flight until it is authenticated or closed.
type pendingConn struct {
	manet.Conn
	gate *gate // set by reserve, before the connection is shared
	addr string
	once sync.Once
}

func (c *pendingConn) reserve(g *gate) bool {
	addr := c.RemoteAddr().String()
	if ip, _, err := net.SplitHostPort(addr); err == nil {
		addr = ip
	}
	if !g.enter(addr) {
		return false
	}
	c.gate, c.addr = g, addr
	return true
}

func (c *pendingConn) release() {
	c.once.Do(func() {
		if c.gate != nil {
			c.gate.leave(c.addr)
		}
	})
}

// Close closes the connection and gives its place back.
func (c *pendingConn) Close() error {
	c.release()
	return c.Conn.Close()
}
