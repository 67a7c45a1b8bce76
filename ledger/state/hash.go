package state

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
)

// Domain bytes of the two node kinds: neither preimage can be read as the other.
const (
	leafDomain  = 0x00
	innerDomain = 0x01
)

// leafHash is SHA256(0x00 ‖ path ‖ SHA256(value)).
func leafHash(path *[32]byte, value []byte) common.Hash {
	v := sha256.Sum256(value)
	var b [65]byte
	b[0] = leafDomain
	copy(b[1:33], path[:])
	copy(b[33:], v[:])
	return sha256.Sum256(b[:])
}

// innerHash is SHA256(0x01 ‖ left ‖ right).
func innerHash(left, right *common.Hash) common.Hash {
	var b [65]byte
	b[0] = innerDomain
	copy(b[1:33], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// prefix returns the first d bits of a path, d ≤ 32.
func prefix(path *[32]byte, d int) int {
	return int(uint64(binary.BigEndian.Uint32(path[:4])) >> (32 - d))
}

// bit returns bit d of a path, bit 0 being the most significant.
func bit(path *[32]byte, d int) byte {
	return path[d>>3] >> (7 - d&7) & 1
}

// commonBits is the length of the longest common prefix of two paths.
func commonBits(a, b *[32]byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 256
}
