package pipeline_test

import (
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/pipeline"
)

func TestPipeline_executesAndCertifies(t *testing.T) {
	n := single(t)
	n.add(n.world.raw(t, 0, 0), n.world.raw(t, 0, 1), n.world.raw(t, 1, 0))
	order(n, []*node{n}, 100)
	head := n.awaitCertified(1)
	receipts, drops, err := n.store.Receipts(1)
	if err != nil || len(receipts) != 3 || len(drops) != 0 {
		t.Fatalf("%d receipts, %d drops, %v; want three receipts", len(receipts), len(drops), err)
	}
	if got := n.ledger.State.Account(common.Address{0xaa}).Balance; got.Uint64() != 3 {
		t.Errorf("recipient has %s wei, want 3", &got)
	}
	if got := n.pool.Stats().Pending; got != 0 {
		t.Errorf("%d transactions left in the pool", got)
	}
	if tip := <-n.executed; tip.Height != 1 || tip.Finalization == nil {
		t.Errorf("the engine was told of %+v", tip)
	}
	cert := n.pipeline.Certified()
	if cert == nil || cert.HeaderHash != head.Header.Hash() || cert.StateRoot != head.Header.Root {
		t.Errorf("certificate %+v does not name the head", cert)
	}
}

func TestPipeline_restart(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, n *node)
	}{
		{"graceful", func(*testing.T, *node) {}},
		{"abandoned", func(_ *testing.T, n *node) { n.pipeline.Abandon() }},
		{"derived databases deleted", func(t *testing.T, n *node) {
			n.close()
			for _, name := range []string{"state.ldb", "index.ldb"} {
				if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := single(t)
			for i := range uint64(20) {
				n.add(n.world.raw(t, 0, i))
				order(n, []*node{n}, 30)
			}
			before := n.awaitHeight(20)
			n.awaitCertified(19)
			tx := crypto.Keccak256Hash(n.world.raw(t, 0, 7))
			tc.spoil(t, n)
			n = n.restart(testlog.New(t))
			after := n.pipeline.Head()
			if after.Header.Hash() != before.Header.Hash() || n.ledger.State.Root() != before.Header.Root {
				t.Fatalf("restarted at %d with root %s, stopped at %d with %s", after.Height(), n.ledger.State.Root(), before.Height(), before.Header.Root)
			}
			if after.Certified < 19 {
				t.Errorf("certified %d is forgotten", after.Certified)
			}
			if at, err := n.store.Transaction(tx); err != nil || at.Height != 8 {
				t.Errorf("transaction of block 8 is found at %d: %v", at.Height, err)
			}
			n.add(n.world.raw(t, 0, 20))
			order(n, []*node{n}, 30)
			if got := n.awaitHeight(21).Header.GasUsed; got != 21000 {
				t.Errorf("block 21 used %d gas", got)
			}
		})
	}
}

func TestPipeline_deliveredTwice(t *testing.T) {
	n := single(t)
	b := order(n, []*node{n}, 60)
	n.awaitHeight(1)
	n.pipeline.Deliver([]consensus.FinalBlock{final(b)})
	n.parent = *b
	order(n, []*node{n}, 60)
	n.awaitHeight(2)
}

func TestPipeline_otherBlockAtAStoredHeight(t *testing.T) {
	n := single(t)
	b := *order(n, []*node{n}, 60)
	n.awaitHeight(1)
	b.Header.TimeMs++
	n.pipeline.Deliver([]consensus.FinalBlock{final(&b)})
	err := <-n.done
	if err == nil || !strings.Contains(err.Error(), "more than a third of the validators are faulty") {
		t.Errorf("got %v", err)
	}
	n.stop()
	n.stop = nil
	n.shut()
}

func TestPipeline_Build_continuesAncestors(t *testing.T) {
	n := single(t)
	n.add(n.world.raw(t, 0, 0))
	first, ok := n.next(&n.parent, nil, 60, false)
	if !ok {
		t.Fatal("nothing built")
	}
	if _, ok := n.next(first, []*consensus.Block{first}, 60, false); ok {
		t.Error("the same transaction is ordered twice")
	}
	n.add(n.world.raw(t, 0, 1))
	second, ok := n.next(first, []*consensus.Block{first}, 60, false)
	if !ok {
		t.Fatal("the sender's next nonce is not taken")
	}
	if v := n.pipeline.Judge(consensus.JudgeRequest{Block: second, Parent: first}); v != consensus.Valid {
		t.Errorf("judged %d", v)
	}
	n.pipeline.Deliver([]consensus.FinalBlock{final(first), final(second)})
	n.awaitHeight(2)
	if got := n.ledger.State.Account(n.world.address(0)).Nonce; got != 2 {
		t.Errorf("nonce %d after both, want 2", got)
	}
}

