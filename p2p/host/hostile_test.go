package host_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	libp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	libhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

// outlaw is a peer that has a key and a stock libp2p host, and keeps to none of
// our rules.
type outlaw struct {
	libhost.Host
	target peer.ID
}

// newOutlaw returns an outlaw with host key i, connected to m if it is let in.
func newOutlaw(t testing.TB, i int, m *member) *outlaw {
	t.Helper()
	key, err := crypto.UnmarshalSecp256k1PrivateKey(secret(i))
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Security(libp2ptls.ID, libp2ptls.New), libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.Ping(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	target, err := peer.Decode(string(m.ID()))
	if err != nil {
		t.Fatal(err)
	}
	o := &outlaw{Host: h, target: target}
	h.SetStreamHandlerMatch("/tercet/frames", func(id protocol.ID) bool { return bytes.HasSuffix([]byte(id), []byte("/frames")) }, o.answer)
	addr := ma.StringCast(m.Addrs()[0])
	h.Peerstore().AddAddr(target, addr, time.Hour)
	return o
}

var courtesy = p2p.Handshake{Network: testNetwork, Version: p2p.Version, Software: "outlaw"}

// answer shakes hands on the victim's stream and throws away what comes.
func (o *outlaw) answer(s network.Stream) {
	if _, err := p2p.ReadHandshake(s); err != nil {
		return
	}
	if _, err := s.Write(p2p.EncodeHandshake(courtesy)); err == nil {
		io.Copy(io.Discard, s)
	}
}

// open opens a frame stream and shakes hands as h would.
func (o *outlaw) open(t testing.TB, h p2p.Handshake) (network.Stream, p2p.Handshake) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	id := protocol.ID(fmt.Sprintf("/tercet/%s/%d/frames", h.Network, h.Version))
	s, err := o.NewStream(ctx, o.target, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(p2p.EncodeHandshake(h)); err != nil {
		t.Fatal(err)
	}
	theirs, err := p2p.ReadHandshake(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, theirs
}

func TestHost_Run_refusesStrangers(t *testing.T) {
	hosts := cluster(t, 2, nil, testlog.Require("not in the roster"))
	stranger := newOutlaw(t, 9, hosts[0])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Under TLS 1.3 the dialler may think for a moment that it is connected: what
	// counts is what the admitting side did.
	_ = stranger.Connect(ctx, peer.AddrInfo{ID: stranger.target})
	waitFor(t, "the refusal", func() bool { return hosts[0].Stats().Strangers > 0 })
	if _, err := stranger.NewStream(ctx, stranger.target, protocol.ID("/tercet/"+testNetwork+"/1/frames")); err == nil {
		t.Error("a stranger has a stream")
	}
	if connected(hosts[0]) != 1 {
		t.Error("the roster suffered")
	}
}

func TestHost_Run_tellsWrongNetworkFromWrongVersion(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(*host.Config)
		want string
	}{
		{"network", func(c *host.Config) { c.Network = "ffffffffffffffff" }, "wrong network"},
		{"version", func(c *host.Config) { c.Version = 2 }, "wrong protocol version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hosts := meet(t, 2, func(i int, cfg *host.Config) {
				if i == 1 {
					test.edit(cfg)
				}
			}, testlog.Require(test.want))
			for i, m := range hosts {
				waitFor(t, "the reason", func() bool { return strings.Contains(status(t, m, 1-i).LastError, test.want) })
				if connected(m) != 0 {
					t.Errorf("host %d is connected", i)
				}
				other := prepared(t, test.edit, 1-i == 1)
				if s := status(t, m, 1-i); s.Network != other.Network || s.Version != max(1, other.Version) {
					t.Errorf("host %d knows the network %q, version %d of the other; want %q, %d", i, s.Network, s.Version, other.Network, max(1, other.Version))
				}
			}
		})
	}
}

// prepared is a configuration, edited or not.
func prepared(t *testing.T, edit func(*host.Config), edited bool) host.Config {
	t.Helper()
	cfg, _ := prepare(t, 0, 2, testlog.New(t))
	if edited {
		edit(&cfg)
	}
	return cfg
}

