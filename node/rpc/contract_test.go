package rpc_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
)

// plant executes a block that changes the state under raw keys; an empty value removes.
func (c *chain) plant(values map[string][]byte, codes ...ledger.Code) {
	c.t.Helper()
	c.store.HoldCodes(codes)
	c.amend = func(result *exec.Result) {
		for key, value := range values {
			result.Changes = append(result.Changes, ledger.Change{Path: ledger.Path([]byte(key)), Key: []byte(key), Value: value})
		}
		slices.SortFunc(result.Changes, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	}
	c.execute()
	c.amend = nil
}

func TestServer_codeAndStorage(t *testing.T) {
	c := newChain(t, nil)
	code := []byte("\x00asm\x01\x00\x00\x00")
	hash, one, two := crypto.Keccak256Hash(code), topic(1), topic(2)
	c.plant(map[string][]byte{
		string(ledger.AccountKey(token)):                    ledger.EncodeAccount(ledger.Account{Nonce: 1, CodeHash: hash}),
		string(ledger.CodeKey(hash)):                        ledger.EncodeActivation(ledger.Activation{Version: 1, ModuleBytes: uint32(len(code)), Gas: 1}),
		string(ledger.StorageKey(token, one)):               one[:],
		string(ledger.StorageKey(token, two)):               two[:],
		string(ledger.StorageKey(other, one)):               two[:],
		string(ledger.AccountKey(addr(carol))):              nil,
		string(ledger.StorageKey(token, common.Hash{0xff})): one[:],
	}, ledger.Code{Hash: hash, Bytes: code})
	created := c.parent.Hash()
	c.plant(map[string][]byte{string(ledger.StorageKey(token, one)): two[:], string(ledger.StorageKey(token, two)): nil})
	zero := common.Hash{}
	for _, tc := range []struct {
		name, method string
		params       []any
		want         string
	}{
		{"code", "eth_getCode", []any{token, "latest"}, hexutil.Encode(code)},
		{"code by hash", "eth_getCode", []any{token, map[string]any{"blockHash": created}}, hexutil.Encode(code)},
		{"no code before", "eth_getCode", []any{token, "0x0"}, "0x"},
		{"no code elsewhere", "eth_getCode", []any{addr(alice)}, "0x"},
		{"slot", "eth_getStorageAt", []any{token, "0x1", "latest"}, two.Hex()},
		{"slot before", "eth_getStorageAt", []any{token, "0x1", "0x1"}, one.Hex()},
		{"slot by hash", "eth_getStorageAt", []any{token, "0x2", map[string]any{"blockHash": created}}, two.Hex()},
		{"removed slot", "eth_getStorageAt", []any{token, "0x2", "latest"}, zero.Hex()},
		{"slot in 32 bytes", "eth_getStorageAt", []any{token, one.Hex(), "latest"}, two.Hex()},
		{"slot without a prefix", "eth_getStorageAt", []any{token, "01", "latest"}, two.Hex()},
		{"slot of another contract", "eth_getStorageAt", []any{other, "0x1"}, two.Hex()},
		{"high slot", "eth_getStorageAt", []any{token, "0xff" + strings.Repeat("0", 62)}, one.Hex()},
		{"slot at the genesis", "eth_getStorageAt", []any{token, "0x1", "earliest"}, zero.Hex()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, want := c.result(tc.method, tc.params...), `"`+tc.want+`"`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	for range 300 {
		c.execute()
	}
	for method, params := range map[string][]any{"eth_getCode": {token, "0x1"}, "eth_getStorageAt": {token, "0x1", "0x1"}} {
		if a := c.call(method, params...); a.Error == nil || !strings.Contains(a.Error.Message, "historical state is not available at block 1") {
			t.Errorf("%s: got %s", method, a.Result)
		}
	}
}
