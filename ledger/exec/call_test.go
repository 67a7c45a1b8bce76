package exec_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

func TestCall_refuses(t *testing.T) {
	c := puppets(t)
	poor := c.message(&puppetA, 1_000_001, nil)
	weak := c.message(&puppetA, 0, []byte{1})
	weak.Gas = 21_015
	for _, tt := range []struct {
		name string
		msg  *exec.Message
		want error
		text string
	}{
		{"too little balance", poor, ledger.ErrInsufficientFunds, "have 1000000 want 1000001"},
		{"too little gas", weak, ledger.ErrIntrinsicGas, "have 21015, want 21016"},
	} {
		if _, err := exec.Call(t.Context(), c.worker, exec.BlockOf(c.genesis, c.parent), tt.msg, c); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestCall_changesNothing runs what would change everything, twice.
func TestCall_changesNothing(t *testing.T) {
	c := puppets(t)
	before := c.clone()
	m := c.message(&puppetA, 5, script{}.load(1).store(1, 7).storeTransient(1, 1).log("x").call(puppetB, 3, allGas, script{}.store(1, 7)).create(0, packed(t, nil)).load(1))
	first := c.call(m)
	if second := c.call(m); !reflect.DeepEqual(first, second) || first.Outcome != vm.Success || len(first.Logs) != 1 {
		t.Errorf("%+v, then %+v", first, second)
	}
	if !reflect.DeepEqual(c.accounts, before.accounts) || len(c.storage) != 0 || len(c.codes) != len(before.codes) {
		t.Error("the state is another")
	}
	if r := c.run(&puppetA, 5, m.Gas, m.Data); r.GasUsed != first.GasUsed {
		t.Errorf("the transaction used %d gas, the call %d", r.GasUsed, first.GasUsed)
	}
}

// TestCall_accessed lists what a message touched, in an order of its own.
func TestCall_accessed(t *testing.T) {
	c := puppets(t)
	data := script{}.load(3).load(1).balance(nobody).
		call(puppetB, 0, allGas, script{}.store(2, 2).load(1).revert()).
		call(common.BytesToAddress([]byte{4}), 0, allGas, nil).balance(c.parent.Coinbase)
	want := types.AccessList{
		{Address: nobody, StorageKeys: []common.Hash{}},
		{Address: puppetA, StorageKeys: []common.Hash{word(1), word(3)}},
		{Address: puppetB, StorageKeys: []common.Hash{word(1), word(2)}},
	}
	m := c.message(&puppetA, 0, data)
	res := c.call(m)
	if !reflect.DeepEqual(res.Accessed, want) {
		t.Errorf("accessed %v, want %v", res.Accessed, want)
	}
	m.AccessList = res.Accessed
	if again := c.call(m); !reflect.DeepEqual(again.Accessed, want) {
		t.Errorf("accessed %v with the list", again.Accessed)
	}
}

func TestCall_whenCancelled_stops(t *testing.T) {
	c := puppets(t)
	c.genesis.BlockGasLimit = 1 << 50
	m := c.message(&puppetA, 0, script{}.call(puppetB, 0, allGas, script{}.burn()))
	m.Gas = 1 << 50
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if res, err := exec.Call(ctx, c.worker, exec.BlockOf(c.genesis, c.parent), m, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", res, err)
	}
	// The worker is as good as new.
	if got := c.ask(puppetA, script{}.output("ok")); string(got.rest) != "ok" {
		t.Errorf("%q", got.rest)
	}
	if _, err := exec.Estimate(ctx, c.worker, exec.BlockOf(c.genesis, c.parent), m, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("estimate: %v", err)
	}
	key, _ := testKey(t, 0)
	raw := sign(t, c.genesis, key, &types.LegacyTx{To: &puppetA, Gas: 1_000_000})
	o := &ledger.Ordered{Height: 1, TimeMs: c.genesis.TimeMs}
	if res, err := exec.Execute(ctx, c.worker, c.genesis, c.parent, o, []*ledger.Transaction{raw}, c); res != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("execute: %+v, %v", res, err)
	}
}

func TestEstimate(t *testing.T) {
	_, from := testKey(t, 0)
	for _, tt := range []struct {
		name  string
		to    *common.Address
		value uint64
		data  []byte
		exact uint64
	}{
		{"transfer", &nobody, 1, nil, 21_000},
		{"transfer with data", &nobody, 1, []byte{0, 1}, 21_020},
		{"call", &puppetA, 0, script{}.store(1, 5), 0},
		{"call of the chain's own contract", new(common.BytesToAddress([]byte{2})), 0, []byte("abc"), 0},
		{"needs more than it uses", &puppetA, 0, script{}.call(puppetB, 0, 500_000, script{}.gas()), 0},
		{"nested needs more than it uses", &puppetA, 0, nested(6), 0},
		{"creation", nil, 1, packed(t, script{}.store(1, 5)), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := puppets(t)
			m := c.message(tt.to, tt.value, tt.data)
			block := exec.BlockOf(c.genesis, c.parent)
			gas, err := exec.Estimate(t.Context(), c.worker, block, m, c)
			if err != nil || tt.exact != 0 && gas != tt.exact {
				t.Fatalf("%d gas, %v, want %d", gas, err, tt.exact)
			}
			if r := c.clone().run(tt.to, tt.value, gas, tt.data); r.Status != 1 {
				t.Errorf("with the estimate of %d gas: %+v", gas, r)
			}
			m.Gas = gas - gas*15/1000 - 1
			if m.Gas < m.IntrinsicGas() {
				return
			}
			if res := c.call(m); res.Outcome == vm.Success && res.GasUsed > m.Gas {
				t.Errorf("used %d gas of %d", res.GasUsed, m.Gas)
			}
			// The least limit, one by one from below what is used, is within the tolerance.
			for least := c.call(c.message(tt.to, tt.value, tt.data)).GasUsed; ; least += least / 1000 {
				m.Gas = least
				if res := c.call(m); res.Outcome == vm.Success {
					if gas*1000 > least*1030 {
						t.Errorf("the estimate is %d, and %d would do", gas, least)
					}
					break
				}
			}
		})
	}
	c := puppets(t)
	block := exec.BlockOf(c.genesis, c.parent)
	for _, tt := range []struct {
		name string
		msg  *exec.Message
		text string
		data string
	}{
		{"reverts", c.message(&puppetA, 0, script{}.output("why").revert()), "execution reverted", "why"},
		{"traps", c.message(&puppetA, 0, script{}.trap()), "execution reverted", ""},
		{"burns everything", c.message(&puppetA, 0, script{}.burn()), "gas required exceeds allowance (50000000)", ""},
		{"less than the intrinsic gas", &exec.Message{From: from, To: &nobody, Gas: 20_999}, "gas required exceeds allowance (20999)", ""},
		{"a value that is not there", c.message(&nobody, 1_000_001, nil), "insufficient funds for transfer", ""},
	} {
		gas, err := exec.Estimate(t.Context(), c.worker, block, tt.msg, c)
		if err == nil || !strings.HasPrefix(err.Error(), tt.text) {
			t.Errorf("%s: %d gas, %v, want %q", tt.name, gas, err, tt.text)
		}
		var failure *exec.FailedError
		if errors.As(err, &failure) != (tt.text == "execution reverted") || failure != nil && string(failure.Output) != tt.data {
			t.Errorf("%s: %v", tt.name, failure)
		}
	}
}

