package rpc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/vm"
)

// explored is a chain with a bit of everything that an explorer shows.
type explored struct {
	*chain
	contract       common.Address
	created        common.Hash
	paid, reverted common.Hash
	trapped        common.Hash
	block          *types.Header // with six transactions
}

func newExplored(t *testing.T) *explored {
	x := &explored{chain: newChain(t, nil)}
	tx := decoded(t, sign(t, alice, &types.LegacyTx{Gas: 10_000_000, Data: creation(t, 7)}))
	x.created = tx.Hash()
	x.execute(tx)
	x.contract = crypto.CreateAddress(addr(alice), 0)
	x.execute()
	txs := []*types.Transaction{pay(t, bob, 0, 0), pay(t, bob, 1, 1)}
	paid, reverted, trapped := x.to(0, &x.contract, 3, probing('c', x.contract[:], probing('e', []byte{1}))), x.to(1, &x.contract, 0, probing('r', reasonOf("no"))), x.to(2, &x.contract, 0, probing('t'))
	x.paid, x.reverted, x.trapped = paid.Hash(), reverted.Hash(), trapped.Hash()
	x.block = x.execute(decoded(t, txs[0]), paid, decoded(t, txs[1]), reverted, trapped, x.to(3, new(addr(carol)), 9, nil)).Header
	x.execute()
	return x
}

