// Package vmtest runs contracts on accounts and storage that are maps.
//
// A [World] is all that a contract can see: it deploys, calls and undoes like the node does, without blocks,
// roots and signatures. It is for tests of contracts and of the engine; the rules that a chain follows are
// those of ledger/exec.
//
// Sources: Yellow Paper, sections 7 and 8; EIP-1014, EIP-1153, EIP-2929.
package vmtest

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm"
)

// depositGas is for a byte of stored code.
const depositGas = 200

// Account is an account and its storage.
type Account struct {
	Balance  uint256.Int
	Nonce    uint64
	CodeHash common.Hash // zero without code
	Storage  map[common.Hash]common.Hash
}

// Log is an event.
type Log struct {
	Contract common.Address
	Topics   []common.Hash
	Data     []byte
}

// place is a slot of a contract.
type place struct {
	contract common.Address
	slot     common.Hash
}

// World is accounts, code and the transaction that runs. Its fields may be set between transactions. It is
// used by one goroutine. Implements vm.State and vm.World.
type World struct {
	Block    vm.Block
	Accounts map[common.Address]*Account
	// Logs of the last transaction, unless it was undone.
	Logs []Log
	// Deepest is the largest Depth of the last transaction.
	Deepest int

	worker *vm.Worker
	codes  map[common.Hash][]byte

	// Of one transaction.
	ctx       context.Context //nolint:containedctx // vm's interfaces carry none: whoever implements them knows whom they work for
	err       error           // why the transaction cannot go on
	originals map[place]common.Hash
	warm      map[any]bool // addresses and places
	transient map[place]common.Hash
	open      map[common.Address]int // frames, without those of delegate calls
	undo      []func()
}

// New makes an empty world that runs on a worker.
func New(w *vm.Worker) *World {
	return &World{
		Block:    vm.Block{ChainID: 7357, Number: 1, Time: 1_700_000_000, GasLimit: 200_000_000},
		Accounts: map[common.Address]*Account{},
		worker:   w,
		codes:    map[common.Hash][]byte{},
		open:     map[common.Address]int{},
	}
}

// Deploy runs a transaction that creates a contract. The data is code in any form, and arguments.
func (w *World) Deploy(ctx context.Context, from common.Address, data []byte, gas uint64) (common.Address, vm.Answer, error) {
	w.Reset(ctx, from)
	env := &vm.Env{Block: &w.Block, Origin: from, Contract: from, Depth: -1}
	at, answer := w.Create(vm.Create{From: env, Code: data, Gas: gas})
	return at, answer, w.err
}

// Send runs a transaction that calls.
func (w *World) Send(ctx context.Context, from, to common.Address, value *uint256.Int, input []byte, gas uint64) (vm.Answer, error) {
	w.Reset(ctx, from)
	w.touch(to)
	env := &vm.Env{Block: &w.Block, Origin: from, Contract: from, Depth: -1}
	c := vm.Call{From: env, To: to, Input: input, Gas: gas}
	if value != nil {
		c.Value = *value
	}
	answer := w.Call(c)
	return answer, w.err
}

// Reset begins a transaction, for tests that run frames of their own.
func (w *World) Reset(ctx context.Context, from common.Address) {
	w.worker.Begin()
	w.ctx, w.err, w.Logs, w.Deepest, w.undo = ctx, nil, nil, 0, w.undo[:0]
	w.originals, w.warm, w.transient = map[place]common.Hash{}, map[any]bool{}, map[place]common.Hash{}
	clear(w.open)
	w.touch(from)
}

// touch says whether the transaction had not touched an address or place before.
func (w *World) touch(what any) (cold bool) {
	if w.warm[what] {
		return false
	}
	w.warm[what] = true
	w.undo = append(w.undo, func() { delete(w.warm, what) })
	return true
}

// revert undoes what happened since the journal had n entries.
func (w *World) revert(n int) {
	for len(w.undo) > n {
		last := len(w.undo) - 1
		w.undo[last]()
		w.undo = w.undo[:last]
	}
}

