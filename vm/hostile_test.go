package vm_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm"
)

// TestHostile_isBounded runs contracts that try to use up time or memory with all their gas. A gas stands for some
// ten nanoseconds, so that each takes a fraction of a second of CPU.
func TestHostile_isBounded(t *testing.T) {
	const limit, cpuLimit, memoryLimit = 20_000_000, 10 * time.Second, 32 << 20
	for _, tt := range []struct {
		name      string
		kind, arg uint32
		want      vm.Outcome
	}{
		{"infinite loop", loopArithmetic, 0, vm.OutOfGas},
		{"calls of itself", loopCall, 0, vm.OutOfGas},
		{"calls of itself, each as many", loopRecursion, 0, vm.OutOfGas},
		{"large logs", loopLog, 60_000, vm.OutOfGas},
		{"empty logs", loopLog, 0, vm.OutOfGas},
		{"large results", loopResult, 60_000, vm.OutOfGas},
		{"hashes", loopKeccak, 60_000, vm.OutOfGas},
		{"reads of new slots", loopNewSlot, 0, vm.OutOfGas},
		{"writes of new slots", loopCacheWrite, 0, vm.OutOfGas},
		{"transient storage", loopTransient, 0, vm.OutOfGas},
		{"powers", loopPow, 0, vm.OutOfGas},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, vm.Config{})
			at := w.deploy(loop)
			before, start := heap(), cpuTime(t)
			got := w.sendTo(at, loopInput(tt.kind, 1<<31, tt.arg), nil, limit)
			if got.Outcome != tt.want || got.GasLeft != 0 {
				t.Errorf("got outcome %d, %d gas left, want %d and 0", got.Outcome, got.GasLeft, tt.want)
			}
			if cpu := cpuTime(t) - start; cpu > cpuLimit {
				t.Errorf("it took %s of CPU", cpu)
			}
			w.Reset(t.Context(), alice) // the world's own journal
			w.worker.Begin()
			if grown := int64(heap()) - int64(before); grown > memoryLimit {
				t.Errorf("%d bytes more are in use", grown)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestHostile_returnDataOfMegabytes(t *testing.T) {
	w := newWorld(t, vm.Config{})
	other := w.deploy(puppet)
	// A result of 6 MiB costs more than any transaction has.
	big := (&script{}).do(opGrow, 96, 0).hook("write_result", 0, 6<<20)
	s := &script{}
	s.hook("call_contract", s.put(other[:]), s.put(big.bytes()), uint64(len(big.bytes())), s.word(0), all, 8, 0).
		hook("return_data_size", 16).hook("write_result", 0, 24)
	got := w.ok(s)
	if status, size := got.Output[0], binary.LittleEndian.Uint64(got.Output[16:]); status != 2 || size != 0 {
		t.Errorf("got status %d and %d bytes, want 2 and none", status, size)
	}
	// One of 1 MiB does not.
	big = (&script{}).do(opGrow, 96, 0).hook("write_result", 0, 1<<20)
	if got := w.send(big); got.Outcome != vm.Success || len(got.Output) != 1<<20 || plenty-got.GasLeft < 2_000_000 {
		t.Errorf("got outcome %d, %d bytes for %d gas", got.Outcome, len(got.Output), plenty-got.GasLeft)
	}
}

func TestHostile_memory(t *testing.T) {
	w := newWorld(t, vm.Config{})
	for _, tt := range []struct{ pages, want uint64 }{
		{0, 4},
		{1, 4},
		{124, 4},
		{125, 1<<32 - 1},
		{65_532, 1<<32 - 1},
		{65_536, 1<<32 - 1},
		{1 << 31, 1<<32 - 1},
		{1<<32 - 1, 1<<32 - 1},
	} {
		s := (&script{}).do(opGrow, tt.pages, 0).do(opSize, 8).hook("write_result", 0, 16)
		got := w.ok(s)
		size := uint64(4)
		if tt.want == 4 {
			size += tt.pages
		}
		if result, now := binary.LittleEndian.Uint64(got.Output), binary.LittleEndian.Uint64(got.Output[8:]); result != tt.want || now != size {
			t.Errorf("growing by %d: got %d, and %d pages, want %d and %d", tt.pages, result, now, tt.want, size)
		}
	}
}

func TestHostile_memoryIsCleanWhenItIsUsedAgain(t *testing.T) {
	w := newWorld(t, vm.Config{})
	dirty := (&script{}).do(opGrow, 120, 0)
	for at := uint64(0); at < 124*65536; at += 60_000 {
		dirty.hook("evm_ink_left", at)
	}
	w.ok(dirty)
	clean := (&script{}).do(opGrow, 60, 0)
	for at := uint64(0); at < 60_000; at += 60_000 {
		clean.hook("write_result", at, 60_000)
		for i, b := range w.ok(clean).Output {
			if b != 0 && i >= 8 { // memory.grow's result is at 0
				t.Fatalf("byte %d is %d", at+uint64(i), b)
			}
		}
	}
	clean.hook("write_result", 5*65536, 1<<20)
	for i, b := range w.ok(clean).Output {
		if b != 0 {
			t.Fatalf("byte %d of grown memory is %d", i, b)
		}
	}
}

// TestHostile_pagesOfATransaction opens frame in frame: 32 puppets of 4 pages are all there can be.
func TestHostile_pagesOfATransaction(t *testing.T) {
	w := newWorld(t, vm.Config{})
	at := w.deploy(loop) // 1 page, so 128 of them
	got := w.sendTo(at, loopInput(loopRecursion, 1, 0), nil, plenty)
	// The last one that was tried has depth 128 and found no room.
	if got.Outcome != vm.Success || w.Deepest != 128 {
		t.Errorf("got outcome %d and depth %d, want 128", got.Outcome, w.Deepest)
	}

	other := w.deploy(puppet)
	for pages, want := range map[uint64]byte{120: 0, 121: 2} {
		s := (&script{}).do(opGrow, pages, 0)
		s.hook("call_contract", s.put(other[:]), 0, 0, s.word(0), 1_000_000, 8, 0).hook("write_result", 0, 8)
		got := w.ok(s)
		if got.Output[0] != want {
			t.Errorf("with %d pages open: got status %d, want %d", pages+4, got.Output[0], want)
		}
		if spent := plenty - got.GasLeft; spent > 500_000 {
			t.Errorf("with %d pages open: %d gas spent; a call that does not fit gives its gas back", pages+4, spent)
		}
	}
}

// canceller cancels when a slot is read.
type canceller struct {
	*flatState
	cancel context.CancelFunc
}

func (c *canceller) Load(common.Address, common.Hash) (common.Hash, bool) {
	c.cancel()
	return common.Hash{}, false
}

func TestWorker_Run_isCancelled(t *testing.T) {
	w := newWorld(t, vm.Config{Tranche: 1000})
	at := w.deploy(loop)
	spin := (&script{}).hook("storage_load_bytes32", 0, 0).do(opSpin)
	hosts := &script{}
	hosts.hook("storage_load_bytes32", 0, 0)
	hosts.hook("call_contract", hosts.put(at[:]), hosts.put(loopInput(loopKeccak, 1<<31, 100)), 12, hosts.word(0), all, 8, 0)
	for name, s := range map[string]*script{"in a loop": spin, "in host functions of a nested call": hosts} {
		ctx, cancel := context.WithCancel(t.Context())
		w.Reset(ctx, alice)
		f := vm.Frame{
			Env: vm.Env{Block: &w.Block, Origin: alice, Caller: bob, Contract: w.puppet}, CodeHash: w.Accounts[w.puppet].CodeHash,
			Input: s.bytes(), Gas: plenty, State: &canceller{&flatState{}, cancel}, World: w,
		}
		if _, err := w.worker.Run(ctx, &f); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want cancelled", name, err)
		}
		if _, err := w.worker.Run(t.Context(), &f); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the transaction went on: %v", name, err)
		}
		w.Reset(t.Context(), alice)
		if got := w.ok(&script{}); got.Outcome != vm.Success {
			t.Errorf("%s: the next transaction ended with %d", name, got.Outcome)
		}
	}
}

