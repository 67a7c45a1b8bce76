package meter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

type (
	code   = metertest.Code
	module = metertest.Module
)

const (
	i32 = metertest.I32
	i64 = metertest.I64
	f64 = metertest.F64
)

// contract has the code, then returns 0.
func contract(c code, locals ...byte) *module {
	return metertest.Contract(c.Const32(0).End(), locals...)
}

// with changes a contract that does nothing.
func with(change func(m *module)) *module {
	m := contract(nil)
	change(m)
	return m
}

// refusal is a module that is refused, and words of the reason.
type refusal struct {
	name   string
	module *module
	want   string
}

func check(t *testing.T, refusals []refusal) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			_, err := meter.Rewrite(c.module.Encode(), meter.Current)
			if _, ok := errors.AsType[*meter.RefusedError](err); !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want something with %q", err, c.want)
			}
			if strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

func TestRewrite_refusesFeatures(t *testing.T) {
	check(t, []refusal{
		{"f64.add", contract(code{}.Op(0x44, 0, 0, 0, 0, 0, 0, 0, 0).Op(0x1a)), "f64.const in function 0 (offset 60): floating point is not deterministic; compute with integers"},
		{"float in dead code", contract(code{}.Op(0x00, 0xa0, 0x1a)), "f64.add in function 0"},
		{"float conversion", contract(code{}.Const32(1).Op(0xb7, 0x1a)), "f64.convert_i32_s in function 0"},
		{"saturating conversion", contract(code{}.Op(0xfc, 0)), "floating point"},
		{"float load", contract(code{}.Const32(1).Access(0x2b, 3, 0).Op(0x1a)), "f64.load"},
		{"float local", contract(nil, f64), "a local of type f64 in function 0"},
		{"float global", with(func(m *module) { m.Sections = map[byte][]byte{6: {1, f64, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b}} }), "a global of type f64"},
		{"float parameter", with(func(m *module) {
			m.Types = append(m.Types, metertest.Type{Params: []byte{f64}})
			m.Funcs[0].Code = code{}.Const32(0).CallIndirect(1).Const32(0).End()
			m.Table = 1
		}), "a value of type f64: floating point"},
		{"function with a float", with(func(m *module) {
			m.Types = append(m.Types, metertest.Type{Results: []byte{f64}})
			m.Funcs[0].Code = code{}.Call(1).Op(0x1a).Const32(0).End()
			m.Funcs = append(m.Funcs, metertest.Func{Type: 1, Code: code{}.Op(0x00).End()})
		}), "a function type in function 1 (offset 72): it has a value of type f64"},
		{"float block", contract(code{}.Block(f64)), "block of type f64"},
		{"vector", contract(code{}.Op(0xfd, 0)), "simd128"},
		{"atomic", contract(code{}.Op(0xfe, 0)), "atomics"},
		{"tail call", contract(code{}.Op(0x12, 0)), "return_call in function 0 (offset 60): tail calls"},
		{"exception", contract(code{}.Op(0x06, 0x40)), "panic=abort"},
		{"ref.null", contract(code{}.Op(0xd0, 0x70)), "reference"},
		{"select with a type", contract(code{}.Op(0x1c, 1, i32)), "reference"},
		{"table.get", contract(code{}.Op(0x25, 0)), "table.get"},
		{"table.grow", contract(code{}.Op(0xfc, 15, 0)), "an instruction on tables"},
		{"memory.init", contract(code{}.Op(0xfc, 8, 0, 0)), "passive data"},
		{"unknown opcode", contract(code{}.Op(0xff)), "0xff"},
		{"unknown prefixed opcode", contract(code{}.Op(0xfc, 99)), "0xfc 99"},
		{"block with several values", contract(code{}.Block(0)), "multi-value"},
		{"several results", with(func(m *module) { m.Types[0].Results = []byte{i32, i32}; m.Exports[0].Name = "memory2" }), "user_entrypoint"},
		{"function with several results", with(func(m *module) {
			m.Types = append(m.Types, metertest.Type{Results: []byte{i32, i32}})
			m.Funcs[0].Code = code{}.Call(1).Op(0x1a).End()
			m.Funcs = append(m.Funcs, metertest.Func{Type: 1, Code: code{}.Const32(1).Const32(1).End()})
		}), "multi-value"},
		{"second memory", with(func(m *module) { m.Sections = map[byte][]byte{5: {2, 0, 1, 0, 1}} }), "multi-memory"},
		{"other memory", contract(code{}.Op(0x3f, 1, 0x1a)), "multi-memory"},
		{"64-bit memory", with(func(m *module) { m.Sections = map[byte][]byte{5: {1, 4, 1}} }), "wasm32"},
		{"shared memory", with(func(m *module) { m.Sections = map[byte][]byte{5: {1, 3, 1, 2}} }), "atomics"},
		{"second table", with(func(m *module) { m.Sections = map[byte][]byte{4: {2, 0x70, 0, 1, 0x70, 0, 1}} }), "several tables"},
		{"externref table", with(func(m *module) { m.Sections = map[byte][]byte{4: {1, 0x6f, 0, 1}} }), "a table of externref"},
		{"passive data", with(func(m *module) { m.Sections = map[byte][]byte{11: {1, 1, 0}} }), "passive"},
		{"passive elements", with(func(m *module) { m.Table = 1; m.Sections = map[byte][]byte{9: {1, 1, 0, 0}} }), "passive"},
		{"extended constant", with(func(m *module) { m.Sections = map[byte][]byte{6: {1, i32, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b}} }), "extended constants"},
		{"initial value of a global", with(func(m *module) { m.Sections = map[byte][]byte{6: {1, i32, 0, 0x23, 0, 0x0b}} }), "position-independent"},
		{"tag section", with(func(m *module) { m.Last = []byte{13, 1, 0} }), "a section"},
	})
}

