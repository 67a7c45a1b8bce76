package rpc

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/ledger"
)

// blockJSON has the fields of a London block, and the time in milliseconds. Hash, Nonce and Miner are
// null for the pending block.
type blockJSON struct {
	Number           *hexutil.Big      `json:"number"`
	Hash             *common.Hash      `json:"hash"`
	ParentHash       common.Hash       `json:"parentHash"`
	Nonce            *types.BlockNonce `json:"nonce"`
	MixHash          common.Hash       `json:"mixHash"`
	UncleHash        common.Hash       `json:"sha3Uncles"`
	LogsBloom        types.Bloom       `json:"logsBloom"`
	StateRoot        common.Hash       `json:"stateRoot"`
	Miner            *common.Address   `json:"miner"`
	Difficulty       *hexutil.Big      `json:"difficulty"`
	ExtraData        hexutil.Bytes     `json:"extraData"`
	GasLimit         hexutil.Uint64    `json:"gasLimit"`
	GasUsed          hexutil.Uint64    `json:"gasUsed"`
	Timestamp        hexutil.Uint64    `json:"timestamp"`
	TimestampMs      hexutil.Uint64    `json:"timestampMs"`
	TransactionsRoot common.Hash       `json:"transactionsRoot"`
	ReceiptsRoot     common.Hash       `json:"receiptsRoot"`
	BaseFee          *hexutil.Big      `json:"baseFeePerGas"`
	Size             hexutil.Uint64    `json:"size"`
	Transactions     []any             `json:"transactions"`
	Uncles           []common.Hash     `json:"uncles"`
}

func marshalHeader(h *types.Header) *blockJSON {
	nonce, miner := h.Nonce, h.Coinbase
	// A header that the ledger made has its time; a broken one was refused when it was read.
	timeMs, _ := ledger.HeaderTimeMs(h)
	return &blockJSON{
		Number: (*hexutil.Big)(h.Number), ParentHash: h.ParentHash, Nonce: &nonce, MixHash: h.MixDigest,
		UncleHash: h.UncleHash, LogsBloom: h.Bloom, StateRoot: h.Root, Miner: &miner,
		Difficulty: (*hexutil.Big)(h.Difficulty), ExtraData: h.Extra,
		GasLimit: hexutil.Uint64(h.GasLimit), GasUsed: hexutil.Uint64(h.GasUsed),
		Timestamp: hexutil.Uint64(h.Time), TimestampMs: hexutil.Uint64(timeMs),
		TransactionsRoot: h.TxHash, ReceiptsRoot: h.ReceiptHash, BaseFee: (*hexutil.Big)(h.BaseFee),
		Transactions: []any{}, Uncles: []common.Hash{},
	}
}

func marshalBlock(v *view, full bool) *blockJSON {
	b := marshalHeader(v.block.Header)
	hash := v.hash
	b.Hash = &hash
	b.Size = hexutil.Uint64(blockSize(v.block.Header, v.block.Transactions))
	b.Transactions = marshalTransactions(v, full)
	return b
}

func marshalTransactions(v *view, full bool) []any {
	out := make([]any, len(v.block.Transactions))
	for i, tx := range v.block.Transactions {
		if full {
			out[i] = marshalTransaction(tx, &place{v, i})
		} else {
			out[i] = tx.Hash()
		}
	}
	return out
}

// blockSize is the length of the Ethereum encoding of a block: RLP[header, transactions, no uncles],
// typed transactions being strings.
func blockSize(h *types.Header, txs []*ledger.Transaction) uint64 {
	header, err := rlp.EncodeToBytes(h)
	if err != nil {
		panic("rpc: a header does not encode: " + err.Error())
	}
	var content uint64
	for _, tx := range txs {
		if tx.Type() == types.LegacyTxType {
			content += uint64(tx.Size())
		} else {
			content += rlp.BytesSize(tx.Raw())
		}
	}
	return rlp.ListSize(uint64(len(header)) + rlp.ListSize(content) + rlp.ListSize(0))
}

// transactionJSON has the fields of go-ethereum's RPCTransaction for types 0 to 2.
type transactionJSON struct {
	BlockHash        *common.Hash      `json:"blockHash"`
	BlockNumber      *hexutil.Big      `json:"blockNumber"`
	BlockTimestamp   *hexutil.Uint64   `json:"blockTimestamp"`
	From             common.Address    `json:"from"`
	Gas              hexutil.Uint64    `json:"gas"`
	GasPrice         *hexutil.Big      `json:"gasPrice"`
	GasFeeCap        *hexutil.Big      `json:"maxFeePerGas,omitempty"`
	GasTipCap        *hexutil.Big      `json:"maxPriorityFeePerGas,omitempty"`
	Hash             common.Hash       `json:"hash"`
	Input            hexutil.Bytes     `json:"input"`
	Nonce            hexutil.Uint64    `json:"nonce"`
	To               *common.Address   `json:"to"`
	TransactionIndex *hexutil.Uint64   `json:"transactionIndex"`
	Value            *hexutil.Big      `json:"value"`
	Type             hexutil.Uint64    `json:"type"`
	AccessList       *types.AccessList `json:"accessList,omitempty"`
	ChainID          *hexutil.Big      `json:"chainId,omitempty"`
	V                *hexutil.Big      `json:"v"`
	R                *hexutil.Big      `json:"r"`
	S                *hexutil.Big      `json:"s"`
	YParity          *hexutil.Uint64   `json:"yParity,omitempty"`
}

