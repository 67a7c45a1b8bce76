package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// maxSimulatedBlocks bounds how far a simulation gets beyond its first block, gaps included (execution-apis).
const maxSimulatedBlocks = 256

// Codes of errors of eth_simulateV1 (execution-apis).
const (
	codeExecution       = -32015
	codeTimeout         = -32016
	codeNonceLow        = -38010
	codeNonceHigh       = -38011
	codeBaseFee         = -38012
	codeIntrinsicGas    = -38013
	codeFunds           = -38014
	codeBlockGas        = -38015
	codeBlockNumber     = -38020
	codeBlockTime       = -38021
	codeMovedToItself   = -38022
	codeMovedTwice      = -38023
	codeInitCodeSize    = -38025
	codeSimulationLimit = -38026
)

// simulation is what eth_simulateV1 is asked for.
type simulation struct {
	BlockStateCalls        []simulatedBlock `json:"blockStateCalls"`
	TraceTransfers         bool             `json:"traceTransfers"`
	Validation             bool             `json:"validation"`
	ReturnFullTransactions bool             `json:"returnFullTransactions"`
}

type simulatedBlock struct {
	BlockOverrides *blockOverrides `json:"blockOverrides"`
	StateOverrides *stateOverride  `json:"stateOverrides"`
	Calls          []callArgs      `json:"calls"`

	at        vm.Block // what contracts see
	overrides map[common.Address]exec.AccountOverride
}

// simulatedJSON is a block that nobody ordered, with what its calls gave. Its state root is zero.
type simulatedJSON struct {
	blockJSON
	Calls []*simulatedCallJSON `json:"calls"`
}

type simulatedCallJSON struct {
	ReturnData hexutil.Bytes       `json:"returnData"`
	Logs       []*types.Log        `json:"logs"`
	GasUsed    hexutil.Uint64      `json:"gasUsed"`
	MaxUsedGas hexutil.Uint64      `json:"maxUsedGas"`
	Status     hexutil.Uint64      `json:"status"`
	Error      *simulatedErrorJSON `json:"error,omitempty"`
}

type simulatedErrorJSON struct {
	Code    int            `json:"code"`
	Message string         `json:"message"`
	Data    *hexutil.Bytes `json:"data,omitempty"`
}

// SimulateV1 executes blocks of calls on top of a block, each on what the ones before left.
func (e *ethAPI) SimulateV1(ctx context.Context, sim simulation, ref *gethrpc.BlockNumberOrHash) ([]*simulatedJSON, error) {
	s := e.s
	if err := s.cfg.Quarantined(); err != nil {
		return nil, err
	}
	height, err := s.stateHeight(ref)
	if err != nil {
		return nil, err
	}
	base, err := s.header(height)
	if err != nil {
		return nil, err
	}
	blocks, err := sim.blocks(exec.BlockOf(s.cfg.Genesis, base))
	if err != nil {
		return nil, err
	}
	var out []*simulatedJSON
	err = s.sized(ctx, func(limit int) error {
		q := &question{state: &stateReader{s: s, height: height}}
		return s.ask(ctx, q, func(ctx context.Context, w *vm.Worker, state exec.Reader) error {
			r := &simulator{
				s: s, sim: &sim, run: exec.NewSimulation(w, state, sim.TraceTransfers), parent: base, gas: s.cfg.CallGas, room: limit,
			}
			for i := range blocks {
				if err := r.block(ctx, &blocks[i]); err != nil {
					return r.refusal(err)
				}
			}
			out = r.out
			return nil
		})
	})
	if errors.Is(err, exec.ErrTraceTooLarge) {
		err = &codedError{codeSimulationLimit, fmt.Sprintf("the answer would take more than %d bytes: simulate fewer calls at once", maxTraceBytes)}
	}
	return out, err
}

