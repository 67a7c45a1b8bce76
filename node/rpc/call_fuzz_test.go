package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/vm"
)

// complaints counts the records at ERROR: a request that makes the node complain about itself has found a bug.
type complaints struct{ count *atomic.Int64 }

func (c complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError
}
func (c complaints) Handle(context.Context, slog.Record) error { c.count.Add(1); return nil }
func (c complaints) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c complaints) WithGroup(string) slog.Handler             { return c }

// refusing is a chain that takes no transaction, so that no request waits for one.
type refusing struct{ *chain }

func (refusing) Submit(context.Context, *ledger.Transaction) error { return errors.New("not now") }

// target is a server over a chain of three blocks, to be asked without a network.
type target struct {
	*chain
	contract common.Address // a probe
	handler  http.Handler
	errors   atomic.Int64
}

func newTarget(f *testing.F) *target {
	x := &target{}
	x.chain = newChain(f, func(c *chain, cfg *rpc.Config) {
		cfg.Logger = slog.New(complaints{&x.errors})
		cfg.Chain = refusing{c}
	})
	x.execute(decoded(f, pay(f, alice, 0, types.LegacyTxType)))
	x.execute(decoded(f, pay(f, alice, 1, types.AccessListTxType)), decoded(f, pay(f, bob, 0, types.DynamicFeeTxType)))
	x.certify()
	x.contract = x.deploy(7)
	x.handler = x.server.Handler()
	return x
}

// ask posts a body and checks what every answer has to be.
func (x *target) ask(t *testing.T, body string) []byte {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Host = "localhost"
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, r)
	out := w.Body.Bytes()
	if w.Code != http.StatusOK || len(out) > 0 && !json.Valid(out) {
		t.Fatalf("%.300q is answered with %d and %.300q", body, w.Code, out)
	}
	if x.errors.Swap(0) != 0 || strings.Contains(string(out), "handler crashed") || strings.Contains(string(out), "-32603") {
		t.Fatalf("%.300q breaks the node: %.300s", body, out)
	}
	if len(out) > 1<<20+8*len(body) {
		t.Fatalf("%d bytes answer %d", len(out), len(body))
	}
	return out
}