// nested calls to and fro, and uses gas in the innermost frame only if it is there.
func nested(depth int) script {
	inner := script{}.store(1, 5)
	for i := range depth {
		to := puppetA
		if i%2 == 0 {
			to = puppetB
		}
		inner = script{}.call(to, 0, allGas, inner)
	}
	return inner
}

func TestOverride(t *testing.T) {
	c := puppets(t)
	c.storage[puppetA] = map[common.Hash]common.Hash{word(1): word(11), word(2): word(22)}
	_, from := testKey(t, 0)
	packedCode, _, err := vm.ParseCreation(packed(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	slot := func(n, v uint64) map[common.Hash]common.Hash { return map[common.Hash]common.Hash{word(n): word(v)} }
	for _, tt := range []struct {
		name      string
		overrides map[common.Address]exec.AccountOverride
		to        common.Address
		data      script
		want      []common.Hash
	}{
		{"none", nil, puppetA, script{}.load(1).load(2), []common.Hash{word(11), word(22)}},
		{"state", map[common.Address]exec.AccountOverride{puppetA: {State: slot(2, 5)}}, puppetA, script{}.load(1).load(2), []common.Hash{word(0), word(5)}},
		{"no state", map[common.Address]exec.AccountOverride{puppetA: {State: map[common.Hash]common.Hash{}}}, puppetA, script{}.load(1), []common.Hash{word(0)}},
		{"state diff", map[common.Address]exec.AccountOverride{puppetA: {StateDiff: slot(2, 5)}}, puppetA, script{}.load(1).load(2), []common.Hash{word(11), word(5)}},
		{"balance", map[common.Address]exec.AccountOverride{nobody: {Balance: uint256.NewInt(9)}}, puppetA, script{}.balance(nobody), []common.Hash{word(9)}},
		{"module", map[common.Address]exec.AccountOverride{nobody: {Code: &puppet}}, nobody, script{}.load(1).codeHash(nobody), []common.Hash{word(0), crypto.Keccak256Hash(puppet)}},
		{"stored code", map[common.Address]exec.AccountOverride{nobody: {Code: &packedCode}}, nobody, script{}.codeHash(nobody), []common.Hash{packedHash(t)}},
		{"creation", map[common.Address]exec.AccountOverride{nobody: {Code: new(packed(t, nil))}}, nobody, script{}.codeHash(nobody), []common.Hash{packedHash(t)}},
		{"no code", map[common.Address]exec.AccountOverride{puppetB: {Code: new([]byte), Nonce: new(uint64)}}, puppetA, script{}.codeHash(puppetB), []common.Hash{types.EmptyCodeHash}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state, err := exec.Override(c, tt.overrides)
			if err != nil {
				t.Fatal(err)
			}
			res, err := exec.Call(t.Context(), c.worker, exec.BlockOf(c.genesis, c.parent), c.message(&tt.to, 0, tt.data), state)
			if err != nil || res.Outcome != vm.Success {
				t.Fatalf("%+v, %v", res, err)
			}
			got := &answer{t, res.Output}
			for _, want := range tt.want {
				if w := got.word(); w != want {
					t.Errorf("%s, want %s", w, want)
				}
			}
		})
	}
	state, err := exec.Override(c, map[common.Address]exec.AccountOverride{from: {Nonce: new(uint64(7))}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := exec.Call(t.Context(), c.worker, exec.BlockOf(c.genesis, c.parent), c.message(nil, 0, packed(t, nil)), state)
	if err != nil || res.Created != crypto.CreateAddress(from, 7) {
		t.Errorf("%+v, %v", res, err)
	}
	for name, o := range map[string]exec.AccountOverride{
		"keep one of them":                  {State: slot(1, 1), StateDiff: slot(1, 1)},
		"compile the contract":              {Code: new(common.FromHex("6080604052"))},
		"truncated or damaged":              {Code: new([]byte("\x00asm\x01\x00\x00\x00\xff"))},
		"overriding account 0x999999999999": {Code: new([]byte("\x00asm"))},
	} {
		if _, err := exec.Override(c, map[common.Address]exec.AccountOverride{nobody: o}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}

// TestOverride_bombs overrides with code that is allowed and takes seconds to compile, which nothing could cancel.
func TestOverride_bombs(t *testing.T) {
	c := puppets(t)
	code := metertest.Code{}
	for range 2000 {
		code = code.Block(0x40).Get(0).BrIf(0).End()
	}
	bomb := metertest.Contract(code.Const32(0).End()).Encode()
	module, err := meter.Rewrite(bomb, meter.Current)
	if err != nil {
		t.Fatal(err)
	}
	allowed := int(100_000_000 / module.ActivationGas)
	overrides := make(map[common.Address]exec.AccountOverride)
	for i := range allowed + 1 {
		if _, err := exec.Override(c, overrides); err != nil {
			t.Fatalf("%d of %d gas: %v", i, module.ActivationGas, err)
		}
		overrides[common.Address{byte(i)}] = exec.AccountOverride{Code: new(append(slices.Clip(bomb), 0, 2, 1, byte(i)))} // a section
	}
	if _, err := exec.Override(c, overrides); err == nil || !strings.Contains(err.Error(), "override less code") {
		t.Errorf("%d codes of %d gas to activate are allowed: %v", len(overrides), module.ActivationGas, err)
	}
}
