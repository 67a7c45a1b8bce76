package meter_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

const infinite = 1 << 60 // ink

func rewritten(t testing.TB, wasm []byte) *meter.Module {
	t.Helper()
	m, err := meter.Rewrite(wasm, meter.Current)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sum of 1 to the argument, in a loop.
func sumContract() *metertest.Module {
	var c metertest.Code
	c = c.Block(0x40).Loop(0x40).Get(0).Op(0x45).BrIf(1)
	c = c.Get(1).Get(0).Op(0x6a).Set(1).Get(0).Const32(1).Op(0x6b).Set(0).Br(0).End().End().Get(1).End()
	return metertest.Contract(c, metertest.I32)
}

func TestRewrite_loopPays(t *testing.T) {
	m := newMachine(t, false)
	module := rewritten(t, sumContract().Encode())
	few := m.run(module.Wasm, infinite, "user_entrypoint", 10)
	many := m.run(module.Wasm, infinite, "user_entrypoint", 1010)
	if few.err != nil || few.result != 55 || many.result != 1010*1011/2 {
		t.Fatalf("got %d and %d, %v", few.result, many.result, few.err)
	}
	if each := (many.used - few.used) / 1000; each != 11_600 { // 2 branches of 4,000, 7 moves, 3 simple ones
		t.Errorf("a round costs %d ink", each)
	}
	if again := m.run(module.Wasm, many.used, "user_entrypoint", 1010); again.err != nil {
		t.Errorf("with the gas that it takes: %v", again.err)
	}
	if less := m.run(module.Wasm, many.used-1, "user_entrypoint", 1010); !errors.Is(less.err, errOutOfGas) {
		t.Errorf("with less gas than it takes: %v", less.err)
	}
}

func TestRewrite_infiniteLoopEnds(t *testing.T) {
	m := newMachine(t, false)
	module := rewritten(t, metertest.Contract(metertest.Code{}.Loop(0x40).Br(0).End().Const32(0).End()).Encode())
	if o := m.run(module.Wasm, 1e9, "user_entrypoint", 0); !errors.Is(o.err, errOutOfGas) {
		t.Errorf("got %v", o.err)
	}
}

// TestRewrite_recursionEnds recurses with ever more values that live over the call: compiled and interpreted it ends
// in the same place, which is the rewriting's, and not in the engine's limit.
func TestRewrite_recursionEnds(t *testing.T) {
	p := newPair(t)
	for _, live := range []int{0, 100, 1000, 6000} {
		c := code{}.Op(0x23, 0).Const32(1).Op(0x6a, 0x24, 0).Get(0).Const32(0).Op(0x23, 0).Access(0x36, 2, 0).Op(0x1a)
		for i := range live {
			c = c.Get(0).Const32(int32(i)).Op(0x6c)
		}
		c = repeat(c.Get(0).Call(0), live, func(c code) code { return c.Op(0x6a) })
		m := contract(nil)
		m.Globals = []metertest.Global{{Type: i32, Mutable: true}}
		m.Funcs[0].Code = c.End()
		module := rewritten(t, m.Encode())
		compiled := p.compiler.run(module.Wasm, infinite, "user_entrypoint", 3)
		interpreted := p.interpreter.run(module.Wasm, infinite, "user_entrypoint", 3)
		for _, o := range []outcome{compiled, interpreted} {
			if o.err == nil || !strings.Contains(o.err.Error(), "unreachable") {
				t.Errorf("%d values: got %v", live, o.err)
			}
		}
		depth := binary.LittleEndian.Uint32([]byte(compiled.memory))
		if compiled.memory != interpreted.memory || compiled.used != interpreted.used || depth == 0 || depth > 1024 {
			t.Errorf("%d values: %d deep with %d ink, interpreted with %d", live, depth, compiled.used, interpreted.used)
		}
		t.Logf("%d values: %d deep, %d gas", live, depth, compiled.used/meter.InkPerGas)
	}
}

// TestRewrite_stackIsGivenBack leaves functions in every way, more often than the stack has room for.
func TestRewrite_stackIsGivenBack(t *testing.T) {
	m := newMachine(t, false)
	c := contract(nil)
	// Function 1 leaves by return, br, br_if, br_table and its end, depending on its argument, after a call.
	ways := code{}.Get(0).Call(2).Op(0x1a).Get(0).Op(0x45).If(0x40).Const32(1).Op(0x0f).End()
	ways = ways.Get(0).Const32(1).Op(0x46).If(0x40).Const32(2).Br(1).End()
	ways = ways.Const32(3).Get(0).Const32(2).Op(0x46).BrIf(0).Op(0x1a)
	ways = ways.Block(0x40).Const32(4).Get(0).Const32(3).Op(0x47).If(0x40).Br(1).End().Get(0).BrTable(1, 1).End()
	ways = ways.Const32(5).End()
	c.Funcs = append(c.Funcs, metertest.Func{Code: ways}, metertest.Func{Code: code{}.Get(0).End()})
	loop := code{}.Loop(0x40).Get(0).Const32(5).Op(0x70).Call(1).Get(1).Op(0x6a).Set(1).Get(0).Const32(1).Op(0x6b).Tee(0).BrIf(0).End().Get(1).End()
	c.Funcs[0] = metertest.Func{Locals: []byte{i32}, Code: loop}
	o := m.run(rewritten(t, c.Encode()).Wasm, infinite, "user_entrypoint", 10_000)
	if o.err != nil || o.result != 10_000/5*(1+2+3+4+5) {
		t.Errorf("got %d, %v", o.result, o.err)
	}
}
