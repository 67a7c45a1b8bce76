package vm_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// hostContract is a contract whose code calls the given host functions, by their place in the list.
func hostContract(code metertest.Code, hooks ...string) *metertest.Module {
	m := metertest.Contract(code, metertest.I32)
	for _, name := range hooks {
		t := metertest.Type{}
		switch name {
		case "storage_cache_bytes32":
			t.Params = []byte{metertest.I32, metertest.I32}
		case "storage_flush_cache":
			t.Params = []byte{metertest.I32}
		case "static_call_contract":
			t.Params = []byte{metertest.I32, metertest.I32, metertest.I32, metertest.I64, metertest.I32}
			t.Results = []byte{metertest.I32}
		case "chainid":
			t.Results = []byte{metertest.I64}
		}
		m.Imports = append(m.Imports, metertest.Import{Module: "vm_hooks", Name: name, Type: uint32(len(m.Types))})
		m.Types = append(m.Types, t)
	}
	for i := range m.Exports {
		if m.Exports[i].Kind == 0 {
			m.Exports[i].Index += uint32(len(hooks))
		}
	}
	return m
}

// cheaply fails if a call that is to use up its gas takes much longer than its gas stands for.
func cheaply(t *testing.T, w *world, m *metertest.Module) {
	t.Helper()
	at := w.deploy(m.Encode())
	const limit, most = 60_000_000, 10 * time.Second // 0.6 s
	start := cpuTime(t)
	if got := w.sendTo(at, make([]byte, 1), nil, limit); got.Outcome != vm.OutOfGas {
		t.Errorf("outcome %d", got.Outcome)
	}
	if cpu := cpuTime(t) - start; cpu > most {
		t.Errorf("%d gas took %s of CPU", limit, cpu)
	}
}

// TestHostile_flushOfCleanSlots flushes again and again after it has written many slots.
func TestHostile_flushOfCleanSlots(t *testing.T) {
	const slots = 8000
	c := metertest.Code{}.Loop(0x40).
		Const32(0).Get(1).Access(0x36, 2, 0).  // the key
		Const32(0).Const32(64).Call(0).        // nothing in it
		Get(1).Const32(1).Op(0x6a).Tee(1).     // the next one
		Const32(slots).Op(0x49).BrIf(0).End(). // i32.lt_u
		Loop(0x40).Const32(0).Call(1).Br(0).End().Const32(0).End()
	cheaply(t, newWorld(t, vm.Config{}), hostContract(c, "storage_cache_bytes32", "storage_flush_cache"))
}

// TestHostile_largeInstances calls contracts that do nothing, and of which an instance is work.
func TestHostile_largeInstances(t *testing.T) {
	nothing := func() metertest.Code { return metertest.Code{}.Const32(0).End() }
	elements := hostContract(metertest.Code{}.Get(0).If(0x40).Const32(0).End().Const32(0).End())
	elements.Funcs[0].Code = metertest.Code{}.Const32(0).If(0x40).Const32(0).Const32(0).CallIndirect(0).Op(0x1a).End().Const32(0).End()
	elements.Table = 32
	for range 128 {
		elements.Elements = append(elements.Elements, metertest.Elements{Funcs: make([]uint32, 32)})
	}
	globals := hostContract(nothing())
	globals.Globals = slices.Repeat([]metertest.Global{{Type: metertest.I64, Mutable: true}}, 1000)
	for name, callee := range map[string]*metertest.Module{
		"elements": elements,
		"globals":  globals,
		"imports":  hostContract(nothing(), slices.Repeat([]string{"chainid"}, 4000)...),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, vm.Config{})
			to := w.deploy(callee.Encode())
			c := metertest.Code{}.Loop(0x40).
				Const32(0).Const32(0).Const32(0).Const64(100_000).Const32(64).Call(0).Op(0x1a).
				Br(0).End().Const32(0).End()
			caller := hostContract(c, "static_call_contract")
			caller.Data = []metertest.Data{{Bytes: to[:]}}
			cheaply(t, w, caller)
		})
	}
}
