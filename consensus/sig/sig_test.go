package sig_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/sig"
)

func key(t testing.TB, s string) *sig.Key {
	t.Helper()
	k, err := sig.ParseKeyBytes(common.FromHex(s))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	one  = "0000000000000000000000000000000000000000000000000000000000000001"
	last = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"
)

func TestKey_knownVectors(t *testing.T) {
	// r and s of keys 1 and n-1 are the RFC 6979 vectors that Bitcoin
	// libraries share, over the SHA-256 of the message.
	tests := []struct {
		name, secret, address, digest, sig string
	}{
		{
			"key 1, Satoshi Nakamoto", one, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
			"a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e",
			"934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8" +
				"2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
		},
		{
			"key n-1, Satoshi Nakamoto", last, "0x80C0dbf239224071c59dD8970ab9d542E3414aB2",
			"a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e",
			"fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0" +
				"6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := key(t, tt.secret)
			if got := k.Address().Hex(); got != tt.address {
				t.Errorf("address %s, want %s", got, tt.address)
			}
			digest := common.HexToHash(tt.digest)
			s := k.Sign(digest)
			if got := hex.EncodeToString(s[:64]); got != tt.sig {
				t.Errorf("signature %s, want %s", got, tt.sig)
			}
			if got, err := (sig.Secp256k1{}).Recover(digest, &s); err != nil || got != k.Address() {
				t.Errorf("recovered %s, %v", got, err)
			}
		})
	}
}

func TestKey_doesNotShowItself(t *testing.T) {
	const secret = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
	k := key(t, secret)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "key", k, "in", struct{ K *sig.Key }{k})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "key", k, "in", struct{ K *sig.Key }{k})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&log, verb+"\n", k)
		fmt.Fprintf(&log, verb+"\n", struct{ K *sig.Key }{k})
	}
	if b, err := json.Marshal(k); err == nil {
		log.Write(b)
	}
	d, _ := new(big.Int).SetString(secret, 16)
	for _, form := range []string{secret, d.String(), "[76 8 131"} {
		if strings.Contains(strings.ToLower(log.String()), form) {
			t.Errorf("the secret shows as %s", form[:8])
		}
	}
	if !strings.Contains(log.String(), k.Address().Hex()) {
		t.Error("the address does not show")
	}
	if _, err := sig.ParseKeyBytes([]byte(secret)); !errors.Is(err, sig.ErrKey) || strings.Contains(err.Error(), secret[:8]) {
		t.Errorf("got %v", err)
	}
}

