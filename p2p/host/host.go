// Package host carries frames and gossip between the peers of a roster, with
// go-libp2p over TCP, TLS 1.3 and yamux.
//
// A [Host] keeps one connection to each peer of its roster. Both sides dial; of
// two connections that cross, both keep the same one. On it, each side opens one
// stream towards the other, shakes hands, and writes frames from a queue with
// priority lanes. A peer is up when both streams are. One goroutine per peer
// dials, shakes hands and writes; one reads and calls Config.OnFrame. Beside the
// frames runs gossipsub with one topic, for transactions.
//
// The protocol ids are /tercet/<network>/<version>/frames and …/gossip. A host
// accepts the frame protocol of any network and version up to the handshake, so
// that both sides can log what the other is instead of "protocol not supported".
//
// Why one stream for all lanes, cut into chunks, and not a stream per lane: the
// streams of a connection share its socket, whose order is fixed once bytes are
// handed over, so what decides about priority is how late a writer commits to
// bytes and not how many streams there are. One writer per peer picks the most
// urgent chunk each time; that is strict priority, where yamux between streams
// has none, at two goroutines per peer instead of ten. The price is that a slow
// OnFrame holds up the lanes behind it, which is wanted: it is the back-pressure
// that bounds memory.
//
// Why not libp2p's default host: it would add identify, ping, address discovery,
// NAT services and a resource manager that allows eight connections per address,
// and all of it costs CPU on an idle network. The roster and the limits here do
// that work.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/tercet-chain/tercet/p2p"
)

// Host is this node on the network. Its methods are safe for concurrent use.
type Host struct {
	cfg    Config
	logger *slog.Logger
	key    crypto.PrivKey
	id     peer.ID
	name   p2p.PeerID // id in base58
	// instance tells this process from others with the same key; began is when it was made.
	instance uint64
	began    time.Time
	sockets  []socket
	gate     *gate
	remotes  []*remote              // in the order of the roster; immutable
	byPeer   map[peer.ID]*remote    // immutable
	byID     map[p2p.PeerID]*remote // immutable
	frames   protocol.ID            // of the frame stream
	started  atomic.Bool            // Run has been called
	running  sync.WaitGroup         // what Run starts
	swarm    *swarm.Swarm           // set by Run before anything uses it
	gossip   atomic.Pointer[gossip] // nil when not running
}

