package exec

import (
	"encoding/binary"
	"math/big"
)

// maxModexpBytes bounds each of the three numbers (EIP-7823).
const maxModexpBytes = 1024

// modexpSizes reads the lengths of base, exponent and modulus, false when one is too long.
func modexpSizes(input []byte) (base, exponent, modulus uint64, ok bool) {
	var sizes [3]uint64
	for i := range sizes {
		word := padded(input, uint64(32*i), 32)
		for _, b := range word[:24] {
			if b != 0 {
				return 0, 0, 0, false
			}
		}
		if sizes[i] = binary.BigEndian.Uint64(word[24:]); sizes[i] > maxModexpBytes {
			return 0, 0, 0, false
		}
	}
	return sizes[0], sizes[1], sizes[2], true
}

// modexpPrice is EIP-7883: by that of EIP-2565 powers of short numbers took 50 to 250 ns for a gas.
func modexpPrice(input []byte) uint64 {
	base, exponent, modulus, ok := modexpSizes(input)
	if !ok {
		return 0 // it fails
	}
	multiplication := uint64(16)
	if longest := max(base, modulus); longest > 32 {
		words := (longest + 7) / 8 // at most 128
		multiplication = 2 * words * words
	}
	head := new(big.Int).SetBytes(padded(input, 96+base, min(exponent, 32)))
	iterations := uint64(max(head.BitLen()-1, 0))
	if exponent > 32 {
		iterations += 16 * (exponent - 32)
	}
	return max(500, multiplication*max(iterations, 1))
}

// modexp is the precompiled contract of EIP-198.
func modexp(input []byte) ([]byte, bool) {
	baseSize, exponentSize, modulusSize, ok := modexpSizes(input)
	if !ok {
		return nil, false
	}
	base := new(big.Int).SetBytes(padded(input, 96, baseSize))
	exponent := new(big.Int).SetBytes(padded(input, 96+baseSize, exponentSize))
	modulus := new(big.Int).SetBytes(padded(input, 96+baseSize+exponentSize, modulusSize))
	out := make([]byte, modulusSize)
	if modulus.Sign() == 0 { // math/big takes that for no modulus
		return out, true
	}
	return base.Exp(base, exponent, modulus).FillBytes(out), true
}
