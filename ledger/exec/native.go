package exec

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// native is a contract that the chain itself provides. It has no code and no account.
type native struct {
	// price in gas, paid before run.
	price func(input []byte) uint64
	// run answers; a Revert gives the rest of the gas back, other failures take it. The input is as long as
	// the caller made it.
	run func(m *machine, input []byte) ([]byte, vm.Outcome)
}

// arbWasmAddress is where tools for Stylus contracts expect the activation contract.
const arbWasmAddress = 0x71

// natives by address; it is never modified.
var natives = map[uint16]*native{
	0x01:           {price: fixed(3_000), run: pure(ecrecover)},
	0x02:           {price: perWord(60, 12), run: pure(sha256Hash)},
	0x03:           {price: perWord(600, 120), run: pure(ripemd160Hash)},
	0x04:           {price: perWord(15, 3), run: pure(identity)},
	0x05:           {price: modexpPrice, run: pure(modexp)},
	0x06:           {price: fixed(150), run: pure(bn254Add)},            // EIP-1108
	0x07:           {price: fixed(6_000), run: pure(bn254ScalarMul)},    // EIP-1108
	0x08:           {price: bn254PairingPrice, run: pure(bn254Pairing)}, // EIP-1108
	0x09:           {price: blake2fPrice, run: pure(blake2f)},           // EIP-152
	arbWasmAddress: {price: fixed(arbWasmGas), run: arbWasm},
	0x100:          {price: fixed(6_900), run: pure(p256Verify)}, // EIP-7951
}

// editing is the native contract of development chains at [ledger.EditAddress]. Its work is not paid for: nobody
// else shares the chain.
var editing = native{price: fixed(0), run: edit}

// nativeOf returns the native contract at an address of the chain with a state, nil when there is none.
func nativeOf(state Reader, a common.Address) *native {
	if a == ledger.EditAddress() && len(state.Value(ledger.DevelopmentKey())) > 0 {
		return &editing
	}
	return nativeEverywhere(a)
}

// nativeEverywhere returns the native contract that every chain has at an address.
func nativeEverywhere(a common.Address) *native {
	for _, b := range a[:common.AddressLength-2] {
		if b != 0 {
			return nil
		}
	}
	return natives[uint16(a[common.AddressLength-2])<<8|uint16(a[common.AddressLength-1])]
}

// native runs a native contract.
func (m *machine) native(n *native, input []byte, gas uint64) vm.Answer {
	price := n.price(input)
	if gas < price {
		return vm.Answer{Outcome: vm.OutOfGas}
	}
	output, outcome := n.run(m, input)
	if outcome != vm.Success && outcome != vm.Revert {
		return vm.Answer{Outcome: outcome}
	}
	return vm.Answer{Outcome: outcome, Output: output, GasLeft: gas - price}
}

func fixed(gas uint64) func([]byte) uint64 {
	return func([]byte) uint64 { return gas }
}

// perWord is base and each of the input's words of 32 bytes; inputs fit into memory, so nothing overflows.
func perWord(base, word uint64) func([]byte) uint64 {
	return func(input []byte) uint64 { return base + word*((uint64(len(input))+31)/32) }
}

// pure adapts a precompiled contract, which knows its input only and has failed when it says false.
func pure(f func(input []byte) ([]byte, bool)) func(*machine, []byte) ([]byte, vm.Outcome) {
	return func(_ *machine, input []byte) ([]byte, vm.Outcome) {
		output, ok := f(input)
		if !ok {
			return nil, vm.Trapped
		}
		return output, vm.Success
	}
}