// blocks checks the blocks, and fills the gaps between them.
func (sim *simulation) blocks(base vm.Block) ([]simulatedBlock, error) {
	switch n := len(sim.BlockStateCalls); {
	case n == 0:
		return nil, invalidParams("blockStateCalls is empty")
	case n > maxSimulatedBlocks:
		return nil, tooManyBlocks()
	}
	out, last := make([]simulatedBlock, 0, len(sim.BlockStateCalls)), base
	last.BaseFee.Clear()
	for _, b := range sim.BlockStateCalls {
		b.at = last
		b.at.Number, b.at.Time = last.Number+1, last.Time+1
		if err := b.prepare(); err != nil {
			return nil, err
		}
		switch {
		case b.at.Number <= last.Number:
			return nil, &codedError{codeBlockNumber, fmt.Sprintf("block numbers must be in order: %d <= %d", b.at.Number, last.Number)}
		case b.at.Number-base.Number > maxSimulatedBlocks:
			return nil, tooManyBlocks()
		}
		for last.Number+1 < b.at.Number {
			last.Number, last.Time = last.Number+1, last.Time+1
			out = append(out, simulatedBlock{at: last})
		}
		if b.BlockOverrides == nil || b.BlockOverrides.Time == nil {
			b.at.Time = last.Time + 1
		}
		if b.at.Time < last.Time {
			return nil, &codedError{codeBlockTime, fmt.Sprintf("block timestamps must be in order: %d < %d", b.at.Time, last.Time)}
		}
		out, last = append(out, b), b.at
		last.BaseFee.Clear() // the next block has the chain's again
	}
	return out, nil
}

func tooManyBlocks() error {
	return &codedError{codeSimulationLimit, fmt.Sprintf("too many blocks: a simulation gets at most %d blocks beyond its first", maxSimulatedBlocks)}
}

// prepare checks the overrides of a block and lets contracts see them.
func (b *simulatedBlock) prepare() error {
	if err := b.BlockOverrides.apply(&b.at); err != nil {
		return err
	}
	if b.StateOverrides == nil {
		return nil
	}
	moved := make(map[common.Address]struct{})
	for address, o := range *b.StateOverrides {
		if o.MoveTo == nil {
			continue
		}
		if *o.MoveTo == address {
			return &codedError{codeMovedToItself, "MovePrecompileToAddress referenced itself in replacement: " + address.Hex()}
		}
		if _, twice := moved[*o.MoveTo]; twice {
			return &codedError{codeMovedTwice, "multiple MovePrecompileToAddress referencing the same address to replace: " + o.MoveTo.Hex()}
		}
		moved[*o.MoveTo] = struct{}{}
	}
	var err error
	b.overrides, err = b.StateOverrides.accounts()
	return err
}

// simulator executes the blocks of a simulation. It belongs to one goroutine.
type simulator struct {
	s      *Server
	sim    *simulation
	run    *exec.Simulation
	parent *types.Header
	gas    uint64 // left for all calls together
	room   int    // bytes left for the answer
	out    []*simulatedJSON
}

const (
	// simulatedBlockBytes and simulatedCallBytes are about what a block and a call take beside their data.
	simulatedBlockBytes = 1024
	simulatedCallBytes  = 512
)

// take takes bytes out of the room for the answer.
func (r *simulator) take(bytes int) error {
	if r.room -= bytes; r.room < 0 {
		return exec.ErrTraceTooLarge
	}
	return nil
}

// made is a block in the making.
type made struct {
	header   *types.Header
	txs      []*types.Transaction
	raws     [][]byte
	senders  []common.Address
	receipts []*types.Receipt
	calls    []*simulatedCallJSON
}

