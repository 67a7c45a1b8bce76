package metertest

// constant leaves a constant, often one at the edge of something.
func (f *function) constant(t byte) {
	edges := [...]int64{0, 1, -1, 2, 7, 31, 32, 63, 64, 127, 128, 255, 256, 65535, 65536, 1<<31 - 1, -1 << 31, 1<<63 - 1, -1 << 63, -2, 10, 100}
	i := f.next(len(edges) + 8)
	v := int64(i)
	if i < len(edges) {
		v = edges[i]
	}
	if t == I64 {
		f.code = f.code.Const64(v)
		return
	}
	f.code = f.code.Const32(int32(v))
}

// value leaves a value of a type.
func (f *function) value(t byte, depth int) {
	if depth <= 0 {
		f.simple(t)
		return
	}
	switch f.next(14) {
	case 0, 1, 2:
		f.simple(t)
	case 3, 4, 5:
		f.binary(t, depth)
	case 6:
		f.unary(t, depth)
	case 7:
		f.divide(t, depth)
	case 8:
		f.load(t, depth)
	case 9:
		f.value(t, depth-1)
		f.value(t, depth-1)
		f.value(I32, depth-2)
		f.code = f.code.Op(0x1b)
	case 10:
		f.chosen(t, depth)
	case 11:
		f.carried(t, depth)
	case 12:
		f.call(t, depth)
	case 13:
		f.compare(t, depth)
	}
}

func (f *function) simple(t byte) {
	switch f.next(4) {
	case 0:
		f.constant(t)
	case 3:
		for i, g := range f.globals {
			if i >= firstGlobal && g == t {
				f.code = f.code.Op(0x23).U32(uint32(i))
				return
			}
		}
		fallthrough
	default:
		f.code = f.code.Get(f.local(t))
	}
}

// of moves an opcode of the i32 instructions to those of i64.
func of(t byte, op, distance byte) byte {
	if t == I64 {
		return op + distance
	}
	return op
}

func (f *function) binary(t byte, depth int) {
	f.value(t, depth-1)
	f.value(t, depth-1)
	ops := [...]byte{0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78}
	f.code = f.code.Op(of(t, ops[f.next(len(ops))], 0x12))
}

func (f *function) unary(t byte, depth int) {
	switch i := f.next(7); {
	case i < 3:
		f.value(t, depth-1)
		f.code = f.code.Op(of(t, 0x67+byte(i), 0x12))
	case i == 3 && t == I32:
		f.value(I64, depth-1)
		f.code = f.code.Op(0xa7)
	case i < 5 && t == I64:
		f.value(I32, depth-1)
		f.code = f.code.Op(0xac + byte(i-3))
	case i == 5 && t == I32:
		f.grow(depth)
	default:
		f.value(t, depth-1)
		f.code = f.code.Op(of(t, 0xc0+byte(i%2), 2))
	}
}

// grow leaves the size of the memory, or makes it a little larger.
func (f *function) grow(depth int) {
	switch f.next(3) {
	case 0:
		f.code = f.code.Op(0x3f, 0)
	case 1:
		f.value(I32, depth-1)
		f.code = f.code.Const32(1).Op(0x71, 0x40, 0)
	case 2:
		f.code = f.code.Const32(-1).Op(0x40, 0)
	}
}

func (f *function) divide(t byte, depth int) {
	f.value(t, depth-1)
	f.value(t, depth-1)
	if f.next(32) != 31 { // not by zero
		if t == I64 {
			f.code = f.code.Const64(1).Op(0x84)
		} else {
			f.code = f.code.Const32(1).Op(0x72)
		}
	}
	f.code = f.code.Op(of(t, 0x6d+byte(f.next(4)), 0x12))
}

func (f *function) load(t byte, depth int) {
	f.address(depth)
	ops := []byte{0x28, 0x2c, 0x2d, 0x2e, 0x2f}
	if t == I64 {
		ops = []byte{0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35}
	}
	f.code = f.code.Access(ops[f.next(len(ops))], 0, uint32(f.next(256)))
}

// chosen is an if with a value.
func (f *function) chosen(t byte, depth int) {
	f.value(I32, depth-1)
	f.code = f.code.If(t)
	f.within(t, func() {
		f.value(t, depth-1)
		f.code = f.code.Op(0x05)
		f.value(t, depth-1)
	})
}

// carried is a block with a value, which a branch may carry.
func (f *function) carried(t byte, depth int) {
	f.code = f.code.Block(blockType(t))
	f.within(t, func() {
		f.value(t, depth-1)
		f.value(I32, depth-2)
		f.code = f.code.BrIf(0)
		f.statement(depth - 1)
		if f.next(4) == 3 {
			f.code = f.code.Br(0)
			f.dead(depth - 1)
		}
	})
}

// compare leaves the result of a comparison.
func (f *function) compare(t byte, depth int) {
	operand := f.valueType()
	f.value(operand, depth-1)
	n := byte(f.next(11)) // 0 is eqz
	if n > 0 {
		f.value(operand, depth-1)
	}
	f.code = f.code.Op(of(operand, 0x45+n, 0x0b))
	if t == I64 {
		f.code = f.code.Op(0xad)
	}
}
