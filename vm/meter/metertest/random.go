package metertest

import "math/rand/v2"

// Random returns the program of a seed.
func Random(seed uint64) *Module {
	r := rand.New(rand.NewPCG(seed, 0))
	return generate(&choices{next: r.IntN}, false)
}

// FromBytes returns the program that bytes choose, so that a fuzzer can look for one.
func FromBytes(data []byte) *Module {
	return generate(&choices{next: func(n int) int {
		if len(data) == 0 {
			return 0
		}
		v := int(data[0])
		data = data[1:]
		return v % n
	}}, false)
}

// choices are where the parts of a program come from. Small numbers choose simple parts.
type choices struct {
	next func(n int) int // below n, which is at most 256
}

// In a generated program the first globals have a meaning: fuel ends loops and recursions.
const (
	fuelGlobal  = 0
	fuel        = 300 // loops and calls of a program, so that its stack is far below the limit
	firstGlobal = 1
	memoryMask  = 0x7ffc // of most addresses
)

// statements are how many a function of a program has at most. Small programs are many in the time that a large one
// takes; some things happen in large ones only.
var statements = [...]int{4, 8, 8, 8, 15, 15, 30, 60}

// hostCalls are what programs call: their results do not depend on gas, and arguments that are small
// addresses and lengths do.
var hostCalls = [...]struct {
	name   string
	params int
	result byte // 0 for none
}{
	{"block_number", 0, I64},
	{"return_data_size", 0, I32},
	{"native_keccak256", 3, 0},
	{"storage_load_bytes32", 2, 0},
	{"storage_cache_bytes32", 2, 0},
	{"math_mul_mod", 3, 0},
	{"msg_reentrant", 0, I32},
	{"account_codehash", 2, 0},
}

// program is a program while it is generated.
type program struct {
	*choices
	module  Module
	globals []byte // types
	funcs   []Type // by index among those with a body
	table   int    // entries with functions
	most    int    // statements of a function
	// observed adds the host functions of observers after those that the program calls.
	observed bool
}

func generate(c *choices, observed bool) *Module {
	p := &program{choices: c, observed: observed}
	p.most = statements[p.next(len(statements))]
	p.signatures()
	m := &p.module
	m.Memory = &Memory{Min: 1 + uint32(p.next(2)), Max: 2 + uint32(p.next(4))} // small, to be quick to compare
	m.Globals = []Global{{I32, true, fuel}}
	p.globals = []byte{I32}
	for range p.next(5) {
		g := Global{p.valueType(), true, int64(p.next(256)) - 100}
		m.Globals, p.globals = append(m.Globals, g), append(p.globals, g.Type)
	}
	if p.next(2) == 1 {
		m.Data = []Data{{int32(p.next(200)), []byte("a program of random parts")}}
	}
	for i := range p.funcs {
		f := &function{program: p, typ: p.funcs[i]}
		locals, code := f.body()
		m.Funcs = append(m.Funcs, Func{uint32(i), locals, code})
	}
	imports := uint32(len(m.Imports))
	m.Exports = []Export{{"user_entrypoint", 0, imports}, {"memory", 2, 0}}
	if p.table > 0 {
		m.Table = uint32(p.table + p.next(3))
		e := Elements{}
		for i := range p.table {
			e.Funcs = append(e.Funcs, imports+uint32(i%len(p.funcs)))
		}
		m.Elements = []Elements{e}
	}
	if p.next(8) == 7 {
		start := imports + uint32(len(m.Funcs))
		m.Types = append(m.Types, Type{})
		m.Funcs = append(m.Funcs, Func{uint32(len(m.Types) - 1), nil, Code{}.Const32(8).Const32(77).Access(0x36, 2, 0).End()})
		m.Start = &start
	}
	if p.observed {
		p.observe()
	}
	return m
}

// signatures decides which functions there are. Function i has type i; the types of the host calls follow.
func (p *program) signatures() {
	p.funcs = []Type{{[]byte{I32}, []byte{I32}}}
	for range p.next(5) {
		t := Type{}
		for range p.next(4) {
			t.Params = append(t.Params, p.valueType())
		}
		if p.next(4) > 0 {
			t.Results = []byte{p.valueType()}
		}
		p.funcs = append(p.funcs, t)
	}
	p.module.Types = append(p.module.Types, p.funcs...)
	for _, h := range hostCalls {
		t := Type{}
		for range h.params {
			t.Params = append(t.Params, I32)
		}
		if h.result != 0 {
			t.Results = []byte{h.result}
		}
		p.module.Imports = append(p.module.Imports, Import{"vm_hooks", h.name, uint32(len(p.module.Types))})
		p.module.Types = append(p.module.Types, t)
	}
	if p.observed {
		p.observers()
	}
	p.table = p.next(6)
}

