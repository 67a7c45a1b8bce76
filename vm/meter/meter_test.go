package meter_test

import (
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
	if each := (many.used - few.used) / 1000; each < 2000 || each > 10_000 {
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

func TestRewrite_recursionEnds(t *testing.T) {
	m := newMachine(t, false)
	module := rewritten(t, metertest.Contract(metertest.Code{}.Get(0).Call(0).End()).Encode())
	if o := m.run(module.Wasm, infinite, "user_entrypoint", 0); o.err == nil || !strings.Contains(o.err.Error(), "unreachable") {
		t.Errorf("got %v", o.err)
	}
}
