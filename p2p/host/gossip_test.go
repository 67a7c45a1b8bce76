package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

func TestHost_Publish_reachesAll(t *testing.T) {
	hosts := cluster(t, 4, nil)
	for i := range hosts {
		publishUntil(t, hosts[i], func() bool { return gossiping(t, hosts, i) })
	}
	for i, from := range hosts {
		big := make([]byte, p2p.MaxGossip)
		big[0] = byte(i)
		for _, want := range [][]byte{fmt.Appendf(nil, "transaction of %d", i), big} {
			if err := from.Publish(want); err != nil {
				t.Fatal(err)
			}
			for j, to := range hosts {
				if j == i {
					continue
				}
				for got := receive(t, to.gossip); !bytes.Equal(got.data, want); got = receive(t, to.gossip) {
					if !bytes.HasPrefix(got.data, []byte("good")) {
						t.Fatalf("host %d got %d bytes, want %d", j, len(got.data), len(want))
					}
				}
			}
		}
	}
	for i, m := range hosts {
		if n := len(m.gossip); n != 0 {
			t.Errorf("host %d saw %d messages twice, or its own", i, n)
		}
	}
	if err := hosts[0].Publish(make([]byte, p2p.MaxGossip+1)); !errors.Is(err, p2p.ErrInvalid) {
		t.Errorf("oversize: %v", err)
	}
	if err := hosts[0].Publish(nil); !errors.Is(err, p2p.ErrInvalid) {
		t.Errorf("empty: %v", err)
	}
}

// chain connects 0–1–2 and nothing else.
func chain(t testing.TB, edit func(i int, cfg *host.Config), opts ...testlog.Option) []*member {
	t.Helper()
	members := meet(t, 3, func(i int, cfg *host.Config) {
		if i == 2 {
			cfg.Roster[0].Addrs = nil
			cfg.Roster = cfg.Roster[1:]
		}
		if i == 0 {
			cfg.Roster = cfg.Roster[:2]
		}
		if edit != nil {
			edit(i, cfg)
		}
	}, opts...)
	for i, want := range []int{1, 2, 1} {
		waitFor(t, "the chain", func() bool { return connected(members[i]) == want })
	}
	return members
}

// publishUntil publishes messages, no two of them equal, until condition holds:
// gossip streams open a moment after a peer is up.
func publishUntil(t testing.TB, m *member, condition func() bool) {
	t.Helper()
	n := 0
	waitFor(t, "the effect of a message", func() bool {
		if err := m.Publish(fmt.Appendf(nil, "good %d", n)); err != nil {
			t.Fatal(err)
		}
		n++
		return condition()
	})
}

func TestHost_Publish_isForwarded(t *testing.T) {
	hosts := chain(t, nil)
	publishUntil(t, hosts[0], func() bool { return len(hosts[2].gossip) > 0 })
	if got := receive(t, hosts[2].gossip); got.from != hosts[1].ID() {
		t.Errorf("message came from %s", got.from)
	}
}

func TestHost_OnGossip_invalidIsNotForwardedAndCosts(t *testing.T) {
	var judged, ignored atomic.Int64
	hosts := chain(t, func(i int, cfg *host.Config) {
		if i != 1 {
			return
		}
		accept := cfg.OnGossip
		cfg.OnGossip = func(from p2p.PeerID, data []byte) error {
			switch string(data[:3]) {
			case "bad":
				judged.Add(1)
				return fmt.Errorf("not a transaction: %w", p2p.ErrInvalid)
			case "old":
				ignored.Add(1)
				return p2p.ErrIgnore
			}
			return accept(from, data)
		}
	}, testlog.Require("peer misbehaves"))
	// The path works once one message has arrived.
	publishUntil(t, hosts[0], func() bool { return len(hosts[2].gossip) > 0 })
	for i := range 15 {
		hosts[0].Publish(fmt.Appendf(nil, "bad %d", i))
		hosts[0].Publish(fmt.Appendf(nil, "old %d", i))
	}
	waitFor(t, "judgement", func() bool { return judged.Load() == 15 && ignored.Load() == 15 })
	if st := status(t, hosts[1], 0); !st.Connected || st.Invalid != 15 {
		t.Errorf("status is %+v", st)
	}
	hosts[0].Publish([]byte("bad one too many"))
	waitFor(t, "the conviction", func() bool { return !status(t, hosts[1], 0).Refused.IsZero() })
	for len(hosts[2].gossip) > 0 {
		if got := receive(t, hosts[2].gossip); string(got.data[:4]) != "good" {
			t.Errorf("%q was forwarded", got.data)
		}
	}
}

func TestHost_OnGossip_quota(t *testing.T) {
	hosts := cluster(t, 2, func(_ int, cfg *host.Config) { cfg.Limits.Gossip = 10 })
	publishUntil(t, hosts[0], func() bool { return status(t, hosts[1], 0).GossipDrops > 0 })
	if st := status(t, hosts[1], 0); st.GossipIn < 10 || st.Invalid != 0 || !st.Connected {
		t.Errorf("status is %+v", st)
	}
}
