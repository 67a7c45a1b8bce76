package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
)

// filledJSON is an unsigned transaction and its encoding.
type filledJSON struct {
	Raw hexutil.Bytes      `json:"raw"`
	Tx  *types.Transaction `json:"tx"`
}

// FillTransaction completes a call object to a transaction that only lacks its signature: nonce, gas
// limit, zero fees and chain id, in one answer instead of five.
func (e *ethAPI) FillTransaction(ctx context.Context, args callArgs) (*filledJSON, error) {
	s := e.s
	if args.To == nil && len(args.input()) == 0 {
		return nil, errors.New("contract creation without any data provided")
	}
	if args.Gas == nil {
		pending := gethrpc.BlockNumberOrHashWithNumber(gethrpc.PendingBlockNumber)
		gas, err := e.EstimateGas(ctx, args, &pending, nil)
		if err != nil {
			return nil, err
		}
		args.Gas = &gas
	} else if _, err := s.message(&args); err != nil {
		return nil, err
	}
	if args.Nonce == nil {
		if args.From == nil {
			return nil, invalidParams(`"from" is missing: the nonce is chosen for it`)
		}
		nonce := hexutil.Uint64(s.cfg.Pool.Nonce(*args.From))
		args.Nonce = &nonce
	}
	tx := types.NewTx(args.data(new(big.Int).SetUint64(s.cfg.Genesis.ChainID)))
	raw, err := tx.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding the transaction: %w", err)
	}
	return &filledJSON{raw, tx}, nil
}

// data is the transaction of a complete call object: a legacy one if it names a gas price, an EIP-2930
// one if it also has an access list, and else an EIP-1559 one.
func (a *callArgs) data(chainID *big.Int) types.TxData {
	gas, nonce, value, input := uint64(*a.Gas), uint64(*a.Nonce), number(a.Value), a.input()
	switch {
	case a.GasPrice != nil && a.AccessList == nil:
		return &types.LegacyTx{Nonce: nonce, GasPrice: number(a.GasPrice), Gas: gas, To: a.To, Value: value, Data: input}
	case a.GasPrice != nil:
		return &types.AccessListTx{
			ChainID: chainID, Nonce: nonce, GasPrice: number(a.GasPrice), Gas: gas, To: a.To, Value: value, Data: input,
			AccessList: *a.AccessList,
		}
	}
	return &types.DynamicFeeTx{
		ChainID: chainID, Nonce: nonce, GasTipCap: number(a.MaxPriorityFeePerGas), GasFeeCap: number(a.MaxFeePerGas),
		Gas: gas, To: a.To, Value: value, Data: input, AccessList: a.accesses(),
	}
}

func number(n *hexutil.Big) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return n.ToInt()
}
