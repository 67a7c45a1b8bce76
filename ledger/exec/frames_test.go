package exec_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
)

// TestExecute_contract deploys a contract and calls it, in the same block and in the next.
func TestExecute_contract(t *testing.T) {
	c := newChain(t)
	key, from := testKey(t, 0)
	at := crypto.CreateAddress(from, 0)
	call := sign(t, c.genesis, key, &types.LegacyTx{Nonce: 1, To: &at, Gas: 1_000_000, Data: script{}.store(1, 7).log("hello", 5)})
	res := c.block(c.sign(0, nil, 5, 10_000_000, puppet), call)
	if len(res.Receipts) != 2 || res.Receipts[0].Status != 1 || res.Receipts[1].Status != 1 {
		t.Fatalf("%+v", res)
	}
	t.Logf("gas %d %d", res.Receipts[0].GasUsed, res.Receipts[1].GasUsed)
	if got := c.accounts[at]; got != (ledger.Account{Nonce: 1, Balance: wei(5), CodeHash: crypto.Keccak256Hash(puppet)}) {
		t.Errorf("account %+v", got)
	}
	got := c.ask(at, script{}.load(1).load(2))
	if v, w := got.word(), got.word(); v != word(7) || w != word(0) {
		t.Errorf("slots %s %s", v, w)
	}
}
