package vm_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

// hash is of all that a chain keeps of a transaction.
func (o *outcome) hash() []byte {
	h := sha256.New()
	fmt.Fprintln(h, o.Answer.Outcome, o.Answer.GasLeft, len(o.Answer.Output))
	h.Write(o.Answer.Output)
	fmt.Fprintln(h, o.Logs)
	for _, at := range slices.SortedFunc(maps.Keys(o.Accounts), common.Address.Cmp) {
		a := o.Accounts[at]
		fmt.Fprintln(h, at, a.Balance, a.Nonce, a.CodeHash)
		for _, slot := range slices.SortedFunc(maps.Keys(a.Storage), common.Hash.Cmp) {
			fmt.Fprintln(h, slot, a.Storage[slot])
		}
	}
	return h.Sum(nil)
}

// way is one way to run contracts.
type way struct {
	name string
	*vmtest.World
	ended [vm.NoBalance + 1]int64 // transactions by outcome
}

// newWays are a compiler, an interpreter, and a compiler whose cache is cold and then warm, with tranches of other
// sizes. The last two need files and are for every fourth program.
func newWays(t *testing.T, tranche uint64) []*way {
	compiler := newEngine(t, vm.Config{})
	interpreter := newEngine(t, vm.Config{Interpreter: true, Tranche: 1})
	cached := newEngine(t, vm.Config{CacheDir: t.TempDir(), Tranche: tranche})
	return []*way{
		{name: "compiled", World: vmtest.New(newWorker(t, compiler))},
		{name: "interpreted", World: vmtest.New(newWorker(t, interpreter))},
		{name: "from a cold cache", World: vmtest.New(newWorker(t, cached))},
		{name: "from a warm cache", World: vmtest.New(newWorker(t, cached))},
	}
}

// transact deploys a contract and sends it two transactions. The outcome has the logs and outputs of all.
func (w *way) transact(t *testing.T, code, input []byte, gas uint64) outcome {
	t.Helper()
	w.Accounts = map[common.Address]*vmtest.Account{alice: {Balance: *uint256.NewInt(1e18)}}
	at, deployed, err := w.Deploy(t.Context(), alice, code, plenty)
	if err != nil || deployed.Outcome != vm.Success {
		t.Fatal(err, deployed.Outcome, string(deployed.Output))
	}
	first, err1 := w.Send(t.Context(), alice, at, nil, input, gas)
	logs := slices.Clone(w.Logs)
	second, err2 := w.Send(t.Context(), alice, at, uint256.NewInt(1), nil, plenty)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	w.ended[first.Outcome]++
	w.ended[second.Outcome]++
	o := (&world{World: w.World}).outcome(second)
	o.Logs = append(logs, o.Logs...)
	o.Answer.Output = slices.Concat(fmt.Appendln(nil, deployed.GasLeft, first.Outcome, first.GasLeft), first.Output, second.Output)
	return o
}

// TestSame_randomPrograms compares contracts that no one would write, on an engine in each of its forms. What it
// prints last is the same on every machine.
func TestSame_randomPrograms(t *testing.T) {
	var ended [vm.NoBalance + 1]atomic.Int64
	metertest.Sweep(t, 500, func(t *testing.T, shard uint64) func(uint64) []byte {
		ways := newWays(t, []uint64{300, 2, 10_000, 1 << 40}[shard%4])
		t.Cleanup(func() {
			for i, n := range ways[0].ended {
				ended[i].Add(n)
			}
		})
		return func(seed uint64) []byte {
			code := metertest.RandomContract(seed).Encode()
			gas := []uint64{50_000, 200_000, 1_000_000, plenty}[seed/3%4]
			input := make([]byte, seed%3)
			want := ways[0].transact(t, code, input, gas)
			hash := want.hash()
			others := ways[1:]
			if seed%4 != 0 {
				others = others[:1]
			}
			for _, w := range others {
				if got := w.transact(t, code, input, gas); !bytes.Equal(got.hash(), hash) {
					t.Fatalf("seed %d: compiled: %+v\n%s: %+v\n%x", seed, want, w.name, got, code)
				}
			}
			return hash
		}
	})
	t.Logf("transactions: success %d, revert %d, out of gas %d, trapped %d", ended[vm.Success].Load(), ended[vm.Revert].Load(), ended[vm.OutOfGas].Load(), ended[vm.Trapped].Load())
	if ended[vm.Success].Load() < 100 {
		return // a few programs
	}
	for outcome := range vm.Trapped + 1 {
		if ended[outcome].Load() == 0 {
			t.Errorf("no transaction ended with outcome %d: the programs do too little", outcome)
		}
	}
}
