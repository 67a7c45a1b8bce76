package ics23check_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	ics23 "github.com/cosmos/ics23/go"
	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
)

func account(i uint64) []byte {
	return ledger.AccountKey(common.BytesToAddress(binary.BigEndian.AppendUint64([]byte{1}, i)))
}

// existence turns an opening into ICS-23's form: inner operations from the leaf up.
func existence(o *state.Opening) *ics23.ExistenceProof {
	if o == nil {
		return nil
	}
	path := ledger.Path(o.Key)
	p := &ics23.ExistenceProof{Key: o.Key, Value: o.Value, Leaf: ics23.SmtSpec.LeafSpec}
	for d, s := range slices.Backward(o.Siblings) {
		op := &ics23.InnerOp{Hash: ics23.HashOp_SHA256, Prefix: []byte{1}}
		if path[d/8]>>(7-d%8)&1 == 0 {
			op.Suffix = s[:]
		} else {
			op.Prefix = append(op.Prefix, s[:]...)
		}
		p.Path = append(p.Path, op)
	}
	return p
}

func commitment(p *state.Proof) *ics23.CommitmentProof {
	if p.Member != nil {
		return &ics23.CommitmentProof{Proof: &ics23.CommitmentProof_Exist{Exist: existence(p.Member)}}
	}
	return &ics23.CommitmentProof{Proof: &ics23.CommitmentProof_Nonexist{Nonexist: &ics23.NonExistenceProof{
		Key: p.Key, Left: existence(p.Left), Right: existence(p.Right),
	}}}
}

func TestState_Prove_isAcceptedByICS23(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 10, 200, 5000} {
		s := state.New()
		cs := []ledger.Change{{Path: ledger.Path(ledger.SystemKey("genesis")), Key: ledger.SystemKey("genesis"), Value: []byte{1}}}
		for i := range n {
			key := account(i)
			value := ledger.EncodeAccount(ledger.Account{Nonce: i + 1, Balance: *uint256.NewInt(i)})
			cs = append(cs, ledger.Change{Path: ledger.Path(key), Key: key, Value: value})
		}
		slices.SortFunc(cs, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
		old, err := s.Apply(0, cs)
		if err != nil {
			t.Fatal(err)
		}
		// A second block, so that the proofs at height 0 come from undo records.
		gone := slices.Clone(cs)
		for i := range gone {
			gone[i].Value = nil
		}
		root, err := s.Apply(1, gone[:len(gone)/2])
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(2*n, 400) {
			check(t, s, 0, old, account(i))
			if n > 1 {
				check(t, s, 1, root, account(i))
			}
		}
	}
}

func check(t *testing.T, s *state.State, height uint64, root common.Hash, key []byte) {
	t.Helper()
	p, err := s.Prove(height, key)
	if err != nil {
		t.Fatal(err)
	}
	value := p.Value()
	if err := p.Verify(root, key, value); err != nil {
		t.Fatal(err)
	}
	if value != nil {
		if !ics23.VerifyMembership(ics23.SmtSpec, root[:], commitment(p), key, value) {
			t.Fatalf("membership of %x at %d is not accepted", key, height)
		}
		if ics23.VerifyMembership(ics23.SmtSpec, root[:], commitment(p), key, append([]byte{1}, value...)) {
			t.Fatal("a wrong value is accepted")
		}
		return
	}
	if !ics23.VerifyNonMembership(ics23.SmtSpec, root[:], commitment(p), key) {
		t.Fatalf("absence of %x at %d is not accepted", key, height)
	}
}
