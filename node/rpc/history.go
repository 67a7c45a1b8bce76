package rpc

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// There is no index of transactions by address: what asks for one looks through blocks, newest first unless it has to
// go up, as far as these bounds and rpc.call_timeout allow.
const (
	// maxHistoryBlocks bounds the headers that are read: a search for what is not there ends.
	maxHistoryBlocks = 100_000
	// maxHistoryTransactions bounds the transactions in the blocks that are decoded, which recovers their senders: 2 s.
	maxHistoryTransactions = 50_000
)

// walk visits the blocks that have transactions from one height to another, whichever is the higher, until visit is done.
// It returns the height that it has come to, which is not to when a bound stopped it.
func (s *Server) walk(ctx context.Context, from, to uint64, visit func(*view) (done bool)) (reached uint64, complete bool, err error) {
	defer requestOf(ctx).waiting(ctx)()
	slot := s.searches.enter(ctx)
	if slot == nil {
		return 0, false, busy("too many searches at once")
	}
	defer slot.release()
	deadline, transactions := time.Now().Add(s.cfg.CallTimeout), 0
	for n, height := 0, from; ; n++ {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		header, err := s.header(height)
		if err != nil {
			return 0, false, err
		}
		if header.TxHash != types.EmptyRootHash {
			v, err := s.blockAt(height)
			if err != nil {
				return 0, false, err
			}
			if v == nil {
				return 0, false, fmt.Errorf("header %d not found", height)
			}
			transactions += len(v.block.Transactions)
			if visit(v) {
				return height, true, nil
			}
		}
		switch {
		case height == to:
			return height, true, nil
		case n >= maxHistoryBlocks, transactions >= maxHistoryTransactions, time.Now().After(deadline):
			return height, false, nil
		case height < to:
			height++
		default:
			height--
		}
	}
}

// unsearched says that a search found nothing in the blocks that it could look through, and which remain.
func unsearched(what string, from, reached, to uint64) error {
	rest := [2]uint64{reached + 1, to}
	if from > to {
		rest = [2]uint64{to, reached - 1}
	}
	return &rangeError{
		fmt.Sprintf("%s was not found in the blocks %d to %d, and there is no index of it: the blocks %d to %d were not searched",
			what, min(from, reached), max(from, reached), rest[0], rest[1]), rest[0], rest[1],
	}
}

type historyJSON struct {
	Txs       []*transactionJSON `json:"txs"`
	Receipts  []*slimReceiptJSON `json:"receipts"`
	FirstPage bool               `json:"firstPage"`
	LastPage  bool               `json:"lastPage"`
}

// SearchTransactionsBefore is a page of the newest transactions from or to an account, or creating it, below a height; 0 is
// above all. It ends with a whole block.
func (o *otsAPI) SearchTransactionsBefore(ctx context.Context, address common.Address, before, size looseUint) (*historyJSON, error) {
	from, head := o.s.head().Header.Number.Uint64(), o.s.head().Header.Number.Uint64()
	first := before == 0 || uint64(before) > head
	if !first {
		from = uint64(before) - 1
	}
	found, complete, err := o.search(ctx, address, from, 0, size)
	if err != nil {
		return nil, err
	}
	return o.page(ctx, found, first, complete)
}

// SearchTransactionsAfter is a page of the oldest transactions above a height, newest first; 0 is below all.
func (o *otsAPI) SearchTransactionsAfter(ctx context.Context, address common.Address, after, size looseUint) (*historyJSON, error) {
	head := o.s.head().Header.Number.Uint64()
	if uint64(after) >= head {
		return o.page(ctx, nil, true, after == 0)
	}
	from := uint64(after) + 1
	found, complete, err := o.search(ctx, address, from, head, size)
	if err != nil {
		return nil, err
	}
	slices.Reverse(found)
	return o.page(ctx, found, complete, after == 0)
}

// search finds transactions of an account: newest first, or oldest first if it goes up. complete says that there are no
// more.
func (o *otsAPI) search(ctx context.Context, address common.Address, from, to uint64, size looseUint) (found []place, complete bool, err error) {
	if err := checkPage(size); err != nil {
		return nil, false, err
	}
	full := false
	reached, complete, err := o.s.walk(ctx, from, to, func(v *view) bool {
		matches := matching(v, address)
		if from > to {
			slices.Reverse(matches)
		}
		found = append(found, matches...)
		full = len(found) >= int(size)
		return full && v.height != to
	})
	switch {
	case err != nil:
		return nil, false, err
	case !complete && len(found) == 0:
		return nil, false, unsearched("a transaction of "+address.Hex(), from, reached, to)
	}
	return found, complete && reached == to, nil
}

// matching lists the transactions of a block from or to an account, or creating it.
func matching(v *view, address common.Address) []place {
	var out []place
	for i, tx := range v.block.Transactions {
		to := tx.To()
		if tx.From() == address || to != nil && *to == address || to == nil && v.block.Receipts[i].ContractAddress == address {
			out = append(out, place{v, i})
		}
	}
	return out
}

