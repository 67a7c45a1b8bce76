package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

// memorySize is the puppet's.
const memorySize = 4 * 65536

// call is an example of each host function that succeeds in an ordinary frame.
type call struct {
	name string
	args []uint64
	// pointers maps the arguments that are pointers to how many bytes are there.
	pointers map[int]uint64
	// lengths are the arguments that say how many bytes are at the argument before them.
	lengths []int
	// writes says that it is forbidden in a static frame.
	writes bool
}

// examples has every host function; results go to 8192.
func examples() []call {
	const dest = 8192
	return []call{
		{name: "account_balance", args: []uint64{0, 64}, pointers: map[int]uint64{0: 20, 1: 32}},
		{name: "account_code", args: []uint64{128, 0, 100, 4096, dest}, pointers: map[int]uint64{0: 20, 3: 100}},
		{name: "account_code_size", args: []uint64{0, dest}, pointers: map[int]uint64{0: 20}},
		{name: "account_codehash", args: []uint64{0, 64}, pointers: map[int]uint64{0: 20, 1: 32}},
		{name: "block_basefee", args: []uint64{0}, pointers: map[int]uint64{0: 32}},
		{name: "block_coinbase", args: []uint64{0}, pointers: map[int]uint64{0: 20}},
		{name: "block_gas_limit", args: []uint64{dest}},
		{name: "block_number", args: []uint64{dest}},
		{name: "block_timestamp", args: []uint64{dest}},
		{
			name: "call_contract", args: []uint64{0, 32, 10, 64, 1000, 4096, dest},
			pointers: map[int]uint64{0: 20, 1: 10, 3: 32, 5: 4}, lengths: []int{2},
		},
		{name: "chainid", args: []uint64{dest}},
		{name: "contract_address", args: []uint64{0}, pointers: map[int]uint64{0: 20}},
		{
			name: "create1", args: []uint64{0, 10, 64, 4096, 4128}, writes: true,
			pointers: map[int]uint64{0: 10, 2: 32, 3: 20, 4: 4}, lengths: []int{1},
		},
		{
			name: "create2", args: []uint64{0, 10, 64, 96, 4096, 4128}, writes: true,
			pointers: map[int]uint64{0: 10, 2: 32, 3: 32, 4: 20, 5: 4}, lengths: []int{1},
		},
		{
			name: "delegate_call_contract", args: []uint64{0, 32, 10, 1000, 4096, dest},
			pointers: map[int]uint64{0: 20, 1: 10, 4: 4}, lengths: []int{2},
		},
		{name: "emit_log", args: []uint64{0, 100, 3}, pointers: map[int]uint64{0: 100}, lengths: []int{1}, writes: true},
		{name: "evm_gas_left", args: []uint64{dest}},
		{name: "evm_ink_left", args: []uint64{dest}},
		{name: "exit_early", args: []uint64{0}},
		{name: "math_add_mod", args: []uint64{0, 32, 64}, pointers: map[int]uint64{0: 32, 1: 32, 2: 32}},
		{name: "math_div", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}},
		{name: "math_mod", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}},
		{name: "math_mul_mod", args: []uint64{0, 32, 64}, pointers: map[int]uint64{0: 32, 1: 32, 2: 32}},
		{name: "math_pow", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}},
		{name: "msg_reentrant", args: []uint64{dest}},
		{name: "msg_sender", args: []uint64{0}, pointers: map[int]uint64{0: 20}},
		{name: "msg_value", args: []uint64{0}, pointers: map[int]uint64{0: 32}},
		{name: "native_keccak256", args: []uint64{0, 100, 4096}, pointers: map[int]uint64{0: 100, 2: 32}, lengths: []int{1}},
		{name: "pay_for_memory_grow", args: []uint64{1}},
		{name: "read_args", args: []uint64{131072}},
		{name: "read_return_data", args: []uint64{0, 0, 10, dest}},
		{name: "return_data_size", args: []uint64{dest}},
		{
			name: "static_call_contract", args: []uint64{0, 32, 10, 1000, 4096, dest},
			pointers: map[int]uint64{0: 20, 1: 10, 4: 4}, lengths: []int{2},
		},
		{name: "storage_cache_bytes32", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}},
		{name: "storage_flush_cache", args: []uint64{1}},
		{name: "storage_load_bytes32", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}},
		{name: "transient_load_bytes32", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}},
		{name: "transient_store_bytes32", args: []uint64{0, 32}, pointers: map[int]uint64{0: 32, 1: 32}, writes: true},
		{name: "tx_gas_price", args: []uint64{0}, pointers: map[int]uint64{0: 32}},
		{name: "tx_ink_price", args: []uint64{dest}},
		{name: "tx_origin", args: []uint64{0}, pointers: map[int]uint64{0: 20}},
		{name: "write_result", args: []uint64{0, 100}, pointers: map[int]uint64{0: 100}, lengths: []int{1}},
	}
}

