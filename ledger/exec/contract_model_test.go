package exec_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// step is an operation of a puppet as a tree, so that the model does not read what the puppet reads.
type step struct {
	kind       byte // as in testdata/puppet.c
	key, value uint64
	to         common.Address
	body       []step // of a nested call or a constructor
}

func encode(steps []step) (s script) {
	for _, st := range steps {
		switch st.kind {
		case 'S':
			s = s.store(st.key, st.value)
		case 's':
			s = s.load(st.key)
		case 'T':
			s = s.storeTransient(st.key, st.value)
		case 't':
			s = s.loadTransient(st.key)
		case 'L':
			s = s.log("log", st.key)
		case 'b':
			s = s.balance(st.to)
		case 'c':
			s = s.call(st.to, st.value, allGas, encode(st.body))
		case 'd':
			s = s.delegate(st.to, allGas, encode(st.body))
		case 'v':
			s = s.static(st.to, allGas, encode(st.body))
		case 'N':
			s = s.create(st.value, append(bytes.Clone(modelFrame), encode(st.body)...))
		case 'M':
			s = s.create2(st.value, st.key, append(bytes.Clone(modelFrame), encode(st.body)...))
		case 'R':
			s = s.revert()
		}
	}
	return s
}

// modelFrame deploys a puppet.
var modelFrame = func() []byte {
	frame, err := vm.Pack(puppet)
	if err != nil {
		panic(err)
	}
	return frame
}()

type modelContract struct {
	nonce, balance uint64
	code           bool
	storage        map[uint64]uint64
}

type modelSlot struct {
	contract common.Address
	key      uint64
}

type modelLog struct {
	contract common.Address
	topic    uint64
}

// world is the rules of frames once more, as plainly as possible: to undo is to have kept a copy.
type world struct {
	accounts  map[common.Address]modelContract
	transient map[modelSlot]uint64
	logs      []modelLog
	reverts   *int // of nested calls, ever
}

func (w *world) copy() world {
	c := world{maps.Clone(w.accounts), maps.Clone(w.transient), slices.Clone(w.logs), w.reverts}
	for a, account := range c.accounts {
		account.storage = maps.Clone(account.storage)
		c.accounts[a] = account
	}
	return c
}

func (w *world) update(a common.Address, change func(*modelContract)) {
	account := w.accounts[a]
	if account.storage == nil {
		account.storage = make(map[uint64]uint64)
	}
	change(&account)
	w.accounts[a] = account
}

// move transfers and says whether the sender has that much.
func (w *world) move(from, to common.Address, value uint64) bool {
	if w.accounts[from].balance < value {
		return false
	}
	w.update(from, func(c *modelContract) { c.balance -= value })
	w.update(to, func(c *modelContract) { c.balance += value })
	return true
}

// run is one frame; false is a revert.
func (w *world) run(self common.Address, steps []step) (out []byte, ok bool) {
	word := func(v uint64) { h := word(v); out = append(out, h[:]...) }
	sized := func(b []byte) { out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...) }
	for _, st := range steps {
		switch st.kind {
		case 'S':
			w.update(self, func(c *modelContract) { c.storage[st.key] = st.value })
		case 's':
			word(w.accounts[self].storage[st.key])
		case 'T':
			w.transient[modelSlot{self, st.key}] = st.value
		case 't':
			word(w.transient[modelSlot{self, st.key}])
		case 'L':
			w.logs = append(w.logs, modelLog{self, st.key})
		case 'b':
			word(w.accounts[st.to].balance)
		case 'c', 'd', 'v':
			status, data := w.call(self, &st)
			out = append(out, status)
			sized(data)
		case 'N', 'M':
			address, data := w.create(self, &st)
			out = append(out, address[:]...)
			sized(data)
		case 'R':
			return out, false
		}
	}
	return out, true
}

func (w *world) call(self common.Address, st *step) (status byte, data []byte) {
	before := w.copy()
	if st.kind == 'c' && !w.move(self, st.to, st.value) {
		return failed, nil
	}
	contract := st.to
	if st.kind == 'd' {
		contract = self
	}
	switch {
	case st.to == modelIdentity:
		return succeeded, encode(st.body)
	case !w.accounts[st.to].code:
		return succeeded, nil
	}
	data, ok := w.run(contract, st.body)
	if !ok {
		*w = before
		*w.reverts++
		return reverted, data
	}
	return succeeded, data
}

func (w *world) create(self common.Address, st *step) (common.Address, []byte) {
	creator := w.accounts[self]
	if creator.balance < st.value {
		return common.Address{}, nil
	}
	w.update(self, func(c *modelContract) { c.nonce++ })
	address := crypto.CreateAddress(self, creator.nonce)
	if st.kind == 'M' {
		code := append(bytes.Clone(modelFrame), encode(st.body)...)
		address = crypto.CreateAddress2(self, word(st.key), crypto.Keccak256(code))
	}
	before := w.copy()
	w.update(address, func(c *modelContract) { c.nonce = 1 })
	w.move(self, address, st.value)
	data, ok := w.run(address, st.body)
	if !ok {
		*w = before
		return common.Address{}, data
	}
	w.update(address, func(c *modelContract) { c.code = true })
	return address, nil
}

// modelIdentity is the precompiled contract that answers with its input.
var modelIdentity = common.BytesToAddress([]byte{4})

