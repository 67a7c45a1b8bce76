package vm_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

// price is what one operation takes, as the contract sees it: with all that the puppet does around it. That is
// the same for operations of the same type, so tests compare those.
func (w *world) price(prepare func(s *script), do func(s *script)) uint64 {
	w.t.Helper()
	measure := func(with bool) uint64 {
		s := &script{}
		if prepare != nil {
			prepare(s)
		}
		if do(s); !with {
			s.code = nil
			if prepare != nil {
				prepare(s)
			}
		}
		return w.spent(s, nil)
	}
	return measure(true) - measure(false)
}

const gas = meter.InkPerGas

// TestGas_accountCode pays for all of the code whatever part of it is asked for.
func TestGas_accountCode(t *testing.T) {
	w := newWorld(t, vm.Config{})
	size := w.price(nil, func(s *script) { s.hook("account_code_size", s.put(w.puppet[:]), 8192) })
	code := w.price(nil, func(s *script) { s.hook("account_code", s.put(w.puppet[:]), 0, 0, 0, 8192) })
	stored := w.Code(w.Accounts[w.puppet].CodeHash)
	if words := uint64(len(stored)+31) / 32; code-size < 3*words*gas {
		t.Errorf("%d bytes cost %d ink, their size %d", len(stored), code, size)
	}
}

func TestGas_byLength(t *testing.T) {
	w := newWorld(t, vm.Config{})
	for _, tt := range []struct {
		name string
		do   func(s *script, n uint64)
		want func(n uint64) uint64 // beyond what nothing costs
	}{
		{"native_keccak256", func(s *script, n uint64) { s.hook("native_keccak256", 0, n, 0) }, func(n uint64) uint64 { return 6 * ((n + 31) / 32) }},
		{"emit_log", func(s *script, n uint64) { s.hook("emit_log", 0, n, 0) }, func(n uint64) uint64 { return 8 * n }},
		{"write_result", func(s *script, n uint64) { s.hook("write_result", 0, n) }, func(n uint64) uint64 {
			words := (n + 31) / 32
			return 3*words + words*words/512
		}},
		{"account_code", func(s *script, n uint64) { s.hook("account_code", s.put(w.puppet[:]), 0, n, 0, 8192) }, func(uint64) uint64 { return 0 }}, // all of the code is read
		{"pay_for_memory_grow", func(s *script, n uint64) { s.hook("pay_for_memory_grow", n) }, func(n uint64) uint64 { return n * meter.PageInk(meter.Current) / gas }},
	} {
		price := func(n uint64) uint64 { return w.price(nil, func(s *script) { tt.do(s, n) }) }
		none := price(0)
		for _, n := range []uint64{1, 31, 32, 33, 100, 500} {
			if got, want := price(n)-none, tt.want(n)*gas; got != want {
				t.Errorf("%s: %d costs %d ink more than nothing, want %d", tt.name, n, got, want)
			}
		}
	}
}

func TestGas_copiesOfReturnDataAndCalldata(t *testing.T) {
	w := newWorld(t, vm.Config{})
	r := &recorder{World: w.World, answer: vm.Answer{Output: make([]byte, 1000)}}
	read := func(n uint64) uint64 {
		s := callScript("call_contract", uint256.NewInt(0), 0)
		return w.spent(s.hook("read_return_data", 200, 0, n, 192), func(f *vm.Frame) { f.World = r })
	}
	if got := read(1000) - read(0); got != 3*32*gas {
		t.Errorf("1000 bytes of return data cost %d ink, want 96 gas", got)
	}
	if got := read(5000) - read(0); got != 3*32*gas {
		t.Errorf("what is not there costs %d ink, want 96 gas for what is", got)
	}
	args := func(n int) uint64 {
		s := &script{}
		s.put(make([]byte, n))
		return w.spent(s, nil)
	}
	if got := args(20480) - args(0); got != 3*640*gas {
		t.Errorf("20480 bytes of calldata cost %d ink, want 1920 gas", got)
	}
}

