package rpc

import (
	"fmt"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

// web3API has the web3_ methods.
type web3API struct{ s *Server }

// ClientVersion names the program.
func (w *web3API) ClientVersion() string { return w.s.cfg.Version }

// Sha3 is keccak256.
func (w *web3API) Sha3(input hexutil.Bytes) hexutil.Bytes { return crypto.Keccak256(input) }

// netAPI has the net_ methods.
type netAPI struct{ s *Server }

// Version is the chain id in decimal.
func (n *netAPI) Version() string { return strconv.FormatUint(n.s.cfg.Genesis.ChainID, 10) }

// Listening is true.
func (n *netAPI) Listening() bool { return true }

// PeerCount is how many peers are connected.
func (n *netAPI) PeerCount() hexutil.Uint { return hexutil.Uint(max(n.s.cfg.Chain.Status().Peers, 0)) }

// txpoolAPI has the txpool_ methods.
type txpoolAPI struct{ s *Server }

// maxContent bounds the transactions of one txpool_content: some 8 MB of JSON. Senders beyond it are
// left out; txpool_contentFrom shows them.
const maxContent = 10_000

// Status counts the transactions that can be ordered, and those behind a nonce gap.
func (t *txpoolAPI) Status() map[string]hexutil.Uint {
	stats := t.s.cfg.Pool.Stats()
	return map[string]hexutil.Uint{"pending": hexutil.Uint(stats.Pending), "queued": hexutil.Uint(stats.Queued)}
}

// byNonce is a sender's transactions, keyed by decimal nonce.
type byNonce map[string]any

// Content lists the transactions by sender and nonce.
func (t *txpoolAPI) Content() map[string]map[string]byNonce {
	return byState(t.s.cfg.Pool.Content(maxContent), func(tx *ledger.Transaction) any { return marshalTransaction(tx, nil) })
}

// Inspect is Content in words.
func (t *txpoolAPI) Inspect() map[string]map[string]byNonce {
	return byState(t.s.cfg.Pool.Content(maxContent), func(tx *ledger.Transaction) any {
		price := tx.Inner().GasPrice()
		if to := tx.To(); to != nil {
			return fmt.Sprintf("%s: %s wei + %d gas × %s wei", to.Hex(), tx.Value().Dec(), tx.Gas(), price)
		}
		return fmt.Sprintf("contract creation: %s wei + %d gas × %s wei", tx.Value().Dec(), tx.Gas(), price)
	})
}

// ContentFrom lists one sender's transactions.
func (t *txpoolAPI) ContentFrom(address common.Address) map[string]byNonce {
	a := t.s.cfg.Pool.ContentFrom(address)
	render := func(tx *ledger.Transaction) any { return marshalTransaction(tx, nil) }
	return map[string]byNonce{"pending": nonces(a.Pending, render), "queued": nonces(a.Queued, render)}
}

func byState(accounts []txpool.Account, render func(*ledger.Transaction) any) map[string]map[string]byNonce {
	out := map[string]map[string]byNonce{"pending": {}, "queued": {}}
	for _, a := range accounts {
		if len(a.Pending) > 0 {
			out["pending"][a.Address.Hex()] = nonces(a.Pending, render)
		}
		if len(a.Queued) > 0 {
			out["queued"][a.Address.Hex()] = nonces(a.Queued, render)
		}
	}
	return out
}

func nonces(txs []*ledger.Transaction, render func(*ledger.Transaction) any) byNonce {
	out := make(byNonce, len(txs))
	for _, tx := range txs {
		out[strconv.FormatUint(tx.Nonce(), 10)] = render(tx)
	}
	return out
}
