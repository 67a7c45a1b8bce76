package rpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// question is a call whose answer must have a shape.
type question struct {
	method string
	params []any
	want   shape
	// refused is the code of the error that is the right answer; 0 for a result.
	refused int
}

// shown is a chain with at least one of everything that an answer shows.
type shown struct {
	*chain
	contract              common.Address
	created, called       common.Hash // transactions
	typed                 [3]common.Hash
	queued                common.Hash
	block                 common.Hash // with the three types
	filter, blocks, spare string      // ids
}

func newShown(t *testing.T) *shown {
	x := &shown{chain: newChain(t, nil)}
	x.contract = x.deploy(7)
	x.created = x.parent.Hash()
	for _, id := range []struct {
		into   *string
		method string
		params []any
	}{{&x.filter, "eth_newFilter", []any{map[string]any{"fromBlock": "0x0", "address": x.contract}}}, {&x.blocks, "eth_newBlockFilter", nil}, {&x.spare, "eth_newPendingTransactionFilter", nil}} {
		must(t, json.Unmarshal([]byte(x.result(id.method, id.params...)), id.into))
	}
	x.called = common.HexToHash(x.do(&x.contract, 1_000_000, probing('v', []byte{2}, word(1), word(2), []byte("data")))["transactionHash"].(string))
	nonce := x.state.Account(addr(alice)).Nonce
	var txs [3]*types.Transaction
	for kind := range txs {
		txs[kind] = pay(t, alice, nonce+uint64(kind), byte(kind))
		x.typed[kind] = txs[kind].Hash()
	}
	x.block = x.execute(decoded(t, txs[0]), decoded(t, txs[1]), decoded(t, txs[2])).Header.Hash()
	x.certify()
	queued, pending := pay(t, bob, 3, 2), pay(t, bob, 0, 1)
	x.result("eth_sendRawTransaction", raw(t, queued))
	x.result("eth_sendRawTransaction", raw(t, pending))
	x.queued = queued.Hash()
	return x
}

