package host_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

// FuzzNew_roster: ids and addresses come from files that people write. What cannot work is an error that does not show the key.
func FuzzNew_roster(f *testing.F) {
	own := bytes.Repeat([]byte{1}, 32)
	id, err := host.IDFromKey(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own, string(id), "/ip4/127.0.0.1/tcp/26656", "0123456789abcdef")
	f.Add(own, string(id), "/dns4/node1.example.com/tcp/1/p2p/"+string(id), "ff")
	f.Add(own, string(id), "/ip6/::1/udp/1/quic-v1", "ff")
	f.Add(own, "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "/tcp/tcp", "")
	f.Add(own, string(id), "/ip4/"+strings.Repeat("\xd5", 500)+"/tcp/1", "ff")
	f.Add(own[:31], "1", "/unix//tcp/1", "FF")
	f.Add(make([]byte, 32), "", "/ip4/1.2.3.4/tcp/1/p2p-circuit", "ff")
	f.Fuzz(func(t *testing.T, key []byte, id, addr, network string) {
		h, err := host.New(host.Config{
			Key: key, Network: network, Software: "fuzz", Logger: slog.New(slog.DiscardHandler),
			Roster:   []p2p.Peer{{ID: p2p.PeerID(id), Name: "a", Addrs: []string{addr}}, {ID: p2p.PeerID(id), Name: "b"}},
			OnFrame:  func(p2p.PeerID, p2p.Lane, []byte) error { return nil },
			OnPeer:   func(p2p.PeerID, bool) {},
			OnGossip: func(p2p.PeerID, []byte) error { return nil },
		})
		if err != nil {
			given := id + addr + network
			if len(err.Error()) > 1024+4*len(given) || len(key) > 8 && strings.Contains(err.Error(), string(key)) && !strings.Contains(given, string(key)) {
				t.Fatalf("the error is %q", err)
			}
			return
		}
		if own, err := host.IDFromKey(key); err != nil || string(own) != id {
			t.Fatalf("a roster with the peer %q twice is taken: %v", id, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
