package exec

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

// Reader is the parent's state. Implementations: ledger/state.State and the maps of tests and tools.
type Reader interface {
	// Account returns an account, the zero one where there is none.
	Account(common.Address) ledger.Account
}

// Result is what executing a block gave.
type Result struct {
	// Transactions are the executed ones in payload order; Receipts has one for each, complete except for
	// the block hash, which is not known before the header is sealed.
	Transactions []*ledger.Transaction
	Receipts     []*types.Receipt
	// Drops are the others, in payload order.
	Drops []ledger.Drop
	// Changes of the state, sorted by path; only accounts that differ from the parent's state.
	Changes []ledger.Change
	// GasUsed by the block, in gas.
	GasUsed uint64
}

// Execute runs txs, the transactions of o in payload order, on top of parent, whose state is state. It fails
// only if o does not follow parent or txs cannot be those of one block.
func Execute(
	g *ledger.Genesis, parent *types.Header, o *ledger.Ordered, txs []*ledger.Transaction, state Reader,
) (*Result, error) {
	if number := parent.Number.Uint64(); o.Height != number+1 {
		return nil, fmt.Errorf("executing block %d on top of %d: it must be the next one", o.Height, number)
	}
	if len(txs) > ledger.MaxBlockTransactions {
		return nil, fmt.Errorf("executing block %d: %d transactions, limit %d", o.Height, len(txs), ledger.MaxBlockTransactions)
	}
	b := newBlock(state, len(txs))
	res := &Result{Transactions: make([]*ledger.Transaction, 0, len(txs))}
	for i, tx := range txs {
		if reason := b.apply(tx, g.BlockGasLimit-res.GasUsed); reason != 0 {
			if reason == ledger.DropNonceTooLow && b.executedNow(tx, res.Transactions) {
				reason = ledger.DropDuplicate
			}
			res.Drops = append(res.Drops, ledger.Drop{Index: uint32(i), Hash: tx.Hash(), Reason: reason})
			continue
		}
		res.GasUsed += tx.IntrinsicGas() // at most the block gas limit, which apply checked
		res.Transactions = append(res.Transactions, tx)
	}
	res.Receipts = receipts(o.Height, res.Transactions)
	res.Changes = b.changes()
	return res, nil
}

// apply executes one transaction or, changing nothing, says why it does not fit. gasLeft is what the block
// has left. The order of the checks is go-ethereum's, after those that need no state.
func (b *block) apply(tx *ledger.Transaction, gasLeft uint64) ledger.DropReason {
	if reason := tx.Static(); reason != 0 {
		return reason
	}
	from := b.load(tx.From())
	sender, value := &b.touched[from], tx.Value()
	switch {
	case tx.Nonce() < sender.account.Nonce:
		return ledger.DropNonceTooLow
	case tx.Nonce() > sender.account.Nonce:
		return ledger.DropNonceTooHigh
	case sender.account.CodeHash != common.Hash{}: // EIP-3607
		return ledger.DropSenderNoEOA
	case tx.Gas() > gasLeft:
		return ledger.DropBlockGas
	case sender.account.Balance.Lt(value):
		return ledger.DropInsufficientFunds
	}
	// A transfer of nothing does not even touch the recipient: that would create no account (EIP-161).
	if !value.IsZero() && *tx.To() != tx.From() {
		to := b.load(*tx.To())
		recipient := &b.touched[to]
		sender = &b.touched[from] // load may have moved it
		var sum uint256.Int
		if _, overflow := sum.AddOverflow(&recipient.account.Balance, value); overflow {
			return ledger.DropBalanceOverflow
		}
		recipient.account.Balance = sum
		recipient.changed = true
		sender.account.Balance.Sub(&sender.account.Balance, value)
	}
	sender.account.Nonce++ // below 2^64-1: Static refuses the last nonce
	sender.changed = true
	return 0
}

// receipts of the executed transactions: status 1, no logs and hence an empty bloom.
func receipts(height uint64, txs []*ledger.Transaction) []*types.Receipt {
	number := new(big.Int).SetUint64(height)
	slab := make([]struct {
		receipt types.Receipt
		price   big.Int
	}, len(txs))
	out := make([]*types.Receipt, len(txs))
	cumulative := uint64(0)
	for i, tx := range txs {
		cumulative += tx.IntrinsicGas()
		r := &slab[i].receipt
		r.Type = tx.Type()
		r.Status = types.ReceiptStatusSuccessful
		r.CumulativeGasUsed = cumulative
		r.Logs = []*types.Log{}
		r.TxHash = tx.Hash()
		r.GasUsed = tx.IntrinsicGas()
		r.EffectiveGasPrice = &slab[i].price
		r.BlockNumber = number
		r.TransactionIndex = uint(i)
		out[i] = r
	}
	return out
}
