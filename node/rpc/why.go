package rpc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/txpool"
)

// lagBlocks is how far execution must be behind ordering to be named as what a transaction waits for.
const lagBlocks = 8

// whyCode is a reason that programs compare; docs/rpc.md lists them.
type whyCode string

// The codes beside those of [txpool.Reason].
const (
	whyIncluded  whyCode = "included"
	whyUnknown   whyCode = "unknown"
	whyGap       whyCode = "nonce_gap"
	whyBehind    whyCode = "behind_others"
	whyUnpaid    whyCode = whyCode(txpool.Unpaid)
	whyGas       whyCode = "gas_limit"
	whyFull      whyCode = "pool_full"
	whyAccount   whyCode = "account_limit"
	whyDropped   whyCode = whyCode(txpool.Dropped)
	whyNoQuorum  whyCode = "no_quorum"
	whyLag       whyCode = "execution_lag"
	whySyncing   whyCode = "syncing"
	whyTurn      whyCode = "next_block"
	peersMissing         = "no_quorum: " // the node's own reason for no_quorum
)

// whyJSON says why a transaction is not in a block. Fields that say nothing about the case are absent.
type whyJSON struct {
	Code    whyCode `json:"code"`
	Message string  `json:"message"`
	// BlockNumber of the block that executed or dropped it.
	BlockNumber *hexutil.Uint64 `json:"blockNumber,omitempty"`
	From        *common.Address `json:"from,omitempty"`
	Nonce       *hexutil.Uint64 `json:"nonce,omitempty"`
	// MissingNonce is the lowest one that nobody has sent.
	MissingNonce *hexutil.Uint64 `json:"missingNonce,omitempty"`
	// Ahead counts the sender's transactions that come first.
	Ahead *hexutil.Uint64 `json:"ahead,omitempty"`
	// ReplacedBy took its place.
	ReplacedBy *common.Hash `json:"replacedBy,omitempty"`
	// Since is when it came into the pool or left it, Unix ms.
	Since *hexutil.Uint64 `json:"since,omitempty"`
	// Also holds what else it waits for: the node's troubles.
	Also []cause `json:"also,omitempty"`
}

type cause struct {
	Code    whyCode `json:"code"`
	Message string  `json:"message"`
}

// WhyNotIncluded says in words and with a stable code why a transaction is not in a block, or in which it is.
func (t *tercetAPI) WhyNotIncluded(hash common.Hash) (*whyJSON, error) {
	s := t.s
	// Twice, for a transaction that is executed between the first look and the second.
	for range 2 {
		at, found, err := s.transaction(hash)
		if err != nil {
			return nil, err
		}
		if found {
			return included(at), nil
		}
		if p, ok := s.cfg.Pool.Place(hash); ok {
			return s.whyWaiting(&p), nil
		}
	}
	position, err := s.cfg.Store.Transaction(hash)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, s.broken(fmt.Errorf("looking up transaction %s: %w", hash, err))
	}
	ordered := err == nil && position.Dropped != 0
	if ordered && !position.Dropped.Retry() {
		return dropped(&position), nil
	}
	if r, ok := s.cfg.Pool.Removed(hash); ok {
		return s.whyRemoved(&r), nil
	}
	if ordered {
		return dropped(&position), nil
	}
	out := &whyJSON{Code: whyUnknown, Message: "this node does not know it: it was never received here, or it left the pool before the node started or long ago; send it again"}
	out.Also = s.troubles()
	return out, nil
}

func included(at place) *whyJSON {
	height := hexutil.Uint64(at.height)
	word := "succeeded"
	if at.block.Receipts[at.index].Status == 0 {
		word = "reverted"
	}
	tx := at.block.Transactions[at.index]
	out := &whyJSON{Code: whyIncluded, Message: fmt.Sprintf("it is number %d of block %d and %s: that is final", at.index, at.height, word), BlockNumber: &height}
	return out.of(tx.From(), tx.Nonce())
}

func dropped(p *store.Position) *whyJSON {
	height := hexutil.Uint64(p.Height)
	return &whyJSON{
		Code: whyDropped, BlockNumber: &height,
		Message: fmt.Sprintf("block %d ordered it, and it could not be executed there: %s; it will never be, send another", p.Height, p.Dropped),
	}
}

func (w *whyJSON) of(from common.Address, nonce uint64) *whyJSON {
	n := hexutil.Uint64(nonce)
	w.From, w.Nonce = &from, &n
	return w
}

func (w *whyJSON) at(when time.Time) *whyJSON {
	ms := hexutil.Uint64(when.UnixMilli())
	w.Since = &ms
	return w
}

