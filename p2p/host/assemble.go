package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	ymux "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"

	"github.com/tercet-chain/tercet/p2p"
)

// library is the part of libp2p that a host consists of.
type library struct {
	host  *blankhost.BlankHost
	swarm *swarm.Swarm
	store peerstore.Peerstore
}

// close closes connections and listeners and waits for the stream handlers.
func (l *library) close() error {
	return errors.Join(l.swarm.Close(), l.store.Close())
}

// assemble puts libp2p together from its parts: a swarm with TCP, TLS and yamux,
// and the host that only routes protocols to handlers. Nothing is registered in
// global metrics.
func (h *Host) assemble(ctx context.Context) (*library, error) {
	store, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, fmt.Errorf("peer store: %w", err)
	}
	l := &library{store: store}
	if err := h.fill(l); err != nil {
		if l.swarm != nil {
			err = errors.Join(err, l.swarm.Close())
		}
		return nil, errors.Join(err, store.Close())
	}
	l.swarm.Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { h.connected(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { h.disconnected(c) },
	})
	l.host.SetStreamHandlerMatch(h.frames, isFrames, func(s network.Stream) { h.accept(ctx, s) })
	l.swarm.SetStreamHandler(func(s network.Stream) { h.negotiate(ctx, l.host, s) })
	return l, nil
}

func (h *Host) fill(l *library) error {
	limits := h.cfg.Limits
	if err := l.store.AddPrivKey(h.id, h.key); err != nil {
		return fmt.Errorf("storing the host key: %w", err)
	}
	if err := l.store.AddPubKey(h.id, h.key.GetPublic()); err != nil {
		return fmt.Errorf("storing the host key: %w", err)
	}
	for _, r := range h.remotes {
		l.store.AddAddrs(r.peer, r.addrs, peerstore.PermanentAddrTTL)
	}
	bus := eventbus.NewBus()
	rm := &network.NullResourceManager{}
	var err error
	l.swarm, err = swarm.NewSwarm(h.id, l.store, bus,
		swarm.WithConnectionGater(h.gate), swarm.WithResourceManager(rm),
		swarm.WithDialTimeout(limits.HandshakeTimeout), swarm.WithDialTimeoutLocal(limits.HandshakeTimeout),
		swarm.WithDialRanker(swarm.NoDelayDialRanker),
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil))
	if err != nil {
		return fmt.Errorf("swarm: %w", err)
	}
	muxers := []upgrader.StreamMuxer{{ID: ymux.ID, Muxer: newMuxer(limits)}}
	security, err := libp2ptls.New(libp2ptls.ID, h.key, muxers)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, rm, h.gate, upgrader.WithAcceptTimeout(limits.HandshakeTimeout))
	if err != nil {
		return fmt.Errorf("upgrader: %w", err)
	}
	t, err := newTransport(up, rm, limits, h.sockets)
	if err != nil {
		return err
	}
	if err := l.swarm.AddTransport(t); err != nil {
		return fmt.Errorf("tcp transport: %w", err)
	}
	l.host = blankhost.NewBlankHost(l.swarm, blankhost.WithEventBus(bus))
	if l.host == nil {
		return errors.New("assembling the host")
	}
	return nil
}

// negotiate routes a stream that a peer opened to the handler of its protocol.
// A peer has HandshakeTimeout to name one.
func (h *Host) negotiate(ctx context.Context, mux *blankhost.BlankHost, s network.Stream) {
	r := h.byPeer[s.Conn().RemotePeer()]
	if r == nil {
		_ = s.Reset()
		return
	}
	if !r.mayOpen(time.Now()) {
		r.blame(1, fmt.Errorf("%w: more than %d streams a second", p2p.ErrInvalid, streamsPerSecond))
		_ = s.Reset()
		return
	}
	if err := s.SetDeadline(time.Now().Add(h.cfg.Limits.HandshakeTimeout)); err != nil {
		_ = s.Reset()
		return
	}
	id, handle, err := mux.Mux().Negotiate(s)
	if err != nil || s.SetDeadline(time.Time{}) != nil {
		h.logger.Debug("peer opened a stream of no known protocol", "peer", r.name, "err", err)
		_ = s.Reset()
		return
	}
	if !isFrames(id) {
		s = newThrottled(ctx, s, h.cfg.Limits.GossipBytes)
	}
	if err := handle(id, s); err != nil {
		_ = s.Reset()
	}
}
