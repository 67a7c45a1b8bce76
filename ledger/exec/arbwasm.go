package exec

import (
	"encoding/binary"
	"math"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
)

// arbWasmGas is for each call of the activation contract: what reading a cold slot costs.
const arbWasmGas = 2_100

// The methods and errors of the activation contract that tools for Stylus contracts use, by selector
// (ArbWasm in Arbitrum's documentation of precompiles).
const (
	activateProgram        = 0x58c780c2 // (address) returns (uint16 version, uint256 dataFee)
	stylusVersion          = 0xa996e0c2 // () returns (uint16)
	inkPrice               = 0xd1c17abc // () returns (uint32)
	codehashVersion        = 0xd70c0ca7 // (bytes32) returns (uint16)
	codehashAsmSize        = 0x4089267f // (bytes32) returns (uint32)
	programVersion         = 0xcc8f4e88 // (address) returns (uint16)
	programMemoryFootprint = 0xaef36be3 // (address) returns (uint16)
	programTimeLeft        = 0xc775a62a // (address) returns (uint64)

	programNotWasm      = 0x27f38212 // error ProgramNotWasm()
	programNotActivated = 0x6f809c4e // error ProgramNotActivated()
)

// arbWasm answers for the activation contract. Creations activate what they store, so that
// activateProgram has nothing left to do: it succeeds for what is active, for a fee of nothing, because
// tools send it after each deployment and take an error for a failure.
func arbWasm(m *machine, input []byte) ([]byte, vm.Outcome) {
	if len(input) < 4 {
		return nil, vm.Revert
	}
	selector, rest := binary.BigEndian.Uint32(input), input[4:]
	switch selector {
	case stylusVersion:
		return words(uint64(meter.Current)), vm.Success
	case inkPrice:
		return words(meter.InkPerGas), vm.Success
	}
	if len(rest) < common.HashLength {
		return nil, vm.Revert
	}
	hash, missing := common.Hash(rest), uint32(programNotActivated)
	switch selector {
	case codehashVersion, codehashAsmSize:
	case activateProgram, programVersion, programMemoryFootprint, programTimeLeft:
		hash = m.account(common.Address(rest[12:])).CodeHash
		if selector == activateProgram {
			missing = programNotWasm
		}
	default:
		return nil, vm.Revert
	}
	a, active := m.activation(hash)
	if !active {
		return binary.BigEndian.AppendUint32(nil, missing), vm.Revert
	}
	return arbWasmAnswer(selector, &a), vm.Success
}

// arbWasmAnswer is what a method says about code.
func arbWasmAnswer(selector uint32, a *ledger.Activation) []byte {
	switch selector {
	case activateProgram:
		return words(uint64(a.Version), 0)
	case codehashAsmSize: // of the module: what it is compiled to differs between machines
		return words(uint64(a.ModuleBytes))
	case programMemoryFootprint:
		return words(uint64(a.Pages))
	case programTimeLeft: // nothing expires
		return words(math.MaxUint64)
	default:
		return words(uint64(a.Version))
	}
}

// words encodes numbers as words of the ABI.
func words(values ...uint64) []byte {
	out := make([]byte, 0, 32*len(values))
	for _, v := range values {
		out = binary.BigEndian.AppendUint64(append(out, make([]byte, 24)...), v)
	}
	return out
}
