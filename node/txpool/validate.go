package txpool

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

// Why a transaction does not enter, besides the sentinels of ledger. The texts are go-ethereum's.
var (
	// ErrAlreadyKnown is for a transaction that the pool holds.
	ErrAlreadyKnown = errors.New("already known")
	// ErrReplaceUnderpriced is for a second transaction with the same nonce that does not offer 10 % more.
	ErrReplaceUnderpriced = errors.New("replacement transaction underpriced")
	// ErrInsufficientFunds is for a value above the sender's balance. Gas costs nothing.
	ErrInsufficientFunds = errors.New("insufficient funds for gas * price + value")
	// ErrGasLimit is for a transaction that fits in no block.
	ErrGasLimit = errors.New("exceeds block gas limit")
	// ErrFull is for a pool at its limit: try again later.
	ErrFull = errors.New("txpool is full")
	// ErrAccountLimit is for a sender at its limit.
	ErrAccountLimit = errors.New("account limit exceeded")
)

// validateStatic checks what does not depend on the state.
func (p *Pool) validateStatic(tx *ledger.Transaction) error {
	g := p.cfg.Genesis
	if limits := g.Limits(); tx.Size() > limits.Bytes {
		return fmt.Errorf("%w: transaction size %d, limit %d", ledger.ErrOversizedData, tx.Size(), limits.Bytes)
	}
	if tx.Gas() > g.BlockGasLimit {
		return ErrGasLimit
	}
	if tx.Gas() > g.TxGasCap {
		return fmt.Errorf("%w (cap: %d, tx: %d)", ledger.ErrGasLimitTooHigh, g.TxGasCap, tx.Gas())
	}
	return tx.Validate()
}

// validateState checks the transaction against the account.
func (p *Pool) validateState(tx *ledger.Transaction, s *sender, account *ledger.Account) error {
	// The sender's nonce is the one of the last block that the pool was told about, the account's may
	// already be newer: what that block executed stays in the pool until then.
	if next := max(s.nonce, account.Nonce); tx.Nonce() < next {
		return fmt.Errorf("%w: next nonce %d, tx nonce %d", ledger.ErrNonceTooLow, next, tx.Nonce())
	}
	if tx.Nonce()-s.nonce > uint64(s.pending)+p.cfg.MaxGap {
		return fmt.Errorf("%w: tx nonce %d, gapped nonce %d", ledger.ErrNonceTooHigh, tx.Nonce(), s.next())
	}
	if value := tx.Value(); value.Gt(&account.Balance) {
		short := new(uint256.Int).Sub(value, &account.Balance)
		return fmt.Errorf("%w: balance %s, tx cost %s, overshot %s",
			ErrInsufficientFunds, account.Balance.Dec(), value.Dec(), short.Dec())
	}
	return nil
}

// priceBump is by how many percent a replacement must raise both fees.
const priceBump = 10

// outbids reports whether tx may replace old.
func outbids(tx, old *ledger.Transaction) bool {
	have, want := tx.Inner(), old.Inner()
	return bumped(have.GasFeeCap(), want.GasFeeCap()) && bumped(have.GasTipCap(), want.GasTipCap())
}

// bumped reports whether fee is above old and at least 110 % of it, rounded down.
func bumped(fee, old *big.Int) bool {
	threshold := new(big.Int).Mul(old, big.NewInt(100+priceBump))
	threshold.Div(threshold, big.NewInt(100))
	return fee.Cmp(old) > 0 && fee.Cmp(threshold) >= 0
}
