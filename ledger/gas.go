package ledger

import (
	"bytes"
	"math"
	"math/bits"

	"github.com/ethereum/go-ethereum/core/types"
)

// Intrinsic gas, in gas. The figures are written down here rather than taken from go-ethereum's params,
// because an update of a dependency must never change what blocks are valid.
const (
	txGas               = 21_000 // Yellow Paper G_transaction
	creationGas         = 53_000 // EIP-2
	zeroByteGas         = 4      // Yellow Paper G_txdatazero
	nonZeroByteGas      = 16     // EIP-2028
	accessAddressGas    = 2_400  // EIP-2930
	accessStorageKeyGas = 1_900  // EIP-2930
	initCodeWordGas     = 2      // EIP-3860
)

// IntrinsicGas is what a transaction uses before anything of it is executed, by the rules of Shanghai
// (without the floor of EIP-7623). It saturates at the largest uint64, which no gas limit reaches.
func IntrinsicGas(data []byte, accessList types.AccessList, creation bool) uint64 {
	slots := accessCount{addresses: uint64(len(accessList)), keys: uint64(accessList.StorageKeys())}
	return intrinsicGas(data, slots, creation)
}

func intrinsicGas(data []byte, slots accessCount, creation bool) uint64 {
	gas := uint64(txGas)
	if creation {
		gas = creationGas
	}
	zeros := uint64(bytes.Count(data, []byte{0}))
	size := uint64(len(data))
	gas = addMul(gas, zeros, zeroByteGas)
	gas = addMul(gas, size-zeros, nonZeroByteGas)
	if creation {
		gas = addMul(gas, size/32+min(size%32, 1), initCodeWordGas)
	}
	return addMul(addMul(gas, slots.addresses, accessAddressGas), slots.keys, accessStorageKeyGas)
}

// addMul is sum + n·each, saturating.
func addMul(sum, n, each uint64) uint64 {
	hi, product := bits.Mul64(n, each)
	total, carry := bits.Add64(sum, product, 0)
	if hi != 0 || carry != 0 {
		return math.MaxUint64
	}
	return total
}