func TestServer_otterscan_transactions(t *testing.T) {
	x := newExplored(t)
	if got := x.result("ots_getApiLevel"); got != "8" {
		t.Errorf("got %s", got)
	}
	for _, tc := range []struct {
		name, method string
		params       []any
		want         string
	}{
		{"error", "ots_getTransactionError", []any{x.reverted}, `"` + hexutil.Encode(reasonOf("no")) + `"`},
		{"no error", "ots_getTransactionError", []any{x.paid}, `"0x"`},
		{"trap", "ots_getTransactionError", []any{x.trapped}, `"0x"`},
		{"no operations", "ots_getInternalOperations", []any{x.paid}, `[]`},
		{"contract", "ots_hasCode", []any{x.contract, "latest"}, `true`},
		{"not before", "ots_hasCode", []any{x.contract, "0x0"}, `false`},
		{"no contract", "ots_hasCode", []any{addr(alice), "latest"}, `false`},
		{"creator", "ots_getContractCreator", []any{x.contract}, fmt.Sprintf(`{"hash":"%s","creator":"%s"}`, x.created.Hex(), strings.ToLower(addr(alice).Hex()))},
		{"no creator", "ots_getContractCreator", []any{addr(alice)}, `null`},
		{"nonce", "ots_getTransactionBySenderAndNonce", []any{addr(alice), 0}, `"` + x.created.Hex() + `"`},
		{"nonce in hex", "ots_getTransactionBySenderAndNonce", []any{addr(alice), "0x1"}, `"` + x.paid.Hex() + `"`},
		{"second of a block", "ots_getTransactionBySenderAndNonce", []any{addr(bob), 1}, `"` + pay(t, bob, 1, 1).Hash().Hex() + `"`},
		{"next nonce", "ots_getTransactionBySenderAndNonce", []any{addr(alice), 5}, `null`},
		{"nonce of a contract", "ots_getTransactionBySenderAndNonce", []any{x.contract, 0}, `null`},
		{"nobody", "ots_getTransactionBySenderAndNonce", []any{common.Address{1}, 0}, `null`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := x.result(tc.method, tc.params...); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	var entries []struct {
		Type     string
		Depth    int
		From, To common.Address
		Value    *hexutil.Big
		Input    hexutil.Bytes
		Output   hexutil.Bytes
	}
	must(t, json.Unmarshal([]byte(x.result("ots_traceTransaction", x.paid)), &entries))
	if len(entries) != 2 || entries[0].Type != "CALL" || entries[0].Depth != 0 || entries[0].Value.ToInt().Int64() != 3 || entries[1].Depth != 1 ||
		entries[1].From != x.contract || entries[1].To != x.contract || string(entries[1].Output) != "\x01" || entries[1].Value.ToInt().Sign() != 0 {
		t.Errorf("got %+v", entries)
	}
	for _, method := range []string{"ots_traceTransaction", "ots_getInternalOperations", "ots_getTransactionError"} {
		if a := x.call(method, common.Hash{1}); a.Error == nil || a.Error.Message != "transaction not found" {
			t.Errorf("%s: %s %+v", method, a.Result, a.Error)
		}
	}
}

func TestServer_otterscan_blocks(t *testing.T) {
	x := newExplored(t)
	number := x.block.Number.Uint64()
	var d struct {
		Block     map[string]any
		Issuance  map[string]string
		TotalFees string
	}
	raw := x.result("ots_getBlockDetails", number)
	must(t, json.Unmarshal([]byte(raw), &d))
	_, has := d.Block["transactions"]
	if d.Block["transactionCount"] != 6.0 || has || d.Block["logsBloom"] != nil || d.Block["hash"] != x.block.Hash().Hex() || d.TotalFees != "0x0" ||
		d.Issuance["blockReward"] != "0x0" || d.Issuance["uncleReward"] != "0x0" || d.Issuance["issuance"] != "0x0" {
		t.Errorf("got %s", raw)
	}
	for method, param := range map[string]any{"ots_getBlockDetailsByHash": x.block.Hash(), "ots_getBlockDetails": hexutil.Uint64(number)} {
		if got := x.result(method, param); got != raw {
			t.Errorf("%s: %s", method, got)
		}
	}
	header, err := json.Marshal(d.Block)
	must(t, err)
	var h map[string]any
	must(t, json.Unmarshal([]byte(x.result("erigon_getHeaderByNumber", number)), &h))
	if again, err := json.Marshal(h); err != nil || string(again) != string(header) {
		t.Errorf("got %s, want %s", again, header)
	}
	for _, params := range [][]any{{"ots_getBlockDetails", 99}, {"ots_getBlockDetailsByHash", common.Hash{1}}, {"ots_getBlockTransactions", 99, 0, 25}, {"erigon_getHeaderByNumber", "0x63"}} {
		if got := x.result(params[0].(string), params[1:]...); got != "null" {
			t.Errorf("%v: %s", params, got)
		}
	}
	hashes := x.fields("eth_getBlockByNumber", hexutil.Uint64(number), false)["transactions"].([]any)
	for page, want := range map[int][]any{0: hashes[2:], 1: hashes[:2], 2: {}, 1 << 40: {}} {
		var got struct {
			Fullblock struct {
				Transactions     []map[string]any
				TransactionCount int
			}
			Receipts []map[string]any
		}
		must(t, json.Unmarshal([]byte(x.result("ots_getBlockTransactions", number, page, 4)), &got))
		if len(got.Fullblock.Transactions) != len(want) || len(got.Receipts) != len(want) || got.Fullblock.TransactionCount != 6 {
			t.Fatalf("page %d: %+v", page, got)
		}
		for i, tx := range got.Fullblock.Transactions {
			r := got.Receipts[i]
			if tx["hash"] != want[i] || r["transactionHash"] != want[i] || len(tx["input"].(string)) > 10 || r["logs"] != nil || r["logsBloom"] != nil {
				t.Errorf("page %d, %d: %v %v", page, i, tx, r)
			}
		}
	}
	for _, bad := range [][]any{{number, 0, 0}, {number, 0, 101}, {-1, 0, 25}, {1.5, 0, 25}, {"0xffffffffffffffffff", 0, 25}} {
		if a := x.call("ots_getBlockTransactions", bad...); a.Error == nil || a.Error.Code != -32602 {
			t.Errorf("%v: %s %+v", bad, a.Result, a.Error)
		}
	}
}

func TestServer_otterscan_search(t *testing.T) {
	x := newExplored(t)
	type page struct {
		Txs                 []struct{ Hash common.Hash }
		Receipts            []map[string]any
		FirstPage, LastPage bool
	}
	for _, tc := range []struct {
		name, method string
		address      common.Address
		at, size     int
		want         string // hashes by their block and index
		first, last  bool
	}{
		{"all of alice", "Before", addr(alice), 0, 25, "3.5 3.4 3.3 3.1 1.0", true, true},
		{"a page ends with its block", "Before", addr(alice), 0, 2, "3.5 3.4 3.3 3.1", true, false},
		{"the next page", "Before", addr(alice), 3, 2, "1.0", false, true},
		{"exactly a page", "Before", addr(alice), 0, 4, "3.5 3.4 3.3 3.1", true, false},
		{"a contract", "Before", x.contract, 0, 25, "3.4 3.3 3.1 1.0", true, true},
		{"a recipient", "Before", addr(carol), 0, 25, "3.5", true, true},
		{"nobody", "Before", common.Address{1}, 0, 25, "", true, true},
		{"before the first block", "Before", addr(alice), 1, 25, "", false, true},
		{"above the head", "Before", addr(carol), 99, 25, "3.5", true, true},
		{"from the genesis", "After", addr(alice), 0, 1, "1.0", false, true},
		{"the last page upwards", "After", addr(alice), 1, 25, "3.5 3.4 3.3 3.1", true, false},
		{"all upwards", "After", addr(alice), 0, 25, "3.5 3.4 3.3 3.1 1.0", true, true},
		{"after the head", "After", addr(alice), 4, 25, "", true, false},
		{"far after the head", "After", addr(alice), 1 << 40, 25, "", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got page
			must(t, json.Unmarshal([]byte(x.result("ots_searchTransactions"+tc.method, tc.address, tc.at, tc.size)), &got))
			var at []string
			for i, tx := range got.Txs {
				r := got.Receipts[i]
				var height, index hexutil.Uint64
				must(t, height.UnmarshalText([]byte(r["blockNumber"].(string))))
				must(t, index.UnmarshalText([]byte(r["transactionIndex"].(string))))
				if r["transactionHash"] != tx.Hash.Hex() || r["timestamp"] == nil || r["logs"] != nil {
					t.Errorf("receipt %v of %s", r, tx.Hash)
				}
				at = append(at, fmt.Sprintf("%d.%d", height, index))
			}
			if strings.Join(at, " ") != tc.want || got.FirstPage != tc.first || got.LastPage != tc.last || got.Txs == nil || got.Receipts == nil {
				t.Errorf("got %v, first %t, last %t", at, got.FirstPage, got.LastPage)
			}
		})
	}
	if a := x.call("ots_searchTransactionsBefore", addr(alice), 0, 1000); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("got %s %+v", a.Result, a.Error)
	}
}

