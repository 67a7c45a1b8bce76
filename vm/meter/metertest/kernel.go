package metertest

import "math/rand/v2"

// Kernel is a contract that mostly executes instructions of one class. Its entrypoint runs as many rounds as its
// argument says.
type Kernel struct {
	// Class is the name of the class of instructions, Name what it does with them.
	Class, Name string
	Module      *Module
}

// Locals of a kernel, beside the rounds that are left.
const (
	kernelX = 1 // i32
	kernelY = 2 // i32
	kernelA = 3 // i64
	kernelB = 4 // i64
	kernelZ = 5 // the first of 64 i32
)

const unroll = 32

// kernel makes a contract that runs units of code in a loop. Memory is large and holds a cycle of addresses in
// random order, for loads that no cache holds.
func kernel(class, name string, unit func(c Code, i int) Code) Kernel {
	c := Code{}.Const64(0x123456789abcdef).Set(kernelA).Const64(-77).Set(kernelB).Const32(0x1357).Set(kernelX).Const32(9).Set(kernelY)
	c = c.Block(0x40).Loop(0x40).Get(0).Op(0x45).BrIf(1)
	for i := range unroll {
		c = unit(c, i)
	}
	c = c.Get(0).Const32(1).Op(0x6b).Set(0).Br(0).End().End()
	// What was computed is the result, so that no compiler leaves it out.
	c = c.Get(kernelA).Get(kernelB).Op(0x7c, 0xa7).Get(kernelX).Op(0x6a).Get(kernelY).Op(0x6a)
	locals := []byte{I32, I32, I64, I64}
	for i := range 64 {
		locals = append(locals, I32)
		c = c.Get(uint32(kernelZ + i)).Op(0x6a)
	}
	return Kernel{class, name, Contract(c.End(), locals...)}
}

// repeated makes a kernel of code that is the same in each unit.
func repeated(class, name string, unit Code) Kernel {
	return kernel(class, name, func(c Code, _ int) Code { return append(c, unit...) })
}

// Kernels returns contracts for each class of instructions, among them the slowest that we know.
func Kernels() []Kernel {
	a, x := Code{}.Get(kernelA), Code{}.Get(kernelX)
	list := []Kernel{
		kernel("move", "rotate 64 locals", func(c Code, i int) Code {
			if i == 0 {
				c = c.Get(kernelZ).Set(kernelX)
				for j := range uint32(63) {
					c = c.Get(kernelZ + j + 1).Set(kernelZ + j)
				}
				c = c.Get(kernelX).Set(kernelZ + 63)
			}
			return c
		}),
		repeated("simple", "add i64", a.Get(kernelB).Op(0x7c).Set(kernelA)),
		repeated("simple", "rotl i64", a.Get(kernelA).Op(0x89).Set(kernelA)),
		repeated("simple", "shr_s i32", x.Get(kernelY).Op(0x75).Set(kernelX)),
		repeated("simple", "popcnt i64", a.Op(0x7b).Set(kernelA)),
		repeated("simple", "clz, ctz i64", a.Op(0x79, 0x7a).Set(kernelA)),
		repeated("simple", "compare and select", a.Get(kernelB).Get(kernelA).Get(kernelB).Op(0x53, 0x1b).Set(kernelA)),
		repeated("simple", "extend8_s i64", a.Op(0xc2).Set(kernelA)),
		repeated("mul", "i64", a.Get(kernelB).Op(0x7e).Set(kernelA)),
		repeated("mul", "i32", x.Get(kernelY).Op(0x6c).Set(kernelX)),
		repeated("div", "div_s i64", Code{}.Const64(-0x7123456789abcdef).Get(kernelA).Const64(7).Op(0x84, 0x7f).Set(kernelA)),
		repeated("div", "div_u i64", Code{}.Const64(-0x7123456789abcdef).Get(kernelA).Const64(7).Op(0x84, 0x80).Set(kernelA)),
		repeated("div", "div_u i32", Code{}.Const32(-0x71234567).Get(kernelX).Const32(7).Op(0x72, 0x6e).Set(kernelX)),
		repeated("rem", "rem_s i64", Code{}.Const64(-0x7123456789abcdef).Get(kernelA).Const64(7).Op(0x84, 0x81).Set(kernelA)),
		repeated("rem", "rem_u i32", Code{}.Const32(-0x71234567).Get(kernelX).Const32(7).Op(0x72, 0x70).Set(kernelX)),
		repeated("global", "add to one", Code{}.Op(0x23, 0).Get(kernelA).Op(0x7c, 0x24, 0)),
		repeated("grow", "by nothing", Code{}.Const32(0).Op(0x40, 0).Set(kernelX)),
	}
	for i := range list {
		list[i].Module.Globals = []Global{{I64, true, 1}}
	}
	list = append(list, memoryKernels()...)
	list = append(list, branchKernels()...)
	return append(list, callKernels()...)
}

