package ledger

import (
	"fmt"
	"math"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

// MaxTransactionBytes bounds one transaction: with its envelope it fits one gossip message of 1 MiB.
const MaxTransactionBytes = 1<<20 - 4<<10

// MaxInitCodeBytes bounds the data of a contract creation (EIP-3860): a module of 128 KiB, the most that a
// contract may have, uncompressed, 1 KiB for its frame and 64 KiB for the constructor's arguments.
const MaxInitCodeBytes = 193 << 10

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
	data      []byte // within raw
	access    []byte // within raw: the entries of the access list
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
		data:      f.data,
		access:    f.access,
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

// Data is the calldata, or what a creation is made of. It must not be modified.
func (t *Transaction) Data() []byte { return t.data }

// AccessList decodes the access list (EIP-2930), nil when there is none.
func (t *Transaction) AccessList() types.AccessList {
	if len(t.access) == 0 {
		return nil
	}
	var list types.AccessList
	for rest := t.access; len(rest) > 0; {
		var entry, address, keys []byte
		entry, rest = mustSplitList(rest)
		address, entry, err := rlp.SplitString(entry)
		if err != nil {
			panic("ledger: a decoded access list does not decode again: " + err.Error())
		}
		keys, _ = mustSplitList(entry)
		tuple := types.AccessTuple{Address: common.Address(address), StorageKeys: make([]common.Hash, len(keys)/accessKeyBytes)}
		for i := range tuple.StorageKeys {
			copy(tuple.StorageKeys[i][:], keys[i*accessKeyBytes+1:])
		}
		list = append(list, tuple)
	}
	return list
}

// mustSplitList splits a list off bytes that were checked when the transaction was decoded.
func mustSplitList(b []byte) (content, rest []byte) {
	content, rest, err := rlp.SplitList(b)
	if err != nil {
		panic("ledger: a decoded access list does not decode again: " + err.Error())
	}
	return content, rest
}

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
	case t.nonce == math.MaxUint64: // EIP-2681
		return DropNonceMax
	case t.tipTooBig:
		return DropTipAboveFeeCap
	case t.creation && len(t.data) > MaxInitCodeBytes:
		return DropInitCodeSize
	case t.gas < t.intrinsic:
		return DropIntrinsicGas
	}
	return 0
}

// Validate is [Transaction.Static] as an error with figures, nil when the transaction can be executed.
func (t *Transaction) Validate() error {
	switch reason := t.Static(); reason {
	case DropIntrinsicGas:
		return fmt.Errorf("%w: gas %d, minimum needed %d", ErrIntrinsicGas, t.gas, t.intrinsic)
	case DropInitCodeSize:
		return fmt.Errorf("%w: code size %d, limit %d", ErrMaxInitCodeSizeExceeded, len(t.data), MaxInitCodeBytes)
	default:
		return reason.Err()
	}
}
