package testframework_test

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/testframework"
)

// chain makes linked headers 0..n-1 whose roots name their height.
func chain(n int) []*types.Header {
	var out []*types.Header
	var parent common.Hash
	for i := range n {
		h := &types.Header{Number: big.NewInt(int64(i)), ParentHash: parent, Root: common.BigToHash(big.NewInt(int64(i))), Difficulty: new(big.Int)}
		out, parent = append(out, h), h.Hash()
	}
	return out
}

// changed is a copy of a chain with one header changed.
func changed(headers []*types.Header, at int, change func(*types.Header)) []*types.Header {
	out := append([]*types.Header(nil), headers...)
	out[at] = types.CopyHeader(out[at])
	change(out[at])
	return out
}

func TestChecks_chains(t *testing.T) {
	good := chain(5)
	fork := changed(good, 4, func(h *types.Header) { h.Extra = []byte{1} })
	broken := changed(good, 2, func(h *types.Header) { h.ParentHash = common.Hash{9} })
	root := changed(good, 3, func(h *types.Header) { h.Root = common.Hash{9} })
	for _, tc := range []struct {
		name   string
		chains [][]*types.Header
		blocks bool // a violation of one block per height
		states bool // a violation of equal states
	}{
		{"equal", [][]*types.Header{good, good}, false, false},
		{"one is behind", [][]*types.Header{good, good[:3]}, false, false},
		{"two blocks at one height", [][]*types.Header{good, fork}, true, false},
		{"a broken link", [][]*types.Header{broken}, true, false},
		{"a gap", [][]*types.Header{{good[0], good[2]}}, true, false},
		{"another state", [][]*types.Header{good[3:4], root[3:4]}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expect(t, testframework.OneBlockPerHeight(tc.chains...), tc.blocks)
			expect(t, testframework.EqualStates(tc.chains...), tc.states)
		})
	}
}

func expect(t *testing.T, err error, violation bool) {
	t.Helper()
	if errors.Is(err, testframework.ErrViolation) != violation || err != nil && !violation {
		t.Errorf("got %v, want a violation: %t", err, violation)
	}
}

func TestChecks_votes(t *testing.T) {
	a, b := common.Hash{1}, common.Hash{2}
	notarize := func(view uint64, h common.Hash) testframework.Signed {
		return testframework.Signed{Type: consensus.RecordNotarize, View: view, Hash: h}
	}
	finalize := func(view uint64, h common.Hash) testframework.Signed {
		return testframework.Signed{Type: consensus.RecordFinalize, View: view, Hash: h}
	}
	nullify := func(view uint64) testframework.Signed {
		return testframework.Signed{Type: consensus.RecordNullify, View: view}
	}
	for _, tc := range []struct {
		name      string
		votes     []testframework.Signed
		term      uint64
		violation bool
	}{
		{"one of each", []testframework.Signed{notarize(1, a), finalize(1, a), notarize(2, b), nullify(2)}, 1, false},
		{"the same twice", []testframework.Signed{notarize(1, a), notarize(1, a)}, 1, false},
		{"two blocks notarized", []testframework.Signed{notarize(1, a), notarize(1, b)}, 1, true},
		{"two blocks finalized", []testframework.Signed{finalize(1, a), finalize(1, b)}, 1, true},
		{"other epochs", []testframework.Signed{notarize(1, a), {Type: consensus.RecordNotarize, Epoch: 1, View: 1, Hash: b}}, 1, false},
		{"finalized and nullified", []testframework.Signed{finalize(3, a), nullify(3)}, 1, true},
		{"nullified in another term", []testframework.Signed{nullify(3), finalize(4, a)}, 1, false},
		{"nullified before in the term", []testframework.Signed{nullify(3), finalize(4, a)}, 4, true},
		{"nullified after in the term", []testframework.Signed{finalize(2, a), nullify(3)}, 4, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expect(t, testframework.NoDoubleVote(tc.votes, tc.term), tc.violation)
		})
	}
}

// table answers receipts from memory.
type table map[common.Hash]*types.Receipt

func (t table) Receipts(_ context.Context, hashes []common.Hash) ([]*types.Receipt, error) {
	var out []*types.Receipt
	for _, h := range hashes {
		out = append(out, t[h])
	}
	return out, nil
}

func TestChecks_receipts(t *testing.T) {
	seen := &types.Receipt{TxHash: common.Hash{1}, BlockHash: common.Hash{2}, BlockNumber: big.NewInt(7), Status: 1}
	moved := *seen
	moved.BlockHash = common.Hash{3}
	for _, tc := range []struct {
		name      string
		have      table
		violation bool
	}{
		{"kept", table{seen.TxHash: seen}, false},
		{"lost", table{}, true},
		{"moved", table{seen.TxHash: &moved}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expect(t, testframework.NoLostReceipt(t.Context(), tc.have, []*types.Receipt{seen}), tc.violation)
		})
	}
}

func TestChecks_balances(t *testing.T) {
	g := ledger.DefaultGenesis(1, nil, []ledger.Allocation{
		{Address: common.Address{1}, Balance: uint256.NewInt(60)},
		{Address: common.Address{2}, Balance: uint256.NewInt(40)},
	}, 0)
	state := func(balances ...uint64) []ledger.Change {
		out := []ledger.Change{{Key: ledger.SystemKey("genesis"), Value: []byte("x")}}
		for i, b := range balances {
			out = append(out, ledger.Change{
				Key:   ledger.AccountKey(common.Address{byte(i)}),
				Value: ledger.EncodeAccount(ledger.Account{Nonce: 1, Balance: *uint256.NewInt(b)}),
			})
		}
		return out
	}
	expect(t, testframework.BalancesConserved(g, state(10, 20, 70)), false)
	expect(t, testframework.BalancesConserved(g, state(10, 20, 71)), true)
	expect(t, testframework.BalancesConserved(g, state(10, 20)), true)
}