// frame runs a script in the puppet, in a frame that set may change.
func (w *world) frame(s *script, set func(*vm.Frame)) vm.Answer {
	w.t.Helper()
	w.Reset(w.t.Context(), alice)
	f := vm.Frame{
		Env: vm.Env{
			Block: &w.Block, Origin: alice, Caller: bob, Contract: w.puppet,
		},
		CodeHash: w.Accounts[w.puppet].CodeHash, Metering: meter.Current, Input: s.bytes(), Gas: plenty,
		State: w, World: w,
	}
	if set != nil {
		set(&f)
	}
	answer, err := w.worker.Run(w.t.Context(), &f)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

func TestHooks_everyPointerIsChecked(t *testing.T) {
	w := newWorld(t, vm.Config{})
	if got, want := len(examples()), len(meter.Hooks()); got != want {
		t.Fatalf("got %d examples, want %d", got, want)
	}
	w.Accounts[common.Address{}] = w.Accounts[w.puppet] // what zeroed memory names has code
	outcome := func(c call, i int, arg uint64) vm.Outcome {
		changed := append([]uint64(nil), c.args...)
		if i >= 0 {
			changed[i] = arg
		}
		return w.frame((&script{}).hook(c.name, changed...), nil).Outcome
	}
	for i, c := range examples() {
		if h := meter.Hooks()[i]; h.Name != c.name {
			t.Fatalf("example %d is %s, want %s", i, c.name, h.Name)
		}
		t.Run(c.name, func(t *testing.T) {
			if got := outcome(c, -1, 0); got != vm.Success {
				t.Errorf("got outcome %d, want success", got)
			}
			for i, size := range c.pointers {
				if got := outcome(c, i, memorySize-size); got != vm.Success {
					t.Errorf("argument %d at the end of memory: got outcome %d, want success", i, got)
				}
				for _, beyond := range []uint64{memorySize - size + 1, memorySize, 1<<32 - size, 1<<32 - 1} {
					if got := outcome(c, i, beyond); got != vm.Trapped {
						t.Errorf("argument %d at %d: got outcome %d, want a trap", i, beyond, got)
					}
				}
			}
			for _, i := range c.lengths {
				for _, length := range []uint64{memorySize + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
					if got := outcome(c, i, length); got != vm.Trapped {
						t.Errorf("argument %d of %d: got outcome %d, want a trap", i, length, got)
					}
				}
			}
		})
	}
}

func TestHooks_readArgsBeyondMemory(t *testing.T) {
	w := newWorld(t, vm.Config{})
	s := (&script{}).hook("read_args", memorySize-5)
	if got := w.frame(s, nil).Outcome; got != vm.Trapped {
		t.Errorf("got outcome %d, want a trap", got)
	}
}

func TestHooks_staticFramesDoNotWrite(t *testing.T) {
	w := newWorld(t, vm.Config{})
	static := func(f *vm.Frame) { f.Static = true }
	for _, c := range examples() {
		want := vm.Success
		if c.writes {
			want = vm.Trapped
		}
		if got := w.frame((&script{}).hook(c.name, c.args...), static).Outcome; got != want {
			t.Errorf("%s: got outcome %d, want %d", c.name, got, want)
		}
	}
	s := &script{}
	one := s.word(1)
	for name, s := range map[string]*script{
		"a dirty cache is flushed": (&script{}).hook("storage_cache_bytes32", 0, 32).hook("storage_flush_cache", 0),
		"value is sent":            s.hook("call_contract", 0, 0, 0, one, 0, 4096, 8192),
	} {
		if got := w.frame(s, static).Outcome; got != vm.Trapped {
			t.Errorf("%s: got outcome %d, want a trap", name, got)
		}
	}
	if len(w.Logs) != 0 || len(w.Accounts[w.puppet].Storage) != 0 {
		t.Error("a static frame has changed something")
	}
}

func TestHooks_context(t *testing.T) {
	w := newWorld(t, vm.Config{})
	w.Block = vm.Block{ChainID: 7357, Number: 1 << 40, Time: 1 << 33, GasLimit: 1<<63 + 5, Coinbase: common.Address{1, 2, 3}, BaseFee: *uint256.NewInt(77)}
	big := uint256.Int{1, 2, 3, 1 << 63}
	set := func(f *vm.Frame) {
		f.Block, f.Origin, f.Caller, f.Contract, f.Value, f.GasPrice, f.Reentrant = &w.Block, alice, bob, w.puppet, big, *uint256.NewInt(9), true
	}
	word := func(v uint256.Int) []byte { b := v.Bytes32(); return b[:] }
	long := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	for _, tt := range []struct {
		name string
		want []byte
	}{
		{"block_basefee", word(*uint256.NewInt(77))},
		{"block_coinbase", w.Block.Coinbase[:]},
		{"block_gas_limit", long(1<<63 + 5)},
		{"block_number", long(1 << 40)},
		{"block_timestamp", long(1 << 33)},
		{"chainid", long(7357)},
		{"contract_address", w.puppet[:]},
		{"msg_sender", bob[:]},
		{"tx_origin", alice[:]},
		{"msg_value", word(big)},
		{"tx_gas_price", word(*uint256.NewInt(9))},
		{"msg_reentrant", long(1)},
		{"tx_ink_price", long(10_000)},
		{"return_data_size", long(0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := (&script{}).hook(tt.name, 128).hook("write_result", 128, uint64(len(tt.want)))
			if got := w.frame(s, set); !bytes.Equal(got.Output, tt.want) {
				t.Errorf("got %x, want %x", got.Output, tt.want)
			}
		})
	}
	s := (&script{}).hook("msg_reentrant", 128).hook("write_result", 128, 8)
	if got := w.frame(s, nil); !bytes.Equal(got.Output, long(0)) {
		t.Errorf("got %x for a frame that is not reentrant", got.Output)
	}
}

func TestHooks_readArgs(t *testing.T) {
	w := newWorld(t, vm.Config{})
	s := &script{}
	s.put([]byte("some data"))
	s.hook("read_args", 1000)
	s.hook("write_result", 1000, 2048)
	if got := w.frame(s, nil); !bytes.Equal(got.Output, s.bytes()) {
		t.Errorf("got %x, want %x", got.Output, s.bytes())
	}
}

func TestHooks_emitLog(t *testing.T) {
	w := newWorld(t, vm.Config{})
	for topics := range uint64(6) {
		s := &script{}
		var data []byte
		for i := range 5 {
			h := crypto.Keccak256([]byte{byte(i)})
			data = append(data, h...)
		}
		at := s.put(data)
		got := w.frame(s.hook("emit_log", at, uint64(len(data)), topics), nil)
		if topics > 4 {
			if got.Outcome != vm.Trapped || len(w.Logs) != 0 {
				t.Errorf("%d topics: got outcome %d", topics, got.Outcome)
			}
			continue
		}
		if len(w.Logs) != 1 || len(w.Logs[0].Topics) != int(topics) || !bytes.Equal(w.Logs[0].Data, data[32*topics:]) {
			t.Fatalf("%d topics: got %+v", topics, w.Logs)
		}
		for i, topic := range w.Logs[0].Topics {
			if topic != common.Hash(data[32*i:32*i+32]) {
				t.Errorf("topic %d: got %s", i, topic)
			}
		}
	}
	for _, size := range []uint64{0, 31, 63} {
		if got := w.frame((&script{}).hook("emit_log", 0, size, 2), nil); got.Outcome != vm.Trapped {
			t.Errorf("2 topics in %d bytes: got outcome %d, want a trap", size, got.Outcome)
		}
	}
}

func TestHooks_keccak(t *testing.T) {
	w := newWorld(t, vm.Config{})
	for _, size := range []int{0, 1, 32, 135, 136, 137, 1000} {
		s := &script{}
		data := bytes.Repeat([]byte{7}, size)
		at := s.put(data)
		s.hook("native_keccak256", at, uint64(size), 0).hook("write_result", 0, 32)
		if got, want := w.frame(s, nil).Output, crypto.Keccak256(data); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %x, want %x", size, got, want)
		}
	}
}