func TestGas_ofTheSameType(t *testing.T) {
	w := newWorld(t, vm.Config{})
	one := func(name string, args ...uint64) uint64 {
		return w.price(nil, func(s *script) { s.hook(name, args...) })
	}
	// Beside entering the host: anchors cost nothing.
	for _, tt := range []struct {
		name   string
		anchor uint64
		got    uint64
		want   uint64
	}{
		{"math_div", one("write_result", 0, 0), one("math_div", 0, 32), 5},
		{"math_mod", one("write_result", 0, 0), one("math_mod", 0, 32), 5},
		{"math_pow of 0", one("write_result", 0, 0), one("math_pow", 0, 32), 10},
		{"transient_load_bytes32", one("write_result", 0, 0), one("transient_load_bytes32", 0, 32), 100},
		{"transient_store_bytes32", one("write_result", 0, 0), one("transient_store_bytes32", 0, 32), 100},
		{"account_balance", one("write_result", 0, 0), one("account_balance", 0, 32), 2600},
		{"account_codehash", one("write_result", 0, 0), one("account_codehash", 0, 32), 2600},
		{"storage_load_bytes32", one("write_result", 0, 0), one("storage_load_bytes32", 0, 32), 2100},
		{"storage_cache_bytes32", one("write_result", 0, 0), one("storage_cache_bytes32", 0, 32), 100},
		{"math_add_mod", one("native_keccak256", 0, 0, 0) - 30*gas, one("math_add_mod", 0, 32, 64), 8},
		{"math_mul_mod", one("native_keccak256", 0, 0, 0) - 30*gas, one("math_mul_mod", 0, 32, 64), 16},
		{"emit_log", one("native_keccak256", 0, 0, 0) - 30*gas, one("emit_log", 0, 0, 0), 375},
		{"emit_log of 4 topics", one("native_keccak256", 0, 0, 0) - 30*gas, one("emit_log", 0, 128, 4), 5 * 375},
		{"block_basefee", one("msg_sender", 0), one("block_basefee", 0), 0},
		{"storage_flush_cache", one("msg_sender", 0), one("storage_flush_cache", 0), 0},
	} {
		if got := int64(tt.got) - int64(tt.anchor); got != int64(tt.want*gas) {
			t.Errorf("%s: got %d ink, want %d gas", tt.name, got, tt.want)
		}
	}
	for bytes := range uint64(33) {
		exponent := make([]byte, 32)
		if bytes > 0 {
			exponent[32-bytes] = 1
		}
		pow := w.price(nil, func(s *script) { s.hook("math_pow", 0, s.put(exponent)) })
		if got, want := pow-one("math_pow", 0, 32), 50*bytes*gas; got != want {
			t.Errorf("an exponent of %d bytes costs %d ink, want %d", bytes, got, want)
		}
	}
}

func TestGas_entering(t *testing.T) {
	w := newWorld(t, vm.Config{})
	s := (&script{}).hook("evm_ink_left", 0).hook("evm_ink_left", 8).hook("evm_gas_left", 16).hook("write_result", 0, 24)
	got := w.frame(s, nil).Output
	first, second := binary.LittleEndian.Uint64(got), binary.LittleEndian.Uint64(got[8:])
	if spent := first - second; spent < 6*gas || spent > 20*gas {
		t.Errorf("between two calls went %d ink, want 6 gas and some instructions", spent)
	}
	if left := binary.LittleEndian.Uint64(got[16:]); left > second/gas || left < second/gas-20 {
		t.Errorf("got %d gas after %d ink", left, second)
	}
}

