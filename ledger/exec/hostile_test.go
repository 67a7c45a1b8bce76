package exec_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

type code = metertest.Code

// contract is a contract that has the code, then returns 0.
func contract(c code, change ...func(m *metertest.Module)) []byte {
	m := metertest.Contract(c.Const32(0).End())
	for _, f := range change {
		f(m)
	}
	return m.Encode()
}

// hooks imports host functions, which are the first functions then.
func hooks(names ...string) func(m *metertest.Module) {
	return func(m *metertest.Module) {
		spell := func(letters string) (types []byte) {
			for _, l := range letters {
				types = append(types, map[rune]byte{'i': metertest.I32, 'l': metertest.I64}[l])
			}
			return types
		}
		for _, name := range names {
			for _, h := range meter.Hooks() {
				if h.Name == name {
					m.Imports = append(m.Imports, metertest.Import{Module: "vm_hooks", Name: name, Type: uint32(len(m.Types))})
					m.Types = append(m.Types, metertest.Type{Params: spell(h.Params), Results: spell(h.Results)})
				}
			}
		}
		m.Exports[0].Index = uint32(len(m.Imports))
	}
}

// forever repeats code.
func forever(c code) code { return append(code{}.Loop(0x40), c.Br(0).End()...) }

// hostileCode are creations that fail: outcome, and what a refusal says.
func hostileCode() []hostile {
	good := contract(nil)
	var nested, bomb code
	for range 257 {
		nested = nested.Block(0x40)
	}
	for range 257 {
		nested = nested.End()
	}
	for range 2000 {
		bomb = bomb.Block(0x40).Get(0).BrIf(0).End()
	}
	return []hostile{
		{"garbage", append(good[:8:8], 0xff, 0x7f, 1, 2, 3), vm.Revert, "a section (offset 8): it is truncated or damaged"},
		{"truncated", good[:len(good)-3], vm.Revert, "a section (offset 55): it is truncated or damaged"},
		{"overlong number", contract(code{}.Op(0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a)), vm.Revert, "a number of more than 32 bits"},
		{"nested too deep", contract(nested), vm.Revert, "nested more than 256 deep"},
		{"slow to compile", contract(bomb), vm.OutOfGas, ""},
		{"NaN", contract(code{}.Op(0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f, 0x1a)), vm.Revert, "f64.const in function 0 (offset 60): floating point"},
		{"unknown host function", contract(nil, func(m *metertest.Module) {
			m.Imports = []metertest.Import{{Module: "vm_hooks", Name: "read_arguments"}}
			m.Exports[0].Index = 1
		}), vm.Revert, "no host function of this name"},
		{"reserved name", contract(nil, func(m *metertest.Module) {
			m.Exports = append(m.Exports, metertest.Export{Name: "tercet_gas", Index: 0})
		}), vm.Revert, "tercet_"},
		{"capture of the counter", contract(code{}.Const64(1<<40).Op(0x24, 0)), vm.Revert, "there is no global 0"},
		{"capture of refill", contract(code{}.Const64(-1).Call(1)), vm.Revert, "there is no function 1"},
	}
}

// hostileCalls are contracts whose every call is bad.
func hostileCalls() []hostile {
	self := func(c code) code { // calls itself with all gas
		return c.Const32(64).Call(0).Const32(64).Const32(0).Const32(0).Const32(96).Const64(-1).Const32(128).Call(1).Op(0x1a)
	}
	return []hostile{
		{"infinite loop", contract(forever(nil)), vm.OutOfGas, ""},
		{"infinite recursion", contract(code{}.Get(0).Call(0).Op(0x1a)), vm.Trapped, ""},
		{"recursion across contracts", contract(self(nil), hooks("contract_address", "call_contract")), vm.Success, ""},
		{"storm of calls", contract(forever(self(nil)), hooks("contract_address", "call_contract")), vm.OutOfGas, ""},
		{"4 GiB of memory", contract(code{}.Const32(65535).Op(0x40, 0).Const32(-1).Op(0x47).If(0x40).Op(0).End()), vm.Success, ""},
		{"flood of logs", contract(forever(code{}.Const32(0).Const32(60_000).Const32(0).Call(0)), hooks("emit_log")), vm.OutOfGas, ""},
		{"flood of slots", contract(forever(code{}.Const32(0).Const32(0).Access(0x28, 2, 0).Const32(1).Op(0x6a).Access(0x36, 2, 0).
			Const32(0).Const32(0).Call(0).Const32(1).Call(1)), hooks("storage_cache_bytes32", "storage_flush_cache")), vm.OutOfGas, ""},
		{"megabytes of results", contract(code{}.Const32(96).Op(0x40, 0, 0x1a).Const32(0).Const32(6<<20).Call(0), hooks("write_result")), vm.OutOfGas, ""},
		{"division by zero", contract(code{}.Get(0).Const32(0).Op(0x6d, 0x1a)), vm.Trapped, ""},
		{"load beyond memory", contract(code{}.Const32(-1).Access(0x28, 2, 0).Op(0x1a)), vm.Trapped, ""},
	}
}