func TestHost_Run_survivesRandomBytes(t *testing.T) {
	hosts := cluster(t, 2, func(_ int, cfg *host.Config) { cfg.Limits.HandshakeTimeout = 400 * time.Millisecond })
	addr, err := manet.ToNetAddr(ma.StringCast(hosts[0].Addrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 20, 100, 1000, 1 << 20} {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, size)
		rand.Read(noise)
		go c.Write(noise)
		c.SetReadDeadline(time.Now().Add(patience))
		// It may say which protocol it wants to speak, and hangs up.
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("the connection is still open after %d random bytes", size)
		}
		c.Close()
	}
	hosts[1].Send(hosts[0].ID(), p2p.LaneVote, []byte("still there"))
	receive(t, hosts[0].frames)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func TestHost_Run_boundsHandshakesInFlight(t *testing.T) {
	hosts := cluster(t, 2, func(_ int, cfg *host.Config) {
		cfg.Limits.HandshakesPerAddress = 4
		cfg.Limits.HandshakeTimeout = time.Second
	}, testlog.Require("too many handshakes"))
	addr, err := manet.ToNetAddr(ma.StringCast(hosts[0].Addrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		if c, err := net.Dial("tcp", addr.String()); err == nil { // a refusal may be as quick as that
			t.Cleanup(func() { c.Close() })
		}
	}
	waitFor(t, "refusals", func() bool { return hosts[0].Stats().Busy == 8 })
	hosts[1].Send(hosts[0].ID(), p2p.LaneVote, []byte("still there"))
	receive(t, hosts[0].frames)
	// The places are given back when the handshakes time out: peers can come back.
	late := newOutlaw(t, 1, hosts[0])
	hosts[1].stop()
	waitFor(t, "a place", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return late.Connect(network.WithForceDirectDial(ctx, "retry"), peer.AddrInfo{ID: late.target}) == nil
	})
}

func TestHost_Run_throwsOutWhoBreaksTheFraming(t *testing.T) {
	for _, test := range []struct {
		name  string
		bytes []byte
	}{
		{"oversize", append([]byte{0x00, 0x00, 0x10, 0x01}, make([]byte, 4097)...)},
		{"announced length", []byte{0x4f, 0xff, 0xff, 0xff}},
		{"noise", bytes.Repeat([]byte{0xa5}, 100)},
	} {
		t.Run(test.name, func(t *testing.T) {
			hosts := cluster(t, 1, func(_ int, cfg *host.Config) {
				cfg.Roster = append(cfg.Roster, p2p.Peer{ID: idOf(t, 5), Name: "outlaw"})
			}, testlog.Require("peer misbehaves"))
			o := newOutlaw(t, 5, hosts[0])
			s, _ := o.open(t, courtesy)
			waitFor(t, "the outlaw to be up", func() bool { return connected(hosts[0]) == 1 })
			if _, err := s.Write(test.bytes); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the end of the connection", func() bool { return len(o.Network().ConnsToPeer(o.target)) == 0 })
			st := status(t, hosts[0], 5)
			if st.Invalid == 0 || st.Connected || !st.Refused.After(time.Now()) {
				t.Errorf("status is %+v", st)
			}
			// It is refused while it serves its sentence.
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = o.Connect(network.WithForceDirectDial(ctx, "again"), peer.AddrInfo{ID: o.target})
			waitFor(t, "the refusal", func() bool { return hosts[0].Stats().Convicted > 0 })
			if len(hosts[0].frames) != 0 {
				t.Error("a frame was delivered")
			}
		})
	}
}

func TestHost_Run_convictsForInvalidFramesAndForgives(t *testing.T) {
	hosts := cluster(t, 3, func(i int, cfg *host.Config) {
		cfg.Limits.CoolOff = 300 * time.Millisecond
		if i != 0 {
			return
		}
		deliver := cfg.OnFrame
		cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			if string(data) == "bad" {
				return fmt.Errorf("decoding: %w", p2p.ErrInvalid)
			}
			return deliver(from, lane, data)
		}
	}, testlog.Require("peer misbehaves"))
	victim, offender, honest := hosts[0], hosts[1], hosts[2]
	for range 15 {
		offender.Send(victim.ID(), p2p.LaneCert, []byte("bad"))
	}
	offender.Send(victim.ID(), p2p.LaneCert, []byte("good"))
	receive(t, victim.frames)
	if !status(t, victim, 1).Connected {
		t.Fatal("disconnected below the threshold")
	}
	offender.Send(victim.ID(), p2p.LaneCert, []byte("bad"))
	waitFor(t, "the conviction", func() bool { return !status(t, victim, 1).Connected })
	if st := status(t, victim, 1); st.Invalid < 16 || st.Refused.IsZero() {
		t.Errorf("status is %+v", st)
	}
	honest.Send(victim.ID(), p2p.LaneCert, []byte("fine"))
	if got := receive(t, victim.frames); got.from != honest.ID() {
		t.Errorf("got a frame of %s", got.from)
	}
	waitFor(t, "forgiveness", func() bool { return status(t, victim, 1).Connected && status(t, offender, 0).Connected })
	for range 16 {
		offender.Send(victim.ID(), p2p.LaneCert, []byte("bad"))
	}
	waitFor(t, "the second conviction", func() bool { return !status(t, victim, 1).Refused.IsZero() })
	if left := time.Until(status(t, victim, 1).Refused); left < 350*time.Millisecond {
		t.Errorf("the second sentence is %v, want twice the first", left)
	}
}

