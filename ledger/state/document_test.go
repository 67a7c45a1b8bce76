package state_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
)

// notarised is a document about block 7 of [pocket], of one account and one slot, and who is to be trusted.
func notarised(t testing.TB) (d *state.Document, trust *state.Trust, s *state.State) {
	t.Helper()
	s, _, _ = pocket(t)
	slot := ledger.StorageKey(common.Address{3}, common.Hash{5})
	if _, err := s.Apply(8, []ledger.Change{{Path: ledger.Path(slot), Key: slot, Value: bytes.Repeat([]byte{9}, 32)}}); err != nil {
		t.Fatal(err)
	}
	keys := make([]*ecdsa.PrivateKey, 4)
	for i := range keys {
		key, err := crypto.ToECDSA(crypto.Keccak256([]byte{byte(i)}))
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	slices.SortFunc(keys, func(a, b *ecdsa.PrivateKey) int {
		return bytes.Compare(crypto.PubkeyToAddress(a.PublicKey).Bytes(), crypto.PubkeyToAddress(b.PublicKey).Bytes())
	})
	trust = &state.Trust{ChainID: 5, GenesisHash: common.Hash{1}, Quorum: 3}
	for _, key := range keys {
		trust.Validators = append(trust.Validators, crypto.PubkeyToAddress(key.PublicKey))
	}
	header := ledger.DefaultGenesis(5, nil, nil, 1000).Header(s.Root())
	header.Number = big.NewInt(8)
	set := ledger.ValidatorSetHash(trust.Validators)
	result := ledger.ExecResult{Height: 8, HeaderHash: header.Hash(), StateRoot: header.Root, ValidatorSetHash: set, PendingSetHash: set}
	var votes []*ledger.ExecVote
	for _, i := range []uint16{0, 2, 3} {
		vote := &ledger.ExecVote{ExecResult: result, Signer: i}
		sig, err := crypto.Sign(vote.Digest(5, trust.GenesisHash).Bytes(), keys[i])
		if err != nil {
			t.Fatal(err)
		}
		vote.Sig = [65]byte(sig)
		votes = append(votes, vote)
	}
	cert, err := ledger.NewExecCert(result, 4, votes)
	if err != nil {
		t.Fatal(err)
	}
	d = &state.Document{Certificate: ledger.EncodeExecCert(cert)}
	if d.Header, err = rlp.EncodeToBytes(header); err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{ledger.AccountKey(common.Address{3}), slot, ledger.AccountKey(common.Address{200})} {
		p, err := s.Prove(8, key)
		if err != nil {
			t.Fatal(err)
		}
		d.Proofs = append(d.Proofs, p)
	}
	return d, trust, s
}

func refused(err error) bool {
	return errors.Is(err, state.ErrProof) || errors.Is(err, ledger.ErrInvalid)
}

func TestDocument_Verify(t *testing.T) {
	d, trust, _ := notarised(t)
	got, err := d.Verify(trust)
	if err != nil {
		t.Fatal(err)
	}
	if got.Header().Number.Uint64() != 8 || !slices.Equal(got.Signers(), []int{0, 2, 3}) {
		t.Errorf("header %v, signers %v", got.Header(), got.Signers())
	}
	account := ledger.EncodeAccount(ledger.Account{Nonce: 4, Balance: *uint256.NewInt(3)})
	for _, tc := range []struct {
		name       string
		key, value []byte
		ok         bool
	}{
		{"account", ledger.AccountKey(common.Address{3}), account, true},
		{"slot", ledger.StorageKey(common.Address{3}, common.Hash{5}), bytes.Repeat([]byte{9}, 32), true},
		{"no account", ledger.AccountKey(common.Address{200}), nil, true},
		{"what nobody proved", ledger.AccountKey(common.Address{4}), nil, false},
	} {
		if value, ok := got.Value(tc.key); !bytes.Equal(value, tc.value) || ok != tc.ok {
			t.Errorf("%s: got %x, %t", tc.name, value, ok)
		}
	}
}

func TestDocument_Verify_refuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(d *state.Document, trust *state.Trust, s *state.State)
	}{
		{"another chain", func(_ *state.Document, trust *state.Trust, _ *state.State) { trust.ChainID++ }},
		{"another genesis", func(_ *state.Document, trust *state.Trust, _ *state.State) { trust.GenesisHash[5]++ }},
		{"other validators", func(_ *state.Document, trust *state.Trust, _ *state.State) { trust.Validators[1] = common.Address{1} }},
		{"fewer validators", func(_ *state.Document, trust *state.Trust, _ *state.State) { trust.Validators = trust.Validators[:3] }},
		{"more needed", func(_ *state.Document, trust *state.Trust, _ *state.State) { trust.Quorum = 4 }},
		{"no certificate", func(d *state.Document, _ *state.Trust, _ *state.State) { d.Certificate = nil }},
		{"block 0 of another chain", func(d *state.Document, _ *state.Trust, s *state.State) {
			d.Certificate = nil
			d.Header, _ = rlp.EncodeToBytes(ledger.DefaultGenesis(5, nil, nil, 1000).Header(s.Root())) // it encodes
		}},
		{"a proof of another block", func(d *state.Document, _ *state.Trust, s *state.State) {
			d.Proofs[0], _ = s.Prove(7, d.Proofs[0].Key) // it is kept
		}},
		{"two of one key", func(d *state.Document, _ *state.Trust, _ *state.State) { d.Proofs = append(d.Proofs, d.Proofs[0]) }},
		{"another key", func(d *state.Document, _ *state.Trust, _ *state.State) {
			d.Proofs[0].Key = ledger.AccountKey(common.Address{4})
		}},
		{"a value taken away", func(d *state.Document, _ *state.Trust, _ *state.State) { d.Proofs[0].Member = nil }},
		{"a neighbour taken away", func(d *state.Document, _ *state.Trust, _ *state.State) { d.Proofs[2].Left = nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, trust, s := notarised(t)
			tc.change(d, trust, s)
			if _, err := d.Verify(trust); !refused(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestDocument_Verify_everyBit flips every bit of header, certificate and openings.
func TestDocument_Verify_everyBit(t *testing.T) {
	d, trust, _ := notarised(t)
	parts := [][]byte{d.Header, d.Certificate}
	for _, p := range d.Proofs {
		for _, o := range []*state.Opening{p.Member, p.Left, p.Right} {
			if o == nil {
				continue
			}
			o.Key = bytes.Clone(o.Key) // the member's is shared with the proof's, which is what is asked for
			parts = append(parts, o.Key, o.Value)
			for i := range o.Siblings {
				parts = append(parts, o.Siblings[i][:])
			}
		}
	}
	for n, part := range parts {
		for i := range part {
			for bit := range 8 {
				part[i] ^= 1 << bit
				if _, err := d.Verify(trust); !refused(err) {
					t.Fatalf("part %d, byte %d, bit %d: got %v", n, i, bit, err)
				}
				part[i] ^= 1 << bit
			}
		}
	}
	if _, err := d.Verify(trust); err != nil {
		t.Fatal(err)
	}
}