// account returns an account, new if need be.
func (w *World) account(at common.Address) *Account {
	a := w.Accounts[at]
	if a == nil {
		a = &Account{Storage: map[common.Hash]common.Hash{}}
		w.Accounts[at] = a
		w.undo = append(w.undo, func() { delete(w.Accounts, at) })
	}
	return a
}

func (w *World) setBalance(a *Account, v uint256.Int) {
	old := a.Balance
	a.Balance = v
	w.undo = append(w.undo, func() { a.Balance = old })
}

func (w *World) setNonce(a *Account, n uint64) {
	old := a.Nonce
	a.Nonce = n
	w.undo = append(w.undo, func() { a.Nonce = old })
}

// transfer moves value, if it is there.
func (w *World) transfer(from, to common.Address, value *uint256.Int) bool {
	if value.IsZero() {
		return true
	}
	a := w.account(from)
	if a.Balance.Lt(value) {
		return false
	}
	w.setBalance(a, *new(uint256.Int).Sub(&a.Balance, value))
	b := w.account(to)
	w.setBalance(b, *new(uint256.Int).Add(&b.Balance, value))
	return true
}

// Load implements vm.State.
func (w *World) Load(contract common.Address, slot common.Hash) (common.Hash, bool) {
	cold := w.touch(place{contract, slot})
	return w.account(contract).Storage[slot], cold
}

// Store implements vm.State.
func (w *World) Store(contract common.Address, slot, value common.Hash) vm.Stored {
	p, storage := place{contract, slot}, w.account(contract).Storage
	s := vm.Stored{Current: storage[slot], Cold: w.touch(p)}
	original, ok := w.originals[p]
	if !ok {
		original = s.Current
		w.originals[p] = original
	}
	s.Original = original
	storage[slot] = value
	w.undo = append(w.undo, func() { storage[slot] = s.Current })
	return s
}

// LoadTransient implements vm.State.
func (w *World) LoadTransient(contract common.Address, slot common.Hash) common.Hash {
	return w.transient[place{contract, slot}]
}

// StoreTransient implements vm.State.
func (w *World) StoreTransient(contract common.Address, slot, value common.Hash) {
	p := place{contract, slot}
	old := w.transient[p]
	w.transient[p] = value
	w.undo = append(w.undo, func() { w.transient[p] = old })
}

// Log implements vm.State.
func (w *World) Log(contract common.Address, topics []common.Hash, data []byte) {
	n := len(w.Logs)
	w.Logs = append(w.Logs, Log{contract, topics, data})
	w.undo = append(w.undo, func() { w.Logs = w.Logs[:n] })
}

// Account implements vm.World.
func (w *World) Account(at common.Address) (vm.Account, bool) {
	cold := w.touch(at)
	a := w.Accounts[at]
	switch {
	case a == nil || a.Nonce == 0 && a.Balance.IsZero() && a.CodeHash == (common.Hash{}):
		return vm.Account{}, cold
	case a.CodeHash == (common.Hash{}):
		return vm.Account{Balance: a.Balance, CodeHash: crypto.Keccak256Hash()}, cold
	default:
		return vm.Account{Balance: a.Balance, CodeHash: a.CodeHash, CodeSize: len(w.codes[a.CodeHash])}, cold
	}
}

// Code implements vm.World.
func (w *World) Code(hash common.Hash) []byte { return w.codes[hash] }