func TestHooks_account(t *testing.T) {
	w := newWorld(t, vm.Config{})
	code := w.Code(w.Accounts[w.puppet].CodeHash)
	w.Accounts[bob] = &vmtest.Account{Balance: *uint256.NewInt(5)}
	get := func(name string, of common.Address, size uint64, more ...uint64) []byte {
		s := &script{}
		args := append([]uint64{s.put(of[:])}, more...)
		return w.frame(s.hook(name, append(args, 1000)...).hook("write_result", 1000, size), nil).Output
	}
	nobody := common.Address{9}
	for _, tt := range []struct {
		name string
		got  []byte
		want []byte
	}{
		{"balance", get("account_balance", bob, 32), common.LeftPadBytes([]byte{5}, 32)},
		{"balance of nobody", get("account_balance", nobody, 32), make([]byte, 32)},
		{"code hash of a contract", get("account_codehash", w.puppet, 32), crypto.Keccak256(code)},
		{"code hash of a person", get("account_codehash", bob, 32), crypto.Keccak256(nil)},
		{"code hash of nobody", get("account_codehash", nobody, 32), make([]byte, 32)},
		{"code size of a contract", get("account_code_size", w.puppet, 8), binary.LittleEndian.AppendUint64(nil, uint64(len(code)))},
		{"code size of a person", get("account_code_size", bob, 8), make([]byte, 8)},
		{"code read", get("account_code", w.puppet, 8, 3, 50, 2000), binary.LittleEndian.AppendUint64(nil, 50)},
		{"code read to its end", get("account_code", w.puppet, 8, uint64(len(code)-3), 50, 2000), binary.LittleEndian.AppendUint64(nil, 3)},
		{"code read beyond it", get("account_code", w.puppet, 8, uint64(len(code)+3), 50, 2000), make([]byte, 8)},
		{"code read of nobody", get("account_code", nobody, 8, 0, 50, 2000), make([]byte, 8)},
		{"code read with huge numbers", get("account_code", w.puppet, 8, 1<<32-1, 1<<32-1, 2000), make([]byte, 8)},
	} {
		if !bytes.Equal(tt.got, tt.want) {
			t.Errorf("%s: got %x, want %x", tt.name, tt.got, tt.want)
		}
	}
	s := &script{}
	at := s.put(w.puppet[:])
	s.hook("account_code", at, 3, 50, 2000, 1000).hook("write_result", 2000, 60)
	if got, want := w.frame(s, nil).Output, append(bytes.Clone(code[3:53]), make([]byte, 10)...); !bytes.Equal(got, want) {
		t.Errorf("code: got %x, want %x", got, want)
	}
}