// hostile is code, how creating or calling it ends, and what a refusal says.
type hostile struct {
	name string
	code []byte
	want vm.Outcome
	text string
}

// input is a creation, or a call of a contract.
type input struct {
	hostile
	to *common.Address
}

// hostileInputs deploys the contracts.
func (c *chain) hostileInputs() (inputs []input) {
	c.t.Helper()
	for _, h := range hostileCode() {
		inputs = append(inputs, input{h, nil})
	}
	for _, h := range hostileCalls() {
		r := c.run(nil, 0, c.genesis.TxGasCap, h.code)
		if r.Status != types.ReceiptStatusSuccessful {
			c.t.Fatalf("%s: the creation fails", h.name)
		}
		at := r.ContractAddress
		h.code = nil
		inputs = append(inputs, input{h, &at})
	}
	return inputs
}

// hostileBlock executes all of them in a block, which is full then.
func (c *chain) hostileBlock(inputs []input, gas uint64) {
	c.t.Helper()
	c.genesis.BlockGasLimit = gas * uint64(len(inputs))
	key, from := testKey(c.t, 0)
	var txs []*ledger.Transaction
	for i, in := range inputs {
		txs = append(txs, sign(c.t, c.genesis, key, &types.LegacyTx{Nonce: c.accounts[from].Nonce + uint64(i), To: in.to, Gas: gas, Data: in.code}))
	}
	res := c.block(txs...)
	if len(res.Receipts) != len(inputs) {
		c.t.Fatalf("%d receipts of %d: %v", len(res.Receipts), len(inputs), res.Drops)
	}
	for i, r := range res.Receipts {
		if done := r.Status == types.ReceiptStatusSuccessful; done != (inputs[i].want == vm.Success) {
			c.t.Errorf("%s: status %d", inputs[i].name, r.Status)
		}
	}
}

// TestExecute_badInput fills blocks with creations and calls that are as bad as we can think of. Each ends as it has
// to, the blocks after them are executed as if nothing had been, and no memory is kept.
func TestExecute_badInput(t *testing.T) {
	const gas = 1_000_000
	c := newChain(t)
	inputs := c.hostileInputs()
	for _, in := range inputs {
		m := c.message(in.to, 0, in.code)
		m.Gas = gas
		if res := c.call(m); res.Outcome != in.want || in.text != "" && !strings.Contains(revertText(t, res.Output), in.text) {
			t.Errorf("%s: outcome %d, %q, want %d, %q", in.name, res.Outcome, res.Output, in.want, in.text)
		}
	}
	c.hostileBlock(inputs, gas)
	before := heap()
	for range 5 {
		c.hostileBlock(inputs, gas)
	}
	if after := heap(); after > before+4<<20 {
		t.Errorf("%d bytes are in use after the first block, %d after the last", before, after)
	}
	if r := c.run(&common.Address{1}, 5, 21_000, nil); r.Status != types.ReceiptStatusSuccessful || c.accounts[common.Address{1}].Balance != wei(5) {
		t.Errorf("the transfer after them: %+v", r)
	}
	at := c.install(common.Address{2}, 0)
	if got := c.ask(at, script{}.output("well")); !bytes.Equal(got.rest, []byte("well")) {
		t.Errorf("a contract after them answers %q", got.rest)
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
