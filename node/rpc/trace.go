package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// debugAPI has the debug_ methods. A past transaction is executed again, on the state before its block and after the
// transactions before it.
type debugAPI struct{ s *Server }

const (
	callTracer = "callTracer"
	// smallTrace is tried first: as JSON it is a small answer. maxTraceBytes is tried for what does not fit, with a place
	// among the large answers, whose bound it keeps: as JSON it is twice as much.
	smallTrace    = smallAnswer / 2
	maxTraceBytes = 16 << 20
)

// traceConfig says how to trace.
type traceConfig struct {
	Tracer       *string      `json:"tracer"`
	TracerConfig *traceOption `json:"tracerConfig"`
	// Timeout is a Go duration; the node's own bound stays.
	Timeout *string `json:"timeout"`
	// Reexec is accepted and ignored: no state is made from older ones.
	Reexec *uint64 `json:"reexec"`
}

type traceOption struct {
	OnlyTopCall bool `json:"onlyTopCall"`
	WithLog     bool `json:"withLog"`
}

// check returns the options of a call tracer.
func (c *traceConfig) check() (*traceOption, error) {
	switch {
	case c == nil || c.Tracer == nil || *c.Tracer == "":
		return nil, invalidParams(`contracts are WebAssembly, of which there are no EVM opcodes to log: ask for {"tracer": "callTracer"}`)
	case *c.Tracer != callTracer:
		return nil, invalidParams("tracer %.64q is not available: ask for %q", *c.Tracer, callTracer)
	case c.TracerConfig == nil:
		return &traceOption{}, nil
	}
	return c.TracerConfig, nil
}

// within bounds ctx by the timeout that the client asked for.
func (c *traceConfig) within(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if c == nil || c.Timeout == nil {
		return ctx, func() {}, nil
	}
	timeout, err := time.ParseDuration(*c.Timeout)
	if err != nil || timeout <= 0 {
		return nil, nil, invalidParams("timeout %.64q is not a duration such as \"5s\"", *c.Timeout)
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("execution aborted (timeout = %v)", timeout))
	return limited, cancel, nil
}

// frameJSON is a frame as go-ethereum's callTracer shows it.
type frameJSON struct {
	From         common.Address  `json:"from"`
	Gas          hexutil.Uint64  `json:"gas"`
	GasUsed      hexutil.Uint64  `json:"gasUsed"`
	To           *common.Address `json:"to,omitempty"`
	Input        hexutil.Bytes   `json:"input"`
	Output       hexutil.Bytes   `json:"output,omitempty"`
	Error        string          `json:"error,omitempty"`
	RevertReason string          `json:"revertReason,omitempty"`
	Calls        []*frameJSON    `json:"calls,omitempty"`
	Logs         []frameLogJSON  `json:"logs,omitempty"`
	Value        *hexutil.Big    `json:"value,omitempty"`
	Type         string          `json:"type"`
}

type frameLogJSON struct {
	Address  common.Address `json:"address"`
	Topics   []common.Hash  `json:"topics"`
	Data     hexutil.Bytes  `json:"data"`
	Index    hexutil.Uint   `json:"index"`
	Position hexutil.Uint   `json:"position"`
}

func marshalFrame(f *exec.TraceFrame) *frameJSON {
	out := &frameJSON{
		From: f.From, Gas: hexutil.Uint64(f.Gas), GasUsed: hexutil.Uint64(f.GasUsed), Input: f.Input, Output: f.Output,
		Error: frameError(f), Type: string(f.Kind),
	}
	if creation := f.Kind == exec.FrameCreate || f.Kind == exec.FrameCreate2; !creation || f.Outcome == vm.Success {
		out.To = &f.To
	}
	if f.Kind != exec.FrameStatic {
		out.Value = (*hexutil.Big)(f.Value.ToBig())
	}
	if f.Outcome == vm.Revert {
		out.RevertReason, _ = abi.UnpackRevert(f.Output) // one that the ABI does not know is data
	}
	for _, l := range f.Logs {
		if l.Topics == nil {
			l.Topics = []common.Hash{}
		}
		out.Logs = append(out.Logs, frameLogJSON{l.Address, l.Topics, l.Data, hexutil.Uint(l.Index), hexutil.Uint(l.Position)})
	}
	for _, c := range f.Calls {
		out.Calls = append(out.Calls, marshalFrame(c))
	}
	return out
}

