package rpc

import (
	"encoding/hex"
	"fmt"

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

// GetCode returns the code of a contract as it was deployed.
func (e *ethAPI) GetCode(address common.Address, ref *gethrpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	a, err := e.s.accountAt(address, ref)
	if err != nil {
		return nil, err
	}
	if a.CodeHash == (common.Hash{}) {
		return hexutil.Bytes{}, nil
	}
	code, err := e.s.cfg.Store.Code(a.CodeHash)
	if err != nil {
		return nil, e.s.broken(fmt.Errorf("reading the code of %s: %w", address, err))
	}
	return code, nil
}

// GetStorageAt returns the 32 bytes of a contract's slot.
func (e *ethAPI) GetStorageAt(address common.Address, slot string, ref *gethrpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	key, err := parseSlot(slot)
	if err != nil {
		return nil, err
	}
	height, err := e.s.stateHeight(ref)
	if err != nil {
		return nil, err
	}
	if err := e.s.cfg.Quarantined(); err != nil {
		return nil, err
	}
	value, err := e.s.cfg.State.StorageAt(height, address, key)
	if err != nil {
		return nil, e.s.unreadable(height, err)
	}
	return value[:], nil
}

// parseSlot accepts up to 32 bytes of hex, with or without leading zeros and the prefix.
func parseSlot(slot string) (common.Hash, error) {
	digits := slot
	if len(digits) >= 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		digits = digits[2:]
	}
	if len(digits) > 2*common.HashLength {
		return common.Hash{}, invalidParams("storage key too long (want at most 32 bytes)")
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return common.Hash{}, invalidParams("invalid hex in storage key")
	}
	return common.BytesToHash(b), nil
}
