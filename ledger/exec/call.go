package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// Message is a transaction that nobody signed: a question what would happen.
type Message struct {
	From common.Address
	// To is nil for a creation.
	To *common.Address
	// Gas limit, intrinsic gas included.
	Gas        uint64
	Value      uint256.Int
	Data       []byte
	AccessList types.AccessList
	// Tracer, when set, records the frames, and is used up by that.
	Tracer *Tracer
}

// IntrinsicGas is what the message uses before anything of it is executed.
func (msg *Message) IntrinsicGas() uint64 {
	return ledger.IntrinsicGas(msg.Data, msg.AccessList, msg.To == nil)
}

// CallResult is what executing a message gave.
type CallResult struct {
	Outcome vm.Outcome
	// Output is return or revert data; after a creation it is the code that the new contract has.
	Output []byte
	// GasUsed, intrinsic gas included.
	GasUsed uint64
	// Created is the new contract.
	Created common.Address
	Logs    []*types.Log
	// Accessed is what an access list of the message would name, after a [Call]: every account and slot that the code
	// touched, also in frames that failed, without the ones that every transaction may use at the lower price.
	Accessed types.AccessList
}

// BlockOf is what contracts see of an executed block, for a [Call] on its state.
func BlockOf(g *ledger.Genesis, h *types.Header) vm.Block {
	return vm.Block{
		ChainID: g.ChainID, Number: h.Number.Uint64(), Time: h.Time, GasLimit: h.GasLimit, Coinbase: h.Coinbase,
	}
}

// Call executes a message on a state and forgets what it changed. The error is [ledger.ErrIntrinsicGas],
// [ledger.ErrInsufficientFunds] or [ledger.ErrMaxInitCodeSizeExceeded], that of ctx, or says that the worker
// is broken; whatever else happens is an outcome. The worker is the caller's for the time of the call.
func Call(ctx context.Context, w *vm.Worker, block vm.Block, msg *Message, state Reader) (*CallResult, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := newMachine(ctx, w, block, state, 1)
	m.tracer, m.stop = msg.Tracer, stop
	if err := m.fits(msg); err != nil {
		return nil, err
	}
	res, err := m.ask(msg)
	if err != nil {
		return nil, err
	}
	res.Accessed = m.accessed(msg)
	return res, nil
}

// fits says why a message cannot be executed.
func (m *machine) fits(msg *Message) error {
	if intrinsic := msg.IntrinsicGas(); msg.Gas < intrinsic {
		return fmt.Errorf("%w: have %d, want %d", ledger.ErrIntrinsicGas, msg.Gas, intrinsic)
	}
	if msg.To == nil && len(msg.Data) > ledger.MaxInitCodeBytes {
		return fmt.Errorf("%w: code size %d, limit %d", ledger.ErrMaxInitCodeSizeExceeded, len(msg.Data), ledger.MaxInitCodeBytes)
	}
	if sender := m.account(msg.From); sender.Balance.Lt(&msg.Value) {
		return fmt.Errorf("%w: address %s have %s want %s", ledger.ErrInsufficientFunds, msg.From, sender.Balance.Dec(), msg.Value.Dec())
	}
	return nil
}

// ask executes a message that fits, as a transaction of its sender.
func (m *machine) ask(msg *Message) (*CallResult, error) {
	sender := &m.touched[m.load(msg.From)]
	nonce := sender.account.Nonce
	sender.account.Nonce++ // at the last nonce it is one that nobody could send
	sender.changed = true
	created, answer := m.message(&message{
		from: msg.From, to: msg.To, nonce: nonce, value: &msg.Value, data: msg.Data,
		gas: msg.Gas - msg.IntrinsicGas(), accessList: msg.AccessList,
	})
	if m.tracer != nil {
		m.settle(msg.Gas, msg.Gas-answer.GasLeft)
	}
	if m.failure != nil {
		return nil, fmt.Errorf("executing a call: %w", m.failure)
	}
	res := &CallResult{
		Outcome: answer.Outcome, Output: answer.Output, GasUsed: msg.Gas - answer.GasLeft, Created: created, Logs: m.logs,
	}
	if msg.To == nil && answer.Outcome == vm.Success {
		res.Output = m.code(m.account(created).CodeHash)
	}
	return res, nil
}

// accessed lists what a message touched, by address and slot.
func (m *machine) accessed(msg *Message) types.AccessList {
	slots := make(map[common.Address][]common.Hash)
	for i := range m.slots {
		k := &m.slots[i].key
		slots[k.contract] = append(slots[k.contract], k.slot)
	}
	list := types.AccessList{}
	for i := range m.touched {
		a := m.touched[i].address
		keys := slots[a]
		known := a == msg.From || msg.To != nil && a == *msg.To || a == m.block.Coinbase || nativeOf(m.state, a) != nil
		if known && len(keys) == 0 {
			continue
		}
		slices.SortFunc(keys, common.Hash.Cmp)
		list = append(list, types.AccessTuple{Address: a, StorageKeys: append([]common.Hash{}, keys...)})
	}
	slices.SortFunc(list, func(x, y types.AccessTuple) int { return x.Address.Cmp(y.Address) })
	return list
}
