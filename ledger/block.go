package ledger

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Ordered is a final block of consensus in bytes, before its execution.
type Ordered struct {
	// Hash is the consensus block hash.
	Hash common.Hash
	// Epoch and View are where consensus ordered it.
	Epoch, View uint64
	// Height in the ledger.
	Height uint64
	// TimeMs is the block's time, in Unix milliseconds.
	TimeMs uint64
	// Proposer is the validator that made it.
	Proposer common.Address
	// Payload is an encoded [Payload].
	Payload []byte
	// Data is [EncodeData] of the transactions, in the payload's order.
	Data []byte
	// Header is the canonical consensus header.
	Header []byte
	// Finalization is the encoded certificate, nil when only a descendant has one.
	Finalization []byte
}

// Block is an executed block.
type Block struct {
	Ordered Ordered
	// Header is the standard Ethereum header.
	Header *types.Header
	// Transactions are the executed ones, in order; Receipts has one for each.
	Transactions []*Transaction
	Receipts     []*types.Receipt
	// Drops are the ordered transactions that were not executed, in order.
	Drops []Drop
}

// NewBlock joins the parts of an executed block and completes the receipts with [PlaceReceipts].
func NewBlock(o Ordered, header *types.Header, txs []*Transaction, receipts []*types.Receipt, drops []Drop) *Block {
	PlaceReceipts(header, receipts)
	return &Block{Ordered: o, Header: header, Transactions: txs, Receipts: receipts, Drops: drops}
}

// PlaceReceipts writes into the receipts of a block, in order, and into their logs what is known once the
// header is sealed: block hash, height and time, and the places of receipts and logs in the block.
func PlaceReceipts(header *types.Header, receipts []*types.Receipt) {
	hash, number, index := header.Hash(), new(big.Int).Set(header.Number), uint(0)
	for i, r := range receipts {
		r.BlockHash, r.BlockNumber, r.TransactionIndex = hash, number, uint(i)
		for _, l := range r.Logs {
			l.BlockHash, l.BlockNumber, l.BlockTimestamp = hash, header.Number.Uint64(), header.Time
			l.TxHash, l.TxIndex, l.Index = r.TxHash, uint(i), index
			index++
		}
	}
}

// SealHeader makes the executed header of the ordered block o on top of parent. The ordered height must be
// the parent's plus one: anything else is a bug of the caller and panics.
func SealHeader(
	g *Genesis, parent *types.Header, o *Ordered, txs []*Transaction, receipts []*types.Receipt, stateRoot common.Hash,
) *types.Header {
	if number := parent.Number.Uint64() + 1; o.Height != number {
		panic(fmt.Sprintf("ledger: sealing height %d on top of %d", o.Height, number-1))
	}
	h := g.emptyHeader(o.TimeMs)
	h.ParentHash = parent.Hash()
	h.Coinbase = o.Proposer
	h.Root = stateRoot
	h.TxHash = TransactionsRoot(txs)
	h.ReceiptHash = ReceiptsRoot(receipts)
	h.Number.SetUint64(o.Height)
	h.Time = max(h.Time, parent.Time)
	h.MixDigest = o.Hash
	if n := len(receipts); n > 0 {
		h.GasUsed = receipts[n-1].CumulativeGasUsed
	}
	for _, r := range receipts {
		for i := range h.Bloom {
			h.Bloom[i] |= r.Bloom[i]
		}
	}
	return h
}

// emptyHeader has the fields that every header of the chain shares, at height 0.
func (g *Genesis) emptyHeader(timeMs uint64) *types.Header {
	return &types.Header{
		UncleHash:   types.EmptyUncleHash,
		TxHash:      types.EmptyRootHash,
		ReceiptHash: types.EmptyRootHash,
		Difficulty:  new(big.Int),
		Number:      new(big.Int),
		GasLimit:    g.BlockGasLimit,
		Time:        timeMs / 1000,
		Extra:       binary.BigEndian.AppendUint64(nil, timeMs),
		BaseFee:     new(big.Int),
	}
}

// HeaderTimeMs is a header's time in Unix milliseconds, as its extra data carries it. It fails with
// [ErrInvalid] for a header that this package did not make.
func HeaderTimeMs(h *types.Header) (uint64, error) {
	if len(h.Extra) != 8 {
		return 0, invalidf("header with %d bytes of extra data instead of the 8 of its time", len(h.Extra))
	}
	return binary.BigEndian.Uint64(h.Extra), nil
}
