package host

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/tercet-chain/tercet/p2p"
)

// Config is what a [Host] needs to know. Callbacks must be set; they are called
// concurrently for different peers.
type Config struct {
	// Key is the host's 32-byte secp256k1 secret.
	Key []byte
	// Listen are the multiaddrs to bind, such as /ip4/0.0.0.0/tcp/26656; port 0
	// takes any free one. Without any the host only dials.
	Listen []string
	// Roster is everybody who may connect. The host's own entry is ignored.
	Roster []p2p.Peer
	// Network tells chains apart: hex of the first 8 bytes of the genesis hash.
	// It is part of every protocol id, with the version.
	Network string
	// Version of the protocol; 0 means [p2p.Version].
	Version uint64
	// Software is told to peers for their logs: name and release.
	Software string
	Logger   *slog.Logger

	// OnFrame receives each frame on the reader goroutine of its peer: while it
	// blocks, that peer is not read from. The frame belongs to the callee. An
	// error that wraps [p2p.ErrInvalid] costs the peer. It is called for a peer
	// only between OnPeer(true) and the end of the following OnPeer(false), with
	// a frame in flight as the only exception. It must return soon after the
	// context of [Host.Run] has ended.
	OnFrame func(from p2p.PeerID, lane p2p.Lane, frame []byte) error
	// OnPeer reports that a peer can be spoken to, or no longer. Calls for one
	// peer alternate, beginning with true, and never overlap: a reconnection is a
	// false and a true. It must not block; it may call [Host.Send].
	OnPeer func(peer p2p.PeerID, up bool)
	// OnGossip judges a message that another peer published: nil forwards it,
	// [p2p.ErrInvalid] costs the peer it came from, any other error drops it. It
	// is called by a few goroutines at once and delays the gossip behind it. The
	// data must not be modified, and not kept either: copy what outlives the call.
	OnGossip func(from p2p.PeerID, data []byte) error

	Limits Limits
}

// Limits bounds what peers can make a host spend. Zero fields take the defaults
// of [DefaultLimits].
type Limits struct {
	KeepAlive        time.Duration // a peer without news sends a keepalive this often
	DeadAfter        time.Duration // a peer from which nothing at all arrives for so long is disconnected
	WriteTimeout     time.Duration // a peer that takes not even MaxChunk bytes in so long is disconnected
	HandshakeTimeout time.Duration // for TLS, and again for opening a stream

	RedialMin          time.Duration // first pause after a lost or refused connection
	RedialMax          time.Duration // longest pause
	RedialIncompatible time.Duration // pause after a wrong network or version

	Handshakes           int // inbound connections that have not authenticated, in all
	HandshakesPerAddress int // … and from one IP address

	InvalidFrames int           // so many within their decay …
	InvalidDecay  time.Duration // … of one per this long disconnect the peer
	CoolOff       time.Duration // and refuse it for so long, twice as long each time
	CoolOffMax    time.Duration

	FrameBytes  int // bytes of frames read from one peer per second
	Frames      int // frames read from one peer per second
	GossipBytes int // bytes of gossip read from one peer per second
	Gossip      int // gossip messages of one peer judged per second; more are dropped
}

// DefaultLimits returns limits for validators with a link of 100 Mbit/s or more
// between them. Dead peers are noticed after DeadAfter: long enough for a
// garbage collection, a disk stall or a two-second scheduling hole, short enough
// for the redial loop to take over.
func DefaultLimits() Limits {
	return Limits{
		KeepAlive:            2 * time.Second,
		DeadAfter:            7 * time.Second,
		WriteTimeout:         15 * time.Second,
		HandshakeTimeout:     5 * time.Second,
		RedialMin:            100 * time.Millisecond,
		RedialMax:            time.Second,
		RedialIncompatible:   5 * time.Second,
		Handshakes:           256,
		HandshakesPerAddress: 128,
		InvalidFrames:        16,
		InvalidDecay:         10 * time.Second,
		CoolOff:              5 * time.Second,
		CoolOffMax:           5 * time.Minute,
		FrameBytes:           64 << 20,
		Frames:               20_000,
		GossipBytes:          32 << 20,
		Gossip:               4_000,
	}
}