// broken is a world that is not in order.
type broken struct {
	*recorder
	panics any
	noCode bool
}

func (b *broken) Code(h common.Hash) []byte {
	if b.noCode {
		return nil
	}
	return b.World.Code(h)
}

func (b *broken) Call(vm.Call) vm.Answer { panic(b.panics) }

func TestWorker_Run_reportsFaults(t *testing.T) {
	w := newWorld(t, vm.Config{})
	run := func(b *broken, code common.Hash) error {
		b.recorder = &recorder{World: w.World}
		w.Reset(t.Context(), alice)
		_, err := w.worker.Run(t.Context(), &vm.Frame{
			Env: vm.Env{Block: &w.Block, Contract: w.puppet}, CodeHash: code,
			Input: callScript("call_contract", uint256.NewInt(0), 0).bytes(), Gas: plenty, State: w, World: b,
		})
		return err
	}
	for _, tt := range []struct {
		name string
		b    *broken
		code common.Hash
		want string
	}{
		{"no code", &broken{noCode: true}, common.Hash{1}, "no such code"},
		{"a panic", &broken{panics: "the journal is broken"}, w.Accounts[w.puppet].CodeHash, "the journal is broken"},
		{"a panic that looks like a trap", &broken{panics: "wasm error: unreachable"}, w.Accounts[w.puppet].CodeHash, "wasm error"},
		{"an error", &broken{panics: errors.New("the disk is gone")}, w.Accounts[w.puppet].CodeHash, "the disk is gone"},
	} {
		err := run(tt.b, tt.code)
		if fault := (*vm.FaultError)(nil); !errors.As(err, &fault) || fault.Code != tt.code || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if got := w.send(&script{}); got.Outcome != vm.Success {
		t.Errorf("the next transaction ended with %d", got.Outcome)
	}
}

//go:embed testdata/zero.wasm
var zero []byte

func TestHostile_noMemory(t *testing.T) {
	w := newWorld(t, vm.Config{})
	got := w.sendTo(w.deploy(zero), nil, nil, plenty)
	if want := []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0}; got.Outcome != vm.Success || !bytes.Equal(got.Output, want) {
		t.Errorf("got outcome %d, %x, want %x", got.Outcome, got.Output, want)
	}
	// (module (func (export "user_entrypoint") (param i32) (result i32) i32.const 0))
	none := common.FromHex("0061736d0100000001060160017f017f030201000713010f757365725f656e747279706f696e7400000a0601040041000b")
	if _, err := vm.Activate(none); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a module without a memory: got %v, want a refusal", err)
	}
}
