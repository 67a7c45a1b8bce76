package exec_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

var (
	puppetA = common.HexToAddress("0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	puppetB = common.HexToAddress("0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	nobody  = common.HexToAddress("0x9999999999999999999999999999999999999999")
)

// Statuses of a nested call, as a contract sees them.
const (
	succeeded = iota
	reverted
	failed
)

// puppets is a chain with puppets at puppetA and puppetB that have 1,000 wei each.
func puppets(tb testing.TB) *chain {
	tb.Helper()
	c := newChain(tb)
	c.install(puppetA, 1000)
	c.install(puppetB, 1000)
	return c
}

// TestExecute_contract deploys a contract and calls it, in the same block and in the next.
func TestExecute_contract(t *testing.T) {
	c := newChain(t)
	key, from := testKey(t, 0)
	at := crypto.CreateAddress(from, 0)
	call := sign(t, c.genesis, key, &types.LegacyTx{Nonce: 1, To: &at, Gas: 1_000_000, Data: script{}.store(1, 7).log("hello", 5)})
	res := c.block(c.sign(0, nil, 5, 10_000_000, puppet), call)
	if len(res.Receipts) != 2 || res.Receipts[0].Status != 1 || res.Receipts[1].Status != 1 {
		t.Fatalf("%+v", res)
	}
	if got := c.accounts[at]; got != (ledger.Account{Nonce: 1, Balance: wei(5), CodeHash: crypto.Keccak256Hash(puppet)}) {
		t.Errorf("account %+v", got)
	}
	if r := res.Receipts[0]; r.ContractAddress != at || len(r.Logs) != 0 {
		t.Errorf("receipt of the creation: %+v", r)
	}
	r := res.Receipts[1]
	if r.CumulativeGasUsed != res.Receipts[0].GasUsed+r.GasUsed || res.GasUsed != r.CumulativeGasUsed || r.ContractAddress != (common.Address{}) {
		t.Errorf("receipt of the call: %+v", r)
	}
	want := types.Log{
		Address: at, Topics: []common.Hash{word(5)}, Data: []byte("hello"), BlockNumber: 1, TxHash: call.Hash(), TxIndex: 1,
		BlockTimestamp: c.parent.Time,
	}
	if len(r.Logs) != 1 || r.Logs[0].Address != want.Address || !bytes.Equal(r.Logs[0].Data, want.Data) || r.Logs[0].Topics[0] != want.Topics[0] ||
		r.Logs[0].TxHash != want.TxHash || r.Logs[0].TxIndex != 1 || r.Logs[0].BlockNumber != 1 || r.Logs[0].BlockTimestamp != want.BlockTimestamp {
		t.Errorf("logs %+v", r.Logs)
	}
	if r.Bloom != types.CreateBloom(r) || !r.Bloom.Test(at[:]) {
		t.Error("the bloom lacks the contract")
	}
	got := c.ask(at, script{}.load(1).load(2))
	if v, w := got.word(), got.word(); v != word(7) || w != word(0) {
		t.Errorf("slots %s %s", v, w)
	}
}

// TestExecute_logs numbers the logs of a block.
func TestExecute_logs(t *testing.T) {
	c := puppets(t)
	one := c.sign(0, &puppetA, 0, 1_000_000, script{}.log("a").log("b", 1, 2, 3, 4))
	two := c.sign(1, &puppetA, 0, 1_000_000, script{}.call(puppetB, 0, 90_000, script{}.log("c")).log("d"))
	res := c.block(one, two)
	var logs []*types.Log
	for _, r := range res.Receipts {
		logs = append(logs, r.Logs...)
	}
	if len(logs) != 4 {
		t.Fatalf("%d logs", len(logs))
	}
	for i, l := range logs {
		if l.Index != uint(i) || l.TxIndex != uint(i/2) || string(l.Data) != string("abcd"[i]) {
			t.Errorf("log %d is %+v", i, l)
		}
	}
	if logs[2].Address != puppetB || len(logs[1].Topics) != 4 || logs[1].Topics[3] != word(4) {
		t.Errorf("logs %+v %+v", logs[1], logs[2])
	}
	block := ledger.NewBlock(ledger.Ordered{}, c.parent, res.Transactions, res.Receipts, res.Drops)
	if got := block.Receipts[1].Logs[0].BlockHash; got != c.parent.Hash() {
		t.Errorf("a log names block %s, want %s", got, c.parent.Hash())
	}
}

// TestFrames_undo is about what is left of nested frames.
func TestFrames_undo(t *testing.T) {
	inner := func() script { return script{}.store(1, 5).storeTransient(1, 6).log("inner") }
	for _, tt := range []struct {
		name string
		data script
		// slot 1, transient 1, balance of puppetB after the inner call, as puppetB itself says
		slot, transient, balance uint64
		status                   uint64
		logs                     int
	}{
		{"success", script{}.call(puppetB, 7, allGas, inner()), 5, 6, 1007, succeeded, 1},
		{"revert", script{}.call(puppetB, 7, allGas, inner().revert()), 0, 0, 1000, reverted, 0},
		{"trap", script{}.call(puppetB, 7, allGas, inner().trap()), 0, 0, 1000, failed, 0},
		{"out of gas", script{}.call(puppetB, 7, 200_000, inner().burn()), 0, 0, 1000, failed, 0},
		{"exit with success", script{}.call(puppetB, 7, allGas, inner().exit(0)), 5, 6, 1007, succeeded, 1},
		{"exit with failure", script{}.call(puppetB, 7, allGas, inner().exit(9)), 0, 0, 1000, reverted, 0},
		{"more than there is", script{}.call(puppetB, 1001, allGas, inner()), 0, 0, 1000, failed, 0},
		{
			"success inside of a revert",
			script{}.call(puppetA, 0, allGas, script{}.call(puppetB, 7, allGas, inner()).revert()), 0, 0, 1000, reverted, 0,
		},
		{
			"revert inside of a success",
			script{}.call(puppetB, 7, allGas, inner().call(puppetA, 3, allGas, script{}.log("x").call(puppetB, 0, allGas, script{}.store(1, 9).storeTransient(1, 9)).revert())),
			5, 6, 1007, succeeded, 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := puppets(t)
			ask := script{}.load(1).loadTransient(1).balance(puppetB)
			data := tt.data.call(puppetB, 0, allGas, ask)
			got := c.ask(puppetA, data)
			if status, _ := got.call(); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			_, inside := got.call()
			if slot, transient, balance := inside.word(), inside.word(), inside.word(); slot != word(tt.slot) || transient != word(tt.transient) || balance != word(tt.balance) {
				t.Errorf("inside: slot %s, transient %s, balance %s", slot, transient, balance)
			}
			got.end()
			r := c.run(&puppetA, 0, 5_000_000, data)
			if r.Status != 1 || len(r.Logs) != tt.logs {
				t.Errorf("status %d with %d logs", r.Status, len(r.Logs))
			}
			if got := c.storage[puppetB][word(1)]; got != word(tt.slot) {
				t.Errorf("slot 1 is %s afterwards", got)
			}
			a, b := c.accounts[puppetA].Balance, c.accounts[puppetB].Balance
			if b.Uint64() != tt.balance || a.Uint64()+b.Uint64() != 2000 {
				t.Errorf("balances %s and %s afterwards", a.Dec(), b.Dec())
			}
		})
	}
}

