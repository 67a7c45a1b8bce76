package host_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

func TestHost_Send_bothDirectionsAllLanes(t *testing.T) {
	hosts := cluster(t, 2, nil, testlog.Require("dropping an own frame"))
	for i, from := range hosts {
		to := hosts[1-i]
		for lane := range p2p.Lane(p2p.Lanes) {
			for _, size := range []int{1, 150, lane.MaxFrame()} {
				want := bytes.Repeat([]byte{byte(lane) + 1}, size)
				if !from.Send(to.ID(), lane, want) {
					t.Fatalf("frame of %d bytes on lane %v not taken", size, lane)
				}
				got := receive(t, to.frames)
				if got.from != from.ID() || got.lane != lane || !bytes.Equal(got.data, want) {
					t.Fatalf("got %d bytes on lane %v from %s, want %d on %v", len(got.data), got.lane, got.from, size, lane)
				}
			}
			if from.Send(to.ID(), lane, make([]byte, lane.MaxFrame()+1)) {
				t.Errorf("lane %v took a frame over its limit", lane)
			}
		}
		if from.Send(to.ID(), p2p.LaneVote, nil) || from.Send(to.ID(), p2p.Lanes, []byte{1}) || from.Send("nobody", p2p.LaneVote, []byte{1}) {
			t.Error("Send took a frame that cannot be sent")
		}
	}
}

func TestHost_Broadcast_reachesAll(t *testing.T) {
	hosts := cluster(t, 4, nil)
	hosts[2].Broadcast(p2p.LaneCert, []byte("hear"))
	for _, m := range []*member{hosts[0], hosts[1], hosts[3]} {
		if got := receive(t, m.frames); string(got.data) != "hear" || got.from != hosts[2].ID() {
			t.Errorf("host %d got %q from %s", m.index, got.data, got.from)
		}
	}
}

func TestHost_OnPeer_alternates(t *testing.T) {
	hosts := cluster(t, 2, nil)
	if got := receive(t, hosts[0].events); !got.up || got.peer != hosts[1].ID() {
		t.Errorf("first event is %+v", got)
	}
	hosts[1].stop()
	if got := receive(t, hosts[0].events); got.up {
		t.Errorf("second event is %+v", got)
	}
	if hosts[0].Send(hosts[1].ID(), p2p.LaneVote, []byte{1}) {
		t.Error("a frame was taken for a peer that is gone")
	}
	// A host that stops says of its peers that they are down.
	if got := receive(t, hosts[1].events); !got.up {
		t.Errorf("first event of the other side is %+v", got)
	}
	if got := receive(t, hosts[1].events); got.up {
		t.Errorf("last event of the other side is %+v", got)
	}
}

func TestHost_New_namesAPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg, _ := prepare(t, 0, 2, testlog.New(t))
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/" + port}
	if h, err := host.New(cfg); err == nil || !strings.Contains(err.Error(), port) {
		t.Errorf("got %v, %v; want an error that names port %s", h, err, port)
	}
}

