package vm_test

import (
	"context"
	_ "embed"
	"slices"
	"testing"

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
			for b.Loop() {
				w.worker.Begin()
				answer, err := w.worker.Run(ctx, &f)
				if err != nil || answer.Outcome != vm.Success {
					b.Fatal(answer, err)
				}
				gas = f.Gas - answer.GasLeft
			}
			b.ReportMetric(float64(gas), "gas/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

var _ vm.World = (*vmtest.World)(nil)
