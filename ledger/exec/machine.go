package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
)

// machine runs the frames of transactions on a journal.
type machine struct {
	journal
	worker *vm.Worker
	// run is the worker's Run with the caller's context.
	run   func(*vm.Frame) (vm.Answer, error)
	block vm.Block
	// known are the codes that ran in the block.
	known map[common.Hash]*knownCode

	// Of the transaction at hand, set by begin.
	origin common.Address
	// loaded are the bytes of the codes that ran.
	loaded uint64
	// open lists the contracts that have a frame of their own, outermost first.
	open []common.Address

	// failure is why the execution cannot go on, whatever contracts do: there is no result then.
	failure error
	// transfers says that values which move are logs, as only a [Simulation] wants.
	transfers bool
	// stop ends the frames that run; it is there when there is a tracer.
	stop func()
}

const (
	// loadByteGas is for each byte of a module when a transaction first runs it, with loadBytes for the module,
	// beyond freeLoadBytes of all: a machine that does not have the compiled code in memory reads, checks and maps
	// it, which takes some 40 ns a byte and half a millisecond. Whether it has it depends on what it ran before;
	// the price does not.
	loadByteGas = 4
	loadBytes   = 5000
	// freeLoadBytes are paid by the intrinsic gas: one contract of the usual size.
	freeLoadBytes = 16 << 10
)

// knownCode is what there is to know about code that runs. Code that is undone and stored again has the same.
type knownCode struct {
	version meter.Version
	bytes   uint64 // to load, see loadGas
	ran     uint32 // number of the last transaction that ran it
}

func newMachine(ctx context.Context, w *vm.Worker, block vm.Block, state Reader, txs int) machine {
	return machine{
		journal: newJournal(state, txs),
		worker:  w,
		run:     func(f *vm.Frame) (vm.Answer, error) { return w.Run(ctx, f) },
		block:   block,
	}
}

// message is what a transaction, or a call without one, wants.
type message struct {
	from       common.Address
	to         *common.Address // nil for a creation
	nonce      uint64          // of the sender, before the transaction
	value      *uint256.Int
	data       []byte
	gas        uint64 // without the intrinsic gas
	accessList types.AccessList
}

// begin starts a transaction: what it may use at the price of the second time (EIP-2929, EIP-2930,
// EIP-3651), and nothing to undo.
func (m *machine) begin(msg *message) {
	m.journal.begin()
	m.worker.Begin()
	if m.known == nil {
		m.known = make(map[common.Hash]*knownCode)
	}
	m.origin, m.open, m.loaded = msg.from, m.open[:0], 0
	m.warmAccount(msg.from)
	m.warmAccount(m.block.Coinbase)
	if msg.to != nil {
		m.warmAccount(*msg.to)
	}
	for i := range msg.accessList {
		tuple := &msg.accessList[i]
		m.warmAccount(tuple.Address)
		for _, key := range tuple.StorageKeys {
			m.warmSlot(m.use(tuple.Address, key))
		}
	}
}

// message runs the outermost frame. The sender's nonce is already increased.
func (m *machine) message(msg *message) (created common.Address, answer vm.Answer) {
	m.begin(msg)
	env := vm.Env{Block: &m.block, Origin: msg.from, Caller: msg.from, Value: *msg.value}
	if msg.to == nil {
		return m.create(&env, FrameCreate, crypto.CreateAddress(msg.from, msg.nonce), msg.data, msg.gas)
	}
	env.Contract = *msg.to
	return common.Address{}, m.enter(&env, vm.PlainCall, *msg.to, msg.data, msg.gas)
}

var _ vm.World = (*machine)(nil)

// Account implements [vm.World].
func (m *machine) Account(a common.Address) (vm.Account, bool) {
	t, cold := m.warmAccount(a)
	out := vm.Account{Balance: t.account.Balance}
	switch {
	case t.account.CodeHash != common.Hash{}:
		out.CodeHash = t.account.CodeHash
		out.CodeSize = m.codeSize(out.CodeHash)
	case !t.account.IsEmpty():
		out.CodeHash = types.EmptyCodeHash
	}
	return out, cold && nativeOf(m.state, a) == nil
}

// Code implements [vm.World].
func (m *machine) Code(hash common.Hash) []byte { return m.code(hash) }

