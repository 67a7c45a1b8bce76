package node

import (
	"log/slog"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/p2p"
)

// ReceiveGossip returns a judge of gossip messages over a pool.
func ReceiveGossip(g *ledger.Genesis, pool *txpool.Pool) func(from p2p.PeerID, data []byte) error {
	return newGossip(slog.New(slog.DiscardHandler), g, pool, nil, func() error { return nil }).receive
}

// DecodeGossip returns the transactions of a message.
var DecodeGossip = decodeGossip
