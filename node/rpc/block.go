package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
)

// ethAPI has the eth_ methods. Each is named and shaped by its method of go-ethereum.
type ethAPI struct{ s *Server }

// ChainId is eth_chainId; the registry makes the method's name of this spelling.
func (e *ethAPI) ChainId() hexutil.Uint64 { return hexutil.Uint64(e.s.cfg.Genesis.ChainID) }

// BlockNumber is the height of the newest executed block.
func (e *ethAPI) BlockNumber() hexutil.Uint64 {
	return hexutil.Uint64(e.s.head().Header.Number.Uint64())
}

// Syncing is false, or how far a node that catches up has come.
func (e *ethAPI) Syncing() any {
	status := e.s.cfg.Chain.Status()
	if !status.Syncing {
		return false
	}
	return map[string]hexutil.Uint64{
		"startingBlock": 0,
		"currentBlock":  e.BlockNumber(),
		"highestBlock":  hexutil.Uint64(max(status.Highest, uint64(e.BlockNumber()))),
	}
}

// Accounts is empty: the node keeps no keys of users.
func (e *ethAPI) Accounts() []common.Address { return []common.Address{} }

// GetBlockByNumber returns a block with hashes or with whole transactions, null when there is none.
func (e *ethAPI) GetBlockByNumber(number gethrpc.BlockNumber, full bool) (*blockJSON, error) {
	if number == gethrpc.PendingBlockNumber {
		return e.pendingBlock(full), nil
	}
	v, err := e.s.blockByNumber(number)
	if err != nil || v == nil {
		return nil, err
	}
	return marshalBlock(v, full), nil
}

// GetBlockByHash is GetBlockByNumber by hash.
func (e *ethAPI) GetBlockByHash(hash common.Hash, full bool) (*blockJSON, error) {
	v, err := e.s.blockByHash(hash)
	if err != nil || v == nil {
		return nil, err
	}
	return marshalBlock(v, full), nil
}

// maxPendingBytes bounds the transactions of the pending block; it is a guess at the next block anyway.
const maxPendingBytes = 256 << 10

// pendingBlock guesses the next block: on top of the newest one, with what the pool would propose.
func (e *ethAPI) pendingBlock(full bool) *blockJSON {
	head := e.s.head().Header
	h := types.CopyHeader(head)
	h.ParentHash = head.Hash()
	h.Number = new(big.Int).Add(head.Number, big.NewInt(1))
	h.Bloom, h.GasUsed = types.Bloom{}, 0
	txs := e.s.cfg.Pool.Select(maxPendingBytes, h.GasLimit, nil)
	b := marshalHeader(h)
	b.Nonce, b.Miner = nil, nil
	b.Size = hexutil.Uint64(blockSize(h, txs))
	for _, tx := range txs {
		if full {
			b.Transactions = append(b.Transactions, marshalTransaction(tx, nil))
		} else {
			b.Transactions = append(b.Transactions, tx.Hash())
		}
	}
	return b
}

// GetBlockReceipts returns the receipts of a block, null when there is none.
func (e *ethAPI) GetBlockReceipts(ctx context.Context, ref gethrpc.BlockNumberOrHash) ([]*receiptJSON, error) {
	if n, ok := ref.Number(); ok && n == gethrpc.PendingBlockNumber {
		return nil, errors.New("pending receipts is not available")
	}
	v, err := e.s.block(ref)
	if err != nil || v == nil {
		return nil, err
	}
	logs := 0
	for _, r := range v.block.Receipts {
		logs += len(r.Logs)
	}
	if logs > maxBlockLogs {
		return nil, &codedError{codeLimit, fmt.Sprintf("block %d has %d logs: ask for the receipts of its transactions one by one", v.height, logs)}
	}
	if err := requestOf(ctx).answers(ctx, 2*logsBytes(v.block.Receipts)); err != nil {
		return nil, err
	}
	out := make([]*receiptJSON, len(v.block.Transactions))
	for i := range out {
		out[i] = marshalReceipt(place{v, i})
	}
	return out, nil
}

// GetBlockTransactionCountByNumber is null for an unknown block.
func (e *ethAPI) GetBlockTransactionCountByNumber(number gethrpc.BlockNumber) (*hexutil.Uint, error) {
	if number == gethrpc.PendingBlockNumber {
		n := hexutil.Uint(len(e.pendingBlock(false).Transactions))
		return &n, nil
	}
	return count(e.s.blockByNumber(number))
}

// GetBlockTransactionCountByHash is null for an unknown block.
func (e *ethAPI) GetBlockTransactionCountByHash(hash common.Hash) (*hexutil.Uint, error) {
	return count(e.s.blockByHash(hash))
}

func count(v *view, err error) (*hexutil.Uint, error) {
	if err != nil || v == nil {
		return nil, err
	}
	n := hexutil.Uint(len(v.block.Transactions))
	return &n, nil
}

// GetUncleCountByBlockNumber is 0, null for an unknown block: there are no uncles.
func (e *ethAPI) GetUncleCountByBlockNumber(number gethrpc.BlockNumber) (*hexutil.Uint, error) {
	return noUncles(e.s.blockByNumber(number))
}

// GetUncleCountByBlockHash is 0, null for an unknown block.
func (e *ethAPI) GetUncleCountByBlockHash(hash common.Hash) (*hexutil.Uint, error) {
	return noUncles(e.s.blockByHash(hash))
}

func noUncles(v *view, err error) (*hexutil.Uint, error) {
	if err != nil || v == nil {
		return nil, err
	}
	return new(hexutil.Uint), nil
}

// GetUncleByBlockNumberAndIndex is null.
func (e *ethAPI) GetUncleByBlockNumberAndIndex(gethrpc.BlockNumber, hexutil.Uint) *blockJSON {
	return nil
}

// GetUncleByBlockHashAndIndex is null.
func (e *ethAPI) GetUncleByBlockHashAndIndex(common.Hash, hexutil.Uint) *blockJSON { return nil }
