package node_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/testframework"
)

// liar is a validator whose key the test has.
type liar struct {
	index   int
	key     *sig.Key
	network common.Hash
}

func newLiar(t *testing.T, c *testframework.Cluster, i int, network common.Hash) *liar {
	t.Helper()
	key, err := config.LoadValidatorKey(c.Home(i), "")
	must(t, err)
	return &liar{i, key, network}
}

func (l *liar) vote(kind consensus.Kind, view uint64, block byte) consensus.Vote {
	hash := common.Hash{block}
	return consensus.Vote{
		Kind: kind, View: view, Hash: hash, Signer: uint16(l.index),
		Sig: l.key.Sign(consensus.Digest(l.network, kind, 0, view, hash)),
	}
}

func (l *liar) evidence(view uint64) []byte {
	return consensus.EncodeMessage(&consensus.Evidence{A: l.vote(consensus.Notarize, view, 1), B: l.vote(consensus.Notarize, view, 2)})
}

// lists waits until a node lists so many proofs.
func lists(ctx context.Context, t *testing.T, c *testframework.Cluster, i, count int) []rpc.Evidence {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if list := c.Node(i).Evidence(); len(list) >= count {
			return list
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("node %d lists %v, want %d proofs", i, c.Node(i).Evidence(), count)
		}
	}
}

// Who counts a contradiction tells the others at once, who was away is told when it connects, and all keep
// the proof over a restart.
func TestNode_evidence_reachesEverybody_andStays(t *testing.T) {
	c, ctx := cluster(t, testframework.Options{}, testlog.Require("a validator signed votes that exclude each other"))
	for i := range 2 { // no quorum, so that the view stays
		must(t, c.Start(ctx, i))
	}
	l := newLiar(t, c, 3, c.Node(0).GenesisHash()) // it is down: nothing of its own contradicts
	const view = 2
	for block := range byte(2) {
		v := l.vote(consensus.Finalize, view, block+1)
		must(t, c.Node(0).ReceiveFrom(1, consensus.EncodeMessage(&v)))
	}
	for i := range 2 {
		e := lists(ctx, t, c, i, 1)[0]
		if e.Validator != l.key.Address() || e.View != view || !slices.Equal(e.Kinds, []string{"FINALIZE", "FINALIZE"}) || e.Hashes[0] == e.Hashes[1] || e.FirstSeen == 0 {
			t.Errorf("node %d lists %+v", i, e)
		}
		if s := c.Node(i).Status(); s.Evidence != 1 {
			t.Errorf("node %d counts %d", i, s.Evidence)
		}
	}
	before := c.Node(0).Evidence()
	for i := 2; i < 4; i++ {
		must(t, c.Start(ctx, i))
		if e := lists(ctx, t, c, i, 1)[0]; e.Validator != l.key.Address() {
			t.Errorf("node %d lists %+v", i, e)
		}
	}
	must(t, c.Stop(0))
	must(t, c.Start(ctx, 0))
	if after := c.Node(0).Evidence(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("listed before the restart: %v, after it: %v", before, after)
	}
}

// The first proofs against a validator stay, and what is on the disk is believed only if it verifies.
func TestNode_evidence_isBounded_andVerifiedWhenRead(t *testing.T) {
	c, ctx := cluster(t, testframework.Options{Nodes: 4},
		testlog.Require("a validator signed votes that exclude each other"), testlog.Require("kept evidence does not verify"))
	for i := range 3 {
		must(t, c.Start(ctx, i))
	}
	l := newLiar(t, c, 3, c.Node(0).GenesisHash())
	for view := uint64(1 << 20); view < 1<<20+30; view++ {
		for range 2 {
			must(t, c.Node(0).ReceiveFrom(1, l.evidence(view)))
		}
	}
	list := lists(ctx, t, c, 0, 16)
	if len(list) != 16 || list[0].View != 1<<20 || list[15].View != 1<<20+15 {
		t.Fatalf("%d proofs, of views %d to %d, want the first 16", len(list), list[0].View, list[len(list)-1].View)
	}
	must(t, c.Stop(0))

	db, err := leveldb.OpenFile(filepath.Join(config.DataDir(c.Home(0)), "blocks.ldb"), nil)
	must(t, err)
	it := db.NewIterator(util.BytesPrefix([]byte("V")), nil)
	for spoiled := 0; it.Next() && spoiled < 3; spoiled++ {
		value := append([]byte(nil), it.Value()...)
		switch spoiled {
		case 0:
			value[len(value)-2] ^= 1 // a signature
		case 1:
			value = append(value[:8], "no message"...)
		case 2: // another message
			v := l.vote(consensus.Notarize, 9, 1)
			value = append(value[:8], consensus.EncodeMessage(&v)...)
		}
		must(t, db.Put(it.Key(), value, nil))
	}
	it.Release()
	must(t, db.Close())
	must(t, c.Start(ctx, 0))
	if list := c.Node(0).Evidence(); len(list) != 13 || list[0].View != 1<<20+3 {
		t.Errorf("%d proofs after three were spoiled, the first of view %d", len(list), list[0].View)
	}
	must(t, c.Node(0).ReceiveFrom(1, l.evidence(1<<20))) // there is room again
	lists(ctx, t, c, 0, 14)
}
