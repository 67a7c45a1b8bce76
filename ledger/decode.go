package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

// fields is a transaction taken apart without copying. Decoding by hand instead of through go-ethereum's
// type saves its big integers and the two re-encodings for the hashes: what is signed is a prefix of what
// arrived. A fuzz target holds the two equal.
type fields struct {
	list    []byte // what is left of the list's content
	start   []byte // the list's whole content
	err     error  // the first fault
	chainID []byte
	nonce   uint64
	tip     []byte
	feeCap  []byte
	gas     uint64
	to      []byte
	value   []byte
	data    []byte
	slots   accessCount
	access  []byte // the entries of the access list
	signed  []byte // the list's content before the signature
	v, r, s []byte
}

// accessCount is what an access list (EIP-2930) is charged for.
type accessCount struct{ addresses, keys uint64 }

// split takes a transaction of a type that is known to be 0, 1 or 2 apart. Everything has its one canonical
// form, which package rlp checks for strings and lists and integer for numbers.
func split(raw []byte, kind uint8) (*fields, error) {
	f := &fields{}
	if kind != types.LegacyTxType {
		if len(raw) < 2 {
			return nil, fmt.Errorf("typed transaction too short")
		}
		raw = raw[1:]
	}
	content, rest, err := rlp.SplitList(raw)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes follow it", len(rest))
	}
	f.list, f.start = content, content
	if kind != types.LegacyTxType {
		f.chainID = f.integer()
	}
	f.nonce = f.number()
	f.tip = f.integer()
	f.feeCap = f.tip
	if kind == types.DynamicFeeTxType {
		f.feeCap = f.integer()
	}
	f.gas = f.number()
	if f.to = f.bytes(); f.err == nil && len(f.to) != 0 && len(f.to) != common.AddressLength {
		f.err = fmt.Errorf("recipient of %d bytes", len(f.to))
	}
	f.value = f.integer()
	f.data = f.bytes()
	if kind != types.LegacyTxType {
		f.accessList()
	}
	f.signed = f.start[:len(f.start)-len(f.list)]
	f.v, f.r, f.s = f.integer(), f.integer(), f.integer()
	switch {
	case f.err != nil:
		return nil, f.err
	case len(f.list) != 0:
		return nil, fmt.Errorf("too many fields")
	case len(f.v) > 32 || len(f.r) > 32 || len(f.s) > 32 || len(f.chainID) > 32:
		return nil, fmt.Errorf("signature value or chain id of more than 256 bits")
	}
	return f, nil
}

func (f *fields) bytes() []byte {
	if f.err != nil {
		return nil
	}
	var b []byte
	b, f.list, f.err = rlp.SplitString(f.list)
	return b
}

// integer is the next number, big-endian without leading zeros.
func (f *fields) integer() []byte {
	b := f.bytes()
	if f.err == nil && len(b) > 0 && b[0] == 0 {
		f.err = rlp.ErrCanonInt
	}
	return b
}

func (f *fields) number() uint64 {
	b := f.integer()
	if f.err == nil && len(b) > 8 {
		f.err = fmt.Errorf("number of more than 64 bits")
	}
	if f.err != nil {
		return 0
	}
	return toUint64(b)
}

// toUint64 reads at most 8 bytes.
func toUint64(b []byte) uint64 {
	var full [8]byte
	copy(full[8-len(b):], b)
	return binary.BigEndian.Uint64(full[:])
}

// accessKeyBytes is the size of a storage key in an access list: the prefix of a string and 32 bytes.
const accessKeyBytes = 1 + common.HashLength

// accessList checks the shape of an access list and counts it.
func (f *fields) accessList() {
	if f.err != nil {
		return
	}
	var entries []byte
	entries, f.list, f.err = rlp.SplitList(f.list)
	f.access = entries
	for f.err == nil && len(entries) > 0 {
		var entry, address, keys []byte
		if entry, entries, f.err = rlp.SplitList(entries); f.err != nil {
			return
		}
		if address, entry, f.err = rlp.SplitString(entry); f.err != nil {
			return
		}
		if keys, entry, f.err = rlp.SplitList(entry); f.err != nil {
			return
		}
		if len(address) != common.AddressLength || len(entry) != 0 || len(keys)%accessKeyBytes != 0 {
			f.err = fmt.Errorf("access list entry of the wrong shape")
			return
		}
		for i := 0; i < len(keys); i += accessKeyBytes {
			if keys[i] != 0xa0 {
				f.err = fmt.Errorf("access list key that has not 32 bytes")
				return
			}
		}
		f.slots.addresses++
		f.slots.keys += uint64(len(keys) / accessKeyBytes)
	}
}

