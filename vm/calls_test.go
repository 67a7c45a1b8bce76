package vm_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

// recorder is a world that answers calls and creations by itself and keeps what they were.
type recorder struct {
	*vmtest.World
	account vm.Account
	answer  vm.Answer
	created common.Address
	calls   []vm.Call
	creates []vm.Create
}

func (r *recorder) Account(common.Address) (vm.Account, bool) { return r.account, false }

func (r *recorder) Call(c vm.Call) vm.Answer {
	c.Input = bytes.Clone(c.Input)
	r.calls = append(r.calls, c)
	a := r.answer
	a.GasLeft = min(a.GasLeft, c.Gas)
	return a
}

func (r *recorder) Create(c vm.Create) (common.Address, vm.Answer) {
	r.creates = append(r.creates, c)
	a := r.answer
	a.GasLeft = min(a.GasLeft, c.Gas)
	return r.created, a
}

const all = 1<<64 - 1

// callScript calls bob with an input, and returns status, length and return data.
func callScript(name string, value *uint256.Int, gas uint64) *script {
	s := &script{}
	to, input := s.put(bob[:]), s.put([]byte("input"))
	args := []uint64{to, input, 5}
	if name == "call_contract" {
		b := value.Bytes32()
		args = append(args, s.put(b[:]))
	}
	return s.hook(name, append(args, gas, 8, 0)...).hook("read_return_data", 64, 0, 100, 16).
		hook("return_data_size", 24).hook("write_result", 0, 100)
}

func TestCall_whatTheContractSees(t *testing.T) {
	w := newWorld(t, vm.Config{})
	output := []byte("some return data")
	for _, tt := range []struct {
		outcome vm.Outcome
		status  uint64
		output  []byte
	}{
		{vm.Success, 0, output},
		{vm.Revert, 1, output},
		{vm.OutOfGas, 2, nil},
		{vm.Trapped, 2, nil},
		{vm.TooDeep, 2, nil},
		{vm.NoBalance, 2, nil},
	} {
		for _, name := range []string{"call_contract", "delegate_call_contract", "static_call_contract"} {
			r := &recorder{World: w.World, answer: vm.Answer{Outcome: tt.outcome, Output: output, GasLeft: 100}}
			got := w.frame(callScript(name, uint256.NewInt(0), 1000), func(f *vm.Frame) { f.World = r })
			if got.Outcome != vm.Success || len(r.calls) != 1 {
				t.Fatalf("outcome %d, %d calls", got.Outcome, len(r.calls))
			}
			size := uint64(len(tt.output))
			status, length := binary.LittleEndian.Uint64(got.Output), uint64(binary.LittleEndian.Uint32(got.Output[8:]))
			read, reported := binary.LittleEndian.Uint64(got.Output[16:]), binary.LittleEndian.Uint64(got.Output[24:])
			if status != tt.status || length != size || read != size || reported != size || !bytes.Equal(got.Output[64:64+size], tt.output) {
				t.Errorf("%s, outcome %d: got status %d, lengths %d, %d and %d, %q", name, tt.outcome, status, length, read, reported, got.Output[64:])
			}
			if c := r.calls[0]; c.To != bob || string(c.Input) != "input" || c.Gas != 1000 || c.From.Contract != w.puppet {
				t.Errorf("%s: called with %+v", name, c)
			}
		}
	}
}

func TestCall_returnDataIsClamped(t *testing.T) {
	w := newWorld(t, vm.Config{})
	r := &recorder{World: w.World, answer: vm.Answer{Output: []byte("0123456789")}}
	for _, tt := range []struct {
		offset, size uint64
		want         string
	}{
		{0, 10, "0123456789"},
		{3, 4, "3456"},
		{8, 100, "89"},
		{10, 1, ""},
		{11, 1, ""},
		{1<<32 - 1, 1<<32 - 1, ""},
		{0, 0, ""},
	} {
		s := callScript("call_contract", uint256.NewInt(0), 0)
		s.code = s.code[:len(s.code)-17] // without write_result
		s.hook("read_return_data", 200, tt.offset, tt.size, 192).hook("write_result", 192, uint64(8+len(tt.want)))
		got := w.frame(s, func(f *vm.Frame) { f.World = r })
		if n := binary.LittleEndian.Uint64(got.Output); n != uint64(len(tt.want)) || string(got.Output[8:]) != tt.want {
			t.Errorf("%d from %d: got %d, %q, want %q", tt.size, tt.offset, n, got.Output[8:], tt.want)
		}
	}
}