// questions ask every eth_ method, and those of net_, web3_ and txpool_. Who adds an eth_ method adds a
// question: [TestServer_answersHaveTheirShape] counts.
func (x *shown) questions(t *testing.T, s *shapes) []question {
	unknown := common.Hash{1}
	orNull := func(is shape) shape { return either(is, s.null) }
	call := map[string]any{"from": addr(alice), "to": x.contract, "input": hexutil.Bytes(probing('g', word(0)))}
	signed := raw(t, pay(t, carol, 0, 0))
	notary := pay(t, alice, x.state.Account(addr(alice)).Nonce, 2)
	byNonce := table(s.text, either(s.pending, s.text))
	return []question{
		{"eth_accounts", nil, list(s.address), 0},
		{"eth_blobBaseFee", nil, s.uint, 0},
		{"eth_blockNumber", nil, s.uint, 0},
		{"eth_call", []any{map[string]any{"to": x.contract, "input": hexutil.Bytes(probing('e', word(3)))}, "latest"}, s.bytes, 0},
		{"eth_call", []any{map[string]any{"to": x.contract, "input": hexutil.Bytes(probing('r', reasonOf("no")))}, "latest"}, s.bytes, 3},
		{"eth_chainId", nil, s.uint, 0},
		{"eth_createAccessList", []any{call}, object(fields{"accessList": some(s.accessList), "gasUsed": s.uint, "error?": s.text}), 0},
		{"eth_estimateGas", []any{map[string]any{"from": addr(alice), "to": addr(bob), "value": "0x1"}}, s.uint, 0},
		{"eth_feeHistory", []any{"0x4", "latest", []float64{10, 50}}, s.feeHistory, 0},
		{"eth_feeHistory", []any{"0x4", "latest", nil}, s.feeHistory, 0},
		{"eth_fillTransaction", []any{map[string]any{"from": addr(alice), "to": addr(bob)}}, object(fields{"raw": s.bytes, "tx": table(s.text, func(string, any) error { return nil })}), 0},
		{"eth_gasPrice", nil, s.uint, 0},
		{"eth_getBalance", []any{addr(alice), "latest"}, s.uint, 0},
		{"eth_getBalance", []any{addr(alice), "0xffff"}, s.uint, -32000},
		{"eth_getBlockByHash", []any{x.block, true}, s.block, 0},
		{"eth_getBlockByHash", []any{unknown, true}, s.null, 0},
		{"eth_getBlockByNumber", []any{"latest", true}, s.block, 0},
		{"eth_getBlockByNumber", []any{"finalized", false}, s.block, 0},
		{"eth_getBlockByNumber", []any{"earliest", false}, s.block, 0},
		{"eth_getBlockByNumber", []any{"pending", true}, s.pendingBlock, 0},
		{"eth_getBlockByNumber", []any{"0xffff", true}, s.null, 0},
		{"eth_getBlockReceipts", []any{"latest"}, some(list(s.receipt)), 0},
		{"eth_getBlockReceipts", []any{x.created}, list(s.receipt), 0},
		{"eth_getBlockReceipts", []any{"0xffff"}, s.null, 0},
		{"eth_getBlockTransactionCountByHash", []any{x.block}, s.uint, 0},
		{"eth_getBlockTransactionCountByHash", []any{unknown}, s.null, 0},
		{"eth_getBlockTransactionCountByNumber", []any{"latest"}, s.uint, 0},
		{"eth_getCode", []any{x.contract, "latest"}, s.bytes, 0},
		{"eth_getFilterChanges", []any{x.filter}, some(list(s.log)), 0},
		{"eth_getFilterChanges", []any{x.blocks}, some(list(s.hash32)), 0},
		{"eth_getFilterChanges", []any{"0x1"}, s.null, -32000},
		{"eth_getFilterLogs", []any{x.filter}, some(list(s.log)), 0},
		{"eth_getLogs", []any{map[string]any{"fromBlock": "0x0", "address": x.contract}}, some(list(s.log)), 0},
		{"eth_getLogs", []any{map[string]any{"blockHash": x.block, "fromBlock": "0x0"}}, s.null, -32602},
		{"eth_getRawTransactionByHash", []any{x.typed[1]}, s.bytes, 0},
		{"eth_getStorageAt", []any{x.contract, "0x0", "latest"}, s.bytes32, 0},
		{"eth_getTransactionByBlockHashAndIndex", []any{x.block, "0x1"}, s.transaction, 0},
		{"eth_getTransactionByBlockHashAndIndex", []any{x.block, "0x9"}, s.null, 0},
		{"eth_getTransactionByBlockNumberAndIndex", []any{"latest", "0x2"}, s.transaction, 0},
		{"eth_getTransactionByHash", []any{x.typed[0]}, s.transaction, 0},
		{"eth_getTransactionByHash", []any{x.typed[1]}, s.transaction, 0},
		{"eth_getTransactionByHash", []any{x.typed[2]}, s.transaction, 0},
		{"eth_getTransactionByHash", []any{x.queued}, s.pending, 0},
		{"eth_getTransactionByHash", []any{unknown}, s.null, 0},
		{"eth_getTransactionCount", []any{addr(alice), "pending"}, s.uint, 0},
		{"eth_getTransactionReceipt", []any{x.typed[0]}, s.receipt, 0},
		{"eth_getTransactionReceipt", []any{x.typed[1]}, s.receipt, 0},
		{"eth_getTransactionReceipt", []any{x.typed[2]}, s.receipt, 0},
		{"eth_getTransactionReceipt", []any{x.called}, s.receipt, 0},
		{"eth_getTransactionReceipt", []any{x.queued}, s.null, 0},
		{"eth_getUncleByBlockHashAndIndex", []any{x.block, "0x0"}, s.null, 0},
		{"eth_getUncleByBlockNumberAndIndex", []any{"latest", "0x0"}, s.null, 0},
		{"eth_getUncleCountByBlockHash", []any{x.block}, s.uint, 0},
		{"eth_getUncleCountByBlockNumber", []any{"latest"}, s.uint, 0},
		{"eth_maxPriorityFeePerGas", nil, s.uint, 0},
		{"eth_newBlockFilter", nil, s.uint, 0},
		{"eth_newFilter", []any{map[string]any{}}, s.uint, 0},
		{"eth_newPendingTransactionFilter", nil, s.uint, 0},
		{"eth_sendRawTransaction", []any{signed}, s.hash32, -32000}, // carol has nothing to pay with
		{"eth_sendRawTransaction", []any{raw(t, notary)}, s.hash32, 0},
		{"eth_sendRawTransactionSync", []any{raw(t, pay(t, bob, 1, 0)), 1}, s.receipt, 4},
		{"eth_simulateV1", []any{map[string]any{"blockStateCalls": []any{map[string]any{"calls": []any{call}}, map[string]any{}}, "returnFullTransactions": true}}, list(s.simulated()), 0},
		{"eth_simulateV1", []any{map[string]any{"blockStateCalls": []any{}}}, s.null, -32602},
		{"eth_syncing", nil, s.syncing, 0},
		{"eth_uninstallFilter", []any{x.spare}, boolean, 0},

		{"net_listening", nil, boolean, 0},
		{"net_peerCount", nil, s.uint, 0},
		{"net_version", nil, pattern("decimal digits", `^[0-9]+$`), 0},
		{"web3_clientVersion", nil, s.text, 0},
		{"web3_sha3", []any{"0x00"}, s.hash32, 0},
		{"txpool_content", nil, object(fields{"pending": table(s.address, byNonce), "queued": table(s.address, byNonce)}), 0},
		{"txpool_contentFrom", []any{addr(bob)}, object(fields{"pending": byNonce, "queued": byNonce}), 0},
		{"txpool_inspect", nil, object(fields{"pending": table(s.address, byNonce), "queued": table(s.address, byNonce)}), 0},
		{"txpool_status", nil, object(fields{"pending": s.uint, "queued": s.uint}), 0},
		{"tercet_getFinality", []any{"latest"}, orNull(table(s.text, func(string, any) error { return nil })), 0},
	}
}