func TestRewrite_refusesImports(t *testing.T) {
	imported := func(moduleName, name string, params, results []byte) *module {
		return with(func(m *module) {
			m.Types = append(m.Types, metertest.Type{Params: params, Results: results})
			m.Imports = []metertest.Import{{Module: moduleName, Name: name, Type: 1}}
			m.Exports[0].Index = 1
		})
	}
	check(t, []refusal{
		{"unknown function", imported("vm_hooks", "read_arguments", nil, nil), "vm_hooks.read_arguments (offset 22): there is no host function of this name"},
		{"other type", imported("vm_hooks", "read_args", []byte{i64}, nil), "it has type (i) → () but is declared (l) → ()"},
		{"other result", imported("vm_hooks", "chainid", nil, []byte{i32}), "it has type () → (l)"},
		{"WASI", imported("wasi_snapshot_preview1", "fd_write", nil, nil), "without WASI"},
		{"env", imported("env", "abort", nil, nil), "--use abort="},
		{"our own", imported("tercet", "refill", []byte{i64}, nil), "vm_hooks only"},
		{"memory", with(func(m *module) {
			m.Sections = map[byte][]byte{2: append(code{1}.Bytes([]byte("env")).Bytes([]byte("memory")), 2, 0, 1)}
		}), "its own memory"},
		{"global", with(func(m *module) {
			m.Sections = map[byte][]byte{2: append(code{1}.Bytes([]byte("env")).Bytes([]byte("g")), 3, i32, 0)}
		}), "only functions"},
	})
}

func TestRewrite_refusesExports(t *testing.T) {
	export := func(e ...metertest.Export) *module {
		return with(func(m *module) { m.Exports = append(m.Exports, e...) })
	}
	check(t, []refusal{
		{"no entrypoint", with(func(m *module) { m.Exports = m.Exports[1:] }), "does not export user_entrypoint"},
		{"no memory", with(func(m *module) { m.Exports = m.Exports[:1] }), "export it as memory"},
		{"reserved name", export(metertest.Export{Name: "tercet_gas", Kind: 3, Index: 0}), "tercet_"},
		{"twice", export(metertest.Export{Name: "memory", Kind: 2, Index: 0}), "twice"},
		{"function as memory", with(func(m *module) { m.Exports[1] = metertest.Export{Name: "memory", Kind: 0, Index: 0} }), "must be the memory"},
		{"memory as entrypoint", with(func(m *module) { m.Exports[0] = metertest.Export{Name: "user_entrypoint", Kind: 2, Index: 0} }), "must be a function"},
		{"host function as entrypoint", with(func(m *module) {
			m.Imports = []metertest.Import{{Module: "vm_hooks", Name: "account_code_size", Type: 0}}
		}), "must be a function of the contract"},
		{"constructor's type", with(func(m *module) {
			m.Types = append(m.Types, metertest.Type{})
			m.Funcs = append(m.Funcs, metertest.Func{Type: 1, Code: code{}.End()})
			m.Exports = append(m.Exports, metertest.Export{Name: "user_constructor", Kind: 0, Index: 1})
		}), "user_constructor"},
		{"start function's type", with(func(m *module) { m.Start = new(uint32) }), "start"},
		{"start of nothing", with(func(m *module) { m.Start = new(uint32); *m.Start = 77 }), "start"},
	})
}

