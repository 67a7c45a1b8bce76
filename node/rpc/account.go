package rpc

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger"
)

// accountAt reads an account after the block that ref names.
func (s *Server) accountAt(address common.Address, ref *gethrpc.BlockNumberOrHash) (ledger.Account, error) {
	height, err := s.stateHeight(ref)
	if err != nil {
		return ledger.Account{}, err
	}
	return s.account(height, address)
}

// GetBalance returns a balance in wei.
func (e *ethAPI) GetBalance(address common.Address, ref *gethrpc.BlockNumberOrHash) (*hexutil.Big, error) {
	a, err := e.s.accountAt(address, ref)
	if err != nil {
		return nil, err
	}
	return (*hexutil.Big)(a.Balance.ToBig()), nil
}

// GetTransactionCount returns an account's nonce; at the pending block the one to use next.
func (e *ethAPI) GetTransactionCount(address common.Address, ref *gethrpc.BlockNumberOrHash) (*hexutil.Uint64, error) {
	if ref != nil {
		if n, ok := ref.Number(); ok && n == gethrpc.PendingBlockNumber {
			nonce := hexutil.Uint64(e.s.cfg.Pool.Nonce(address))
			return &nonce, nil
		}
	}
	a, err := e.s.accountAt(address, ref)
	if err != nil {
		return nil, err
	}
	return (*hexutil.Uint64)(&a.Nonce), nil
}

// GetCode is empty: there are no contracts yet.
func (e *ethAPI) GetCode(address common.Address, ref *gethrpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	if _, err := e.s.accountAt(address, ref); err != nil {
		return nil, err
	}
	return hexutil.Bytes{}, nil
}

// GetStorageAt is zero: there are no contracts yet.
func (e *ethAPI) GetStorageAt(address common.Address, slot string, ref *gethrpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	if _, err := e.s.accountAt(address, ref); err != nil {
		return nil, err
	}
	return make(hexutil.Bytes, common.HashLength), nil
}

// checkSlot accepts up to 32 bytes of hex, with or without leading zeros.
func checkSlot(slot string) error {
	digits := slot
	if len(digits) >= 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		digits = digits[2:]
	}
	if len(digits) > 2*common.HashLength {
		return invalidParams("storage key too long (want at most 32 bytes)")
	}
	for _, c := range []byte(digits) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return invalidParams("invalid hex in storage key")
		}
	}
	return nil
}