// page answers with transactions.
func (o *otsAPI) page(ctx context.Context, found []place, first, last bool) (*historyJSON, error) {
	const entryBytes = 2048 // of JSON, beside the data
	size := 0
	for _, at := range found {
		size += entryBytes + 2*at.block.Transactions[at.index].Size()
	}
	if err := requestOf(ctx).answers(ctx, size); err != nil {
		return nil, err
	}
	out := &historyJSON{Txs: []*transactionJSON{}, Receipts: []*slimReceiptJSON{}, FirstPage: first, LastPage: last}
	for _, at := range found {
		receipt := marshalSlimReceipt(at)
		receipt.Timestamp = new(hexutil.Uint64(at.block.Header.Time))
		out.Txs = append(out.Txs, marshalTransaction(at.block.Transactions[at.index], &at))
		out.Receipts = append(out.Receipts, receipt)
	}
	return out, nil
}

// GetTransactionBySenderAndNonce returns the hash of the executed transaction of a sender that has a nonce, null when
// there is none.
func (o *otsAPI) GetTransactionBySenderAndNonce(ctx context.Context, sender common.Address, nonce looseUint) (*common.Hash, error) {
	from, within, err := o.since(sender, func(a ledger.Account) bool { return a.Nonce > uint64(nonce) })
	if err != nil || from == 0 {
		return nil, err
	}
	to := from // the transaction is in the block that made the nonce what it is
	if !within {
		to = 1
	}
	var hash *common.Hash
	reached, complete, err := o.s.walk(ctx, from, to, func(v *view) bool {
		past := false
		for _, tx := range v.block.Transactions {
			if tx.From() != sender {
				continue
			}
			if tx.Nonce() == uint64(nonce) {
				hash = new(tx.Hash())
				return true
			}
			past = past || tx.Nonce() < uint64(nonce)
		}
		return past // only older ones follow
	})
	if err == nil && !complete {
		err = unsearched(fmt.Sprintf("transaction %d of %s", nonce, sender), from, reached, to)
	}
	return hash, err
}

type creatorJSON struct {
	Hash    common.Hash    `json:"hash"`
	Creator common.Address `json:"creator"`
}

// GetContractCreator returns who created a contract, and by which transaction; null for what is no contract.
func (o *otsAPI) GetContractCreator(ctx context.Context, address common.Address) (*creatorJSON, error) {
	from, within, err := o.since(address, func(a ledger.Account) bool { return a.CodeHash != common.Hash{} })
	if err != nil || from == 0 {
		return nil, err
	}
	if within {
		v, err := o.s.blockAt(from)
		if err != nil || v == nil {
			return nil, err
		}
		return o.creatorIn(ctx, v, address)
	}
	var created *creatorJSON
	reached, complete, err := o.s.walk(ctx, from, 1, func(v *view) bool {
		created = createdBy(v, address)
		return created != nil
	})
	switch {
	case err != nil:
		return nil, err
	case created != nil:
		return created, nil
	case !complete:
		return nil, unsearched("the creation of "+address.Hex(), from, reached, 1)
	}
	return nil, fmt.Errorf("contract %s was created by another one, before block %d: what contracts did there cannot be executed again, because this node "+
		"keeps the states of the last blocks only", address, from)
}

// createdBy returns the transaction of a block that is the creation of a contract.
func createdBy(v *view, address common.Address) *creatorJSON {
	for i, r := range v.block.Receipts {
		if tx := v.block.Transactions[i]; r.ContractAddress == address && r.Status == types.ReceiptStatusSuccessful {
			return &creatorJSON{tx.Hash(), tx.From()}
		}
	}
	return nil
}

// creatorIn finds the creation of a contract in the block that it is new in.
func (o *otsAPI) creatorIn(ctx context.Context, v *view, address common.Address) (*creatorJSON, error) {
	if created := createdBy(v, address); created != nil {
		return created, nil
	}
	frames, err := o.s.traces(ctx, v, 0, len(v.block.Transactions)-1, &traceOption{})
	if err != nil {
		return nil, err
	}
	var created *creatorJSON
	for i, root := range frames {
		visit(root, 0, func(f *exec.TraceFrame, _ int) bool {
			if f.Outcome != vm.Success {
				return false
			}
			if (f.Kind == exec.FrameCreate || f.Kind == exec.FrameCreate2) && f.To == address {
				created = &creatorJSON{v.block.Transactions[i].Hash(), f.From}
			}
			return true
		})
	}
	return created, nil
}

// since finds the first block after which something is true of an account, that once is always: 0 when it is not yet.
// within says that this is the block; otherwise it is that one or one before, which the kept states do not tell.
func (o *otsAPI) since(address common.Address, is func(ledger.Account) bool) (height uint64, within bool, err error) {
	head, oldest := o.s.head().Header.Number.Uint64(), o.s.cfg.State.Oldest()+1 // the oldest may be gone at once
	oldest = min(oldest, head)
	var failed error
	at := func(height uint64) bool {
		a, err := o.s.account(height, address)
		if failed == nil {
			failed = err
		}
		return err == nil && is(a)
	}
	if !at(head) {
		return 0, false, failed
	}
	n := sort.Search(int(head-oldest), func(i int) bool { return at(oldest + uint64(i)) }) // at most as many as are kept
	return oldest + uint64(n), n > 0 || oldest == 1, failed
}
