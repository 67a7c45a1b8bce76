package exec_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// newDevelopmentChain is a chain whose state can be edited.
func newDevelopmentChain(tb testing.TB) *chain {
	tb.Helper()
	c := newChain(tb)
	c.values[string(ledger.DevelopmentKey())] = []byte{1}
	return c
}

// byEditor executes a transaction of the editor and returns its receipt.
func (c *chain) byEditor(to common.Address, value uint64, data []byte) *types.Receipt {
	c.t.Helper()
	key, err := ledger.EditorKey()
	if err != nil {
		c.t.Fatal(err)
	}
	res := c.block(sign(c.t, c.genesis, key, &types.LegacyTx{
		Nonce: c.accounts[ledger.EditorAddress()].Nonce, To: &to, Value: new(big.Int).SetUint64(value), Gas: c.genesis.TxGasCap, Data: data,
	}))
	if len(res.Receipts) != 1 {
		c.t.Fatalf("the transaction was dropped: %v", res.Drops)
	}
	return res.Receipts[0]
}

func (c *chain) edit(edits ...ledger.Edit) (ok bool) {
	c.t.Helper()
	return c.byEditor(ledger.EditAddress(), 0, ledger.EncodeEdits(edits)).Status == types.ReceiptStatusSuccessful
}

func TestEdit_replaces(t *testing.T) {
	c := newDevelopmentChain(t)
	a, b := common.HexToAddress("0xa0"), common.HexToAddress("0xb000")
	if !c.edit(
		ledger.Edit{Kind: ledger.EditBalance, Account: a, Value: bytes.Repeat([]byte{0xff}, 32)},
		ledger.Edit{Kind: ledger.EditNonce, Account: a, Value: []byte{9}},
		ledger.Edit{Kind: ledger.EditCode, Account: b, Value: puppet},
		ledger.Edit{Kind: ledger.EditStorage, Account: b, Slot: word(3), Value: []byte{1, 0}},
	) {
		t.Fatal("the edits failed")
	}
	if got := c.accounts[a]; got.Nonce != 9 || got.Balance != maxWei() {
		t.Errorf("account %+v", got)
	}
	if got := c.ask(b, script(nil).load(3)).word(); got != word(256) {
		t.Errorf("the code reads %s", got)
	}
	if !c.edit(ledger.Edit{Kind: ledger.EditCode, Account: b}, ledger.Edit{Kind: ledger.EditStorage, Account: b, Slot: word(3)},
		ledger.Edit{Kind: ledger.EditBalance, Account: a}) {
		t.Fatal("removing failed")
	}
	if got := c.accounts[b]; got.CodeHash != (common.Hash{}) || len(c.storage[b]) != 0 || c.accounts[a].Balance != wei(0) {
		t.Errorf("left behind: %+v, %v, %+v", got, c.storage[b], c.accounts[a])
	}
}

func TestEdit_takesWhatACreationCarries(t *testing.T) {
	c := newDevelopmentChain(t)
	a := common.HexToAddress("0xb000")
	if !c.edit(ledger.Edit{Kind: ledger.EditCode, Account: a, Value: packed(t, nil)}) {
		t.Fatal("the edit failed")
	}
	code, _, err := vm.ParseCreation(packed(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.accounts[a].CodeHash; got != crypto.Keccak256Hash(code) {
		t.Errorf("code %s", got)
	}
}

func TestEdit_allOrNone(t *testing.T) {
	c := newDevelopmentChain(t)
	_, rich := testKey(t, 0)
	c.accounts[rich] = ledger.Account{Nonce: 4, Balance: wei(7)}
	for name, last := range map[string]ledger.Edit{
		"a nonce that falls":  {Kind: ledger.EditNonce, Account: rich, Value: []byte{3}},
		"EVM bytecode":        {Kind: ledger.EditCode, Account: rich, Value: []byte{0x60, 0x80, 0x60, 0x40}},
		"an edit of nonsense": {Kind: 77},
	} {
		if c.edit(ledger.Edit{Kind: ledger.EditBalance, Account: rich, Value: []byte{1}}, last) {
			t.Errorf("%s: it succeeded", name)
		}
		if got := c.accounts[rich]; got.Nonce != 4 || got.Balance != wei(7) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	m := c.message(nil, 0, nil)
	to := ledger.EditAddress()
	m.From, m.To = ledger.EditorAddress(), &to
	m.Data = ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditNonce, Account: rich, Value: []byte{3}}})
	if res := c.call(m); res.Outcome != vm.Revert || !strings.Contains(string(res.Output), "must not be smaller") {
		t.Errorf("outcome %v, %q", res.Outcome, res.Output)
	}
}

func TestEdit_onlyByTheEditorItself(t *testing.T) {
	c := newDevelopmentChain(t)
	p := c.install(common.HexToAddress("0xb000"), 0)
	_, other := testKey(t, 1)
	data := ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditBalance, Account: other, Value: []byte{1}}})
	to := ledger.EditAddress()
	if r := c.run(&to, 0, 1_000_000, data); r.Status != types.ReceiptStatusFailed {
		t.Error("anybody may edit")
	}
	for name, s := range map[string]script{
		"call": script(nil).call(to, 0, allGas, data), "static": script(nil).static(to, allGas, data), "delegate": script(nil).delegate(to, allGas, data),
	} {
		c.byEditor(p, 0, s)
		if got := c.accounts[other].Balance; got != wei(1_000_000) {
			t.Errorf("a contract edits by %s: %v", name, got)
		}
	}
}

func TestEdit_elsewhereIsAnOrdinaryAccount(t *testing.T) {
	c := newChain(t)
	_, other := testKey(t, 1)
	c.accounts[ledger.EditorAddress()] = ledger.Account{Balance: wei(10)}
	data := ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditBalance, Account: other, Value: []byte{1}}})
	r := c.byEditor(ledger.EditAddress(), 3, data)
	if r.Status != types.ReceiptStatusSuccessful || r.GasUsed != ledger.IntrinsicGas(data, nil, false) {
		t.Errorf("status %d, gas %d", r.Status, r.GasUsed)
	}
	if got := c.accounts[ledger.EditAddress()]; got != (ledger.Account{Balance: wei(3)}) || c.accounts[other].Balance != wei(1_000_000) {
		t.Errorf("accounts %+v, %+v", got, c.accounts[other])
	}
}

func FuzzEdit(f *testing.F) {
	_, rich := testKey(f, 0)
	f.Add([]byte{})
	f.Add(ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditBalance, Account: rich, Value: []byte{1}}, {Kind: ledger.EditNonce, Account: rich, Value: []byte{1}}}))
	f.Add(ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditCode, Account: rich, Value: []byte{0x60, 0x80}}}))
	f.Add(ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditStorage, Account: rich, Value: []byte{1}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			t.Skip()
		}
		c := newDevelopmentChain(t)
		before := c.clone()
		failed := c.byEditor(ledger.EditAddress(), 0, data).Status == types.ReceiptStatusFailed
		if _, err := ledger.DecodeEdits(data); err != nil && !failed {
			t.Fatalf("%x was executed: %v", data, err)
		}
		if failed && (c.accounts[rich] != before.accounts[rich] || len(c.codes) != len(before.codes)) {
			t.Fatalf("%x failed and left something behind", data)
		}
	})
}