func TestHooks_mathematics(t *testing.T) {
	w := newWorld(t, vm.Config{})
	most := uint256.Int{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1}
	n := func(v uint64) uint256.Int { return *uint256.NewInt(v) }
	for _, tt := range []struct {
		name    string
		a, b, m uint256.Int
		want    uint256.Int
	}{
		{"math_div", n(17), n(5), n(0), n(3)},
		{"math_div", n(17), n(0), n(0), n(0)},
		{"math_div", most, n(1), n(0), most},
		{"math_mod", n(17), n(5), n(0), n(2)},
		{"math_mod", n(17), n(0), n(0), n(0)},
		{"math_pow", n(3), n(5), n(0), n(243)},
		{"math_pow", n(0), n(0), n(0), n(1)},
		{"math_pow", n(2), n(256), n(0), n(0)},
		{"math_pow", most, most, n(0), most}, // (−1) to an odd power
		{"math_add_mod", most, most, n(10), n(0)},
		{"math_add_mod", most, n(7), most, n(7)},
		{"math_add_mod", n(17), n(5), n(0), n(0)},
		{"math_mul_mod", most, most, n(12), n(9)},
		{"math_mul_mod", most, most, most, n(0)},
		{"math_mul_mod", n(17), n(5), n(0), n(0)},
	} {
		s := &script{}
		a, b, m := tt.a.Bytes32(), tt.b.Bytes32(), tt.m.Bytes32()
		args := []uint64{s.put(a[:]), s.put(b[:]), s.put(m[:])}
		for _, h := range meter.Hooks() {
			if h.Name == tt.name {
				args = args[:len(h.Params)]
			}
		}
		s.hook(tt.name, args...).hook("write_result", args[0], 32)
		want := tt.want.Bytes32()
		if got := w.frame(s, nil).Output; !bytes.Equal(got, want[:]) {
			t.Errorf("%s(%x, %x, %x): got %x, want %x", tt.name, &tt.a, &tt.b, &tt.m, got, want)
		}
	}
}

