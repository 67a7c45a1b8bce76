package ledger

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/core/types"
)

// ErrInvalid marks bytes or proofs that no honest peer sends; whoever sent them pays. Transactions have
// errors of their own, because wallets match the texts.
var ErrInvalid = errors.New("invalid")

// Why a transaction is refused. The texts are go-ethereum's, because clients match them; errors
// returned by this module wrap one of these and add the figures.
var (
	ErrUnprotected       = errors.New("only replay-protected (EIP-155) transactions allowed over RPC")
	ErrTxType            = fmt.Errorf("transaction type not valid: %w", types.ErrTxTypeNotSupported)
	ErrInvalidChainID    = types.ErrInvalidChainId
	ErrInvalidSender     = errors.New("invalid sender")
	ErrOversizedData     = errors.New("oversized data")
	ErrGasLimitTooHigh   = errors.New("transaction gas limit too high")
	ErrIntrinsicGas      = errors.New("intrinsic gas too low")
	ErrTipAboveFeeCap    = errors.New("max priority fee per gas higher than max fee per gas")
	ErrFeeCapVeryHigh    = errors.New("max fee per gas higher than 2^256-1")
	ErrTipVeryHigh       = errors.New("max priority fee per gas higher than 2^256-1")
	ErrNonceMax          = errors.New("nonce has max value")
	ErrNonceTooLow       = errors.New("nonce too low")
	ErrNonceTooHigh      = errors.New("nonce too high")
	ErrInsufficientFunds = errors.New("insufficient funds for transfer")
	ErrGasLimitReached   = errors.New("gas limit reached")
	ErrSenderNoEOA       = errors.New("sender not an eoa")
	// ErrMaxInitCodeSizeExceeded is for a creation with more than [MaxInitCodeBytes].
	ErrMaxInitCodeSizeExceeded = errors.New("max initcode size exceeded")
	// ErrCreation has no counterpart in go-ethereum: versions that had no contracts dropped creations.
	ErrCreation = errors.New("contract creation was not supported when the transaction was ordered: send it again")
	// ErrBalanceOverflow has no counterpart: the total supply of a valid genesis cannot overflow.
	ErrBalanceOverflow = errors.New("recipient balance exceeds 2^256-1")
	// ErrDuplicate is a transaction ordered again in the block that executed it.
	ErrDuplicate = errors.New("already known")
)

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w %w", ErrInvalid, fmt.Errorf(format, args...))
}
