package vm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
	"golang.org/x/sync/errgroup"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

// ways are configurations that have to make no difference.
func ways(t testing.TB) map[string]vm.Config {
	warm := t.TempDir()
	w := newWorld(t, vm.Config{CacheDir: warm})
	for _, code := range [][]byte{counter, erc20, loop} {
		w.deploy(code)
	}
	return map[string]vm.Config{
		"compiled":              {},
		"interpreted":           {Interpreter: true},
		"from a cold cache":     {CacheDir: t.TempDir()},
		"from a warm cache":     {CacheDir: warm},
		"with tranches of 1":    {Tranche: 1},
		"with tranches of 1000": {Tranche: 1000},
		"with one tranche":      {Tranche: 1 << 62},
	}
}

// outcome is all that a chain keeps of a transaction.
type outcome struct {
	Answer   vm.Answer
	Logs     []vmtest.Log
	Accounts map[common.Address]vmtest.Account
}

func (w *world) outcome(a vm.Answer) outcome {
	o := outcome{Answer: a, Logs: slices.Clone(w.Logs), Accounts: map[common.Address]vmtest.Account{}}
	for at, account := range w.Accounts {
		kept := *account
		kept.Storage = map[common.Hash]common.Hash{}
		for k, v := range account.Storage {
			if v != (common.Hash{}) {
				kept.Storage[k] = v
			}
		}
		o.Accounts[at] = kept
	}
	return o
}

// goldenOutcomes is a hash over what the transactions below lead to, on every architecture.
const goldenOutcomes = "2fdcdedaf1e8145ec8246b0664bef1d24628e792455b000ab2c2c6bbecd9711f"

func TestSame_everyWay(t *testing.T) {
	nested := func(w *world, s *script, gas uint64) *script {
		outer := &script{}
		return outer.hook("call_contract", outer.put(w.puppet[:]), outer.put(s.bytes()), uint64(len(s.bytes())), outer.word(3), gas, 8, 0).
			hook("evm_ink_left", 16).hook("read_return_data", 32, 0, 64, 24).hook("write_result", 0, 96)
	}
	// Each entry is a transaction to the puppet.
	transactions := func(w *world) [][]byte {
		var list [][]byte
		add := func(s *script) { list = append(list, s.bytes()) }
		for _, c := range examples() {
			s := (&script{}).hook(c.name, c.args...)
			add(s.hook("evm_ink_left", 0).hook("write_result", 0, 10_000))
		}
		for _, op := range []int{opUnreachable, opDivideByZero, opSpin, opRecurse} {
			add((&script{}).do(op))
			add(nested(w, (&script{}).do(op), 100_000))
			add(nested(w, (&script{}).do(op), all))
		}
		add((&script{}).do(opLoad, 1<<31, 0))
		add((&script{}).do(opCallIndirect, 0))
		add((&script{}).do(opCopy, 1000, 0, 200_000))
		add((&script{}).do(opCopy, 1000, 0, 300_000))
		s := (&script{}).do(opGrow, 50, 0).do(opGrow, 75, 8)
		add(s.hook("write_result", 0, 50*65536))
		add(nested(w, nested(w, s, 1_000_000), all))
		return list
	}
	var want []outcome
	var first string
	for name, cfg := range ways(t) {
		w := newWorld(t, cfg)
		at := w.deploy(erc20)
		looping := w.deploy(loop)
		var got []outcome
		for _, input := range transactions(w) {
			got = append(got, w.outcome(w.sendTo(w.puppet, input, uint256.NewInt(1000), 2_000_000)))
		}
		got = append(got, w.outcome(w.sendTo(at, transferInput(), nil, 100_000)))
		for kind := range uint32(15) {
			got = append(got, w.outcome(w.sendTo(looping, loopInput(kind, 3, 500), nil, 10_000_000)))
		}
		if want == nil {
			want, first = got, name
			h := sha256.New()
			for _, o := range got {
				fmt.Fprintf(h, "%+v\n", o)
			}
			if sum := hex.EncodeToString(h.Sum(nil)); sum != goldenOutcomes {
				t.Errorf("results or gas are not what they were: before a release put %s into goldenOutcomes, after one this is a fork", sum)
			}
			continue
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("transaction %d: %s it ended with %d, %d gas left, %x; %s with %d, %d, %x", i,
					name, got[i].Answer.Outcome, got[i].Answer.GasLeft, len(got[i].Answer.Output),
					first, want[i].Answer.Outcome, want[i].Answer.GasLeft, len(want[i].Answer.Output))
			}
		}
	}
}

// FuzzSame sends the same calldata to a puppet that is compiled and to one that is interpreted, with tranches of
// another size.
func FuzzSame(f *testing.F) {
	for _, c := range examples() {
		f.Add((&script{}).hook(c.name, c.args...).code)
	}
	for op := opStop; op <= opSize; op++ {
		f.Add((&script{}).do(op, 1, 2, 3, 4).code)
	}
	compiled, interpreted := newWorld(f, vm.Config{}), newWorld(f, vm.Config{Interpreter: true, Tranche: 10})
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 10_000 {
			return
		}
		input := slices.Concat(binary.LittleEndian.AppendUint32(nil, 4), code)
		run := func(w *world) outcome {
			for at := range w.Accounts { // what a run before has made
				if at != alice && at != w.puppet {
					delete(w.Accounts, at)
				}
			}
			*w.Accounts[alice] = vmtest.Account{Balance: *uint256.NewInt(1e18)}
			p := w.Accounts[w.puppet]
			p.Balance, p.Nonce, p.Storage = *uint256.NewInt(1e18), 1, map[common.Hash]common.Hash{{31: 1}: {31: 2}}
			answer, err := w.Send(t.Context(), alice, w.puppet, nil, input, 300_000)
			if err != nil {
				t.Fatal(err)
			}
			return w.outcome(answer)
		}
		if got, want := run(compiled), run(interpreted); !reflect.DeepEqual(got, want) {
			t.Errorf("compiled: %+v\ninterpreted: %+v", got, want)
		}
	})
}

func TestWorker_Run_reusesItsWorker(t *testing.T) {
	w := newWorld(t, vm.Config{})
	var want []byte
	for range 300 {
		s := &script{}
		s.hook("evm_ink_left", 0).hook("write_result", 0, 3*65536)
		got := w.ok(s).Output
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Fatal("a frame sees what another one left")
		}
		w.send((&script{}).do(opUnreachable))
		w.send((&script{}).hook("exit_early", 1))
	}
}

func TestEngine_workersInParallel(t *testing.T) {
	e := newEngine(t, vm.Config{CacheDir: t.TempDir()})
	packed, err := vm.Pack(counter)
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			worker, err := e.Worker()
			if err != nil {
				return err
			}
			w := vmtest.New(worker)
			at, answer, err := w.Deploy(t.Context(), alice, packed, plenty)
			for i := byte(1); i <= 50 && err == nil && answer.Outcome == vm.Success; i++ {
				if answer, err = w.Send(t.Context(), alice, at, nil, nil, plenty); err == nil && answer.Output[31] != i {
					err = fmt.Errorf("got %x at %d", answer.Output, i)
				}
			}
			if err == nil && answer.Outcome != vm.Success {
				err = fmt.Errorf("got outcome %d", answer.Outcome)
			}
			return errors.Join(err, worker.Close())
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