func (p *program) valueType() byte {
	if p.next(2) == 1 {
		return I64
	}
	return I32
}

// function is a function while it is generated.
type function struct {
	*program
	typ        Type
	locals     []byte // types, the parameters' first
	labels     []byte // what a branch to each open block carries, 0 for nothing; the last is label 0
	statements int
	code       Code
}

func (f *function) result() byte {
	if len(f.typ.Results) == 0 {
		return 0
	}
	return f.typ.Results[0]
}

func (f *function) body() (locals []byte, code Code) {
	f.locals = append(f.locals, f.typ.Params...)
	for range f.next(6) {
		f.locals = append(f.locals, f.valueType())
	}
	f.locals = append(f.locals, I32, I64) // one of each at least
	f.labels = []byte{f.result()}
	f.burn(func() {
		if t := f.result(); t != 0 {
			f.constant(t)
		}
		f.code = f.code.Op(0x0f)
	})
	for range 1 + f.next(8) {
		f.statement(4)
	}
	if t := f.result(); t != 0 {
		f.value(t, 4)
	}
	f.code = f.code.End()
	return f.locals[len(f.typ.Params):], f.code
}

// burn takes one of the fuel and, when there is none, does what otherwise says, which leaves.
func (f *function) burn(otherwise func()) {
	f.code = f.code.Op(0x23, fuelGlobal).Const32(1).Op(0x6b, 0x24, fuelGlobal)
	f.code = f.code.Op(0x23, fuelGlobal).Const32(0).Op(0x48).If(0x40)
	otherwise()
	f.code = f.code.End()
}

// local returns a local of a type.
func (f *function) local(t byte) uint32 {
	for i := f.next(len(f.locals)); ; i = (i + 1) % len(f.locals) {
		if f.locals[i] == t {
			return uint32(i)
		}
	}
}

// address leaves an address that is mostly inside the first page.
func (f *function) address(depth int) {
	f.value(I32, depth-1)
	if f.next(64) != 63 {
		f.code = f.code.Const32(memoryMask).Op(0x71)
	}
}

// within does something inside a block whose label carries t.
func (f *function) within(t byte, inside func()) {
	f.labels = append(f.labels, t)
	inside()
	f.labels = f.labels[:len(f.labels)-1]
	f.code = f.code.End()
}

func blockType(t byte) byte {
	if t == 0 {
		return 0x40
	}
	return t
}

// statement leaves the operands as they are.
func (f *function) statement(depth int) {
	if f.statements++; depth <= 0 || f.statements > f.most {
		f.code = f.code.Op(0x01)
		return
	}
	switch f.next(16) {
	case 0, 1, 2:
		f.assign(depth)
	case 3:
		f.globalSet(depth)
	case 4, 5:
		f.store(depth)
	case 6:
		f.conditional(depth)
	case 7:
		f.block(depth)
	case 8, 9:
		f.loop(depth)
	case 10:
		f.branchTable(depth)
	case 11:
		f.bulk(depth)
	case 12:
		f.call(0, depth)
	case 13:
		f.leave(depth)
	case 14:
		f.value(f.valueType(), depth)
		f.code = f.code.Op(0x1a)
	case 15:
		f.host(depth)
	}
}

func (f *function) assign(depth int) {
	t := f.valueType()
	f.value(t, depth-1)
	if f.next(4) == 3 {
		f.code = f.code.Tee(f.local(t)).Op(0x1a)
		return
	}
	f.code = f.code.Set(f.local(t))
}

func (f *function) globalSet(depth int) {
	if len(f.globals) == firstGlobal {
		return
	}
	g := firstGlobal + f.next(len(f.globals)-firstGlobal)
	f.value(f.globals[g], depth-1)
	f.code = f.code.Op(0x24).U32(uint32(g))
}

func (f *function) store(depth int) {
	f.address(depth)
	t := f.valueType()
	f.value(t, depth-1)
	ops := []byte{0x36, 0x3a, 0x3b}
	if t == I64 {
		ops = []byte{0x37, 0x3c, 0x3d, 0x3e}
	}
	f.code = f.code.Access(ops[f.next(len(ops))], 0, uint32(f.next(256)))
}

func (f *function) conditional(depth int) {
	f.value(I32, depth-1)
	f.code = f.code.If(0x40)
	f.within(0, func() {
		f.statement(depth - 1)
		if f.next(2) == 1 {
			f.code = f.code.Op(0x05)
			f.statement(depth - 1)
		}
	})
}