// whyWaiting explains a transaction in the pool: what is wrong with it comes before what is wrong with the node.
func (s *Server) whyWaiting(p *txpool.Place) *whyJSON {
	tx, also := p.Tx, s.troubles()
	out := (&whyJSON{}).of(tx.From(), tx.Nonce()).at(p.Since)
	account := s.cfg.State.Account(tx.From())
	ahead := hexutil.Uint64(p.Ahead)
	value := tx.Value()
	switch {
	case tx.Nonce() > p.Next:
		missing := hexutil.Uint64(p.Next)
		out.MissingNonce, out.Ahead = &missing, &ahead
		out.Code, out.Message = whyGap, fmt.Sprintf("it has nonce %d and %s has sent no transaction with nonce %d: send that one", tx.Nonce(), tx.From(), p.Next)
	case value.Gt(&account.Balance):
		out.Code, out.Message = whyUnpaid, fmt.Sprintf("it sends %s wei and %s has %s: add money, or replace it", value.Dec(), tx.From(), account.Balance.Dec())
	case tx.Gas() > s.cfg.Genesis.BlockGasLimit:
		out.Code, out.Message = whyGas, gasAbove(tx.Gas(), s.cfg.Genesis.BlockGasLimit)
	case len(also) > 0:
		out.Code, out.Message, also = also[0].Code, also[0].Message, also[1:]
	case p.Ahead > 0:
		out.Ahead = &ahead
		out.Code, out.Message = whyBehind, fmt.Sprintf("%d transactions of %s with lower nonces come first: wait", p.Ahead, tx.From())
	default:
		out.Code, out.Message = whyTurn, fmt.Sprintf("nothing is in its way: it is one of %d that the next blocks take; if that does not change, the leader has not received it", p.Pending)
	}
	out.Also = also
	return out
}

func gasAbove(gas, limit uint64) string {
	return fmt.Sprintf("it asks for %d gas and a block has %d: send it with less", gas, limit)
}

// troubles are what keeps every transaction waiting on this node.
func (s *Server) troubles() []cause {
	var out []cause
	status := s.cfg.Chain.Status()
	for _, r := range status.Reasons {
		if text, ok := strings.CutPrefix(r, peersMissing); ok {
			out = append(out, cause{whyNoQuorum, "no block can be ordered: " + text})
		}
	}
	height := s.head().Header.Number.Uint64()
	if status.Syncing {
		out = append(out, cause{whySyncing, fmt.Sprintf("this node catches up: it is at block %d of at least %d and may not see what is in later ones; ask another node, or wait", height, max(status.Highest, height))})
	}
	if status.Ordered > height+lagBlocks {
		out = append(out, cause{whyLag, fmt.Sprintf("this node executes block %d of %d that are ordered: it may be in one of them; wait", height+1, status.Ordered)})
	}
	return out
}

// whyRemoved explains a transaction that the pool remembers and does not hold.
func (s *Server) whyRemoved(r *txpool.Removed) *whyJSON {
	out := (&whyJSON{Code: whyCode(r.Reason)}).of(r.From, r.Nonce).at(r.At)
	if r.By != (common.Hash{}) {
		by := r.By
		out.ReplacedBy = &by
	}
	switch r.Reason {
	case txpool.Replaced:
		out.Message = fmt.Sprintf("transaction %s with the same nonce %d replaced it: it offers more", r.By, r.Nonce)
	case txpool.NonceUsed:
		out.Message = fmt.Sprintf("another transaction of %s with nonce %d was executed: it can never be", r.From, r.Nonce)
		if out.ReplacedBy != nil {
			out.Message = fmt.Sprintf("transaction %s of %s with the same nonce %d was executed: this one can never be", r.By, r.From, r.Nonce)
		}
	case txpool.Evicted:
		out.Message = "the pool was full and others could be ordered sooner: send it again, in the order of nonces"
	case txpool.Expired:
		out.Message = "it waited in the pool for the whole pool.lifetime: send it again"
	case txpool.Unpaid:
		out.Message = fmt.Sprintf("after a block %s could not pay its value any more: add money and send it again", r.From)
	case txpool.Dropped:
		out.Message = fmt.Sprintf("a block ordered it, and it could not be executed there: %v; it will never be, send another", r.Err)
	case txpool.Refused:
		out.Code, out.Message = refusal(r.Err), fmt.Sprintf("this node's pool did not take it: %v", r.Err)
	}
	return out
}

// refusal is the code of a pool's error.
func refusal(err error) whyCode {
	for _, c := range []struct {
		is   error
		code whyCode
	}{
		{txpool.ErrFull, whyFull},
		{txpool.ErrAccountLimit, whyAccount},
		{txpool.ErrInsufficientFunds, whyUnpaid},
		{txpool.ErrGasLimit, whyGas},
		{ledger.ErrGasLimitTooHigh, whyGas},
	} {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	return whyCode(txpool.Refused)
}
