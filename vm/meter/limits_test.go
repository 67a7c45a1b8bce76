package meter_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/vm/meter"
	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// repeat appends what each appends, n times.
func repeat(c code, n int, each func(code) code) code {
	for range n {
		c = each(c)
	}
	return c
}

func nested(n int) *module {
	return contract(repeat(repeat(nil, n, func(c code) code { return c.Block(0x40) }), n, code.End))
}

// manyLocals has n locals, with the parameters, in functions of 1,024.
func manyLocals(n int) *module {
	m, entry, bodies := contract(nil), code{}, []code{}
	for ; n > 0; n -= 1024 {
		m.Funcs = append(m.Funcs, m.Funcs[0])
		bodies = append(bodies, code{}.Op(1).U32(uint32(min(n, 1024)-1)).Op(i64))
		entry = entry.Get(0).Call(uint32(len(bodies) - 1)).Op(0x1a)
	}
	m.Funcs = m.Funcs[1:]
	section := code{}.U32(uint32(len(bodies)))
	for i, c := range bodies {
		if i == 0 { // which calls them all
			c = c.Op(entry...)
		}
		section = section.Bytes(c.Const32(0).End())
	}
	m.Sections = map[byte][]byte{10: section}
	return m
}

// limits are modules with n of what is limited.
var limits = []struct {
	name  string
	limit int
	with  func(n int) *module
	want  string
}{
	{"bytes", meter.MaxModuleBytes, func(n int) *module {
		m := contract(nil)
		custom := code{}.Bytes([]byte("padding"))
		custom = append(custom, make([]byte, n-len(m.Encode())-4-len(custom))...)
		m.Last = code{0}.Bytes(custom)
		return m
	}, "it has 131073 bytes, at most 131072 are accepted"},
	{"functions", 4096, func(n int) *module {
		m := contract(nil)
		for range n - 1 {
			m.Funcs = append(m.Funcs, m.Funcs[0])
		}
		return m
	}, "functions (offset 19): there are 4097, at most 4096"},
	{"locals", 1024, func(n int) *module { return contract(nil, slices.Repeat([]byte{i32}, n-1)...) }, "locals"},
	{"locals of all functions", 64 << 10, manyLocals, "all functions have more than 65536"},
	{"bytes of a body", 64 << 10, func(n int) *module { // locals, const, end are 4
		return contract(repeat(nil, n-4, func(c code) code { return c.Op(1) }))
	}, "a body in function 0 (offset 63): it has 65537 bytes"},
	{"nesting", 256, nested, "nested more than 256 deep"},
	{"control", 4096, func(n int) *module {
		return contract(repeat(nil, n/2, func(c code) code { return c.Block(0x40).Const32(0).BrIf(0).End() }).Op(slices.Repeat([]byte{0x03, 0x40, 0x0b}, n%2)...))
	}, "more than 4096 blocks, loops and conditional branches"},
	{"targets", 4096, func(n int) *module {
		c := code{}.Block(0x40)
		for _, part := range []int{n / 3, n / 3, n - n/3*2} {
			c = c.Block(0x40).Const32(1).BrTable(make([]uint32, part)...).End()
		}
		return contract(c.End())
	}, "more than 4096 targets"},
	{"locals times loops", 128 * 128, func(n int) *module {
		locals := 128 + (n & 1) // 129 × 128
		return contract(repeat(nil, 128, func(c code) code { return c.Loop(0x40).End() }), slices.Repeat([]byte{i64}, locals-1)...)
	}, "it has 129 locals and 128 loops"},
	{"pages", 128, func(n int) *module { return with(func(m *module) { m.Memory.Min = uint32(n) }) }, "it starts with 129 pages"},
	{"entries of the table", 4096, func(n int) *module {
		return with(func(m *module) { m.Table, m.Funcs[0].Code = uint32(n), code{}.Get(0).Const32(0).CallIndirect(0).End() })
	}, "the table (offset 23): it has 4097 entries"},
	{"segments of data", 128, func(n int) *module { return with(func(m *module) { m.Data = make([]metertest.Data, n) }) }, "segments of data"},
	{"segments of elements", 128, func(n int) *module {
		return with(func(m *module) { m.Table, m.Elements = 1, make([]metertest.Elements, n) })
	}, "segments of elements"},
	{"elements", 4096, func(n int) *module {
		return with(func(m *module) {
			m.Table, m.Elements = 4096, []metertest.Elements{{Funcs: make([]uint32, n/2)}, {Funcs: make([]uint32, n-n/2)}}
			m.Funcs[0].Code = code{}.Get(0).Const32(5000).CallIndirect(0).End()
		})
	}, "elements"},
	{"globals", 1024, func(n int) *module {
		return with(func(m *module) { m.Globals = slices.Repeat([]metertest.Global{{Type: i64, Mutable: true}}, n) })
	}, "globals"},
	{"name", 512, func(n int) *module {
		return with(func(m *module) { m.Exports = append(m.Exports, metertest.Export{Name: strings.Repeat("n", n)}) })
	}, "a name (offset 56): it has 513 bytes"},
	{"types", 4096, func(n int) *module {
		return with(func(m *module) { m.Types = slices.Repeat(m.Types, n) })
	}, "types"},
}

func TestRewrite_limits(t *testing.T) {
	m := newMachine(t, false)
	for _, l := range limits {
		t.Run(l.name, func(t *testing.T) {
			module, err := meter.Rewrite(l.with(l.limit).Encode(), meter.Current)
			if err != nil {
				t.Fatalf("at the limit: %v", err)
			}
			start := time.Now()
			m.compile(module.Wasm).Close(t.Context())
			t.Logf("%d gas to activate, compiled in %v", module.ActivationGas, time.Since(start))

			_, err = meter.Rewrite(l.with(l.limit+1).Encode(), meter.Current)
			var refused *meter.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), l.want) {
				t.Errorf("one more: got %v, want something with %q", err, l.want)
			}
		})
	}
}
