package meter

// origin says where a value may come from, as far as a compiler can follow it without joining two: through locals,
// globals, blocks and shifts by nothing.
type origin uint8

const (
	fromZero origin = 1 << iota // a constant 0
	fromAnd                     // i32.and or i64.and
	anywhere = fromZero | fromAnd
)

// origin returns that of the operand below so many others. What is not reached has none.
func (b *body) origin(below int) origin {
	if i := len(b.operands) - 1 - below; i >= 0 {
		return b.origins[i]
	}
	return 0
}

// comes says where the topmost operand comes from.
func (b *body) comes(o origin) { b.origins[len(b.operands)-1] = o }

const (
	opcodeAnd32, opcodeShift32 = 0x71, 0x74 // shl, shr_s, shr_u
	opcodeAnd64, opcodeShift64 = 0x83, 0x86
	opcodeNotEqual32           = 0x47
)

// constant says that the topmost operand is one.
func (b *body) constant(v int64) {
	if v == 0 {
		b.comes(fromZero)
	}
}

// originOf is the origin of what a numeric instruction is about to make of the topmost operands.
func (b *body) originOf(op byte) origin {
	switch op {
	case opcodeAnd32, opcodeAnd64:
		return fromAnd
	case opcodeShift32, opcodeShift32 + 1, opcodeShift32 + 2, opcodeShift64, opcodeShift64 + 1, opcodeShift64 + 2:
		return b.origin(1)
	}
	return 0
}

// ordered says whether an opcode is lt, gt, le or ge.
func ordered(op byte) bool { return op >= 0x48 && op <= 0x4f || op >= 0x53 && op <= 0x5a }

// miscompared says whether wazero 1.12.0 would compare the two topmost operands wrongly where a branch follows: an and
// with 0. It makes one instruction of and, comparison and branch, whose flags are those of a comparison of the and's
// result with 0, in this order; with 0 on the left the condition is the wrong way round. On arm64 the flags of ANDS also
// lack the carry, so that unsigned conditions are wrong with 0 on either side.
func (b *body) miscompared(op byte) bool {
	x, y := b.origin(1), b.origin(0)
	return ordered(op) && (x&fromZero != 0 && y&fromAnd != 0 || x&fromAnd != 0 && y&fromZero != 0)
}

// separate keeps a comparison apart from a branch that follows: its result is compared with 0 by another instruction.
func (b *body) separate() {
	b.spend(uint64(b.prices.class[Simple]))
	b.out = append(b.out, opcodeConst32, 0, opcodeNotEqual32)
	b.values += 2
}
