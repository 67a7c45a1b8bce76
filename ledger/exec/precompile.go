package exec

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/blake2b"
	"github.com/ethereum/go-ethereum/crypto/bn256"
	"github.com/ethereum/go-ethereum/crypto/secp256r1"
	"golang.org/x/crypto/ripemd160" //nolint:gosec,staticcheck // precompiled contract 3 is this hash
)

// padded returns size bytes of input from offset on, with zeros for what is missing. The result is a copy
// only when something is.
func padded(input []byte, offset, size uint64) []byte {
	start := min(offset, uint64(len(input)))
	input = input[start:min(start+size, uint64(len(input)))]
	if uint64(len(input)) == size {
		return input
	}
	return append(slices.Clip(input), make([]byte, size-uint64(len(input)))...)
}

// ecrecover answers with the address that signed, and with nothing for what is not a signature.
func ecrecover(input []byte) ([]byte, bool) {
	input = padded(input, 0, 128)
	r, s := new(big.Int).SetBytes(input[64:96]), new(big.Int).SetBytes(input[96:128])
	v := new(big.Int).SetBytes(input[32:64])
	if !v.IsUint64() || v.Uint64() != 27 && v.Uint64() != 28 {
		return nil, true
	}
	parity := byte(v.Uint64() - 27)
	if !crypto.ValidateSignatureValues(parity, r, s, false) {
		return nil, true
	}
	var sig [65]byte
	copy(sig[:], input[64:128])
	sig[64] = parity
	key, err := crypto.Ecrecover(input[:32], sig[:])
	if err != nil {
		return nil, true
	}
	return common.LeftPadBytes(crypto.Keccak256(key[1:])[12:], 32), true
}

func sha256Hash(input []byte) ([]byte, bool) {
	hash := sha256.Sum256(input)
	return hash[:], true
}

func ripemd160Hash(input []byte) ([]byte, bool) {
	hash := ripemd160.New() //nolint:gosec // as the import
	hash.Write(input)
	return common.LeftPadBytes(hash.Sum(nil), 32), true
}

// identity copies: the input belongs to the caller.
func identity(input []byte) ([]byte, bool) { return append([]byte(nil), input...), true }

const (
	pointBytes   = 64
	pairBytes    = 192
	blake2fBytes = 213
	p256Bytes    = 160
)

// bn254Add adds two points of the curve (EIP-196).
func bn254Add(input []byte) ([]byte, bool) {
	var a, b, sum bn256.G1
	if _, err := a.Unmarshal(padded(input, 0, pointBytes)); err != nil {
		return nil, false
	}
	if _, err := b.Unmarshal(padded(input, pointBytes, pointBytes)); err != nil {
		return nil, false
	}
	sum.Add(&a, &b)
	return sum.Marshal(), true
}

// bn254ScalarMul multiplies a point with a number (EIP-196).
func bn254ScalarMul(input []byte) ([]byte, bool) {
	var p, product bn256.G1
	if _, err := p.Unmarshal(padded(input, 0, pointBytes)); err != nil {
		return nil, false
	}
	product.ScalarMult(&p, new(big.Int).SetBytes(padded(input, pointBytes, 32)))
	return product.Marshal(), true
}

func bn254PairingPrice(input []byte) uint64 { return 45_000 + 34_000*uint64(len(input)/pairBytes) }

// bn254Pairing says whether a product of pairings is one (EIP-197).
func bn254Pairing(input []byte) ([]byte, bool) {
	if len(input)%pairBytes != 0 {
		return nil, false
	}
	var left []*bn256.G1
	var right []*bn256.G2
	for ; len(input) > 0; input = input[pairBytes:] {
		p, q := new(bn256.G1), new(bn256.G2)
		if _, err := p.Unmarshal(input[:pointBytes]); err != nil {
			return nil, false
		}
		if _, err := q.Unmarshal(input[pointBytes:pairBytes]); err != nil {
			return nil, false
		}
		left, right = append(left, p), append(right, q)
	}
	return truth(bn256.PairingCheck(left, right)), true
}

// truth is a boolean as a word.
func truth(yes bool) []byte {
	word := make([]byte, 32)
	if yes {
		word[31] = 1
	}
	return word
}

func blake2fPrice(input []byte) uint64 {
	if len(input) != blake2fBytes {
		return 0 // it fails
	}
	return uint64(binary.BigEndian.Uint32(input))
}

// blake2f is the compression function of BLAKE2b (EIP-152).
func blake2f(input []byte) ([]byte, bool) {
	if len(input) != blake2fBytes || input[blake2fBytes-1] > 1 {
		return nil, false
	}
	rounds := binary.BigEndian.Uint32(input)
	words := func(from []byte, to []uint64) {
		for i := range to {
			to[i] = binary.LittleEndian.Uint64(from[8*i:])
		}
	}
	var h [8]uint64
	var message [16]uint64
	var count [2]uint64
	words(input[4:], h[:])
	words(input[68:], message[:])
	words(input[196:], count[:])
	blake2b.F(&h, message, count, input[blake2fBytes-1] == 1, rounds)
	out := make([]byte, 0, 64)
	for _, w := range h {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out, true
}

// p256Verify answers with one for a valid signature of the curve P-256, and with nothing otherwise.
func p256Verify(input []byte) ([]byte, bool) {
	if len(input) != p256Bytes {
		return nil, true
	}
	number := func(i int) *big.Int { return new(big.Int).SetBytes(input[32*i : 32*(i+1)]) }
	if !secp256r1.Verify(input[:32], number(1), number(2), number(3), number(4)) {
		return nil, true
	}
	return truth(true), true
}
