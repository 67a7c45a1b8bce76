package consensus_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

func TestIncident14_quorumOfAnySize(t *testing.T) {
	for n := 1; n <= 200; n++ {
		f, q := consensus.Faulty(n), consensus.Quorum(n)
		if 3*f >= n || 3*(f+1) < n {
			t.Errorf("n=%d: f=%d", n, f)
		}
		if 2*q-n <= f {
			t.Errorf("n=%d: two quorums of %d may share only faulty validators", n, q)
		}
		if q > n-f {
			t.Errorf("n=%d: the honest ones alone do not reach %d", n, q)
		}
		if 2*(q-1)-n > f {
			t.Errorf("n=%d: %d votes are more than needed", n, q)
		}
	}
	for n, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 100: 67} {
		if got := consensus.Quorum(n); got != want {
			t.Errorf("Quorum(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestNewCommittee_refuses(t *testing.T) {
	a := common.Address{1}
	many := make([]common.Address, 1025)
	for i := range many {
		many[i] = common.BytesToAddress([]byte{1, byte(i >> 8), byte(i)})
	}
	for name, list := range map[string][]common.Address{
		"nobody": nil, "zero address": {a, {}}, "a duplicate": {a, {2}, a}, "too many": many,
	} {
		if _, err := consensus.NewCommittee(list); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := consensus.NewCommittee(many[:1024]); err != nil {
		t.Error(err)
	}
}

func TestCommittee_isOrderedByAddress(t *testing.T) {
	list := []common.Address{{9}, {1}, {5}}
	c, err := consensus.NewCommittee(list)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []common.Address{{1}, {5}, {9}} {
		if got, ok := c.Index(want); c.Address(i) != want || got != i || !ok {
			t.Errorf("position %d: %s, index %d", i, c.Address(i), got)
		}
	}
	if _, ok := c.Index(common.Address{2}); ok {
		t.Error("a stranger has an index")
	}
	if list[0] != (common.Address{9}) {
		t.Error("the caller's list was sorted")
	}
	c.Addresses()[0] = common.Address{7}
	if c.Address(0) != (common.Address{1}) {
		t.Error("Addresses gave its own list away")
	}
	other, err := consensus.NewCommittee([]common.Address{{5}, {9}, {1}})
	if err != nil || other.Hash() != c.Hash() {
		t.Error("the hash depends on the order of the arguments")
	}
	a, b, d := c.Address(0), c.Address(1), c.Address(2)
	if want := crypto.Keccak256Hash(a[:], b[:], d[:]); c.Hash() != want {
		t.Errorf("hash %s, want %s", c.Hash(), want)
	}
}

func TestSchedule_terms(t *testing.T) {
	s := consensus.Schedule{Validators: 4, Epoch: 2, Term: 3}
	for _, c := range []struct {
		view, term, start, next uint64
		leader                  int
	}{{1, 0, 1, 4, 2}, {3, 0, 1, 4, 2}, {4, 1, 4, 7, 3}, {6, 1, 4, 7, 3}, {7, 2, 7, 10, 0}, {13, 4, 13, 16, 2}} {
		if s.TermOf(c.view) != c.term || s.Start(c.view) != c.start || s.Next(c.view) != c.next || s.Leader(c.view) != c.leader {
			t.Errorf("view %d: term %d start %d next %d leader %d, want %+v", c.view, s.TermOf(c.view), s.Start(c.view), s.Next(c.view), s.Leader(c.view), c)
		}
	}
	one := consensus.Schedule{Validators: 7, Term: 1}
	for v := uint64(1); v < 50; v++ {
		if one.Start(v) != v || one.Next(v) != v+1 || one.Leader(v) != int((v-1)%7) {
			t.Errorf("T=1, view %d: start %d next %d leader %d", v, one.Start(v), one.Next(v), one.Leader(v))
		}
	}
}

func TestNew_refusesBadConfigs(t *testing.T) {
	for name, change := range map[string]func(*consensus.Config){
		"no committee":    func(c *consensus.Config) { c.Committee = nil },
		"no term":         func(c *consensus.Config) { c.Term = 0 },
		"long term":       func(c *consensus.Config) { c.Term = 257 },
		"wide window":     func(c *consensus.Config) { c.Window = 65 },
		"few peers":       func(c *consensus.Config) { c.Peers = 3 },
		"no delta":        func(c *consensus.Config) { c.Timing.Delta = 0 },
		"negative idle":   func(c *consensus.Config) { c.Timing.MaxIdle = -1 },
		"no block size":   func(c *consensus.Config) { c.MaxBlockBytes = 0 },
		"a stranger":      func(c *consensus.Config) { c.Signer = openSigner{1} },
		"unknown record":  func(c *consensus.Config) { c.Recovered = []consensus.Record{{Type: 9, View: 1}} },
		"broken proposal": func(c *consensus.Config) { c.Recovered = []consensus.Record{{Type: consensus.RecordNotarize, View: 1}} },
		"broken cert":     func(c *consensus.Config) { c.Recovered = []consensus.Record{{Type: consensus.RecordFinalize, View: 1}} },
	} {
		cfg := newRig(t, 4, 0, 1, 0).cfg
		change(&cfg)
		if _, err := consensus.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
