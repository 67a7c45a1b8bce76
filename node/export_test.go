package node

import (
	"log/slog"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/diagnosis"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/p2p"
)

// ReceiveGossip returns a judge of gossip messages over a pool.
func ReceiveGossip(g *ledger.Genesis, pool *txpool.Pool) func(from p2p.PeerID, data []byte) error {
	return newGossip(slog.New(slog.DiscardHandler), g, pool, nil, func() error { return nil }).receive
}

// DecodeGossip returns the transactions of a message.
var DecodeGossip = decodeGossip

// ReceiveFrom hands a frame to consensus as if a validator had sent it.
func (n *Node) ReceiveFrom(validator int, frame []byte) error {
	return n.engine().Receive(validator, frame)
}

// Clocks is the exchange of wall clocks.
type Clocks struct{ c *clocks }

// NewClocks makes one for a roster of so many peers.
func NewClocks(peers int, wall func() time.Time, send func(int, consensus.Lane, []byte)) *Clocks {
	return &Clocks{newClocks(peers, wall, send)}
}

// Peer notes that a peer came up or went down.
func (c *Clocks) Peer(i int, up bool) { c.c.peer(i, up) }

// Receive takes a frame of a peer.
func (c *Clocks) Receive(from int, frame []byte) error { return c.c.receive(from, frame) }

// Known returns what peers' clocks showed.
func (c *Clocks) Known(names []string) []diagnosis.Clock { return c.c.known(names) }
