package contracts_test

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	geth "github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

//go:embed testdata/evm/erc20.hex
var evmERC20 string

// evmState is as little of a state for go-ethereum's interpreter as slots are for our engine: one contract, no
// journal, no access list. What it does not have panics.
type evmState struct {
	geth.StateDB
	slots
	code []byte
	hash common.Hash
	logs []*types.Log
}

// GetCode implements geth.StateDB.
func (s *evmState) GetCode(common.Address) []byte { return s.code }

// GetCodeHash implements geth.StateDB.
func (s *evmState) GetCodeHash(common.Address) common.Hash { return s.hash }

// Exist implements geth.StateDB.
func (*evmState) Exist(common.Address) bool { return true }

// Snapshot implements geth.StateDB.
func (*evmState) Snapshot() int { return 0 }

// RevertToSnapshot implements geth.StateDB.
func (*evmState) RevertToSnapshot(int) {}

// GetState implements geth.StateDB.
func (s *evmState) GetState(_ common.Address, slot common.Hash) common.Hash { return s.get(slot) }

// GetStateAndCommittedState implements geth.StateDB.
func (s *evmState) GetStateAndCommittedState(_ common.Address, slot common.Hash) (now, before common.Hash) {
	v := s.get(slot)
	return v, v
}

// SetState implements geth.StateDB.
func (s *evmState) SetState(_ common.Address, slot, value common.Hash) common.Hash {
	old := s.get(slot)
	s.written[slot] = value
	return old
}

// SlotInAccessList implements geth.StateDB.
func (*evmState) SlotInAccessList(common.Address, common.Hash) (address, slot bool) {
	return true, true
}

// AddLog implements geth.StateDB.
func (s *evmState) AddLog(l *types.Log) { s.logs = append(s.logs, l) }

// AddBalance implements geth.StateDB.
func (*evmState) AddBalance(common.Address, *uint256.Int, tracing.BalanceChangeReason) uint256.Int {
	return uint256.Int{}
}

func newEVM(tb testing.TB, from common.Address) (*geth.EVM, *evmState) {
	tb.Helper()
	code, err := hex.DecodeString(strings.TrimSpace(evmERC20))
	if err != nil {
		tb.Fatal(err)
	}
	// A Solidity mapping at slot 0.
	balance := crypto.Keccak256Hash(common.LeftPadBytes(from[:], 32), make([]byte, 32))
	rich := common.BigToHash(big.NewInt(1e18))
	state := &evmState{code: code, hash: crypto.Keccak256Hash(code), slots: newSlots(func(slot common.Hash) common.Hash {
		if slot == balance {
			return rich
		}
		return common.Hash{31: 1}
	})}
	block := geth.BlockContext{
		CanTransfer: func(geth.StateDB, common.Address, *uint256.Int) bool { return true },
		Transfer:    func(geth.StateDB, common.Address, common.Address, *uint256.Int, *params.Rules) {},
		BlockNumber: big.NewInt(1), Time: 1_700_000_000, Difficulty: new(big.Int), BaseFee: new(big.Int), Random: &common.Hash{},
	}
	evm := geth.NewEVM(block, state, params.MergedTestChainConfig, geth.Config{})
	evm.SetTxContext(geth.TxContext{Origin: from, GasPrice: new(uint256.Int)})
	return evm, state
}

// benchmarkEVM is the transfer of a Solidity token in go-ethereum's interpreter.
func benchmarkEVM(b *testing.B) {
	token, admin, alice, _ := newToken(b)
	evm, state := newEVM(b, admin.address)
	input := token.pack(b, "transfer", alice, 1)
	yes := common.Hash{31: 1}
	start := cpuTime(b)
	for b.Loop() {
		clear(state.written)
		state.logs = state.logs[:0]
		out, _, err := evm.Call(admin.address, token.address, input, geth.NewGasBudget(txGas, 0), new(uint256.Int))
		if err != nil || !bytes.Equal(out, yes[:]) || len(state.logs) != 1 || len(state.written) != 2 {
			b.Fatalf("%x, %v, %d logs, %d slots", out, err, len(state.logs), len(state.written))
		}
	}
	perCall(b, start, b.N)
}
