package sig

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// ErrSignature says that a signature is not one that [Key.Sign] makes, or that
// no key can have made it.
var ErrSignature = errors.New("invalid signature")

// Secp256k1 recovers signers. It has no state.
type Secp256k1 struct{}

var _ consensus.Scheme = Secp256k1{}

// Recover returns the signer's address. It refuses, with [ErrSignature], every
// form of a signature but the canonical one: v > 1, r or s that is zero or not
// below the group order, s in the upper half, r that is no point's coordinate.
func (Secp256k1) Recover(digest common.Hash, s *consensus.Signature) (common.Address, error) {
	if err := canonical(s); err != nil {
		return common.Address{}, err
	}
	pub, err := crypto.Ecrecover(digest[:], s[:])
	if err != nil {
		return common.Address{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return common.BytesToAddress(crypto.Keccak256(pub[1:])[12:]), nil
}

// canonical compares big-endian bytes: no big.Int per vote.
func canonical(s *consensus.Signature) error {
	var zero [32]byte
	r, low, v := s[:32], s[32:64], s[64]
	switch {
	case v > 1:
		return fmt.Errorf("%w: v is %d", ErrSignature, v)
	case bytes.Equal(r, zero[:]) || string(r) >= groupOrder:
		return fmt.Errorf("%w: r is out of range", ErrSignature)
	case bytes.Equal(low, zero[:]):
		return fmt.Errorf("%w: s is zero", ErrSignature)
	case string(low) > halfOrder:
		return fmt.Errorf("%w: s is in the upper half", ErrSignature)
	}
	return nil
}

var (
	groupOrder = unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	halfOrder  = unhex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
)

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("sig: a constant is not hexadecimal: " + s)
	}
	return string(b)
}
