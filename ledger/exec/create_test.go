package exec_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// packed is what deploys a puppet, with a script for its constructor.
func packed(tb testing.TB, args script) []byte {
	tb.Helper()
	frame, err := vm.Pack(puppet)
	if err != nil {
		tb.Fatal(err)
	}
	return append(frame, args...)
}

// packedHash is the code hash of what packed deploys.
func packedHash(tb testing.TB) common.Hash {
	tb.Helper()
	code, _, err := vm.ParseCreation(packed(tb, nil))
	if err != nil {
		tb.Fatal(err)
	}
	return crypto.Keccak256Hash(code)
}

// plain is a contract without a constructor that does nothing.
var plain = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x06\x01\x60\x01\x7f\x01\x7f" + // type: i32 to i32
	"\x03\x02\x01\x00" +
	"\x05\x03\x01\x00\x01" + // a page of memory
	"\x07\x1c\x02\x06memory\x02\x00\x0fuser_entrypoint\x00\x00" +
	"\x0a\x06\x01\x04\x00\x41\x00\x0b")

// revertText is the text in revert data, as clients read it.
func revertText(tb testing.TB, data []byte) string {
	tb.Helper()
	if len(data) < 4+64 || binary.BigEndian.Uint32(data) != 0x08c379a0 || len(data)%32 != 4 || common.Hash(data[4:36]) != word(32) {
		tb.Fatalf("revert data %x is not Error(string)", data)
	}
	size := binary.BigEndian.Uint64(data[60:68])
	text, padding := data[68:68+size], data[68+size:]
	if len(bytes.Trim(padding, "\x00")) != 0 || len(padding) >= 32 {
		tb.Fatalf("revert data %x is padded with %x", data, padding)
	}
	return string(text)
}

func TestExecute_creation(t *testing.T) {
	_, from := testKey(t, 0)
	at := crypto.CreateAddress(from, 0)
	large := make([]byte, 500) // of a frame that announces more than there is
	copy(large, "\xef\x00W\x01\x00\x01\x00\x00")
	for _, tt := range []struct {
		name    string
		data    []byte
		gas     uint64
		outcome vm.Outcome
		text    string
	}{
		{"module", puppet, 10_000_000, vm.Success, ""},
		{"frame", packed(t, nil), 10_000_000, vm.Success, ""},
		{"frame with arguments", packed(t, script{}.store(1, 5).log("made")), 10_000_000, vm.Success, ""},
		{"constructor reverts", packed(t, script{}.store(1, 5).output("no").revert()), 10_000_000, vm.Revert, ""},
		{"constructor traps", packed(t, script{}.store(1, 5).trap()), 10_000_000, vm.Trapped, ""},
		{"constructor burns all", packed(t, script{}.store(1, 5).burn()), 3_000_000, vm.OutOfGas, ""},
		{"too little for the deposit", puppet, 1_000_000, vm.OutOfGas, ""},
		{"too little to check it", puppet, 150_000, vm.OutOfGas, ""},
		{"nothing", nil, 1_000_000, vm.Revert, "not a WebAssembly contract"},
		{"bytecode of the EVM", common.FromHex("6080604052348015600e575f5ffd5b50"), 1_000_000, vm.Revert, "compile the contract to WebAssembly"},
		{"truncated frame", large, 1_000_000, vm.Revert, "truncated"},
		{"garbage module", append([]byte("\x00asm\x01\x00\x00\x00"), 0xff, 0x7f), 1_000_000, vm.Revert, ""},
		{"without a constructor", plain, 1_000_000, vm.Success, ""},
		{"arguments for no constructor", framed(t, plain, []byte{1}), 1_000_000, vm.Revert, "the contract has no constructor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t)
			m := c.message(nil, 3, tt.data)
			m.Gas = tt.gas
			res := c.call(m)
			if res.Outcome != tt.outcome {
				t.Fatalf("outcome %d, output %q, want %d", res.Outcome, res.Output, tt.outcome)
			}
			if tt.text != "" && !strings.Contains(revertText(t, res.Output), tt.text) {
				t.Errorf("reason %q, want %q", revertText(t, res.Output), tt.text)
			}
			r := c.run(nil, 3, tt.gas, tt.data)
			if (r.Status == 1) != (tt.outcome == vm.Success) || r.GasUsed != res.GasUsed || r.ContractAddress != at {
				t.Errorf("receipt %+v, and a call used %d gas", r, res.GasUsed)
			}
			if all := tt.outcome != vm.Success && tt.outcome != vm.Revert; (r.GasUsed == tt.gas) != all {
				t.Errorf("used %d gas of %d", r.GasUsed, tt.gas)
			}
			if got := c.accounts[from].Nonce; got != 1 {
				t.Errorf("the sender's nonce is %d", got)
			}
			if tt.outcome != vm.Success {
				if c.accounts[at] != (ledger.Account{}) || len(c.codes)+len(c.storage)+len(c.values)+len(r.Logs) != 0 || c.accounts[from].Balance != wei(1_000_000) {
					t.Errorf("something is left: %+v, %d codes", c.accounts[at], len(c.codes))
				}
				return
			}
			code, args, err := vm.ParseCreation(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.accounts[at]; got != (ledger.Account{Nonce: 1, Balance: wei(3), CodeHash: crypto.Keccak256Hash(code)}) || !bytes.Equal(c.codes[got.CodeHash], code) {
				t.Errorf("account %+v", got)
			}
			if res.Created != at || !bytes.Equal(res.Output, code) {
				t.Errorf("the call created %s with %d bytes", res.Created, len(res.Output))
			}
			if (len(args) > 0) != (c.storage[at][word(1)] == word(5)) || (len(args) > 0) != (len(r.Logs) == 1) {
				t.Errorf("the constructor left %v and %d logs", c.storage[at], len(r.Logs))
			}
		})
	}
}

