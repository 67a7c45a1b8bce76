package state_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
)

// pocket is a state of a few accounts and values, with the keys that it has and some that it has not.
func pocket(t testing.TB) (s *state.State, values map[string][]byte, keys [][]byte) {
	values = map[string][]byte{}
	for i := range byte(9) {
		account := ledger.EncodeAccount(ledger.Account{Nonce: uint64(i) + 1, Balance: *uint256.NewInt(uint64(i))})
		values[string(ledger.AccountKey(common.Address{i}))] = account
		keys = append(keys, ledger.AccountKey(common.Address{i}), ledger.AccountKey(common.Address{i, 1}))
	}
	values[string(ledger.SystemKey("genesis"))] = []byte{1}
	keys = append(keys, ledger.SystemKey("genesis"), ledger.SystemKey("none"))
	var changes []ledger.Change
	for key, value := range values {
		changes = append(changes, ledger.Change{Path: ledger.Path([]byte(key)), Key: []byte(key), Value: value})
	}
	slices.SortFunc(changes, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	s = state.New()
	if _, err := s.Apply(7, changes); err != nil {
		t.Fatal(err)
	}
	return s, values, keys
}

// FuzzProof_Verify: a proof that was changed in any way proves nothing that is false.
func FuzzProof_Verify(f *testing.F) {
	s, values, keys := pocket(f)
	root := s.Root()
	for i := range keys {
		f.Add(uint8(i), uint8(i), []byte{0, 0, 1}, []byte(nil))
		f.Add(uint8(i), uint8(i+1), []byte{5, 1, 1, 9, 9, 9}, values[string(keys[i])])
	}
	f.Add(uint8(1), uint8(2), []byte{6, 0, 0, 7, 0, 0, 8, 0, 0}, []byte(nil))
	f.Fuzz(func(t *testing.T, proved, asked uint8, edits, value []byte) {
		p, err := s.Prove(7, keys[int(proved)%len(keys)])
		if err != nil {
			t.Fatal(err)
		}
		for ; len(edits) >= 3; edits = edits[3:] {
			forge(p, edits[0], edits[1], edits[2], s, keys)
		}
		key := keys[int(asked)%len(keys)]
		err = p.Verify(root, key, value)
		if err != nil && !errors.Is(err, state.ErrProof) {
			t.Fatalf("got %v, want ErrProof", err)
		}
		if err == nil && !bytes.Equal(values[string(key)], value) {
			t.Fatalf("%x is proved to be %x, it is %x", key, value, values[string(key)])
		}
	})
}

// forge changes a proof: edit says what, at where, x by how much.
func forge(p *state.Proof, edit, at, x byte, s *state.State, keys [][]byte) {
	other, _ := s.Prove(7, keys[int(at)%len(keys)]) // every key has a proof
	switch edit % 12 {
	case 0:
		p.Member = other.Member
	case 1:
		p.Left = other.Left
	case 2:
		p.Right = other.Right
	case 3:
		p.Left, p.Right = p.Right, p.Left
	case 4:
		p.Left = other.Member
	case 5:
		p.Right = other.Member
	case 6:
		p.Member = nil
	case 7:
		p.Left = nil
	case 8:
		p.Right = nil
	}
	openings := []*state.Opening{p.Member, p.Left, p.Right}
	if o := openings[int(x)%3]; o != nil && edit%12 > 8 {
		changed := state.Opening{Key: slices.Clone(o.Key), Value: slices.Clone(o.Value), Siblings: slices.Clone(o.Siblings)}
		alter(&changed, edit, at, x)
		*o = changed
	}
}

// alter changes one opening. A sibling becomes a hash, or zero, or goes, or comes.
func alter(o *state.Opening, edit, at, x byte) {
	n := len(o.Siblings)
	switch {
	case edit%12 == 9 && n > 0 && x >= 128:
		o.Siblings[int(at)%n] = common.Hash{}
	case edit%12 == 9 && n > 0:
		o.Siblings[int(at)%n][int(x)%32] ^= at | 1
	case edit%12 == 10 && n > 0 && x >= 128:
		o.Siblings = slices.Delete(o.Siblings, int(at)%n, int(at)%n+1)
	case edit%12 == 10:
		o.Siblings = append(o.Siblings, make([]common.Hash, int(at)*2)...)
	case x >= 128:
		o.Value = append(o.Value, at)
	default:
		o.Key = append(o.Key[:min(int(at), len(o.Key))], x)
	}
}

// FuzzState_Load: a flat state from a disk is refused, or becomes the state with exactly its entries.
func FuzzState_Load(f *testing.F) {
	f.Add([]byte{3, 'a', 0, 1, 2, 'y', 'x', 1, 9}, false)
	f.Add([]byte{3, 'a', 0, 1, 2, 'y', 'x', 1, 9}, true)
	f.Add(append([]byte{21, 'a'}, append(make([]byte, 20), append([]byte{40}, bytes.Repeat([]byte{1}, 40)...)...)...), true)
	f.Add(append([]byte{21, 'a'}, append(make([]byte, 20), append([]byte{40}, make([]byte, 40)...)...)...), true)
	slot := append([]byte{53}, ledger.StorageKey(common.Address{1}, common.Hash{2})...)
	f.Add(slices.Concat(slot, []byte{32}, common.Hash{3}.Bytes(), []byte{53, 's'}, make([]byte, 52), []byte{32}, common.Hash{4}.Bytes(), []byte{0}), true)
	f.Add(slices.Concat(slot, []byte{32}, make([]byte, 32), []byte{0}), true)
	f.Add(slices.Concat(slot, []byte{31}, make([]byte, 31), []byte{0}), true)
	f.Fuzz(func(t *testing.T, data []byte, sorted bool) {
		var changes []ledger.Change
		take := func() []byte {
			n := 0
			if len(data) > 0 {
				n = min(int(data[0]), len(data)-1)
				data = data[1:]
			}
			b := data[:n]
			data = data[n:]
			return b
		}
		for len(data) > 0 {
			key := take()
			changes = append(changes, ledger.Change{Path: ledger.Path(key), Key: key, Value: take()})
		}
		if sorted {
			slices.SortFunc(changes, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
		}
		at, m := 0, model{}
		s := state.New()
		root, err := s.Load(func() (ledger.Change, bool, error) {
			if at == len(changes) {
				return ledger.Change{}, false, nil
			}
			at++
			return changes[at-1], true, nil
		}, 3)
		if err != nil {
			if !errors.Is(err, state.ErrInvalidChange) {
				t.Fatalf("got %v, want ErrInvalidChange", err)
			}
			return
		}
		for _, c := range changes {
			m[c.Path] = c.Value
		}
		if len(m) != len(changes) || root != m.root() || s.Root() != root || s.Len() != len(m) {
			t.Fatalf("%d entries give root %s of %d, want %s", len(changes), root, s.Len(), m.root())
		}
		for _, c := range changes {
			if p, err := s.Prove(3, c.Key); err != nil || p.Verify(root, c.Key, c.Value) != nil {
				t.Fatalf("%x is not proved: %v", c.Key, err)
			}
		}
	})
}
