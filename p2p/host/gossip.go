package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/tercet-chain/tercet/p2p"
)

// gossip is gossipsub with one topic. Messages are not signed: the transactions
// inside are, and the id of a message is the hash of its content.
type gossip struct {
	host   *Host
	logger *slog.Logger
	pubsub *pubsub.PubSub
	proto  protocol.ID
	// publish gossips one message.
	publish func(data []byte) error
	found   event.Emitter // tells pubsub of peers, as identify would

	// wake is sent to when a peer comes up, and received from by run. Capacity 1.
	wake chan struct{}

	mu     sync.Mutex
	quotas map[peer.ID]*bucket // guarded by mu: messages per second

	// calls is held for reading during each call of OnGossip: gossipsub does not
	// wait for its goroutines, so stop does.
	calls   sync.RWMutex
	stopped bool // guarded by calls
}

const (
	// heartbeat is the period in which gossipsub repairs its mesh and tells the
	// peers outside of it what it has. Its default of 700 ms serves open networks
	// that churn; what it repairs here is the loss of a connection.
	heartbeat = time.Second
	// floodRoster is the largest roster in which a publisher sends its messages to
	// everybody at once instead of its mesh: one hop less for what is few copies.
	floodRoster = 16
	// seenFor is how long the id of a message is remembered: much longer than a
	// message travels, short enough that 1,000 messages/s take 5 MB.
	seenFor = 30 * time.Second
	// gossipOverhead is what an RPC adds to the largest message.
	gossipOverhead = 64 << 10
	// gossipQueue is the number of RPCs that wait for one peer; more are dropped.
	gossipQueue = 128
	// validateQueue is the number of messages that wait for validation; more are
	// dropped, and arrive from another peer or not at all.
	validateQueue = 512
	// gossipRepair is how often peers that gossipsub has given up are announced to
	// it again.
	gossipRepair = 5 * time.Second
)

// gossipParams returns the parameters of the mesh. Up to ten peers everybody is
// in everybody's mesh, and no message has to be asked for.
func gossipParams() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.HeartbeatInterval = heartbeat
	p.D, p.Dlo, p.Dhi, p.Dscore, p.Dout, p.Dlazy = 7, 5, 10, 5, 2, 4
	p.HistoryLength, p.HistoryGossip = 4, 2
	p.MaxIHaveLength, p.MaxIHaveMessages = 1000, 4
	p.PrunePeers, p.Connectors = 0, 1 // no peer exchange
	p.PruneBackoff = 10 * time.Second
	p.SlowHeartbeatWarning = 1
	return p
}

func newGossip(ctx context.Context, h *Host, lib *library) (*gossip, error) {
	prefix := protocolPrefix(h.cfg.Network, h.cfg.Version)
	g := &gossip{
		host: h, logger: h.logger, proto: protocol.ID(prefix + "/gossip"),
		wake: make(chan struct{}, 1), quotas: make(map[peer.ID]*bucket),
	}
	now := time.Now()
	for _, r := range h.remotes {
		q := newBucket(h.cfg.Limits.Gossip, now)
		g.quotas[r.peer] = &q
	}
	name := prefix + "/transactions"
	quiet := slog.New(slog.DiscardHandler) // what matters is counted and logged here
	var err error
	g.pubsub, err = pubsub.NewGossipSub(ctx, lib.host,
		pubsub.WithGossipSubProtocols([]protocol.ID{g.proto}, gossipFeature),
		pubsub.WithGossipSubParams(gossipParams()),
		pubsub.WithFloodPublish(len(h.remotes) < floodRoster),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(name)),
		pubsub.WithSeenMessagesTTL(seenFor),
		pubsub.WithMaxMessageSize(p2p.MaxGossip+gossipOverhead), pubsub.WithMaxControlMessageSize(gossipOverhead),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(validateQueue), pubsub.WithValidateWorkers(max(2, runtime.GOMAXPROCS(0)/2)),
		pubsub.WithLogger(quiet), pubsub.WithRPCLogger(quiet))
	if err != nil {
		return nil, fmt.Errorf("gossipsub: %w", err)
	}
	if err := g.pubsub.RegisterTopicValidator(name, g.validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("gossipsub: %w", err)
	}
	topic, err := g.pubsub.Join(name)
	if err != nil {
		return nil, fmt.Errorf("joining topic %s: %w", name, err)
	}
	g.publish = func(data []byte) error {
		if err := topic.Publish(ctx, data); err != nil {
			return fmt.Errorf("publishing %d bytes: %w", len(data), err)
		}
		return nil
	}
	// Relaying is subscribing without a queue of messages: validate has seen them.
	if _, err := topic.Relay(); err != nil {
		return nil, fmt.Errorf("joining topic %s: %w", name, err)
	}
	if g.found, err = lib.host.EventBus().Emitter(new(event.EvtPeerIdentificationCompleted)); err != nil {
		return nil, fmt.Errorf("gossipsub: %w", err)
	}
	return g, nil
}