// TestExecute_failure is a transaction that fails: it uses gas and its nonce, and nothing else happens.
func TestExecute_failure(t *testing.T) {
	work := script{}.store(1, 5).log("x").call(puppetB, 3, allGas, script{}.store(2, 5))
	for _, tt := range []struct {
		name string
		data script
		all  bool // whether all gas is used
	}{
		{"revert", append(script{}, work...).revert(), false},
		{"trap", append(script{}, work...).trap(), true},
		{"out of gas", append(script{}, work...).burn(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := puppets(t)
			_, from := testKey(t, 0)
			const gas = 900_000
			r := c.run(&puppetA, 11, gas, tt.data)
			if r.Status != 0 || len(r.Logs) != 0 || r.Bloom != (types.Bloom{}) || (r.GasUsed == gas) != tt.all || r.GasUsed > gas || r.GasUsed < 60_000 {
				t.Errorf("receipt %+v", r)
			}
			if got := c.accounts[from]; got != (ledger.Account{Nonce: 1, Balance: wei(1_000_000)}) {
				t.Errorf("the sender is %+v", got)
			}
			if a, b := c.accounts[puppetA].Balance, c.accounts[puppetB].Balance; a.Uint64() != 1000 || b.Uint64() != 1000 || len(c.storage[puppetA])+len(c.storage[puppetB]) != 0 {
				t.Errorf("something is left: %s, %s, %v", a.Dec(), b.Dec(), c.storage)
			}
		})
	}
}

