package contracts_test

import (
	"math/big"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/contracts"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// measured is a call whose figures are printed.
type measured struct {
	name  string
	wasm  []byte
	from  person
	to    deployed
	input []byte
	// outcome is how it ends: programs that are no contracts return what they computed as their status.
	outcome vm.Outcome
}

// measuredCalls are the calls of the contracts whose figures are printed: two that do as little as there is to
// do, two examples, and two that compute.
func measuredCalls(b *testing.B) []measured {
	b.Helper()
	plain := func(name, file string, input []byte) measured {
		wasm, err := os.ReadFile("../vm/" + file)
		if err != nil {
			b.Fatal(err)
		}
		by := newPerson(b, "admin")
		d, wrong := newChain(b, by).deploy(b, by, contracts.Contract{Name: name, ABI: []byte("[]"), Wasm: wasm})
		if wrong != "" {
			b.Fatal(wrong)
		}
		return measured{name, wasm, by, d, input, vm.Success}
	}
	token, admin, alice, _ := newToken(b)
	must(b, token.send(b, admin, "transfer", alice, 1))
	notary, _, _, bob := newNotary(b)
	transfer := token.pack(b, "transfer", alice, 1)
	sort := plain("sort", "meter/testdata/programs/programs.wasm", make([]byte, 2))
	sort.outcome = vm.Revert
	return []measured{
		plain("counter", "testdata/counter.wasm", nil),
		plain("erc20-transfer", "testdata/erc20.wasm", transfer),
		{"token-transfer", contracts.Token().Wasm, admin, token, transfer, vm.Success},
		{"notary-submit", contracts.Notary().Wasm, bob, notary, notary.pack(b, "submit", common.Hash{1}, "some words about it"), vm.Success},
		// 1,000 times the hash of 32 bytes (kind 3 of loop.wat), and 20,000 numbers.
		plain("keccak-loop", "testdata/loop.wasm", []byte{3, 0, 0, 0, 0xe8, 3, 0, 0, 32, 0, 0, 0}),
		sort,
	}
}

// cpuTime is what the process has used: on a busy machine it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perCall reports what n calls since start have used.
func perCall(b *testing.B, start time.Duration, n int) {
	b.Helper()
	each := (cpuTime(b) - start).Seconds() / float64(n)
	b.ReportMetric(each*1e6, "cpu-µs/call")
	b.ReportMetric(1/each, "calls/cpu-s")
}

// slots are one contract's storage, without journal and access list: what is written is forgotten at the next
// call. Implements vm.State.
type slots struct {
	base    func(slot common.Hash) common.Hash
	read    map[common.Hash]common.Hash // of base
	written map[common.Hash]common.Hash
}

func newSlots(base func(common.Hash) common.Hash) slots {
	return slots{base, map[common.Hash]common.Hash{}, map[common.Hash]common.Hash{}}
}

func (s *slots) get(slot common.Hash) common.Hash {
	if v, ok := s.written[slot]; ok {
		return v
	}
	v, ok := s.read[slot]
	if !ok {
		v = s.base(slot)
		s.read[slot] = v
	}
	return v
}

// Load implements vm.State.
func (s *slots) Load(_ common.Address, slot common.Hash) (common.Hash, bool) {
	return s.get(slot), false
}

// Store implements vm.State.
func (s *slots) Store(_ common.Address, slot, value common.Hash) vm.Stored {
	old := s.get(slot)
	s.written[slot] = value
	return vm.Stored{Original: old, Current: old}
}

// LoadTransient implements vm.State.
func (*slots) LoadTransient(common.Address, common.Hash) common.Hash { return common.Hash{} }

// StoreTransient implements vm.State.
func (*slots) StoreTransient(_ common.Address, _, _ common.Hash) {}

// Log implements vm.State.
func (*slots) Log(common.Address, []common.Hash, []byte) {}

// codes is a world of code only; what it does not have panics. Implements vm.World.
type codes struct {
	vm.World
	of *chain
}

// Code implements vm.World.
func (c codes) Code(hash common.Hash) []byte { return c.of.Code(hash) }

// BenchmarkFigures_call is a call each, in a fresh instance, of the engine alone.
func BenchmarkFigures_call(b *testing.B) {
	for _, call := range measuredCalls(b) {
		b.Run("contract="+call.name, func(b *testing.B) {
			c, at := call.to.chain, call.to.address
			state := newSlots(func(slot common.Hash) common.Hash { return c.Storage(at, slot) })
			f := vm.Frame{
				Env: vm.Env{
					Block:  &vm.Block{ChainID: c.genesis.ChainID, Number: 1, Time: c.time(), GasLimit: txGas},
					Origin: call.from.address, Caller: call.from.address, Contract: at,
				},
				CodeHash: c.Account(at).CodeHash, Input: call.input, Gas: txGas, State: &state, World: codes{of: c},
			}
			start := cpuTime(b)
			for b.Loop() {
				clear(state.written)
				c.worker.Begin()
				if answer, err := c.worker.Run(b.Context(), &f); err != nil || answer.Outcome != call.outcome {
					b.Fatal(answer.Outcome, err)
				}
			}
			perCall(b, start, b.N)
		})
	}
	b.Run("contract=erc20-transfer-evm", benchmarkEVM)
}

// BenchmarkFigures_message is the same through ledger/exec, with journal, access list and intrinsic gas, on an
// unchanging state.
func BenchmarkFigures_message(b *testing.B) {
	for _, call := range measuredCalls(b) {
		b.Run("contract="+call.name, func(b *testing.B) {
			var gas uint64
			start := cpuTime(b)
			for b.Loop() {
				res := call.to.ask(b, call.from, &call.to.address, call.input, 0)
				if res.Outcome != call.outcome {
					b.Fatal(call.to.reason(res))
				}
				gas = res.GasUsed
			}
			perCall(b, start, b.N)
			b.ReportMetric(float64(gas), "gas")
		})
	}
}

// BenchmarkFigures_block executes a block of transfers, in the token and of the chain's own.
func BenchmarkFigures_block(b *testing.B) {
	const n = 500
	calls := measuredCalls(b)
	for _, call := range calls[:3] {
		b.Run("transaction="+call.name, func(b *testing.B) { benchmarkBlock(b, call, &call.to.address, call.input, n) })
	}
	b.Run("transaction=transfer", func(b *testing.B) { benchmarkBlock(b, calls[0], &calls[0].from.address, nil, n) })
}

func benchmarkBlock(b *testing.B, call measured, to *common.Address, input []byte, n uint64) {
	b.Helper()
	c := call.to.chain
	var txs []*ledger.Transaction
	nonce := c.Account(call.from.address).Nonce
	id := new(big.Int).SetUint64(c.genesis.ChainID)
	for i := range n {
		signed, err := types.SignNewTx(call.from.key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
			ChainID: id, Nonce: nonce + i, Gas: 100_000, GasFeeCap: new(big.Int), GasTipCap: new(big.Int), To: to, Data: input,
		})
		if err != nil {
			b.Fatal(err)
		}
		raw, err := signed.MarshalBinary()
		if err != nil {
			b.Fatal(err)
		}
		tx, err := ledger.DecodeTransaction(raw, c.genesis.ChainID, c.genesis.Limits())
		if err != nil {
			b.Fatal(err)
		}
		txs = append(txs, tx)
	}
	height := c.parent.Number.Uint64() + 1
	o := &ledger.Ordered{Height: height, TimeMs: genesisMs + height*blockMs, Proposer: c.genesis.Validators[0].Address}
	start := cpuTime(b)
	for b.Loop() {
		res, err := exec.Execute(b.Context(), c.worker, c.genesis, c.parent, o, txs, c)
		if err != nil {
			b.Fatal(err)
		}
		if len(res.Receipts) != len(txs) || slices.ContainsFunc(res.Receipts, func(r *types.Receipt) bool { return r.Status != types.ReceiptStatusSuccessful }) {
			b.Fatalf("%d receipts of %d, or a transaction failed", len(res.Receipts), len(txs))
		}
	}
	perCall(b, start, b.N*len(txs))
}

// BenchmarkFigures_compile is what an activation does: check, rewrite and compile, without a cache.
func BenchmarkFigures_compile(b *testing.B) {
	for _, call := range measuredCalls(b) {
		b.Run("contract="+call.name, func(b *testing.B) {
			engine, err := vm.New(vm.Config{})
			if err != nil {
				b.Fatal(err)
			}
			packed, err := vm.Pack(call.wasm)
			if err != nil {
				b.Fatal(err)
			}
			code := call.to.Code(call.to.Account(call.to.address).CodeHash)
			var spent time.Duration
			for b.Loop() {
				worker, err := engine.Worker()
				if err != nil {
					b.Fatal(err)
				}
				start := cpuTime(b)
				if _, err := vm.Activate(code); err != nil {
					b.Fatal(err)
				}
				if err := worker.Prepare(code); err != nil {
					b.Fatal(err)
				}
				spent += cpuTime(b) - start
				if err := worker.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(spent.Seconds()*1e3/float64(b.N), "cpu-ms/compile")
			b.ReportMetric(float64(len(call.wasm)), "module-bytes")
			b.ReportMetric(float64(len(packed)), "deployed-bytes")
		})
	}
}
