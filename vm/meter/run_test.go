package meter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tercet-chain/tercet/vm/meter"
)

// features are what a host of rewritten modules needs.
const features = api.CoreFeaturesV1 | api.CoreFeatureSignExtensionOps | api.CoreFeatureBulkMemoryOperations

var errOutOfGas = errors.New("out of gas")

// machine runs modules, metered or as they are.
type machine struct {
	t       testing.TB
	runtime wazero.Runtime
	// tranche is the most ink that the counter of a module has at once.
	tranche int64
	// reserve is what is left beside it.
	reserve int64
	refills int
	// called is what host functions were called, with their arguments.
	called []string
}

func newMachine(t testing.TB, interpreter bool) *machine {
	ctx := t.Context()
	config := wazero.NewRuntimeConfigCompiler()
	if interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	m := &machine{t: t, runtime: wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features).WithMemoryLimitPages(meter.MaxPages)), tranche: 1_500_000}
	t.Cleanup(func() { m.runtime.Close(context.WithoutCancel(ctx)) })

	own := m.runtime.NewHostModuleBuilder("tercet")
	own.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(m.refill), []api.ValueType{api.ValueTypeI64}, nil).Export("refill")
	own.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(m.grow), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).Export("grow")
	if _, err := own.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	hooks := m.runtime.NewHostModuleBuilder("vm_hooks")
	for _, h := range meter.Hooks() {
		hooks.NewFunctionBuilder().WithGoModuleFunction(m.hook(h), valueTypes(h.Params), valueTypes(h.Results)).Export(h.Name)
	}
	if _, err := hooks.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

func valueTypes(letters string) []api.ValueType {
	var types []api.ValueType
	for _, l := range letters {
		if l == 'i' {
			types = append(types, api.ValueTypeI32)
		} else {
			types = append(types, api.ValueTypeI64)
		}
	}
	return types
}

// hook is a host function that remembers its arguments and returns their sum.
func (m *machine) hook(h meter.Hook) api.GoModuleFunc {
	return func(_ context.Context, _ api.Module, stack []uint64) {
		args := stack[:len(h.Params)]
		for i, p := range h.Params {
			if p == 'i' {
				args[i] = uint64(uint32(args[i])) // the compiler leaves the upper half as it is
			}
		}
		m.called = append(m.called, fmt.Sprint(h.Name, args))
		sum := uint64(7)
		for _, a := range args {
			sum += a
		}
		if h.Results == "i" {
			sum = uint64(uint32(sum))
		}
		if h.Results != "" {
			stack[0] = sum
		}
	}
}

func (m *machine) refill(_ context.Context, module api.Module, stack []uint64) {
	counter := module.ExportedGlobal(meter.GasExport).(api.MutableGlobal)
	left := int64(stack[0])
	if left >= 0 || left != int64(counter.Get()) {
		m.t.Errorf("refill(%d) with the counter at %d", left, int64(counter.Get()))
	}
	m.refills++
	m.reserve += left
	if m.reserve < 0 {
		panic(errOutOfGas)
	}
	m.fill(counter)
}

func (m *machine) fill(counter api.MutableGlobal) {
	part := min(m.reserve, m.tranche)
	m.reserve -= part
	counter.Set(uint64(part))
}

func (m *machine) grow(_ context.Context, module api.Module, stack []uint64) {
	n := uint32(stack[0])
	pages := module.Memory().Size() >> 16
	if uint64(pages)+uint64(n) > uint64(meter.MaxPages) {
		stack[0] = 0xffffffff
		return
	}
	m.reserve -= int64(n) * int64(meter.PageInk(meter.Current)) // may be below zero until the next refill
}

// outcome is what there is to see of a run.
type outcome struct {
	result uint64
	err    error
	used   int64 // ink
	memory string
	called []string
}

// run calls an export of a module. With gas, in ink, it is a rewritten one.
func (m *machine) run(wasm []byte, gas int64, export string, args ...uint64) outcome {
	m.t.Helper()
	compiled := m.compile(wasm)
	defer compiled.Close(m.t.Context())
	return m.call(compiled, gas, export, args...)
}

func (m *machine) compile(wasm []byte) wazero.CompiledModule {
	m.t.Helper()
	compiled, err := m.runtime.CompileModule(m.t.Context(), wasm)
	if err != nil {
		m.t.Fatalf("compiling: %v", err)
	}
	return compiled
}

// enter calls an export of an instance and returns the ink that it used.
func (m *machine) enter(instance api.Module, gas int64, export string, args ...uint64) (used int64, result uint64, err error) {
	m.t.Helper()
	m.called, m.refills = nil, 0
	var counter api.MutableGlobal
	if g := instance.ExportedGlobal(meter.GasExport); g != nil {
		counter = g.(api.MutableGlobal)
		m.reserve = gas
		m.fill(counter)
	}
	results, err := instance.ExportedFunction(export).Call(m.t.Context(), args...)
	if err == nil && len(results) > 0 {
		result = results[0]
	}
	if counter != nil {
		used = gas - m.reserve - int64(counter.Get())
		if words := instance.ExportedGlobal(meter.StackExport).Get(); err == nil && uint32(words) != meter.StackWords {
			m.t.Errorf("%d words of stack after a call, want %d", uint32(words), meter.StackWords)
		}
	}
	return used, result, err
}

func (m *machine) call(compiled wazero.CompiledModule, gas int64, export string, args ...uint64) outcome {
	m.t.Helper()
	// Anonymous instances of a limited memory, so that growing beyond it fails in the raw module, too.
	instance, err := m.runtime.InstantiateModule(m.t.Context(), compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		m.t.Fatalf("instantiating: %v", err)
	}
	defer instance.Close(m.t.Context())
	var o outcome
	o.used, o.result, o.err = m.enter(instance, gas, export, args...)
	if mem := instance.Memory(); mem != nil {
		b, _ := mem.Read(0, mem.Size())
		o.memory = string(b)
	}
	o.called = m.called
	return o
}