// FuzzServer_method: any JSON as the parameters of each method.
func FuzzServer_method(f *testing.F) {
	x := newTarget(f)
	methods := x.server.Methods()
	head := x.parent.Hash().Hex()
	tx := pay(f, alice, 0, types.LegacyTxType).Hash().Hex()
	for method, params := range map[string][]string{
		"eth_getBlockByNumber":                    {`["latest",true]`, `["0x1",false]`, `["pending",true]`, `["0xffffffffffffffff",false]`, `["0x7fffffffffffffff",true]`, `["-1",false]`},
		"eth_getBlockByHash":                      {`["` + head + `",true]`},
		"eth_getBlockReceipts":                    {`["finalized"]`, `[{"blockNumber":"0x1"}]`, `[{"blockHash":"` + head + `","requireCanonical":true}]`},
		"eth_getTransactionByHash":                {`["` + tx + `"]`},
		"eth_getTransactionReceipt":               {`["` + tx + `"]`},
		"eth_getTransactionByBlockNumberAndIndex": {`["0x1","0x0"]`, `["0x1","0xffffffffffffffff"]`},
		"eth_getBalance":                          {`["0xdeadbeef00000000000000000000000000000001","latest"]`, `["0xdeadbeef00000000000000000000000000000001",{"blockHash":"` + head + `"}]`},
		"eth_call":                                {`[{"from":"0xdeadbeef00000000000000000000000000000001","to":"0xdeadbeef00000000000000000000000000000001","value":"0x0","data":"0x01"},"safe",{"0xdeadbeef00000000000000000000000000000001":{"balance":"0xff"}}]`},
		"debug_traceTransaction":                  {`["` + tx + `",{"tracer":"callTracer","tracerConfig":{"withLog":true},"timeout":"1s","reexec":5}]`, `["` + tx + `"]`},
		"debug_traceBlockByNumber":                {`["0x1",{"tracer":"callTracer","tracerConfig":{"onlyTopCall":true}}]`, `["latest",{"tracer":"4byteTracer"}]`},
		"debug_traceBlockByHash":                  {`["` + head + `",{"tracer":"callTracer"}]`},
		"debug_traceCall":                         {`[{"to":"` + x.contract.Hex() + `","data":"0x65"},"latest",{"tracer":"callTracer","stateOverrides":{"` + x.contract.Hex() + `":{"nonce":"0x5"}},"blockOverrides":{"number":"0x5","time":"0x1","gasLimit":"0x0","feeRecipient":null,"baseFeePerGas":"0x7"}}]`},
		"eth_getCode":                             {`["` + x.contract.Hex() + `","latest"]`},
		"eth_getStorageAt":                        {`["` + x.contract.Hex() + `","0x0","latest"]`},
		"eth_estimateGas":                         {`[{"data":"` + hexutil.Encode(creation(f, 1)) + `"}]`, `[{"to":"` + x.contract.Hex() + `","data":"0x74"},"latest",{"` + x.contract.Hex() + `":{"code":"` + hexutil.Encode(probe) + `","stateDiff":{"` + head + `":"` + head + `"}}}]`, `[{"to":"0xdeadbeef00000000000000000000000000000001","accessList":[{"address":"0xdeadbeef00000000000000000000000000000001","storageKeys":[]}]}]`},
		"eth_createAccessList":                    {`[{"to":"0xdeadbeef00000000000000000000000000000001","gas":"0x5208"},"earliest"]`},
		"eth_fillTransaction":                     {`[{"from":"0xdeadbeef00000000000000000000000000000001","to":"0xdeadbeef00000000000000000000000000000001","maxFeePerGas":"0x1","nonce":"0xffffffffffffffff"}]`},
		"eth_feeHistory":                          {`["0x5","latest",[0,50,100]]`, `[1024,"0x7fffffffffffffff",null]`},
		"eth_simulateV1":                          {`[{"blockStateCalls":[{"blockOverrides":{"number":"0x9","time":"0x7fffffff","prevRandao":"` + head + `"},"stateOverrides":{"` + x.contract.Hex() + `":{"balance":"0x1"}},"calls":[{"to":"` + x.contract.Hex() + `","value":"0x0","input":"0x65"}]},{}],"traceTransfers":true,"validation":true,"returnFullTransactions":true},"latest"]`, `[{"blockStateCalls":[{"calls":[{"gas":"0x5208"},{"nonce":"0xffffffffffffffff","gasPrice":"0x1"}]}]}]`},
		"eth_getLogs":                             {`[{"fromBlock":"0x0","toBlock":"latest","address":["0xdeadbeef00000000000000000000000000000001"],"topics":[null,["` + head + `"]]}]`, `[{"blockHash":"` + head + `"}]`, `[{"address":[null],"topics":"0x"}]`},
		"eth_newFilter":                           {`[{"topics":[[],null,[],[],[]]}]`},
		"eth_getFilterChanges":                    {`["0x1"]`},
		"eth_sendRawTransaction":                  {`["0x"]`, `["` + raw(f, pay(f, alice, 2, types.DynamicFeeTxType)) + `"]`},
		"eth_sendRawTransactionSync":              {`["` + raw(f, pay(f, alice, 2, types.LegacyTxType)) + `","0x10"]`, `["0x",0]`, `["0x01",18446744073709551615]`},
		"web3_sha3":                               {`["0x00"]`},
		"txpool_contentFrom":                      {`["0xdeadbeef00000000000000000000000000000001"]`},
		"tercet_getProof":                         {`["0xdeadbeef00000000000000000000000000000001","latest"]`, `["0xdeadbeef00000000000000000000000000000002","0x2"]`, `["` + x.contract.Hex() + `",null,["0x0","1"]]`},
		"tercet_getFinality":                      {`["0x1"]`, `[{"blockNumber":"latest","blockHash":"` + head + `"}]`},
		"tercet_transactionStatus":                {`["` + tx + `"]`},
		"tercet_whyNotIncluded":                   {`["` + tx + `"]`, `["` + head + `"]`},
	} {
		at, ok := slices.BinarySearch(methods, method)
		if !ok {
			f.Fatalf("no method %s", method)
		}
		for _, p := range params {
			f.Add(uint8(at), p)
		}
	}
	for at := range methods {
		f.Add(uint8(at), `[]`)
		f.Add(uint8(at), `[null,null,null]`)
	}
	f.Fuzz(func(t *testing.T, method uint8, params string) {
		name := methods[int(method)%len(methods)]
		if !json.Valid([]byte(params)) {
			params = "[" + params + "]" // A list without its brackets is what a mutation often leaves.
		}
		if !json.Valid([]byte(params)) {
			return // The other target has these.
		}
		out := x.ask(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, name, params))
		var a answer
		if err := json.Unmarshal(out, &a); err != nil || string(a.ID) != "1" || (a.Error == nil) == (a.Result == nil) {
			t.Fatalf("%s(%s) is answered with %s", name, params, out)
		}
		if again := x.ask(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, name, params)); !strings.Contains(name, "ilter") && string(again) != string(out) {
			t.Fatalf("%s(%s) is answered with %s and then with %s", name, params, out, again)
		}
	})
}

