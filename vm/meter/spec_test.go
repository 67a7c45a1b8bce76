package meter_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tercet-chain/tercet/vm/meter"
)

// specScript is a script of the specification's tests, as wast2json writes it.
type specScript struct {
	Commands []specCommand `json:"commands"`
}

type specCommand struct {
	Type       string      `json:"type"`
	Line       int         `json:"line"`
	Filename   string      `json:"filename"`
	ModuleType string      `json:"module_type"`
	Text       string      `json:"text"`
	Action     specAction  `json:"action"`
	Expected   []specValue `json:"expected"`
}

type specAction struct {
	Type   string      `json:"type"`
	Module string      `json:"module"`
	Field  string      `json:"field"`
	Args   []specValue `json:"args"`
}

type specValue struct {
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// bits of a value of type i32 or i64.
func (v specValue) bits() (uint64, bool) {
	s, ok := v.Value.(string)
	if !ok || v.Type != "i32" && v.Type != "i64" {
		return 0, false
	}
	if strings.HasPrefix(s, "-") {
		n, err := strconv.ParseInt(s, 10, 64)
		if v.Type == "i32" {
			n = int64(uint32(n))
		}
		return uint64(n), err == nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// specDifferences are lines of scripts at which contracts differ on purpose: a memory does not grow beyond 128
// pages, a start function runs before each call, and types that nothing uses are dropped.
var specDifferences = map[string][]int{
	"call":        {294, 359},
	"memory_grow": {45, 46, 47, 48},
	"start":       {47, 49, 76, 78},
	"type":        {53, 57},
}

// specRun is what happens to one script.
type specRun struct {
	*testing.T
	machine  *machine
	dir      string
	script   string
	module   api.Module
	kept     []string
	tainted  bool // something that could not be run may have changed the module's state
	returned int
	trapped  int
	refused  int
	skipped  int
}

// TestRewrite_specification runs the tests of WebAssembly 1.0 and 2.0, which come with wazero's source: what they
// say about modules without floats holds for the rewritten ones, and what is invalid or malformed is refused.
func TestRewrite_specification(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	var total specRun
	for _, version := range []string{"v1", "v2"} {
		scripts, err := filepath.Glob(filepath.Join(root, version, "testdata", "*.json"))
		if err != nil || len(scripts) == 0 {
			t.Fatalf("no scripts in %s: %v", root, err)
		}
		for _, script := range scripts {
			t.Run(version+"/"+strings.TrimSuffix(filepath.Base(script), ".json"), func(t *testing.T) {
				run := &specRun{T: t, machine: newMachine(t, false), dir: filepath.Dir(script)}
				run.play(script)
				total.returned += run.returned
				total.trapped += run.trapped
				total.refused += run.refused
				total.skipped += run.skipped
			})
		}
	}
	t.Logf("%d results and %d traps as specified, %d modules refused; %d assertions need what contracts do not have", total.returned, total.trapped, total.refused, total.skipped)
}

func (r *specRun) play(script string) {
	data, err := os.ReadFile(script)
	if err != nil {
		r.Fatal(err)
	}
	var s specScript
	if err := json.Unmarshal(data, &s); err != nil {
		r.Fatal(err)
	}
	r.script = strings.TrimSuffix(filepath.Base(script), ".json")
	for _, c := range s.Commands {
		if slices.Contains(specDifferences[r.script], c.Line) {
			continue
		}
		switch c.Type {
		case "module":
			r.load(c)
		case "assert_return", "action", "assert_trap":
			r.act(c)
		case "assert_invalid", "assert_malformed":
			r.refuse(c)
		}
	}
}

// load rewrites a module with the exports that can be rewritten.
func (r *specRun) load(c specCommand) {
	r.module, r.kept, r.tainted = nil, nil, false
	wasm, err := os.ReadFile(filepath.Join(r.dir, c.Filename))
	if err != nil {
		r.Fatal(err)
	}
	raw := wazero.NewRuntimeWithConfig(r.Context(), wazero.NewRuntimeConfigInterpreter())
	defer raw.Close(r.Context())
	compiled, err := raw.CompileModule(r.Context(), wasm)
	if err != nil {
		return
	}
	for name := range compiled.ExportedFunctions() {
		if _, err := meter.RewriteProgram(wasm, []string{name}, false); err == nil {
			r.kept = append(r.kept, name)
		}
	}
	slices.Sort(r.kept)
	m, err := meter.RewriteProgram(wasm, r.kept, false)
	if err != nil {
		return
	}
	for _, f := range compiled.ImportedFunctions() {
		if module, _, _ := f.Import(); module != "vm_hooks" {
			r.kept = nil
			return
		}
	}
	r.module, err = r.machine.runtime.InstantiateWithConfig(r.Context(), m.Wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		r.Errorf("line %d: the rewritten module: %v", c.Line, err)
		r.kept = nil
	}
}

func (r *specRun) act(c specCommand) {
	args := make([]uint64, 0, len(c.Action.Args))
	ok := r.module != nil && c.Action.Type == "invoke" && c.Action.Module == "" && slices.Contains(r.kept, c.Action.Field)
	for _, a := range c.Action.Args {
		bits, integer := a.bits()
		ok = ok && integer
		args = append(args, bits)
	}
	if !ok || r.tainted {
		r.skipped++
		r.tainted = r.tainted || c.Type == "action" || strings.Contains(c.Action.Field, "store")
		return
	}
	r.machine.reserve = infinite
	r.machine.fill(r.module.ExportedGlobal(meter.GasExport).(api.MutableGlobal))
	r.module.ExportedGlobal(meter.StackExport).(api.MutableGlobal).Set(meter.StackWords)
	got, err := r.module.ExportedFunction(c.Action.Field).Call(r.Context(), args...)
	if c.Type == "assert_trap" {
		if err == nil {
			r.Errorf("line %d: %s%v = %v, want a trap: %s", c.Line, c.Action.Field, args, got, c.Text)
		}
		r.trapped++
		return
	}
	if err != nil || len(got) != len(c.Expected) && c.Type == "assert_return" {
		r.Errorf("line %d: %s%v: got %v, %v", c.Line, c.Action.Field, args, got, err)
		return
	}
	for i, e := range c.Expected {
		if e.Type == "i32" {
			got[i] = uint64(uint32(got[i])) // the compiler leaves the upper half as it is
		}
		if want, _ := e.bits(); got[i] != want {
			r.Errorf("line %d: %s%v: got %x, want %x", c.Line, c.Action.Field, args, got[i], want)
		}
	}
	r.returned++
}

// refuse expects that no contract comes from a module that is not valid.
func (r *specRun) refuse(c specCommand) {
	if c.ModuleType == "text" {
		return
	}
	wasm, err := os.ReadFile(filepath.Join(r.dir, c.Filename))
	if err != nil {
		r.Fatal(err)
	}
	_, err = meter.RewriteProgram(wasm, nil, true)
	if _, ok := errors.AsType[*meter.RefusedError](err); !ok {
		r.Errorf("line %d: %s was not refused (%s): %v", c.Line, c.Filename, c.Text, err)
	}
	r.refused++
}