// TestFrames_context is who a frame thinks that it is.
func TestFrames_context(t *testing.T) {
	c := puppets(t)
	_, from := testKey(t, 0)
	type context struct {
		self, sender, origin common.Address
		value                common.Hash
		reentrant            uint64
	}
	read := func(a *answer) context {
		t.Helper()
		got := context{a.address(), a.address(), a.address(), a.word(), a.number(1)}
		if height, time := a.number(8), a.number(8); height != c.parent.Number.Uint64() || time != c.parent.Time {
			t.Errorf("block %d at %d", height, time)
		}
		a.end()
		return got
	}
	nested := func(data script) context {
		t.Helper()
		got := c.ask(puppetA, data)
		status, inside := got.call()
		if status != succeeded {
			t.Fatalf("status %d", status)
		}
		return read(inside)
	}
	deeper := func(data script) context {
		t.Helper()
		got := c.ask(puppetA, data)
		_, middle := got.call()
		_, inside := middle.call()
		return read(inside)
	}
	who := script{}.context()
	for _, tt := range []struct {
		name      string
		got, want context
	}{
		{"outermost", read(c.ask(puppetA, who)), context{puppetA, from, from, word(0), 0}},
		{"call", nested(script{}.call(puppetB, 4, allGas, who)), context{puppetB, puppetA, from, word(4), 0}},
		{"delegate", nested(script{}.delegate(puppetB, allGas, who)), context{puppetA, from, from, word(0), 0}},
		{"static", nested(script{}.static(puppetB, allGas, who)), context{puppetB, puppetA, from, word(0), 0}},
		{"itself", nested(script{}.call(puppetA, 1, allGas, who)), context{puppetA, puppetA, from, word(1), 1}},
		{"re-entered", deeper(script{}.call(puppetB, 0, allGas, script{}.call(puppetA, 2, allGas, who))), context{puppetA, puppetB, from, word(2), 1}},
		{"re-entered by a delegate", deeper(script{}.delegate(puppetB, allGas, script{}.call(puppetA, 0, allGas, who))), context{puppetA, puppetA, from, word(0), 1}},
		{"delegate of the value's recipient", deeper(script{}.call(puppetB, 6, allGas, script{}.delegate(puppetA, allGas, who))), context{puppetB, puppetA, from, word(6), 0}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, tt.got, tt.want)
		}
	}
}

