package exec

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
)

const (
	// unpackGas and checkByteGas for each byte of code are paid before it is decompressed, checkByteGas for each
	// byte of the module before that is checked: whether it is accepted or not. They are part of the activation's
	// price. The worst streams take 0.1 µs a byte, and their window of 4 MiB some 2 ms.
	unpackGas    = 100_000
	checkByteGas = 10
	// codeByteGas is for each byte of code that a creation stores (Yellow Paper G_codedeposit).
	codeByteGas = 200
	// contractNonce is the nonce of a new contract (EIP-161).
	contractNonce = 1
)

// Create implements [vm.World].
func (m *machine) Create(c vm.Create) (common.Address, vm.Answer) {
	creator := c.From.Contract
	nonce := m.account(creator).Nonce
	switch {
	case m.account(creator).Balance.Lt(&c.Value):
		return common.Address{}, vm.Answer{Outcome: vm.NoBalance, GasLeft: c.Gas}
	case nonce+1 == 0: // EIP-2681
		return common.Address{}, vm.Answer{Outcome: vm.Revert, GasLeft: c.Gas}
	}
	m.modify(creator).Nonce++ // stays when the creation fails
	kind, address := FrameCreate, crypto.CreateAddress(creator, nonce)
	if c.Salt != nil {
		kind, address = FrameCreate2, crypto.CreateAddress2(creator, *c.Salt, crypto.Keccak256(c.Code))
	}
	env := vm.Env{Block: &m.block, Origin: m.origin, Caller: creator, Value: c.Value, Depth: c.From.Depth + 1}
	return m.create(&env, kind, address, c.Code, c.Gas)
}

// create makes a contract from data, with env as its constructor will see it but for the address, and
// undoes everything but the warmth of the address unless that succeeds.
func (m *machine) create(env *vm.Env, kind FrameKind, address common.Address, data []byte, gas uint64) (common.Address, vm.Answer) {
	if m.tracer != nil {
		return m.traceCreate(env, kind, address, data, gas)
	}
	return m.found(env, address, data, gas)
}

// found is create without a trace.
func (m *machine) found(env *vm.Env, address common.Address, data []byte, gas uint64) (common.Address, vm.Answer) {
	m.warmAccount(address)
	if m.taken(address) {
		return common.Address{}, vm.Answer{Outcome: vm.Trapped}
	}
	before := m.snapshot()
	m.modify(address).Nonce = contractNonce
	if !env.Value.IsZero() && !m.transfer(env.Caller, address, &env.Value) {
		m.revert(before)
		return common.Address{}, vm.Answer{Outcome: vm.NoBalance, GasLeft: gas}
	}
	if m.transfers && !env.Value.IsZero() {
		m.moved(env.Caller, address, &env.Value)
	}
	env.Contract = address
	answer := m.construct(env, data, gas)
	if answer.Outcome != vm.Success {
		m.revert(before)
		return common.Address{}, answer
	}
	answer.Output = nil
	return address, answer
}

// taken reports whether there can be no contract at an address (EIP-684, EIP-7610: an account has storage only if it
// has, and always had, a nonce).
func (m *machine) taken(address common.Address) bool {
	a := m.account(address)
	return a.Nonce != 0 || a.CodeHash != (common.Hash{})
}

// construct activates the code in data, runs its constructor and gives the new account the code.
func (m *machine) construct(env *vm.Env, data []byte, gas uint64) vm.Answer {
	allowed, err := ledger.MayDeploy(m.state.Value(ledger.DeployersKey()), env.Origin)
	if err != nil {
		panic("exec: the state has a valid list of deployers: " + err.Error())
	}
	if !allowed {
		return refuse(env, fmt.Errorf("account %s may not create contracts on this network: "+
			"ask its operators to add it to the deployers", env.Origin), gas)
	}
	code, args, err := vm.ParseCreation(data)
	if err != nil {
		return refuse(env, err, gas)
	}
	hash, answer := m.activate(env, code, gas)
	if answer.Outcome != vm.Success {
		return answer
	}
	m.open = append(m.open, env.Contract)
	answer = m.frame(&vm.Frame{Env: *env, CodeHash: hash, Constructor: true, Input: args, Gas: answer.GasLeft})
	m.open = m.open[:len(m.open)-1]
	if answer.Outcome != vm.Success {
		return answer
	}
	deposit := uint64(len(code)) * codeByteGas // code has at most some 200 KiB
	if answer.GasLeft < deposit {
		return vm.Answer{Outcome: vm.OutOfGas}
	}
	answer.GasLeft -= deposit
	m.modify(env.Contract).CodeHash = hash // only now: a constructor's contract has no code for others
	return answer
}

// activate checks, compiles and stores code that the chain does not have yet.
func (m *machine) activate(env *vm.Env, code []byte, gas uint64) (common.Hash, vm.Answer) {
	hash := crypto.Keccak256Hash(code)
	if _, known := m.activation(hash); known {
		return hash, vm.Answer{GasLeft: gas}
	}
	check := unpackGas + uint64(len(code))*checkByteGas // code has at most vm.MaxCode bytes
	if gas < check {
		return hash, vm.Answer{Outcome: vm.OutOfGas}
	}
	wasm, err := vm.Wasm(code)
	if err != nil {
		return hash, refuse(env, err, gas-check)
	}
	check = max(check, uint64(len(wasm))*checkByteGas)
	if gas < check {
		return hash, vm.Answer{Outcome: vm.OutOfGas}
	}
	module, err := meter.Rewrite(wasm, meter.Current)
	if err != nil {
		return hash, refuse(env, err, gas-check)
	}
	price := max(check, module.ActivationGas)
	if gas < price {
		return hash, vm.Answer{Outcome: vm.OutOfGas}
	}
	var faulty *vm.CompileError
	switch err := m.worker.Prepare(code); {
	case errors.As(err, &faulty):
		return hash, refuse(env, err, gas-price)
	case err != nil:
		m.fail(err)
		return hash, vm.Answer{Outcome: vm.OutOfGas}
	}
	m.known[hash] = &knownCode{version: meter.Current, bytes: loadBytes + uint64(len(wasm)), ran: m.number}
	// The bytes may be in a contract's memory.
	m.addCode(ledger.Code{Hash: hash, Bytes: bytes.Clone(code)}, activationOf(module, len(wasm)))
	return hash, vm.Answer{GasLeft: gas - price}
}

// activationOf is what the chain keeps of an activation.
func activationOf(module *meter.Module, size int) ledger.Activation {
	return ledger.Activation{
		Version: uint16(meter.Current), Pages: uint16(module.Pages), ModuleBytes: uint32(size), Gas: module.ActivationGas,
	}
}

// errRefused is all that a contract learns of why what it creates is refused.
var errRefused = errors.New("the contract is refused: create it by a transaction of its own, whose error says why")

// refuse is the answer to a creation that is not possible: a revert that says why. What a contract reads is part
// of the chain, and the texts of other packages, which differ between versions and machines, MUST NOT be.
func refuse(env *vm.Env, cause error, gas uint64) vm.Answer {
	if env.Depth > 0 {
		cause = errRefused
	}
	return vm.Answer{Outcome: vm.Revert, Output: vm.Reason(cause.Error()), GasLeft: gas}
}
