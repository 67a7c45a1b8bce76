package vm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tercet-chain/tercet/vm/meter"
)

// Config is what a node decides about its engine.
type Config struct {
	// CacheDir keeps compiled code from one run to the next. It is made with mode 0700, belongs to one Engine at
	// a time and may be deleted at any time. Empty: nothing is kept.
	CacheDir string
	// Interpreter runs contracts without compiling them, ten to a hundred times slower. It is for differential
	// tests: the results and the gas are the same.
	Interpreter bool
	// Tranche is the gas that a contract spends before it comes back to Go, where it can be cancelled and where
	// the garbage collector can stop it. Zero means 15,000, some 150 µs at most. The results do not depend on it.
	Tranche uint64
	// Log receives one warning when CacheDir cannot be used. Nil is silent.
	Log *slog.Logger
}

// defaultTranche in gas: at the 10 ns that the slowest instructions take for one, 150 µs.
const defaultTranche = 15_000

// ErrNoCompiler is a platform for which wazero has no compiler, or one on which the compiler is not what runs.
var ErrNoCompiler = errors.New("wazero does not compile on this platform: contracts need linux, macOS, Windows or FreeBSD on amd64 or arm64")

// Engine makes workers. It is safe for concurrent use; its workers are not.
type Engine struct {
	interpreter bool
	tranche     uint64 // in ink
	cache       *cache // nil without one
}

// New checks that this machine computes what it should, by the engine that it should, and prepares the cache.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Tranche == 0 {
		cfg.Tranche = defaultTranche
	}
	e := &Engine{interpreter: cfg.Interpreter, tranche: min(cfg.Tranche, maxGas) * meter.InkPerGas}
	if cfg.CacheDir != "" && !cfg.Interpreter {
		if err := e.useCache(cfg.CacheDir); err != nil {
			cfg.Log.Warn("contracts are compiled again at every start: the cache directory cannot be used", "dir", cfg.CacheDir, "err", err)
		}
	}
	if err := e.selfTest(); err != nil {
		return nil, fmt.Errorf("the contract engine's self-test: %w", err)
	}
	return e, nil
}

// Close gives the cache directory back. Workers are closed before.
func (e *Engine) Close() error {
	if e.cache == nil {
		return nil
	}
	return e.cache.sweep()
}

// runtime makes a wazero runtime with the host functions of w.
func (e *Engine) runtime(w *Worker) (r wazero.Runtime, err error) {
	defer func() {
		if p := recover(); p != nil { // what wazero does where it cannot compile
			err = fmt.Errorf("%w (%v)", ErrNoCompiler, p)
		}
	}()
	config := wazero.NewRuntimeConfigCompiler()
	if e.interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	// What the rewritten modules use and nothing else, so that a mistake there is refused here.
	config = config.WithCoreFeatures(api.CoreFeatureMutableGlobal | api.CoreFeatureSignExtensionOps | api.CoreFeatureBulkMemoryOperations).
		WithMemoryLimitPages(meter.MaxPages).WithDebugInfoEnabled(false)
	if w.desk != nil {
		config = config.WithCompilationCache(w.desk.wazero)
	}
	r = wazero.NewRuntimeWithConfig(background(), config)
	abi, own := r.NewHostModuleBuilder("vm_hooks"), r.NewHostModuleBuilder("tercet")
	functions := hostFunctions()
	for _, h := range meter.Hooks() {
		f := functions[h.Name]
		if f == nil {
			return nil, errors.Join(fmt.Errorf("the host function %s is missing", h.Name), r.Close(background()))
		}
		abi.NewFunctionBuilder().WithGoFunction(w.host(f), types(h.Params), types(h.Results)).Export(h.Name)
	}
	own.NewFunctionBuilder().WithGoFunction(w.inner((*running).refill), types("l"), nil).Export("refill")
	own.NewFunctionBuilder().WithGoFunction(w.inner((*running).grow), types("i"), types("i")).Export("grow")
	for _, m := range []wazero.HostModuleBuilder{abi, own} {
		if _, err = m.Instantiate(background()); err != nil {
			return nil, errors.Join(fmt.Errorf("instantiating the host functions: %w", err), r.Close(background()))
		}
	}
	return r, nil
}

// background is for the calls of wazero that want a context and neither wait nor look at it.
func background() context.Context {
	return context.Background() //nolint:forbidigo // New and Close have none, and nothing in them can be cancelled
}

// types spells value types: i for i32, l for i64.
func types(s string) []api.ValueType {
	list := make([]api.ValueType, 0, len(s))
	for _, c := range s {
		if c == 'l' {
			list = append(list, api.ValueTypeI64)
		} else {
			list = append(list, api.ValueTypeI32)
		}
	}
	return list
}
