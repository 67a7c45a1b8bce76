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

// Estimate finds a gas limit, at most msg.Gas, with which a message succeeds: exactly what it uses where no
// code runs, and otherwise at most 1.5 % more than the least that would do. Beside the errors of [Call] there
// are a [FailedError] and, for what needs more than msg.Gas, one with go-ethereum's text. The texts are
// go-ethereum's.
func Estimate(ctx context.Context, w *vm.Worker, block vm.Block, msg *Message, state Reader) (uint64, error) {
	e := &estimate{ctx: ctx, worker: w, block: block, msg: *msg, state: state}
	highest := msg.Gas
	if to := msg.To; to != nil && state.Account(*to).CodeHash == (common.Hash{}) && nativeOf(*to) == nil {
		highest = min(highest, msg.IntrinsicGas())
	}
	res, err := e.try(highest)
	switch {
	case err != nil:
		return 0, err
	case res == nil, res.Outcome == vm.OutOfGas:
		return 0, fmt.Errorf("gas required exceeds allowance (%d)", msg.Gas)
	case res.Outcome != vm.Success:
		return 0, &FailedError{Outcome: res.Outcome, Output: res.Output}
	}
	return e.search(res.GasUsed, highest)
}

// estimate is one search.
type estimate struct {
	ctx    context.Context //nolint:containedctx // of the one call of Estimate that made it
	worker *vm.Worker
	block  vm.Block
	msg    Message
	state  Reader
}

// try executes the message with a gas limit; nil is less than the intrinsic gas.
func (e *estimate) try(gas uint64) (*CallResult, error) {
	e.msg.Gas = gas
	res, err := Call(e.ctx, e.worker, e.block, &e.msg, e.state)
	if errors.Is(err, ledger.ErrIntrinsicGas) {
		return nil, nil
	}
	return res, err
}

// search finds the limit between what the message used with the highest one and that.
func (e *estimate) search(used, highest uint64) (uint64, error) {
	fails, succeeds := used-1, highest
	if fails+1 == succeeds {
		return succeeds, nil
	}
	// Most need no more than what they use, a stipend, and the part that calls keep back (EIP-150).
	mid := (used + callStipend) * 64 / 63
	for first := true; fails+1 < succeeds; first = false {
		if !first {
			if (succeeds-fails)*1000 < succeeds*estimateTolerance {
				break
			}
			mid = min(fails+(succeeds-fails)/2, 2*fails) // most limits are nearer to what is used
		}
		if mid >= succeeds {
			continue
		}
		res, err := e.try(mid)
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