func TestCall_gas(t *testing.T) {
	w := newWorld(t, vm.Config{})
	existing := vm.Account{CodeHash: crypto.Keccak256Hash()}
	zero, one := uint256.NewInt(0), uint256.NewInt(1)
	ask := func(name string, account vm.Account, value *uint256.Int, gas, limit uint64, answer vm.Answer) (vm.Call, uint64) {
		r := &recorder{World: w.World, account: account, answer: answer}
		got := w.frame(callScript(name, value, gas), func(f *vm.Frame) { f.World, f.Gas = r, limit })
		if len(r.calls) != 1 {
			t.Fatalf("outcome %d and %d calls, want one", got.Outcome, len(r.calls))
		}
		return r.calls[0], limit - got.GasLeft
	}
	t.Run("what is asked for, if it is there", func(t *testing.T) {
		for _, name := range []string{"call_contract", "delegate_call_contract", "static_call_contract"} {
			if c, _ := ask(name, existing, zero, 12_345, plenty, vm.Answer{}); c.Gas != 12_345 {
				t.Errorf("%s: got %d, want 12345", name, c.Gas)
			}
		}
	})
	t.Run("otherwise all but a 64th", func(t *testing.T) {
		_, before := ask("call_contract", existing, zero, 0, plenty, vm.Answer{})
		_, after := ask("call_contract", existing, zero, 1000, plenty, vm.Answer{})
		if after-before != 1000 {
			t.Errorf("1000 gas more took %d more", after-before)
		}
		for _, gas := range []uint64{all, plenty, plenty - 100_000} {
			c, spent := ask("call_contract", existing, zero, gas, plenty, vm.Answer{})
			// Of what was left at that moment the frame keeps a 64th, and spends a little of it afterwards.
			kept := plenty - c.Gas - before
			if left := uint64(plenty) - spent; c.Gas/63 < left || c.Gas/63-left > 1000 {
				t.Errorf("asked for %d: passed on %d, kept %d, %d left at the end", gas, c.Gas, kept, left)
			}
		}
	})
	t.Run("what is left comes back", func(t *testing.T) {
		_, none := ask("call_contract", existing, zero, 10_000, plenty, vm.Answer{})
		for _, outcome := range []vm.Outcome{vm.Success, vm.Revert, vm.TooDeep, vm.NoBalance} {
			if _, spent := ask("call_contract", existing, zero, 10_000, plenty, vm.Answer{Outcome: outcome, GasLeft: 7_000}); none-spent != 7_000 {
				t.Errorf("outcome %d: got %d back, want 7000", outcome, none-spent)
			}
		}
	})
	t.Run("value costs, and brings a stipend", func(t *testing.T) {
		_, without := ask("call_contract", existing, zero, 10_000, plenty, vm.Answer{})
		c, with := ask("call_contract", existing, one, 10_000, plenty, vm.Answer{})
		if c.Gas != 12_300 || with-without != 9_000 || c.Value != *one {
			t.Errorf("got %d gas with value %d for %d more, want 12300 for 9000 more", c.Gas, &c.Value, with-without)
		}
		c, fresh := ask("call_contract", vm.Account{}, one, 10_000, plenty, vm.Answer{})
		if c.Gas != 12_300 || fresh-with != 25_000 {
			t.Errorf("a new account costs %d more, want 25000", fresh-with)
		}
		if _, spent := ask("call_contract", vm.Account{}, zero, 10_000, plenty, vm.Answer{}); spent != without {
			t.Errorf("a call of nobody without value costs %d, of somebody %d", spent, without)
		}
		// The stipend is not the caller's to lose.
		if _, spent := ask("call_contract", existing, one, 0, plenty, vm.Answer{GasLeft: 2_300}); spent != with-10_000-2_300 {
			t.Errorf("an unspent stipend: %d spent, want %d", spent, with-10_000-2_300)
		}
	})
}

