package ledger

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
)

// Code is a contract's code as it was deployed. It must not be modified.
type Code struct {
	// Hash is keccak256 of Bytes, which [Account.CodeHash] refers to.
	Hash  common.Hash
	Bytes []byte
}

// Activation is what the chain fixed when code was first deployed, under [CodeKey]. The rules of metering
// may get new versions, but code runs for ever under the version that it was activated with.
type Activation struct {
	// Version of the metering rules and of the gas table, at least 1.
	Version uint16
	// Pages of 64 KiB that the module's memory begins with.
	Pages uint16
	// ModuleBytes is the size of the WebAssembly module, decompressed, at least 1.
	ModuleBytes uint32
	// Gas is what the activation cost, in gas.
	Gas uint64
}

const activationBytes = 2 + 2 + 4 + 8

// EncodeActivation is the stored value: be16 version ‖ be16 pages ‖ be32 module bytes ‖ be64 gas.
func EncodeActivation(a Activation) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, activationBytes), a.Version)
	b = binary.BigEndian.AppendUint16(b, a.Pages)
	b = binary.BigEndian.AppendUint32(b, a.ModuleBytes)
	return binary.BigEndian.AppendUint64(b, a.Gas)
}

// DecodeActivation reverses [EncodeActivation] or fails with [ErrInvalid].
func DecodeActivation(value []byte) (Activation, error) {
	if len(value) != activationBytes {
		return Activation{}, invalidf("activation of %d bytes", len(value))
	}
	a := Activation{
		Version: binary.BigEndian.Uint16(value), Pages: binary.BigEndian.Uint16(value[2:]),
		ModuleBytes: binary.BigEndian.Uint32(value[4:]), Gas: binary.BigEndian.Uint64(value[8:]),
	}
	if a.Version == 0 || a.ModuleBytes == 0 {
		return Activation{}, invalidf("activation of version %d with a module of %d bytes", a.Version, a.ModuleBytes)
	}
	return a, nil
}
