package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/vm"
)

// callArgs is a call object. Fees are accepted and ignored.
type callArgs struct {
	From                 *common.Address   `json:"from"`
	To                   *common.Address   `json:"to"`
	Gas                  *hexutil.Uint64   `json:"gas"`
	GasPrice             *hexutil.Big      `json:"gasPrice"`
	MaxFeePerGas         *hexutil.Big      `json:"maxFeePerGas"`
	MaxPriorityFeePerGas *hexutil.Big      `json:"maxPriorityFeePerGas"`
	Value                *hexutil.Big      `json:"value"`
	Nonce                *hexutil.Uint64   `json:"nonce"`
	Data                 *hexutil.Bytes    `json:"data"`
	Input                *hexutil.Bytes    `json:"input"`
	AccessList           *types.AccessList `json:"accessList"`
	ChainID              *hexutil.Big      `json:"chainId"`
}

// message checks what a call object says by itself.
func (s *Server) message(args *callArgs) (*exec.Message, error) {
	if args.Data != nil && args.Input != nil && !bytes.Equal(*args.Data, *args.Input) {
		return nil, errors.New(`both "data" and "input" are set and not equal. Please use "input" to pass transaction call data`)
	}
	if args.GasPrice != nil && (args.MaxFeePerGas != nil || args.MaxPriorityFeePerGas != nil) {
		return nil, errors.New("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
	}
	if id := args.ChainID; id != nil && (!id.ToInt().IsUint64() || id.ToInt().Uint64() != s.cfg.Genesis.ChainID) {
		return nil, fmt.Errorf("chainId does not match node's (have=%v, want=%d)", id.ToInt(), s.cfg.Genesis.ChainID)
	}
	m := &exec.Message{To: args.To, Gas: s.cfg.CallGas, Data: args.input(), AccessList: args.accesses()}
	if args.From != nil {
		m.From = *args.From
	}
	if args.Gas != nil && *args.Gas != 0 {
		m.Gas = min(m.Gas, uint64(*args.Gas))
	}
	if args.Value != nil {
		if args.Value.ToInt().Sign() < 0 || m.Value.SetFromBig(args.Value.ToInt()) {
			return nil, invalidParams("value is not a number from 0 to 2^256-1")
		}
	}
	return m, nil
}

// input is the call's data, by whichever of its two names.
func (a *callArgs) input() []byte {
	switch {
	case a.Input != nil:
		return *a.Input
	case a.Data != nil:
		return *a.Data
	}
	return nil
}

func (a *callArgs) accesses() types.AccessList {
	if a.AccessList == nil {
		return nil
	}
	return *a.AccessList
}

// question is a call to be executed on a state.
type question struct {
	msg       *exec.Message
	block     vm.Block
	state     *stateReader
	overrides map[common.Address]exec.AccountOverride
}

// question resolves what a call is about.
func (s *Server) question(args *callArgs, ref *gethrpc.BlockNumberOrHash, overrides *stateOverride) (*question, error) {
	q := &question{}
	var err error
	if q.msg, err = s.message(args); err != nil {
		return nil, err
	}
	if q.overrides, err = overrides.accounts(); err != nil {
		return nil, err
	}
	if err := s.cfg.Quarantined(); err != nil {
		return nil, err
	}
	height, err := s.stateHeight(ref)
	if err != nil {
		return nil, err
	}
	header, err := s.header(height)
	if err != nil {
		return nil, err
	}
	q.block, q.state = exec.BlockOf(s.cfg.Genesis, header), &stateReader{s: s, height: height}
	return q, nil
}

// ask runs a question on a worker, with the state that it is about.
func (s *Server) ask(ctx context.Context, q *question, run func(context.Context, *vm.Worker, exec.Reader) error) error {
	err := s.onWorker(ctx, func(ctx context.Context, w *vm.Worker) error {
		if len(q.overrides) == 0 {
			return run(ctx, w, q.state)
		}
		state, err := exec.Override(q.state, q.overrides)
		if err != nil {
			return err
		}
		return run(ctx, w, state)
	})
	if q.state.err != nil { // else an unreadable account looks like one without money
		return s.unreadable(q.state.height, q.state.err)
	}
	var (
		uncompiled *vm.CompileError
		fault      *vm.FaultError
	)
	switch {
	case errors.As(err, &uncompiled): // of an override: the chain has no such code
		return uncompiled
	case errors.As(err, &fault):
		return s.broken(err)
	}
	return err
}

// Call executes a message without a transaction. A creation answers the code that the contract would have.
func (e *ethAPI) Call(ctx context.Context, args callArgs, ref *gethrpc.BlockNumberOrHash, overrides *stateOverride) (hexutil.Bytes, error) {
	q, err := e.s.question(&args, ref, overrides)
	if err != nil {
		return nil, err
	}
	res, err := e.s.call(ctx, q)
	if err == nil {
		err = requestOf(ctx).answers(ctx, 2*len(res.Output))
	}
	if err != nil {
		return nil, err
	}
	return res.Output, failure(res.Outcome, res.Output)
}

// call executes a message. Texts of errors are go-ethereum's.
func (s *Server) call(ctx context.Context, q *question) (*exec.CallResult, error) {
	var res *exec.CallResult
	err := s.ask(ctx, q, func(ctx context.Context, w *vm.Worker, state exec.Reader) (err error) {
		res, err = exec.Call(ctx, w, q.block, q.msg, state)
		if errors.Is(err, ledger.ErrInsufficientFunds) { // go-ethereum counts the value among the gas here
			balance := state.Account(q.msg.From).Balance
			err = fmt.Errorf("%w: address %s have %s want %s", txpool.ErrInsufficientFunds, q.msg.From, balance.Dec(), q.msg.Value.Dec())
		}
		return err
	})
	for _, refusal := range []error{ledger.ErrIntrinsicGas, txpool.ErrInsufficientFunds, ledger.ErrMaxInitCodeSizeExceeded} {
		if errors.Is(err, refusal) {
			return nil, fmt.Errorf("err: %w (supplied gas %d)", err, q.msg.Gas)
		}
	}
	return res, err
}

// EstimateGas returns a gas limit with which a transaction succeeds: exactly what it uses, for a transfer.
func (e *ethAPI) EstimateGas(ctx context.Context, args callArgs, ref *gethrpc.BlockNumberOrHash, overrides *stateOverride) (hexutil.Uint64, error) {
	q, err := e.s.question(&args, ref, overrides)
	if err != nil {
		return 0, err
	}
	q.msg.Gas = min(q.msg.Gas, e.s.cfg.Genesis.TxGasCap)
	var gas uint64
	err = e.s.ask(ctx, q, func(ctx context.Context, w *vm.Worker, state exec.Reader) (err error) {
		gas, err = exec.Estimate(ctx, w, q.block, q.msg, state)
		return err
	})
	if failed := (*exec.FailedError)(nil); errors.As(err, &failed) {
		err = failure(failed.Outcome, failed.Output)
	}
	return hexutil.Uint64(gas), err
}

// maxListings bounds how often eth_createAccessList executes its message: a contract may touch other things
// each time that its gas changes.
const maxListings = 8

// CreateAccessList returns what a message touches beside its sender and recipient, and its gas with that list.
func (e *ethAPI) CreateAccessList(ctx context.Context, args callArgs, ref *gethrpc.BlockNumberOrHash, overrides *stateOverride) (*accessListJSON, error) {
	q, err := e.s.question(&args, ref, overrides)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		res, err := e.s.call(ctx, q)
		if err != nil {
			return nil, err
		}
		known := reflect.DeepEqual(res.Accessed, q.msg.AccessList)
		q.msg.AccessList = res.Accessed
		if !known && n < maxListings {
			continue
		}
		out := &accessListJSON{AccessList: res.Accessed, GasUsed: hexutil.Uint64(res.GasUsed)}
		if err := failure(res.Outcome, res.Output); err != nil {
			out.Error = err.Error()
		}
		return out, nil
	}
}

type accessListJSON struct {
	AccessList types.AccessList `json:"accessList"`
	Error      string           `json:"error,omitempty"`
	GasUsed    hexutil.Uint64   `json:"gasUsed"`
}

// failure says how a message failed; nil if it succeeded.
func failure(outcome vm.Outcome, output []byte) error {
	switch outcome {
	case vm.Success:
		return nil
	case vm.OutOfGas:
		return errors.New("out of gas")
	case vm.TooDeep:
		return errors.New("max call depth exceeded")
	case vm.NoBalance:
		return errors.New("insufficient balance for transfer")
	case vm.Trapped:
		output = nil
	case vm.Revert:
	}
	reverted := &revertError{message: "execution reverted", data: output}
	if reason, err := abi.UnpackRevert(output); err == nil {
		reverted.message += ": " + reason
	}
	return reverted
}
