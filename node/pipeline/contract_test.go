package pipeline_test

import (
	"bytes"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/pipeline"
)

// stage is a contract that does what its calldata says, and the topic under which it logs each call.
type stage struct {
	code    []byte
	address common.Address
}

var played = common.Hash{31: 0x77}

// newStage deploys the contract in block 1 and calls it in the blocks up to height. The call of block n stores n
// in slot n%7 and logs it.
func newStage(t *testing.T, n *node, height uint64) *stage {
	t.Helper()
	code, err := os.ReadFile("../../ledger/exec/testdata/puppet.wasm")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{code: code, address: crypto.CreateAddress(n.world.address(0), 0)}
	n.add(n.world.sign(t, 0, &types.LegacyTx{Gas: 30_000_000, Data: code, GasPrice: new(big.Int)}))
	order(n, []*node{n}, 30)
	for h := uint64(2); h <= height; h++ {
		n.add(s.call(t, n, h))
		order(n, []*node{n}, 30)
	}
	n.awaitHeight(height)
	return s
}

// call signs the call that is for block h.
func (s *stage) call(t *testing.T, n *node, h uint64) []byte {
	slot, value := common.BigToHash(new(big.Int).SetUint64(h%7)), common.BigToHash(new(big.Int).SetUint64(h))
	script := slices.Concat([]byte{'S'}, slot[:], value[:], []byte{'L', 1, 0, 32}, played[:], value[:])
	return n.world.sign(t, 0, &types.LegacyTx{Nonce: h - 1, Gas: 1_000_000, To: &s.address, Data: script, GasPrice: new(big.Int)})
}

// check holds what a node knows of the contract against the calls up to height.
func (s *stage) check(t *testing.T, n *node, height uint64) {
	t.Helper()
	account := n.ledger.State.Account(s.address)
	if code, err := n.store.Code(account.CodeHash); err != nil || !bytes.Equal(code, s.code) {
		t.Errorf("the code has %d bytes, %v; want %d", len(code), err, len(s.code))
	}
	activation, err := ledger.DecodeActivation(n.ledger.State.Value(ledger.CodeKey(account.CodeHash)))
	if err != nil || activation.ModuleBytes != uint32(len(s.code)) {
		t.Errorf("activation %+v, %v; want a module of %d bytes", activation, err, len(s.code))
	}
	var want []uint64
	for h := uint64(2); h <= height; h++ {
		want = append(want, h)
	}
	for slot := range uint64(7) {
		last := height - (height+7-slot)%7
		got := n.ledger.State.Storage(s.address, common.BigToHash(new(big.Int).SetUint64(slot)))
		if got.Big().Uint64() != last {
			t.Errorf("slot %d is %s, want %d", slot, got, last)
		}
	}
	query := store.LogQuery{Addresses: []common.Address{s.address}, Topics: [][]common.Hash{{played}}}
	if got, err := n.store.LogBlocks(query, 0, height); err != nil || !slices.Equal(got, want) {
		t.Errorf("logs are in the blocks %d, %v; want %d", got, err, want)
	}
	receipts, _, err := n.store.Receipts(height)
	if err != nil || len(receipts) != 1 || receipts[0].Status != 1 || len(receipts[0].Logs) != 1 {
		t.Fatalf("receipts of block %d are %+v, %v", height, receipts, err)
	}
	if l := receipts[0].Logs[0]; !query.Matches(l) || new(big.Int).SetBytes(l.Data).Uint64() != height || l.TxHash != receipts[0].TxHash {
		t.Errorf("the log of block %d is %+v", height, l)
	}
}

func TestPipeline_restart_withContracts(t *testing.T) {
	remove := func(names ...string) func(*testing.T, *node) {
		return func(t *testing.T, n *node) {
			n.close()
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, n *node)
	}{
		{"graceful", func(*testing.T, *node) {}},
		{"abandoned", func(_ *testing.T, n *node) { n.pipeline.Abandon() }},
		{"state deleted", remove("state.ldb", "index.ldb")},
		{"index deleted", remove("index.ldb")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := single(t)
			s := newStage(t, n, 20)
			s.check(t, n, 20)
			root := n.ledger.State.Root()
			tc.spoil(t, n)
			n = n.restart(testlog.New(t))
			if got := n.ledger.State.Root(); got != root {
				t.Fatalf("the root is %s, was %s", got, root)
			}
			s.check(t, n, 20)
			n.add(s.call(t, n, 21))
			order(n, []*node{n}, 30)
			n.awaitHeight(21)
			s.check(t, n, 21)
		})
	}
}

// TestRecover_codeIsNotThere: a state without the code of one of its activations is refused, and made again once it
// is out of the way.
func TestRecover_codeIsNotThere(t *testing.T) {
	for name, spoil := range map[string]func(db *leveldb.DB, key []byte) error{
		"lost":    func(db *leveldb.DB, key []byte) error { return db.Delete(key, nil) },
		"damaged": func(db *leveldb.DB, key []byte) error { return db.Put(key, []byte("\x00asm"), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			n := single(t)
			s := newStage(t, n, 9)
			n.close()
			path := filepath.Join(n.dir, "state.ldb")
			db, err := leveldb.OpenFile(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			hash := crypto.Keccak256(s.code)
			if err := errors.Join(spoil(db, append([]byte{'K'}, hash...)), db.Close()); err != nil {
				t.Fatal(err)
			}
			log := testlog.New(t, testlog.Expect("moved aside"))
			if _, err := open(t, n.world, n.index, n.dir, n.board, log); !errors.Is(err, pipeline.ErrState) {
				t.Fatalf("got %v, want %v", err, pipeline.ErrState)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			n = start(t, n.world, n.index, n.dir, n.board, log)
			s.check(t, n, 9)
		})
	}
}