// trapText is for what a contract cannot go on from: an instruction such as unreachable, or what no host function allows.
const trapText = "wasm trap"

// frameError is how a frame failed, in go-ethereum's words where it has some.
func frameError(f *exec.TraceFrame) string {
	switch f.Outcome {
	case vm.Success:
		return ""
	case vm.Revert:
		return "execution reverted"
	case vm.Trapped:
		if f.Collision {
			return "contract address collision"
		}
		return trapText
	default:
		return failure(f.Outcome, nil).Error()
	}
}

// TraceTransaction traces an executed transaction.
func (d *debugAPI) TraceTransaction(ctx context.Context, hash common.Hash, config *traceConfig) (*frameJSON, error) {
	options, err := config.check()
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := config.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	at, found, err := d.s.transaction(hash)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, errors.New("transaction not found")
	}
	frame, err := d.s.traceAt(ctx, at, options)
	if err != nil {
		return nil, err
	}
	return marshalFrame(frame), nil
}

// traceAt traces an executed transaction.
func (s *Server) traceAt(ctx context.Context, at place, options *traceOption) (*exec.TraceFrame, error) {
	frames, err := s.traces(ctx, at.view, at.index, at.index, options)
	if err != nil {
		return nil, err
	}
	return frames[0], nil
}

// blockTraceJSON is the trace of a transaction of a block.
type blockTraceJSON struct {
	TxHash common.Hash `json:"txHash"`
	Result *frameJSON  `json:"result"`
}

// TraceBlockByNumber traces the transactions of a block.
func (d *debugAPI) TraceBlockByNumber(ctx context.Context, number gethrpc.BlockNumber, config *traceConfig) ([]blockTraceJSON, error) {
	v, err := d.s.blockByNumber(number)
	if err == nil && v == nil {
		err = fmt.Errorf("block #%d not found", number)
	}
	return d.traceBlock(ctx, v, config, err)
}

// TraceBlockByHash traces the transactions of a block.
func (d *debugAPI) TraceBlockByHash(ctx context.Context, hash common.Hash, config *traceConfig) ([]blockTraceJSON, error) {
	v, err := d.s.blockByHash(hash)
	if err == nil && v == nil {
		err = fmt.Errorf("block %s not found", hash)
	}
	return d.traceBlock(ctx, v, config, err)
}

func (d *debugAPI) traceBlock(ctx context.Context, v *view, config *traceConfig, err error) ([]blockTraceJSON, error) {
	if err != nil {
		return nil, err
	}
	options, err := config.check()
	if err != nil {
		return nil, err
	}
	if v.height == 0 {
		return nil, errors.New("genesis is not traceable")
	}
	ctx, cancel, err := config.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	out := make([]blockTraceJSON, len(v.block.Transactions))
	if len(out) == 0 {
		return out, nil
	}
	frames, err := d.s.traces(ctx, v, 0, len(out)-1, options)
	if err != nil {
		return nil, err
	}
	for i, tx := range v.block.Transactions {
		out[i] = blockTraceJSON{tx.Hash(), marshalFrame(frames[i])}
	}
	return out, nil
}

// traces executes the transactions of a block up to the one at last again, and returns the frames of those from
// first on.
func (s *Server) traces(ctx context.Context, v *view, first, last int, options *traceOption) ([]*exec.TraceFrame, error) {
	var tracers []*exec.Tracer
	err := s.traced(ctx, func(budget *exec.TraceBudget) error {
		tracers = tracers[:0]
		return s.replay(ctx, v, last, func(i int) *exec.Tracer {
			if i < first {
				return nil
			}
			tracers = append(tracers, options.tracer(budget))
			return tracers[len(tracers)-1]
		})
	})
	if err != nil {
		return nil, err
	}
	frames := make([]*exec.TraceFrame, len(tracers))
	for i, t := range tracers {
		frames[i] = t.Root()
	}
	return frames, nil
}

