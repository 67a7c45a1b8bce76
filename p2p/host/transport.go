package host

import (
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	ymux "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-yamux/v5"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// socket is a bound listening address. It is bound by New, so that a port that
// is taken is named before anything starts, and served by Run.
type socket struct {
	listener manet.Listener
	asked    ma.Multiaddr
}

func bind(addrs []string) ([]socket, error) {
	var sockets []socket
	for _, s := range addrs {
		addr, err := ma.NewMultiaddr(s)
		if err == nil {
			var l manet.Listener
			if l, err = manet.Listen(addr); err == nil {
				sockets = append(sockets, socket{listener: l, asked: addr})
				continue
			}
		}
		closeSockets(sockets)
		return nil, fmt.Errorf("p2p: listening on %s: %w", s, err)
	}
	return sockets, nil
}

func closeSockets(sockets []socket) {
	for _, s := range sockets {
		_ = s.listener.Close() // closed already when Run has served it
	}
}

// tcpTransport is libp2p's TCP transport over sockets that are bound already.
// It does not share the listening port with outbound connections as libp2p would
// (SO_REUSEPORT): two nodes could then be given the same port in silence.
type tcpTransport struct {
	*tcp.TcpTransport
	upgrader transport.Upgrader
	sockets  []socket
}

func newTransport(up transport.Upgrader, rm network.ResourceManager, limits Limits, sockets []socket) (*tcpTransport, error) {
	t, err := tcp.NewTCPTransport(up, rm, nil, tcp.DisableReuseport(), tcp.WithConnectionTimeout(limits.HandshakeTimeout))
	if err != nil {
		return nil, fmt.Errorf("tcp transport: %w", err)
	}
	return &tcpTransport{TcpTransport: t, upgrader: up, sockets: sockets}, nil
}

// Listen serves the bound socket with this local address.
func (t *tcpTransport) Listen(addr ma.Multiaddr) (transport.Listener, error) {
	for _, s := range t.sockets {
		if s.listener.Multiaddr().Equal(addr) {
			return t.upgrader.UpgradeGatedMaListener(t, t.upgrader.GateMaListener(acceptor{s.listener})), nil
		}
	}
	return nil, fmt.Errorf("p2p/host: %s is not bound", addr)
}

// acceptor marks what it accepts as not authenticated.
type acceptor struct{ manet.Listener }

// Accept waits for the next connection.
func (a acceptor) Accept() (manet.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	// Closing resets the connection: a peer that is thrown out leaves no
	// TIME_WAIT behind, and the port can be bound again at once.
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // a connection that is gone fails at its first read
	}
	return &pendingConn{Conn: c}, nil
}

const (
	// maxWindow bounds what one stream has in flight, and so what a less urgent
	// frame or gossip can put in front of a vote once it has left our queues, the
	// kernel's included. yamux starts at 256 KiB and grows it only when a round trip
	// takes longer than using it up. With 256 KiB a vote behind a saturated bulk
	// lane took 2 ms over loopback, with 1 MiB 7 ms; but 256 KiB allow no more than
	// 2.5 MB/s at 100 ms round trip, 1 MiB 10 MB/s, and a proposal may have 2 MiB.
	maxWindow = 1 << 20
	// maxStreams bounds the streams that one connection may open towards us: a
	// frame stream, a gossip stream, and their successors while they close.
	maxStreams = 16
)

// newMuxer returns yamux with our bounds. Its own keepalive only reaps
// connections that carry no stream of ours; a peer that stalls is noticed at the
// frame stream.
func newMuxer(limits Limits) *ymux.Transport {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard
	c.ReadBufSize = 0 // TLS buffers
	c.MaxStreamWindowSize = maxWindow
	c.MaxIncomingStreams = maxStreams
	c.AcceptBacklog = maxStreams
	c.MaxMessageSize = 32 << 10
	c.ConnectionWriteTimeout = limits.WriteTimeout
	return (*ymux.Transport)(c)
}