// framed wraps a module with constructor arguments.
func framed(tb testing.TB, wasm, args []byte) []byte {
	tb.Helper()
	frame, err := vm.Pack(wasm)
	if err != nil {
		tb.Fatal(err)
	}
	return append(frame, args...)
}

// TestExecute_creation_ofKnownCode pays for the activation once.
func TestExecute_creation_ofKnownCode(t *testing.T) {
	c := newChain(t)
	first := c.run(nil, 0, 10_000_000, packed(t, nil))
	res := c.block(c.sign(0, nil, 0, 10_000_000, packed(t, nil)), c.sign(1, nil, 0, 10_000_000, packed(t, script{}.store(1, 5))))
	if len(res.Codes) != 0 || res.Receipts[0].Status != 1 || res.Receipts[1].Status != 1 {
		t.Fatalf("%+v", res)
	}
	a, err := ledger.DecodeActivation(c.Value(ledger.CodeKey(packedHash(t))))
	if err != nil || int(a.ModuleBytes) != len(puppet) || a.Version != 1 {
		t.Fatalf("activation %+v, %v", a, err)
	}
	// It is loaded instead, see TestFrames_load.
	if saved := first.GasUsed - res.Receipts[0].GasUsed; saved != a.Gas-loadGas(puppet) {
		t.Errorf("the second one saves %d gas, and the activation was %d", saved, a.Gas)
	}
	// In the block that is undone first and then done, there is one activation.
	d := newChain(t)
	res = d.block(d.sign(0, nil, 0, 10_000_000, packed(t, script{}.revert())), d.sign(1, nil, 0, 10_000_000, packed(t, nil)))
	if len(res.Codes) != 1 || res.Receipts[0].Status != 0 || res.Receipts[1].Status != 1 || res.Receipts[1].GasUsed != first.GasUsed {
		t.Errorf("%d codes, %+v", len(res.Codes), res.Receipts)
	}
}

// TestExecute_creation_paysForUnpacking creates by streams that are work to decompress and no contract.
func TestExecute_creation_paysForUnpacking(t *testing.T) {
	for name, code := range map[string][]byte{
		// An uncompressed block of 4 MiB, of which nothing is there.
		"a window": {0b1011, 0b1111_1110, 0xff, 0xff, 0},
		"garbage":  bytes.Repeat([]byte{0xff}, 50_000),
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t)
			frame := append(binary.BigEndian.AppendUint32([]byte("\xef\x00W\x01"), uint32(len(code))), code...)
			m := c.message(nil, 0, frame)
			res := c.call(m)
			if want := m.IntrinsicGas() + 100_000 + 10*uint64(len(code)+4); res.Outcome != vm.Revert || res.GasUsed != want {
				t.Errorf("outcome %d for %d gas, want a revert for %d", res.Outcome, res.GasUsed, want)
			}
		})
	}
}