// TestGas_ofStores goes through EIP-2200's cases, without refunds.
func TestGas_ofStores(t *testing.T) {
	for _, tt := range []struct {
		original, first, second uint64
		want                    uint64 // for the last write, to a slot that is warm
	}{
		{0, 0, 0, 100},
		{0, 1, 0, 100},
		{0, 1, 2, 100},
		{0, 0, 1, 20_000},
		{1, 1, 1, 100},
		{1, 1, 0, 2_900},
		{1, 1, 2, 2_900},
		{1, 2, 3, 100},
		{1, 2, 1, 100},
		{1, 0, 1, 100},
		{1, 0, 2, 100},
	} {
		t.Run(fmt.Sprintf("%d→%d→%d", tt.original, tt.first, tt.second), func(t *testing.T) {
			w := newWorld(t, vm.Config{})
			set := func() {
				w.Accounts[w.puppet].Storage = map[common.Hash]common.Hash{common.BigToHash(common.Big1): uint256.NewInt(tt.original).Bytes32()}
			}
			spent := func(flush bool) uint64 {
				set()
				s := &script{}
				key := s.word(1)
				s.hook("storage_cache_bytes32", key, s.word(tt.first)).hook("storage_flush_cache", 0).hook("storage_cache_bytes32", key, s.word(tt.second))
				if flush {
					s.hook("storage_flush_cache", 0)
				}
				return w.spent(s, nil)
			}
			set()
			empty := w.price(nil, func(s *script) { s.hook("storage_flush_cache", 0) })
			if got := spent(true) - spent(false) - empty; got != tt.want*gas {
				t.Errorf("got %d ink, want %d gas", got, tt.want)
			}
		})
	}
}

func TestGas_coldSlots(t *testing.T) {
	w := newWorld(t, vm.Config{})
	price := func(prepare, do func(s *script, one, two uint64)) uint64 {
		measure := func(with bool) uint64 {
			w.Accounts[w.puppet].Storage = map[common.Hash]common.Hash{common.BigToHash(common.Big1): {31: 1}}
			s := &script{}
			one, two := s.word(1), s.word(2)
			prepare(s, one, two)
			if with {
				do(s, one, two)
			}
			return w.spent(s, nil)
		}
		return measure(true) - measure(false)
	}
	nothing := func(*script, uint64, uint64) {}
	load := func(s *script, one, _ uint64) { s.hook("storage_load_bytes32", one, 0) }
	cache := func(s *script, one, two uint64) { s.hook("storage_cache_bytes32", one, two) }
	flush := func(s *script, _, _ uint64) { s.hook("storage_flush_cache", 0) }
	drop := func(s *script, _, _ uint64) { s.hook("storage_flush_cache", 1) }
	both := func(list ...func(*script, uint64, uint64)) func(*script, uint64, uint64) {
		return func(s *script, one, two uint64) {
			for _, f := range list {
				f(s, one, two)
			}
		}
	}
	cold := price(nothing, load)
	for _, tt := range []struct {
		name    string
		got     uint64
		cheaper uint64 // than a cold load, in gas
	}{
		{"in the cache", price(load, load), 2100 - 10},
		{"written to the cache", price(cache, load), 2100 - 10},
		{"warm", price(both(load, drop), load), 2000},
	} {
		if got := cold - tt.got; got != tt.cheaper*gas {
			t.Errorf("a slot %s costs %d ink less than a cold one, want %d gas", tt.name, got, tt.cheaper)
		}
	}
	empty := price(nothing, flush)
	if got := price(cache, flush) - empty; got != 5_000*gas {
		t.Errorf("a cold slot is changed for %d ink, want 5000 gas", got)
	}
	if got := price(both(load, cache), flush) - empty; got != 2_900*gas {
		t.Errorf("a slot that was read is changed for %d ink, want 2900 gas", got)
	}
}

func TestGas_nothingIsStoredWithinTheStipend(t *testing.T) {
	w := newWorld(t, vm.Config{})
	w.Accounts[w.puppet].Storage = map[common.Hash]common.Hash{common.BigToHash(common.Big1): {31: 1}}
	run := func(limit uint64) (vm.Answer, uint64) {
		s := &script{}
		one := s.word(1)
		// Writing what is there costs 100, but needs more than 2,300 left.
		s.hook("storage_load_bytes32", one, 0).hook("storage_cache_bytes32", one, one).hook("evm_gas_left", 64).
			hook("write_result", 64, 8).hook("storage_flush_cache", 0)
		got := w.frame(s, func(f *vm.Frame) { f.Gas = limit })
		if len(got.Output) == 0 {
			return got, 0
		}
		return got, binary.LittleEndian.Uint64(got.Output)
	}
	_, left := run(1_000_000)
	before := 1_000_000 - left
	if got, _ := run(before + 2_310); got.Outcome != vm.OutOfGas || got.GasLeft != 0 {
		t.Errorf("got outcome %d with less than the stipend left", got.Outcome)
	}
	if got, _ := run(before + 2_400); got.Outcome != vm.Success {
		t.Errorf("got outcome %d with more than the stipend left", got.Outcome)
	}
}

