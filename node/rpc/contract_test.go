package rpc_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/vm"
)

//go:embed testdata/probe.wasm
var probe []byte

// TestProbe_isBuiltFromItsSource assembles the probe again where wabt is installed.
func TestProbe_isBuiltFromItsSource(t *testing.T) {
	assembler, err := osexec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed")
	}
	out := filepath.Join(t.TempDir(), "probe.wasm")
	if text, err := osexec.CommandContext(t.Context(), assembler, "-o", out, "testdata/probe.wat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	built, err := os.ReadFile(out)
	must(t, err)
	if !bytes.Equal(built, probe) {
		t.Error("testdata/probe.wasm is not what testdata/probe.wat says: build it again")
	}
}

// creation is the data that creates a probe with the word n under slot 0.
func creation(t testing.TB, n int64) []byte {
	t.Helper()
	code, err := vm.Pack(probe)
	must(t, err)
	arg := topic(n)
	return append(code, arg[:]...)
}

// do executes a transaction of alice, the only one of its block, and returns its receipt.
func (c *chain) do(to *common.Address, gas uint64, data []byte) map[string]any {
	c.t.Helper()
	tx := sign(c.t, alice, &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: c.state.Account(addr(alice)).Nonce, Gas: gas, To: to, Data: data,
	})
	c.execute(decoded(c.t, tx))
	return c.fields("eth_getTransactionReceipt", tx.Hash())
}

// deploy creates a probe.
func (c *chain) deploy(n int64) common.Address {
	c.t.Helper()
	nonce := c.state.Account(addr(alice)).Nonce
	r := c.do(nil, 10_000_000, creation(c.t, n))
	address := crypto.CreateAddress(addr(alice), nonce)
	if r["status"] != "0x1" || r["to"] != nil || r["contractAddress"] != strings.ToLower(address.Hex()) {
		c.t.Fatalf("creating the probe: %v", r)
	}
	return address
}

// probing is calldata for the probe.
func probing(op byte, parts ...[]byte) []byte { return append([]byte{op}, bytes.Join(parts, nil)...) }

func word(n int64) []byte { h := topic(n); return h[:] }

// reasonOf is Error(string), with a text of at most 32 bytes.
func reasonOf(text string) []byte {
	return slices.Concat([]byte{0x08, 0xc3, 0x79, 0xa0}, word(32), word(int64(len(text))), common.RightPadBytes([]byte(text), 32))
}

// panicOf is Panic(uint256).
func panicOf(code int64) []byte { return slices.Concat([]byte{0x4e, 0x48, 0x7b, 0x71}, word(code)) }