// marshalTransaction renders a transaction, at its place or pending.
func marshalTransaction(tx *ledger.Transaction, at *place) *transactionJSON {
	out := marshalInner(tx.Inner(), tx.From())
	if at != nil {
		out.place(at.block.Header, at.hash, at.index)
	}
	return out
}

// marshalInner renders a transaction, which need not be signed.
func marshalInner(inner *types.Transaction, from common.Address) *transactionJSON {
	v, r, s := inner.RawSignatureValues()
	out := &transactionJSON{
		From: from, Gas: hexutil.Uint64(inner.Gas()), GasPrice: (*hexutil.Big)(inner.GasPrice()), Hash: inner.Hash(),
		Input: inner.Data(), Nonce: hexutil.Uint64(inner.Nonce()), To: inner.To(), Value: (*hexutil.Big)(inner.Value()),
		Type: hexutil.Uint64(inner.Type()), ChainID: (*hexutil.Big)(inner.ChainId()),
		V: (*hexutil.Big)(v), R: (*hexutil.Big)(r), S: (*hexutil.Big)(s),
	}
	if inner.Type() != types.LegacyTxType {
		list := inner.AccessList()
		if list == nil {
			list = types.AccessList{}
		}
		parity := hexutil.Uint64(v.Uint64())
		out.AccessList, out.YParity = &list, &parity
	}
	if inner.Type() == types.DynamicFeeTxType {
		out.GasFeeCap, out.GasTipCap = (*hexutil.Big)(inner.GasFeeCap()), (*hexutil.Big)(inner.GasTipCap())
		out.GasPrice = out.GasFeeCap
	}
	return out
}

// place adds where the transaction is.
func (t *transactionJSON) place(h *types.Header, block common.Hash, index int) {
	at, time := hexutil.Uint64(index), hexutil.Uint64(h.Time)
	t.BlockHash, t.BlockNumber = &block, (*hexutil.Big)(h.Number)
	t.TransactionIndex, t.BlockTimestamp = &at, &time
	if t.Type == types.DynamicFeeTxType {
		t.GasPrice = zero() // what it paid, as in its receipt
	}
}

func zero() *hexutil.Big { return (*hexutil.Big)(new(big.Int)) }

// receiptJSON has exactly the fields of the execution-apis specification.
type receiptJSON struct {
	BlockHash         common.Hash     `json:"blockHash"`
	BlockNumber       hexutil.Uint64  `json:"blockNumber"`
	ContractAddress   *common.Address `json:"contractAddress"`
	CumulativeGasUsed hexutil.Uint64  `json:"cumulativeGasUsed"`
	EffectiveGasPrice *hexutil.Big    `json:"effectiveGasPrice"`
	From              common.Address  `json:"from"`
	GasUsed           hexutil.Uint64  `json:"gasUsed"`
	Logs              logList         `json:"logs"`
	LogsBloom         types.Bloom     `json:"logsBloom"`
	Status            hexutil.Uint64  `json:"status"`
	To                *common.Address `json:"to"`
	TransactionHash   common.Hash     `json:"transactionHash"`
	TransactionIndex  hexutil.Uint64  `json:"transactionIndex"`
	Type              hexutil.Uint64  `json:"type"`
}

func marshalReceipt(at place) *receiptJSON {
	tx, r := at.block.Transactions[at.index], at.block.Receipts[at.index]
	out := &receiptJSON{
		BlockHash: at.hash, BlockNumber: hexutil.Uint64(at.height), CumulativeGasUsed: hexutil.Uint64(r.CumulativeGasUsed),
		EffectiveGasPrice: zero(), From: tx.From(), GasUsed: hexutil.Uint64(r.GasUsed), LogsBloom: r.Bloom,
		Logs:   make(logList, len(r.Logs)),
		Status: hexutil.Uint64(r.Status), To: tx.To(), TransactionHash: tx.Hash(),
		TransactionIndex: hexutil.Uint64(at.index), Type: hexutil.Uint64(tx.Type()),
	}
	for i, l := range r.Logs {
		out.Logs[i] = shown(l)
	}
	if r.ContractAddress != (common.Address{}) {
		out.ContractAddress = &r.ContractAddress
	}
	return out
}
