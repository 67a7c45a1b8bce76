package ledger_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
)

var genesisHash = common.Hash{0x9e}

func testResult(validators []common.Address) ledger.ExecResult {
	set := ledger.ValidatorSetHash(validators)
	return ledger.ExecResult{
		Epoch: 1, Height: 0x0203, HeaderHash: common.Hash{4}, StateRoot: common.Hash{5}, ReceiptsRoot: common.Hash{6},
		TimeMs: 1_700_000_000_123, ValidatorSetHash: set, PendingSetHash: set,
	}
}

func signExec(tb testing.TB, key *ecdsa.PrivateKey, signer int, r ledger.ExecResult) *ledger.ExecVote {
	tb.Helper()
	sig, err := crypto.Sign(r.Digest(ledger.TestnetChainID, genesisHash).Bytes(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return &ledger.ExecVote{ExecResult: r, Signer: uint16(signer), Sig: [65]byte(sig)}
}

// testCert is signed by some of n validators.
func testCert(tb testing.TB, n int, signers ...int) (*ledger.ExecCert, []common.Address) {
	tb.Helper()
	keys, validators := testValidators(tb, n)
	result := testResult(validators)
	var votes []*ledger.ExecVote
	for _, i := range signers {
		votes = append(votes, signExec(tb, keys[i], i, result))
	}
	cert, err := ledger.NewExecCert(result, n, votes)
	if err != nil {
		tb.Fatal(err)
	}
	return cert, validators
}

func TestExecResult_Digest_isThePinnedEncoding(t *testing.T) {
	r := ledger.ExecResult{
		Epoch: 1, Height: 2, HeaderHash: common.Hash{3}, StateRoot: common.Hash{4}, ReceiptsRoot: common.Hash{5}, TimeMs: 6,
		ValidatorSetHash: common.Hash{7}, PendingSetHash: common.Hash{8}, NextSetHash: common.Hash{9},
	}
	hash := func(b string) string { return b + strings.Repeat("0", 62) }
	encoded, err := hex.DecodeString(hex.EncodeToString([]byte("tercet/exec/1")) + "0000000000001cbd" + hash("9e") +
		"0000000000000001" + "0000000000000002" + hash("03") + hash("04") + hash("05") + "0000000000000006" + hash("07") + hash("08") + hash("09"))
	if err != nil {
		t.Fatal(err)
	}
	got := r.Digest(7357, genesisHash)
	if want := crypto.Keccak256Hash(encoded); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	golden(t, "exec_digest", got[:])
}

func TestExecVote_encodingAndVerify(t *testing.T) {
	keys, validators := testValidators(t, 4)
	v := signExec(t, keys[2], 2, testResult(validators))
	encoded := ledger.EncodeExecVote(v)
	golden(t, "exec_vote", encoded)
	got, err := ledger.DecodeExecVote(encoded)
	if err != nil || *got != *v {
		t.Errorf("decodes to %+v, %v", got, err)
	}
	if err := v.Verify(ledger.TestnetChainID, genesisHash, validators); err != nil {
		t.Error(err)
	}
	if _, err := ledger.DecodeExecVote(encoded[:len(encoded)-1]); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("torn: %v", err)
	}
	for name, change := range map[string]func(*ledger.ExecVote){
		"another signer":   func(v *ledger.ExecVote) { v.Signer = 1 },
		"beyond the set":   func(v *ledger.ExecVote) { v.Signer = 4 },
		"another height":   func(v *ledger.ExecVote) { v.Height++ },
		"another set":      func(v *ledger.ExecVote) { v.ValidatorSetHash[0]++ },
		"Ethereum's v":     func(v *ledger.ExecVote) { v.Sig[64] += 27 },
		"the other s":      func(v *ledger.ExecVote) { flip(v.Sig[:]) },
		"no signature":     func(v *ledger.ExecVote) { v.Sig = [65]byte{} },
		"the other parity": func(v *ledger.ExecVote) { v.Sig[64] ^= 1 },
	} {
		w := *v
		change(&w)
		if err := w.Verify(ledger.TestnetChainID, genesisHash, validators); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// flip makes the other signature that a plain verification takes for valid: s and v of the negative.
func flip(sig []byte) {
	s := new(big.Int).SetBytes(sig[32:64])
	s.Sub(crypto.S256().Params().N, s).FillBytes(sig[32:64])
	sig[64] ^= 1
}

func TestExecCert_encoding(t *testing.T) {
	cert, _ := testCert(t, 4, 3, 0, 1)
	encoded := ledger.EncodeExecCert(cert)
	golden(t, "exec_cert", encoded)
	got, err := ledger.DecodeExecCert(encoded)
	if err != nil || !reflect.DeepEqual(got, cert) {
		t.Errorf("decodes to %+v, %v", got, err)
	}
	if !reflect.DeepEqual(cert.Signers(), []int{0, 1, 3}) || !bytes.Equal(cert.Bitmap, []byte{0b1011}) {
		t.Errorf("signers %v, bitmap %b", cert.Signers(), cert.Bitmap)
	}
	for name, b := range map[string][]byte{
		"nothing":  nil,
		"torn":     encoded[:len(encoded)-1],
		"trailing": append(bytes.Clone(encoded), 0),
		"vast":     make([]byte, 70_000),
		"empty":    ledger.EncodeExecCert(&ledger.ExecCert{}),
	} {
		if got, err := ledger.DecodeExecCert(b); !errors.Is(err, ledger.ErrInvalid) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestNewExecCert_refuses(t *testing.T) {
	keys, validators := testValidators(t, 4)
	result := testResult(validators)
	other := result
	other.Height++
	for name, votes := range map[string][]*ledger.ExecVote{
		"another result": {signExec(t, keys[0], 0, other)},
		"beyond the set": {signExec(t, keys[0], 4, result)},
		"twice":          {signExec(t, keys[0], 0, result), signExec(t, keys[1], 1, result), signExec(t, keys[0], 0, result)},
	} {
		if c, err := ledger.NewExecCert(result, 4, votes); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestExecCert_Verify(t *testing.T) {
	for _, n := range []int{1, 4, 7, 8, 9, 16} {
		var all []int
		for i := range n {
			all = append(all, i)
		}
		cert, validators := testCert(t, n, all...)
		if err := cert.Verify(ledger.TestnetChainID, genesisHash, validators, n); err != nil {
			t.Errorf("%d validators: %v", n, err)
		}
		if err := cert.Verify(ledger.TestnetChainID, genesisHash, validators, n+1); err == nil {
			t.Errorf("%d validators reach a quorum of %d", n, n+1)
		}
	}
}

func TestExecCert_Verify_refuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*ledger.ExecCert)
		text   string
	}{
		{"a signature less than the quorum", func(c *ledger.ExecCert) { c.Bitmap[0] &^= 8; c.Sigs = c.Sigs[:130] }, "2 of 3 needed"},
		{"a bit too many", func(c *ledger.ExecCert) { c.Bitmap[0] |= 4 }, "4 signers and 195"},
		{"a bit too few", func(c *ledger.ExecCert) { c.Bitmap[0] &^= 8 }, "2 signers and 195"},
		{"a bit beyond the set", func(c *ledger.ExecCert) { c.Bitmap[0] = 0b10011 }, "beyond 4"},
		{"a long bitmap", func(c *ledger.ExecCert) { c.Bitmap = append(c.Bitmap, 0) }, "bitmap of 2 bytes for 4"},
		{"no bitmap", func(c *ledger.ExecCert) { c.Bitmap = nil }, "bitmap of 0 bytes"},
		{"a torn signature", func(c *ledger.ExecCert) { c.Sigs = c.Sigs[:194] }, "194 signature bytes"},
		{"a longer signature", func(c *ledger.ExecCert) { c.Sigs = append(c.Sigs, 0) }, "196 signature bytes"},
		{"signatures out of order", func(c *ledger.ExecCert) {
			c.Sigs = append(append(bytes.Clone(c.Sigs[65:130]), c.Sigs[:65]...), c.Sigs[130:]...)
		}, "made by"},
		{"a signature twice", func(c *ledger.ExecCert) { copy(c.Sigs[65:130], c.Sigs[:65]) }, "made by"},
		{"another signer", func(c *ledger.ExecCert) { c.Bitmap[0] = 0b0111 }, "made by"},
		{"Ethereum's v", func(c *ledger.ExecCert) { c.Sigs[64] += 27 }, "one valid form"},
		{"v of 2", func(c *ledger.ExecCert) { c.Sigs[64] = 2 }, "one valid form"},
		{"the other s", func(c *ledger.ExecCert) { flip(c.Sigs[:65]) }, "one valid form"},
		{"zero signature", func(c *ledger.ExecCert) { clear(c.Sigs[:65]) }, "signature of"},
		{"epoch", func(c *ledger.ExecCert) { c.Epoch++ }, "made by"},
		{"height", func(c *ledger.ExecCert) { c.Height++ }, "made by"},
		{"header", func(c *ledger.ExecCert) { c.HeaderHash[0]++ }, "made by"},
		{"state", func(c *ledger.ExecCert) { c.StateRoot[0]++ }, "made by"},
		{"receipts", func(c *ledger.ExecCert) { c.ReceiptsRoot[0]++ }, "made by"},
		{"time", func(c *ledger.ExecCert) { c.TimeMs++ }, "made by"},
		{"set", func(c *ledger.ExecCert) { c.ValidatorSetHash[0]++ }, "another validator set"},
		{"pending set", func(c *ledger.ExecCert) { c.PendingSetHash[0]++ }, "made by"},
		{"next set", func(c *ledger.ExecCert) { c.NextSetHash[0]++ }, "made by"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert, validators := testCert(t, 4, 0, 1, 3)
			tt.change(cert)
			err := cert.Verify(ledger.TestnetChainID, genesisHash, validators, 3)
			// A changed message may also recover to no key at all.
			if !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), tt.text) && tt.text != "made by" {
				t.Errorf("error %v, want %q", err, tt.text)
			}
		})
	}
	cert, validators := testCert(t, 4, 0, 1, 3)
	if err := cert.Verify(1, genesisHash, validators, 3); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("on another chain: %v", err)
	}
	if err := cert.Verify(ledger.TestnetChainID, common.Hash{}, validators, 3); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("with another genesis: %v", err)
	}
}

