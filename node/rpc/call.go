package rpc

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
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

// accountOverride replaces parts of an account for one call.
type accountOverride struct {
	Nonce     *hexutil.Uint64             `json:"nonce"`
	Balance   *hexutil.Big                `json:"balance"`
	Code      *hexutil.Bytes              `json:"code"`
	State     map[common.Hash]common.Hash `json:"state"`
	StateDiff map[common.Hash]common.Hash `json:"stateDiff"`
}

// errCreation is for call objects without a recipient.
var errCreation = errors.New("calls that create a contract are not answered yet: send the transaction with a gas limit of your own")

// message is a checked call.
type message struct {
	from      common.Address
	gas       uint64 // the declared limit, or the cap
	intrinsic uint64
	value     *uint256.Int
	balance   uint256.Int // of from
}

// Call executes a message without a transaction. To an account without code it answers no bytes.
func (e *ethAPI) Call(args callArgs, ref *gethrpc.BlockNumberOrHash, overrides *map[common.Address]accountOverride) (hexutil.Bytes, error) {
	m, err := e.s.message(&args, ref, overrides)
	if err != nil {
		return nil, err
	}
	if m.gas < m.intrinsic {
		return nil, fmt.Errorf("err: %w: have %d, want %d (supplied gas %d)", ledger.ErrIntrinsicGas, m.gas, m.intrinsic, m.gas)
	}
	if m.value.Gt(&m.balance) {
		return nil, fmt.Errorf("err: %w: address %s have %s want %s (supplied gas %d)",
			txpool.ErrInsufficientFunds, m.from, m.balance.Dec(), m.value.Dec(), m.gas)
	}
	return hexutil.Bytes{}, nil
}

// EstimateGas returns the gas limit that a transaction needs: exactly what it uses, for a transfer.
func (e *ethAPI) EstimateGas(args callArgs, ref *gethrpc.BlockNumberOrHash, overrides *map[common.Address]accountOverride) (hexutil.Uint64, error) {
	m, err := e.s.message(&args, ref, overrides)
	switch {
	case err != nil:
		return 0, err
	case m.value.Gt(&m.balance):
		return 0, ledger.ErrInsufficientFunds
	case m.gas < m.intrinsic:
		return 0, fmt.Errorf("gas required exceeds allowance (%d)", m.gas)
	}
	return hexutil.Uint64(m.intrinsic), nil
}

// CreateAccessList returns the empty list: no code, no accesses.
func (e *ethAPI) CreateAccessList(args callArgs, ref *gethrpc.BlockNumberOrHash) (*accessListJSON, error) {
	gas, err := e.EstimateGas(args, ref, nil)
	if err != nil {
		return nil, err
	}
	return &accessListJSON{AccessList: types.AccessList{}, GasUsed: gas}, nil
}

type accessListJSON struct {
	AccessList types.AccessList `json:"accessList"`
	GasUsed    hexutil.Uint64   `json:"gasUsed"`
}

// message checks what a call object says against the state that ref names.
func (s *Server) message(args *callArgs, ref *gethrpc.BlockNumberOrHash, overrides *map[common.Address]accountOverride) (*message, error) {
	if args.Data != nil && args.Input != nil && !bytes.Equal(*args.Data, *args.Input) {
		return nil, errors.New(`both "data" and "input" are set and not equal. Please use "input" to pass transaction call data`)
	}
	if args.GasPrice != nil && (args.MaxFeePerGas != nil || args.MaxPriorityFeePerGas != nil) {
		return nil, errors.New("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
	}
	if id := args.ChainID; id != nil && (!id.ToInt().IsUint64() || id.ToInt().Uint64() != s.cfg.Genesis.ChainID) {
		return nil, fmt.Errorf("chainId does not match node's (have=%v, want=%d)", id.ToInt(), s.cfg.Genesis.ChainID)
	}
	if args.To == nil {
		return nil, errCreation
	}
	m := &message{gas: s.cfg.Genesis.TxGasCap, value: new(uint256.Int)}
	if args.From != nil {
		m.from = *args.From
	}
	if args.Gas != nil && *args.Gas != 0 {
		m.gas = min(m.gas, uint64(*args.Gas))
	}
	if args.Value != nil {
		if args.Value.ToInt().Sign() < 0 || m.value.SetFromBig(args.Value.ToInt()) {
			return nil, invalidParams("value is not a number from 0 to 2^256-1")
		}
	}
	m.intrinsic = ledger.IntrinsicGas(args.input(), args.accesses(), false)
	account, err := s.accountAt(m.from, ref)
	if err != nil {
		return nil, err
	}
	m.balance = account.Balance
	if err := m.override(overrides); err != nil {
		return nil, err
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

// override applies the overrides that matter to a transfer and refuses those that need contracts.
func (m *message) override(overrides *map[common.Address]accountOverride) error {
	if overrides == nil {
		return nil
	}
	for _, o := range *overrides {
		if o.Code != nil && len(*o.Code) > 0 || len(o.State) > 0 || len(o.StateDiff) > 0 {
			return errors.New("overriding code or storage is not supported yet: there are no contracts; override balance or nonce")
		}
	}
	if balance := (*overrides)[m.from].Balance; balance != nil {
		if balance.ToInt().Sign() < 0 || m.balance.SetFromBig(balance.ToInt()) {
			return invalidParams("balance is not a number from 0 to 2^256-1")
		}
	}
	return nil
}
