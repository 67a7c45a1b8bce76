package node_test

import (
	"bytes"
	"errors"
	"math/big"
	"runtime"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/p2p"
)

// gossiped is a message as docs/formats.md has it.
type gossiped struct {
	Salt uint64
	Txs  [][]byte
}

// FuzzGossip_receive: a message costs its peer, brings nothing or fills the pool, and what is decoded is what package
// rlp decodes, in no more memory than the message deserves.
func FuzzGossip_receive(f *testing.F) {
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte("gossip")))
	if err != nil {
		f.Fatal(err)
	}
	g := ledger.DefaultGenesis(ledger.TestnetChainID, []ledger.Validator{{Address: common.Address{1}}},
		[]ledger.Allocation{{Address: crypto.PubkeyToAddress(key.PublicKey), Balance: uint256.NewInt(1e18)}}, 1000)
	s := state.New()
	if _, err := s.Apply(0, g.Changes()); err != nil {
		f.Fatal(err)
	}
	var raws [][]byte
	for nonce := range uint64(3) {
		raw, err := types.MustSignNewTx(key, types.LatestSignerForChainID(big.NewInt(ledger.TestnetChainID)),
			&types.LegacyTx{Nonce: nonce, Gas: 21000, To: &common.Address{2}, Value: big.NewInt(1), GasPrice: new(big.Int)}).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		raws = append(raws, raw)
	}
	for _, m := range []gossiped{{0, raws[:1]}, {1700000000000, raws}, {0, [][]byte{raws[0], raws[0]}}, {0, nil}, {5, [][]byte{{}}}, {0, make([][]byte, 3000)}} {
		b, err := rlp.EncodeToBytes(&m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pool, err := txpool.New(txpool.Config{Genesis: g, State: s})
		if err != nil {
			t.Fatal(err)
		}
		kept := bytes.Clone(data)
		var txs [][]byte
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		txs, err = node.DecodeGossip(data)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10+32*uint64(len(data)) {
			t.Fatalf("decoding %d bytes allocates %d", len(data), n)
		}
		var want gossiped
		if err == nil {
			if err := rlp.DecodeBytes(data, &want); err != nil || len(want.Txs) != len(txs) {
				t.Fatalf("%d transactions, package rlp says %d, %v", len(txs), len(want.Txs), err)
			}
			if again, err := rlp.EncodeToBytes(&want); err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%x is not canonical", data)
			}
		}
		got := node.ReceiveGossip(g, pool)("peer", data)
		if got != nil && !errors.Is(got, p2p.ErrInvalid) && !errors.Is(got, p2p.ErrIgnore) {
			t.Fatalf("%v says neither that the peer is at fault nor that nothing is lost", got)
		}
		if (got == nil) != (pool.Stats().Pending+pool.Stats().Queued > 0) || err != nil && !errors.Is(got, p2p.ErrInvalid) {
			t.Fatalf("answers %v, and the pool has %+v", got, pool.Stats())
		}
		for i := range data {
			data[i] ^= 0xff // the library uses the buffer again
		}
		for _, raw := range want.Txs {
			if tx := pool.Get(crypto.Keccak256Hash(raw)); tx != nil && !bytes.Equal(tx.Raw(), raw) {
				t.Fatal("the pool keeps the message's memory")
			}
		}
		copy(data, kept)
	})
}