func (o *traceOption) tracer(budget *exec.TraceBudget) *exec.Tracer {
	return &exec.Tracer{Budget: budget, TopOnly: o.OnlyTopCall, Logs: o.WithLog}
}

// traced runs a trace.
func (s *Server) traced(ctx context.Context, run func(*exec.TraceBudget) error) error {
	err := s.sized(ctx, func(limit int) error { return run(&exec.TraceBudget{Left: limit}) })
	if errors.Is(err, exec.ErrTraceTooLarge) {
		return &codedError{codeLimit, fmt.Sprintf("the trace is larger than %d bytes: "+
			"leave out logs and nested calls (withLog, onlyTopCall), or trace the transactions of a block one by one", maxTraceBytes)}
	}
	if cause := context.Cause(ctx); err != nil && ctx.Err() != nil && !errors.Is(cause, ctx.Err()) {
		return cause // the client's own timeout
	}
	return err
}

// sized runs what makes an answer within so many bytes of memory, half of what they are as JSON: within those of a small
// answer, or again as a large one when that is [exec.ErrTraceTooLarge]. No more of these than of other large answers
// are in memory at once.
func (s *Server) sized(ctx context.Context, run func(limit int) error) error {
	err := run(smallTrace)
	if errors.Is(err, exec.ErrTraceTooLarge) {
		if err := requestOf(ctx).answers(ctx, 2*maxTraceBytes); err != nil {
			return err
		}
		err = run(maxTraceBytes)
	}
	return err
}

// replay executes the transactions of a block up to the one at last again, and compares what they give with the
// receipts.
func (s *Server) replay(ctx context.Context, v *view, last int, trace func(int) *exec.Tracer) error {
	if err := s.cfg.Quarantined(); err != nil {
		return err
	}
	q := &question{
		block: exec.BlockOf(s.cfg.Genesis, v.block.Header), state: &stateReader{s: s, height: v.height - 1},
	}
	return s.ask(ctx, q, func(ctx context.Context, w *vm.Worker, state exec.Reader) error {
		receipts, err := exec.Replay(ctx, w, q.block, v.block.Transactions, last, state, trace)
		if err != nil || q.state.err != nil {
			return err
		}
		for i, r := range receipts {
			if !sameResult(r, v.block.Receipts[i]) {
				return s.broken(fmt.Errorf("executing transaction %d of block %d again gives another result", i, v.height))
			}
		}
		return nil
	})
}

func sameResult(a, b *types.Receipt) bool {
	return a.Status == b.Status && a.CumulativeGasUsed == b.CumulativeGasUsed && a.Bloom == b.Bloom && len(a.Logs) == len(b.Logs)
}

// traceCallConfig says how to trace a call, and what to change for it.
type traceCallConfig struct {
	traceConfig
	StateOverrides *stateOverride  `json:"stateOverrides"`
	BlockOverrides *blockOverrides `json:"blockOverrides"`
	TxIndex        *hexutil.Uint   `json:"txIndex"`
}

// TraceCall traces a message without a transaction.
func (d *debugAPI) TraceCall(ctx context.Context, args callArgs, ref *gethrpc.BlockNumberOrHash, config *traceCallConfig) (*frameJSON, error) {
	if config == nil {
		config = &traceCallConfig{}
	}
	options, err := config.check()
	if err != nil {
		return nil, err
	}
	if config.TxIndex != nil {
		return nil, invalidParams("a state within a block is not available: leave out txIndex")
	}
	q, err := d.s.question(&args, ref, config.StateOverrides)
	if err != nil {
		return nil, err
	}
	if err := config.BlockOverrides.apply(&q.block); err != nil {
		return nil, err
	}
	ctx, cancel, err := config.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	err = d.s.traced(ctx, func(budget *exec.TraceBudget) error {
		q.msg.Tracer = options.tracer(budget)
		_, err := d.s.call(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	return marshalFrame(q.msg.Tracer.Root()), nil
}