// created reads what a puppet says about a creation.
func created(a *answer) (common.Address, []byte) {
	a.t.Helper()
	at := a.address()
	return at, a.bytes(int(a.number(4)))
}

// TestFrames_create creates from a contract.
func TestFrames_create(t *testing.T) {
	c := puppets(t)
	first, second := crypto.CreateAddress(puppetA, 1), crypto.CreateAddress(puppetA, 3)
	data := script{}.
		create(7, packed(t, script{}.store(1, 5))).
		create(0, packed(t, script{}.output("why").revert())).
		create(0, packed(t, nil)).
		create(0, []byte("nothing")).
		create(5000, packed(t, nil)).
		call(first, 0, allGas, script{}.load(1).context())
	got := c.ask(puppetA, data)
	if at, _ := created(got); at != first {
		t.Errorf("created %s, want %s", at, first)
	}
	if at, why := created(got); at != (common.Address{}) || string(why) != "why" {
		t.Errorf("created %s, %q", at, why)
	}
	if at, _ := created(got); at != second { // the failed one used its nonce
		t.Errorf("created %s, want %s", at, second)
	}
	if at, why := created(got); at != (common.Address{}) || revertText(t, why) != "the contract is refused: create it by a transaction of its own, whose error says why" {
		t.Errorf("created %s, %q", at, why) // a text that could change would be a fork
	}
	if at, why := created(got); at != (common.Address{}) || len(why) != 0 {
		t.Errorf("created %s, %q", at, why)
	}
	status, inside := got.call()
	if slot := inside.word(); status != succeeded || slot != word(5) || inside.address() != first {
		t.Errorf("status %d, slot %s", status, slot)
	}
	if r := c.run(&puppetA, 0, 20_000_000, data); r.Status != 1 || r.ContractAddress != (common.Address{}) {
		t.Fatalf("%+v", r)
	}
	hash := packedHash(t)
	for at, want := range map[common.Address]ledger.Account{
		puppetA: {Nonce: 5, Balance: wei(993), CodeHash: crypto.Keccak256Hash(puppet)}, // without the one it could not pay for
		first:   {Nonce: 1, Balance: wei(7), CodeHash: hash},
		second:  {Nonce: 1, CodeHash: hash},
	} {
		if got := c.accounts[at]; got != want {
			t.Errorf("%s is %+v, want %+v", at, got, want)
		}
	}
}

// TestFrames_create2 creates twice at one address.
func TestFrames_create2(t *testing.T) {
	c := puppets(t)
	code := packed(t, nil)
	at := crypto.CreateAddress2(puppetA, word(9), crypto.Keccak256(code))
	other := crypto.CreateAddress2(puppetA, word(8), crypto.Keccak256(code))
	got := c.ask(puppetA, script{}.create2(1, 9, code).gas().create2(1, 9, code).gas())
	if address, _ := created(got); address != at {
		t.Errorf("created %s, want %s", address, at)
	}
	before := got.number(8)
	if address, why := created(got); address != (common.Address{}) || len(why) != 0 {
		t.Errorf("created %s again, %q", address, why)
	}
	if after := got.number(8); after > before/64 { // a collision uses all gas that went down
		t.Errorf("of %d gas %d are left", before, after)
	}
	// An address that was only paid to is free, and keeps what it has.
	c.accounts[at] = ledger.Account{Balance: wei(50)}
	if r := c.run(&puppetA, 0, 20_000_000, script{}.create2(1, 9, code).create2(0, 8, code)); r.Status != 1 {
		t.Fatalf("%+v", r)
	}
	if a, b := c.accounts[at], c.accounts[other]; a.Balance != wei(51) || a.Nonce != 1 || b.Nonce != 1 || a.CodeHash != b.CodeHash {
		t.Errorf("accounts %+v and %+v", a, b)
	}
	// What has a nonce is not.
	_, from := testKey(t, 1)
	taken := crypto.CreateAddress(from, 0)
	c.accounts[taken] = ledger.Account{Nonce: 1}
	if r := c.block(c.sign(1, nil, 0, 900_000, code)).Receipts[0]; r.Status != 0 || r.GasUsed != 900_000 {
		t.Errorf("a creation on top of an account: %+v", r)
	}
	// A creation that was undone leaves its address free.
	third := script{}.create2(0, 7, code)
	if r := c.run(&puppetA, 0, 20_000_000, script{}.call(puppetB, 0, allGas, append(append(script{}, third...), 'R')).call(puppetB, 0, allGas, third)); r.Status != 1 {
		t.Fatalf("%+v", r)
	}
	if got := c.accounts[crypto.CreateAddress2(puppetB, word(7), crypto.Keccak256(code))]; got.Nonce != 1 {
		t.Errorf("account %+v", got)
	}
	if got := c.accounts[puppetB].Nonce; got != 2 {
		t.Errorf("nonce %d of the creator, want that of one creation", got)
	}
}