// TestRewrite_refusesCaptures tries to get at what the rewriting adds: its globals, imports, functions, types,
// locals and labels come after the original's own, whose numbers must therefore not reach further.
func TestRewrite_refusesCaptures(t *testing.T) {
	globals := func(c code) *module {
		m := contract(c)
		m.Globals = []metertest.Global{{Type: i32, Mutable: true}}
		return m
	}
	check(t, []refusal{
		{"read the gas counter", globals(code{}.Op(0x23, 1, 0x1a)), "there is no global 1"},
		{"set the gas counter", globals(code{}.Const64(1<<40).Op(0x24, 1)), "there is no global 1"},
		{"set the stack counter", globals(code{}.Const32(1<<30).Op(0x24, 2)), "there is no global 2"},
		{"call refill", contract(code{}.Const64(-1).Call(1)), "there is no function 1"},
		{"call grow", contract(code{}.Const32(1).Call(2).Op(0x1a)), "there is no function 2"},
		{"scratch local", contract(code{}.Get(3).Op(0x1a), i64, i64), "there is no local 3"},
		{"branch past the body", contract(code{}.Br(1)), "there is no label 1"},
		{"branch past the body in a table", contract(code{}.Const32(0).Const32(0).BrTable(0, 1)), "there is no label 1"},
		{"refill's type", with(func(m *module) {
			m.Table = 1
			m.Funcs[0].Code = code{}.Const64(1).Const32(0).CallIndirect(1).Const32(0).End()
		}), "there is no such type"},
		{"refill in the table", with(func(m *module) { m.Table = 1; m.Elements = []metertest.Elements{{Funcs: []uint32{1}}} }), "there is no such function"},
		{"export of the counter", with(func(m *module) { m.Exports = append(m.Exports, metertest.Export{Name: "g", Kind: 3}) }), "does not exist"},
		{"export of refill", with(func(m *module) { m.Exports = append(m.Exports, metertest.Export{Name: "f", Index: 1}) }), "does not exist"},
		{"start at refill", with(func(m *module) { m.Start = new(uint32); *m.Start = 1 }), "start function must exist"},
	})
}

func TestRewrite_refusesWhatDoesNotFit(t *testing.T) {
	check(t, []refusal{
		{"data beyond the memory", with(func(m *module) { m.Data = []metertest.Data{{Offset: 65535, Bytes: []byte("ab")}} }), "do not fit into the memory"},
		{"data at the end of 32 bits", with(func(m *module) { m.Data = []metertest.Data{{Offset: -1, Bytes: []byte("ab")}} }), "do not fit into the memory"},
		{"elements beyond the table", with(func(m *module) { m.Table = 2; m.Elements = []metertest.Elements{{Offset: 1, Funcs: []uint32{0, 0}}} }), "do not fit into the table"},
		{"data count", with(func(m *module) { m.Sections = map[byte][]byte{12: {1}} }), "data count"},
		{"second table index", with(func(m *module) { m.Table = 1; m.Funcs[0].Code = code{}.Const32(0).Const32(0).Op(0x11, 0, 1).End() }), "there is no table 1"},
		{"call without a table", with(func(m *module) { m.Funcs[0].Code = code{}.Const32(0).Const32(0).Op(0x11, 0, 0).End() }), "there is no table 0"},
		{"store without memory", with(func(m *module) {
			m.Memory, m.Exports = nil, m.Exports[:1]
			m.Funcs[0].Code = code{}.Const32(0).Access(0x28, 2, 0).End()
		}), "does not export its memory"},
		{"overlong number", contract(code{}.Op(0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a)), "a number of more than 32 bits in function 0"},
		{"number of too many bits", contract(code{}.Op(0x20, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x1a)), "a number of more than 32 bits in function 0"},
		{"overlong constant", contract(code{}.Op(0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a)), "in function 0"},
		{"overlong constant of 64 bits", contract(code{}.Op(0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a)), "in function 0"},
		{"alignment", contract(code{}.Const32(0).Access(0x28, 3, 0).Op(0x1a)), "alignment 2^3"},
	})
}

func TestRewrite_refusesGarbage(t *testing.T) {
	good := sumContract().Encode()
	for n := range good {
		if _, err := meter.Rewrite(good[:n], meter.Current); err == nil {
			t.Errorf("the first %d bytes of %d are accepted", n, len(good))
		}
	}
	for _, wasm := range []string{"", "\x00asm", "\x60\x80\x60\x40 EVM", "\x00asm\x0d\x00\x01\x00"} {
		_, err := meter.Rewrite([]byte(wasm), meter.Current)
		if err == nil || !strings.Contains(err.Error(), "WebAssembly") {
			t.Errorf("%q: %v", wasm, err)
		}
	}
	for _, v := range []meter.Version{0, meter.Current + 1} {
		if _, err := meter.Rewrite(good, v); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("version %d: %v", v, err)
		}
	}
}