// stop returns when no call of OnGossip is running, and lets no other begin.
func (g *gossip) stop() {
	g.calls.Lock()
	defer g.calls.Unlock()
	g.stopped = true
}

// gossipFeature says what our protocol id can: the mesh, and telling peers of a
// large message that it is not needed again. No peer exchange: the roster is it.
func gossipFeature(f pubsub.GossipSubFeature, _ protocol.ID) bool {
	return f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant
}

func messageID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:])
}

func (g *gossip) nudge() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run introduces peers that are up to gossipsub until ctx ends.
func (g *gossip) run(ctx context.Context) {
	defer g.found.Close()
	repair := time.NewTicker(gossipRepair)
	defer repair.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		case <-repair.C:
		}
		known := g.pubsub.ListPeers("")
		for _, r := range g.host.remotes {
			if r.queue.Load() == nil || slices.Contains(known, r.peer) {
				continue
			}
			err := g.found.Emit(event.EvtPeerIdentificationCompleted{Peer: r.peer, Protocols: []protocol.ID{g.proto}})
			if err != nil {
				g.logger.Debug("introducing a peer to gossipsub", "peer", r.name, "err", err)
			}
		}
	}
}

// validate judges a message of the topic for gossipsub, which forwards it if it
// is accepted.
func (g *gossip) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == g.host.id {
		return pubsub.ValidationAccept
	}
	g.calls.RLock()
	defer g.calls.RUnlock()
	if g.stopped {
		return pubsub.ValidationIgnore
	}
	r := g.host.byPeer[from]
	if r == nil {
		return pubsub.ValidationIgnore
	}
	if !g.within(from) {
		r.counts.gossipDrop.Add(1)
		return pubsub.ValidationIgnore
	}
	r.counts.gossipIn.Add(1)
	data := m.GetData()
	var err error
	if len(data) == 0 || len(data) > p2p.MaxGossip {
		err = fmt.Errorf("%w: gossip of %d bytes", p2p.ErrInvalid, len(data))
	} else {
		err = g.host.cfg.OnGossip(r.id, data)
	}
	switch {
	case err == nil:
		return pubsub.ValidationAccept
	case errors.Is(err, p2p.ErrInvalid):
		r.blame(1, fmt.Errorf("gossip: %w", err))
		return pubsub.ValidationReject
	default:
		return pubsub.ValidationIgnore
	}
}

// within takes one message from the quota of a peer.
func (g *gossip) within(from peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.quotas[from].try(1, time.Now())
}

// throttled is a gossip stream that is read no faster than a number of bytes per
// second; the sender feels it.
type throttled struct {
	network.Stream
	done   <-chan struct{}
	bucket bucket
}

func newThrottled(ctx context.Context, s network.Stream, perSecond int) *throttled {
	return &throttled{Stream: s, done: ctx.Done(), bucket: newBucket(perSecond, time.Now())}
}

// Read reads and then waits until so many bytes were due.
func (t *throttled) Read(p []byte) (int, error) {
	n, err := t.Stream.Read(p)
	if pause := t.bucket.take(n, time.Now()); pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-t.done:
		}
	}
	return n, err
}
