package pipeline_test

import (
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
)

// A faulty leader may order any signed transaction, at any place and as often as it likes: what does not
// fit is dropped, and nothing else suffers.
func TestPipeline_faultyLeadersTransactions(t *testing.T) {
	n := single(t)
	w := n.world
	propose := func(raws ...[]byte) {
		t.Helper()
		var p ledger.Payload
		for _, raw := range raws {
			p.TxHashes = append(p.TxHashes, crypto.Keccak256Hash(raw))
		}
		hash := n.parent.Header.Hash()
		if n.parent.Header.Height == 0 {
			hash = n.pipeline.GenesisHash()
		}
		b := n.block(&n.parent.Header, hash, n.parent.Header.TimeMs+60, ledger.EncodePayload(&p), ledger.EncodeData(raws))
		req := consensus.JudgeRequest{Block: b}
		if v := n.pipeline.Judge(req); v != consensus.Valid {
			t.Fatalf("block %d judged %d", b.Header.Height, v)
		}
		n.deliver(b)
		n.awaitHeight(b.Header.Height)
	}
	poor := w.sign(t, 1, &types.LegacyTx{Nonce: 0, Gas: 21000, To: &common.Address{0xaa}, Value: new(big.Int).Lsh(big.NewInt(1), 100), GasPrice: new(big.Int)})
	large := w.sign(t, 2, &types.LegacyTx{Nonce: 0, Gas: 1_000_000, GasPrice: new(big.Int), Data: make([]byte, ledger.MaxInitCodeBytes+1)})
	weak := w.sign(t, 2, &types.LegacyTx{Nonce: 0, Gas: 20_999, To: &common.Address{0xaa}, GasPrice: new(big.Int)})
	n.add(w.raw(t, 0, 0), w.raw(t, 0, 1), w.raw(t, 0, 2), w.raw(t, 1, 0))
	propose(w.raw(t, 0, 2), w.raw(t, 0, 0), poor, large, weak) // a gap, one that fits, and what never will
	propose(w.raw(t, 0, 0), w.raw(t, 0, 2))                    // executed before, and the gap again
	propose(w.raw(t, 0, 1), w.raw(t, 0, 2), w.raw(t, 1, 0))    // all fit
	propose(w.raw(t, 0, 1), w.raw(t, 0, 2), w.raw(t, 1, 0))    // all executed before
	want := map[uint64][2]int{1: {1, 4}, 2: {0, 2}, 3: {3, 0}, 4: {0, 3}}
	check := func(n *node) {
		t.Helper()
		for height, counts := range want {
			receipts, drops, err := n.store.Receipts(height)
			if err != nil || len(receipts) != counts[0] || len(drops) != counts[1] {
				t.Errorf("block %d has %d receipts and %d drops (%v), want %v", height, len(receipts), len(drops), err, counts)
			}
		}
		for _, tc := range []struct {
			raw    []byte
			height uint64
		}{{w.raw(t, 0, 0), 1}, {w.raw(t, 0, 1), 3}, {w.raw(t, 0, 2), 3}, {w.raw(t, 1, 0), 3}} {
			if at, err := n.store.Transaction(crypto.Keccak256Hash(tc.raw)); err != nil || at.Height != tc.height || at.Dropped != 0 {
				t.Errorf("a transaction executed in block %d is found in %+v: %v", tc.height, at, err)
			}
		}
	}
	n.awaitCertified(4) // the pool has been told by then
	check(n)
	if s := n.pool.Stats(); s.Pending != 0 || s.Queued != 0 {
		t.Errorf("the pool keeps %+v", s)
	}
	before := n.pipeline.Head().Header.Hash()
	n = n.restart(testlog.New(t))
	check(n)
	n.close()
	for _, name := range []string{"state.ldb", "index.ldb"} {
		if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	n = start(t, w, 0, n.dir, n.board, testlog.New(t))
	check(n)
	if got := n.pipeline.Head().Header.Hash(); got != before {
		t.Errorf("the rebuilt head is %s, was %s", got, before)
	}
}
