package pipeline_test

import (
	"bytes"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
)

// counter is a module that adds one to its slot 0 and logs nothing; WebAssembly text of it:
//
//	(module (import "vm_hooks" "storage_load_bytes32" (func $load (param i32 i32)))
//	  (import "vm_hooks" "storage_cache_bytes32" (func $cache (param i32 i32)))
//	  (import "vm_hooks" "storage_flush_cache" (func $flush (param i32)))
//	  (memory (export "memory") 1)
//	  (func (export "user_entrypoint") (param i32) (result i32)
//	    (call $load (i32.const 0) (i32.const 32))
//	    (i32.store8 (i32.const 63) (i32.add (i32.load8_u (i32.const 63)) (i32.const 1)))
//	    (call $cache (i32.const 0) (i32.const 32))
//	    (call $flush (i32.const 0))
//	    (i32.const 0)))
var counter = assemble(
	section(1, 3, fn("\x7f\x7f", ""), fn("\x7f", ""), fn("\x7f", "\x7f")),
	section(2, 3, hook("storage_load_bytes32", 0), hook("storage_cache_bytes32", 0), hook("storage_flush_cache", 1)),
	section(3, 1, "\x02"),
	section(5, 1, "\x00\x01"),
	section(7, 2, name("memory")+"\x02\x00", name("user_entrypoint")+"\x00\x03"),
	section(10, 1, sized("\x00"+
		"\x41\x00\x41\x20\x10\x00"+ // load
		"\x41\x3f\x41\x3f\x2d\x00\x00\x41\x01\x6a\x3a\x00\x00"+ // add
		"\x41\x00\x41\x20\x10\x01"+ // cache
		"\x41\x00\x10\x02"+ // flush
		"\x41\x00\x0b")),
)

func assemble(sections ...string) []byte {
	module := "\x00asm\x01\x00\x00\x00"
	for _, s := range sections {
		module += s
	}
	return []byte(module)
}

// section is a vector in a section of less than 128 bytes.
func section(id, count byte, items ...string) string {
	content := string(count)
	for _, item := range items {
		content += item
	}
	return string(id) + sized(content)
}

func sized(s string) string { return string([]byte{byte(len(s))}) + s }

func name(s string) string { return sized(s) }

func fn(params, results string) string { return "\x60" + sized(params) + sized(results) }

func hook(function string, kind byte) string {
	return name("vm_hooks") + name(function) + "\x00" + string(kind)
}

// TestPipeline_contracts deploys a contract, calls it in the same block and later, and finds code, storage and
// root again after a restart, after a crash, and when they are made from the blocks.
func TestPipeline_contracts(t *testing.T) {
	n := single(t)
	w := n.world
	at := crypto.CreateAddress(w.address(0), 0)
	call := func(nonce uint64) []byte {
		return w.sign(t, 0, &types.LegacyTx{Nonce: nonce, Gas: 200_000, To: &at, GasPrice: new(big.Int)})
	}
	check := func(n *node, count byte) {
		t.Helper()
		account := n.ledger.State.Account(at)
		if account.CodeHash != crypto.Keccak256Hash(counter) {
			t.Fatalf("the contract's account is %+v", account)
		}
		if code, err := n.store.Code(account.CodeHash); err != nil || !bytes.Equal(code, counter) {
			t.Errorf("%d bytes of code, %v", len(code), err)
		}
		if got := n.ledger.State.Storage(at, common.Hash{}); got != (common.Hash{31: count}) {
			t.Errorf("the count is %s, want %d", got, count)
		}
		if n.ledger.State.Value(ledger.CodeKey(account.CodeHash)) == nil {
			t.Error("the code has no activation")
		}
	}
	n.add(w.sign(t, 0, &types.LegacyTx{Nonce: 0, Gas: 5_000_000, GasPrice: new(big.Int), Data: counter}), call(1))
	order(n, []*node{n}, 100)
	n.awaitHeight(1)
	receipts, drops, err := n.store.Receipts(1)
	if err != nil || len(drops) != 0 || len(receipts) != 2 || receipts[0].Status != 1 || receipts[1].Status != 1 || receipts[0].ContractAddress != at {
		t.Fatalf("receipts %+v, drops %v, %v", receipts, drops, err)
	}
	check(n, 1)
	height, count := uint64(1), byte(1)
	for _, tc := range []struct {
		name  string
		spoil func(n *node)
	}{
		{"restart", func(*node) {}},
		{"crash", func(n *node) { n.pipeline.Abandon() }},
		{"derived databases deleted", func(n *node) {
			n.close()
			for _, name := range []string{"state.ldb", "index.ldb"} {
				if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		root := n.ledger.State.Root()
		tc.spoil(n)
		n = n.restart(testlog.New(t))
		if got := n.ledger.State.Root(); got != root {
			t.Fatalf("%s: root %s, was %s", tc.name, got, root)
		}
		check(n, count)
		height, count = height+1, count+1
		n.add(call(uint64(count)))
		order(n, []*node{n}, 100)
		n.awaitHeight(height)
		check(n, count)
	}
}
