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
		if got, of, ok := ledger.ParseStorageKey(tt.key); ok != (tt.name == "storage") || ok && (got != a || of != slot) {
			t.Errorf("%s parses as the slot %s of %s, %t", tt.name, of, got, ok)
		}
		if got, ok := ledger.ParseCodeKey(tt.key); ok != (tt.name == "code") || ok && got != slot {
			t.Errorf("%s parses as the code %s, %t", tt.name, got, ok)
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

func TestAppendStorageKey_doesNotAllocate(t *testing.T) {
	var buf [ledger.StorageKeyLen]byte
	a, slot := common.Address{1}, common.Hash{2}
	if n := testing.AllocsPerRun(100, func() {
		if ledger.AppendStorageKey(buf[:0], a, slot)[1] != 1 {
			t.Error("the address is not behind the prefix")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecodeSlot(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value []byte
		want  common.Hash
		err   error
	}{
		{"absent", nil, common.Hash{}, nil},
		{"one", common.Hash{31: 1}.Bytes(), common.Hash{31: 1}, nil},
		{"zero", make([]byte, 32), common.Hash{}, ledger.ErrInvalid},
		{"short", common.Hash{1}.Bytes()[:31], common.Hash{}, ledger.ErrInvalid},
		{"long", append(common.Hash{1}.Bytes(), 1), common.Hash{}, ledger.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ledger.DecodeSlot(tt.value); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("reads as %s, %v; want %s, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// FuzzParseKey: each raw key is at most one of account, storage slot and code, and is made again from its parts.
func FuzzParseKey(f *testing.F) {
	f.Add(ledger.AccountKey(common.Address{1}))
	f.Add(ledger.StorageKey(common.Address{1}, common.Hash{2}))
	f.Add(ledger.CodeKey(common.Hash{3}))
	f.Add(ledger.SystemKey("twenty bytes of name"))
	f.Fuzz(func(t *testing.T, key []byte) {
		starts := func(prefix byte, size int) bool { return len(key) == size && key[0] == prefix }
		a, ok := ledger.ParseAccountKey(key)
		if ok != starts('a', 21) || ok && !bytes.Equal(ledger.AccountKey(a), key) {
			t.Fatalf("%x is the key of %s: %t", key, a, ok)
		}
		a, slot, ok := ledger.ParseStorageKey(key)
		if ok != starts('s', 53) || ok && !bytes.Equal(ledger.StorageKey(a, slot), key) {
			t.Fatalf("%x is the key of slot %s of %s: %t", key, slot, a, ok)
		}
		hash, ok := ledger.ParseCodeKey(key)
		if ok != starts('c', 33) || ok && !bytes.Equal(ledger.CodeKey(hash), key) {
			t.Fatalf("%x is the key of the code %s: %t", key, hash, ok)
		}
	})
}