// random leaves a number that no branch predictor knows, below 1 << bits.
func random(c Code, bits int32) Code {
	c = c.Get(kernelA).Const64(6364136223846793005).Op(0x7e).Const64(1442695040888963407).Op(0x7c).Tee(kernelA)
	return c.Const64(60).Op(0x88, 0xa7).Const32(1<<bits - 1).Op(0x71)
}

func branchKernels() []Kernel {
	return []Kernel{
		repeated("branch", "br_if, taken", Code{}.Block(0x40).Const32(1).BrIf(0).End()),
		repeated("branch", "br_if, at random", random(Code{}.Block(0x40), 1).BrIf(0).Get(kernelY).Const32(1).Op(0x6a).Set(kernelY).End()),
		repeated("branch", "if, at random", random(nil, 1).If(0x40).Get(kernelY).Const32(1).Op(0x6a).Set(kernelY).End()),
		repeated("branch", "loop", Code{}.Const32(4).Set(kernelX).Loop(0x40).Get(kernelX).Const32(1).Op(0x6b).Tee(kernelX).BrIf(0).End()),
		repeated("branch table", "at random", func() Code {
			var c Code
			for range 8 {
				c = c.Block(0x40)
			}
			c = random(c, 3).BrTable(0, 1, 2, 3, 4, 5, 6, 7)
			for range 8 {
				c = c.End().Get(kernelY).Const32(3).Op(0x6a).Set(kernelY)
			}
			return c
		}()),
	}
}

func callKernels() []Kernel {
	leaf := func(k Kernel) Kernel {
		m := k.Module
		m.Funcs = append(m.Funcs, Func{0, nil, Code{}.Get(0).Const32(1).Op(0x6a).End()})
		return k
	}
	framed := leaf(repeated("call", "of a function that calls", Code{}.Get(kernelX).Call(2).Set(kernelX)))
	framed.Module.Funcs = append(framed.Module.Funcs, Func{0, nil, Code{}.Get(0).Call(1).End()})
	locals := repeated("call", "of a function with 200 locals", Code{}.Get(kernelX).Call(1).Set(kernelX))
	many := Code{}.Get(0)
	types := make([]byte, 200)
	for i := range types {
		types[i] = I32
		many = many.Get(uint32(1 + i)).Op(0x6a)
	}
	locals.Module.Funcs = append(locals.Module.Funcs, Func{0, types, many.End()})
	indirect := leaf(repeated("indirect call", "of a leaf", Code{}.Get(kernelX).Const32(0).CallIndirect(0).Set(kernelX)))
	indirect.Module.Table = 2
	indirect.Module.Elements = []Elements{{0, []uint32{1, 1}}}
	deep := repeated("call", "100 deep", Code{}.Const32(100).Call(1).Set(kernelX))
	deep.Module.Funcs = append(deep.Module.Funcs, Func{0, nil, Code{}.Get(0).If(I32).Get(0).Const32(1).Op(0x6b).Call(1).Op(0x05).Const32(1).End().End()})
	return []Kernel{leaf(repeated("call", "of a leaf", Code{}.Get(kernelX).Call(1).Set(kernelX))), framed, locals, deep, indirect}
}