func TestParseKeyBytes_refuses(t *testing.T) {
	order := last[:62] + "41"
	for _, s := range []string{"", one[2:], one + "00", order, strings.Repeat("f", 64), strings.Repeat("0", 64)} {
		if _, err := sig.ParseKeyBytes(common.FromHex(s)); !errors.Is(err, sig.ErrKey) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

func FuzzParseKeyBytes(f *testing.F) {
	for _, s := range []string{one, last, last[:62] + "41", "00", strings.Repeat("0", 64)} {
		f.Add(common.FromHex(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := sig.ParseKeyBytes(b)
		if err != nil {
			if !errors.Is(err, sig.ErrKey) {
				t.Fatal(err)
			}
			return
		}
		s := k.Sign(common.Hash{1})
		if who, err := (sig.Secp256k1{}).Recover(common.Hash{1}, &s); err != nil || who != k.Address() || !bytes.Equal(k.Secret(), b) {
			t.Fatalf("%s signs as %s, %v", k, who, err)
		}
	})
}

func TestGenerateKey(t *testing.T) {
	a, err := sig.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := sig.ParseKeyBytes(a.Secret())
	if err != nil || a.Address() != b.Address() {
		t.Errorf("%s parses as %s, %v", a, b, err)
	}
}

var order = crypto.S256().Params().N

func flipS(s *consensus.Signature) {
	v := new(big.Int).SetBytes(s[32:64])
	v.Sub(order, v).FillBytes(s[32:64])
}

func TestSecp256k1_Recover_malleability(t *testing.T) {
	half := new(big.Int).Rsh(order, 1)
	set := func(from, to int, v *big.Int) func(*consensus.Signature) {
		return func(s *consensus.Signature) { v.FillBytes(s[from:to]) }
	}
	tests := []struct {
		name   string
		change func(*consensus.Signature)
		ok     bool // recovers, but somebody else
	}{
		{"high s", flipS, false},
		{"high s, other v", func(s *consensus.Signature) { flipS(s); s[64] ^= 1 }, false},
		{"other v", func(s *consensus.Signature) { s[64] ^= 1 }, true},
		{"v + 2", func(s *consensus.Signature) { s[64] += 2 }, false},
		{"v + 27", func(s *consensus.Signature) { s[64] += 27 }, false},
		{"v 255", func(s *consensus.Signature) { s[64] = 255 }, false},
		{"r zero", set(0, 32, new(big.Int)), false},
		{"s zero", set(32, 64, new(big.Int)), false},
		{"r the order", set(0, 32, order), false},
		{"r above the order", set(0, 32, new(big.Int).Add(order, big.NewInt(1))), false},
		{"r no point", set(0, 32, big.NewInt(5)), false},
		{"s half the order", set(32, 64, half), true},
		{"s above half the order", set(32, 64, new(big.Int).Add(half, big.NewInt(1))), false},
		{"s the order", set(32, 64, order), false},
		{"zero", func(s *consensus.Signature) { *s = consensus.Signature{} }, false},
	}
	k, digest := key(t, one), crypto.Keccak256Hash([]byte("vote"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := k.Sign(digest)
			tt.change(&s)
			got, err := (sig.Secp256k1{}).Recover(digest, &s)
			if tt.ok != (err == nil) || got == k.Address() {
				t.Errorf("got %s, %v", got, err)
			}
			if err != nil && !errors.Is(err, sig.ErrSignature) {
				t.Errorf("untyped error %v", err)
			}
		})
	}
}

func FuzzSecp256k1_Recover(f *testing.F) {
	k, err := sig.ParseKeyBytes(common.FromHex(one))
	if err != nil {
		f.Fatal(err)
	}
	digest := crypto.Keccak256Hash([]byte("vote"))
	good := k.Sign(digest)
	f.Add(digest[:], good[:])
	flipS(&good)
	f.Add(digest[:], good[:])
	f.Add([]byte{}, make([]byte, 65))
	f.Fuzz(func(t *testing.T, d, b []byte) {
		var s consensus.Signature
		copy(s[:], b)
		digest := common.BytesToHash(d)
		address, err := (sig.Secp256k1{}).Recover(digest, &s)
		r, low := new(big.Int).SetBytes(s[:32]), new(big.Int).SetBytes(s[32:64])
		if valid := crypto.ValidateSignatureValues(s[64], r, low, true); !valid && err == nil {
			t.Fatalf("%x recovers to %s", s, address)
		}
		if err != nil {
			if !errors.Is(err, sig.ErrSignature) {
				t.Fatal(err)
			}
			return
		}
		pub, err := crypto.SigToPub(digest[:], s[:])
		if err != nil || crypto.PubkeyToAddress(*pub) != address {
			t.Fatalf("%x recovers to %s, not %v (%v)", s, address, pub, err)
		}
	})
}

// counter is a scheme that counts and accepts signatures with s[0] == 0.
type counter struct{ calls atomic.Int64 }

func (c *counter) Recover(d common.Hash, s *consensus.Signature) (common.Address, error) {
	c.calls.Add(1)
	if s[0] != 0 {
		return common.Address{}, sig.ErrSignature
	}
	return common.BytesToAddress(append(d[:4:4], s[1:5]...)), nil
}

func TestCache_Recover(t *testing.T) {
	scheme := new(counter)
	c := sig.NewCache(scheme, 1000)
	bad := consensus.Signature{1}
	for range 3 {
		if _, err := c.Recover(common.Hash{}, &bad); !errors.Is(err, sig.ErrSignature) {
			t.Fatalf("got %v", err)
		}
	}
	if n := scheme.calls.Load(); n != 3 || c.Len() != 0 {
		t.Errorf("failures were remembered: %d calls, %d entries", n, c.Len())
	}
	a, b := consensus.Signature{0, 1}, consensus.Signature{0, 2}
	for range 3 {
		for _, s := range []consensus.Signature{a, b} {
			for _, d := range []common.Hash{{1}, {2}} {
				want, _ := new(counter).Recover(d, &s)
				if got, err := c.Recover(d, &s); err != nil || got != want {
					t.Errorf("got %s, %v, want %s", got, err, want)
				}
			}
		}
	}
	if hits, misses := c.Stats(); hits != 8 || misses != 7 || c.Len() != 4 {
		t.Errorf("%d hits, %d misses, %d entries", hits, misses, c.Len())
	}
}

func TestCache_isBoundedUnderConcurrentUse(t *testing.T) {
	const entries = 64
	c := sig.NewCache(new(counter), entries)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				s := consensus.Signature{0, byte(g), byte(i), byte(i >> 8)}
				want, _ := new(counter).Recover(common.Hash{9}, &s)
				if got, err := c.Recover(common.Hash{9}, &s); err != nil || got != want {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if c.Len() > entries {
		t.Errorf("%d entries, want at most %d", c.Len(), entries)
	}
}

func TestBackend(t *testing.T) {
	if b := sig.Backend(); b != "libsecp256k1" && b != "pure Go" {
		t.Errorf("got %q", b)
	}
}

func BenchmarkKey_Sign(b *testing.B) {
	k := key(b, one)
	for b.Loop() {
		k.Sign(common.Hash{1})
	}
}

func BenchmarkSecp256k1_Recover(b *testing.B) {
	s := key(b, one).Sign(common.Hash{1})
	for b.Loop() {
		if _, err := (sig.Secp256k1{}).Recover(common.Hash{1}, &s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCache_Recover(b *testing.B) {
	s := key(b, one).Sign(common.Hash{1})
	c := sig.NewCache(sig.Secp256k1{}, sig.DefaultCacheEntries)
	for b.Loop() {
		if _, err := c.Recover(common.Hash{1}, &s); err != nil {
			b.Fatal(err)
		}
	}
}