func TestHost_Close_releasesThePort(t *testing.T) {
	cfg, _ := prepare(t, 0, 2, testlog.New(t))
	for range 2 {
		h, err := host.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Listen = h.Addrs()
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHost_New_refusesWhatCannotWork(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(*host.Config)
		want string
	}{
		{"no key", func(c *host.Config) { c.Key = nil }, "host key"},
		{"no logger", func(c *host.Config) { c.Logger = nil }, "required"},
		{"network with a slash", func(c *host.Config) { c.Network = "a/b" }, "network name"},
		{"no network", func(c *host.Config) { c.Network = "" }, "network name"},
		{"peer twice", func(c *host.Config) { c.Roster = append(c.Roster, c.Roster[1]) }, "listed twice"},
		{"not an id", func(c *host.Config) { c.Roster[1].ID = "eve" }, "host-1"},
		{"not an address", func(c *host.Config) { c.Roster[1].Addrs = []string{"10.0.0.1:80"} }, "host-1"},
		{"not TCP", func(c *host.Config) { c.Roster[1].Addrs = []string{"/ip4/10.0.0.1/udp/1/quic-v1"} }, "only TCP"},
		{"id of another", func(c *host.Config) {
			c.Roster[1].Addrs = []string{"/dns4/a.example/tcp/1/p2p/" + string(c.Roster[0].ID)}
		}, "another peer"},
		{"deadline within keepalive", func(c *host.Config) { c.Limits.DeadAfter = time.Second }, "keepalive"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, _ := prepare(t, 0, 2, testlog.New(t))
			test.edit(&cfg)
			if _, err := host.New(cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestHost_Run_reconnectsAfterRestart(t *testing.T) {
	for restarted := range 2 { // 0 is dialled, 1 dials
		hosts := cluster(t, 2, nil)
		stays := hosts[1-restarted]
		cfg, m := prepare(t, restarted, 2, testlog.New(t))
		cfg.Listen = hosts[restarted].Addrs()
		cfg.Roster[1-restarted].Addrs = stays.Addrs()
		hosts[restarted].stop()
		waitFor(t, "the loss to be seen", func() bool { return connected(stays) == 0 })
		began := time.Now()
		start(t, cfg, m)
		waitFor(t, "both sides up", func() bool { return connected(stays) == 1 && connected(m) == 1 })
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("reconnecting took %v", took)
		}
		if !stays.Send(m.ID(), p2p.LaneVote, []byte("back")) {
			t.Error("frame not taken after the reconnection")
		}
		receive(t, m.frames)
	}
}

func TestHost_Run_convergesWhenBothDial(t *testing.T) {
	logger := testlog.New(t)
	const n = 5
	var cfgs [n]host.Config
	var members [n]*member
	// Bind, learn all addresses, release, and start everybody at once.
	for i := range n {
		cfgs[i], members[i] = prepare(t, i, n, logger.With("host", i))
		h, err := host.New(cfgs[i])
		if err != nil {
			t.Fatal(err)
		}
		cfgs[i].Listen = h.Addrs()
		h.Close()
	}
	for i := range n {
		for j := range n {
			cfgs[i].Roster[j].Addrs = cfgs[j].Listen
		}
		h, err := host.New(cfgs[i])
		if err != nil {
			t.Fatal(err)
		}
		members[i].Host = h
	}
	for _, m := range members {
		m.stop = run(t, m.Host)
	}
	// A connection that lost against the one it crossed may have been up for a
	// moment and have taken frames with it; but from then on every pair works.
	for _, m := range members {
		for _, from := range members {
			if from == m {
				continue
			}
			waitFor(t, "a frame of each peer", func() bool {
				from.Send(m.ID(), p2p.LaneCert, []byte("hello"))
				select {
				case got := <-m.frames:
					return got.from == from.ID()
				default:
					return false
				}
			})
		}
	}
}

func TestHost_Run_dialsNames(t *testing.T) {
	hosts := meet(t, 2, func(i int, cfg *host.Config) {
		if i == 1 {
			_, port, _ := strings.Cut(cfg.Roster[0].Addrs[0], "/tcp/")
			cfg.Roster[0].Addrs = []string{"/dns4/localhost/tcp/" + port + "/p2p/" + string(cfg.Roster[0].ID)}
		}
	})
	waitFor(t, "the peer", func() bool { return connected(hosts[0]) == 1 && connected(hosts[1]) == 1 })
}

func TestHost_Run_endsAllGoroutines(t *testing.T) {
	warm := cluster(t, 2, nil) // libp2p keeps a few for the life of the process
	warm[0].stop()
	warm[1].stop()
	before := runtime.NumGoroutine()
	hosts := cluster(t, 4, nil)
	hosts[0].Broadcast(p2p.LaneProposal, make([]byte, 1<<20))
	if err := hosts[0].Publish([]byte("tx")); err != nil {
		t.Fatal(err)
	}
	receive(t, hosts[1].gossip)
	for _, m := range hosts {
		m.stop()
	}
	// gossipsub does not wait for its goroutines.
	waitFor(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	if err := hosts[0].Publish([]byte("tx")); !errors.Is(err, host.ErrNotRunning) {
		t.Errorf("publishing after the end: %v", err)
	}
	if err := hosts[0].Run(context.Background()); err == nil {
		t.Error("Run ran twice")
	}
}