func TestCall_accessCosts(t *testing.T) {
	w := newWorld(t, vm.Config{})
	w.Accounts[bob] = &vmtest.Account{Balance: *uint256.NewInt(1)}
	for _, name := range []string{"account_balance", "account_codehash", "account_code_size", "account_code"} {
		ask := func(twice bool) uint64 {
			s := &script{}
			args := []uint64{s.put(bob[:])}
			switch name {
			case "account_code":
				args = append(args, 0, 10, 64, 128)
			default:
				args = append(args, 64)
			}
			warm := s.put(alice[:])
			s.hook(name, args...)
			if twice {
				s.hook(name, args...)
			} else { // the sender is warm from the start
				s.hook(name, append([]uint64{warm}, args[1:]...)...)
			}
			return w.spent(s, nil)
		}
		if same, other := ask(true), ask(false); same != other {
			t.Errorf("%s: the same account twice costs %d, and one that is warm %d", name, same, other)
		}
		cold, warm := &script{}, &script{}
		args := []uint64{0, 64}
		if name == "account_code" {
			args = []uint64{0, 0, 10, 64, 128}
		}
		args[0] = cold.put(bob[:])
		cold.hook(name, args...)
		args[0] = warm.put(alice[:])
		warm.hook(name, args...)
		if got := w.spent(cold, nil) - w.spent(warm, nil); got != 2500*10_000 {
			t.Errorf("%s: cold costs %d ink more than warm, want 2500 gas", name, got)
		}
	}
}

func TestCall_nested(t *testing.T) {
	w := newWorld(t, vm.Config{})
	other := w.deploy(puppet) // another account with the same code
	// What a frame says of itself: contract, sender, value, reentrant.
	say := func(s *script) *script {
		return s.hook("contract_address", 0).hook("msg_sender", 32).hook("msg_value", 64).hook("msg_reentrant", 96).hook("write_result", 0, 104)
	}
	inner := say(&script{})
	value := uint256.NewInt(3)
	for _, tt := range []struct {
		name                     string
		to                       common.Address
		contract, sender, caller common.Address
		value                    uint64
		reentrant                byte
	}{
		{"call_contract", other, other, w.puppet, alice, 2, 0},
		{"call_contract", w.puppet, w.puppet, w.puppet, alice, 2, 1},
		{"delegate_call_contract", other, w.puppet, alice, alice, 3, 0},
		{"static_call_contract", other, other, w.puppet, alice, 0, 0},
	} {
		s := &script{}
		args := []uint64{s.put(tt.to[:]), s.put(inner.bytes()), uint64(len(inner.bytes()))}
		if tt.name == "call_contract" {
			args = append(args, s.word(2))
		}
		s.hook(tt.name, append(args, all, 8, 0)...).hook("read_return_data", 200, 0, 104, 16).hook("write_result", 200, 104)
		got := w.sendTo(w.puppet, s.bytes(), value, plenty)
		if got.Outcome != vm.Success {
			t.Fatalf("%s: outcome %d", tt.name, got.Outcome)
		}
		want := make([]byte, 104)
		copy(want, tt.contract[:])
		copy(want[32:], tt.sender[:])
		want[95], want[96] = byte(tt.value), tt.reentrant
		if !bytes.Equal(got.Output, want) {
			t.Errorf("%s: got\n%x, want\n%x", tt.name, got.Output, want)
		}
	}
}