// withDefaults fills the fields that are zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *time.Duration }{
		{&l.KeepAlive, &d.KeepAlive},
		{&l.DeadAfter, &d.DeadAfter},
		{&l.WriteTimeout, &d.WriteTimeout},
		{&l.HandshakeTimeout, &d.HandshakeTimeout},
		{&l.RedialMin, &d.RedialMin},
		{&l.RedialMax, &d.RedialMax},
		{&l.RedialIncompatible, &d.RedialIncompatible},
		{&l.InvalidDecay, &d.InvalidDecay},
		{&l.CoolOff, &d.CoolOff},
		{&l.CoolOffMax, &d.CoolOffMax},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	for _, f := range []struct{ have, def *int }{
		{&l.Handshakes, &d.Handshakes},
		{&l.HandshakesPerAddress, &d.HandshakesPerAddress},
		{&l.InvalidFrames, &d.InvalidFrames},
		{&l.FrameBytes, &d.FrameBytes},
		{&l.Frames, &d.Frames},
		{&l.GossipBytes, &d.GossipBytes},
		{&l.Gossip, &d.Gossip},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	return l
}

// check returns what in c cannot work, in words for whoever wrote it.
func (c *Config) check() error {
	if c.Logger == nil || c.OnFrame == nil || c.OnPeer == nil || c.OnGossip == nil {
		return fmt.Errorf("p2p/host: a logger and all callbacks are required")
	}
	if c.Limits.DeadAfter <= c.Limits.KeepAlive {
		return fmt.Errorf("p2p/host: peers are dead after %v but send a keepalive only every %v", c.Limits.DeadAfter, c.Limits.KeepAlive)
	}
	return c.handshake().Validate()
}

func (c *Config) handshake() p2p.Handshake {
	return p2p.Handshake{Network: c.Network, Version: c.Version, Software: c.Software}
}

// IDFromKey returns the peer id of a host with this 32-byte secp256k1 secret.
func IDFromKey(key []byte) (p2p.PeerID, error) {
	_, id, err := identity(key)
	return p2p.PeerID(id.String()), err
}

func identity(key []byte) (crypto.PrivKey, peer.ID, error) {
	secret, err := crypto.UnmarshalSecp256k1PrivateKey(key)
	if err != nil {
		return nil, "", fmt.Errorf("host key: %w", err)
	}
	id, err := peer.IDFromPrivateKey(secret)
	if err != nil {
		return nil, "", fmt.Errorf("host key: %w", err)
	}
	return secret, id, nil
}

// maxAddrBytes is more than any address has.
const maxAddrBytes = 512

// parseAddrs returns the multiaddrs of a roster entry, without a trailing
// /p2p/<id>, which must name the entry's peer.
func parseAddrs(p p2p.Peer, id peer.ID) ([]ma.Multiaddr, error) {
	var addrs []ma.Multiaddr
	for _, s := range p.Addrs {
		if len(s) > maxAddrBytes {
			return nil, fmt.Errorf("address of peer %s (%s): %d bytes, at most %d", p.Name, p.ID, len(s), maxAddrBytes)
		}
		addr, err := ma.NewMultiaddr(s)
		if err != nil {
			// The parser repeats the address in each layer of its error, escaped.
			return nil, fmt.Errorf("address of peer %s (%s): %.*s", p.Name, p.ID, maxAddrBytes, err.Error())
		}
		transport, named := peer.SplitAddr(addr)
		if named != "" && named != id {
			return nil, fmt.Errorf("address %s of peer %s names another peer than %s", s, p.Name, p.ID)
		}
		if _, err := addr.ValueForProtocol(ma.P_TCP); err != nil {
			return nil, fmt.Errorf("address %s of peer %s (%s): only TCP is spoken", s, p.Name, p.ID)
		}
		addrs = append(addrs, transport)
	}
	return addrs, nil
}