func TestHost_Run_boundsMemoryUnderFlood(t *testing.T) {
	release := make(chan struct{})
	var blocked atomic.Int64
	flooder := idOf(t, 5)
	hosts := cluster(t, 2, func(i int, cfg *host.Config) {
		cfg.Roster = append(cfg.Roster, p2p.Peer{ID: flooder, Name: "flooder"})
		deliver := cfg.OnFrame
		cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			if from == flooder {
				blocked.Add(1)
				<-release // what a full inbox does
				return nil
			}
			return deliver(from, lane, data)
		}
	})
	defer close(release)
	o := newOutlaw(t, 5, hosts[0])
	s, _ := o.open(t, courtesy)
	waitFor(t, "the flooder to be up", func() bool { return status(t, hosts[0], 5).Connected })
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var written atomic.Int64
	flood := bytes.Repeat(append([]byte{0x40, 0x00, 0x80, 0x00}, make([]byte, p2p.MaxChunk)...), 32) // frames of one chunk
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for {
			n, err := s.Write(flood)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	}()
	for i := range 200 {
		hosts[1].Send(hosts[0].ID(), p2p.LaneVote, []byte{byte(i)})
		receive(t, hosts[0].frames)
	}
	<-done
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("flooder wrote %d KiB, %d frames reached the callback, heap grew by %d KiB",
		written.Load()>>10, blocked.Load(), int64(after.HeapAlloc-before.HeapAlloc)>>10)
	if blocked.Load() != 1 {
		t.Errorf("%d frames of one peer in the callback", blocked.Load())
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if written.Load() > 8<<20 {
		t.Errorf("%d bytes were taken from a peer whose frames were not", written.Load())
	}
}

func TestHost_Run_limitsTheRateOfFrames(t *testing.T) {
	hosts := cluster(t, 2, func(_ int, cfg *host.Config) { cfg.Limits.Frames = 400 })
	began := time.Now()
	sent := 0
	for sent < 600 {
		if hosts[0].Send(hosts[1].ID(), p2p.LaneVote, []byte{1}) {
			sent++
		}
	}
	for range sent {
		receive(t, hosts[1].frames)
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("600 frames in %v, the limit is 400 per second after the first 400", took)
	}
}

// A reader that is slow but alive is not disconnected, and the queue to it stays
// bounded.
func TestHost_Send_slowReader(t *testing.T) {
	var slow atomic.Bool
	slow.Store(true)
	release := make(chan struct{})
	hosts := cluster(t, 2, func(i int, cfg *host.Config) {
		cfg.Limits.KeepAlive, cfg.Limits.DeadAfter = 100*time.Millisecond, 400*time.Millisecond
		if i != 1 {
			return
		}
		deliver := cfg.OnFrame
		cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			if slow.Load() {
				<-release
			}
			return deliver(from, lane, data)
		}
	})
	sender, reader := hosts[0], hosts[1]
	frame := make([]byte, 1<<20)
	refused := 0
	for range 64 {
		if !sender.Send(reader.ID(), p2p.LaneBulk, frame) {
			refused++
		}
	}
	if refused < 40 {
		t.Errorf("the queue took %d MiB for a peer that does not read", 64-refused)
	}
	// Longer than DeadAfter passes while the reader is busy.
	busy := time.NewTimer(600 * time.Millisecond)
	<-busy.C
	for i, m := range hosts {
		if !status(t, m, 1-i).Connected {
			t.Fatalf("host %d gave up its slow peer", i)
		}
	}
	slow.Store(false)
	close(release)
	for range 64 - refused {
		receive(t, reader.frames)
	}
	if drops := status(t, sender, 1).QueueDrops; drops != uint64(refused) {
		t.Errorf("%d drops are counted, %d were made", drops, refused)
	}
}

// A peer that takes nothing at all and says nothing loses its connection. This is
// what a process looks like that was stopped by a signal.
func TestHost_Run_noticesAPeerThatIsDead(t *testing.T) {
	hosts := cluster(t, 1, func(_ int, cfg *host.Config) {
		cfg.Roster = append(cfg.Roster, p2p.Peer{ID: idOf(t, 5), Name: "frozen"})
		cfg.Limits.KeepAlive, cfg.Limits.DeadAfter = 100*time.Millisecond, 500*time.Millisecond
	})
	o := newOutlaw(t, 5, hosts[0])
	_, theirs := o.open(t, courtesy)
	if theirs.Software != "tercet/test" {
		t.Errorf("the handshake says %q", theirs.Software)
	}
	waitFor(t, "the peer to be up", func() bool { return connected(hosts[0]) == 1 })
	began := time.Now()
	waitFor(t, "the silence to be noticed", func() bool { return connected(hosts[0]) == 0 })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("that took %v", took)
	}
	if !status(t, hosts[0], 5).Refused.IsZero() {
		t.Error("silence was punished")
	}
}

