package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// FrameKind is what opened a frame, named as the EVM's instruction.
type FrameKind string

// The kinds of frames.
const (
	FrameCall     FrameKind = "CALL"
	FrameStatic   FrameKind = "STATICCALL"
	FrameDelegate FrameKind = "DELEGATECALL"
	FrameCreate   FrameKind = "CREATE"
	FrameCreate2  FrameKind = "CREATE2"
)

// kindsOfCalls by [vm.CallKind].
var kindsOfCalls = [...]FrameKind{vm.PlainCall: FrameCall, vm.DelegateCall: FrameDelegate, vm.StaticCall: FrameStatic}

// TraceFrame is a call or a creation, also of a contract that the chain provides or an account without code.
type TraceFrame struct {
	Kind FrameKind
	From common.Address
	// To is whose code runs; of a creation the new contract, also where it failed.
	To common.Address
	// Value in wei; a delegate call has its caller's, a static one none.
	Value uint256.Int
	// Gas is the limit and GasUsed what of it was used; of a transaction's own frame the transaction's.
	Gas, GasUsed uint64
	Input        []byte
	// Output is return or revert data; of a creation the code that the contract has.
	Output  []byte
	Outcome vm.Outcome
	// Collision says that a creation failed because its address was taken.
	Collision bool
	Calls     []*TraceFrame
	// Logs are those that stayed: none of a frame that failed, or inside of one.
	Logs []TraceLog
}

// TraceLog is a log with where its frame emitted it.
type TraceLog struct {
	Address common.Address
	Topics  []common.Hash
	Data    []byte
	// Index is its number in the block, counting the logs that are undone later.
	Index uint
	// Position is how many calls the frame had made before.
	Position int
}

const (
	// traceFrameBytes and traceLogBytes are about what a frame and a log take beside their data.
	traceFrameBytes = 256
	traceLogBytes   = 128
)

// TraceBudget bounds what traces hold: it can be shared by those of a block. It is not safe for concurrent use.
type TraceBudget struct {
	// Left is how many bytes frames, logs and their data may still take.
	Left int
}

// ErrTraceTooLarge stops an execution whose trace does not fit into its budget.
var ErrTraceTooLarge = errors.New("the trace is too large")

// Tracer records the frames of one transaction. The zero one with a budget is ready to use, once.
type Tracer struct {
	Budget *TraceBudget
	// TopOnly leaves nested frames out, Logs records logs.
	TopOnly, Logs bool

	root *TraceFrame
	open []*TraceFrame // outermost first; nil for frames that are left out
	base uint          // number of the transaction's first log in its block
	full bool
}

// Root is the transaction's own frame, nil before the execution.
func (t *Tracer) Root() *TraceFrame { return t.root }

// spend takes bytes out of the budget and reports whether they were there.
func (t *Tracer) spend(bytes int) bool {
	if t.full || bytes > t.Budget.Left {
		t.full = true
		return false
	}
	t.Budget.Left -= bytes
	return true
}

// traceCall is call with a trace.
func (m *machine) traceCall(env *vm.Env, kind vm.CallKind, code common.Address, input []byte, gas uint64) vm.Answer {
	from := env.Caller
	if kind == vm.DelegateCall {
		from = env.Contract
	}
	m.opened(&TraceFrame{Kind: kindsOfCalls[kind], From: from, To: code, Value: env.Value, Gas: gas}, input)
	answer := m.call(env, kind, code, input, gas)
	m.closed(&answer, answer.Output)
	return answer
}

// traceCreate is found with a trace.
func (m *machine) traceCreate(env *vm.Env, kind FrameKind, address common.Address, data []byte, gas uint64) (common.Address, vm.Answer) {
	f := &TraceFrame{Kind: kind, From: env.Caller, To: address, Value: env.Value, Gas: gas, Collision: m.taken(address)}
	m.opened(f, data)
	created, answer := m.found(env, address, data, gas)
	output := answer.Output
	if answer.Outcome == vm.Success {
		output = m.code(m.account(address).CodeHash)
	}
	m.closed(&answer, output)
	return created, answer
}

// opened records the beginning of a frame.
func (m *machine) opened(f *TraceFrame, input []byte) {
	t := m.tracer
	if t.TopOnly && len(t.open) > 0 || !t.spend(traceFrameBytes+len(input)) {
		m.noticeFull()
		t.open = append(t.open, nil)
		return
	}
	f.Input = bytes.Clone(input) // it may be in a contract's memory
	if n := len(t.open); n == 0 {
		t.root, t.base = f, m.firstLog
	} else if parent := t.open[n-1]; parent != nil {
		parent.Calls = append(parent.Calls, f)
	}
	t.open = append(t.open, f)
}

// closed records the end of the newest frame.
func (m *machine) closed(answer *vm.Answer, output []byte) {
	t := m.tracer
	f := t.open[len(t.open)-1]
	t.open = t.open[:len(t.open)-1]
	if f == nil {
		return
	}
	f.Outcome, f.GasUsed = answer.Outcome, f.Gas-answer.GasLeft
	if answer.Outcome != vm.Success && answer.Outcome != vm.Revert {
		return
	}
	if !t.spend(len(output)) {
		m.noticeFull()
		return
	}
	f.Output = bytes.Clone(output)
}

// noticeFull ends an execution whose trace is full: nobody wants its rest.
func (m *machine) noticeFull() {
	if m.tracer.full {
		m.fail(ErrTraceTooLarge)
		m.stop()
	}
}

// log records a log of the newest frame, the transaction's n-th.
func (t *Tracer) log(l *types.Log, n int) {
	if !t.Logs || len(t.open) == 0 {
		return
	}
	f := t.open[len(t.open)-1]
	if f == nil || !t.spend(traceLogBytes+common.HashLength*len(l.Topics)+len(l.Data)) {
		return // whoever opens or closes a frame next notices that the trace is full
	}
	f.Logs = append(f.Logs, TraceLog{l.Address, l.Topics, l.Data, t.base + uint(n), len(f.Calls)})
}

// settle completes the trace of a transaction with its gas, and forgets the logs that were undone.
func (m *machine) settle(limit, used uint64) {
	t := m.tracer
	m.noticeFull()
	if t.root == nil {
		return
	}
	t.root.Gas, t.root.GasUsed = limit, used
	t.root.forgetLogs(false)
}

func (f *TraceFrame) forgetLogs(undone bool) {
	undone = undone || f.Outcome != vm.Success
	if undone {
		f.Logs = nil
	}
	for _, c := range f.Calls {
		c.forgetLogs(undone)
	}
}

// Replay executes the transactions that a block executed, up to the last one that trace has a tracer for, on its
// parent's state, and returns their receipts, which are without places in a chain. Dropped transactions changed
// nothing and MUST be left out: any other that does not fit is an error. trace returns nil for what is
// only executed; last is the index of the last transaction to execute.
func Replay(
	ctx context.Context, w *vm.Worker, at vm.Block, txs []*ledger.Transaction, last int, state Reader, trace func(i int) *Tracer,
) ([]*types.Receipt, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	b := newBlock(newMachine(ctx, w, at, state, last+1), last+1)
	b.stop = stop
	for i, tx := range txs[:last+1] {
		b.tracer = trace(i)
		reason := b.apply(tx)
		if b.failure != nil {
			return nil, fmt.Errorf("executing transaction %s again: %w", tx.Hash(), b.failure)
		}
		if reason != 0 {
			return nil, fmt.Errorf("executing transaction %s again: it does not fit: %w", tx.Hash(), reason.Err())
		}
	}
	return b.receipts, nil
}