func (r *simulator) block(ctx context.Context, b *simulatedBlock) error {
	if err := r.take(simulatedBlockBytes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.run.Begin(ctx, b.at, b.overrides); err != nil {
		return err
	}
	m := &made{header: r.header(b)}
	for i := range b.Calls {
		args := b.Calls[i] // it is completed
		if err := r.call(m, b, &args); err != nil {
			return err
		}
	}
	r.run.End()
	r.out = append(r.out, r.seal(m))
	r.parent = m.header
	return nil
}

// header is the header of a block before its calls.
func (r *simulator) header(b *simulatedBlock) *types.Header {
	h := &types.Header{
		ParentHash: r.parent.Hash(), UncleHash: types.EmptyUncleHash, Coinbase: b.at.Coinbase, Difficulty: new(big.Int),
		Number: new(big.Int).SetUint64(b.at.Number), GasLimit: b.at.GasLimit, Time: b.at.Time, BaseFee: b.at.BaseFee.ToBig(),
		Extra: binary.BigEndian.AppendUint64(nil, 1000*min(b.at.Time, maxSeen/1000)),
	}
	if o := b.BlockOverrides; o != nil && o.PrevRandao != nil {
		h.MixDigest = *o.PrevRandao
	}
	return h
}

// call executes a call of a block.
func (r *simulator) call(m *made, b *simulatedBlock, args *callArgs) error {
	msg, err := r.s.message(args)
	if err != nil {
		return err
	}
	sender := r.run.Account(msg.From)
	left := b.at.GasLimit - m.header.GasUsed
	if args.Gas == nil {
		args.Gas = (*hexutil.Uint64)(&left)
	}
	if gas := uint64(*args.Gas); gas > left {
		return &codedError{codeBlockGas, fmt.Sprintf("block gas limit reached: remaining: %d, required: %d", left, gas)}
	}
	capped := uint64(*args.Gas) > r.gas
	msg.Gas = min(uint64(*args.Gas), r.gas)
	if args.Nonce == nil {
		args.Nonce = (*hexutil.Uint64)(&sender.Nonce)
	}
	if err := r.validate(b, args, sender.Nonce); err != nil {
		return err
	}
	args.Gas = (*hexutil.Uint64)(&msg.Gas)
	tx := types.NewTx(args.data(new(big.Int).SetUint64(b.at.ChainID)))
	res, err := r.run.Message(msg)
	if err != nil {
		return r.overdrawn(err, capped)
	}
	r.gas -= res.GasUsed
	return r.add(m, tx, msg, res)
}

// validate checks what a transaction has to fulfil and a call has not.
func (r *simulator) validate(b *simulatedBlock, args *callArgs, nonce uint64) error {
	if nonce+1 == 0 {
		return invalidParams("nonce has max value: the account cannot send") // EIP-2681
	}
	if !r.sim.Validation {
		return nil
	}
	limit, tip := number(args.MaxFeePerGas), number(args.MaxPriorityFeePerGas)
	if args.GasPrice != nil {
		limit, tip = number(args.GasPrice), number(args.GasPrice)
	}
	switch have := uint64(*args.Nonce); {
	case have < nonce:
		return &codedError{codeNonceLow, fmt.Sprintf("nonce too low: next nonce %d, tx nonce %d", nonce, have)}
	case have > nonce:
		return &codedError{codeNonceHigh, fmt.Sprintf("nonce too high: next nonce %d, tx nonce %d", nonce, have)}
	case tip.Cmp(limit) > 0:
		return invalidParams("max priority fee per gas higher than max fee per gas: %d > %d", tip, limit)
	case b.at.BaseFee.ToBig().Cmp(limit) > 0:
		return &codedError{codeBaseFee, fmt.Sprintf("max fee per gas less than block base fee: %d < %d", limit, b.at.BaseFee.ToBig())}
	}
	return nil
}

// overdrawn gives the refusal of a call its code.
func (r *simulator) overdrawn(err error, capped bool) error {
	switch {
	case errors.Is(err, ledger.ErrIntrinsicGas) && capped:
		return &codedError{codeSimulationLimit, fmt.Sprintf("the calls use more than the %d gas that a simulation may", r.s.cfg.CallGas)}
	case errors.Is(err, ledger.ErrIntrinsicGas):
		return &codedError{codeIntrinsicGas, err.Error()}
	case errors.Is(err, ledger.ErrInsufficientFunds):
		return &codedError{codeFunds, err.Error()}
	case errors.Is(err, ledger.ErrMaxInitCodeSizeExceeded):
		return &codedError{codeInitCodeSize, err.Error()}
	}
	return err
}

// refusal gives the end of the time its code.
func (r *simulator) refusal(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &codedError{codeTimeout, fmt.Sprintf("execution aborted (timeout = %v)", r.s.cfg.CallTimeout)}
	}
	return err
}