func memoryKernels() []Kernel {
	const size, small, medium = 8 << 20, 1 << 20, 2 << 20
	list := []Kernel{
		repeated("load", "i64, near", Code{}.Get(kernelX).Const32(0xfff8).Op(0x71).Access(0x29, 3, 0).Op(0xa7).Set(kernelX)),
		repeated("load", "i32, random in 64 KiB", Code{}.Get(kernelX).Access(0x28, 2, 0).Set(kernelX)),
		repeated("load", "i32, random in 1 MiB", Code{}.Get(kernelX).Access(0x28, 2, 0).Set(kernelX)),
		repeated("load", "i32, random in 2 MiB", Code{}.Get(kernelX).Access(0x28, 2, 0).Set(kernelX)),
		repeated("load", "i32, random in 8 MiB", Code{}.Get(kernelX).Access(0x28, 2, 0).Set(kernelX)),
		repeated("store", "i64, near", Code{}.Get(kernelX).Get(kernelA).Access(0x37, 3, 0)),
		repeated("store", "i64, random in 8 MiB", random(nil, 4).Op(0x1a).Get(kernelA).Const64(24).Op(0x88, 0xa7).Const32(size-8).Op(0x71).Get(kernelB).Access(0x37, 0, 0)),
		repeated("bulk", "copy 1 MiB", Code{}.Const32(1<<20).Const32(4<<20).Const32(1<<20).Op(0xfc, 10, 0, 0)),
		repeated("bulk", "copy 1 MiB onto itself", Code{}.Const32(1).Const32(0).Const32(1<<20).Op(0xfc, 10, 0, 0)),
		repeated("bulk", "copy 4 KiB", Code{}.Const32(8192).Const32(0).Const32(4096).Op(0xfc, 10, 0, 0)),
		repeated("bulk", "copy nothing", Code{}.Const32(8192).Const32(0).Const32(0).Op(0xfc, 10, 0, 0)),
		repeated("bulk", "fill 1 MiB", Code{}.Const32(1<<20).Get(kernelY).Const32(1<<20).Op(0xfc, 11, 0)),
		repeated("bulk", "fill 4 KiB", Code{}.Const32(8192).Get(kernelY).Const32(4096).Op(0xfc, 11, 0)),
		repeated("bulk", "fill nothing", Code{}.Const32(8192).Get(kernelY).Const32(0).Op(0xfc, 11, 0)),
	}
	for i, k := range list {
		k.Module.Memory = &Memory{size >> 16, size >> 16}
		switch i {
		case 1:
			chase(k.Module, 64<<10)
		case 2:
			k.Module.Memory = &Memory{small >> 16, small >> 16}
			chase(k.Module, small)
		case 3:
			k.Module.Memory = &Memory{medium >> 16, medium >> 16}
			chase(k.Module, medium)
		case 4:
			chase(k.Module, size)
		}
	}
	return list
}

// chase makes the first bytes of the memory a cycle of addresses in random order, a cache line apart, before the
// rounds begin: entries swap places as in Sattolo's algorithm. Between them are zeros, which lead to the first.
func chase(m *Module, bytes int32) {
	const line = 64
	var c Code
	// entries[i] = i, then for i from the last down to 1: swap entries[i] with a random one below.
	i, j, t := uint32(kernelX), uint32(kernelY), uint32(kernelZ)
	c = c.Const64(rand.New(rand.NewPCG(1, 2)).Int64()).Set(kernelA)
	c = c.Loop(0x40).Get(i).Get(i).Access(0x36, 2, 0).Get(i).Const32(line).Op(0x6a).Tee(i).Const32(bytes).Op(0x49).BrIf(0).End()
	c = c.Const32(bytes - line).Set(i)
	c = c.Loop(0x40)
	c = random(c, 4).Op(0x1a)
	c = c.Get(kernelA).Const64(33).Op(0x88).Get(i).Const32(line).Op(0x6e, 0xad, 0x82, 0xa7).Const32(line).Op(0x6c).Set(j)
	c = c.Get(i).Access(0x28, 2, 0).Set(t)
	c = c.Get(i).Get(j).Access(0x28, 2, 0).Access(0x36, 2, 0)
	c = c.Get(j).Get(t).Access(0x36, 2, 0)
	c = c.Get(i).Const32(line).Op(0x6b).Tee(i).BrIf(0).End()
	m.Funcs[0].Code = append(c, m.Funcs[0].Code...)
}
