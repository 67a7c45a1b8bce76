package rpc

import (
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger/exec"
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
