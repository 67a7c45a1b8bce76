package vm

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tercet-chain/tercet/vm/meter"
)

// Names in rewritten modules.
const (
	entrypoint   = "user_entrypoint"
	construct    = "user_constructor"
	counterName  = "tercet_gas"
	stackName    = "tercet_stack"
	wazeroTrap   = "*wasmruntime.Error" // the type, which is internal, of wazero's errors of instructions
	maxCallDepth = 1024                 // Env.Depth of the last frame (Yellow Paper, 9.4.1)
)

// noConstructor is why a module without a constructor refuses arguments.
const noConstructor = "the contract has no constructor, which its arguments are for: " +
	"deploy it without arguments, or export user_constructor(i32) -> i32"

// running is a frame that runs or waits for a nested one.
type running struct {
	*Frame
	module *module
	w      *Worker
	memory api.Memory
	// counter is what the contract takes from by itself, reserve what it comes back to ask for, both in 1<<shift ink.
	counter api.MutableGlobal
	reserve uint64
	shift   uint
	// words is what the transaction's stack has left.
	words  api.MutableGlobal
	done   <-chan struct{} // the caller closes it when it cancels; nil when it never does
	slots  slots
	linear linear
	result []byte
	// returned is what the last nested call or creation gave back.
	returned []byte
	status   uint64    // exit_early's
	stack    [1]uint64 // the entry point's argument and result
}

// ending is a panic that ends a frame; [Worker.Run] recovers it.
type ending uint8

const (
	errExit     ending = iota // exit_early, with running.status
	errOutOfGas               // the gas limit
	errTrap                   // a host function that cannot go on
	errAborted                // cancelled, or a nested frame had an error
)

func (e ending) Error() string {
	return [...]string{"exit", "out of gas", "trap", "aborted"}[e]
}

// Run runs a frame to its end. An error is ctx's, or a [FaultError]; nothing that a contract does is one, and
// after one the transaction cannot go on: frames below that wait for this one end with it too.
func (w *Worker) Run(ctx context.Context, f *Frame) (Answer, error) {
	answer, err := w.run(ctx, f)
	if err != nil {
		w.failed = err
	}
	return answer, err
}