// New checks cfg and binds the listening sockets. It starts nothing; call
// [Host.Run], or [Host.Close] to release the ports.
func New(cfg Config) (*Host, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Version == 0 {
		cfg.Version = p2p.Version
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	key, id, err := identity(cfg.Key)
	if err != nil {
		return nil, err
	}
	cfg.Key = nil
	h := &Host{
		cfg: cfg, logger: cfg.Logger, key: key, id: id, name: p2p.PeerID(id.String()),
		instance: 1 + rand.Uint64N(math.MaxUint64), began: time.Now(),
		byPeer: make(map[peer.ID]*remote),
		byID:   make(map[p2p.PeerID]*remote),
		frames: protocol.ID(protocolPrefix(cfg.Network, cfg.Version) + "/frames"),
	}
	if err := h.enroll(); err != nil {
		return nil, err
	}
	h.gate = newGate(h.logger, cfg.Limits, h.byPeer)
	if h.sockets, err = bind(cfg.Listen); err != nil {
		return nil, err
	}
	return h, nil
}

func protocolPrefix(network string, version uint64) string {
	return fmt.Sprintf("/tercet/%s/%d", network, version)
}

// enroll makes a remote of each peer of the roster but ourselves.
func (h *Host) enroll() error {
	for _, p := range h.cfg.Roster {
		id, err := peer.Decode(string(p.ID))
		if err != nil {
			return fmt.Errorf("roster: id of peer %s (%q): %w", p.Name, p.ID, err)
		}
		if id == h.id {
			continue
		}
		if h.byPeer[id] != nil {
			return fmt.Errorf("roster: peer %s is listed twice (%s, %s)", p.ID, h.byPeer[id].name, p.Name)
		}
		addrs, err := parseAddrs(p, id)
		if err != nil {
			return fmt.Errorf("roster: %w", err)
		}
		r := newRemote(h, id, p, addrs)
		h.remotes = append(h.remotes, r)
		h.byPeer[id] = r
		h.byID[r.id] = r
	}
	return nil
}

// Run connects to the roster and serves until ctx ends, then closes everything,
// waits for its goroutines and returns nil. It may be called once.
func (h *Host) Run(ctx context.Context) error {
	if h.started.Swap(true) {
		return errors.New("p2p/host: Run was called before")
	}
	defer closeSockets(h.sockets)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lib, err := h.assemble(ctx)
	if err != nil {
		return err
	}
	h.swarm = lib.swarm
	g, err := newGossip(ctx, h, lib)
	if err != nil {
		return errors.Join(err, lib.close())
	}
	h.gossip.Store(g)
	for _, s := range h.sockets {
		if err := lib.swarm.Listen(s.listener.Multiaddr()); err != nil {
			return errors.Join(fmt.Errorf("serving %s: %w", s.asked, err), lib.close())
		}
	}
	h.logger.Info("network is up", "peer", h.ID(), "listen", h.Addrs(), "roster", len(h.remotes), "protocol", h.frames)
	h.running.Go(func() { g.run(ctx) })
	for _, r := range h.remotes {
		h.running.Go(func() { r.run(ctx) })
	}
	<-ctx.Done()
	h.gossip.Store(nil)
	err = lib.close()
	h.running.Wait()
	g.stop()
	return err
}

// Close releases the ports of a host that is not run. [Host.Run] releases them
// by itself.
func (h *Host) Close() error {
	if !h.started.Load() {
		closeSockets(h.sockets)
	}
	return nil
}

// Send queues frame for a peer and returns whether it was taken: the peer is up,
// the lane has room, and the frame respects the lane's bounds. It never blocks
// and copies nothing: the frame must not be modified afterwards. That a frame was
// taken does not mean that it will arrive.
func (h *Host) Send(to p2p.PeerID, lane p2p.Lane, frame []byte) bool {
	r := h.byID[to]
	return r != nil && h.fits(lane, frame) && r.send(lane, frame)
}

// fits reports whether a lane takes frame. One that it does not is a bug of who made it, and must not get
// lost without a trace.
func (h *Host) fits(lane p2p.Lane, frame []byte) bool {
	err := p2p.CheckFrame(lane, frame)
	if err != nil {
		h.logger.Warn("dropping an own frame", "err", err)
	}
	return err == nil
}

// Broadcast queues frame for every peer that is up. See [Host.Send].
func (h *Host) Broadcast(lane p2p.Lane, frame []byte) {
	if !h.fits(lane, frame) {
		return
	}
	for _, r := range h.remotes {
		r.send(lane, frame)
	}
}

// ErrNotRunning is returned by [Host.Publish] when [Host.Run] is not running.
var ErrNotRunning = errors.New("p2p/host: not running")

// Publish gossips data, at most [p2p.MaxGossip] bytes, on the transactions
// topic. It is not validated here, and OnGossip does not see it. The data must
// not be modified afterwards. Gossip is lossy: it reaches the peers whose gossip
// stream is open, a moment after they are up, and drops under overload. A message
// whose content was published or seen within the last 30 s is not sent again.
func (h *Host) Publish(data []byte) error {
	if len(data) == 0 || len(data) > p2p.MaxGossip {
		return fmt.Errorf("%w: gossip of %d bytes, the limit is %d", p2p.ErrInvalid, len(data), p2p.MaxGossip)
	}
	g := h.gossip.Load()
	if g == nil {
		return ErrNotRunning
	}
	return g.publish(data)
}

// ID returns the host's own peer id.
func (h *Host) ID() p2p.PeerID { return h.name }

// Instance is this process's random number, in hex.
func (h *Host) Instance() string { return strconv.FormatUint(h.instance, 16) }

// Addrs returns the multiaddrs that are bound, with the port that was chosen
// where 0 was asked for.
func (h *Host) Addrs() []string {
	addrs := make([]string, 0, len(h.sockets))
	for _, s := range h.sockets {
		addrs = append(addrs, s.listener.Multiaddr().String())
	}
	return addrs
}

// Peers returns the state of each peer of the roster but ourselves, in the order
// of the roster.
func (h *Host) Peers() []p2p.PeerStatus {
	now := time.Now()
	peers := make([]p2p.PeerStatus, 0, len(h.remotes))
	for _, r := range h.remotes {
		peers = append(peers, r.status(now))
	}
	return peers
}

// Stats counts inbound connections that were refused, by reason.
type Stats struct {
	Strangers uint64 // authenticated, but not in the roster
	Convicted uint64 // in the roster, and serving a sentence for misbehaviour
	Busy      uint64 // too many handshakes in flight
}

// Stats returns the counters of this process.
func (h *Host) Stats() Stats {
	return Stats{Strangers: h.gate.stranger.Load(), Convicted: h.gate.convicted.Load(), Busy: h.gate.busy.Load()}
}

// isFrames reports whether id is the frame protocol of any network and version.
func isFrames(id protocol.ID) bool {
	parts := strings.Split(string(id), "/")
	return len(parts) == 5 && parts[0] == "" && parts[1] == "tercet" && parts[4] == "frames"
}
