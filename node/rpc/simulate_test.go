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

// simulated is a block as eth_simulateV1 answers it.
type simulated struct {
	Number, Timestamp, GasUsed, GasLimit hexutil.Uint64
	Hash, ParentHash, StateRoot          common.Hash
	Miner                                common.Address
	MixHash                              common.Hash
	BaseFeePerGas                        hexutil.Big
	Transactions                         []json.RawMessage
	LogsBloom                            types.Bloom
	Calls                                []struct {
		ReturnData      hexutil.Bytes
		Status, GasUsed hexutil.Uint64
		MaxUsedGas      hexutil.Uint64
		Logs            []types.Log
		Error           *struct {
			Code    int
			Message string
			Data    string
		}
	}
}

func (c *chain) simulate(payload q, at string) []simulated {
	c.t.Helper()
	var out []simulated
	must(c.t, json.Unmarshal([]byte(c.result("eth_simulateV1", payload, at)), &out))
	return out
}

func blocks(b ...q) q { return q{"blockStateCalls": b} }

func TestServer_simulate(t *testing.T) {
	c := newChain(t, nil)
	contract := c.deploy(7)
	before := c.result("eth_getBlockByNumber", "latest", false)
	head := c.parent
	send := func(from, to common.Address, value int) q {
		return q{"from": from, "to": to, "value": hexutil.Uint64(value)}
	}
	ask := func(data ...[]byte) []q {
		var out []q
		for _, d := range data {
			out = append(out, q{"from": addr(alice), "to": contract, "input": hexutil.Bytes(d)})
		}
		return out
	}
	t.Run("transfers", func(t *testing.T) { // the example of execution-apis
		a, b, d := common.Address{0xc0}, common.Address{0xc1}, common.Address{0xc2}
		got := c.simulate(blocks(q{"stateOverrides": q{a.Hex(): q{"balance": "0x3e8"}}, "calls": []q{send(a, b, 1000), send(b, d, 1000)}}), "latest")
		if len(got) != 1 || len(got[0].Calls) != 2 || got[0].GasUsed != 42_000 || uint64(got[0].Number) != head.Number.Uint64()+1 || got[0].ParentHash != head.Hash() || len(got[0].Transactions) != 2 {
			t.Fatalf("got %+v", got)
		}
		for _, call := range got[0].Calls {
			if call.Status != 1 || call.GasUsed != 21_000 || call.MaxUsedGas != 21_000 || call.Error != nil || call.Logs == nil || call.ReturnData == nil {
				t.Errorf("got %+v", call)
			}
		}
	})
	t.Run("state goes on", func(t *testing.T) {
		get, set := probing('g', word(0)), func(n int64) []byte { return probing('s', word(0), word(n)) }
		got := c.simulate(blocks(
			q{"calls": ask(get, set(8), get)},
			q{"calls": ask(get), "stateOverrides": q{contract.Hex(): q{"stateDiff": q{topic(5).Hex(): topic(55)}}}},
			q{"calls": ask(get, probing('g', word(5)), set(9)), "blockOverrides": q{"number": hexutil.Uint64(head.Number.Uint64() + 5)}},
			q{"calls": ask(get), "stateOverrides": q{contract.Hex(): q{"state": q{}}}},
		), "latest")
		if len(got) != 6 { // two fill the gap
			t.Fatalf("%d blocks", len(got))
		}
		for _, tc := range []struct {
			block, call int
			want        int64
		}{{0, 0, 7}, {0, 2, 8}, {1, 0, 8}, {4, 0, 8}, {4, 1, 55}, {5, 0, 0}} {
			if call := got[tc.block].Calls[tc.call]; common.BytesToHash(call.ReturnData) != topic(tc.want) {
				t.Errorf("call %d of block %d: %+v", tc.call, tc.block, call)
			}
		}
		for i, b := range got[1:] {
			if b.ParentHash != got[i].Hash || b.Number != got[i].Number+1 || b.Timestamp <= got[i].Timestamp || b.StateRoot != (common.Hash{}) {
				t.Errorf("block %d: %+v", i+1, b)
			}
		}
		if got[2].Calls == nil || len(got[2].Calls) != 0 {
			t.Errorf("got %+v", got[2])
		}
	})
	t.Run("creation", func(t *testing.T) {
		at := crypto.CreateAddress(addr(bob), 0)
		got := c.simulate(blocks(
			q{"calls": []q{{"from": addr(bob), "input": hexutil.Bytes(creation(t, 3))}}},
			q{"calls": []q{{"from": addr(bob), "to": at, "input": hexutil.Bytes(probing('g', word(0)))}}},
		), "latest")
		code, _, err := vm.ParseCreation(creation(t, 3))
		must(t, err)
		if string(got[0].Calls[0].ReturnData) != string(code) || common.BytesToHash(got[1].Calls[0].ReturnData) != topic(3) {
			t.Errorf("got %+v", got[1])
		}
	})
	t.Run("block overrides", func(t *testing.T) {
		got := c.simulate(blocks(
			q{"calls": ask(probing('w')), "blockOverrides": q{"number": "0x20", "time": "0x70000000", "gasLimit": "0x1312d00", "feeRecipient": addr(carol), "baseFeePerGas": "0x7", "prevRandao": topic(6)}},
			q{"calls": ask(probing('w'))},
		), "latest")
		a, b := got[len(got)-2], got[len(got)-1]
		if a.Number != 32 || a.Timestamp != 0x70000000 || a.GasLimit != 20_000_000 || a.Miner != addr(carol) || a.BaseFeePerGas.ToInt().Int64() != 7 || a.MixHash != topic(6) ||
			a.Calls[0].ReturnData[52] != 32 {
			t.Errorf("got %+v", a)
		}
		if b.Number != 33 || b.Miner != addr(carol) || b.GasLimit != 20_000_000 || b.BaseFeePerGas.ToInt().Sign() != 0 || b.Calls[0].ReturnData[52] != 33 {
			t.Errorf("got %+v", b)
		}
	})
	t.Run("failures", func(t *testing.T) {
		first := ask(probing('s', word(0), word(1)), probing('r', reasonOf("no")), probing('t'), probing('g', word(0)))
		first[2]["gas"] = "0x186a0" // it takes all of it
		got := c.simulate(blocks(q{"calls": first},
			q{"calls": []q{{"to": contract, "input": hexutil.Bytes{'l'}, "gas": "0x186a0"}}}), "latest")
		calls := got[0].Calls
		if e := calls[1].Error; calls[1].Status != 0 || e.Code != 3 || e.Message != "execution reverted: no" || e.Data != hexutil.Encode(reasonOf("no")) {
			t.Errorf("got %+v", e)
		}
		if e := calls[2].Error; calls[2].Status != 0 || e.Code != -32015 || e.Message != "wasm trap" || calls[2].Logs == nil {
			t.Errorf("got %+v", e)
		}
		if common.BytesToHash(calls[3].ReturnData) != topic(1) {
			t.Errorf("got %+v", calls[3])
		}
		if e := got[1].Calls[0].Error; e.Code != -32015 || e.Message != "out of gas" || got[1].Calls[0].GasUsed != 100_000 {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("logs and transfers", func(t *testing.T) {
		payload := blocks(q{"calls": []q{
			{"from": addr(alice), "to": contract, "value": "0x5", "input": hexutil.Bytes(probing('v', []byte{1}, word(4), []byte("data")))},
			{"from": addr(alice), "to": contract, "value": "0x6", "input": hexutil.Bytes(probing('t')), "gas": "0x186a0"},
			send(addr(bob), addr(carol), 9),
			{"from": addr(bob), "value": "0x1", "input": hexutil.Bytes(creation(t, 3))},
		}})
		plain := c.simulate(payload, "latest")[0]
		payload["traceTransfers"] = true
		got := c.simulate(payload, "latest")[0]
		if len(plain.Calls[0].Logs) != 1 || len(plain.Calls[2].Logs) != 0 || plain.LogsBloom != got.LogsBloom || plain.Hash != got.Hash {
			t.Errorf("got %+v", plain)
		}
		token := common.HexToAddress("0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")
		var logs []types.Log
		for i, call := range got.Calls {
			for _, l := range call.Logs {
				if int(l.Index) != len(logs) || int(l.TxIndex) != i || l.BlockHash != got.Hash || l.BlockNumber != uint64(got.Number) || fmt.Sprintf("%q", l.TxHash.Hex()) != string(got.Transactions[i]) {
					t.Errorf("log %+v", l)
				}
				logs = append(logs, l)
			}
		}
		if len(logs) != 4 || logs[1].Address != contract {
			t.Fatalf("got %+v", logs)
		}
		created := crypto.CreateAddress(addr(bob), 1)
		for i, want := range map[int][]any{0: {addr(alice), contract, 5}, 2: {addr(bob), addr(carol), 9}, 3: {addr(bob), created, 1}} {
			l := logs[i]
			if l.Address != token || len(l.Topics) != 3 || l.Topics[0] != crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)")) ||
				common.BytesToAddress(l.Topics[1][:]) != want[0] || common.BytesToAddress(l.Topics[2][:]) != want[1] || common.BytesToHash(l.Data) != topic(int64(want[2].(int))) {
				t.Errorf("log %d is %+v, want %v", i, l, want)
			}
		}
	})
	t.Run("full transactions", func(t *testing.T) {
		payload := blocks(q{"calls": []q{send(addr(alice), contract, 1), {"from": addr(bob), "to": contract, "gasPrice": "0x0", "nonce": "0x0"}}})
		payload["returnFullTransactions"] = true
		got := c.simulate(payload, "latest")[0]
		var tx struct {
			Hash, BlockHash    common.Hash
			From               common.Address
			Type, Nonce        hexutil.Uint64
			TransactionIndex   hexutil.Uint64
			BlockNumber, Value hexutil.Uint64
		}
		must(t, json.Unmarshal(got.Transactions[0], &tx))
		if tx.From != addr(alice) || tx.BlockHash != got.Hash || tx.Type != 2 || tx.Nonce != 1 || tx.Value != 1 || tx.BlockNumber != got.Number {
			t.Errorf("got %+v", tx)
		}
		must(t, json.Unmarshal(got.Transactions[1], &tx))
		if tx.From != addr(bob) || tx.Type != 0 || tx.TransactionIndex != 1 {
			t.Errorf("got %+v", tx)
		}
	})
	t.Run("validation", func(t *testing.T) {
		payload := blocks(q{"calls": []q{{"from": addr(alice), "to": contract, "nonce": "0x1"}, {"from": addr(alice), "to": contract, "nonce": "0x2", "maxFeePerGas": "0x9", "maxPriorityFeePerGas": "0x1"}}})
		payload["validation"] = true
		if got := c.simulate(payload, "latest")[0]; len(got.Calls) != 2 || got.Calls[1].Status != 1 {
			t.Errorf("got %+v", got)
		}
	})
	if after := c.result("eth_getBlockByNumber", "latest", false); after != before {
		t.Error("the chain has changed")
	}
	if got := c.simulate(blocks(q{"calls": ask(probing('e', []byte{1}))}), "earliest"); got[0].Number != 1 || len(got[0].Calls[0].ReturnData) != 0 {
		t.Errorf("before the contract: %+v", got)
	}
}

func TestServer_simulate_errors(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.CallGas = 2_000_000 })
	contract := c.deploy(7)
	call := func(more ...any) q {
		out := q{"from": addr(alice), "to": contract}
		for i := 0; i < len(more); i += 2 {
			out[more[i].(string)] = more[i+1]
		}
		return q{"calls": []q{out}}
	}
	strict := func(b ...q) q { p := blocks(b...); p["validation"] = true; return p }
	many := make([]q, 257)
	for i := range many {
		many[i] = q{}
	}
	over := func(o q, more ...any) q { b := call(more...); b["blockOverrides"] = o; return b }
	state := func(o q) q { b := call(); b["stateOverrides"] = o; return b }
	sixteen := q{}
	for i := range 17 {
		sixteen[common.Address{byte(i + 1)}.Hex()] = q{"code": hexutil.Bytes(probe)}
	}
	for _, tc := range []struct {
		name    string
		payload q
		code    int
		text    string
	}{
		{"nothing", blocks(), -32602, "blockStateCalls is empty"},
		{"too many blocks", blocks(many...), -38026, "too many blocks"},
		{"too far", blocks(over(q{"number": "0x102"})), -38026, "too many blocks"},
		{"number does not increase", blocks(over(q{"number": "0x5"}), over(q{"number": "0x5"})), -38020, "block numbers must be in order: 5 <= 5"},
		{"number of the base", blocks(over(q{"number": "0x1"})), -38020, "block numbers must be in order: 1 <= 1"},
		{"time goes back", blocks(over(q{"time": "0x7fffffff"}), over(q{"time": "0x7ffffffe"})), -38021, "block timestamps must be in order"},
		{"time before the base", blocks(over(q{"time": "0x1"})), -38021, "block timestamps must be in order"},
		{"huge time", blocks(over(q{"time": "0xffffffffffffffff"})), -32602, "the time of a block"},
		{"negative number", blocks(over(q{"number": "-0x1"})), -32602, ""},
		{"withdrawals", blocks(over(q{"withdrawals": []q{{}}})), -32602, "there are no withdrawals"},
		{"nonce too low", strict(call("nonce", "0x0")), -38010, "nonce too low: next nonce 1, tx nonce 0"},
		{"nonce too high", strict(call("nonce", "0x9")), -38011, "nonce too high: next nonce 1, tx nonce 9"},
		{"base fee", strict(over(q{"baseFeePerGas": "0x9"}, "maxFeePerGas", "0x8")), -38012, "max fee per gas less than block base fee: 8 < 9"},
		{"tip above cap", strict(call("maxFeePerGas", "0x1", "maxPriorityFeePerGas", "0x2")), -32602, "max priority fee per gas higher"},
		{"last nonce", blocks(func() q {
			b := call()
			b["stateOverrides"] = q{addr(alice).Hex(): q{"nonce": "0xffffffffffffffff"}}
			return b
		}()), -32602, "nonce has max value"},
		{"intrinsic gas", blocks(call("gas", "0x5207")), -38013, "intrinsic gas too low: have 20999, want 21000"},
		{"funds", blocks(call("from", addr(carol), "value", "0x1")), -38014, "insufficient funds for transfer"},
		{"block gas", blocks(over(q{"gasLimit": "0x5208"}, "gas", "0x5209")), -38015, "block gas limit reached: remaining: 21000, required: 21001"},
		{"moved to itself", blocks(state(q{common.Address{19: 1}.Hex(): q{"movePrecompileToAddress": common.Address{19: 1}}})), -38022, "MovePrecompileToAddress referenced itself"},
		{"moved twice", blocks(state(q{common.Address{19: 1}.Hex(): q{"movePrecompileToAddress": contract}, common.Address{19: 2}.Hex(): q{"movePrecompileToAddress": contract}})), -38023, "multiple MovePrecompileToAddress"},
		{"moved", blocks(state(q{common.Address{19: 1}.Hex(): q{"movePrecompileToAddress": contract}})), -32000, "precompiles cannot be moved"},
		{"too much code", blocks(state(sixteen)), -32602, "the code of 17 accounts"},
		{"init code", blocks(call("to", nil, "input", hexutil.Bytes(make([]byte, 300<<10)))), -38025, "max initcode size exceeded"},
		{"all gas is used", blocks(call("input", "0x6c"), call()), -38026, "the calls use more than the 2000000 gas"},
		{"EVM bytecode", blocks(state(q{addr(bob).Hex(): q{"code": "0x6080"}})), -32000, "overriding account"},
		{"data and input", blocks(call("data", "0x01", "input", "0x02")), -32000, `both "data" and "input"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := c.call("eth_simulateV1", tc.payload, "latest"); a.Error == nil || a.Error.Code != tc.code || !strings.HasPrefix(a.Error.Message, tc.text) {
				t.Errorf("got %.300s %+v", a.Result, a.Error)
			}
		})
	}
	if a := c.call("eth_simulateV1", blocks(q{}), "0x99"); a.Error == nil || a.Error.Message != "header not found" {
		t.Errorf("got %s %+v", a.Result, a.Error)
	}
}

// What simulations may take is bounded: time, gas for all calls together, and the answer.
func TestServer_simulate_hostile(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.CallTimeout, cfg.CallGas = 2*time.Second, 1<<50 })
	contract := c.deploy(7)
	block := func(n int, call q) q {
		calls := make([]q, n)
		for i := range calls {
			calls[i] = call
		}
		return q{"calls": calls, "blockOverrides": q{"gasLimit": hexutil.Uint64(1 << 50)}}
	}
	begun := time.Now()
	a := c.call("eth_simulateV1", blocks(block(1, q{"to": contract, "input": "0x6c"})), "latest")
	if a.Error == nil || a.Error.Code != -32016 || a.Error.Message != "execution aborted (timeout = 2s)" || time.Since(begun) > 8*time.Second {
		t.Errorf("got %.200s %+v", a.Result, a.Error)
	}
	echo := q{"to": contract, "input": hexutil.Bytes(append([]byte{'e'}, make([]byte, 30_000)...)), "gas": "0xf4240"}
	release := c.server.HoldLargeAnswers()
	if a := c.call("eth_simulateV1", blocks(block(40, echo)), "latest"); a.Error == nil || !strings.HasPrefix(a.Error.Message, "server is busy") {
		t.Errorf("got %.200s %+v", a.Result, a.Error)
	}
	release()
	if a := c.call("eth_simulateV1", blocks(block(40, echo)), "latest"); a.Error != nil || len(a.Result) < 40*30_000 {
		t.Errorf("got %.200s %+v", a.Result, a.Error)
	}
	twice := q{"to": contract, "input": hexutil.Bytes(probing('e', make([]byte, 30_000))), "gas": "0xf4240"}
	payload := blocks(block(40, twice), q{"calls": []q{}})
	payload["returnFullTransactions"] = true
	if a := c.call("eth_simulateV1", payload, "latest"); a.Error != nil || len(a.Result) < 2*40*30_000 {
		t.Errorf("got %.200s %+v", a.Result, a.Error)
	}
	// Overridden code answers with far more than was asked.
	b := block(300, q{"to": contract, "gas": "0xf4240", "input": "0x6f"})
	b["stateOverrides"] = q{contract.Hex(): q{"code": hexutil.Bytes(storm)}}
	if a := c.call("eth_simulateV1", blocks(b), "latest"); a.Error == nil || a.Error.Code != -38026 || !strings.HasPrefix(a.Error.Message, "the answer would take more than") {
		t.Errorf("got %.200s %+v", a.Result, a.Error)
	}
	if got := c.result("eth_call", q{"to": contract, "input": "0x6501"}); got != `"0x01"` {
		t.Errorf("afterwards: %s", got)
	}
}