// TestFrames_static is what a static frame, and every frame below it, may not do.
func TestFrames_static(t *testing.T) {
	for _, tt := range []struct {
		name string
		data script
		want uint64
	}{
		{"store", script{}.store(1, 1), failed},
		{"transient store", script{}.storeTransient(1, 1), failed},
		{"log", script{}.log("x"), failed},
		{"create", script{}.create(0, puppet), failed},
		{"call with a value", script{}.call(puppetA, 1, allGas, nil), failed},
		{"load", script{}.load(1).loadTransient(1), succeeded},
		{"call without a value", script{}.call(puppetA, 0, allGas, nil), succeeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := puppets(t)
			if got, _ := c.ask(puppetA, script{}.static(puppetB, 2_000_000, tt.data)).call(); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
			_, inner := c.ask(puppetA, script{}.static(puppetB, 4_000_000, script{}.call(puppetA, 0, 2_000_000, tt.data))).call()
			if got, _ := inner.call(); got != tt.want {
				t.Errorf("one frame further: status %d, want %d", got, tt.want)
			}
			_, inner = c.ask(puppetA, script{}.static(puppetB, 4_000_000, script{}.delegate(puppetA, 2_000_000, tt.data))).call()
			if got, _ := inner.call(); got != tt.want {
				t.Errorf("one delegate further: status %d, want %d", got, tt.want)
			}
		})
	}
}

// TestFrames_delegate has another's code work on the caller's storage.
func TestFrames_delegate(t *testing.T) {
	c := puppets(t)
	if r := c.run(&puppetA, 0, 900_000, script{}.delegate(puppetB, allGas, script{}.store(1, 5).log("x"))); r.Status != 1 || r.Logs[0].Address != puppetA {
		t.Fatalf("%+v", r)
	}
	if c.storage[puppetA][word(1)] != word(5) || len(c.storage[puppetB]) != 0 {
		t.Errorf("storage %v", c.storage)
	}
}

// TestFrames_gas is about what nested frames get and give back.
func TestFrames_gas(t *testing.T) {
	c := puppets(t)
	// All but a 64th goes down (EIP-150): the outer frame goes on when the inner one has burnt everything.
	got := c.ask(puppetA, script{}.gas().call(puppetB, 0, allGas, script{}.burn()).gas())
	before := got.number(8)
	if status, _ := got.call(); status != failed {
		t.Errorf("status %d", status)
	}
	if after := got.number(8); after < before/64-10_000 || after > before/64 {
		t.Errorf("of %d gas %d are left, want a 64th", before, after)
	}
	// What is not used comes back.
	got = c.ask(puppetA, script{}.gas().call(puppetB, 0, allGas, script{}.gas().revert()).gas())
	before = got.number(8)
	_, inner := got.call()
	if inside := inner.number(8); inside > before-before/64 || inside < before-before/64-20_000 {
		t.Errorf("of %d gas %d are inside", before, inside)
	}
	if after := got.number(8); after < before-50_000 {
		t.Errorf("of %d gas %d are left", before, after)
	}
	// A callee with a value has the stipend on top of what it was given.
	got = c.ask(puppetA, script{}.call(puppetB, 1, 100_000, script{}.gas()).call(puppetB, 0, 100_000, script{}.gas()))
	_, first := got.call()
	_, second := got.call()
	if with, without := first.number(8), second.number(8); with != without+2300 {
		t.Errorf("%d gas with a value, %d without", with, without)
	}
	// The callee of a call that cannot be made leaves its gas.
	got = c.ask(puppetA, script{}.gas().call(puppetB, 5000, allGas, nil).gas())
	before = got.number(8)
	if status, _ := got.call(); status != failed {
		t.Errorf("status %d", status)
	}
	if after := got.number(8); after < before-50_000 {
		t.Errorf("of %d gas %d are left", before, after)
	}
}

// TestFrames_depth recurses until memory for another frame is not there: the innermost call fails and gives its
// gas back.
func TestFrames_depth(t *testing.T) {
	c := puppets(t)
	if got := c.ask(puppetA, script{}.recurse()).number(4); got < 50 || got > 128 {
		t.Errorf("%d frames", got)
	}
}

