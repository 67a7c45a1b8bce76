package exec

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// Reader is the parent's state. Implementations: node/pipeline's view of state, codes not yet written and
// store, [Overridden], and the maps of tests and tools.
type Reader interface {
	// Account returns an account, the zero one where there is none.
	Account(common.Address) ledger.Account
	// Storage returns the value of a contract's slot.
	Storage(contract common.Address, slot common.Hash) common.Hash
	// Value returns the value of any other raw key, nil where there is none. It must not be modified.
	Value(key []byte) []byte
	// Code returns code by its hash, nil where there is none. It must not be modified.
	Code(hash common.Hash) []byte
}

// Result is what executing a block gave.
type Result struct {
	// Transactions are the executed ones in payload order; Receipts has one for each, complete except for
	// the block hash, which is not known before the header is sealed.
	Transactions []*ledger.Transaction
	Receipts     []*types.Receipt
	// Drops are the others, in payload order.
	Drops []ledger.Drop
	// Changes of the state, sorted by path; only what differs from the parent's state.
	Changes []ledger.Change
	// Codes are the ones that the chain did not have, each once.
	Codes []ledger.Code
	// GasUsed by the block, in gas.
	GasUsed uint64
}

// Execute runs txs, the transactions of o in payload order, on top of parent, whose state is state. It fails
// only if o does not follow parent, txs cannot be those of one block, ctx ends, or the worker is broken; then
// there is no result. The worker is the caller's for the time of the call.
func Execute(
	ctx context.Context, w *vm.Worker, g *ledger.Genesis, parent *types.Header, o *ledger.Ordered,
	txs []*ledger.Transaction, state Reader,
) (*Result, error) {
	if number := parent.Number.Uint64(); o.Height != number+1 {
		return nil, fmt.Errorf("executing block %d on top of %d: it must be the next one", o.Height, number)
	}
	if len(txs) > ledger.MaxBlockTransactions {
		return nil, fmt.Errorf("executing block %d: %d transactions, limit %d", o.Height, len(txs), ledger.MaxBlockTransactions)
	}
	b := newBlock(newMachine(ctx, w, blockOf(g, parent, o), state, len(txs)), len(txs))
	res := &Result{}
	for i, tx := range txs {
		reason := b.apply(tx)
		if b.failure != nil {
			return nil, fmt.Errorf("executing block %d, transaction %s: %w", o.Height, tx.Hash(), b.failure)
		}
		if reason != 0 {
			if reason == ledger.DropNonceTooLow && b.executedNow(tx) {
				reason = ledger.DropDuplicate
			}
			res.Drops = append(res.Drops, ledger.Drop{Index: uint32(i), Hash: tx.Hash(), Reason: reason})
		}
	}
	res.Transactions, res.Receipts, res.GasUsed = b.transactions, b.receipts, b.gasUsed
	res.Changes, res.Codes = b.changes(), b.newCodes()
	return res, nil
}

// blockOf is what contracts see of the block o.
func blockOf(g *ledger.Genesis, parent *types.Header, o *ledger.Ordered) vm.Block {
	return vm.Block{
		ChainID: g.ChainID, Number: o.Height, Time: max(o.TimeMs/1000, parent.Time), // as the sealed header
		GasLimit: g.BlockGasLimit, Coinbase: o.Proposer,
	}
}

// block executes the transactions of one block.
type block struct {
	machine
	gasUsed      uint64
	transactions []*ledger.Transaction
	receipts     []*types.Receipt
	slab         []slabReceipt // of which receipts are made
	number       *big.Int
	// executed hashes; nil until the first drop asks for them.
	executed map[common.Hash]struct{}
	counted  int // how many executed transactions are in executed
}

// slabReceipt is a receipt with its price, in one allocation for all.
type slabReceipt struct {
	receipt types.Receipt
	price   big.Int
}

func newBlock(m machine, txs int) *block {
	return &block{
		machine: m, transactions: make([]*ledger.Transaction, 0, txs), receipts: make([]*types.Receipt, 0, txs),
		slab: make([]slabReceipt, txs), number: new(big.Int).SetUint64(m.block.Number),
	}
}

