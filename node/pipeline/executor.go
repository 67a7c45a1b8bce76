package pipeline

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/vm"
)

// executed is a block with the state changes that made it and the codes that it deployed.
type executed struct {
	block   *ledger.Block
	changes []ledger.Change
	codes   []ledger.Code
	cert    *ledger.ExecCert // that the payload carries, or nil
}

// executor executes blocks one after the other and advances the state. It belongs to one goroutine, as its
// worker does.
type executor struct {
	genesis *ledger.Genesis
	worker  *vm.Worker
	parent  reader
}

// reader is the state of the newest executed block, with the codes that are not in state.ldb yet.
type reader struct {
	*state.State
	store *store.Store
	// broken is why code could not be read: what was executed without it is void.
	broken error
}

var _ exec.Reader = (*reader)(nil)

// Code implements [exec.Reader].
func (r *reader) Code(hash common.Hash) []byte {
	code, err := r.store.Code(hash)
	if err != nil && r.broken == nil {
		r.broken = err
	}
	return code
}

func newExecutor(g *ledger.Genesis, w *vm.Worker, st *state.State, s *store.Store) *executor {
	return &executor{genesis: g, worker: w, parent: reader{State: st, store: s}}
}

// execute executes o on top of parent, whose state it has, and advances the state. The codes of the block are
// known to the store when it returns. A block that is ordered has to be executed: ctx should not end.
func (x *executor) execute(ctx context.Context, parent *types.Header, o *ledger.Ordered, txs []*ledger.Transaction) (executed, error) {
	result, err := exec.Execute(ctx, x.worker, x.genesis, parent, o, txs, &x.parent)
	if x.parent.broken != nil {
		err = x.parent.broken
	}
	if err != nil {
		return executed{}, fmt.Errorf("executing block %d: %w", o.Height, err)
	}
	root, err := x.parent.Apply(o.Height, result.Changes)
	if err != nil {
		return executed{}, fmt.Errorf("applying block %d to the state: %w", o.Height, err)
	}
	x.parent.store.HoldCodes(result.Codes)
	header := ledger.SealHeader(x.genesis, parent, o, result.Transactions, result.Receipts, root)
	return executed{
		block:   ledger.NewBlock(*o, header, result.Transactions, result.Receipts, result.Drops),
		changes: result.Changes,
		codes:   result.Codes,
	}, nil
}