func TestServer_codeAndStorage(t *testing.T) {
	c := newChain(t, nil)
	contract := c.deploy(7)
	created := c.parent.Hash()
	c.do(&contract, 1_000_000, probing('s', word(0), word(8)))
	c.do(&contract, 1_000_000, probing('s', bytes.Repeat([]byte{0xff}, 32), word(9)))
	code, _, err := vm.ParseCreation(creation(t, 7))
	must(t, err)
	zero := common.Hash{}.Hex()
	for _, tc := range []struct {
		name, method string
		params       []any
		want         string
	}{
		{"code", "eth_getCode", []any{contract, "latest"}, hexutil.Encode(code)},
		{"code by hash", "eth_getCode", []any{contract, map[string]any{"blockHash": created}}, hexutil.Encode(code)},
		{"no code before", "eth_getCode", []any{contract, "0x0"}, "0x"},
		{"no code elsewhere", "eth_getCode", []any{addr(alice)}, "0x"},
		{"slot", "eth_getStorageAt", []any{contract, "0x0", "latest"}, topic(8).Hex()},
		{"slot before", "eth_getStorageAt", []any{contract, "0x0", "0x1"}, topic(7).Hex()},
		{"slot by hash", "eth_getStorageAt", []any{contract, "0x0", map[string]any{"blockHash": created}}, topic(7).Hex()},
		{"slot in 32 bytes", "eth_getStorageAt", []any{contract, zero, "latest"}, topic(8).Hex()},
		{"slot without a prefix", "eth_getStorageAt", []any{contract, "000", "latest"}, topic(8).Hex()},
		{"empty slot", "eth_getStorageAt", []any{contract, "0x1"}, zero},
		{"slot of another account", "eth_getStorageAt", []any{addr(alice), "0x0"}, zero},
		{"highest slot", "eth_getStorageAt", []any{contract, "0x" + strings.Repeat("f", 64)}, topic(9).Hex()},
		{"slot at the genesis", "eth_getStorageAt", []any{contract, "0x0", "earliest"}, zero},
		{"nonce", "eth_getTransactionCount", []any{contract, "latest"}, "0x1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, want := c.result(tc.method, tc.params...), `"`+tc.want+`"`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	for range 300 {
		c.execute()
	}
	for method, params := range map[string][]any{
		"eth_getCode": {contract, "0x1"}, "eth_getStorageAt": {contract, "0x0", "0x1"}, "eth_call": {map[string]any{"to": contract}, "0x1"},
	} {
		if a := c.call(method, params...); a.Error == nil || !strings.Contains(a.Error.Message, "historical state is not available at block 1") {
			t.Errorf("%s: got %s", method, a.Result)
		}
	}
}

// What calls answer, and how they fail: codes, texts and data that clients look at.
func TestServer_call(t *testing.T) {
	c := newChain(t, nil)
	contract := c.deploy(7)
	created := c.parent.Hash()
	c.do(&contract, 1_000_000, probing('s', word(0), word(8)))
	c.do(&contract, 1_000_000, probing('s', word(1), word(9)))
	code, _, err := vm.ParseCreation(creation(t, 7))
	must(t, err)
	type q = map[string]any
	at := func(data []byte, more ...any) []any {
		args := q{"from": addr(alice), "to": contract, "input": hexutil.Bytes(data)}
		for i := 0; i < len(more); i += 2 {
			args[more[i].(string)] = more[i+1]
		}
		return []any{args, "latest"}
	}
	create := func(data []byte) []any { return []any{q{"from": addr(alice), "data": hexutil.Bytes(data)}} }
	with := func(params []any, overrides q) []any { return append(params, overrides) }
	get := probing('g', word(0))
	refusal := "execution reverted: this is not a WebAssembly contract: EVM bytecode does not run here"
	for _, tc := range []struct {
		name, method string
		params       []any
		want         string // result, or code and text
		data         string // of the error
	}{
		{"echo", "eth_call", at(probing('e', []byte("hello"))), `"0x68656c6c6f"`, ""},
		{"nothing", "eth_call", at(nil), `"0x"`, ""},
		{"slot", "eth_call", at(get), `"` + topic(8).Hex() + `"`, ""},
		{"slot before", "eth_call", []any{at(get)[0], "0x1"}, `"` + topic(7).Hex() + `"`, ""},
		{"slot by hash", "eth_call", []any{at(get)[0], q{"blockHash": created}}, `"` + topic(7).Hex() + `"`, ""},
		{"before the contract", "eth_call", []any{at(get)[0], "earliest"}, `"0x"`, ""},
		{
			"sender, value, block", "eth_call", at(probing('w'), "value", "0x5"),
			fmt.Sprintf(`"%s%s0300000000000000"`, strings.ToLower(addr(alice).Hex()), topic(5).Hex()[2:]), "",
		},
		{"precompile", "eth_call", []any{q{"to": common.Address{19: 4}, "data": "0x1234"}}, `"0x1234"`, ""},
		{"forgets", "eth_call", at(probing('s', word(0), word(99))), `"0x"`, ""},
		{"forgot", "eth_call", at(get), `"` + topic(8).Hex() + `"`, ""},
		{"creation", "eth_call", create(creation(t, 1)), `"` + hexutil.Encode(code) + `"`, ""},

		{"reason", "eth_call", at(probing('r', reasonOf("no way"))), `3 execution reverted: no way`, hexutil.Encode(reasonOf("no way"))},
		{"panic", "eth_call", at(probing('r', panicOf(0x11))), `3 execution reverted: arithmetic underflow or overflow`, hexutil.Encode(panicOf(0x11))},
		{"unknown panic", "eth_call", at(probing('r', panicOf(0x99))), `3 execution reverted: unknown panic code: 0x99`, hexutil.Encode(panicOf(0x99))},
		{"custom error", "eth_call", at(probing('r', []byte{0xca, 0xfe, 0xba, 0xbe, 1})), `3 execution reverted`, "0xcafebabe01"},
		{"revert without data", "eth_call", at(probing('r')), `3 execution reverted`, "0x"},
		{"nested reason", "eth_call", at(probing('c', contract[:], probing('r', reasonOf("deep")))), `3 execution reverted: deep`, hexutil.Encode(reasonOf("deep"))},
		{"trap", "eth_call", at(probing('t')), `3 execution reverted`, "0x"},
		{"loop", "eth_call", at(probing('l')), `-32000 out of gas`, ""},
		{"refused constructor", "eth_call", create(append(creation(t, 1), 2)), `3 execution reverted`, hexutil.Encode(append(word(1), 2))},
		{"EVM bytecode", "eth_call", create([]byte{0x60, 0x80, 0x60, 0x40}), "3 " + refusal, "0x08c379a0"},
		{"too large a creation", "eth_call", create(make([]byte, ledger.MaxInitCodeBytes+1)), fmt.Sprintf("-32000 err: max initcode size exceeded: code size %d, limit %d (supplied gas 50000000)", ledger.MaxInitCodeBytes+1, ledger.MaxInitCodeBytes), ""},
		{"too little gas", "eth_call", at(nil, "gas", "0x5207"), `-32000 err: intrinsic gas too low: have 20999, want 21000 (supplied gas 20999)`, ""},
		{
			"too little money", "eth_call", at(nil, "from", addr(carol), "value", "0x1"),
			`-32000 err: insufficient funds for gas * price + value: address ` + addr(carol).Hex() + ` have 0 want 1 (supplied gas 50000000)`, "",
		},

		{"estimated reason", "eth_estimateGas", at(probing('r', reasonOf("no way"))), `3 execution reverted: no way`, hexutil.Encode(reasonOf("no way"))},
		{"estimated custom error", "eth_estimateGas", at(probing('r', []byte{0xca, 0xfe, 0xba, 0xbe})), `3 execution reverted`, "0xcafebabe"},
		{"estimated trap", "eth_estimateGas", at(probing('t')), `3 execution reverted`, "0x"},
		{"estimated loop", "eth_estimateGas", at(probing('l')), `-32000 gas required exceeds allowance (50000000)`, ""},
		{"estimate with too little gas", "eth_estimateGas", at(probing('s', word(3), word(3)), "gas", "0x7530"), `-32000 gas required exceeds allowance (30000)`, ""},
		{"estimated EVM bytecode", "eth_estimateGas", create([]byte{0x60, 0x80, 0x60, 0x40}), "3 " + refusal, "0x08c379a0"},
		{"estimate without money", "eth_estimateGas", at(nil, "from", addr(carol), "value", "0x1"), `-32000 insufficient funds for transfer`, ""},

		{"balance", "eth_call", with(at(nil, "from", addr(carol), "value", "0x1"), q{addr(carol).Hex(): q{"balance": "0x1"}}), `"0x"`, ""},
		{"code", "eth_call", with([]any{q{"to": addr(bob), "data": hexutil.Bytes(probing('e', []byte{1}))}, "latest"}, q{addr(bob).Hex(): q{"code": hexutil.Bytes(probe)}}), `"0x01"`, ""},
		{"no code", "eth_call", with(at(get), q{contract.Hex(): q{"code": "0x"}}), `"0x"`, ""},
		{"state", "eth_call", with(at(get), q{contract.Hex(): q{"state": q{topic(1).Hex(): topic(5)}}}), `"` + topic(0).Hex() + `"`, ""},
		{"stateDiff", "eth_call", with(at(get), q{contract.Hex(): q{"stateDiff": q{topic(1).Hex(): topic(5)}}}), `"` + topic(8).Hex() + `"`, ""},
		{"stateDiff of the slot", "eth_call", with(at(get), q{contract.Hex(): q{"stateDiff": q{topic(0).Hex(): topic(5)}}}), `"` + topic(5).Hex() + `"`, ""},
		{"state and stateDiff", "eth_call", with(at(get), q{contract.Hex(): q{"state": q{}, "stateDiff": q{}}}), `-32000 overriding account ` + contract.Hex() + `: it has both state and stateDiff`, ""},
		{"moved precompile", "eth_call", with(at(get), q{contract.Hex(): q{"movePrecompileToAddress": addr(bob)}}), `-32000 precompiles cannot be moved on this chain`, ""},
		{"EVM bytecode in place", "eth_call", with(at(get), q{contract.Hex(): q{"code": "0x6080"}}), `-32000 overriding account ` + contract.Hex() + `: this is not a WebAssembly contract`, ""},
		{"estimate with an override", "eth_estimateGas", with(at(nil, "from", addr(carol), "value", "0x1"), q{addr(carol).Hex(): q{"balance": "0x1"}, contract.Hex(): q{"code": "0x"}}), `"0x5208"`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := c.call(tc.method, tc.params...)
			if a.Error == nil {
				if got := string(a.Result); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
				return
			}
			if got := fmt.Sprintf("%d %s", a.Error.Code, a.Error.Message); !strings.HasPrefix(got, tc.want) || tc.data != "0x08c379a0" && strings.Contains(tc.want, "3 ") && got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			var data string
			if a.Error.Data != nil {
				must(t, json.Unmarshal(a.Error.Data, &data))
			}
			if !strings.HasPrefix(data, tc.data) || tc.data != "0x08c379a0" && data != tc.data {
				t.Errorf("data %s, want %s", data, tc.data)
			}
		})
	}
}