func TestCall_whatAFailedCallDidIsUndone(t *testing.T) {
	w := newWorld(t, vm.Config{})
	other := w.deploy(puppet)
	for _, ending := range []struct {
		op   int
		args []uint64
		kept bool
	}{{opStop, []uint64{0}, true}, {opStop, []uint64{1}, false}, {opUnreachable, nil, false}, {opSpin, nil, false}} {
		w.Accounts[other].Storage = map[common.Hash]common.Hash{}
		w.Accounts[other].Balance.Clear()
		inner := &script{}
		key := inner.word(1)
		inner.hook("storage_cache_bytes32", key, key).hook("storage_flush_cache", 0).hook("emit_log", key, 32, 1).do(ending.op, ending.args...)
		s := &script{}
		s.hook("call_contract", s.put(other[:]), s.put(inner.bytes()), uint64(len(inner.bytes())), s.word(1), 1_000_000, 8, 0)
		if got := w.sendTo(w.puppet, s.bytes(), uint256.NewInt(1), plenty); got.Outcome != vm.Success {
			t.Fatalf("outcome %d", got.Outcome)
		}
		stored := w.Accounts[other].Storage[common.BigToHash(common.Big1)] != common.Hash{}
		if stored != ending.kept || (len(w.Logs) == 1) != ending.kept || w.Accounts[other].Balance.IsZero() == ending.kept {
			t.Errorf("ended by %d: stored %t, %d logs, balance %d", ending.op, stored, len(w.Logs), &w.Accounts[other].Balance)
		}
	}
}

func TestCall_staticIsInherited(t *testing.T) {
	w := newWorld(t, vm.Config{})
	other := w.deploy(puppet)
	// puppet —static→ other —call→ puppet, which writes.
	write := &script{}
	key := write.word(1)
	write.hook("storage_cache_bytes32", key, key).hook("storage_flush_cache", 0)
	middle := &script{}
	middle.hook("call_contract", middle.put(w.puppet[:]), middle.put(write.bytes()), uint64(len(write.bytes())), middle.word(0), all, 8, 0).hook("write_result", 0, 8)
	outer := func(name string) []byte {
		s := &script{}
		args := []uint64{s.put(other[:]), s.put(middle.bytes()), uint64(len(middle.bytes()))}
		if name == "call_contract" {
			args = append(args, s.word(0))
		}
		s.hook(name, append(args, 10_000_000, 8, 0)...).hook("read_return_data", 0, 0, 8, 16).hook("write_result", 0, 8)
		return w.ok(s).Output
	}
	if got := outer("call_contract"); got[0] != 0 {
		t.Errorf("got status %d for a call that may write", got[0])
	}
	if got := outer("static_call_contract"); got[0] != 2 {
		t.Errorf("got status %d below a static call, want 2", got[0])
	}
}

func TestCall_depth(t *testing.T) {
	w := newWorld(t, vm.Config{})
	r := &recorder{World: w.World}
	for depth, calls := range map[int]int{0: 1, 1023: 1, 1024: 0} {
		r.calls, r.creates = nil, nil
		s := callScript("call_contract", uint256.NewInt(0), 5000)
		got := w.frame(s, func(f *vm.Frame) { f.World, f.Depth = r, depth })
		if status := got.Output[0]; len(r.calls) != calls || (status == 0) != (calls == 1) {
			t.Errorf("depth %d: got %d calls and status %d", depth, len(r.calls), status)
		}
		s = &script{}
		s.hook("create1", s.put([]byte{1}), 1, s.word(0), 0, 32)
		if w.frame(s, func(f *vm.Frame) { f.World, f.Depth = r, depth }); len(r.creates) != calls {
			t.Errorf("depth %d: got %d creations, want %d", depth, len(r.creates), calls)
		}
	}
	// The gas of a call that was not made comes back.
	zero := uint256.NewInt(0)
	spent := func(depth int) uint64 {
		got := w.frame(callScript("call_contract", zero, 5000), func(f *vm.Frame) { f.World, f.Depth = r, depth })
		return plenty - got.GasLeft
	}
	if deep, flat := spent(1024), spent(0); flat-deep != 5000 {
		t.Errorf("a call that used all its gas costs %d, one too deep %d", flat, deep)
	}
}

