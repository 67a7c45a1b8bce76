package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

const (
	// callStipend is what a callee gets with a value, and needs beside what the caller pays for.
	callStipend = 2_300
	// estimateTolerance is how far above the least limit an estimate may be, in thousandths: what
	// go-ethereum's RPC takes.
	estimateTolerance = 15
)

// FailedError is a message that fails at any gas limit up to the allowance.
type FailedError struct {
	Outcome vm.Outcome
	// Output is the revert data.
	Output []byte
}

func (e *FailedError) Error() string {
	switch e.Outcome {
	case vm.TooDeep:
		return "max call depth exceeded"
	case vm.NoBalance:
		return "insufficient balance for transfer"
	default:
		return "execution reverted"
	}
}

// Estimate finds a gas limit, at most msg.Gas and the block's, with which a message succeeds: exactly what it uses where no
// code runs, and otherwise at most 1.5 % more than the least that would do. Beside the errors of [Call] there
// are a [FailedError] and, for what needs more gas than that, one with go-ethereum's text. The texts are
// go-ethereum's.
func Estimate(ctx context.Context, w *vm.Worker, block vm.Block, msg *Message, state Reader) (uint64, error) {
	e := &estimate{worker: w, block: block, msg: *msg, state: state}
	allowance := min(msg.Gas, block.GasLimit)
	highest := allowance
	if to := msg.To; to != nil && state.Account(*to).CodeHash == (common.Hash{}) && nativeOf(state, *to) == nil {
		highest = min(highest, msg.IntrinsicGas())
	}
	res, err := e.try(ctx, highest)
	switch {
	case err != nil:
		return 0, err
	case res == nil, res.Outcome == vm.OutOfGas:
		return 0, fmt.Errorf("gas required exceeds allowance (%d)", allowance)
	case res.Outcome != vm.Success:
		return 0, &FailedError{Outcome: res.Outcome, Output: res.Output}
	}
	return e.search(ctx, res.GasUsed, highest)
}

// estimate is one search.
type estimate struct {
	worker *vm.Worker
	block  vm.Block
	msg    Message
	state  Reader
}

// try executes the message with a gas limit; nil is less than the intrinsic gas.
func (e *estimate) try(ctx context.Context, gas uint64) (*CallResult, error) {
	e.msg.Gas = gas
	res, err := Call(ctx, e.worker, e.block, &e.msg, e.state)
	if errors.Is(err, ledger.ErrIntrinsicGas) {
		return nil, nil
	}
	return res, err
}

// search finds the limit between what the message used with the highest one and that.
func (e *estimate) search(ctx context.Context, used, highest uint64) (uint64, error) {
	fails, succeeds := used-1, highest
	// Most need no more than what they use, a stipend, and the part that calls keep back (EIP-150).
	guess := (used + callStipend) * 64 / 63 // gas is at most a block's, below 2^53
	for fails+1 < succeeds && (guess != 0 || (succeeds-fails)*1000 >= succeeds*estimateTolerance) {
		mid := min(fails+(succeeds-fails)/2, 2*fails) // most limits are nearer to what is used
		if guess != 0 && guess < succeeds {
			mid = guess
		}
		guess = 0
		res, err := e.try(ctx, mid)
		switch {
		case err != nil:
			return 0, err
		case res != nil && res.Outcome == vm.Success:
			succeeds = mid
		default:
			fails = mid
		}
	}
	return succeeds, nil
}