func TestServer_call_boundsOverrides(t *testing.T) {
	c := newChain(t, nil)
	overrides := map[string]any{}
	for i := range 17 {
		overrides[common.Address{byte(i + 1)}.Hex()] = map[string]any{"code": hexutil.Bytes(probe)}
	}
	a := c.call("eth_call", map[string]any{"to": addr(bob)}, "latest", overrides)
	if a.Error == nil || a.Error.Code != -32602 || a.Error.Message != "the code of 17 accounts is overridden, at most 16 are allowed in one call" {
		t.Errorf("got %+v", a.Error)
	}
}

// An estimate is enough, and not much more than that.
func TestServer_estimateGas_contract(t *testing.T) {
	c := newChain(t, nil)
	first, second := c.deploy(1), c.deploy(2)
	for _, tc := range []struct {
		name string
		to   *common.Address
		data []byte
	}{
		{"creation", nil, creation(t, 3)},
		{"store", &first, probing('s', word(1), word(1))},
		{"nested store", &first, probing('c', second[:], probing('s', word(1), word(1)))},
		{"twice nested", &first, probing('c', second[:], probing('c', first[:], probing('s', word(2), word(1))))},
		{"event", &first, probing('v', []byte{2}, word(1), word(2), []byte("data"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var gas hexutil.Uint64
			must(t, json.Unmarshal([]byte(c.result("eth_estimateGas", map[string]any{"from": addr(alice), "to": tc.to, "data": hexutil.Bytes(tc.data)})), &gas))
			if r := c.do(tc.to, uint64(gas)*97/100, tc.data); r["status"] != "0x0" {
				t.Errorf("3 %% less than the estimate of %d is enough", gas)
			}
			if r := c.do(tc.to, uint64(gas), tc.data); r["status"] != "0x1" {
				t.Errorf("the estimate of %d is not enough: %v", gas, r)
			}
		})
	}
}

func TestServer_createAccessList_contract(t *testing.T) {
	c := newChain(t, nil)
	first, second := c.deploy(1), c.deploy(2)
	args := map[string]any{"from": addr(alice), "to": first, "data": hexutil.Bytes(probing('c', second[:], probing('g', word(5))))}
	var got struct {
		AccessList types.AccessList
		GasUsed    hexutil.Uint64
		Error      string
	}
	must(t, json.Unmarshal([]byte(c.result("eth_createAccessList", args)), &got))
	want := types.AccessList{{Address: second, StorageKeys: []common.Hash{topic(5)}}}
	if !slices.EqualFunc(got.AccessList, want, func(a, b types.AccessTuple) bool {
		return a.Address == b.Address && slices.Equal(a.StorageKeys, b.StorageKeys)
	}) || got.Error != "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	args["accessList"] = got.AccessList
	var gas hexutil.Uint64
	must(t, json.Unmarshal([]byte(c.result("eth_estimateGas", args)), &gas))
	if gas < got.GasUsed || gas > got.GasUsed+got.GasUsed/10 {
		t.Errorf("%d used, %d estimated", got.GasUsed, gas)
	}
	args["data"] = hexutil.Bytes(probing('c', second[:], probing('t')))
	if got := c.fields("eth_createAccessList", args); got["error"] != "execution reverted" {
		t.Errorf("got %v", got)
	}
}

// A contract's events are in its receipt, in eth_getLogs and in the bloom.
func TestServer_contractLogs(t *testing.T) {
	c := newChain(t, nil)
	contract := c.deploy(1)
	r := c.do(&contract, 1_000_000, probing('v', []byte{2}, word(1), word(2), []byte("data")))
	logs, err := json.Marshal(r["logs"])
	must(t, err)
	found := c.result("eth_getLogs", map[string]any{"address": contract, "topics": []any{nil, topic(2)}})
	var got, want []types.Log
	must(t, json.Unmarshal(logs, &got))
	must(t, json.Unmarshal([]byte(found), &want))
	if len(got) != 1 || fmt.Sprint(got) != fmt.Sprint(want) || string(got[0].Data) != "data" || !slices.Equal(got[0].Topics, []common.Hash{topic(1), topic(2)}) {
		t.Errorf("the receipt has %+v, eth_getLogs %+v", got, want)
	}
	if r := c.do(&contract, 1_000_000, probing('c', contract[:], probing('t'))); r["status"] != "0x0" || len(r["logs"].([]any)) != 0 {
		t.Errorf("got %v", r)
	}
}

// A failed creation has a receipt with the address that it would have had.
func TestServer_failedCreation(t *testing.T) {
	c := newChain(t, nil)
	r := c.do(nil, 1_000_000, []byte{0x60, 0x80})
	if want := strings.ToLower(crypto.CreateAddress(addr(alice), 0).Hex()); r["status"] != "0x0" || r["contractAddress"] != want {
		t.Errorf("got %v, want a failure at %s", r, want)
	}
	if got := c.result("eth_getCode", crypto.CreateAddress(addr(alice), 0)); got != `"0x"` {
		t.Errorf("code %s", got)
	}
}

// looping is a server on which one contract call at a time may take as long as its time limit.
func looping(t *testing.T, limit time.Duration, change func(*rpc.Config)) (*chain, common.Address) {
	t.Helper()
	c := newChain(t, func(_ *chain, cfg *rpc.Config) {
		cfg.CallGas, cfg.CallTimeout, cfg.MaxCalls = 1<<50, limit, 1
		if change != nil {
			change(cfg)
		}
	})
	return c, c.deploy(1)
}

// A contract that loops ends at its time limit and delays nothing else.
func TestServer_call_endsInTime(t *testing.T) {
	c, contract := looping(t, 2*time.Second, nil)
	done := make(chan answer, 1)
	begun := time.Now()
	go func() { done <- c.call("eth_call", map[string]any{"to": contract, "data": hexutil.Bytes{'l'}}) }()
	answered, slowest := 0, time.Duration(0)
	for {
		select {
		case a := <-done:
			if took := time.Since(begun); took < 2*time.Second || took > 4*time.Second {
				t.Errorf("the call took %s", took)
			}
			if a.Error == nil || a.Error.Message != "execution aborted (timeout = 2s)" {
				t.Errorf("got %+v", a)
			}
			if answered < 100 || slowest > time.Second {
				t.Errorf("%d other requests were answered meanwhile, the slowest after %s", answered, slowest)
			}
			return
		default:
		}
		asked := time.Now()
		if got := c.result("eth_blockNumber"); got != `"0x1"` {
			t.Fatalf("block number %s", got)
		}
		answered, slowest = answered+1, max(slowest, time.Since(asked))
	}
}

// A contract that loops ends when nobody waits for it, and until then others are told that there is no room.
func TestServer_call_endsWithItsRequest(t *testing.T) {
	c, contract := looping(t, time.Minute, nil)
	ctx, cancel := context.WithCancel(t.Context())
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":%q,"data":"0x6c"}]}`, contract)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	gone := make(chan error, 1)
	go func() {
		resp, err := c.http.Do(r)
		if err == nil {
			err = fmt.Errorf("answered with %s", resp.Status)
			resp.Body.Close()
		}
		gone <- err
	}()
	echo := func() answer { return c.call("eth_call", map[string]any{"to": contract, "data": "0x6501"}) }
	busy := echo()
	for busy.Error == nil { // until the loop is at work
		busy = echo()
	}
	if busy.Error.Code != -32005 || busy.Error.Message != "server is busy: too many contract calls at once" {
		t.Errorf("got %+v", busy.Error)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the request ends with %v", err)
	}
	if a := echo(); a.Error != nil || string(a.Result) != `"0x01"` {
		t.Errorf("after the request: got %s, %+v", a.Result, a.Error)
	}
}