func TestIsCheckpoint(t *testing.T) {
	for _, tt := range []struct {
		time, parent uint64
		want         bool
	}{
		{50, 49, true}, {50, 0, true}, {49, 0, false}, {99, 50, false}, {100, 99, true}, {1000, 1, true}, {50, 50, false}, {49, 50, false},
	} {
		if got := ledger.IsCheckpoint(tt.time, tt.parent); got != tt.want {
			t.Errorf("block at %d after %d: %t", tt.time, tt.parent, got)
		}
	}
}

func FuzzDecodeExecCert(f *testing.F) {
	cert, validators := testCert(f, 9, 0, 1, 2, 3, 5, 7, 8)
	f.Add(ledger.EncodeExecCert(cert))
	cert.Bitmap[1] |= 0x80
	f.Add(ledger.EncodeExecCert(cert))
	f.Add(ledger.EncodeExecCert(&ledger.ExecCert{Bitmap: []byte{1}, Sigs: make([]byte, 65)}))
	genuine := testResult(validators)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ledger.DecodeExecCert(b)
		if err != nil {
			if !errors.Is(err, ledger.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(ledger.EncodeExecCert(c), b) {
			t.Fatalf("%x is not canonical", b)
		}
		if err := c.Verify(ledger.TestnetChainID, genesisHash, validators, 7); err == nil && c.ExecResult != genuine {
			t.Fatalf("%x verifies for a result that nobody signed", b)
		}
	})
}

func FuzzDecodeExecVote(f *testing.F) {
	keys, validators := testValidators(f, 4)
	genuine := testResult(validators)
	for i := range uint16(3) {
		v := &ledger.ExecVote{ExecResult: genuine, Signer: i}
		sig, err := crypto.Sign(v.Digest(ledger.TestnetChainID, genesisHash).Bytes(), keys[i])
		if err != nil {
			f.Fatal(err)
		}
		v.Sig = [65]byte(sig)
		f.Add(ledger.EncodeExecVote(v))
		v.Signer++
		f.Add(ledger.EncodeExecVote(v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ledger.DecodeExecVote(b)
		if err != nil {
			if !errors.Is(err, ledger.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(ledger.EncodeExecVote(v), b) {
			t.Fatalf("%x is not canonical", b)
		}
		switch err := v.Verify(ledger.TestnetChainID, genesisHash, validators); {
		case err == nil && v.ExecResult != genuine:
			t.Fatalf("%x verifies for a result that nobody signed", b)
		case err != nil && !errors.Is(err, ledger.ErrInvalid):
			t.Fatal(err)
		}
	})
}
