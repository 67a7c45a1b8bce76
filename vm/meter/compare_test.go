package meter_test

import (
	"testing"

	"github.com/tercet-chain/tercet/vm/meter/metertest"
)

// TestRewrite_andComparedWithZero compares what and makes with 0, by every ordered comparison, with what the
// interpreter says. A compiler that makes one instruction of both and a branch gets some of them wrong.
func TestRewrite_andComparedWithZero(t *testing.T) {
	const param, masked, zero, outcome = 0, 1, 2, 3 // locals; masked and zero are of the type compared
	type carrier struct {
		name string
		code func(c code) code
	}
	p := newPair(t)
	for _, v := range []struct {
		typ               byte
		first, and, shift byte
		number            func(c code, v int64) code
		fromParam         []byte
	}{
		{i32, 0x48, 0x71, 0x74, func(c code, v int64) code { return c.Const32(int32(v)) }, nil},
		{i64, 0x53, 0x83, 0x86, func(c code, v int64) code { return c.Const64(v) }, []byte{0xac}},
	} {
		and := func(c code) code {
			c = c.Get(param).Op(v.fromParam...)
			return v.number(c, -0x7fffffff).Op(v.and)
		}
		nothing := func(c code) code { return v.number(c, 0) }
		ands := []carrier{
			{"at once", and},
			{"through a local", func(c code) code { return and(c).Set(masked).Get(masked) }},
			{"through a global", func(c code) code { return and(c).Op(0x24, 0, 0x23, 0) }},
			{"through a block", func(c code) code { return and(c.Block(v.typ)).End() }},
			{"through a shift", func(c code) code { return nothing(and(c)).Op(v.shift + 1) }},
			{"through a branch", func(c code) code { return and(c.Block(v.typ)).Get(param).BrIf(0).End() }},
		}
		zeros := []carrier{
			{"constant", nothing},
			{"local that nobody sets", func(c code) code { return c.Get(zero) }},
			{"tee", func(c code) code { return nothing(c).Tee(zero) }},
		}
		for op := v.first; op < v.first+8; op++ {
			for _, a := range ands {
				for _, z := range zeros {
					for _, left := range []bool{false, true} {
						compare := func(c code) code {
							if left {
								return a.code(z.code(c)).Op(op)
							}
							return z.code(a.code(c)).Op(op)
						}
						c := compare(nil).If(0x40).Get(outcome).Const32(1).Op(0x72).Set(outcome).End()
						c = compare(c.Block(0x40)).BrIf(0).Get(outcome).Const32(2).Op(0x72).Set(outcome).End()
						c = compare(c).Op(0x45).If(0x40).Get(outcome).Const32(4).Op(0x72).Set(outcome).End()
						c = compare(c.Const32(8).Const32(0)).Op(0x1b).Get(outcome).Op(0x72).Set(outcome)
						m := metertest.Contract(c.Get(outcome).End(), v.typ, v.typ, i32)
						m.Globals = []metertest.Global{{Type: v.typ, Mutable: true}}
						wasm := m.Encode()
						for _, arg := range []uint64{0, 1, 2, 0xffffffff} {
							if what, _ := p.differ(t, wasm, arg); what != "" {
								t.Errorf("opcode %#x, and %s, 0 as %s, on the left: %t; of %#x: %s", op, a.name, z.name, left, arg, what)
							}
						}
					}
				}
			}
		}
	}
}
