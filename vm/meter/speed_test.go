package meter_test

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// BenchmarkRewrite measures the rewriting itself.
func BenchmarkRewrite(b *testing.B) {
	wasm, err := os.ReadFile("testdata/programs/programs.wasm")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := meter.Rewrite(wasm, meter.Current); err != nil {
			b.Fatal(err)
		}
	}
}

// spent runs a kernel for a number of rounds and returns the processor time and the gas.
func spent(m *machine, compiled wazero.CompiledModule, rounds uint64) (time.Duration, float64) {
	m.t.Helper()
	instance, err := m.runtime.InstantiateModule(m.t.Context(), compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		m.t.Fatal(err)
	}
	defer instance.Close(m.t.Context())
	before := cpu()
	used, _, err := m.enter(instance, infinite, "user_entrypoint", rounds)
	if err != nil {
		m.t.Fatal(err)
	}
	var pages uint32
	if memory := instance.Memory(); memory != nil {
		pages = memory.Size() >> 16
	}
	return cpu() - before, float64(used<<meter.LargeShift(meter.Current, pages)) / meter.InkPerGas
}

// BenchmarkPrices prints how fast each class of instructions uses gas. The slowest has to be at 100 Mgas/s or
// faster on the machines that we aim at.
func BenchmarkPrices(b *testing.B) {
	m := newMachine(b, false)
	m.tranche = 150_000_000 // 150 µs at 100 Mgas/s
	for _, k := range metertest.Kernels() {
		b.Run("class="+strings.ReplaceAll(k.Class+": "+k.Name, " ", "_"), func(b *testing.B) {
			m.t = b
			compiled := m.compile(rewritten(b, k.Module.Encode()).Wasm)
			defer compiled.Close(b.Context())
			rounds := uint64(1)
			// The shortest of three, because preparing the memory takes some kernels longer than a few rounds, and
			// not always equally long.
			shortest := func(rounds uint64) (time.Duration, float64) {
				first, gas := spent(m, compiled, rounds)
				second, _ := spent(m, compiled, rounds)
				third, _ := spent(m, compiled, rounds)
				return min(first, second, third), gas
			}
			idle, idleGas := shortest(0)
			for took := time.Duration(0); took < 2*idle+10*time.Millisecond; rounds *= 2 {
				took, _ = shortest(rounds)
			}
			var took time.Duration
			var gas float64
			n := 0.
			for b.Loop() {
				t, g := spent(m, compiled, rounds)
				took, gas, n = took+t-idle, gas+g-idleGas, n+float64(rounds*32)
			}
			b.ReportMetric(gas/1e6/took.Seconds(), "Mgas/s")
			b.ReportMetric(took.Seconds()*1e9/n, "ns/unit")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// programs are what testdata/programs.c can do.
var programs = [...]string{"fib", "sieve", "sort", "keccak", "matrix", "crc", "queens", "wide", "machine"}

// TestRewrite_programs compares the programs of a C compiler, metered, with themselves as they are.
func TestRewrite_programs(t *testing.T) {
	wasm, err := os.ReadFile("testdata/programs/programs.wasm")
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t)
	for i, name := range programs {
		what, o := p.differ(t, wasm, uint64(i))
		if what != "" || o.err != nil {
			t.Errorf("%s: %s %v", name, what, o.err)
		}
	}
}

// BenchmarkOverhead prints how much longer metered programs take, in all as the geometric mean.
func BenchmarkOverhead(b *testing.B) {
	wasm, err := os.ReadFile("testdata/programs/programs.wasm")
	if err != nil {
		b.Fatal(err)
	}
	m := newMachine(b, false)
	m.tranche = 150_000_000
	module := rewritten(b, wasm)
	b.Logf("%d → %d bytes, %d gas to activate", len(wasm), len(module.Wasm), module.ActivationGas)
	raw, metered := m.compile(wasm), m.compile(module.Wasm)
	sum := 0.
	for i, name := range programs {
		b.Run("program="+name, func(b *testing.B) {
			m.t = b
			var rawTime, meteredTime time.Duration
			var gas float64
			for b.Loop() {
				// In turns, so that both meet the same disturbances; the fastest of each counts.
				r, _ := spent(m, raw, uint64(i))
				t, g := spent(m, metered, uint64(i))
				if gas == 0 || r < rawTime {
					rawTime = r
				}
				if gas == 0 || t < meteredTime {
					meteredTime = t
				}
				gas = g
			}
			ratio := float64(meteredTime) / float64(rawTime)
			sum += math.Log(ratio)
			b.ReportMetric(ratio, "overhead")
			b.ReportMetric(gas/1e6/meteredTime.Seconds(), "Mgas/s")
			b.ReportMetric(meteredTime.Seconds()*1e6, "µs/run")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.ReportMetric(math.Exp(sum/float64(len(programs))), "overhead")
	b.ReportMetric(0, "ns/op")
}
