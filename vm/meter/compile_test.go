package meter_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// cpu is the processor time of the process, which other processes do not disturb as they do a clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hostile are modules that are hard to compile for their size, of a size n.
var hostile = []struct {
	name  string
	sizes []int
	with  func(n int) *module
}{
	{"blocks in a row", []int{100, 500, 1000, 2000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Block(0x40).Get(0).BrIf(0).End() }))
	}},
	{"blocks in a row, small functions", []int{20, 40}, func(n int) *module {
		m := contract(nil)
		for i := range n {
			m.Funcs = append(m.Funcs, metertest.Func{Code: repeat(nil, 50, func(c code) code { return c.Block(0x40).Get(0).BrIf(0).End() }).Get(0).Call(uint32(i)).End()})
		}
		m.Exports[0].Index = uint32(n)
		return m
	}},
	{"ifs in a row", []int{100, 1000, 2000, 4000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).If(0x40).Const32(1).Set(0).End() }))
	}},
	{"loops in a row", []int{100, 500, 1000, 2000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Loop(0x40).Get(0).BrIf(0).End() }))
	}},
	{"empty loops in a row", []int{500, 1000, 2000, 4000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Loop(0x40).End() }))
	}},
	{"branches out of one block", []int{100, 1000, 2000, 4000}, func(n int) *module {
		return contract(repeat(code{}.Block(0x40), n, func(c code) code { return c.Get(0).BrIf(0) }).End())
	}},
	{"nested ifs that set locals", []int{8, 64, 250}, func(n int) *module {
		c := repeat(nil, n, func(c code) code { return c.Get(0).If(0x40) })
		for i := range uint32(1000) {
			c = c.Get(0).Set(1 + i)
		}
		c = repeat(c, n, code.End)
		for i := range uint32(1000) {
			c = c.Get(1 + i).Op(0x1a)
		}
		return contract(c, slices.Repeat([]byte{i32}, 1000)...)
	}},
	{"nested blocks, branches to all", []int{16, 64, 240}, func(n int) *module {
		c := repeat(nil, n, func(c code) code { return c.Block(0x40) })
		for range 8 {
			for i := range uint32(n) {
				c = c.Get(0).Set(1 + i).Get(i).BrIf(i)
			}
		}
		return contract(repeat(c, n, code.End), slices.Repeat([]byte{i32}, 1000)...)
	}},
	{"nested loops that set locals", []int{4, 8, 16}, func(n int) *module {
		c := repeat(nil, n, func(c code) code { return c.Loop(0x40) })
		for i := range uint32(1000) {
			c = c.Get(1 + (i+1)%1000).Set(1 + i)
		}
		return contract(repeat(c, n, func(c code) code { return c.Get(1).BrIf(0).End() }), slices.Repeat([]byte{i32}, 1000)...)
	}},
	{"tables", []int{1000, 2000, 4000}, func(n int) *module {
		c := code{}.Block(0x40).Block(0x40).Get(0).BrTable(make([]uint32, n)...).End()
		return contract(c.End())
	}},
	{"many tables", []int{50, 250, 500, 1000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Block(0x40).Block(0x40).Get(0).BrTable(0, 1, 0).End().End() }))
	}},
	{"a table to many blocks", []int{60, 120, 250}, func(n int) *module {
		c := repeat(nil, n, func(c code) code { return c.Block(0x40) })
		labels := make([]uint32, 0, 4000)
		for i := range 4000 {
			labels = append(labels, uint32(i%n))
		}
		c = c.Get(0).BrTable(labels...)
		return contract(repeat(c, n, func(c code) code { return c.End().Get(0).Const32(3).Op(0x6a).Set(0) }))
	}},
	{"arithmetic", []int{3000, 9000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Const32(7).Op(0x6a).Set(0) }))
	}},
	{"divisions", []int{1000, 8000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Get(0).Op(0x6d).Set(0) }))
	}},
	{"live values", []int{100, 250}, func(n int) *module {
		var c code
		for i := range uint32(n) {
			c = c.Get(0).Const32(int32(i)).Op(0x6c).Set(1 + i)
		}
		for range 20 {
			for i := range uint32(n) {
				c = c.Get(1 + i).Get(0).Op(0x6a).Set(0)
			}
		}
		return contract(c, slices.Repeat([]byte{i32}, n)...)
	}},
	{"calls with live values", []int{100, 250, 500}, func(n int) *module {
		var c code
		for i := range uint32(n) {
			c = c.Get(0).Const32(int32(i)).Op(0x6c).Set(1 + i)
		}
		c = repeat(c, 4000, func(c code) code { return c.Get(0).Call(0).Op(0x1a) })
		for i := range uint32(n) {
			c = c.Get(1 + i).Set(0)
		}
		return contract(c, slices.Repeat([]byte{i32}, n)...)
	}},
	{"calls with many arguments", []int{50, 100, 200}, func(n int) *module {
		m := contract(nil)
		m.Types = append(m.Types, metertest.Type{Params: slices.Repeat([]byte{i64}, n)})
		each := repeat(nil, n, func(c code) code { return c.Const64(1) }).Call(1)
		m.Funcs[0].Code = repeat(nil, 60000/len(each), func(c code) code { return append(c, each...) }).Const32(0).End()
		m.Funcs = append(m.Funcs, metertest.Func{Type: 1, Code: code{}.End()})
		return m
	}},
	{"operands", []int{4000, 8000, 16000}, func(n int) *module {
		c := repeat(nil, n, func(c code) code { return c.Get(0) })
		return contract(repeat(c, n-1, func(c code) code { return c.Op(0x6a) }).Set(0))
	}},
	{"loads", []int{1000, 4000, 8000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Access(0x28, 0, 1).Set(0) }))
	}},
	{"remainders", []int{1000, 4000, 8000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Get(0).Op(0x6f).Set(0) }))
	}},
	{"fills", []int{100, 2000, 4000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Get(0).Get(0).Op(0xfc, 11, 0) }))
	}},
	{"copies", []int{100, 2000, 4000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Get(0).Get(0).Op(0xfc, 10, 0, 0) }))
	}},
	{"globals", []int{100, 1000}, func(n int) *module {
		m := with(func(m *module) { m.Globals = slices.Repeat([]metertest.Global{{Type: i64, Mutable: true}}, n) })
		var c code
		for i := range 8000 {
			c = c.Op(0x23).U32(uint32(i % n)).Op(0x24).U32(uint32((i + 1) % n))
		}
		m.Funcs[0].Code = c.Const32(0).End()
		return m
	}},
	{"globals and calls", []int{10, 100, 1000}, func(n int) *module {
		m := with(func(m *module) { m.Globals = slices.Repeat([]metertest.Global{{Type: i64, Mutable: true}}, n) })
		var c code
		for i := range 6000 {
			c = c.Op(0x23).U32(uint32(i % n)).Op(0x24).U32(uint32((i + 1) % n)).Get(0).Call(0).Op(0x1a)
		}
		m.Funcs[0].Code = c.Const32(0).End()
		return m
	}},
	{"functions", []int{1000, 4000}, func(n int) *module {
		m := contract(nil)
		for i := range n - 1 {
			m.Funcs = append(m.Funcs, metertest.Func{Code: code{}.Get(0).Call(uint32(i)).End()})
		}
		m.Exports[0].Index = uint32(n - 1)
		return m
	}},
	{"sets of locals between branches", []int{10, 100, 1000}, func(n int) *module {
		var c code
		for i := range uint32(min(2000, 20*n)) {
			c = c.Block(0x40).Get(0).BrIf(0).Get(0).Set(1 + i%uint32(n)).End()
		}
		for i := range uint32(n) {
			c = c.Get(1 + i).Set(0)
		}
		return contract(c, slices.Repeat([]byte{i32}, n)...)
	}},
	{"locals live over branches", []int{10, 100, 1000}, func(n int) *module {
		var c code
		for i := range uint32(n) {
			c = c.Get(0).Const32(int32(i)).Op(0x6a).Set(1 + i)
		}
		c = repeat(c, min(2000, 20*n), func(c code) code { return c.Block(0x40).Get(0).BrIf(0).Get(0).Set(0).End() })
		for i := range uint32(n) {
			c = c.Get(1 + i).Get(0).Op(0x6a).Set(0)
		}
		return contract(c, slices.Repeat([]byte{i32}, n)...)
	}},
	{"selects", []int{4000}, func(n int) *module {
		return contract(repeat(nil, n, func(c code) code { return c.Get(0).Const32(1).Get(0).Op(0x1b).Set(0) }))
	}},
}