func TestHooks_transientStorageEndsWithTheTransaction(t *testing.T) {
	w := newWorld(t, vm.Config{})
	read := func(s *script) []byte {
		one := s.word(1)
		return w.ok(s.hook("transient_load_bytes32", one, 0).hook("write_result", 0, 32)).Output
	}
	s := &script{}
	one, value := s.word(1), s.word(42)
	if got := read(s.hook("transient_store_bytes32", one, value)); got[31] != 42 {
		t.Errorf("got %x in the same transaction, want 42", got)
	}
	if got := read(&script{}); got[31] != 0 {
		t.Errorf("got %x in the next transaction, want 0", got)
	}
}

func TestHooks_unflushedWritesAreLost(t *testing.T) {
	w := newWorld(t, vm.Config{})
	s := &script{}
	one, value := s.word(1), s.word(42)
	s.hook("storage_cache_bytes32", one, value).hook("storage_load_bytes32", one, 0).hook("write_result", 0, 32)
	if got := w.ok(s).Output; got[31] != 42 {
		t.Errorf("got %x through the cache, want 42", got)
	}
	s = &script{}
	one = s.word(1)
	s.hook("storage_load_bytes32", one, 0).hook("write_result", 0, 32)
	if got := w.ok(s).Output; got[31] != 0 {
		t.Errorf("got %x after the transaction, want 0", got)
	}
}

func TestHooks_flushStoresEverySlotAndMayDropTheCache(t *testing.T) {
	w := newWorld(t, vm.Config{})
	for _, n := range []int{1, 16, 17, 40} {
		for dropped := range uint64(2) {
			s := &script{}
			var keys []uint64
			for i := range n {
				keys = append(keys, s.word(uint64(1000*n+i)))
				s.hook("storage_cache_bytes32", keys[i], s.word(uint64(7*i+1)))
			}
			s.hook("storage_flush_cache", dropped)
			for i := range n {
				s.hook("storage_load_bytes32", keys[i], uint64(32*i))
			}
			got := w.ok(s.hook("write_result", 0, uint64(32*n))).Output
			for i := range n {
				want := uint256.NewInt(uint64(7*i + 1)).Bytes32()
				if key := common.BigToHash(uint256.NewInt(uint64(1000*n + i)).ToBig()); w.Accounts[w.puppet].Storage[key] != want || !bytes.Equal(got[32*i:32*i+32], want[:]) {
					t.Errorf("%d slots, dropped %d: slot %d is %x in storage, %x read", n, dropped, i, w.Accounts[w.puppet].Storage[key], got[32*i:32*i+32])
				}
			}
		}
	}
}

// spent is the gas that a frame takes.
func (w *world) spent(s *script, set func(*vm.Frame)) uint64 {
	w.t.Helper()
	return plenty*meter.InkPerGas - w.inkLeft(s, set)
}

// inkLeft is what the contract sees after the script.
func (w *world) inkLeft(s *script, set func(*vm.Frame)) uint64 {
	w.t.Helper()
	s.hook("evm_ink_left", 0).hook("write_result", 0, 8)
	answer := w.frame(s, set)
	if answer.Outcome != vm.Success {
		w.t.Fatalf("outcome %d, want success", answer.Outcome)
	}
	return binary.LittleEndian.Uint64(answer.Output)
}

func ExamplePack() {
	packed, err := vm.Pack(counter)
	fmt.Printf("% x %v\n", packed[:4], err)
	// Output: ef 00 57 01 <nil>
}
