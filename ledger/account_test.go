package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

func TestAccount_encoding(t *testing.T) {
	zeros := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name    string
		account ledger.Account
		want    string
	}{
		{"empty", ledger.Account{}, ""},
		{"nonce", ledger.Account{Nonce: 1}, "0000000000000001" + zeros},
		{"balance", ledger.Account{Balance: *uint256.NewInt(0x0102)}, "0000000000000000" + zeros[:60] + "0102"},
		{"largest", ledger.Account{Nonce: math.MaxUint64, Balance: *new(uint256.Int).SetAllOne()}, strings.Repeat("f", 80)},
		{"code", ledger.Account{CodeHash: common.Hash{0xcc}}, "0000000000000000" + zeros + "cc" + zeros[:62]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ledger.EncodeAccount(tt.account)
			if hex.EncodeToString(got) != tt.want {
				t.Errorf("encodes to %x, want %s", got, tt.want)
			}
			if (got == nil) != tt.account.IsEmpty() {
				t.Errorf("nil %t, empty %t", got == nil, tt.account.IsEmpty())
			}
			if n := ledger.AccountBytes(&tt.account); n != len(got) {
				t.Errorf("AccountBytes %d, want %d", n, len(got))
			}
			back, err := ledger.DecodeAccount(got)
			if err != nil || back != tt.account {
				t.Errorf("decodes to %v, %v", back, err)
			}
		})
	}
}

func TestDecodeAccount_refusesOtherEncodings(t *testing.T) {
	one := ledger.EncodeAccount(ledger.Account{Nonce: 1})
	for name, value := range map[string][]byte{
		"short":          one[:39],
		"long":           append(bytes.Clone(one), 1),
		"empty account":  make([]byte, 40),
		"zero code hash": append(bytes.Clone(one), make([]byte, 32)...),
	} {
		if a, err := ledger.DecodeAccount(value); !errors.Is(err, ledger.ErrInvalid) || a != (ledger.Account{}) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestKeys(t *testing.T) {
	a := common.HexToAddress("0x0102030405060708090a0b0c0d0e0f1011121314")
	slot := common.Hash{31: 7}
	for _, tt := range []struct {
		name string
		key  []byte
		want string
	}{
		{"account", ledger.AccountKey(a), "61" + hex.EncodeToString(a[:])},
		{"storage", ledger.StorageKey(a, slot), "73" + hex.EncodeToString(a[:]) + hex.EncodeToString(slot[:])},
		{"code", ledger.CodeKey(slot), "63" + hex.EncodeToString(slot[:])},
		{"system", ledger.SystemKey("abc"), "79616263"},
	} {
		if hex.EncodeToString(tt.key) != tt.want {
			t.Errorf("%s key %x, want %s", tt.name, tt.key, tt.want)
		}
		if ledger.Path(tt.key) != sha256.Sum256(tt.key) {
			t.Errorf("%s path is not the SHA-256", tt.name)
		}
		if got, ok := ledger.ParseAccountKey(tt.key); ok != (tt.name == "account") || ok && got != a {
			t.Errorf("%s parses as the account %s, %t", tt.name, got, ok)
		}
	}
}

func FuzzDecodeAccount(f *testing.F) {
	f.Add(ledger.EncodeAccount(ledger.Account{Nonce: 1}))
	f.Add(ledger.EncodeAccount(ledger.Account{CodeHash: common.Hash{1}}))
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ledger.DecodeAccount(data)
		if err != nil && !errors.Is(err, ledger.ErrInvalid) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(ledger.EncodeAccount(a), data) {
			t.Fatalf("%x decodes and encodes to %x", data, ledger.EncodeAccount(a))
		}
	})
}

func FuzzParseAccountKey(f *testing.F) {
	f.Add(ledger.AccountKey(common.Address{1}))
	f.Add(ledger.StorageKey(common.Address{1}, common.Hash{2}))
	f.Add(ledger.SystemKey("twenty bytes of name"))
	f.Fuzz(func(t *testing.T, key []byte) {
		a, ok := ledger.ParseAccountKey(key)
		if ok != (len(key) == 21 && key[0] == 'a') || ok && !bytes.Equal(ledger.AccountKey(a), key) {
			t.Fatalf("%x is the key of %s: %t", key, a, ok)
		}
	})
}