// TestRewrite_activationPaysForCompiling compares the time that hostile modules take to compile with what they
// pay for it: at 100 Mgas/s or a little less on an idle machine, of which a busy or slow one may have a tenth.
func TestRewrite_activationPaysForCompiling(t *testing.T) {
	const slowest = 10 // Mgas/s
	m := newMachine(t, false)
	for _, h := range hostile {
		sizes := h.sizes[:1]
		if os.Getenv("TERCET_LONG") != "" {
			sizes = h.sizes
		}
		for _, n := range sizes {
			wasm := h.with(n).Encode()
			before := cpu()
			module, err := meter.Rewrite(wasm, meter.Current)
			rewriting := cpu() - before
			if err != nil {
				t.Errorf("%s, %d: %v", h.name, n, err)
				continue
			}
			before = cpu()
			m.compile(module.Wasm).Close(t.Context())
			compiling := cpu() - before
			rate := float64(module.ActivationGas) / 1e6 / (compiling + rewriting).Seconds()
			if rate < slowest && compiling > 10*time.Millisecond {
				t.Errorf("%s, %d: activation runs at %.1f Mgas/s", h.name, n, rate)
			}
			t.Logf("%-34s %5d: %6d → %6d bytes, rewriting %6.2f ms, compiling %8.2f ms, %8d gas: %7.1f Mgas/s", h.name, n, len(wasm), len(module.Wasm),
				rewriting.Seconds()*1e3, compiling.Seconds()*1e3, module.ActivationGas, rate)
		}
	}
}
