package host_test

import (
	"net"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

// Two processes with one key take turns; one that restarts does not look like that.
func TestHost_Peers_twin(t *testing.T) {
	hosts := cluster(t, 2, nil)
	stays := hosts[0]
	again := func() *member {
		cfg, m := prepare(t, 1, 2, testlog.New(t))
		cfg.Roster[0].Addrs = stays.Addrs()
		return start(t, cfg, m)
	}
	hosts[1].stop()
	second := again()
	waitFor(t, "the restarted peer", func() bool { return connected(stays) == 1 && connected(second) == 1 })
	if s := status(t, stays, 1); !s.Twin.IsZero() || !s.OwnTwin.IsZero() {
		t.Errorf("a restart looks like a twin: %+v", s)
	}
	again() // beside the second one
	waitFor(t, "the twin to be seen", func() bool { return !status(t, stays, 1).Twin.IsZero() })
}

func TestHost_Peers_reach(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	cfg, m := prepare(t, 0, 3, testlog.New(t))
	cfg.Limits = host.Limits{HandshakeTimeout: 200 * time.Millisecond}
	for i, l := range []net.Listener{silent, gone} {
		var addr ma.Multiaddr
		if addr, err = manet.FromNetAddr(l.Addr()); err != nil {
			t.Fatal(err)
		}
		cfg.Roster[1+i].Addrs = []string{addr.String()}
	}
	start(t, cfg, m)
	for i, want := range []p2p.Reach{p2p.ReachSilent, p2p.ReachRefused} {
		waitFor(t, string(want), func() bool { return status(t, m, 1+i).Reach == want })
	}
}

func TestHost_Peers_heard(t *testing.T) {
	began := time.Now()
	hosts := cluster(t, 2, func(_ int, cfg *host.Config) { cfg.Limits = host.Limits{KeepAlive: 50 * time.Millisecond} })
	waitFor(t, "a keepalive", func() bool { return status(t, hosts[0], 1).Heard.After(began) })
	if s := status(t, hosts[0], 1); s.Reach != "" || s.Network != "" || s.Version != 0 {
		t.Errorf("of a peer that is up: %+v", s)
	}
}