// TestFrames_returnData is what is left of the last call.
func TestFrames_returnData(t *testing.T) {
	c := puppets(t)
	got := c.ask(puppetA, script{}.
		call(puppetB, 0, allGas, script{}.output("yes")).
		call(puppetB, 0, allGas, script{}.output("no").revert()).
		call(puppetB, 0, 200_000, script{}.output("lost").trap()).
		call(nobody, 0, allGas, script{}.output("none")).
		static(puppetB, allGas, script{}.output("static")).
		delegate(puppetB, allGas, script{}.output("delegate")))
	for _, want := range []struct {
		status uint64
		data   string
	}{{succeeded, "yes"}, {reverted, "no"}, {failed, ""}, {succeeded, ""}, {succeeded, "static"}, {succeeded, "delegate"}} {
		if status, data := got.call(); status != want.status || string(data.rest) != want.data {
			t.Errorf("status %d with %q, want %d with %q", status, data.rest, want.status, want.data)
		}
	}
	got.end()
}

// TestFrames_accounts is what contracts see of accounts (EIP-1052).
func TestFrames_accounts(t *testing.T) {
	c := puppets(t)
	_, from := testKey(t, 0)
	got := c.ask(puppetA, script{}.
		balance(from).codeHash(from).codeSize(from).
		balance(nobody).codeHash(nobody).codeSize(nobody).
		balance(puppetB).codeHash(puppetB).codeSize(puppetB))
	for _, want := range []struct {
		balance uint64
		hash    common.Hash
		size    int
	}{{1_000_000, types.EmptyCodeHash, 0}, {0, common.Hash{}, 0}, {1000, crypto.Keccak256Hash(puppet), len(puppet)}} {
		if balance, hash, size := got.word(), got.word(), got.number(4); balance != word(want.balance) || hash != want.hash || size != uint64(want.size) {
			t.Errorf("balance %s, code hash %s, size %d, want %+v", balance, hash, size, want)
		}
	}
	got.end()
}

// TestFrames_warm is about the second touch of a slot or an account (EIP-2929), and what a revert makes of it.
func TestFrames_warm(t *testing.T) {
	_, from := testKey(t, 0)
	// The gas of n loads of a slot of puppetB, in frames of their own.
	load := func(n int) (s script) {
		for range n {
			s = s.gas().call(puppetB, 0, 100_000, script{}.load(1)).gas()
		}
		return s
	}
	costs := func(a *answer, n int) (out []uint64) {
		for range n {
			before := a.number(8)
			a.call()
			out = append(out, before-a.number(8))
		}
		return out
	}
	near := func(got, want uint64) bool { return got+2 >= want && got <= want+2 } // ink is rounded
	c := puppets(t)
	got := costs(c.ask(puppetA, load(3)), 3)
	if cold := got[0] - got[2]; !near(cold, 2500+2000) || !near(got[1], got[2]) {
		t.Errorf("a cold account and a cold slot cost %d more, and then nothing: %v", cold, got)
	}
	// In a frame that reverts nothing becomes warm for the ones after.
	data := script{}.call(puppetA, 0, 500_000, load(1).revert())
	a := c.ask(puppetA, append(data, load(2)...))
	a.call()
	if again := costs(a, 2); !near(again[0], got[0]) || !near(again[1], got[2]) {
		t.Errorf("after a revert %v, want %v", again, got)
	}
	// Neither is it in the next transaction of a block; an access list makes it so.
	for _, tt := range []struct {
		name string
		list types.AccessList
		want uint64
	}{
		{"no list", nil, got[0]},
		{"account", types.AccessList{{Address: puppetB}}, got[0] - 2500},
		{"account and slot", types.AccessList{{Address: puppetB, StorageKeys: []common.Hash{word(2), word(1)}}}, got[2]},
	} {
		m := c.message(&puppetA, 0, load(1))
		m.AccessList = tt.list
		if cost := costs(&answer{t, c.call(m).Output}, 1)[0]; !near(cost, tt.want) {
			t.Errorf("%s: %d gas, want %d", tt.name, cost, tt.want)
		}
	}
	// Sender, recipient, coinbase and the chain's own contracts are warm from the start (EIP-3651).
	price := func(a common.Address) uint64 {
		got := c.ask(puppetA, script{}.gas().balance(a).gas())
		before := got.number(8)
		got.word()
		return before - got.number(8)
	}
	warm := price(puppetA)
	for _, a := range []common.Address{from, c.parent.Coinbase, common.BytesToAddress([]byte{9}), common.BytesToAddress([]byte{1, 0})} {
		if cost := price(a); !near(cost, warm) {
			t.Errorf("%s costs %d, want %d", a, cost, warm)
		}
	}
	if cost := price(nobody); !near(cost, warm+2500) {
		t.Errorf("a cold account costs %d, a warm one %d", cost, warm)
	}
}

