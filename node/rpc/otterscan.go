package rpc

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// otsAPI has the ots_ methods, which the block explorer Otterscan asks (its docs/custom-jsonrpc.md, as Erigon answers).
type otsAPI struct{ s *Server }

// erigonAPI has the one method of Erigon that Otterscan asks to know whether a node is there.
type erigonAPI struct{ s *Server }

const (
	// otsLevel is the version of the methods that Otterscan asks for.
	otsLevel = 8
	// maxPage bounds the transactions of a page; Otterscan asks for 25.
	maxPage = 100
)

// looseNumber is a block by number, in JSON or hex, or by tag: Otterscan has numbers where others have hex.
type looseNumber gethrpc.BlockNumber

// UnmarshalJSON implements [json.Unmarshaler].
func (n *looseNumber) UnmarshalJSON(b []byte) error {
	if text := strings.TrimSpace(string(b)); text != "" && text[0] != '"' && text != "null" {
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || number < 0 {
			return errors.New("not the number of a block: " + text[:min(len(text), 32)])
		}
		*n = looseNumber(number)
		return nil
	}
	return (*gethrpc.BlockNumber)(n).UnmarshalJSON(b)
}

// looseUint is a number in JSON or hex.
type looseUint = milliseconds

// GetApiLevel is ots_getApiLevel; the registry makes the method's name of this spelling.
func (o *otsAPI) GetApiLevel() int { return otsLevel }

// GetHeaderByNumber is the header of a block, null for an unknown one.
func (e *erigonAPI) GetHeaderByNumber(number looseNumber) (*slimBlockJSON, error) {
	v, err := e.s.blockByNumber(gethrpc.BlockNumber(number))
	if err != nil || v == nil {
		return nil, err
	}
	return marshalSlim(v), nil
}

// HasCode reports whether an account is a contract.
func (o *otsAPI) HasCode(address common.Address, ref *gethrpc.BlockNumberOrHash) (bool, error) {
	height, err := o.s.stateHeight(ref)
	if err != nil {
		return false, err
	}
	account, err := o.s.account(height, address)
	return account.CodeHash != (common.Hash{}), err
}

// Kinds of internal operations. Contracts cannot destroy themselves here: there is no 1.
const (
	operationTransfer = 0
	operationCreate   = 2
	operationCreate2  = 3
)

type operationJSON struct {
	Type  int            `json:"type"`
	From  common.Address `json:"from"`
	To    common.Address `json:"to"`
	Value *hexutil.Big   `json:"value"`
}

// GetInternalOperations lists the values that a transaction's contracts moved and the contracts that they created. What
// was undone is left out.
func (o *otsAPI) GetInternalOperations(ctx context.Context, hash common.Hash) ([]operationJSON, error) {
	root, err := o.trace(ctx, hash, &traceOption{})
	if err != nil {
		return nil, err
	}
	out := []operationJSON{}
	visit(root, 0, func(f *exec.TraceFrame, depth int) bool {
		if f.Outcome != vm.Success {
			return false
		}
		kind := operationTransfer
		switch {
		case depth == 0:
			return true
		case f.Kind == exec.FrameCreate:
			kind = operationCreate
		case f.Kind == exec.FrameCreate2:
			kind = operationCreate2
		case f.Kind != exec.FrameCall || f.Value.IsZero():
			return true
		}
		out = append(out, operationJSON{kind, f.From, f.To, (*hexutil.Big)(f.Value.ToBig())})
		return true
	})
	return out, nil
}

// visit calls do for a frame and, while it says so, the frames inside, in the order of their beginning.
func visit(f *exec.TraceFrame, depth int, do func(f *exec.TraceFrame, depth int) (inside bool)) {
	if !do(f, depth) {
		return
	}
	for _, c := range f.Calls {
		visit(c, depth+1, do)
	}
}

// trace returns the frames of a transaction.
func (o *otsAPI) trace(ctx context.Context, hash common.Hash, options *traceOption) (*exec.TraceFrame, error) {
	at, found, err := o.s.transaction(hash)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, errors.New("transaction not found")
	}
	return o.s.traceAt(ctx, at, options)
}

type traceEntryJSON struct {
	Type   string         `json:"type"`
	Depth  int            `json:"depth"`
	From   common.Address `json:"from"`
	To     common.Address `json:"to"`
	Value  *hexutil.Big   `json:"value"`
	Input  hexutil.Bytes  `json:"input"`
	Output hexutil.Bytes  `json:"output"`
}

// TraceTransaction lists the frames of a transaction in the order of their beginning.
func (o *otsAPI) TraceTransaction(ctx context.Context, hash common.Hash) ([]traceEntryJSON, error) {
	root, err := o.trace(ctx, hash, &traceOption{})
	if err != nil {
		return nil, err
	}
	var out []traceEntryJSON
	visit(root, 0, func(f *exec.TraceFrame, depth int) bool {
		entry := traceEntryJSON{Type: string(f.Kind), Depth: depth, From: f.From, To: f.To, Input: f.Input, Output: f.Output}
		if f.Kind != exec.FrameStatic && f.Kind != exec.FrameDelegate {
			entry.Value = (*hexutil.Big)(f.Value.ToBig())
		}
		out = append(out, entry)
		return true
	})
	return out, nil
}

