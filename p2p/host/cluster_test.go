package host_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

const (
	testNetwork = "00112233aabbccdd"
	patience    = 10 * time.Second // of waits that end with a failed test
)

// secret returns the i-th well-known host key.
func secret(i int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "host key %d", i))
	return sum[:]
}

func idOf(t testing.TB, i int) p2p.PeerID {
	t.Helper()
	id, err := host.IDFromKey(secret(i))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

type frame struct {
	from p2p.PeerID
	lane p2p.Lane
	data []byte
}

type peerEvent struct {
	peer p2p.PeerID
	up   bool
}

// member is a host under test. Its callbacks do what the test sets before it is
// started; by default they count and deliver to channels.
type member struct {
	*host.Host
	index  int
	frames chan frame     // what OnFrame got, by default
	gossip chan frame     // what OnGossip got, by default
	events chan peerEvent // what OnPeer got
	stop   func()         // ends Run and waits for it; idempotent
}

// prepare returns a configuration of host i whose roster is n hosts without
// addresses.
func prepare(t testing.TB, i, n int, logger *slog.Logger) (host.Config, *member) {
	t.Helper()
	m := &member{
		index: i, frames: make(chan frame, 1<<16), gossip: make(chan frame, 1<<12), events: make(chan peerEvent, 1<<12),
	}
	cfg := host.Config{
		Key: secret(i), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Network: testNetwork, Software: "tercet/test", Logger: logger,
		OnFrame: func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			m.frames <- frame{from, lane, data}
			return nil
		},
		OnPeer: func(peer p2p.PeerID, up bool) { m.events <- peerEvent{peer, up} },
		OnGossip: func(from p2p.PeerID, data []byte) error {
			m.gossip <- frame{from: from, data: append([]byte(nil), data...)}
			return nil
		},
	}
	for j := range n {
		cfg.Roster = append(cfg.Roster, p2p.Peer{ID: idOf(t, j), Name: fmt.Sprint("host-", j)})
	}
	return cfg, m
}

// start runs a host until the test ends.
func start(t testing.TB, cfg host.Config, m *member) *member {
	t.Helper()
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Host = h
	m.stop = run(t, h)
	return m
}

func run(t testing.TB, h *host.Host) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
	t.Cleanup(stop)
	return stop
}

// cluster starts n hosts that know each other's addresses and waits until all
// pairs are up. edit, if set, changes a configuration before its host starts.
func cluster(t testing.TB, n int, edit func(i int, cfg *host.Config), opts ...testlog.Option) []*member {
	t.Helper()
	members := meet(t, n, edit, opts...)
	for _, m := range members {
		waitFor(t, "all peers up", func() bool { return connected(m) == n-1 })
	}
	return members
}

// meet is cluster without the waiting. Ports are found by binding first: host i
// learns the addresses of the hosts before it, which it dials.
func meet(t testing.TB, n int, edit func(i int, cfg *host.Config), opts ...testlog.Option) []*member {
	t.Helper()
	logger := testlog.New(t, append(opts, testlog.Level(slog.LevelInfo))...)
	var members []*member
	for i := range n {
		cfg, m := prepare(t, i, n, logger.With("host", i))
		for _, earlier := range members {
			cfg.Roster[earlier.index].Addrs = earlier.Addrs()
		}
		if edit != nil {
			edit(i, &cfg)
		}
		members = append(members, start(t, cfg, m))
	}
	return members
}

func connected(m *member) int {
	n := 0
	for _, p := range m.Peers() {
		if p.Connected {
			n++
		}
	}
	return n
}

// status returns what m knows of host i.
func status(t testing.TB, m *member, i int) p2p.PeerStatus {
	t.Helper()
	id := idOf(t, i)
	for _, p := range m.Peers() {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("host %d does not know host %d", m.index, i)
	return p2p.PeerStatus{}
}

// waitFor polls until condition holds, and fails the test when that takes too
// long.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v for: %s", patience, what)
		}
	}
}

// receive returns the next value from ch, and fails the test when none comes.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing received")
		panic("unreachable")
	}
}

// gossiping reports whether every host has had gossip from host i.
func gossiping(t testing.TB, members []*member, i int) bool {
	t.Helper()
	for j, m := range members {
		if j != i && status(t, m, i).GossipIn == 0 {
			return false
		}
	}
	return true
}

// drain empties ch.
func drain[T any](t testing.TB, ch <-chan T) {
	t.Helper()
	for {
		select {
		case <-ch:
		default:
			return
		}
	}
}