// TestExecute_warm runs the same transaction twice in a block: for the second one the slot is cold again, and
// its original value is what the first one left.
func TestExecute_warm(t *testing.T) {
	c := puppets(t)
	res := c.block(c.sign(0, &puppetA, 0, 500_000, script{}.store(1, 1)), c.sign(1, &puppetA, 0, 500_000, script{}.store(1, 2)))
	if first, second := res.Receipts[0].GasUsed, res.Receipts[1].GasUsed; first-second != 20_000-2_900 {
		t.Errorf("%d gas to fill a slot, %d to change it", first, second)
	}
	if c.storage[puppetA][word(1)] != word(2) {
		t.Errorf("storage %v", c.storage)
	}
}

// TestExecute_unchanged has contracts write what was there, and send to and fro: no change of the state.
func TestExecute_unchanged(t *testing.T) {
	c := puppets(t)
	c.storage[puppetA] = map[common.Hash]common.Hash{word(1): word(5)}
	res := c.block(c.sign(0, &puppetA, 0, 900_000, script{}.store(1, 6).store(1, 5).store(2, 1).store(2, 0).
		call(puppetB, 9, allGas, script{}.call(puppetA, 9, allGas, nil))))
	if res.Receipts[0].Status != 1 || len(res.Changes) != 1 {
		t.Errorf("status %d, %d changes, want the sender's", res.Receipts[0].Status, len(res.Changes))
	}
}

// BenchmarkExecute_contract runs blocks of calls of one contract, each with one change of a slot and a log.
func BenchmarkExecute_contract(b *testing.B) {
	const txs = 100
	c := puppets(b)
	var block []*ledger.Transaction
	for i := range txs {
		key, _ := testKey(b, i)
		data := script{}.store(uint64(i), 5).log("paid", uint64(i))
		block = append(block, sign(b, c.genesis, key, &types.LegacyTx{To: &puppetA, Gas: 100_000, Data: data}))
	}
	o := &ledger.Ordered{Height: 1, TimeMs: c.genesis.TimeMs + 1}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := exec.Execute(b.Context(), c.worker, c.genesis, c.parent, o, block, c); err != nil || len(res.Changes) != 2*txs {
			b.Fatalf("%+v, %v", res, err)
		}
	}
	b.ReportMetric(float64(txs)*float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}

// TestExecute_whenCodeIsMissing_fails: a node that lacks what the others have has no result.
func TestExecute_whenCodeIsMissing_fails(t *testing.T) {
	c := puppets(t)
	c.accounts[puppetB] = ledger.Account{Nonce: 1, CodeHash: common.Hash{1}}
	c.values[string(ledger.CodeKey(common.Hash{1}))] = ledger.EncodeActivation(ledger.Activation{Version: 1, ModuleBytes: 1})
	tx := c.sign(0, &puppetA, 0, 1_000_000, script{}.call(puppetB, 0, allGas, nil).store(1, 1))
	o := &ledger.Ordered{Height: 1, TimeMs: c.genesis.TimeMs}
	var fault *vm.FaultError
	if res, err := exec.Execute(t.Context(), c.worker, c.genesis, c.parent, o, []*ledger.Transaction{tx}, c); res != nil || !errors.As(err, &fault) {
		t.Errorf("%+v, %v", res, err)
	}
}
