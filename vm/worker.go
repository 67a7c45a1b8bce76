package vm

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tercet-chain/tercet/vm/meter"
)

const (
	// maxCompiledBytes is how many bytes of rewritten modules a worker keeps compiled, each with moduleBytes for
	// what there is of any. Machine code takes three to five times as much.
	maxCompiledBytes = 32 << 20
	moduleBytes      = 16 << 10
)

// Worker runs frames, one transaction at a time. It is used by one goroutine; a frame's nested calls re-enter
// it on that goroutine.
type Worker struct {
	runtime wazero.Runtime
	config  wazero.ModuleConfig
	desk    *desk  // nil without a cache
	tranche uint64 // in ink
	hasher  crypto.KeccakState

	modules  map[moduleKey]*module
	compiled int    // bytes of modules
	clock    uint64 // transactions, to know the module that was used longest ago

	// frames are those that run, top of them the last, followed by spent ones to be used again.
	frames []*running
	depth  int
	top    *running
	slab   *slab
	// failed is why the transaction cannot go on; every frame below ends with it.
	failed error
}

// moduleKey says which code, and rewritten by which rules.
type moduleKey struct {
	code    common.Hash
	version meter.Version
}

// module is compiled code.
type module struct {
	*meter.Module
	compiled wazero.CompiledModule
	version  meter.Version
	used     uint64 // Worker.clock
}

// FaultError is a machine that cannot run a contract that others can: what depends on it must stop.
type FaultError struct {
	Code common.Hash
	Err  error
}

// Error names the contract's code.
func (e *FaultError) Error() string {
	return fmt.Sprintf("running the contract code %s: %v", e.Code, e.Err)
}

// Unwrap returns the cause.
func (e *FaultError) Unwrap() error { return e.Err }

// CompileError is code that was accepted and does not compile, on any machine of this architecture.
type CompileError struct{ Err error }

// Error says what to do.
func (e *CompileError) Error() string {
	return fmt.Sprintf("the contract does not compile; build it with another compiler version or fewer optimisations, and report the module as a bug: %v", e.Err)
}

// Unwrap returns the cause.
func (e *CompileError) Unwrap() error { return e.Err }

// Worker makes a worker.
func (e *Engine) Worker() (*Worker, error) {
	w := &Worker{
		tranche: e.tranche,
		hasher:  crypto.NewKeccakState(),
		modules: map[moduleKey]*module{},
		slab:    newSlab(meter.MaxPages),
		// Anonymous, so that the same code can be open many times; no start functions: there are none, and
		// _start is not one. Randomness and clocks cannot be imported; wazero makes them anyhow, and seeding the
		// randomness would be most of the work of an instance.
		config: wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(zeros{}).
			WithWalltime(func() (int64, int32) { return 0, 0 }, 1).WithNanotime(func() int64 { return 0 }, 1),
	}
	var err error
	if w.desk, err = e.cache.desk(); err != nil {
		return nil, fmt.Errorf("making a directory to compile in: %w", err)
	}
	if w.runtime, err = e.runtime(w); err != nil {
		return nil, errors.Join(err, w.desk.close())
	}
	return w, nil
}

// CallWorker makes a worker for calls that no chain has asked for: it uses the cache and adds nothing to it, so that
// nobody can fill a disk, or take the room of a chain's contracts, by asking questions.
func (e *Engine) CallWorker() (*Worker, error) {
	w, err := e.Worker()
	if err == nil && w.desk != nil {
		w.desk.reads = true
	}
	return w, err
}

// zeros is randomness for contracts, of which there is none.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Close frees the compiled code and the memory, also of a worker that is still referred to. No frame runs, and none
// may afterwards.
func (w *Worker) Close() error {
	w.modules, w.slab, w.frames = nil, nil, nil
	return errors.Join(w.runtime.Close(background()), w.desk.close())
}

// Begin starts a transaction: all its memory and stack is free, and what failed before is forgotten.
func (w *Worker) Begin() {
	if w.depth != 0 {
		panic("vm: a transaction begins inside another one")
	}
	w.failed = nil
	w.slab.used = 0
	w.clock++
	for w.compiled > maxCompiledBytes {
		w.evict()
	}
}

// evict forgets the module that was used longest ago. No instance of it is open.
func (w *Worker) evict() {
	var oldest moduleKey
	var found *module
	for key, m := range w.modules { // in any order: what is compiled is no part of a result
		if found == nil || m.used < found.used {
			oldest, found = key, m
		}
	}
	delete(w.modules, oldest)
	w.compiled -= moduleBytes + len(found.Wasm)
	found.compiled.Close(background()) // it only forgets, and never fails
}

// Prepare compiles code that [Activate] accepted, and makes one instance of it. A [CompileError] refuses the
// creation; a [FaultError] is this machine's and stops it.
func (w *Worker) Prepare(code []byte) error {
	key := moduleKey{crypto.Keccak256Hash(code), meter.Current}
	m, err := w.compile(key, code)
	if err != nil {
		if fault := (*FaultError)(nil); errors.As(err, &fault) {
			w.failed = err
		}
		return err
	}
	instance, err := w.runtime.InstantiateModule(background(), m.compiled, w.config)
	if err != nil {
		return &CompileError{err}
	}
	instance.Close(background()) // it has no files, and nothing else fails
	return nil
}

// module returns the compiled code of a frame.
func (w *Worker) module(f *Frame) (*module, error) {
	key := moduleKey{f.CodeHash, max(f.Metering, 1)}
	if m, ok := w.modules[key]; ok {
		m.used = w.clock
		return m, nil
	}
	code := f.World.Code(f.CodeHash)
	if code == nil {
		return nil, errors.New("the state has no such code")
	}
	return w.compile(key, code)
}

// compile finds or makes the compiled form of code.
func (w *Worker) compile(key moduleKey, code []byte) (*module, error) {
	if m, ok := w.modules[key]; ok {
		m.used = w.clock
		return m, nil
	}
	wasm, err := Wasm(code)
	if err != nil {
		return nil, err
	}
	rewritten, err := meter.Rewrite(wasm, key.version)
	if err != nil {
		return nil, err
	}
	compiled, err := w.desk.compile(w.runtime, key, rewritten.Wasm)
	if err != nil {
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			return nil, &FaultError{key.code, err}
		}
		return nil, &CompileError{err}
	}
	m := &module{rewritten, compiled, key.version, w.clock}
	w.modules[key] = m
	w.compiled += moduleBytes + len(m.Wasm)
	return m, nil
}

// host makes a host function for wazero: it pays for being entered, in the frame that runs.
func (w *Worker) host(f hostFunction) api.GoFunction {
	return api.GoFunc(func(_ context.Context, stack []uint64) {
		w.top.payInk(inkHost)
		f(w.top, stack)
	})
}

// inner makes a function that only rewritten code calls, as part of an instruction that has a price.
func (w *Worker) inner(f hostFunction) api.GoFunction {
	return api.GoFunc(func(_ context.Context, stack []uint64) { f(w.top, stack) })
}
