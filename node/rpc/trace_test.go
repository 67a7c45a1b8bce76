package rpc_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	osexec "os/exec"
	"path/filepath"
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

//go:embed testdata/storm.wasm
var storm []byte

// TestStorm_isBuiltFromItsSource assembles the contract again where wabt is installed.
func TestStorm_isBuiltFromItsSource(t *testing.T) {
	assembler, err := osexec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed")
	}
	out := filepath.Join(t.TempDir(), "storm.wasm")
	if text, err := osexec.CommandContext(t.Context(), assembler, "-o", out, "testdata/storm.wat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	built, err := os.ReadFile(out)
	must(t, err)
	if !bytes.Equal(built, storm) {
		t.Error("testdata/storm.wasm is not what testdata/storm.wat says: build it again")
	}
}

// frame is what callTracer answers.
type frame struct {
	Type, Error, RevertReason string
	From                      common.Address
	To                        *common.Address
	Value                     *hexutil.Big
	Gas, GasUsed              hexutil.Uint64
	Input, Output             hexutil.Bytes
	Calls                     []frame
	Logs                      []struct {
		Address         common.Address
		Topics          []common.Hash
		Data            hexutil.Bytes
		Index, Position hexutil.Uint
	}
}

type q = map[string]any

func calls(options ...string) q {
	config := q{}
	for _, o := range options {
		config[o] = true
	}
	return q{"tracer": "callTracer", "tracerConfig": config}
}

func (c *chain) frame(method string, params ...any) frame {
	c.t.Helper()
	var f frame
	must(c.t, json.Unmarshal([]byte(c.result(method, params...)), &f))
	return f
}

// to signs a call of alice that has the nonce-th of her nonces from now on.
func (c *chain) to(nonce uint64, to *common.Address, value int64, data []byte) *ledger.Transaction {
	c.t.Helper()
	return decoded(c.t, sign(c.t, alice, &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: c.state.Account(addr(alice)).Nonce + nonce, Gas: 1_000_000, To: to, Value: big.NewInt(value), Data: data,
	}))
}