func (f *function) block(depth int) {
	f.code = f.code.Block(0x40)
	f.within(0, func() {
		for range 1 + f.next(3) {
			f.statement(depth - 1)
			if f.next(2) == 1 {
				f.value(I32, depth-2)
				f.code = f.code.BrIf(0)
			}
		}
	})
}

func (f *function) loop(depth int) {
	f.code = f.code.Block(0x40)
	f.within(0, func() {
		f.code = f.code.Loop(0x40)
		// A branch to the loop from inside it goes on; a label for it would be one that no fuel guards.
		f.within(0xff, func() {
			f.burn(func() { f.code = f.code.Br(2) })
			f.statement(depth - 1)
			f.statement(depth - 1)
			f.value(I32, depth-2)
			f.code = f.code.BrIf(0)
		})
	})
}

// target returns a label that carries t, if there is one.
func (f *function) target(t byte) (uint32, bool) {
	start := f.next(len(f.labels))
	for i := range f.labels {
		l := (start + i) % len(f.labels)
		if f.labels[len(f.labels)-1-l] == t {
			return uint32(l), true
		}
	}
	return 0, false
}

func (f *function) branchTable(depth int) {
	f.code = f.code.Block(0x40)
	f.within(0, func() {
		labels := make([]uint32, 1+f.next(5))
		for i := range labels {
			labels[i], _ = f.target(0) // the block's own at least
		}
		f.value(I32, depth-1)
		f.code = f.code.Const32(7).Op(0x71).BrTable(labels...)
		f.dead(depth)
	})
}

// dead appends code that is never reached.
func (f *function) dead(depth int) {
	switch f.next(6) {
	case 1:
		f.code = f.code.Op(0x6a, 0x1a) // operands that nothing gave
	case 2:
		f.statement(depth - 1)
	case 3:
		f.code = f.code.Block(I64).Const64(1).Br(0).End().Op(0x1a)
	case 4:
		f.code = f.code.Op(0x1b, 0x1a)
	}
}

// leave may end a block, the function or the program.
func (f *function) leave(depth int) {
	f.value(I32, depth-1)
	f.code = f.code.If(0x40)
	f.within(0, func() {
		t := f.valueType()
		if l, ok := f.target(t); ok && f.next(2) == 1 {
			f.value(t, depth-2)
			f.code = f.code.Br(l)
		} else if r := f.result(); f.next(8) < 7 {
			if r != 0 {
				f.value(r, depth-2)
			}
			f.code = f.code.Op(0x0f)
		} else {
			f.code = f.code.Op(0x00)
		}
		f.dead(depth)
	})
}

func (f *function) bulk(depth int) {
	f.address(depth)
	fill := f.next(2) == 1
	if fill {
		f.value(I32, depth-2)
	} else {
		f.address(depth)
	}
	f.value(I32, depth-2)
	if f.next(32) != 31 {
		f.code = f.code.Const32(0x3ff).Op(0x71)
	}
	if fill {
		f.code = f.code.Op(0xfc, 11, 0)
		return
	}
	f.code = f.code.Op(0xfc, 10, 0, 0)
}

func (f *function) host(depth int) {
	i := f.next(len(hostCalls))
	h := hostCalls[i]
	for range h.params {
		f.value(I32, depth-2)
		f.code = f.code.Const32(0xff8).Op(0x71)
	}
	f.code = f.code.Call(uint32(i))
	if h.result != 0 {
		f.code = f.code.Set(f.local(h.result))
	}
}

// call calls a function with a result of type t, or any whose result is dropped, and leaves a value if t is
// not 0.
func (f *function) call(t byte, depth int) {
	i := f.next(len(f.funcs))
	for n := 0; t != 0 && (len(f.funcs[i].Results) == 0 || f.funcs[i].Results[0] != t); n++ {
		if n == len(f.funcs) {
			f.constant(t)
			return
		}
		i = (i + 1) % len(f.funcs)
	}
	for _, p := range f.funcs[i].Params {
		f.value(p, depth-2)
	}
	if f.table > 0 && f.next(3) == 2 {
		at := int32(i)
		if f.next(8) == 7 {
			at = int32(f.next(16))
		}
		f.code = f.code.Const32(at).CallIndirect(uint32(i))
	} else {
		f.code = f.code.Call(uint32(len(f.module.Imports) + i))
	}
	if t == 0 && len(f.funcs[i].Results) > 0 {
		f.code = f.code.Op(0x1a)
	}
}