// parity checks the chain of the signature and returns its recovery id.
func (f *fields) parity(kind uint8, chainID uint64) (byte, error) {
	if kind != types.LegacyTxType {
		if len(f.chainID) > 8 || toUint64(f.chainID) != chainID {
			return 0, fmt.Errorf("%w: have %s want %d", ErrInvalidChainID, new(big.Int).SetBytes(f.chainID), chainID)
		}
		if len(f.v) > 1 || len(f.v) == 1 && f.v[0] != 1 {
			return 0, fmt.Errorf("%w: %w", ErrInvalidSender, types.ErrInvalidSig)
		}
		return byte(len(f.v)), nil
	}
	v := new(big.Int).SetBytes(f.v)
	if v.IsUint64() {
		switch v.Uint64() {
		case 0, 1, 27, 28:
			return 0, ErrUnprotected
		case 2*chainID + 35: // does not overflow: chain ids are at most 2^52
			return 0, nil
		case 2*chainID + 36:
			return 1, nil
		}
	}
	v.Sub(v, big.NewInt(35)).Rsh(v, 1)
	return 0, fmt.Errorf("%w: have %s want %d", ErrInvalidChainID, v, chainID)
}

// sigHash is what the sender signed.
func (f *fields) sigHash(kind uint8, chainID uint64) common.Hash {
	var tail []byte
	if kind == types.LegacyTxType {
		tail = append(rlp.AppendUint64(make([]byte, 0, 11), chainID), 0x80, 0x80) // EIP-155
	}
	size := len(f.signed) + len(tail)
	prefix := make([]byte, 0, 10)
	if kind != types.LegacyTxType {
		prefix = append(prefix, kind)
	}
	prefix = appendListHeader(prefix, size)
	return crypto.Keccak256Hash(prefix, f.signed, tail)
}

// appendListHeader appends the RLP prefix of a list with size bytes of content.
func appendListHeader(dst []byte, size int) []byte { return appendHeader(dst, 0xc0, size) }

// appendHeader appends the RLP prefix of size bytes of a kind, 0x80 for a string and 0xc0 for a list.
func appendHeader(dst []byte, kind byte, size int) []byte {
	if size < 56 {
		return append(dst, kind+byte(size))
	}
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], uint64(size))
	digits := bytes.TrimLeft(full[:], "\x00")
	return append(append(dst, kind+55+byte(len(digits))), digits...)
}

// sender recovers who signed.
func (f *fields) sender(kind uint8, chainID uint64, parity byte) (common.Address, error) {
	var sig [signatureBytes]byte
	copy(sig[32-len(f.r):], f.r)
	copy(sig[64-len(f.s):], f.s)
	sig[64] = parity
	if len(f.r) == 0 || len(f.s) == 0 || bytes.Compare(sig[32:64], halfOrder) > 0 {
		return common.Address{}, fmt.Errorf("%w: %w", ErrInvalidSender, types.ErrInvalidSig)
	}
	hash := f.sigHash(kind, chainID)
	key, err := crypto.Ecrecover(hash[:], sig[:])
	if err != nil {
		return common.Address{}, fmt.Errorf("%w: %w", ErrInvalidSender, err)
	}
	return common.Address(crypto.Keccak256(key[1:])[12:]), nil
}

// amounts checks that numbers have 256 bits and returns the value, and whether the tip exceeds the fee cap.
func (f *fields) amounts() (value uint256.Int, tipTooBig bool, err error) {
	switch {
	case len(f.feeCap) > 32:
		return value, false, ErrFeeCapVeryHigh
	case len(f.tip) > 32:
		return value, false, ErrTipVeryHigh
	case len(f.value) > 32:
		return value, false, fmt.Errorf("%w: value higher than 2^256-1", ErrInsufficientFunds)
	}
	value.SetBytes(f.value)
	var tip, feeCap uint256.Int
	return value, tip.SetBytes(f.tip).Gt(feeCap.SetBytes(f.feeCap)), nil
}
