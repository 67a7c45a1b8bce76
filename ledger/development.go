package ledger

import (
	"crypto/ecdsa"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// developmentKey names the system key that marks a development chain.
const developmentKey = "development"

// DevelopmentKey is the raw key that has a value on a development chain and on no other.
func DevelopmentKey() []byte { return SystemKey(developmentKey) }

// EditAddress is the native contract of development chains that edits the state: transactions of
// [EditorAddress] carry [EncodeEdits] to it. On any other chain it is an ordinary account.
func EditAddress() common.Address {
	return common.HexToAddress("0x7e3ce700000000000000000000000000000ed175")
}

// EditorAddress is the account that edits the state of development chains.
func EditorAddress() common.Address {
	return common.HexToAddress("0x84f8Ab3C724b9DafF0A5105AEC8847CfDCfE71EC")
}

// EditorKey is the key of [EditorAddress]. It is public, like everything about a development chain.
func EditorKey() (*ecdsa.PrivateKey, error) {
	return crypto.ToECDSA(crypto.Keccak256([]byte("tercet development editor")))
}

// EditKind says what of an account an [Edit] replaces. The numbers are part of transactions.
type EditKind uint8

// The kinds of edits.
const (
	EditBalance EditKind = 1
	EditNonce   EditKind = 2
	EditCode    EditKind = 3
	EditStorage EditKind = 4
)

// Edit replaces one thing in the state of a development chain.
type Edit struct {
	Kind    EditKind
	Account common.Address
	// Slot is the one that EditStorage writes; zero otherwise.
	Slot common.Hash
	// Value is a big-endian number without leading zeros (a balance of up to 32 bytes, a nonce of up to 8, the
	// content of a slot of up to 32) or code, as a chain stores it or as a creation without arguments
	// would carry it.
	Value []byte
}

// maxEdits bounds the edits of one transaction; each costs the work of a slot or an account.
const maxEdits = 1024

// EncodeEdits is RLP([[kind, account, slot, value], …]).
func EncodeEdits(edits []Edit) []byte { return mustEncode(edits) }

// DecodeEdits reverses [EncodeEdits] or fails with [ErrInvalid].
func DecodeEdits(data []byte) ([]Edit, error) {
	var edits []Edit
	if err := rlp.DecodeBytes(data, &edits); err != nil {
		return nil, invalidf("edits: %v", err)
	}
	if len(edits) == 0 || len(edits) > maxEdits {
		return nil, invalidf("%d edits, want 1 to %d", len(edits), maxEdits)
	}
	for i := range edits {
		if err := edits[i].check(); err != nil {
			return nil, err
		}
	}
	return edits, nil
}

// check refuses edits that have more than one encoding, and those that no state can have.
func (e *Edit) check() error {
	most := common.HashLength
	switch e.Kind {
	case EditBalance, EditStorage:
	case EditNonce:
		most = 8
	case EditCode:
		most = MaxTransactionBytes
	default:
		return invalidf("edit of the unknown kind %d", e.Kind)
	}
	switch {
	case len(e.Value) > most:
		return invalidf("edit of kind %d with a value of %d bytes", e.Kind, len(e.Value))
	case e.Kind != EditCode && len(e.Value) > 0 && e.Value[0] == 0:
		return invalidf("edit of kind %d with leading zeros", e.Kind)
	case e.Kind != EditStorage && e.Slot != common.Hash{}:
		return invalidf("edit of kind %d with a slot", e.Kind)
	}
	return nil
}