func (w *Worker) run(ctx context.Context, f *Frame) (Answer, error) {
	if w.failed != nil {
		return Answer{}, w.failed
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	m, err := w.module(f)
	if err != nil {
		return Answer{}, &FaultError{f.CodeHash, err}
	}
	if f.Constructor && !m.HasConstructor {
		if len(f.Input) > 0 {
			return Answer{Outcome: Revert, Output: Reason(noConstructor), GasLeft: f.Gas}, nil
		}
		return Answer{GasLeft: f.Gas}, nil
	}
	if !w.slab.fits(m.Pages) {
		return Answer{Outcome: TooDeep, GasLeft: f.Gas}, nil
	}
	ink := min(f.Gas, maxGas) * meter.InkPerGas
	if ink < m.InstanceInk {
		return Answer{Outcome: OutOfGas}, nil
	}
	r, start := w.push(ctx, f, m), w.slab.used
	defer w.pop(start)

	w.slab.next = &r.linear
	ctx = experimental.WithMemoryAllocator(ctx, w.slab)
	instance, err := w.runtime.InstantiateModule(ctx, m.compiled, w.config)
	if err != nil {
		return Answer{}, &FaultError{f.CodeHash, err}
	}
	defer instance.Close(ctx) // it has no files, and nothing else fails
	function, err := r.attach(instance, ink-m.InstanceInk)
	if err != nil {
		return Answer{}, &FaultError{f.CodeHash, err}
	}
	r.stack[0] = uint64(len(f.Input))
	var outcome Outcome
	if err := function.CallWithStack(ctx, r.stack[:]); err == nil {
		outcome = statusOutcome(r.stack[0])
	} else if outcome, err = r.ended(ctx, err); err != nil {
		return Answer{}, err
	}
	answer := Answer{Outcome: outcome}
	if outcome == Success || outcome == Revert {
		answer.Output = r.result
		answer.GasLeft = r.gasLeft() + f.Gas - min(f.Gas, maxGas)
	}
	return answer, nil
}

// push makes a frame the one that runs.
func (w *Worker) push(ctx context.Context, f *Frame, m *module) *running {
	if w.depth == len(w.frames) {
		w.frames = append(w.frames, &running{w: w})
	}
	r := w.frames[w.depth]
	r.Frame, r.module, r.done = f, m, ctx.Done()
	w.depth++
	w.top = r
	return r
}

// pop returns to the frame below and frees all memory above start.
func (w *Worker) pop(start uint64) {
	r := w.top
	r.slots.reset()
	*r = running{w: w, slots: r.slots}
	w.slab.used = start
	w.depth--
	w.top = nil
	if w.depth > 0 {
		w.top = w.frames[w.depth-1]
	}
}

// attach takes the handles of an instance and gives it gas and stack.
func (r *running) attach(instance api.Module, ink uint64) (api.Function, error) {
	name := entrypoint
	if r.Constructor {
		name = construct
	}
	function := instance.ExportedFunction(name)
	counter, ok1 := instance.ExportedGlobal(counterName).(api.MutableGlobal)
	stack, ok2 := instance.ExportedGlobal(stackName).(api.MutableGlobal)
	if r.memory = instance.Memory(); function == nil || !ok1 || !ok2 || r.memory == nil {
		return nil, fmt.Errorf("the rewritten module lacks %s, a counter or memory", name)
	}
	r.counter, r.words = counter, stack
	r.shift = meter.LargeShift(r.module.version, r.module.Pages)
	r.fund(ink)
	words := uint64(meter.StackWords)
	if r.w.depth > 1 {
		words = r.w.frames[r.w.depth-2].words.Get()
	}
	r.words.Set(words)
	return function, nil
}

// statusOutcome is the outcome of a frame that ends by itself.
func statusOutcome(status uint64) Outcome {
	if uint32(status) != 0 {
		return Revert
	}
	return Success
}

// ended says how a frame ended that was broken off.
func (r *running) ended(ctx context.Context, err error) (Outcome, error) {
	var end ending
	switch {
	case errors.As(err, &end):
	case fmt.Sprintf("%T", errors.Unwrap(err)) == wazeroTrap:
		return Trapped, nil
	default:
		return 0, &FaultError{r.CodeHash, err}
	}
	switch end {
	case errExit:
		return statusOutcome(r.status), nil
	case errOutOfGas:
		return OutOfGas, nil
	case errTrap:
		return Trapped, nil
	default: // errAborted
		if r.w.failed != nil {
			return 0, r.w.failed
		}
		return 0, ctx.Err()
	}
}

// refill is called when a block's price has taken the counter below zero: the frame goes on with a new tranche,
// or it ends.
func (r *running) refill(_ []uint64) {
	left := r.left() // the counter is negative: this wraps back to what reserve has beyond its debt
	if int64(left) < 0 {
		panic(errOutOfGas)
	}
	r.pause()
	r.fund(left)
}

// grow (pages) takes the price of pages and answers with them, or with −1 when they are too many.
func (r *running) grow(s []uint64) {
	pages := uint32(s[0])
	has := r.memory.Size() / pageBytes
	if pages > r.module.MaxPages-has || !r.w.slab.fits(pages) {
		s[0] = math.MaxUint32
		return
	}
	r.payInk(uint64(pages) * meter.PageInk(r.module.version))
	r.enlarge(has + pages)
}

// payForMemoryGrow (pages) pays once more for what growing pays for by itself; SDKs import it for other hosts.
func (r *running) payForMemoryGrow(s []uint64) {
	r.payInk(uint64(uint32(s[0])) * meter.PageInk(r.module.version))
}

// pause ends the frame if its caller does not wait for it any more.
func (r *running) pause() {
	select {
	case <-r.done:
		panic(errAborted)
	default:
	}
}
