package sig

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// ErrKey says that a secret key does not parse. It never contains the input.
var ErrKey = errors.New("invalid secp256k1 secret key: want 32 bytes, not zero and below the group order")

// Key is a validator's secret. It signs, and it never shows itself: every way
// of printing or marshalling it gives the address. It is safe for concurrent
// use.
type Key struct {
	secret  *ecdsa.PrivateKey
	address common.Address
}

var (
	_ consensus.Signer = (*Key)(nil)
	_ slog.LogValuer   = (*Key)(nil)
	_ fmt.Formatter    = (*Key)(nil)
)

// GenerateKey draws a key from the system's randomness.
func GenerateKey() (*Key, error) {
	k, err := crypto.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	return newKey(k), nil
}

// ParseKeyBytes reads the 32 bytes of a secret, which it copies.
func ParseKeyBytes(b []byte) (*Key, error) {
	k, err := crypto.ToECDSA(b)
	if err != nil {
		return nil, ErrKey
	}
	return newKey(k), nil
}

func newKey(k *ecdsa.PrivateKey) *Key {
	return &Key{secret: k, address: crypto.PubkeyToAddress(k.PublicKey)}
}

// Address returns the address that signatures recover to.
func (k *Key) Address() common.Address { return k.address }

// Sign signs deterministically, in the one canonical form.
func (k *Key) Sign(digest common.Hash) consensus.Signature {
	b, err := crypto.Sign(digest[:], k.secret)
	if err != nil {
		panic("sig: a valid key does not sign a 32-byte digest: " + err.Error())
	}
	s := consensus.Signature(b)
	if err := canonical(&s); err != nil {
		panic("sig: signed in a form that would be refused: " + err.Error())
	}
	return s
}

// Secret returns the 32 bytes to store in a key file.
func (k *Key) Secret() []byte { return crypto.FromECDSA(k.secret) }

// String returns the address.
func (k *Key) String() string {
	if k == nil {
		return "Key(nil)"
	}
	return "Key(" + k.address.Hex() + ")"
}

// Format prints [Key.String] for every verb, %#v included.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue logs [Key.String].
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText marshals [Key.String], so that a JSON log does not look inside.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