// FuzzServer_call: any calldata for a contract, with any override of its account.
func FuzzServer_call(f *testing.F) {
	x := newTarget(f)
	code, err := vm.Pack(probe)
	must(f, err)
	for _, override := range []string{
		`null`, `{}`, `{"balance":"0x1","nonce":"0xffffffffffffffff"}`, `{"code":"0x"}`, `{"code":"` + hexutil.Encode(probe) + `"}`, `{"code":"` + hexutil.Encode(code) + `"}`,
		`{"code":"0xeff00000"}`, `{"code":"0x6080"}`, `{"state":{}}`, `{"state":{"` + topic(0).Hex() + `":"` + topic(9).Hex() + `"},"stateDiff":null}`,
		`{"stateDiff":{"` + topic(0).Hex() + `":"` + topic(0).Hex() + `"}}`, `{"state":{},"stateDiff":{}}`, `{"balance":"-0x1"}`,
		`{"movePrecompileToAddress":"0xdeadbeef00000000000000000000000000000001"}`,
	} {
		for _, data := range [][]byte{probing('g', word(0)), probing('c', x.contract[:], probing('w')), probing('r', reasonOf("no")), probing('v', []byte{4}, word(1)), {'t'}, nil} {
			f.Add(data, override, uint32(100_000))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, override string, gas uint32) {
		if !json.Valid([]byte(override)) {
			return
		}
		for _, method := range []string{"eth_call", "eth_estimateGas", "eth_createAccessList"} {
			x.ask(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":[{"to":%q,"data":%q,"gas":"%#x"},"latest",{%q:%s}]}`,
				method, x.contract, hexutil.Encode(data), gas%1_000_000, x.contract, override))
		}
	})
}

// FuzzServer_body: any body of a request, a batch or not.
func FuzzServer_body(f *testing.F) {
	x := newTarget(f)
	for _, body := range []string{
		"", "{}", "[]", "[1,2]", `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`, `{"method":"eth_chainId","id":{}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]},{"jsonrpc":"2.0","id":"x","method":"net_version","params":null}]`,
		`{"jsonrpc":"2.0","method":"eth_chainId"}`, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`,
		`{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}`, `{"jsonrpc":"2.0","id":1e400,"method":"eth_blockNumber","params":{"a":1}}`,
		strings.Repeat("[", 10000), `{"jsonrpc":"2.0","id":1,"result":5}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		x.ask(t, body)
	})
}
