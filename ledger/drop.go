package ledger

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
)

// Drop says that an ordered transaction was not executed: it has no receipt and no place in the block.
type Drop struct {
	// Index is the position in the ordered payload.
	Index uint32
	// Hash of the transaction.
	Hash common.Hash
	// Reason is why.
	Reason DropReason
}

// DropReason says why an ordered transaction was not executed. The numbers are stored: they never change.
type DropReason uint8

// The reasons; the zero DropReason is invalid.
const (
	DropNonceTooLow       DropReason = 1
	DropNonceTooHigh      DropReason = 2
	DropInsufficientFunds DropReason = 3
	DropIntrinsicGas      DropReason = 4
	DropBlockGas          DropReason = 5
	DropTipAboveFeeCap    DropReason = 6
	DropNonceMax          DropReason = 7
	DropSenderNoEOA       DropReason = 8
	DropCreation          DropReason = 9 // only in blocks of versions that had no contracts
	DropBalanceOverflow   DropReason = 10
	DropDuplicate         DropReason = 11
	DropInitCodeSize      DropReason = 12
)

// dropErrors maps reasons to errors; it is never modified.
var dropErrors = [...]error{
	DropNonceTooLow:       ErrNonceTooLow,
	DropNonceTooHigh:      ErrNonceTooHigh,
	DropInsufficientFunds: ErrInsufficientFunds,
	DropIntrinsicGas:      ErrIntrinsicGas,
	DropBlockGas:          ErrGasLimitReached,
	DropTipAboveFeeCap:    ErrTipAboveFeeCap,
	DropNonceMax:          ErrNonceMax,
	DropSenderNoEOA:       ErrSenderNoEOA,
	DropCreation:          ErrCreation,
	DropBalanceOverflow:   ErrBalanceOverflow,
	DropDuplicate:         ErrDuplicate,
	DropInitCodeSize:      ErrMaxInitCodeSizeExceeded,
}

// Valid reports whether r is one of the reasons.
func (r DropReason) Valid() bool { return r > 0 && int(r) < len(dropErrors) }

// Retry reports whether the transaction may execute later and stays in the pools that hold it: a nonce
// gap can close. Anything else is evicted.
func (r DropReason) Retry() bool { return r == DropNonceTooHigh }

// Err is the sentinel error that a pool returns for the same reason; nil for an invalid reason.
func (r DropReason) Err() error {
	if !r.Valid() {
		return nil
	}
	return dropErrors[r]
}

func (r DropReason) String() string {
	if !r.Valid() {
		return fmt.Sprintf("DropReason(%d)", uint8(r))
	}
	return dropErrors[r].Error()
}