// GetTransactionError is the revert data of a transaction; empty for one that succeeded or failed otherwise.
func (o *otsAPI) GetTransactionError(ctx context.Context, hash common.Hash) (hexutil.Bytes, error) {
	at, found, err := o.s.transaction(hash)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, errors.New("transaction not found")
	case at.block.Receipts[at.index].Status == types.ReceiptStatusSuccessful:
		return hexutil.Bytes{}, nil
	}
	root, err := o.s.traceAt(ctx, at, &traceOption{OnlyTopCall: true})
	if err != nil {
		return nil, err
	}
	return root.Output, nil
}

// absent hides a field: it is null, or not there.
type absent struct{}

// slimBlockJSON is a block without its transactions and bloom.
type slimBlockJSON struct {
	blockJSON
	LogsBloom        *absent `json:"logsBloom"`
	Transactions     *absent `json:"transactions,omitempty"`
	TransactionCount int     `json:"transactionCount"`
}

func marshalSlim(v *view) *slimBlockJSON {
	b := &slimBlockJSON{blockJSON: *marshalHeader(v.block.Header), TransactionCount: len(v.block.Transactions)}
	hash := v.hash
	b.Hash, b.Size = &hash, hexutil.Uint64(blockSize(v.block.Header, v.block.Transactions))
	return b
}

// blockDetailsJSON is a block with what was paid for it: nothing.
type blockDetailsJSON struct {
	Block     *slimBlockJSON `json:"block"`
	Issuance  issuanceJSON   `json:"issuance"`
	TotalFees *hexutil.Big   `json:"totalFees"`
}

type issuanceJSON struct {
	BlockReward *hexutil.Big `json:"blockReward"`
	UncleReward *hexutil.Big `json:"uncleReward"`
	Issuance    *hexutil.Big `json:"issuance"`
}

// GetBlockDetails is null for an unknown block.
func (o *otsAPI) GetBlockDetails(number looseNumber) (*blockDetailsJSON, error) {
	return details(o.s.blockByNumber(gethrpc.BlockNumber(number)))
}

// GetBlockDetailsByHash is null for an unknown block.
func (o *otsAPI) GetBlockDetailsByHash(hash common.Hash) (*blockDetailsJSON, error) {
	return details(o.s.blockByHash(hash))
}

func details(v *view, err error) (*blockDetailsJSON, error) {
	if err != nil || v == nil {
		return nil, err
	}
	return &blockDetailsJSON{marshalSlim(v), issuanceJSON{zero(), zero(), zero()}, zero()}, nil
}

// pageBlockJSON is a block with some of its transactions, of whose data only the selector is there.
type pageBlockJSON struct {
	slimBlockJSON
	Transactions []*transactionJSON `json:"transactions"`
}

// slimReceiptJSON is a receipt without its logs and bloom. Timestamp is there where the block is not.
type slimReceiptJSON struct {
	receiptJSON
	Logs      *absent         `json:"logs"`
	LogsBloom *absent         `json:"logsBloom"`
	Timestamp *hexutil.Uint64 `json:"timestamp,omitempty"`
}

func marshalSlimReceipt(at place) *slimReceiptJSON {
	return &slimReceiptJSON{receiptJSON: *marshalReceipt(at)}
}

type blockPageJSON struct {
	Fullblock *pageBlockJSON     `json:"fullblock"`
	Receipts  []*slimReceiptJSON `json:"receipts"`
}

// selectorBytes is how much of the data of a transaction names its method.
const selectorBytes = 4

// GetBlockTransactions is a page of the transactions of a block, in their order; page 0 has the last ones. It is null for
// an unknown block.
func (o *otsAPI) GetBlockTransactions(number looseNumber, page, size looseUint) (*blockPageJSON, error) {
	if err := checkPage(size); err != nil {
		return nil, err
	}
	v, err := o.s.blockByNumber(gethrpc.BlockNumber(number))
	if err != nil || v == nil {
		return nil, err
	}
	out := &blockPageJSON{
		Fullblock: &pageBlockJSON{slimBlockJSON: *marshalSlim(v), Transactions: []*transactionJSON{}}, Receipts: []*slimReceiptJSON{},
	}
	end := uint64(len(v.block.Transactions))
	end -= min(end, uint64(min(page, 1<<32))*uint64(size)) // both are small
	for i := end - min(end, uint64(size)); i < end; i++ {
		at := place{v, int(i)}
		tx := marshalTransaction(v.block.Transactions[i], &at)
		tx.Input = tx.Input[:min(len(tx.Input), selectorBytes)]
		out.Fullblock.Transactions = append(out.Fullblock.Transactions, tx)
		out.Receipts = append(out.Receipts, marshalSlimReceipt(at))
	}
	return out, nil
}

func checkPage(size looseUint) error {
	if size == 0 || size > maxPage {
		return invalidParams("a page has from 1 to %d transactions", maxPage)
	}
	return nil
}