// Call implements [vm.World]. The worker bounds the depth.
func (m *machine) Call(c vm.Call) vm.Answer {
	env := vm.Env{
		Block: &m.block, Origin: m.origin, Contract: c.To, Caller: c.From.Contract, Value: c.Value,
		Static: c.From.Static, Depth: c.From.Depth + 1,
	}
	switch c.Kind {
	case vm.PlainCall:
	case vm.StaticCall:
		env.Static = true
	case vm.DelegateCall: // the code is another's, everything else the caller's own
		env.Contract, env.Caller, env.Value = c.From.Contract, c.From.Caller, c.From.Value
		env.Reentrant = c.From.Reentrant
	}
	return m.enter(&env, c.Kind, c.To, c.Input, c.Gas)
}

// enter runs the code of an account in a frame, and undoes what the frame did unless it succeeds.
func (m *machine) enter(env *vm.Env, kind vm.CallKind, code common.Address, input []byte, gas uint64) vm.Answer {
	if m.tracer != nil {
		return m.traceCall(env, kind, code, input, gas)
	}
	return m.call(env, kind, code, input, gas)
}

// call is enter without a trace.
func (m *machine) call(env *vm.Env, kind vm.CallKind, code common.Address, input []byte, gas uint64) vm.Answer {
	before := m.snapshot()
	if kind == vm.PlainCall && !env.Value.IsZero() && !m.transfer(env.Caller, env.Contract, &env.Value) {
		return vm.Answer{Outcome: vm.NoBalance, GasLeft: gas}
	}
	if m.transfers && kind == vm.PlainCall && !env.Value.IsZero() {
		m.moved(env.Caller, env.Contract, &env.Value)
	}
	answer := vm.Answer{GasLeft: gas}
	if native := nativeOf(m.state, code); native != nil {
		answer = m.native(native, input, gas)
	} else if hash := m.account(code).CodeHash; hash != (common.Hash{}) {
		if kind != vm.DelegateCall {
			env.Reentrant = slices.Contains(m.open, env.Contract)
			m.open = append(m.open, env.Contract)
		}
		answer = m.frame(&vm.Frame{Env: *env, CodeHash: hash, Input: input, Gas: gas})
		if kind != vm.DelegateCall {
			m.open = m.open[:len(m.open)-1]
		}
	}
	if answer.Outcome != vm.Success {
		m.revert(before)
	}
	return answer
}

// frame runs one frame of WebAssembly. When the execution cannot go on, nothing is run any more and the
// answers do not matter.
func (m *machine) frame(f *vm.Frame) vm.Answer {
	if m.failure != nil {
		return vm.Answer{Outcome: vm.OutOfGas}
	}
	code := m.codeOf(f.CodeHash)
	if code == nil {
		return vm.Answer{Outcome: vm.OutOfGas}
	}
	if code.ran != m.number {
		price := loadGas(m.loaded, code.bytes)
		if f.Gas < price {
			return vm.Answer{Outcome: vm.OutOfGas}
		}
		f.Gas -= price
		m.loaded += code.bytes // bounded by the gas
		code.ran = m.number
	}
	f.State, f.World, f.Metering = &m.journal, m, code.version
	answer, err := m.run(f)
	if err != nil {
		m.fail(err)
		return vm.Answer{Outcome: vm.OutOfGas}
	}
	return answer
}

// fail ends the execution, for the first reason that there is.
func (m *machine) fail(err error) {
	if m.failure == nil {
		m.failure = err
	}
}

// loadGas is the price of loading some bytes after loaded others.
func loadGas(loaded, bytes uint64) uint64 {
	return loadByteGas * (max(loaded+bytes, freeLoadBytes) - max(loaded, freeLoadBytes))
}

// codeOf returns what there is to know about code that an account has; nil when the state does not know, as a state
// does that is pruned while a call reads it: then the execution has failed.
func (m *machine) codeOf(hash common.Hash) *knownCode {
	if code, ok := m.known[hash]; ok {
		return code
	}
	a, ok := m.activation(hash)
	if !ok {
		m.fail(fmt.Errorf("code %s of an account is not in the state", hash))
		return nil
	}
	code := &knownCode{version: meter.Version(a.Version), bytes: loadBytes + uint64(a.ModuleBytes)}
	m.known[hash] = code
	return code
}
