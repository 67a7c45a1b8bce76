package meter_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// TestRewrite_golden compares rewritten modules with those in testdata, byte by byte: code that was activated stays
// what it was. The .wat files are for reading; where wabt is installed, they are compared, too.
func TestRewrite_golden(t *testing.T) {
	sources, err := filepath.Glob("testdata/rewrite/*.wat")
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, false)
	tested := 0
	for _, source := range sources {
		name := strings.TrimSuffix(source, ".wat")
		if strings.HasSuffix(name, ".metered") {
			continue
		}
		tested++
		t.Run(filepath.Base(name), func(t *testing.T) {
			wasm, err := os.ReadFile(name + ".wasm")
			if err != nil {
				t.Fatal(err)
			}
			module := rewritten(t, wasm)
			m.compile(module.Wasm).Close(t.Context())
			golden(t, name+".metered.wasm", module.Wasm)
			golden(t, name+".txt", fmt.Appendf(nil, "%d gas to activate, %d ink an instance\n%d to %d pages\nimports %v\nexports %v, constructor %v\n%d functions, %d dropped\n",
				module.ActivationGas, module.InstanceInk, module.Pages, module.MaxPages, module.Imports, module.Exports, module.HasConstructor, module.Functions, module.DroppedFunctions))
			if text, err := exec.Command("wasm2wat", name+".metered.wasm").Output(); err == nil {
				golden(t, name+".metered.wat", text)
			}
		})
	}
	if tested < 3 {
		t.Errorf("%d modules", tested)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; a rewriting that differs needs a version of its own (-update writes the file)", file)
	}
}

// TestRewrite_overlongTableIndex has a table index of 5 bytes, as LLVM writes them since version 19.
func TestRewrite_overlongTableIndex(t *testing.T) {
	short, long := callThroughTable(0), callThroughTable(0x80, 0x80, 0x80, 0x80, 0)
	got, want := rewritten(t, long.Encode()), rewritten(t, short.Encode())
	if string(got.Wasm) != string(want.Wasm) {
		t.Errorf("got\n%x, want\n%x", got.Wasm, want.Wasm)
	}
}

func callThroughTable(index ...byte) *module {
	return with(func(m *module) {
		m.Table = 1
		m.Funcs[0].Code = code{}.Get(0).Const32(0).Op(0x11, 0).Op(index...).End()
	})
}

// TestRewrite_dropsWhatIsNotReached keeps a function with floats as long as nothing calls it.
func TestRewrite_dropsWhatIsNotReached(t *testing.T) {
	float := func(caller code) *module {
		return with(func(m *module) {
			m.Funcs[0].Code = caller.Const32(0).End()
			m.Funcs = append(m.Funcs, m.Funcs[0])
			m.Funcs[1].Code = code{}.Op(0x43, 0, 0, 0, 0, 0x1a).Const32(0).End()
			m.Table, m.Elements = 1, []metertest.Elements{{Funcs: []uint32{1}}}
		})
	}
	for _, c := range []struct {
		name   string
		caller code
		ok     bool
	}{
		{"not called", nil, true},
		{"called after a return", code{}.Const32(0).Op(0x0f).Get(0).Call(1).Op(0x1a), true},
		{"called", code{}.Get(0).Call(1).Op(0x1a), false},
		{"in a table that is called", code{}.Get(0).Const32(0).CallIndirect(0).Op(0x1a), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			module, err := meter.Rewrite(float(c.caller).Encode(), meter.Current)
			if (err == nil) != c.ok {
				t.Fatalf("got %v", err)
			}
			if c.ok && (module.Functions != 1 || module.DroppedFunctions != 1) {
				t.Errorf("%d functions kept, %d dropped", module.Functions, module.DroppedFunctions)
			}
		})
	}
}

// TestRewrite_startPays runs a start function before each of the two exports, under gas.
func TestRewrite_startPays(t *testing.T) {
	m := newMachine(t, false)
	start := uint32(1)
	c := with(func(m *module) {
		m.Types = append(m.Types, metertest.Type{})
		m.Globals = []metertest.Global{{Type: i32, Mutable: true}}
		m.Funcs[0].Code = code{}.Op(0x23, 0).End()
		m.Funcs = append(m.Funcs, metertest.Func{Type: 1, Code: code{}.Op(0x23, 0).Const32(5).Op(0x6a, 0x24, 0).End()})
		m.Exports = append(m.Exports, metertest.Export{Name: "user_constructor", Index: 0})
		m.Start = &start
	})
	module := rewritten(t, c.Encode())
	for _, export := range []string{"user_entrypoint", "user_constructor"} {
		if o := m.run(module.Wasm, infinite, export, 0); o.err != nil || o.result != 5 {
			t.Errorf("%s: got %d, %v", export, o.result, o.err)
		}
	}
	c.Funcs[1].Code = code{}.Loop(0x40).Br(0).End().End()
	if o := m.run(rewritten(t, c.Encode()).Wasm, 1e9, "user_entrypoint", 0); o.err == nil {
		t.Error("a start function runs for ever")
	}
}
