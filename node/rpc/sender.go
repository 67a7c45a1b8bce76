package rpc

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

const (
	// ownWait is how long the server waits for a transaction of its own: blocks of networks for tests take
	// milliseconds.
	ownWait = 20 * time.Second
	// ownLook is how often it looks whether another transaction has taken the place of its own.
	ownLook = 100 * time.Millisecond
	// ownTries is how often it sends one whose nonce another node, with the same key, was quicker to use.
	ownTries = 5
)

// sender sends transactions of an account whose key the server has, because it is public.
type sender struct {
	s       *Server
	key     *ecdsa.PrivateKey
	address common.Address
	// sending holds a value while a transaction is on its way: the next one has the next nonce.
	sending chan struct{}
}

func newSender(s *Server, key *ecdsa.PrivateKey) *sender {
	return &sender{s, key, crypto.PubkeyToAddress(key.PublicKey), make(chan struct{}, 1)}
}

// send sends a transaction and returns its hash when it is executed with success.
func (a *sender) send(ctx context.Context, to common.Address, value *big.Int, data []byte) (common.Hash, error) {
	select {
	case a.sending <- struct{}{}:
		defer func() { <-a.sending }()
	case <-ctx.Done():
		return common.Hash{}, ctx.Err()
	}
	for try := 1; ; try++ {
		tx, err := a.sign(ctx, &types.LegacyTx{
			Nonce: a.s.cfg.Pool.Nonce(a.address), To: &to, Value: value, Data: data, GasPrice: new(big.Int),
			Gas: ledger.IntrinsicGas(data, nil, false),
		})
		if err != nil {
			return common.Hash{}, err
		}
		o, err := a.submit(ctx, tx)
		if err == nil && o.drop != nil {
			err = o.drop.Reason.Err()
		}
		switch {
		case err != nil && try < ownTries && taken(err):
			continue
		case err != nil:
			return common.Hash{}, fmt.Errorf("sending transaction %s: %w", tx.Hash(), err)
		case o.block.Receipts[o.index].Status != types.ReceiptStatusSuccessful:
			return common.Hash{}, fmt.Errorf("transaction %s failed in block %d", tx.Hash(), o.height)
		}
		return tx.Hash(), nil
	}
}

// submit submits a transaction and waits for its outcome, or until another has used its nonce.
func (a *sender) submit(ctx context.Context, tx *ledger.Transaction) (outcome, error) {
	s := a.s
	result, cancel := s.recent.wait(tx.Hash())
	defer cancel()
	if err := s.cfg.Chain.Submit(ctx, tx); err != nil {
		return outcome{}, refused(err)
	}
	requestOf(ctx).idle()
	defer requestOf(ctx).waiting(ctx)()
	timer, look := time.NewTimer(ownWait), time.NewTicker(ownLook)
	defer timer.Stop()
	defer look.Stop()
	for {
		select {
		case o := <-result:
			return o, nil
		case <-look.C:
			if r, gone := s.cfg.Pool.Removed(tx.Hash()); gone && r.Reason == txpool.NonceUsed {
				return outcome{}, ledger.ErrNonceTooLow
			}
		case <-timer.C:
			return outcome{}, errNotYet
		case <-s.stopping:
			return outcome{}, errNotYet
		case <-ctx.Done():
			return outcome{}, ctx.Err()
		}
	}
}

// taken reports that somebody else used the nonce.
func taken(err error) bool {
	return errors.Is(err, ledger.ErrNonceTooLow) || errors.Is(err, txpool.ErrReplaceUnderpriced)
}

func (a *sender) sign(ctx context.Context, data types.TxData) (*ledger.Transaction, error) {
	signed, err := types.SignNewTx(a.key, types.LatestSignerForChainID(new(big.Int).SetUint64(a.s.cfg.Genesis.ChainID)), data)
	if err != nil {
		return nil, a.s.broken(fmt.Errorf("signing a transaction: %w", err))
	}
	raw, err := signed.MarshalBinary()
	if err != nil {
		return nil, a.s.broken(fmt.Errorf("encoding a transaction: %w", err))
	}
	return a.s.decode(ctx, raw)
}