// An idle connection stays.
func TestHost_Run_keepsIdlePeers(t *testing.T) {
	hosts := cluster(t, 2, func(_ int, cfg *host.Config) {
		cfg.Limits.KeepAlive, cfg.Limits.DeadAfter = 50*time.Millisecond, 200*time.Millisecond
	})
	receive(t, hosts[0].events)
	idle := time.NewTimer(600 * time.Millisecond)
	select {
	case e := <-hosts[0].events:
		t.Errorf("after idling: %+v", e)
	case <-idle.C:
	}
}

// When votes pile up, the newest survive.
func TestHost_Send_dropsTheOldestVotes(t *testing.T) {
	release := make(chan struct{})
	hosts := cluster(t, 2, func(i int, cfg *host.Config) {
		if i != 1 {
			return
		}
		deliver := cfg.OnFrame
		cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			<-release
			return deliver(from, lane, data)
		}
	})
	const votes = 4000
	for i := range uint32(votes) {
		vote := make([]byte, p2p.LaneVote.MaxFrame())
		binary.BigEndian.PutUint32(vote, i)
		if !hosts[0].Send(hosts[1].ID(), p2p.LaneVote, vote) {
			t.Fatalf("vote %d not taken", i)
		}
	}
	drops := status(t, hosts[0], 1).QueueDrops
	if drops == 0 || drops > votes-256 {
		t.Errorf("%d of %d votes were dropped", drops, votes)
	}
	close(release)
	last := -1
	for range votes - int(drops) {
		got := int(binary.BigEndian.Uint32(receive(t, hosts[1].frames).data))
		if got <= last {
			t.Fatalf("vote %d after vote %d", got, last)
		}
		last = got
	}
	if last != votes-1 {
		t.Errorf("the last vote to arrive is %d", last)
	}
}

// A vote overtakes frames of other lanes that are queued already.
func TestHost_Send_priority(t *testing.T) {
	gate := make(chan struct{})
	var first atomic.Bool
	hosts := cluster(t, 2, func(i int, cfg *host.Config) {
		if i != 1 {
			return
		}
		deliver := cfg.OnFrame
		cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			if !first.Swap(true) {
				<-gate
			}
			return deliver(from, lane, data)
		}
	})
	to := hosts[1].ID()
	for range 12 {
		hosts[0].Send(to, p2p.LaneBulk, make([]byte, 1<<20))
	}
	waitFor(t, "the first frame to be stuck", first.Load)
	hosts[0].Send(to, p2p.LaneSync, []byte("sync"))
	hosts[0].Send(to, p2p.LaneCert, []byte("cert"))
	hosts[0].Send(to, p2p.LaneVote, []byte("vote"))
	close(gate)
	position := map[p2p.Lane]int{}
	for i := range 15 {
		got := receive(t, hosts[1].frames)
		if got.lane != p2p.LaneBulk {
			position[got.lane] = i
		}
	}
	t.Logf("positions: %v", position)
	if position[p2p.LaneVote] > position[p2p.LaneCert] || position[p2p.LaneCert] > position[p2p.LaneSync] {
		t.Errorf("out of order: %v", position)
	}
	if position[p2p.LaneSync] > 5 {
		t.Errorf("urgent frames waited for %d MiB", position[p2p.LaneSync])
	}
}

// A peer that opens streams in a loop is thrown out, and no reader of a stream
// that was replaced stays behind.
func TestHost_Run_boundsStreams(t *testing.T) {
	hosts := cluster(t, 1, func(_ int, cfg *host.Config) {
		cfg.Roster = append(cfg.Roster, p2p.Peer{ID: idOf(t, 5), Name: "outlaw"})
	}, testlog.Require("streams a second"))
	o := newOutlaw(t, 5, hosts[0])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	waitFor(t, "the conviction", func() bool {
		if s, err := o.NewStream(ctx, o.target, protocol.ID("/tercet/"+testNetwork+"/1/frames")); err == nil {
			_, _ = s.Write(p2p.EncodeHandshake(courtesy)) // fails once the victim has had enough
		}
		return !status(t, hosts[0], 5).Refused.IsZero()
	})
	waitFor(t, "readers to end", func() bool {
		stacks := make([]byte, 1<<20)
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("host.(*remote).read("))
	})
}
