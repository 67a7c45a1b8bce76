// Package p2p names peers and carries bytes between them.
//
// The network is permissioned: everybody who may speak is in a roster of
// [Peer], and a connection proves which of them is at its other end. Between
// two peers runs one stream per direction. It begins with a [Handshake] that
// states the network and the protocol version, and then carries frames: opaque
// byte strings, each on a [Lane] that says how urgent it is and how large it may
// be. Frames longer than [MaxChunk] travel in chunks, so that a vote waits for
// one chunk of a block and not for the block.
//
// This package is the vocabulary and the codec, and does no I/O of its own.
// Package p2p/host implements it with go-libp2p.
package p2p

import (
	"errors"
	"time"
)

// Version is the version of everything that two nodes say to each other. It is
// part of protocol ids and gossip topics: nodes of different versions do not
// talk.
const Version = 1

// MaxGossip bounds one message of the transactions topic, in bytes.
const MaxGossip = 1 << 20

var (
	// ErrInvalid is wrapped by errors for which the sending peer is to blame:
	// no honest peer of this version sends such bytes.
	ErrInvalid = errors.New("p2p: invalid message")
	// ErrIgnore is wrapped by errors about messages that are useless here and
	// now without their sender being at fault.
	ErrIgnore = errors.New("p2p: message ignored")
)

// A PeerID is the libp2p id of a peer's host key in base58. The key of a
// secp256k1 id can be read back from it.
type PeerID string

// A Peer is one line of the roster.
type Peer struct {
	ID   PeerID
	Name string // for logs and status; not unique, not trusted
	// Addrs are multiaddrs such as /ip4/10.0.0.7/tcp/26656 or
	// /dns4/validator-2.example.org/tcp/26656. A peer without any is never
	// dialled: it has to dial us.
	Addrs []string
}

// Reach says how an attempt to connect failed, as far as that tells something about the peer.
type Reach string

// The ways in which connecting fails.
const (
	// ReachRefused: the machine answers and no process listens there.
	ReachRefused Reach = "refused"
	// ReachSilent: the machine accepts the connection and the process does not answer on it.
	ReachSilent Reach = "silent"
	// ReachNone: nothing answers at the address.
	ReachNone Reach = "unreachable"
)

// PeerStatus is what a host knows of one peer of its roster. Counters cover the
// life of the process.
type PeerStatus struct {
	ID         PeerID
	Name       string
	Connected  bool      // both directions have shaken hands
	Since      time.Time // of the last change of Connected; zero if there was none
	RemoteAddr string    // multiaddr, empty when not connected
	Software   string    // what the peer said in its handshake; not trusted
	Refused    time.Time // misbehaved: not spoken to before then; zero if welcome
	LastError  string    // why it is not connected, empty when it is
	Heard      time.Time // when the last byte of its frame stream arrived, keepalives included; zero before the first
	Reach      Reach     // what became of the last attempt to connect; empty when it succeeded or nothing is known

	// Network and Version are what the peer said while they were not ours; empty and 0 when they are, or
	// nothing is known.
	Network string
	Version uint64
	// Twin is when an instance of the peer returned after another: two processes have its key. Zero: never.
	Twin time.Time
	// OwnTwin is when, as the peer says, another process used our own id towards it; zero: never. Not trusted.
	OwnTwin time.Time

	FramesIn, FramesOut uint64
	BytesIn, BytesOut   uint64 // of frames
	Invalid             uint64 // frames and gossip for which the peer was to blame
	QueueDrops          uint64 // frames that did not fit the queue to the peer
	GossipIn            uint64 // messages handed to the gossip validator
	GossipDrops         uint64 // messages over the peer's gossip quota
}