// Call implements vm.World.
func (w *World) Call(c vm.Call) vm.Answer {
	if c.Value.Gt(&w.account(c.From.Contract).Balance) {
		return vm.Answer{Outcome: vm.NoBalance, GasLeft: c.Gas}
	}
	f := vm.Frame{
		Env: vm.Env{
			Block: c.From.Block, Origin: c.From.Origin, GasPrice: c.From.GasPrice, Depth: c.From.Depth + 1,
			Contract: c.To, Caller: c.From.Contract, Value: c.Value, Static: c.From.Static || c.Kind == vm.StaticCall,
		},
		Input: c.Input, Gas: c.Gas,
	}
	if c.Kind == vm.DelegateCall {
		f.Contract, f.Caller, f.Value = c.From.Contract, c.From.Caller, c.From.Value
	} else {
		w.open[c.To]++
		defer func() { w.open[c.To]-- }()
	}
	f.Reentrant = w.open[f.Contract] > 1
	before := len(w.undo)
	w.transfer(c.From.Contract, c.To, &c.Value)
	a := w.Accounts[c.To]
	if a == nil || a.CodeHash == (common.Hash{}) {
		return vm.Answer{GasLeft: c.Gas}
	}
	f.CodeHash = a.CodeHash
	return w.run(&f, before)
}

// run runs a frame, and undoes what it did unless it succeeds.
func (w *World) run(f *vm.Frame, before int) vm.Answer {
	f.State, f.World = w, w
	w.Deepest = max(w.Deepest, f.Depth)
	answer, err := w.worker.Run(w.ctx, f)
	if err != nil {
		w.err = errors.Join(w.err, err)
		answer = vm.Answer{Outcome: vm.Trapped}
	}
	if answer.Outcome != vm.Success {
		w.revert(before)
	}
	return answer
}

// Create implements vm.World.
func (w *World) Create(c vm.Create) (common.Address, vm.Answer) {
	creator := w.account(c.From.Contract)
	if c.Value.Gt(&creator.Balance) {
		return common.Address{}, vm.Answer{Outcome: vm.NoBalance, GasLeft: c.Gas}
	}
	at := crypto.CreateAddress(c.From.Contract, creator.Nonce)
	if c.Salt != nil {
		at = crypto.CreateAddress2(c.From.Contract, *c.Salt, crypto.Keccak256(c.Code))
	}
	w.setNonce(creator, creator.Nonce+1)
	w.touch(at)
	if a := w.Accounts[at]; a != nil && (a.Nonce != 0 || a.CodeHash != (common.Hash{})) {
		return common.Address{}, vm.Answer{Outcome: vm.Trapped}
	}
	before := len(w.undo)
	w.setNonce(w.account(at), 1)
	w.transfer(c.From.Contract, at, &c.Value)
	answer := w.construct(c, at, before)
	if answer.Outcome != vm.Success {
		w.revert(before)
		return common.Address{}, answer
	}
	return at, answer
}

// construct stores code and runs its constructor.
func (w *World) construct(c vm.Create, at common.Address, before int) vm.Answer {
	code, args, err := vm.ParseCreation(c.Code)
	if err != nil {
		return refused(err, c.Gas)
	}
	activation, err := vm.Activate(code)
	if err != nil {
		return refused(err, c.Gas)
	}
	price := activation.Gas + depositGas*uint64(len(code))
	if price > c.Gas {
		return vm.Answer{Outcome: vm.OutOfGas}
	}
	if err := w.worker.Prepare(code); err != nil {
		return refused(err, c.Gas)
	}
	hash := crypto.Keccak256Hash(code)
	w.codes[hash] = code
	a := w.account(at)
	a.CodeHash = hash
	w.undo = append(w.undo, func() { a.CodeHash = common.Hash{} })
	w.open[at]++
	defer func() { w.open[at]-- }()
	return w.run(&vm.Frame{
		Env: vm.Env{
			Block: c.From.Block, Origin: c.From.Origin, GasPrice: c.From.GasPrice, Depth: c.From.Depth + 1,
			Contract: at, Caller: c.From.Contract, Value: c.Value,
		},
		CodeHash: hash, Metering: activation.Version, Constructor: true, Input: args, Gas: c.Gas - price,
	}, before)
}

// refused is a revert with a reason.
func refused(err error, gas uint64) vm.Answer {
	return vm.Answer{Outcome: vm.Revert, Output: vm.Reason(err.Error()), GasLeft: gas}
}
