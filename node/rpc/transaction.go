package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

// GetTransactionByHash returns an executed or pending transaction, null for an unknown one.
func (e *ethAPI) GetTransactionByHash(hash common.Hash) (*transactionJSON, error) {
	// Twice, because a transaction leaves the pool after its block is announced: whoever misses it in
	// both sees it the second time.
	for range 2 {
		at, found, err := e.s.transaction(hash)
		if err != nil {
			return nil, err
		}
		if found {
			return marshalTransaction(at.block.Transactions[at.index], &at), nil
		}
		if tx := e.s.cfg.Pool.Get(hash); tx != nil {
			return marshalTransaction(tx, nil), nil
		}
	}
	return nil, nil
}

// GetTransactionByBlockNumberAndIndex is null beyond the block.
func (e *ethAPI) GetTransactionByBlockNumberAndIndex(number gethrpc.BlockNumber, index hexutil.Uint) (*transactionJSON, error) {
	v, err := e.s.blockByNumber(number)
	return at(v, index, err)
}

// GetTransactionByBlockHashAndIndex is null beyond the block.
func (e *ethAPI) GetTransactionByBlockHashAndIndex(hash common.Hash, index hexutil.Uint) (*transactionJSON, error) {
	v, err := e.s.blockByHash(hash)
	return at(v, index, err)
}

func at(v *view, index hexutil.Uint, err error) (*transactionJSON, error) {
	if err != nil || v == nil || uint64(index) >= uint64(len(v.block.Transactions)) {
		return nil, err
	}
	return marshalTransaction(v.block.Transactions[index], &place{v, int(index)}), nil
}

// GetRawTransactionByHash returns the bytes of an executed or pending transaction.
func (e *ethAPI) GetRawTransactionByHash(hash common.Hash) (hexutil.Bytes, error) {
	at, found, err := e.s.transaction(hash)
	if err != nil {
		return nil, err
	}
	if found {
		return at.block.Transactions[at.index].Raw(), nil
	}
	if tx := e.s.cfg.Pool.Get(hash); tx != nil {
		return tx.Raw(), nil
	}
	return nil, nil
}

// GetTransactionReceipt is null until the transaction is executed.
func (e *ethAPI) GetTransactionReceipt(ctx context.Context, hash common.Hash) (*receiptJSON, error) {
	at, found, err := e.s.transaction(hash)
	if err != nil || !found {
		return nil, err
	}
	return largeReceipt(ctx, at)
}

// largeReceipt is a receipt that may have many logs.
func largeReceipt(ctx context.Context, at place) (*receiptJSON, error) {
	r := at.block.Receipts[at.index]
	if err := requestOf(ctx).answers(ctx, 2*logsBytes([]*types.Receipt{r})); err != nil {
		return nil, err
	}
	return marshalReceipt(at), nil
}

// SendRawTransaction submits a signed transaction. It may wait for the commit, see [Config.SendWait],
// and answers the same either way.
func (e *ethAPI) SendRawTransaction(ctx context.Context, raw hexutil.Bytes) (common.Hash, error) {
	s := e.s
	tx, err := s.decode(ctx, raw)
	if err != nil {
		return common.Hash{}, err
	}
	about := requestOf(ctx)
	wait := s.cfg.SendWait > 0 && about.single && !about.nowait && s.isNext(tx) &&
		s.waiting.Load() < int64(s.cfg.MaxWaiters)
	if !wait {
		return tx.Hash(), refused(s.cfg.Chain.Submit(ctx, tx))
	}
	_, err = s.submitAndWait(ctx, tx, s.cfg.SendWait)
	if errors.Is(err, errNotYet) {
		err = nil
	}
	return tx.Hash(), err
}

// isNext reports whether the next block may execute a transaction: its sender has nothing else in flight,
// and no nonce is missing before it.
func (s *Server) isNext(tx *ledger.Transaction) bool {
	return s.cfg.Pool.Count(tx.From()) == 0 && s.cfg.State.Account(tx.From()).Nonce == tx.Nonce()
}

const (
	// syncDefault and syncMax are how long eth_sendRawTransactionSync waits.
	syncDefault = 20 * time.Second
	syncMax     = 30 * time.Second
)

// SendRawTransactionSync submits a signed transaction and waits for its receipt (EIP-7966).
func (e *ethAPI) SendRawTransactionSync(ctx context.Context, raw hexutil.Bytes, timeoutMs *milliseconds) (*receiptJSON, error) {
	s := e.s
	timeout := syncDefault
	if timeoutMs != nil {
		if *timeoutMs == 0 {
			return nil, invalidParams("timeout must be a positive number of milliseconds")
		}
		timeout = time.Duration(min(uint64(*timeoutMs), uint64(syncMax/time.Millisecond))) * time.Millisecond
	}
	tx, err := s.decode(ctx, raw)
	if err != nil {
		return nil, err
	}
	result, err := s.submitAndWait(ctx, tx, timeout)
	switch {
	case errors.Is(err, errNotYet):
		return nil, &syncTimeoutError{
			fmt.Sprintf("The transaction was added to the transaction pool but wasn't processed in %v", timeout), tx.Hash(),
		}
	case err != nil:
		return nil, err
	case result.drop != nil:
		return nil, fmt.Errorf("the transaction was ordered but not executed: %w", result.drop.Reason.Err())
	}
	return largeReceipt(ctx, result.place)
}

// errNotYet says that the transaction was accepted and not executed in the time given.
var errNotYet = errors.New("not executed yet")

// submitAndWait submits the transaction and waits for its outcome, without a right to work.
func (s *Server) submitAndWait(ctx context.Context, tx *ledger.Transaction, timeout time.Duration) (outcome, error) {
	if s.waiting.Add(1) > int64(s.cfg.MaxWaiters) {
		s.waiting.Add(-1)
		return outcome{}, busy("%d clients wait for a commit; use eth_sendRawTransaction", s.cfg.MaxWaiters)
	}
	defer s.waiting.Add(-1)
	result, cancel := s.recent.wait(tx.Hash())
	defer cancel()
	if err := s.cfg.Chain.Submit(ctx, tx); err != nil {
		return outcome{}, refused(err)
	}
	requestOf(ctx).idle()
	defer requestOf(ctx).waiting(ctx)()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case o := <-result:
		return o, nil
	case <-timer.C:
	case <-s.stopping:
	case <-ctx.Done():
	}
	return outcome{}, errNotYet
}

// decode recovers a transaction's sender on the workers, unless the transaction is known.
func (s *Server) decode(ctx context.Context, raw []byte) (*ledger.Transaction, error) {
	if len(raw) > s.limits.Bytes {
		return nil, fmt.Errorf("%w: transaction size %d, limit %d", ledger.ErrOversizedData, len(raw), s.limits.Bytes)
	}
	if s.cfg.Pool.Get(crypto.Keccak256Hash(raw)) != nil {
		return nil, txpool.ErrAlreadyKnown
	}
	defer requestOf(ctx).waiting(ctx)()
	return s.recoverer.decode(ctx, raw)
}

// milliseconds is a JSON number or a hex quantity.
type milliseconds uint64

// UnmarshalJSON implements [json.Unmarshaler].
func (m *milliseconds) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return (*hexutil.Uint64)(m).UnmarshalJSON(b)
	}
	return json.Unmarshal(b, (*uint64)(m))
}