// A block with drops, a creation, failures and what depends on the order, traced one by one and together.
func TestServer_traceTransaction(t *testing.T) {
	c := newChain(t, nil)
	first := c.deploy(1)
	second := crypto.CreateAddress(addr(alice), 1)
	nested := probing('c', second[:], probing('c', first[:], probing('v', []byte{1}, word(5), []byte("data"))))
	block := c.execute(
		decoded(t, sign(t, alice, &types.LegacyTx{Nonce: 1, Gas: 10_000_000, Data: creation(t, 2)})),
		decoded(t, sign(t, alice, &types.LegacyTx{Nonce: 7, Gas: 21_000, To: &first})), // dropped
		c.to(1, &first, 0, probing('s', word(0), word(9))),
		c.to(2, &first, 0, nested),
		c.to(3, &first, 0, probing('c', second[:], probing('r', reasonOf("no")))),
		c.to(4, &second, 0, probing('t')),
		c.to(5, new(addr(bob)), 17, nil),
		c.to(6, &first, 0, probing('g', word(0))),
		decoded(t, sign(t, alice, &types.LegacyTx{Nonce: 8, Gas: 9_000_000, Data: []byte{0x60, 0x80}})),
	)
	if len(block.Drops) != 1 || len(block.Transactions) != 8 {
		t.Fatalf("%d drops, %d transactions", len(block.Drops), len(block.Transactions))
	}
	c.execute(c.to(0, &first, 0, probing('s', word(0), word(77))))
	hash := func(i int) common.Hash { return block.Transactions[i].Hash() }
	t.Run("creation", func(t *testing.T) {
		f := c.frame("debug_traceTransaction", hash(0), calls())
		code, _, err := vm.ParseCreation(creation(t, 2))
		must(t, err)
		if f.Type != "CREATE" || *f.To != second || f.From != addr(alice) || !bytes.Equal(f.Input, creation(t, 2)) || !bytes.Equal(f.Output, code) ||
			f.Gas != 10_000_000 || uint64(f.GasUsed) != block.Receipts[0].GasUsed || f.Value.ToInt().Sign() != 0 || f.Error != "" {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("failed creation", func(t *testing.T) {
		f := c.frame("debug_traceTransaction", hash(7), calls())
		if f.Type != "CREATE" || f.To != nil || f.Error != "execution reverted" || !strings.HasPrefix(f.RevertReason, "this is not a WebAssembly contract") {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("nested with logs", func(t *testing.T) {
		f := c.frame("debug_traceTransaction", hash(2), calls("withLog"))
		if len(f.Calls) != 1 || *f.Calls[0].To != second || f.Calls[0].From != first || len(f.Calls[0].Calls) != 1 || f.Logs != nil {
			t.Fatalf("got %+v", f)
		}
		if l := f.Calls[0].Calls[0].Logs; len(l) != 1 || l[0].Address != first || l[0].Topics[0] != topic(5) || string(l[0].Data) != "data" {
			t.Errorf("got logs %+v", l)
		}
		raw := c.result("debug_traceTransaction", hash(2), calls())
		if strings.Contains(raw, `"logs"`) || strings.Contains(raw, `"error"`) || strings.Contains(raw, `"revertReason"`) || !strings.Contains(raw, `"value":"0x0"`) {
			t.Errorf("got %s", raw)
		}
		if f := c.frame("debug_traceTransaction", hash(2), calls("onlyTopCall", "withLog")); f.Calls != nil || f.Logs != nil {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("revert", func(t *testing.T) {
		f := c.frame("debug_traceTransaction", hash(3), calls())
		if f.Error != "execution reverted" || f.RevertReason != "no" || f.Calls[0].RevertReason != "no" || !bytes.Equal(f.Output, reasonOf("no")) {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("trap", func(t *testing.T) {
		f := c.frame("debug_traceTransaction", hash(4), calls())
		if f.Error != "wasm trap" || f.Gas != f.GasUsed || f.Output != nil {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("transfer", func(t *testing.T) {
		f := c.frame("debug_traceTransaction", hash(5), calls())
		if f.Type != "CALL" || *f.To != addr(bob) || f.Value.ToInt().Int64() != 17 || f.GasUsed != 21_000 || f.Gas != 1_000_000 {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("sees the transactions before it and not those after", func(t *testing.T) {
		if f := c.frame("debug_traceTransaction", hash(6), calls()); common.BytesToHash(f.Output) != topic(9) {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("block", func(t *testing.T) {
		var byNumber, byHash []struct {
			TxHash common.Hash
			Result json.RawMessage
		}
		must(t, json.Unmarshal([]byte(c.result("debug_traceBlockByNumber", "0x2", calls("withLog"))), &byNumber))
		must(t, json.Unmarshal([]byte(c.result("debug_traceBlockByHash", block.Header.Hash(), calls("withLog"))), &byHash))
		if len(byNumber) != 8 || fmt.Sprint(byNumber) != fmt.Sprint(byHash) {
			t.Fatalf("%d and %d traces", len(byNumber), len(byHash))
		}
		for i, trace := range byNumber {
			if one := c.result("debug_traceTransaction", hash(i), calls("withLog")); trace.TxHash != hash(i) || one != string(trace.Result) {
				t.Errorf("transaction %d is %s alone, in its block %s", i, one, trace.Result)
			}
		}
	})
}

func TestServer_trace_errors(t *testing.T) {
	c := newChain(t, nil)
	contract := c.deploy(1)
	deployed := c.parent.Hash()
	tx := common.HexToHash(c.do(&contract, 1_000_000, probing('e'))["transactionHash"].(string))
	call := q{"to": contract}
	for _, tc := range []struct {
		name, method string
		params       []any
		code         int
		text         string
	}{
		{"no tracer", "debug_traceTransaction", []any{tx}, -32602, `contracts are WebAssembly, of which there are no EVM opcodes to log: ask for {"tracer": "callTracer"}`},
		{"no tracer in a call", "debug_traceCall", []any{call, "latest"}, -32602, `contracts are WebAssembly`},
		{"struct logger with options", "debug_traceTransaction", []any{tx, q{"disableStack": true}}, -32602, `contracts are WebAssembly`},
		{"no tracer in a block", "debug_traceBlockByNumber", []any{"latest", q{}}, -32602, `contracts are WebAssembly`},
		{"another tracer", "debug_traceTransaction", []any{tx, q{"tracer": "prestateTracer"}}, -32602, `tracer "prestateTracer" is not available: ask for "callTracer"`},
		{"a program", "debug_traceTransaction", []any{tx, q{"tracer": "{" + strings.Repeat("x", 1000)}}, -32602, `tracer "{xxx`},
		{"unknown transaction", "debug_traceTransaction", []any{common.Hash{1}, calls()}, -32000, "transaction not found"},
		{"unknown block", "debug_traceBlockByNumber", []any{"0x99", calls()}, -32000, "block #153 not found"},
		{"unknown hash", "debug_traceBlockByHash", []any{common.Hash{1}, calls()}, -32000, "block 0x01"},
		{"genesis", "debug_traceBlockByNumber", []any{"earliest", calls()}, -32000, "genesis is not traceable"},
		{"timeout", "debug_traceTransaction", []any{tx, q{"tracer": "callTracer", "timeout": "soon"}}, -32602, `timeout "soon" is not a duration`},
		{"negative timeout", "debug_traceCall", []any{call, "latest", q{"tracer": "callTracer", "timeout": "-1s"}}, -32602, `timeout "-1s"`},
		{"index", "debug_traceCall", []any{call, "latest", q{"tracer": "callTracer", "txIndex": "0x0"}}, -32602, "a state within a block"},
		{"withdrawals", "debug_traceCall", []any{call, "latest", q{"tracer": "callTracer", "blockOverrides": q{"withdrawals": []any{1}}}}, -32602, "there are no withdrawals"},
		{"huge number", "debug_traceCall", []any{call, "latest", q{"tracer": "callTracer", "blockOverrides": q{"number": "0xffffffffffffffffff"}}}, -32602, "the number of a block"},
		{"no money", "debug_traceCall", []any{q{"from": addr(carol), "to": contract, "value": "0x1"}, "latest", calls()}, -32000, "err: insufficient funds"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := c.call(tc.method, tc.params...); a.Error == nil || a.Error.Code != tc.code || !strings.HasPrefix(a.Error.Message, tc.text) {
				t.Errorf("got %s %+v", a.Result, a.Error)
			}
		})
	}
	for range 255 {
		c.execute()
	}
	c.result("debug_traceTransaction", tx, calls()) // the state before it is the last that is kept
	if a := c.call("debug_traceBlockByHash", deployed, calls()); a.Error == nil || !strings.Contains(a.Error.Message, "historical state is not available at block 0") {
		t.Errorf("got %s %+v", a.Result, a.Error)
	}
}

func TestServer_traceCall(t *testing.T) {
	c := newChain(t, nil)
	contract := c.deploy(7)
	c.do(&contract, 1_000_000, probing('s', word(0), word(8)))
	ask := func(data []byte, at string, config q) frame {
		t.Helper()
		return c.frame("debug_traceCall", q{"from": addr(alice), "to": contract, "data": hexutil.Bytes(data), "gas": "0xf4240"}, at, config)
	}
	with := func(name string, value any) q {
		config := calls("withLog")
		config[name] = value
		return config
	}
	get := probing('g', word(0))
	if f := ask(get, "latest", calls()); common.BytesToHash(f.Output) != topic(8) || f.Gas != 1_000_000 || f.GasUsed < 21_000 || f.Type != "CALL" {
		t.Errorf("got %+v", f)
	}
	if f := ask(get, "0x1", calls()); common.BytesToHash(f.Output) != topic(7) {
		t.Errorf("got %+v", f)
	}
	if f := ask(get, "latest", with("stateOverrides", q{contract.Hex(): q{"stateDiff": q{topic(0).Hex(): topic(3)}}})); common.BytesToHash(f.Output) != topic(3) {
		t.Errorf("got %+v", f)
	}
	if f := ask(probing('w'), "latest", with("blockOverrides", q{"number": "0x1234", "time": "0x99", "feeRecipient": addr(bob), "gasLimit": "0x10", "baseFeePerGas": "0x1", "prevRandao": topic(1)})); !bytes.HasSuffix(f.Output, []byte{0x34, 0x12, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("got %+v", f)
	}
	if f := ask(probing('v', []byte{0}, []byte("x")), "latest", with("timeout", "2s")); len(f.Logs) != 1 || f.Logs[0].Topics == nil || string(f.Logs[0].Data) != "x" {
		t.Errorf("got %+v", f)
	}
	if f := ask(probing('l'), "latest", calls()); f.Error != "out of gas" || f.GasUsed != f.Gas {
		t.Errorf("got %+v", f)
	}
}

// What a hostile contract does must neither take unbounded memory nor more than the bounds of calls allow.
func TestServer_trace_hostile(t *testing.T) {
	c := newChain(t, func(c *chain, cfg *rpc.Config) { cfg.CallTimeout, cfg.CallGas = 20*time.Second, 200_000_000 })
	code, err := vm.Pack(storm)
	must(t, err)
	at := crypto.CreateAddress(addr(alice), 0)
	if r := c.do(nil, 10_000_000, code); r["status"] != "0x1" {
		t.Fatalf("got %v", r)
	}
	call := func(op byte, gas uint64, config q) answer {
		return c.call("debug_traceCall", q{"to": at, "data": hexutil.Bytes{op}, "gas": hexutil.Uint64(gas)}, "latest", config)
	}
	t.Run("storm", func(t *testing.T) {
		if a := call('c', 50_000_000, calls()); a.Error == nil || a.Error.Code != -32005 || !strings.HasPrefix(a.Error.Message, "the trace is larger than 16777216 bytes") {
			t.Errorf("got %.200s %+v", a.Result, a.Error)
		}
		a := call('c', 50_000_000, calls("onlyTopCall"))
		if a.Error != nil || !strings.Contains(string(a.Result), `"error":"out of gas"`) {
			t.Errorf("got %.200s %+v", a.Result, a.Error)
		}
	})
	t.Run("large answer", func(t *testing.T) {
		release := c.server.HoldLargeAnswers()
		if a := call('c', 3_000_000, calls()); a.Error == nil || a.Error.Code != -32005 || !strings.HasPrefix(a.Error.Message, "server is busy") {
			t.Errorf("got %.200s %+v", a.Result, a.Error)
		}
		release()
		var f frame
		a := call('c', 3_000_000, calls())
		if a.Error != nil {
			t.Fatalf("got %+v", a.Error)
		}
		must(t, json.Unmarshal(a.Result, &f))
		if len(f.Calls) < 4_000 || len(a.Result) > 32<<20 {
			t.Errorf("%d calls in %d bytes", len(f.Calls), len(a.Result))
		}
	})
	t.Run("logs", func(t *testing.T) {
		if a := call('l', 200_000_000, calls("withLog")); a.Error == nil || a.Error.Code != -32005 {
			t.Errorf("got %.200s %+v", a.Result, a.Error)
		}
		for _, op := range []byte{'l', 'd'} { // these run out of gas before, and nothing is left of their logs
			if a := call(op, 50_000_000, calls("withLog")); a.Error != nil || strings.Contains(string(a.Result), `"logs"`) {
				t.Errorf("%c: got %.200s %+v", op, a.Result, a.Error)
			}
		}
	})
	t.Run("recursion", func(t *testing.T) {
		a := call('r', 50_000_000, calls())
		if a.Error != nil {
			t.Fatalf("got %+v", a.Error)
		}
		depth := strings.Count(string(a.Result), `"type":"CALL"`)
		if depth != 129 || !strings.Contains(string(a.Result), `"error":"max call depth exceeded"`) {
			t.Errorf("%d deep", depth)
		}
	})
	t.Run("loop", func(t *testing.T) {
		config := calls()
		config["timeout"] = "50ms"
		begun := time.Now()
		a := c.call("debug_traceCall", q{"to": at, "data": "0x63"}, "latest", config)
		if a.Error == nil || a.Error.Code != -32005 && a.Error.Message != "execution aborted (timeout = 50ms)" || time.Since(begun) > 5*time.Second {
			t.Errorf("got %.200s %+v", a.Result, a.Error)
		}
	})
	if got := c.result("eth_call", q{"to": at, "data": "0x00"}); got != `"0x"` {
		t.Errorf("afterwards: %s", got)
	}
}