// add adds an executed call to its block.
func (r *simulator) add(m *made, tx *types.Transaction, msg *exec.Message, res *exec.CallResult) error {
	size := simulatedCallBytes + len(res.Output)
	for _, l := range res.Logs {
		size += logBytes(l)
	}
	if r.sim.ReturnFullTransactions {
		size += len(msg.Data)
	}
	if err := r.take(size); err != nil {
		return err
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding a call: %w", err)
	}
	m.header.GasUsed += res.GasUsed
	receipt := &types.Receipt{Type: tx.Type(), CumulativeGasUsed: m.header.GasUsed}
	call := &simulatedCallJSON{
		ReturnData: res.Output, Logs: []*types.Log{}, GasUsed: hexutil.Uint64(res.GasUsed), MaxUsedGas: hexutil.Uint64(res.GasUsed),
		Error: simulatedError(res),
	}
	if call.Error == nil {
		call.Status, receipt.Status = 1, types.ReceiptStatusSuccessful
	}
	for _, l := range res.Logs {
		l.TxHash, l.TxIndex = tx.Hash(), uint(len(m.txs))
		l.BlockNumber, l.BlockTimestamp = m.header.Number.Uint64(), m.header.Time
		call.Logs = append(call.Logs, shown(l))
		if l.Address != exec.TransferAddress { // those that a chain would have
			receipt.Logs = append(receipt.Logs, l)
		}
	}
	receipt.Bloom = types.CreateBloom(receipt)
	m.txs, m.raws, m.senders = append(m.txs, tx), append(m.raws, raw), append(m.senders, msg.From)
	m.receipts, m.calls = append(m.receipts, receipt), append(m.calls, call)
	return nil
}

// simulatedError is how a call failed, nil if it did not.
func simulatedError(res *exec.CallResult) *simulatedErrorJSON {
	switch res.Outcome {
	case vm.Success:
		return nil
	case vm.Revert:
		data := hexutil.Bytes(res.Output)
		return &simulatedErrorJSON{codeReverted, failure(res.Outcome, res.Output).Error(), &data}
	case vm.Trapped:
		return &simulatedErrorJSON{Code: codeExecution, Message: trapText}
	}
	return &simulatedErrorJSON{Code: codeExecution, Message: failure(res.Outcome, nil).Error()}
}

// seal completes a block.
func (r *simulator) seal(m *made) *simulatedJSON {
	h := m.header
	h.TxHash, h.ReceiptHash = ledger.RawTransactionsRoot(m.raws), ledger.ReceiptsRoot(m.receipts)
	for _, receipt := range m.receipts {
		for i := range h.Bloom {
			h.Bloom[i] |= receipt.Bloom[i]
		}
	}
	hash := h.Hash()
	out := &simulatedJSON{blockJSON: *marshalHeader(h), Calls: m.calls}
	if out.Calls == nil {
		out.Calls = []*simulatedCallJSON{}
	}
	out.Hash = &hash
	out.Size = hexutil.Uint64(types.NewBlockWithHeader(h).WithBody(types.Body{Transactions: m.txs}).Size())
	for i, tx := range m.txs {
		for _, l := range m.calls[i].Logs {
			l.BlockHash = hash
		}
		if !r.sim.ReturnFullTransactions {
			out.Transactions = append(out.Transactions, tx.Hash())
			continue
		}
		full := marshalInner(tx, m.senders[i])
		full.place(h, hash, i)
		out.Transactions = append(out.Transactions, full)
	}
	return out
}