func TestPipeline_Build_stopsAtDmax(t *testing.T) {
	w := newWorld(t, 4) // three votes are missing: nothing is ever certified
	n := start(t, w, 0, t.TempDir(), newBoard(), testlog.New(t))
	for range w.genesis.Consensus.MaxOrderedAhead {
		order(n, []*node{n}, 60)
	}
	n.add(w.raw(t, 0, 0))
	b, ok := n.next(&n.parent, nil, 60, true)
	if !ok || len(b.Data) != 0 {
		t.Errorf("built %t with %d bytes of transactions beyond Dmax, want an empty block", ok, len(b.Data))
	}
	raw := w.raw(t, 0, 0)
	payload := ledger.EncodePayload(&ledger.Payload{TxHashes: []common.Hash{crypto.Keccak256Hash(raw)}})
	bad := n.block(&n.parent.Header, n.parent.Header.Hash(), n.parent.Header.TimeMs+1, payload, ledger.EncodeData([][]byte{raw}))
	n2 := start(t, w, 1, t.TempDir(), newBoard(), testlog.New(t, testlog.Require("blocks ahead of certified execution")))
	if v := n2.pipeline.Judge(consensus.JudgeRequest{Block: bad, Parent: &n.parent}); v != consensus.Invalid {
		t.Errorf("judged %d beyond Dmax, want invalid", v)
	}
}

func TestPipeline_Judge(t *testing.T) {
	w := newWorld(t, 1)
	good := w.raw(t, 0, 0)
	other, err := types.MustSignNewTx(w.accounts[0], types.LatestSignerForChainID(big.NewInt(1)), &types.LegacyTx{Gas: 21000, To: &common.Address{}}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	greedy := w.sign(t, 0, &types.LegacyTx{Gas: w.genesis.TxGasCap + 1, To: &common.Address{}})
	encode := func(p ledger.Payload, raws ...[]byte) []byte {
		for _, raw := range raws {
			p.TxHashes = append(p.TxHashes, crypto.Keccak256Hash(raw))
		}
		return ledger.EncodePayload(&p)
	}
	data := func(raws ...[]byte) []byte { return ledger.EncodeData(raws) }
	for _, tc := range []struct {
		name          string
		payload, data []byte
		want          consensus.Verdict
	}{
		{"empty", encode(ledger.Payload{}), nil, consensus.Valid},
		{"one transfer", encode(ledger.Payload{}, good), data(good), consensus.Valid},
		{"no data", encode(ledger.Payload{}, good), nil, consensus.Missing},
		{"other data", encode(ledger.Payload{}, good), data(w.raw(t, 0, 1)), consensus.Missing},
		{"data too many", encode(ledger.Payload{}, good), data(good, good), consensus.Missing},
		{"data without hashes", encode(ledger.Payload{}), data(good), consensus.Missing},
		{"garbage data", encode(ledger.Payload{}, good), []byte{1, 2, 3}, consensus.Missing},
		{"garbage payload", []byte("x"), nil, consensus.Invalid},
		{"duplicate", encode(ledger.Payload{}, good, good), data(good, good), consensus.Invalid},
		{"other chain", encode(ledger.Payload{}, other), data(other), consensus.Invalid},
		{"gas above the cap", encode(ledger.Payload{}, greedy), data(greedy), consensus.Invalid},
		{"watermark without certificate", encode(ledger.Payload{Watermark: 1}), nil, consensus.Invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var opts []testlog.Option
			if tc.want == consensus.Invalid {
				opts = append(opts, testlog.Require("invalid block proposed"))
			}
			n := start(t, w, 0, t.TempDir(), newBoard(), testlog.New(t, opts...))
			b := n.block(&n.parent.Header, n.pipeline.GenesisHash(), genesisMs+60, tc.payload, tc.data)
			if got := n.pipeline.Judge(consensus.JudgeRequest{Block: b}); got != tc.want {
				t.Errorf("judged %d, want %d", got, tc.want)
			}
		})
	}
}

func TestPipeline_certificates(t *testing.T) {
	w, board := newWorld(t, 4), newBoard()
	var nodes []*node
	for i := range 5 { // the last one has no vote
		nodes = append(nodes, start(t, w, i, t.TempDir(), board, testlog.New(t)))
	}
	for i := range uint64(6) {
		nodes[i%4].add(w.raw(t, 0, i))
		order(nodes[i%4], nodes, 60)
		for _, n := range nodes {
			n.awaitHeight(i + 1)
		}
	}
	for _, n := range nodes {
		n.awaitCertified(6)
	}
	b, _ := nodes[1].next(&nodes[1].parent, nil, 60, true)
	pl, err := ledger.DecodePayload(b.Payload)
	if err != nil || pl.Watermark != 6 || pl.Cert == nil {
		t.Errorf("the next payload has watermark %d and certificate %v (%v), want 6 with one", pl.Watermark, pl.Cert != nil, err)
	}
}