// What is older than the kept states is found by looking through blocks, or an error says what is missing.
func TestServer_otterscan_old(t *testing.T) {
	x := newExplored(t)
	inner := x.creating(t)
	for range 300 {
		x.execute()
	}
	if got := x.result("ots_getTransactionBySenderAndNonce", addr(alice), 0); got != `"`+x.created.Hex()+`"` {
		t.Errorf("got %s", got)
	}
	if got := x.result("ots_getTransactionBySenderAndNonce", x.contract, 0); got != "null" {
		t.Errorf("got %s", got)
	}
	if got := x.result("ots_getContractCreator", x.contract); !strings.Contains(got, x.created.Hex()) {
		t.Errorf("got %s", got)
	}
	if a := x.call("ots_getContractCreator", inner); a.Error == nil || !strings.Contains(a.Error.Message, "was created by another one, before block") {
		t.Errorf("got %s %+v", a.Result, a.Error)
	}
	for _, method := range []string{"ots_traceTransaction", "ots_getInternalOperations"} {
		if a := x.call(method, x.paid); a.Error == nil || !strings.Contains(a.Error.Message, "historical state is not available") {
			t.Errorf("%s: %s %+v", method, a.Result, a.Error)
		}
	}
}

// A search that takes too long says where it has to go on, and how.
func TestServer_otterscan_unsearched(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.CallTimeout = time.Nanosecond })
	for i := range uint64(3) {
		c.execute(decoded(t, pay(t, alice, i, 0)))
	}
	for range 300 {
		c.execute()
	}
	for _, tc := range []struct {
		method   string
		params   []any
		text     string
		from, to string
	}{
		{"ots_searchTransactionsBefore", []any{addr(alice), 0, 25}, "a transaction of " + addr(alice).Hex() + " was not found in the blocks 303 to 303", "0x0", "0x12e"},
		{"ots_searchTransactionsAfter", []any{addr(bob), 4, 25}, "a transaction of " + addr(bob).Hex() + " was not found in the blocks 5 to 5", "0x6", "0x12f"},
		{"ots_getTransactionBySenderAndNonce", []any{addr(alice), 1}, "transaction 1 of " + addr(alice).Hex() + " was not found", "0x1", "0x2f"},
	} {
		a := c.call(tc.method, tc.params...)
		want := fmt.Sprintf(`{"from":%q,"to":%q}`, tc.from, tc.to)
		if a.Error == nil || a.Error.Code != -32005 || !strings.HasPrefix(a.Error.Message, tc.text) || string(a.Error.Data) != want {
			t.Errorf("%s: %s %+v %s, want %s", tc.method, a.Result, a.Error, a.Error.Data, want)
		}
	}
	// What was found is a page, though not the last one.
	if got := c.fields("ots_searchTransactionsBefore", addr(alice), 4, 25); len(got["txs"].([]any)) != 1 || got["lastPage"] != false {
		t.Errorf("got %v", got)
	}
}

// creating makes a contract that creates another, calls it and returns the inner one's address.
func (x *explored) creating(t *testing.T) common.Address {
	t.Helper()
	factory := crypto.CreateAddress(addr(alice), x.state.Account(addr(alice)).Nonce)
	code, err := vm.Pack(storm)
	must(t, err)
	if r := x.do(nil, 10_000_000, code); r["status"] != "0x1" {
		t.Fatalf("got %v", r)
	}
	inner := crypto.CreateAddress(factory, 1)
	r := x.do(&factory, 20_000_000, append([]byte{'n'}, creation(t, 5)...))
	if r["status"] != "0x1" || x.result("ots_hasCode", inner, "latest") != "true" {
		t.Fatalf("got %v", r)
	}
	want := fmt.Sprintf(`{"hash":"%s","creator":"%s"}`, r["transactionHash"], strings.ToLower(factory.Hex()))
	if got := x.result("ots_getContractCreator", inner); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want = fmt.Sprintf(`[{"type":2,"from":"%s","to":"%s","value":"0x0"}]`, strings.ToLower(factory.Hex()), strings.ToLower(inner.Hex()))
	if got := x.result("ots_getInternalOperations", r["transactionHash"]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	return inner
}