// TestFrames_constructor is about a contract while it is made: it has storage and balance, but no code.
func TestFrames_constructor(t *testing.T) {
	c := puppets(t)
	_, from := testKey(t, 0)
	at := crypto.CreateAddress(from, 0)
	inside := script{}.codeSize(at).codeHash(at).balance(at).call(at, 0, allGas, script{}.store(2, 9))
	args := script{}.store(1, 5).call(puppetA, 1, allGas, inside).revert() // so that its answer shows
	res := c.call(c.message(nil, 4, packed(t, args)))
	if res.Outcome != vm.Revert {
		t.Fatalf("outcome %d", res.Outcome)
	}
	_, got := (&answer{t, res.Output}).call()
	if size, hash, balance := got.number(4), got.word(), got.word(); size != 0 || hash != types.EmptyCodeHash || balance != word(3) {
		t.Errorf("size %d, hash %s, balance %s", size, hash, balance)
	}
	if status, inner := got.call(); status != succeeded || len(inner.rest) != 0 {
		t.Errorf("a call of what has no code yet: status %d", status)
	}
	// It can create in turn, beginning at nonce 1.
	res = c.call(c.message(nil, 0, packed(t, script{}.create(0, packed(t, nil)).revert())))
	if child, _ := created(&answer{t, res.Output}); child != crypto.CreateAddress(at, 1) {
		t.Errorf("created %s", child)
	}
}

// TestExecute_deployers lets only some create, whoever calls for them.
func TestExecute_deployers(t *testing.T) {
	c := puppets(t)
	_, zero := testKey(t, 0)
	_, one := testKey(t, 1)
	c.values[string(ledger.DeployersKey())] = ledger.EncodeDeployers([]common.Address{one})
	res := c.call(c.message(nil, 0, packed(t, nil)))
	if text := revertText(t, res.Output); res.Outcome != vm.Revert || !strings.Contains(text, zero.Hex()+" may not create contracts") {
		t.Errorf("outcome %d, %q", res.Outcome, text)
	}
	if r := c.run(nil, 0, 10_000_000, packed(t, nil)); r.Status != 0 || r.GasUsed > 200_000 {
		t.Errorf("%+v", r)
	}
	factory := script{}.create(0, packed(t, nil))
	if at, why := created(c.ask(puppetA, factory)); at != (common.Address{}) || !strings.Contains(revertText(t, why), "by a transaction of its own") {
		t.Errorf("a contract created %s for who may not, %q", at, why)
	}
	block := c.block(c.sign(1, nil, 0, 10_000_000, packed(t, nil)))
	if r := block.Receipts[0]; r.Status != 1 {
		t.Errorf("%+v", r)
	}
	block = c.block(c.sign(1, &puppetA, 0, 10_000_000, factory))
	if at := crypto.CreateAddress(puppetA, 1); block.Receipts[0].Status != 1 || c.accounts[at].Nonce != 1 {
		t.Errorf("%+v", block.Receipts[0])
	}
}

// TestCall_limits holds the limits of ledger and vm together.
func TestCall_limits(t *testing.T) {
	if ledger.MaxInitCodeBytes != vm.MaxCreation {
		t.Errorf("a transaction carries %d bytes, a contract's creation %d", ledger.MaxInitCodeBytes, vm.MaxCreation)
	}
	c := newChain(t)
	m := c.message(nil, 0, make([]byte, ledger.MaxInitCodeBytes+1))
	if _, err := exec.Call(t.Context(), c.worker, exec.BlockOf(c.genesis, c.parent), m, c); err == nil || !strings.HasPrefix(err.Error(), "max initcode size exceeded: code size 197633, limit 197632") {
		t.Errorf("error %v", err)
	}
}
