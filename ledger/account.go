package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
)

// Account is what the state keeps about an address.
type Account struct {
	// Nonce is the number of executed transactions.
	Nonce uint64
	// Balance in wei.
	Balance uint256.Int
	// CodeHash is zero for an account without code.
	CodeHash common.Hash
}

// IsEmpty reports whether the account is empty in the sense of EIP-161; an empty account is absent
// from the state.
func (a *Account) IsEmpty() bool {
	return a.Nonce == 0 && a.Balance.IsZero() && a.CodeHash == common.Hash{}
}

const (
	plainAccountBytes = 8 + 32
	codeAccountBytes  = plainAccountBytes + 32
)

// AccountBytes is the length of [EncodeAccount].
func AccountBytes(a *Account) int {
	switch {
	case a.IsEmpty():
		return 0
	case a.CodeHash == common.Hash{}:
		return plainAccountBytes
	}
	return codeAccountBytes
}

// EncodeAccount is the stored value: be64 nonce ‖ be256 balance [‖ codeHash]. It is nil for an empty
// account, which is absent.
func EncodeAccount(a Account) []byte { return AppendAccount(nil, &a) }

// AppendAccount appends [EncodeAccount] of a to dst.
func AppendAccount(dst []byte, a *Account) []byte {
	if a.IsEmpty() {
		return dst
	}
	dst = binary.BigEndian.AppendUint64(dst, a.Nonce)
	balance := a.Balance.Bytes32()
	dst = append(dst, balance[:]...)
	if a.CodeHash != (common.Hash{}) {
		dst = append(dst, a.CodeHash[:]...)
	}
	return dst
}

// DecodeAccount reverses [EncodeAccount]; no bytes are the empty account. Other lengths and encodings
// of an empty account fail with [ErrInvalid].
func DecodeAccount(value []byte) (Account, error) {
	var a Account
	if len(value) == 0 {
		return a, nil
	}
	if len(value) != plainAccountBytes && len(value) != codeAccountBytes {
		return a, invalidf("account value of %d bytes", len(value))
	}
	a.Nonce = binary.BigEndian.Uint64(value)
	a.Balance.SetBytes32(value[8:plainAccountBytes])
	if len(value) == codeAccountBytes {
		a.CodeHash = common.Hash(value[plainAccountBytes:])
		if a.CodeHash == (common.Hash{}) {
			return Account{}, invalidf("account value with a zero code hash")
		}
	}
	if a.IsEmpty() {
		return Account{}, invalidf("account value of an empty account")
	}
	return a, nil
}

// The first byte of a raw key says what it names.
const (
	accountPrefix = 'a'
	storagePrefix = 's'
	codePrefix    = 'c'
	systemPrefix  = 'y'
)

// AccountKeyLen is the length of an [AccountKey].
const AccountKeyLen = 1 + common.AddressLength

// AccountKey is the raw key of an account: 'a' ‖ address.
func AccountKey(a common.Address) []byte { return AppendAccountKey(nil, a) }

// AppendAccountKey appends [AccountKey] of a to dst.
func AppendAccountKey(dst []byte, a common.Address) []byte {
	return append(append(dst, accountPrefix), a[:]...)
}

// ParseAccountKey returns the address that a raw key names, if it is an [AccountKey].
func ParseAccountKey(key []byte) (common.Address, bool) {
	if len(key) != AccountKeyLen || key[0] != accountPrefix {
		return common.Address{}, false
	}
	return common.Address(key[1:]), true
}

// StorageKeyLen is the length of a [StorageKey].
const StorageKeyLen = 1 + common.AddressLength + common.HashLength

// StorageKey is the raw key of a contract's storage slot: 's' ‖ address ‖ slot.
func StorageKey(a common.Address, slot common.Hash) []byte { return AppendStorageKey(nil, a, slot) }

// AppendStorageKey appends [StorageKey] of a and slot to dst.
func AppendStorageKey(dst []byte, a common.Address, slot common.Hash) []byte {
	return append(append(append(dst, storagePrefix), a[:]...), slot[:]...)
}

// ParseStorageKey returns the slot that a raw key names, if it is a [StorageKey].
func ParseStorageKey(key []byte) (a common.Address, slot common.Hash, ok bool) {
	if len(key) != StorageKeyLen || key[0] != storagePrefix {
		return a, slot, false
	}
	return common.Address(key[1:]), common.Hash(key[1+common.AddressLength:]), true
}

// DecodeSlot reads the value of a storage slot: 32 bytes that are not all zero, because a slot of zero is
// absent from the state; no bytes are zero. Anything else fails with [ErrInvalid].
func DecodeSlot(value []byte) (common.Hash, error) {
	switch {
	case len(value) == 0:
		return common.Hash{}, nil
	case len(value) != common.HashLength:
		return common.Hash{}, invalidf("storage value of %d bytes", len(value))
	case common.Hash(value) == common.Hash{}:
		return common.Hash{}, invalidf("storage value of zero")
	}
	return common.Hash(value), nil
}

// CodeKey is the raw key of what the chain knows about a contract's code: 'c' ‖ codeHash. Its value is an
// [Activation].
func CodeKey(hash common.Hash) []byte { return append([]byte{codePrefix}, hash[:]...) }

// ParseCodeKey returns the code hash that a raw key names, if it is a [CodeKey].
func ParseCodeKey(key []byte) (common.Hash, bool) {
	if len(key) != 1+common.HashLength || key[0] != codePrefix {
		return common.Hash{}, false
	}
	return common.Hash(key[1:]), true
}

// SystemKey is the raw key of a value that the chain itself keeps: 'y' ‖ name.
func SystemKey(name string) []byte { return append([]byte{systemPrefix}, name...) }

// Path is where a raw key sits in the state commitment: its SHA-256.
func Path(rawKey []byte) [32]byte { return sha256.Sum256(rawKey) }

// Change is one update of the state. It owns nothing: Key and Value must not be modified.
type Change struct {
	// Path is [Path] of Key.
	Path [32]byte
	// Key is the raw key.
	Key []byte
	// Value is the new value, nil to delete; a value is never empty otherwise.
	Value []byte
}
