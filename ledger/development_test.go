package ledger_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
)

func someEdits() []ledger.Edit {
	return []ledger.Edit{
		{Kind: ledger.EditBalance, Account: common.Address{1}, Value: []byte{0x12, 0x34}},
		{Kind: ledger.EditNonce, Account: common.Address{2}, Value: []byte{7}},
		{Kind: ledger.EditCode, Account: common.Address{3}, Value: []byte{0, 'a', 's', 'm'}},
		{Kind: ledger.EditStorage, Account: common.Address{3}, Slot: common.Hash{31: 5}, Value: []byte{}},
	}
}

func TestEdits_roundTrip(t *testing.T) {
	got, err := ledger.DecodeEdits(ledger.EncodeEdits(someEdits()))
	if err != nil || !reflect.DeepEqual(got, someEdits()) {
		t.Errorf("%v, %v; want %v", got, err, someEdits())
	}
	golden(t, "edits", ledger.EncodeEdits(someEdits()))
}

func TestDecodeEdits_refuses(t *testing.T) {
	for name, edits := range map[string][]ledger.Edit{
		"none":          {},
		"too many":      slices.Repeat(someEdits()[:1], 1025),
		"unknown kind":  {{Kind: 5}},
		"kind 0":        {{}},
		"long nonce":    {{Kind: ledger.EditNonce, Value: bytes.Repeat([]byte{1}, 9)}},
		"long balance":  {{Kind: ledger.EditBalance, Value: bytes.Repeat([]byte{1}, 33)}},
		"leading zero":  {{Kind: ledger.EditStorage, Value: []byte{0, 1}}},
		"needless slot": {{Kind: ledger.EditBalance, Slot: common.Hash{1}}},
	} {
		if got, err := ledger.DecodeEdits(ledger.EncodeEdits(edits)); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestEditorKey_isOfItsAddress(t *testing.T) {
	key, err := ledger.EditorKey()
	if err != nil {
		t.Fatal(err)
	}
	if got := crypto.PubkeyToAddress(key.PublicKey); got != ledger.EditorAddress() {
		t.Errorf("address %s, want %s", got, ledger.EditorAddress())
	}
}

func TestGenesis_Development_isForOneValidator(t *testing.T) {
	g := testGenesis()
	g.Forks = nil
	g.Development = true
	if err := g.Validate(); err == nil || !strings.Contains(err.Error(), "keep one") {
		t.Errorf("two validators: %v", err)
	}
	g.Validators = g.Validators[:1]
	if err := g.Validate(); err != nil {
		t.Errorf("one validator: %v", err)
	}
	marked := func() bool {
		return slices.ContainsFunc(g.Changes(), func(c ledger.Change) bool { return bytes.Equal(c.Key, ledger.DevelopmentKey()) })
	}
	if !marked() {
		t.Error("the state of block 0 does not say that it is a development chain")
	}
	parsed, err := ledger.ParseGenesis(g.EncodeJSON())
	if err != nil || !parsed.Development || parsed.Commitment() != g.Commitment() {
		t.Errorf("%+v, %v", parsed, err)
	}
	if g.Development = false; marked() {
		t.Error("the state of another chain is marked")
	}
}

func FuzzDecodeEdits(f *testing.F) {
	f.Add([]byte{})
	f.Add(ledger.EncodeEdits(someEdits()))
	f.Add(ledger.EncodeEdits([]ledger.Edit{{Kind: ledger.EditNonce, Value: []byte{0}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		edits, err := ledger.DecodeEdits(data)
		if err == nil && !bytes.Equal(ledger.EncodeEdits(edits), data) {
			t.Fatalf("%x decodes to %v", data, edits)
		}
	})
}
