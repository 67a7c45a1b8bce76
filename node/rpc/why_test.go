package rpc_test

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/node/txpool"
)

// why is the answer of tercet_whyNotIncluded.
type why struct {
	Code, Message, MissingNonce, Ahead, BlockNumber, ReplacedBy, Nonce string
	Also                                                               []struct{ Code, Message string }
}

func (c *chain) why(hash common.Hash) (w why) {
	c.t.Helper()
	must(c.t, json.Unmarshal([]byte(c.result("tercet_whyNotIncluded", hash)), &w))
	return w
}

// offered is a transfer with a fee, of so much wei.
func offered(t *testing.T, nonce uint64, wei, fee int64) *types.Transaction {
	to := addr(bob)
	return sign(t, alice, &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(wei), GasTipCap: big.NewInt(fee), GasFeeCap: big.NewInt(fee),
	})
}

// smallPool replaces the chain's pool by one that holds 4 transactions for an hour.
func smallPool(c *chain, cfg *rpc.Config) {
	var err error
	c.pool, err = txpool.New(txpool.Config{Genesis: c.genesis, State: c.state, MaxTransactions: 4})
	must(c.t, err)
	cfg.Pool = c.pool
}

// TestServer_whyNotIncluded makes a transaction wait or go in every way.
func TestServer_whyNotIncluded(t *testing.T) {
	add := func(c *chain, txs ...*types.Transaction) common.Hash {
		for _, tx := range txs {
			must(c.t, c.pool.Add(decoded(c.t, tx), time.Now()))
		}
		return txs[len(txs)-1].Hash()
	}
	refuse := func(c *chain, tx *types.Transaction) common.Hash {
		if c.pool.Add(decoded(c.t, tx), time.Now()) == nil {
			c.t.Error("the pool took it")
		}
		return tx.Hash()
	}
	for _, tc := range []struct {
		name string
		make func(c *chain) common.Hash
		want why    // Message is a part of it
		also string // codes
	}{
		{"unknown", func(*chain) common.Hash { return common.Hash{1} }, why{Code: "unknown", Message: "never received"}, ""},
		{
			"gap", func(c *chain) common.Hash { return add(c, offered(t, 0, 1, 1), offered(t, 3, 1, 1)) },
			why{Code: "nonce_gap", Message: "no transaction with nonce 1", MissingNonce: "0x1", Ahead: "0x1", Nonce: "0x3"},
			"",
		},
		{
			"behind", func(c *chain) common.Hash { return add(c, offered(t, 0, 1, 1), offered(t, 1, 1, 1)) },
			why{Code: "behind_others", Message: "1 transactions", Ahead: "0x1", Nonce: "0x1"},
			"",
		},
		{"next", func(c *chain) common.Hash { return add(c, offered(t, 0, 1, 1)) }, why{Code: "next_block", Message: "nothing is in its way", Nonce: "0x0"}, ""},
		{"no money now", func(c *chain) common.Hash {
			hash := add(c, offered(t, 1, 5e18, 1))
			_, err := c.state.Apply(1, change(addr(alice), ledger.Account{Nonce: 1}))
			must(t, err)
			c.pool.Advance(&ledger.Block{Transactions: []*ledger.Transaction{decoded(t, offered(t, 0, 1, 1))}}, time.Now())
			return hash
		}, why{Code: "insufficient_funds", Message: "could not pay its value", Nonce: "0x1"}, ""},
		{"no money by now", func(c *chain) common.Hash {
			hash := add(c, offered(t, 0, 1, 1), offered(t, 1, 5e18, 1))
			_, err := c.state.Apply(1, change(addr(alice), ledger.Account{Balance: *uint256.NewInt(ether)}))
			must(t, err)
			return hash
		}, why{Code: "insufficient_funds", Message: "it sends 5000000000000000000 wei and", Nonce: "0x1"}, ""},
		{"no money at first", func(c *chain) common.Hash { return refuse(c, pay(t, carol, 0, 0)) }, why{Code: "insufficient_funds", Message: "balance 0", Nonce: "0x0"}, ""},
		{"too much gas", func(c *chain) common.Hash {
			return refuse(c, sign(t, alice, &types.LegacyTx{Gas: 1 << 39, To: &common.Address{1}}))
		}, why{Code: "gas_limit", Message: "exceeds block gas limit", Nonce: "0x0"}, ""},
		{"full", func(c *chain) common.Hash {
			add(c, offered(t, 0, 1, 1), offered(t, 1, 1, 1), offered(t, 2, 1, 1), offered(t, 3, 1, 1))
			return refuse(c, pay(t, bob, 0, 0))
		}, why{Code: "pool_full", Message: "txpool is full", Nonce: "0x0"}, ""},
		{"evicted", func(c *chain) common.Hash {
			hash := add(c, pay(t, bob, 7, 0))
			add(c, offered(t, 0, 1, 1), offered(t, 1, 1, 1), offered(t, 2, 1, 1), offered(t, 3, 1, 1))
			return hash
		}, why{Code: "evicted", Message: "send it again", Nonce: "0x7"}, ""},
		{"expired", func(c *chain) common.Hash {
			hash := add(c, offered(t, 0, 1, 1))
			c.pool.Advance(&ledger.Block{}, time.Now().Add(2*time.Hour))
			return hash
		}, why{Code: "expired", Message: "pool.lifetime", Nonce: "0x0"}, ""},
		{"replaced", func(c *chain) common.Hash {
			tx := offered(t, 0, 1, 10)
			add(c, tx, offered(t, 0, 2, 20))
			return tx.Hash()
		}, why{Code: "replaced", Message: "offers more", ReplacedBy: offered(t, 0, 2, 20).Hash().Hex(), Nonce: "0x0"}, ""},
		{"another executed", func(c *chain) common.Hash {
			tx := offered(t, 0, 1, 10)
			add(c, tx)
			c.execute(decoded(t, offered(t, 0, 2, 20)))
			return tx.Hash()
		}, why{Code: "nonce_used", Message: "can never be", ReplacedBy: offered(t, 0, 2, 20).Hash().Hex(), Nonce: "0x0"}, ""},
		{"dropped", func(c *chain) common.Hash {
			tx := pay(t, carol, 0, 0)
			c.execute(decoded(t, tx))
			return tx.Hash()
		}, why{Code: "dropped", Message: "insufficient funds", BlockNumber: "0x1"}, ""},
		{"included", func(c *chain) common.Hash {
			tx := offered(t, 0, 1, 1)
			c.execute(decoded(t, tx))
			return tx.Hash()
		}, why{Code: "included", Message: "number 0 of block 1 and succeeded", BlockNumber: "0x1", Nonce: "0x0"}, ""},
		{"no quorum", func(c *chain) common.Hash {
			c.reasons = []string{"no_quorum: 2 of the 3 validators that make a quorum are in reach", "behind: x"}
			return add(c, offered(t, 0, 1, 1))
		}, why{Code: "no_quorum", Message: "2 of the 3", Nonce: "0x0"}, ""},
		{"gap and no quorum, syncing", func(c *chain) common.Hash {
			c.reasons, c.syncing = []string{"no_quorum: 2 of 3"}, true
			return add(c, offered(t, 1, 1, 1))
		}, why{Code: "nonce_gap", Message: "nonce 0", MissingNonce: "0x0", Ahead: "0x0", Nonce: "0x1"}, "no_quorum syncing"},
		{"execution lags", func(c *chain) common.Hash {
			c.behind = 40
			return add(c, offered(t, 0, 1, 1))
		}, why{Code: "execution_lag", Message: "executes block 1 of 40", Nonce: "0x0"}, ""},
		{"unknown to one that syncs", func(c *chain) common.Hash {
			c.syncing = true
			return common.Hash{2}
		}, why{Code: "unknown", Message: "never received"}, "syncing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t, smallPool)
			got := c.why(tc.make(c))
			var also []string
			for _, a := range got.Also {
				also = append(also, a.Code)
			}
			if !strings.Contains(got.Message, tc.want.Message) || strings.Join(also, " ") != tc.also {
				t.Errorf("%q, also %v", got.Message, also)
			}
			if !regexp.MustCompile("`" + got.Code + "`").MatchString(rpcDocument(t)) {
				t.Errorf("docs/rpc.md does not have the code %s", got.Code)
			}
			got.Message, got.Also, tc.want.Message = "", nil, ""
			if g, w := mustJSON(t, got), mustJSON(t, tc.want); g != w {
				t.Errorf("got %s, want %s", g, w)
			}
		})
	}
}

func mustJSON(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	must(t, err)
	return string(raw)
}

// change is a change of one account.
func change(address common.Address, a ledger.Account) []ledger.Change {
	key := ledger.AccountKey(address)
	return []ledger.Change{{Path: ledger.Path(key), Key: key, Value: ledger.EncodeAccount(a)}}
}