// apply executes one transaction or, changing nothing, says why it does not fit. The order of the checks is
// go-ethereum's, after those that need no state.
func (b *block) apply(tx *ledger.Transaction) ledger.DropReason {
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
	case tx.Gas() > b.block.GasLimit-b.gasUsed:
		return ledger.DropBlockGas
	case sender.account.Balance.Lt(value):
		return ledger.DropInsufficientFunds
	}
	if tx.To() == nil {
		b.execute(tx, from)
		return 0
	}
	to := b.load(*tx.To())
	recipient := &b.touched[to]
	sender = &b.touched[from] // load may have moved it
	var sum uint256.Int
	if _, overflow := sum.AddOverflow(&recipient.account.Balance, value); overflow && to != from {
		return ledger.DropBalanceOverflow
	}
	if recipient.account.CodeHash != (common.Hash{}) || nativeOf(b.state, *tx.To()) != nil || b.tracer != nil {
		b.execute(tx, from)
		return 0
	}
	// A transfer of nothing does not create the recipient (EIP-161).
	if to != from && !value.IsZero() {
		recipient.account.Balance = sum
		recipient.changed = true
		sender.account.Balance.Sub(&sender.account.Balance, value)
	}
	sender.account.Nonce++ // below 2^64-1: Static refuses the last nonce
	sender.changed = true
	b.receipt(tx, tx.IntrinsicGas(), types.ReceiptStatusSuccessful)
	return 0
}

// execute executes a transaction that runs code. Whatever the code does, the sender's nonce is used.
func (b *block) execute(tx *ledger.Transaction, from int32) {
	sender := &b.touched[from]
	sender.account.Nonce++ // as in apply
	sender.changed = true
	_, answer := b.message(&message{
		from: tx.From(), to: tx.To(), nonce: tx.Nonce(), value: tx.Value(), data: tx.Data(),
		gas: tx.Gas() - tx.IntrinsicGas(), accessList: tx.AccessList(),
	})
	if b.tracer != nil {
		b.settle(tx.Gas(), tx.Gas()-answer.GasLeft)
	}
	if b.failure != nil {
		return
	}
	status := types.ReceiptStatusFailed
	if answer.Outcome == vm.Success {
		status = types.ReceiptStatusSuccessful
	}
	r := b.receipt(tx, tx.Gas()-answer.GasLeft, status)
	if tx.To() == nil { // as in go-ethereum also where the creation failed
		r.ContractAddress = crypto.CreateAddress(tx.From(), tx.Nonce())
	}
	if len(b.logs) > 0 {
		r.Logs = b.logs
		for _, l := range r.Logs {
			l.BlockNumber, l.BlockTimestamp = b.block.Number, b.block.Time
			l.TxHash, l.TxIndex, l.Index = r.TxHash, r.TransactionIndex, b.firstLog
			b.firstLog++
		}
		r.Bloom = types.CreateBloom(r)
	}
}

// receipt adds an executed transaction.
func (b *block) receipt(tx *ledger.Transaction, gasUsed, status uint64) *types.Receipt {
	i := len(b.receipts)
	b.gasUsed += gasUsed // at most the block gas limit, which apply checked
	s := &b.slab[i]
	r := &s.receipt
	r.Type = tx.Type()
	r.Status = status
	r.CumulativeGasUsed = b.gasUsed
	r.Logs = []*types.Log{}
	r.TxHash = tx.Hash()
	r.GasUsed = gasUsed
	r.EffectiveGasPrice = &s.price
	r.BlockNumber = b.number
	r.TransactionIndex = uint(i)
	b.transactions, b.receipts = append(b.transactions, tx), append(b.receipts, r)
	return r
}

// executedNow reports whether tx was executed in this block. The set is made at the first drop that needs it:
// honest blocks have none.
func (b *block) executedNow(tx *ledger.Transaction) bool {
	if b.executed == nil {
		b.executed = make(map[common.Hash]struct{}, len(b.transactions))
	}
	for _, e := range b.transactions[b.counted:] {
		b.executed[e.Hash()] = struct{}{}
	}
	b.counted = len(b.transactions)
	_, ok := b.executed[tx.Hash()]
	return ok
}
