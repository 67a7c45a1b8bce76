package meter_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// pair is a compiler and an interpreter to compare.
type pair struct{ compiler, interpreter *machine }

func newPair(t testing.TB) pair { return pair{newMachine(t, false), newMachine(t, true)} }

// differ says how a program, rewritten, differs from itself as it is, or from itself with another tranche or
// engine. The gas that it used is returned.
func (p pair) differ(t testing.TB, wasm []byte, arg uint64) (string, outcome) {
	t.Helper()
	p.compiler.t, p.interpreter.t = t, t
	module, err := meter.Rewrite(wasm, meter.Current)
	if err != nil {
		return "refused: " + err.Error(), outcome{}
	}
	raw := p.interpreter.run(wasm, 0, "user_entrypoint", arg)
	compiled := p.compiler.compile(module.Wasm)
	defer compiled.Close(t.Context())
	p.compiler.tranche = 1 << 40
	metered := p.compiler.call(compiled, infinite, "user_entrypoint", arg)
	if what := difference(raw, metered); what != "" {
		return "metered: " + what, metered
	}
	p.interpreter.tranche, p.compiler.tranche = 1_000_000, 20_000 // some blocks take more
	for _, again := range []outcome{
		p.interpreter.run(module.Wasm, infinite, "user_entrypoint", arg),
		p.compiler.call(compiled, infinite, "user_entrypoint", arg),
	} {
		if what := difference(metered, again); what != "" {
			return "with small tranches: " + what, again
		}
		// Who traps has paid for all that there was: the counter is where its last call left it.
		if metered.err == nil && again.used != metered.used {
			return "with small tranches: other gas", again
		}
	}
	return "", metered
}

// differSingly says whether a program pays another price when each instruction pays by itself.
func (p pair) differSingly(t testing.TB, wasm []byte, arg uint64, metered outcome) string {
	t.Helper()
	singly, err := meter.RewriteSingly(wasm, "user_entrypoint", "memory")
	if err != nil {
		return err.Error()
	}
	// Frames are sized a little differently, so that a step of the stack may be paid for in one of them only.
	if each := p.interpreter.run(singly.Wasm, infinite, "user_entrypoint", arg); (each.used-metered.used)%meter.StepInk != 0 {
		return fmt.Sprintf("%d ink in blocks, %d instruction by instruction", metered.used, each.used)
	}
	return ""
}

func difference(a, b outcome) string {
	switch {
	case (a.err == nil) != (b.err == nil):
		return "one traps"
	case uint32(a.result) != uint32(b.result):
		return "other results"
	case a.memory != b.memory:
		return "other memory"
	case !slices.Equal(a.called, b.called):
		return "other host calls"
	}
	return ""
}

// TestRewrite_randomPrograms compares programs, metered, with themselves as they are.
func TestRewrite_randomPrograms(t *testing.T) {
	var ran, trapped, calls atomic.Int64
	metertest.Sweep(t, 500, func(t *testing.T, _ uint64) func(uint64) []byte {
		p := newPair(t)
		return func(seed uint64) []byte {
			wasm := metertest.Random(seed).Encode()
			what, o := p.differ(t, wasm, seed%3)
			if what == "" && seed%4 == 0 && o.err == nil { // whoever traps has paid for the rest of the block, too
				what = p.differSingly(t, wasm, seed%3, o)
			}
			if what != "" {
				t.Fatalf("seed %d: %s\n%s", seed, what, hex.EncodeToString(wasm))
			}
			ran.Add(1)
			if o.err != nil {
				trapped.Add(1)
			}
			calls.Add(int64(len(o.called)))
			return fmt.Appendf(nil, "%t %d %d %x %q", o.err != nil, uint32(o.result), o.used, sha256.Sum256([]byte(o.memory)), o.called)
		}
	})
	n := ran.Load()
	t.Logf("%d programs, %d trapped, %d host calls", n, trapped.Load(), calls.Load())
	if n >= 100 && (trapped.Load() > n/2 || calls.Load() < n) {
		t.Error("the programs do too little")
	}
}

// FuzzRewrite_program compares programs that the fuzzer chooses.
func FuzzRewrite_program(f *testing.F) {
	for seed := range uint64(8) {
		data := make([]byte, 200)
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range data {
			data[i] = byte(r.IntN(256))
		}
		f.Add(data, uint8(seed))
	}
	p := newPair(f)
	f.Fuzz(func(t *testing.T, data []byte, arg uint8) {
		if len(data) > 4096 {
			return
		}
		wasm := metertest.FromBytes(data).Encode()
		what, o := p.differ(t, wasm, uint64(arg))
		if what == "" && o.err == nil {
			what = p.differSingly(t, wasm, uint64(arg), o)
		}
		if what != "" {
			t.Fatalf("%s\n%s", what, hex.EncodeToString(wasm))
		}
	})
}

// FuzzRewrite decodes anything. What is accepted compiles, and rewriting it again is refused: its names are ours.
func FuzzRewrite(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(metertest.Random(seed).Encode())
	}
	for _, l := range limits {
		if l.limit <= 4096 {
			f.Add(l.with(3).Encode())
		}
	}
	m := newMachine(f, false)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		module, err := meter.Rewrite(wasm, meter.Current)
		var refused *meter.RefusedError
		if err != nil {
			if !errors.As(err, &refused) || refused.Offset < 0 || refused.Offset > len(wasm) || refused.Reason == "" {
				t.Fatalf("refused by %#v", err)
			}
			return
		}
		if module.ActivationGas > 1e7 {
			return // compiling takes long, and is paid for
		}
		m.t = t
		m.compile(module.Wasm).Close(t.Context())
		if _, err := meter.Rewrite(module.Wasm, meter.Current); !errors.As(err, &refused) {
			t.Errorf("rewriting what was rewritten: %v", err)
		}
	})
}
