package vm_test

import (
	_ "embed"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

//go:embed testdata/puppet.wasm
var puppet []byte

var (
	alice = common.HexToAddress("0xa11ce00000000000000000000000000000000000")
	bob   = common.HexToAddress("0xb0b0000000000000000000000000000000000000")
)

const plenty = 50_000_000

// scriptBase is where puppet.wat keeps its calldata. Below is free for results.
const scriptBase = 65536

// script is calldata for the puppet.
type script struct{ data, code []byte }

// put adds data and returns its address.
func (s *script) put(b []byte) uint64 {
	s.data = append(s.data, b...)
	return uint64(scriptBase + 4 + len(s.data) - len(b))
}

func (s *script) word(v uint64) uint64 {
	b := uint256.NewInt(v).Bytes32()
	return s.put(b[:])
}

// operations of the puppet beside the host functions.
const (
	opStop = iota + 42
	opGrow
	opUnreachable
	opDivideByZero
	opLoad
	opCallIndirect
	opSpin
	opRecurse
	opCopy
	opSize
)

// do adds an operation. One with a result has as its last argument where to store it.
func (s *script) do(op int, args ...uint64) *script {
	s.code = append(s.code, byte(op))
	for _, a := range args {
		s.code = binary.LittleEndian.AppendUint64(s.code, a)
	}
	return s
}

// hook adds a call of a host function.
func (s *script) hook(name string, args ...uint64) *script {
	op := slices.IndexFunc(meter.Hooks(), func(h meter.Hook) bool { return h.Name == name })
	h := meter.Hooks()[op]
	if len(args) != len(h.Params)+len(h.Results) {
		panic("arguments of " + name)
	}
	return s.do(op, args...)
}

// bytes is the calldata, padded before the operations: the same length, and price, for all that is short.
func (s *script) bytes() []byte {
	const unit = 2048
	pad := make([]byte, unit-(4+len(s.data)+len(s.code))%unit)
	return slices.Concat(binary.LittleEndian.AppendUint32(nil, uint32(4+len(s.data)+len(pad))), s.data, pad, s.code)
}

// world is a test's world with a puppet in it.
type world struct {
	*vmtest.World
	t      testing.TB
	worker *vm.Worker
	puppet common.Address
}

func newEngine(t testing.TB, cfg vm.Config) *vm.Engine {
	t.Helper()
	cfg.Log = testlog.New(t)
	e, err := vm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func newWorker(t testing.TB, e *vm.Engine) *vm.Worker {
	t.Helper()
	w, err := e.Worker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func newWorld(t testing.TB, cfg vm.Config) *world {
	t.Helper()
	worker := newWorker(t, newEngine(t, cfg))
	w := &world{World: vmtest.New(worker), t: t, worker: worker}
	w.Accounts[alice] = &vmtest.Account{Balance: *uint256.NewInt(1e18)}
	w.puppet = w.deploy(puppet)
	return w
}

// deploy deploys a module, packed.
func (w *world) deploy(wasm []byte) common.Address {
	w.t.Helper()
	data, err := vm.Pack(wasm)
	if err != nil {
		w.t.Fatal(err)
	}
	at, answer, err := w.Deploy(w.t.Context(), alice, data, plenty)
	if err != nil || answer.Outcome != vm.Success {
		w.t.Fatalf("deploying: %v, %+v %s", err, answer.Outcome, answer.Output)
	}
	return at
}

// send sends a script to the puppet.
func (w *world) send(s *script) vm.Answer {
	w.t.Helper()
	return w.sendTo(w.puppet, s.bytes(), nil, plenty)
}

func (w *world) sendTo(to common.Address, input []byte, value *uint256.Int, gas uint64) vm.Answer {
	w.t.Helper()
	answer, err := w.Send(w.t.Context(), alice, to, value, input, gas)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

// ok is send for scripts that have to succeed.
func (w *world) ok(s *script) vm.Answer {
	w.t.Helper()
	answer := w.send(s)
	if answer.Outcome != vm.Success {
		w.t.Fatalf("outcome %d, want success", answer.Outcome)
	}
	return answer
}
