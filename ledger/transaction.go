package ledger

import (
	"fmt"
	"math"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
)

// MaxTransactionBytes bounds one transaction: with its envelope it fits one gossip message of 1 MiB.
const MaxTransactionBytes = 1<<20 - 4<<10

// Limits bound a single transaction. [Genesis.Limits] makes the ones of a chain.
type Limits struct {
	// Bytes is the largest canonical encoding.
	Bytes int
	// Gas is the largest declared gas limit.
	Gas uint64
}

// Transaction is a signed transaction whose sender is known: only [DecodeTransaction] makes one, so that
// holding one proves its type, chain, signature, size and gas limit. It is immutable and safe for
// concurrent use.
type Transaction struct {
	hash      common.Hash
	from      common.Address
	to        common.Address
	creation  bool
	tipTooBig bool
	kind      uint8
	nonce     uint64
	gas       uint64
	intrinsic uint64
	value     uint256.Int
	raw       []byte
}

// DecodeTransaction decodes the canonical bytes of a legacy (EIP-155), EIP-2930 or EIP-1559 transaction
// and recovers its sender: some 40 µs, nearly all of it the recovery. It keeps raw, which must not be
// modified afterwards. Errors wrap the sentinels of this package. Whether the transaction can execute
// ([Transaction.Static], nonce, balance) is not decided here.
func DecodeTransaction(raw []byte, chainID uint64, limits Limits) (*Transaction, error) {
	if len(raw) > limits.Bytes {
		return nil, fmt.Errorf("%w: transaction size %d, limit %d", ErrOversizedData, len(raw), limits.Bytes)
	}
	kind := uint8(types.LegacyTxType)
	if len(raw) > 0 && raw[0] < 0x80 {
		if kind = raw[0]; kind != types.AccessListTxType && kind != types.DynamicFeeTxType {
			return nil, fmt.Errorf("%w: type %d, use 0, 1 or 2", ErrTxType, kind)
		}
	}
	f, err := split(raw, kind)
	if err != nil {
		return nil, invalidf("transaction: %w", err)
	}
	parity, err := f.parity(kind, chainID)
	if err != nil {
		return nil, err
	}
	if f.gas > limits.Gas {
		return nil, fmt.Errorf("%w (cap: %d, tx: %d)", ErrGasLimitTooHigh, limits.Gas, f.gas)
	}
	value, tipTooBig, err := f.amounts()
	if err != nil {
		return nil, err
	}
	from, err := f.sender(kind, chainID, parity)
	if err != nil {
		return nil, err
	}
	creation := len(f.to) == 0
	tx := &Transaction{
		hash:      crypto.Keccak256Hash(raw),
		from:      from,
		creation:  creation,
		tipTooBig: tipTooBig,
		kind:      kind,
		nonce:     f.nonce,
		gas:       f.gas,
		intrinsic: intrinsicGas(f.data, f.slots, creation),
		value:     value,
		raw:       raw,
	}
	copy(tx.to[:], f.to)
	return tx, nil
}

// Hash is keccak256 of the canonical bytes.
func (t *Transaction) Hash() common.Hash { return t.hash }

// From is the recovered sender.
func (t *Transaction) From() common.Address { return t.from }

// To is the recipient, nil for a contract creation. It must not be modified.
func (t *Transaction) To() *common.Address {
	if t.creation {
		return nil
	}
	return &t.to
}

// Nonce is the sender's transaction number.
func (t *Transaction) Nonce() uint64 { return t.nonce }

// Value is the amount in wei. It must not be modified.
func (t *Transaction) Value() *uint256.Int { return &t.value }

// Gas is the declared gas limit.
func (t *Transaction) Gas() uint64 { return t.gas }

// IntrinsicGas is [IntrinsicGas] of the transaction.
func (t *Transaction) IntrinsicGas() uint64 { return t.intrinsic }

// Type is 0, 1 or 2 (EIP-2718).
func (t *Transaction) Type() uint8 { return t.kind }

// Size is the length of the canonical bytes.
func (t *Transaction) Size() int { return len(t.raw) }

// Raw is the canonical encoding (MarshalBinary). It must not be modified.
func (t *Transaction) Raw() []byte { return t.raw }

// Inner decodes the transaction again as go-ethereum's type, for the fields that only answers to clients
// need: some 2 µs, so that a pool does not hold them all in memory.
func (t *Transaction) Inner() *types.Transaction {
	inner := new(types.Transaction)
	if err := inner.UnmarshalBinary(t.raw); err != nil {
		panic("ledger: a decoded transaction does not decode again: " + err.Error())
	}
	return inner
}

// Static says whether the transaction can never be executed on this chain whatever the state is; zero
// means that it can. A pool refuses such a transaction, a block that contains one drops it.
func (t *Transaction) Static() DropReason {
	switch {
	case t.creation:
		return DropCreation
	case t.nonce == math.MaxUint64: // EIP-2681
		return DropNonceMax
	case t.tipTooBig:
		return DropTipAboveFeeCap
	case t.gas < t.intrinsic:
		return DropIntrinsicGas
	}
	return 0
}

// Validate is [Transaction.Static] as an error with figures, nil when the transaction can be executed.
func (t *Transaction) Validate() error {
	reason := t.Static()
	if reason == DropIntrinsicGas {
		return fmt.Errorf("%w: gas %d, minimum needed %d", ErrIntrinsicGas, t.gas, t.intrinsic)
	}
	return reason.Err()
}
