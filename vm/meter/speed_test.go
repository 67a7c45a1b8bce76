package meter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// BenchmarkRewrite measures the rewriting itself.
func BenchmarkRewrite(b *testing.B) {
	wasm := metertest.Random(7).Encode()
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
	return cpu() - before, float64(used) / meter.InkPerGas
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
			idle, idleGas := spent(m, compiled, 0)
			for took := time.Duration(0); took < idle+10*time.Millisecond; rounds *= 2 {
				took, _ = spent(m, compiled, rounds)
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