func TestGas_hugeLimits(t *testing.T) {
	w := newWorld(t, vm.Config{})
	small := w.frame(&script{}, func(f *vm.Frame) { f.Gas = 1_000_000 })
	for _, limit := range []uint64{1 << 49, 1<<49 + 1, 1 << 63, 1<<64 - 1} {
		got := w.frame(&script{}, func(f *vm.Frame) { f.Gas = limit })
		if got.Outcome != vm.Success || limit-got.GasLeft != 1_000_000-small.GasLeft {
			t.Errorf("limit %d: outcome %d, %d spent, want %d", limit, got.Outcome, limit-got.GasLeft, 1_000_000-small.GasLeft)
		}
	}
	for _, limit := range []uint64{0, 1, 1000} {
		if got := w.frame(&script{}, func(f *vm.Frame) { f.Gas = limit }); got.Outcome != vm.OutOfGas || got.GasLeft != 0 {
			t.Errorf("limit %d: got outcome %d, %d left", limit, got.Outcome, got.GasLeft)
		}
	}
}

// TestGas_runningOutAnywhere gives a contract every limit that is too little, one gas apart.
func TestGas_runningOutAnywhere(t *testing.T) {
	w := newWorld(t, vm.Config{})
	w.Accounts[bob] = &vmtest.Account{Balance: *uint256.NewInt(1)}
	s := &script{}
	one := s.word(1)
	s.hook("storage_cache_bytes32", one, one).hook("storage_flush_cache", 0).hook("native_keccak256", 0, 100, 0).hook("emit_log", 0, 100, 2).
		do(opGrow, 1, 64).hook("write_result", 0, 8)
	run := func(limit uint64) vm.Answer {
		clear(w.Accounts[w.puppet].Storage)
		return w.frame(s, func(f *vm.Frame) { f.Gas = limit })
	}
	full := plenty - run(plenty).GasLeft
	step := uint64(7)
	for limit := uint64(0); limit < full; limit += step {
		if got := run(limit); got.Outcome != vm.OutOfGas || got.GasLeft != 0 || got.Output != nil {
			t.Fatalf("limit %d of %d: got outcome %d, %d left, %x", limit, full, got.Outcome, got.GasLeft, got.Output)
		}
	}
	if got := run(full); got.Outcome != vm.Success || got.GasLeft != 0 {
		t.Errorf("limit %d: got outcome %d, %d left, want success and 0", full, got.Outcome, got.GasLeft)
	}
}

// TestGas_largeMemory pays for instructions, not for host functions, eight times from the 25th page on.
func TestGas_largeMemory(t *testing.T) {
	w := newWorld(t, vm.Config{})
	const load, host = 1000, 6 * gas
	has := w.ok((&script{}).do(opSize, 0).hook("write_result", 0, 4)).Output
	pages := uint64(binary.LittleEndian.Uint32(has))
	price := func(total uint64, do func(s *script)) uint64 {
		return w.price(func(s *script) { s.do(opGrow, total-pages, 0) }, do)
	}
	for _, tt := range []struct {
		name string
		host uint64
		do   func(s *script)
	}{
		{"a load", 0, func(s *script) { s.do(opLoad, load, 0) }},
		{"a host function", host, func(s *script) { s.hook("block_number", 0) }},
	} {
		small, large := price(24, tt.do), price(25, tt.do)
		if got, want := large-tt.host, 8*(small-tt.host); small <= tt.host || got != want {
			t.Errorf("%s costs %d ink in 24 pages and %d in 25, of which %d are the host's", tt.name, small, large, tt.host)
		}
	}
}