// TestServer_answersHaveTheirShape compares live answers with the schemas of execution-apis.
func TestServer_answersHaveTheirShape(t *testing.T) {
	x, s := newShown(t), newShapes()
	asked := map[string]bool{}
	for _, q := range x.questions(t, s) {
		a := x.call(q.method, q.params...)
		if q.refused == 0 {
			asked[q.method] = true
			checkResult(t, q, a)
			continue
		}
		if q.method == "eth_sendRawTransactionSync" {
			asked[q.method] = true // its receipt is that of eth_getTransactionReceipt
		}
		if a.Error == nil || a.Error.Code != q.refused || a.Error.Message == "" || a.Result != nil {
			t.Errorf("%s(%v): got %s, %+v, want the error %d", q.method, q.params, a.Result, a.Error, q.refused)
			continue
		}
		var data any
		if len(a.Error.Data) > 0 {
			must(t, json.Unmarshal(a.Error.Data, &data))
		}
		if want := map[int]shape{3: s.bytes, 4: s.hash32}[q.refused]; want != nil {
			if err := want(q.method+" error.data", data); err != nil {
				t.Error(err)
			}
		}
	}
	for _, method := range x.server.Methods() {
		subscribes := strings.HasSuffix(method, "subscribe") // over a WebSocket only
		if strings.HasPrefix(method, "eth_") && !subscribes && !asked[method] {
			t.Errorf("nobody asks %s: add a question to questions", method)
		}
	}
	x.syncing = true
	checkResult(t, question{method: "eth_syncing", want: s.syncing}, x.call("eth_syncing"))
}

func checkResult(t *testing.T, q question, a answer) {
	t.Helper()
	if a.Error != nil {
		t.Errorf("%s(%v): %+v", q.method, q.params, a.Error)
		return
	}
	var v any
	must(t, json.Unmarshal(a.Result, &v))
	if err := q.want(q.method, v); err != nil {
		t.Error(err)
	}
}

// TestShapes_refuse: the shapes see what a client would stumble over.
func TestShapes_refuse(t *testing.T) {
	x, s := newShown(t), newShapes()
	receipt := func() map[string]any { return x.fields("eth_getTransactionReceipt", x.typed[2]) }
	tx := func() map[string]any { return x.fields("eth_getTransactionByHash", x.typed[2]) }
	for _, tc := range []struct {
		name   string
		value  map[string]any
		change func(map[string]any)
		is     shape
	}{
		{"a field too many", receipt(), func(m map[string]any) { m["timestampMs"] = "0x1" }, s.receipt},
		{"a field too few", receipt(), func(m map[string]any) { delete(m, "effectiveGasPrice") }, s.receipt},
		{"a leading zero", receipt(), func(m map[string]any) { m["gasUsed"] = "0x01" }, s.receipt},
		{"a number", receipt(), func(m map[string]any) { m["status"] = 1.0 }, s.receipt},
		{"no logs", receipt(), func(m map[string]any) { m["logs"] = nil }, s.receipt},
		{"a short hash", tx(), func(m map[string]any) { m["hash"] = "0x01" }, s.transaction},
		{"another type's field", tx(), func(m map[string]any) { m["type"] = "0x1" }, s.transaction},
		{"a pending one", tx(), func(m map[string]any) { m["blockHash"] = nil }, s.transaction},
		{"no list", tx(), func(m map[string]any) { m["accessList"] = nil }, s.transaction},
	} {
		if err := tc.is(tc.name, tc.value); err != nil {
			t.Fatal(err)
		}
		tc.change(tc.value)
		if tc.is(tc.name, tc.value) == nil {
			t.Errorf("%s is accepted", tc.name)
		}
	}
}
