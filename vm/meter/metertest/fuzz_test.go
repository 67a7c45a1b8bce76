package metertest_test

import (
	"errors"
	"testing"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// FuzzRewrite_garbage decodes anything. It stands here because this package's tests are without wazero, whose
// instrumentation would leave the fuzzer little time for the decoder.
func FuzzRewrite_garbage(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(metertest.Random(seed).Encode())
	}
	for _, k := range metertest.Kernels()[:4] {
		f.Add(k.Module.Encode())
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		module, err := meter.Rewrite(wasm, meter.Current)
		refused, ok := errors.AsType[*meter.RefusedError](err)
		switch {
		case err == nil:
			if len(module.Wasm) < 8 || module.ActivationGas == 0 || module.Pages > module.MaxPages || module.MaxPages > meter.MaxPages {
				t.Errorf("accepted as %+v", module)
			}
		case !ok || refused.Offset < 0 || refused.Offset > len(wasm) || refused.What == "" || refused.Reason == "":
			t.Errorf("refused by %#v", err)
		}
	})
}

// TestRandom_isReproducible generates the same program from the same seed, and accepted ones only.
func TestRandom_isReproducible(t *testing.T) {
	for seed := range uint64(200) {
		wasm := metertest.Random(seed).Encode()
		if string(wasm) != string(metertest.Random(seed).Encode()) {
			t.Fatalf("seed %d gives two programs", seed)
		}
		if _, err := meter.Rewrite(wasm, meter.Current); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// TestKernels_areContracts accepts all of them, and there is one for each class that is not free.
func TestKernels_areContracts(t *testing.T) {
	classes := map[string]bool{}
	for _, k := range metertest.Kernels() {
		classes[k.Class] = true
		if _, err := meter.Rewrite(k.Module.Encode(), meter.Current); err != nil {
			t.Errorf("%s, %s: %v", k.Class, k.Name, err)
		}
	}
	for c := meter.Free + 1; c < meter.Classes; c++ {
		if !classes[c.String()] {
			t.Errorf("no kernel for %s", c)
		}
	}
}