func TestPipeline_quarantine(t *testing.T) {
	w, board := newWorld(t, 4), newBoard()
	n := start(t, w, 0, t.TempDir(), board, testlog.New(t, testlog.Require("executed a block differently than a quorum")))
	order(n, []*node{n}, 60)
	head := n.awaitHeight(1)
	result := ledger.ExecResult{
		Height: 1, HeaderHash: common.Hash{1}, StateRoot: common.Hash{2}, ReceiptsRoot: head.Header.ReceiptHash,
		TimeMs: head.TimeMs, ValidatorSetHash: n.pipeline.Committee().Hash(), PendingSetHash: n.pipeline.Committee().Hash(),
	}
	for i := 1; i < 4; i++ {
		v := &ledger.ExecVote{ExecResult: result, Signer: uint16(i)}
		v.Sig = w.validators[i].Sign(v.Digest(chainID, n.pipeline.GenesisHash()))
		if err := n.pipeline.Receive(i, append([]byte{pipeline.FrameExecVote}, ledger.EncodeExecVote(v)...)); err != nil {
			t.Fatal(err)
		}
	}
	d := n.pipeline.Divergence() // at the latest when the executor, which has published, notes its result
	for deadline := time.Now().Add(patience); d == nil && time.Now().Before(deadline); d = n.pipeline.Divergence() {
		runtime.Gosched()
	}
	if d == nil || d.Height != 1 || d.Certified.HeaderHash != (common.Hash{1}) || d.Have.HeaderHash != head.Header.Hash() {
		t.Errorf("divergence %+v", d)
	}
	if got := n.pipeline.Head().Certified; got != 0 {
		t.Errorf("certified height %d follows the other branch", got)
	}
}

// TestPipeline_quarantine_stillWantsBlocks has a node follow a chain whose certificates it contradicts: it
// asks for a block when a transaction comes, although it is far ahead of every certificate of its own, and it
// is in quarantine again after a restart.
func TestPipeline_quarantine_stillWantsBlocks(t *testing.T) {
	w := newWorld(t, 4)
	n := start(t, w, 0, t.TempDir(), newBoard(), testlog.New(t, testlog.Require("executed a block differently than a quorum")))
	dmax := w.genesis.Consensus.MaxOrderedAhead
	for range dmax {
		order(n, []*node{n}, 60)
	}
	set := n.pipeline.Committee().Hash()
	result := ledger.ExecResult{Height: dmax, HeaderHash: common.Hash{1}, TimeMs: n.parent.Header.TimeMs, ValidatorSetHash: set, PendingSetHash: set}
	var votes []*ledger.ExecVote
	for i := 1; i < 4; i++ {
		v := &ledger.ExecVote{ExecResult: result, Signer: uint16(i)}
		v.Sig = w.validators[i].Sign(v.Digest(chainID, n.pipeline.GenesisHash()))
		votes = append(votes, v)
	}
	cert, err := ledger.NewExecCert(result, 4, votes)
	if err != nil {
		t.Fatal(err)
	}
	payload := ledger.EncodePayload(&ledger.Payload{Watermark: dmax, Cert: cert})
	n.deliver(n.block(&n.parent.Header, n.parent.Header.Hash(), n.parent.Header.TimeMs+60, payload, nil))
	n.awaitHeight(dmax + 1)
	n.add(w.raw(t, 0, 0))
	timeout := time.After(patience)
	for at := uint64(0); at == 0; {
		select {
		case at = <-n.demands:
		case <-timeout:
			t.Fatal("the transaction asks for no block")
		}
	}
	if again := n.restart(testlog.New(t, testlog.Require("executed a block differently than a quorum"))); again.pipeline.Divergence() == nil {
		t.Error("a restart ends the quarantine")
	}
}

// A block is wanted at once by the clock that blocks go by, which may be behind the machine's.
func TestPipeline_demand_byTheClockOfBlocks(t *testing.T) {
	n := single(t)
	n.shift.Store(int64(-30 * time.Second))
	n.add(n.world.raw(t, 0, 0))
	timeout := time.After(patience)
	for {
		select {
		case at := <-n.demands:
			if at == 0 {
				continue
			}
			if now := uint64(n.Wall().UnixMilli()); at > now {
				t.Errorf("a block is wanted in %d ms, want at once", at-now)
			}
			return
		case <-timeout:
			t.Fatal("the transaction asks for no block")
		}
	}
}