// author writes scripts.
type author struct {
	*rand.Rand
	targets []common.Address
	salt    uint64
	creates int // left in this transaction
}

// steps writes a frame; only is for static ones, which may only read.
func (r *author) steps(depth int, only bool) []step {
	var out []step
	for range 1 + r.IntN(5) {
		st := step{key: r.Uint64N(4), value: r.Uint64N(3), to: r.targets[r.IntN(len(r.targets))]}
		kinds := []byte("SSTLLstbcccdvNM")
		if only {
			kinds = []byte("stbcdv")
		}
		st.kind = kinds[r.IntN(len(kinds))]
		switch st.kind {
		case 'c', 'd', 'v':
			if depth == 0 {
				continue
			}
			if st.value *= r.Uint64N(400); only {
				st.value = 0
			}
			st.body = r.steps(depth-1, only || st.kind == 'v')
		case 'N', 'M':
			if depth == 0 || r.creates == 0 {
				continue
			}
			r.creates--
			r.salt++
			st.key, st.value, st.body = r.salt, st.value*r.Uint64N(400), r.steps(depth-1, false)
		}
		out = append(out, st)
	}
	if r.IntN(4) == 0 {
		out = append(out, step{kind: 'R'})
	}
	return out
}

func TestExecute_contractsAgreeWithTheModel(t *testing.T) {
	const seeds, blocks = 8, 10
	outcomes := make(map[bool]int)
	reverts, creations := 0, 0
	for seed := range uint64(seeds) {
		c := puppets(t)
		w := &world{accounts: make(map[common.Address]modelContract), reverts: &reverts}
		for a, account := range c.accounts {
			w.accounts[a] = modelContract{nonce: account.Nonce, balance: account.Balance.Uint64(), code: account.CodeHash != common.Hash{}}
		}
		r := &author{Rand: rand.New(rand.NewPCG(seed, 7)), targets: []common.Address{puppetA, puppetB, nobody, modelIdentity}}
		for block := range blocks {
			var txs []*ledger.Transaction
			var want []bool
			var logs [][]modelLog
			for i := range 2 {
				r.creates = 3
				steps, value, to := r.steps(4, false), r.Uint64N(50), r.targets[r.IntN(len(r.targets))]
				_, from := testKey(t, i)
				tx := c.sign(i, &to, value, c.genesis.TxGasCap, encode(steps))
				w.transient, w.logs = make(map[modelSlot]uint64), nil
				w.update(from, func(a *modelContract) { a.nonce++ })
				before := len(w.accounts)
				status, data := w.call(from, &step{kind: 'c', to: to, value: value, body: steps})
				if i == 0 {
					res := c.call(c.message(&to, value, encode(steps)))
					if (res.Outcome == vm.Success) != (status == succeeded) || !bytes.Equal(res.Output, data) {
						t.Fatalf("seed %d, block %d: outcome %d with\n%x, want %d with\n%x", seed, block, res.Outcome, res.Output, status, data)
					}
				}
				txs, want, logs = append(txs, tx), append(want, status == succeeded), append(logs, w.logs)
				outcomes[status == succeeded]++
				creations += len(w.accounts) - before
			}
			again := c.clone()
			res := c.block(txs...)
			if other := again.block(txs...); !reflect.DeepEqual(other, res) {
				t.Fatalf("seed %d, block %d: another result at the second run", seed, block)
			}
			for i, receipt := range res.Receipts {
				if (receipt.Status == 1) != want[i] || want[i] && len(receipt.Logs) != len(logs[i]) {
					t.Fatalf("seed %d, block %d: receipt %+v, want %t with %d logs", seed, block, receipt, want[i], len(logs[i]))
				}
				for j, l := range receipt.Logs {
					if l.Address != logs[i][j].contract || l.Topics[0] != word(logs[i][j].topic) {
						t.Fatalf("seed %d, block %d: log %+v, want %+v", seed, block, l, logs[i][j])
					}
				}
			}
			compareWorlds(t, c, w)
			for a, account := range w.accounts {
				if account.code && !slices.Contains(r.targets, a) {
					r.targets = append(r.targets, a)
				}
			}
			slices.SortFunc(r.targets, common.Address.Cmp)
		}
	}
	if outcomes[true] < 20 || outcomes[false] < 20 || reverts < 50 || creations < 20 {
		t.Errorf("outcomes %v, %d reverts, %d creations: the author is too tame", outcomes, reverts, creations)
	}
}

func compareWorlds(t *testing.T, c *chain, w *world) {
	t.Helper()
	for a, want := range w.accounts {
		got := c.accounts[a]
		if got.Nonce != want.nonce || got.Balance != wei(want.balance) || (got.CodeHash != common.Hash{}) != want.code {
			t.Fatalf("account %s is %+v, want %+v", a, got, want)
		}
		for key := range uint64(4) {
			if value := c.storage[a][word(key)]; value != word(want.storage[key]) {
				t.Fatalf("slot %d of %s is %s, want %d", key, a, value, want.storage[key])
			}
		}
	}
	for a, got := range c.accounts {
		if _, ok := w.accounts[a]; !ok && got != (ledger.Account{}) {
			t.Fatalf("account %s is %+v, which the model does not have", a, got)
		}
	}
}
