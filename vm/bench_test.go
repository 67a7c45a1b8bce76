package vm_test

import (
	"context"
	_ "embed"
	"encoding/binary"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

//go:embed testdata/counter.wasm
var counter []byte

//go:embed testdata/erc20.wasm
var erc20 []byte

// transferInput is transfer(bob, 1).
func transferInput() []byte {
	amount := common.BigToHash(common.Big1)
	return slices.Concat([]byte{0xa9, 0x05, 0x9c, 0xbb}, common.LeftPadBytes(bob[:], 32), amount[:])
}

// flatState is one contract's storage, without a journal: benchmarks measure the engine.
type flatState struct {
	slots map[common.Hash]common.Hash
	logs  int
}

func (s *flatState) Load(_ common.Address, slot common.Hash) (common.Hash, bool) {
	return s.slots[slot], false
}

func (s *flatState) Store(_ common.Address, slot, value common.Hash) vm.Stored {
	old := s.slots[slot]
	s.slots[slot] = value
	return vm.Stored{Original: old, Current: old}
}
func (s *flatState) LoadTransient(common.Address, common.Hash) common.Hash { return common.Hash{} }
func (s *flatState) StoreTransient(_ common.Address, _, _ common.Hash)     {}
func (s *flatState) Log(common.Address, []common.Hash, []byte)             { s.logs++ }

// BenchmarkWorker_Run is a whole call each, in a fresh instance.
func BenchmarkWorker_Run(b *testing.B) {
	for _, bb := range []struct {
		name string
		code []byte
		in   []byte
	}{
		{"counter", counter, nil},
		{"erc20-transfer", erc20, transferInput()},
		{"nothing", puppet, (&script{}).bytes()},
	} {
		b.Run("contract="+bb.name, func(b *testing.B) {
			w := newWorld(b, vm.Config{})
			at := w.deploy(bb.code)
			state := &flatState{slots: w.Accounts[at].Storage}
			f := vm.Frame{
				Env:      vm.Env{Block: &w.Block, Origin: alice, Caller: alice, Contract: at},
				CodeHash: w.Accounts[at].CodeHash, Input: bb.in, Gas: 1_000_000, State: state, World: w,
			}
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.ReportAllocs()
			var gas uint64
			start := cpuTime(b)
			for b.Loop() {
				w.worker.Begin()
				answer, err := w.worker.Run(ctx, &f)
				if err != nil || answer.Outcome != vm.Success {
					b.Fatal(answer, err)
				}
				gas = f.Gas - answer.GasLeft
			}
			cpu := float64(cpuTime(b) - start)
			b.ReportMetric(float64(gas), "gas/op")
			b.ReportMetric(cpu/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)*1e9/cpu, "calls/cpu-s")
		})
	}
}

// cpuTime is what the process has used: on a busy machine it says more than the clock.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

//go:embed testdata/loop.wasm
var loop []byte

// Kinds of loop.wat.
const (
	loopArithmetic = iota
	loopReentrant
	loopAddress
	loopKeccak
	loopCachedSlot
	loopNewSlot
	loopCacheWrite
	loopFlush
	loopMulMod
	loopPow
	loopLog
	loopCall
	loopRecursion
	loopResult
	loopTransient
)

func loopInput(kind, n, arg uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, n), arg)
}

// BenchmarkWorker_host is what host functions cost in time, and how much time a gas of them stands for.
func BenchmarkWorker_host(b *testing.B) {
	for _, bb := range []struct {
		name      string
		kind, arg uint32
	}{
		{"none", loopArithmetic, 0},
		{"msg_reentrant", loopReentrant, 0},
		{"contract_address", loopAddress, 0},
		{"keccak-0", loopKeccak, 0},
		{"keccak-32", loopKeccak, 32},
		{"keccak-137", loopKeccak, 137},
		{"keccak-8192", loopKeccak, 8192},
		{"storage_load-cached", loopCachedSlot, 0},
		{"storage_load-warm", loopNewSlot, 0},
		{"storage_cache-new", loopCacheWrite, 0},
		{"flush", loopFlush, 0},
		{"mul_mod", loopMulMod, 0},
		{"pow", loopPow, 0},
		{"emit_log-0", loopLog, 0},
		{"emit_log-1000", loopLog, 1000},
		{"call", loopCall, 0},
		{"write_result-32", loopResult, 32},
		{"write_result-8192", loopResult, 8192},
		{"transient_store", loopTransient, 0},
	} {
		b.Run("function="+bb.name, func(b *testing.B) {
			const n = 1000
			w := newWorld(b, vm.Config{})
			at := w.deploy(loop)
			f := vm.Frame{
				Env:      vm.Env{Block: &w.Block, Origin: alice, Caller: alice, Contract: at},
				CodeHash: w.Accounts[at].CodeHash, Input: loopInput(bb.kind, n, bb.arg), Gas: 1_000_000_000,
				State: &flatState{slots: map[common.Hash]common.Hash{}}, World: w,
			}
			var gas uint64
			start := cpuTime(b)
			for b.Loop() {
				w.Reset(b.Context(), alice)
				answer, err := w.worker.Run(b.Context(), &f)
				if err != nil || answer.Outcome != vm.Success {
					b.Fatal(answer, err)
				}
				gas = f.Gas - answer.GasLeft
			}
			cpu := float64(cpuTime(b) - start)
			b.ReportMetric(cpu/float64(b.N)/n, "cpu-ns/call")
			b.ReportMetric(float64(gas)*1000*float64(b.N)/cpu, "Mgas/cpu-s")
			b.ReportMetric(float64(gas)/n, "gas/call")
		})
	}
}

var _ vm.World = (*vmtest.World)(nil)