func TestCreate(t *testing.T) {
	w := newWorld(t, vm.Config{})
	packed, err := vm.Pack(counter)
	if err != nil {
		t.Fatal(err)
	}
	salt := common.Hash{5}
	for _, name := range []string{"create1", "create2"} {
		s := &script{}
		args := []uint64{s.put(packed), uint64(len(packed)), s.word(2)}
		nonce := w.Accounts[w.puppet].Nonce
		want := crypto.CreateAddress(w.puppet, nonce)
		if name == "create2" {
			args = append(args, s.put(salt[:]))
			want = crypto.CreateAddress2(w.puppet, salt, crypto.Keccak256(packed))
		}
		s.hook(name, append(args, 0, 32)...).hook("write_result", 0, 36)
		got := w.sendTo(w.puppet, s.bytes(), uint256.NewInt(2), plenty)
		if got.Outcome != vm.Success || common.Address(got.Output[:20]) != want || binary.LittleEndian.Uint32(got.Output[32:]) != 0 {
			t.Fatalf("%s: got outcome %d, %x, want %x", name, got.Outcome, got.Output, want)
		}
		if a := w.Accounts[want]; a.Balance != *uint256.NewInt(2) || w.Accounts[w.puppet].Nonce != nonce+1 {
			t.Errorf("%s: got balance %d, nonce of the creator %d", name, &a.Balance, w.Accounts[w.puppet].Nonce)
		}
		if got := w.sendTo(want, nil, nil, plenty); got.Outcome != vm.Success || got.Output[31] != 1 {
			t.Errorf("%s: the contract answers %d, %x", name, got.Outcome, got.Output)
		}
	}
}

func TestCreate_failures(t *testing.T) {
	w := newWorld(t, vm.Config{})
	create := func(s *script, code []byte, endowment uint64) []byte {
		s.hook("create1", s.put(code), uint64(len(code)), s.word(endowment), 0, 32).hook("read_return_data", 64, 0, 200, 264).hook("write_result", 0, 272)
		return w.ok(s).Output
	}
	t.Run("a refused module says why", func(t *testing.T) {
		got := create(&script{}, []byte{0x60, 0x80, 0x60, 0x40}, 0)
		n := binary.LittleEndian.Uint32(got[32:])
		if !bytes.Equal(got[:20], make([]byte, 20)) || n == 0 || !bytes.HasPrefix(got[64:], []byte{0x08, 0xc3, 0x79, 0xa0}) || !bytes.Contains(got, []byte("EVM")) {
			t.Errorf("got address %x, %d bytes: %q", got[:20], n, got[64:])
		}
	})
	t.Run("without the balance", func(t *testing.T) {
		got := create(&script{}, counter, 1<<60)
		if !bytes.Equal(got[:36], make([]byte, 36)) {
			t.Errorf("got %x", got)
		}
	})
	t.Run("too long a code traps", func(t *testing.T) {
		s := (&script{}).do(opGrow, 10, 0)
		s.hook("create1", 0, vm.MaxCreation+1, s.word(0), 0, 32)
		if got := w.send(s); got.Outcome != vm.Trapped {
			t.Errorf("got outcome %d, want a trap", got.Outcome)
		}
	})
}

func TestCreate_gas(t *testing.T) {
	w := newWorld(t, vm.Config{})
	ask := func(name string, size uint64) (vm.Create, uint64) {
		r := &recorder{World: w.World, answer: vm.Answer{GasLeft: all}}
		s := &script{}
		args := []uint64{0, size, s.word(0)}
		if name == "create2" {
			args = append(args, s.word(0))
		}
		s.hook(name, append(args, 0, 32)...)
		got := w.frame(s, func(f *vm.Frame) { f.World = r })
		if got.Outcome != vm.Success || len(r.creates) != 1 {
			t.Fatalf("outcome %d and %d creations", got.Outcome, len(r.creates))
		}
		return r.creates[0], plenty - got.GasLeft
	}
	_, none := ask("create1", 0)
	if none < 32_000 || none > 40_000 {
		t.Errorf("got %d for an empty creation, want 32000 and a little", none)
	}
	c, small := ask("create1", 33)
	if small-none != 2*2 {
		t.Errorf("33 bytes cost %d, want 4", small-none)
	}
	if kept := plenty - small + 32_000 + 4 - c.Gas; kept < c.Gas/63 || kept > c.Gas/63+40_000 {
		t.Errorf("of %d passed on %d", plenty, c.Gas)
	}
	_, none2 := ask("create2", 0)
	if _, small := ask("create2", 33); small-none2 != 2*(2+6) {
		t.Errorf("33 bytes cost %d in CREATE2, want 16", small-none2)
	}
}
