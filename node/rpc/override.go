package rpc

import (
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// maxCodeOverrides bounds the contracts that one call brings along: each is checked and compiled. What that may
// take is bounded by [exec.Override].
const maxCodeOverrides = 16

// stateOverride replaces parts of accounts for one call. A nil one replaces nothing.
type stateOverride map[common.Address]accountOverride

type accountOverride struct {
	Nonce     *hexutil.Uint64             `json:"nonce"`
	Balance   *hexutil.Big                `json:"balance"`
	Code      *hexutil.Bytes              `json:"code"`
	State     map[common.Hash]common.Hash `json:"state"`
	StateDiff map[common.Hash]common.Hash `json:"stateDiff"`
	MoveTo    *common.Address             `json:"movePrecompileToAddress"`
}

// accounts checks the overrides.
func (o *stateOverride) accounts() (map[common.Address]exec.AccountOverride, error) {
	if o == nil || len(*o) == 0 {
		return nil, nil
	}
	out, codes := make(map[common.Address]exec.AccountOverride, len(*o)), 0
	for address, a := range *o {
		if a.MoveTo != nil {
			return nil, errors.New("precompiles cannot be moved on this chain: leave out movePrecompileToAddress")
		}
		to := exec.AccountOverride{Nonce: (*uint64)(a.Nonce), State: a.State, StateDiff: a.StateDiff}
		if a.Balance != nil {
			to.Balance = new(uint256.Int)
			if a.Balance.ToInt().Sign() < 0 || to.Balance.SetFromBig(a.Balance.ToInt()) {
				return nil, invalidParams("balance is not a number from 0 to 2^256-1")
			}
		}
		if a.Code != nil {
			to.Code = (*[]byte)(a.Code)
			codes++
		}
		out[address] = to
	}
	if codes > maxCodeOverrides {
		return nil, invalidParams("the code of %d accounts is overridden, at most %d are allowed in one call", codes, maxCodeOverrides)
	}
	return out, nil
}

// blockOverrides replace what a call sees of its block. A nil one replaces nothing.
type blockOverrides struct {
	Number        *hexutil.Big    `json:"number"`
	Time          *hexutil.Uint64 `json:"time"`
	GasLimit      *hexutil.Uint64 `json:"gasLimit"`
	FeeRecipient  *common.Address `json:"feeRecipient"`
	BaseFeePerGas *hexutil.Big    `json:"baseFeePerGas"`
	// PrevRandao, BlobBaseFee and Difficulty are accepted and ignored: contracts cannot ask for them.
	PrevRandao  *common.Hash `json:"prevRandao"`
	BlobBaseFee *hexutil.Big `json:"blobBaseFee"`
	Difficulty  *hexutil.Big `json:"difficulty"`
	// Withdrawals must be empty.
	Withdrawals []any `json:"withdrawals"`
}

// maxSeen bounds the numbers and times that may be given to a block: nothing that follows from them overflows.
const maxSeen = 1 << 62

// check says what is wrong with the overrides by themselves.
func (o *blockOverrides) check() error {
	switch {
	case o.Number != nil && (o.Number.ToInt().Sign() < 0 || !o.Number.ToInt().IsUint64() || o.Number.ToInt().Uint64() > maxSeen):
		return invalidParams("the number of a block is not from 0 to 2^62")
	case o.Time != nil && *o.Time > maxSeen:
		return invalidParams("the time of a block is not from 0 to 2^62")
	case o.BaseFeePerGas != nil && (o.BaseFeePerGas.ToInt().Sign() < 0 || o.BaseFeePerGas.ToInt().BitLen() > 256):
		return invalidParams("baseFeePerGas is not a number from 0 to 2^256-1")
	case len(o.Withdrawals) > 0:
		return invalidParams("there are no withdrawals on this chain: leave them out")
	}
	return nil
}

// apply changes what contracts see of a block.
func (o *blockOverrides) apply(b *vm.Block) error {
	if o == nil {
		return nil
	}
	if err := o.check(); err != nil {
		return err
	}
	if o.Number != nil {
		b.Number = o.Number.ToInt().Uint64()
	}
	if o.Time != nil {
		b.Time = uint64(*o.Time)
	}
	if o.GasLimit != nil {
		b.GasLimit = uint64(*o.GasLimit)
	}
	if o.FeeRecipient != nil {
		b.Coinbase = *o.FeeRecipient
	}
	if o.BaseFeePerGas != nil {
		b.BaseFee.SetFromBig(o.BaseFeePerGas.ToInt())
	}
	return nil
}
