package pipeline_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/pipeline"
)

// Nobody signs the data beside a payload, so a block whose payload was seen before proves nothing about
// the data that comes with it now: accepted, it would be stored, and no node could execute it again.
func TestPipeline_Judge_otherDataForAKnownPayload(t *testing.T) {
	for _, tc := range []struct {
		name string
		txs  uint64
	}{{"with transactions", 2}, {"empty", 0}} {
		t.Run(tc.name, func(t *testing.T) {
			n := single(t)
			for nonce := range tc.txs {
				n.add(n.world.raw(t, 0, nonce))
			}
			b, ok := n.next(&n.parent, nil, 60, true)
			if !ok {
				t.Fatal("nothing built")
			}
			if v := n.pipeline.Judge(consensus.JudgeRequest{Block: b}); v != consensus.Valid {
				t.Fatalf("judged %d", v)
			}
			for _, data := range [][]byte{nil, {1, 2, 3}, append([]byte{0}, b.Data...)} {
				if string(data) == string(b.Data) {
					continue
				}
				h := b.Header
				again := n.block(&h, h.Hash(), h.TimeMs+60, b.Payload, data)
				if v := n.pipeline.Judge(consensus.JudgeRequest{Block: again, Parent: b}); v != consensus.Missing {
					t.Errorf("judged %d with %d other bytes of data, want missing", v, len(data))
				}
			}
		})
	}
}

// Rebuilding the state of a chain that was mostly idle must not hold all its blocks in memory.
func TestPipeline_restart_emptyBlocksAreFlushed(t *testing.T) {
	n := single(t)
	const blocks = 1100
	for range blocks {
		b, ok := n.next(&n.parent, nil, 60, true)
		if !ok {
			t.Fatal("a forced block was not built")
		}
		n.deliver(b)
		select {
		case <-n.executed:
		default:
		}
	}
	n.awaitHeight(blocks)
	n.close()
	for _, name := range []string{"state.ldb", "index.ldb"} {
		if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	n = start(t, n.world, 0, n.dir, n.board, testlog.New(t))
	if m, ok := n.store.StateMarker(); !ok || m.LastHeight != blocks || m.FirstHeight == 1 {
		t.Errorf("the state was flushed in one piece: %+v", m)
	}
}

// A chain without heartbeats must still get the certificate of its last block after a restart.
func TestPipeline_restart_tailIsWanted(t *testing.T) {
	n := single(t)
	order(n, []*node{n}, 60)
	b := order(n, []*node{n}, 1) // in the same slot: nobody signs it
	n.awaitHeight(2)
	n = n.restart(testlog.New(t))
	select {
	case at := <-n.demands:
		if at <= b.Header.TimeMs || at > b.Header.TimeMs+50 {
			t.Errorf("a block is wanted at %d, want the slot after %d", at, b.Header.TimeMs)
		}
	case <-time.After(patience):
		t.Fatal("no block is wanted, so that the last one is never certified")
	}
	if _, ok := n.next(&n.parent, nil, 50, false); !ok {
		t.Error("the block was not built")
	}
}

// While validators disagree about execution, empty blocks go on and none is certified: for days, perhaps.
func TestPipeline_certificates_noneForLong(t *testing.T) {
	w := newWorld(t, 4)
	n := start(t, w, 0, t.TempDir(), newBoard(), testlog.New(t))
	const blocks = 600
	for range blocks {
		b, ok := n.next(&n.parent, nil, 60, true)
		if !ok {
			t.Fatal("a forced block was not built")
		}
		n.deliver(b)
		select {
		case <-n.executed:
		default:
		}
	}
	n.awaitHeight(blocks)
	for h := uint64(1); h <= blocks+300; h++ { // whatever a faulty validator signs
		v := &ledger.ExecVote{ExecResult: ledger.ExecResult{Height: h, ValidatorSetHash: n.pipeline.Committee().Hash()}, Signer: 1}
		v.Sig = w.validators[1].Sign(v.Digest(chainID, n.pipeline.GenesisHash()))
		if err := n.pipeline.Receive(1, append([]byte{pipeline.FrameExecVote}, ledger.EncodeExecVote(v)...)); err != nil {
			t.Fatal(err)
		}
	}
	if others, own := n.pipeline.VotesHeld(); others > 3*256 || own > 256 {
		t.Errorf("%d votes and %d own ones are held after %d blocks", others, own, blocks)
	}
}
