package meter

import "encoding/binary"

// Opcodes and types that the rewriting puts in.
const (
	opcodeUnreachable = 0x00
	opcodeBlock       = 0x02
	opcodeIf          = 0x04
	opcodeEnd         = 0x0b
	opcodeCall        = 0x10
	opcodeSelect      = 0x1b
	opcodeLocalGet    = 0x20
	opcodeLocalSet    = 0x21
	opcodeLocalTee    = 0x22
	opcodeGlobalGet   = 0x23
	opcodeGlobalSet   = 0x24
	opcodeConst32     = 0x41
	opcodeConst64     = 0x42
	opcodeLess32      = 0x48 // i32.lt_s
	opcodeLess64      = 0x53 // i64.lt_s
	opcodeAdd32       = 0x6a
	opcodeSub32       = 0x6b
	opcodeSub64       = 0x7d
	opcodeMul64       = 0x7e
	opcodeExtend      = 0xad // i64.extend_i32_u
	emptyType         = 0x40
)

// The own imports come after the original's, the own globals after its.
const (
	ownImports = 2 // refill, grow

	gasGlobal   = 0 // from len(module.globals) on
	stackGlobal = 1
)

// priceBytes is the room for the price of a basic block, a signed LEB128: 34 bits. A body's 64 Ki instructions
// at 2^16 ink are 2^32.
const priceBytes = 5

// spend adds to the price of the open basic block, and begins one when there is none.
func (b *body) spend(ink uint64) {
	if ink == 0 {
		return
	}
	if b.charge < 0 {
		b.out = b.appendGlobal(b.out, opcodeGlobalGet, gasGlobal)
		b.out = append(b.out, opcodeConst64)
		b.charge = len(b.out)
		b.out = append(b.out, 0, 0, 0, 0, 0, opcodeSub64)
		b.take()
	}
	b.cost += ink
}

// take ends a charge: the new value of the counter is on the stack.
func (b *body) take() {
	b.out = b.appendGlobal(b.out, opcodeGlobalSet, gasGlobal)
	b.out = b.appendGlobal(b.out, opcodeGlobalGet, gasGlobal)
	b.out = append(b.out, opcodeConst64, 0, opcodeLess64, opcodeIf, emptyType)
	b.out = b.appendGlobal(b.out, opcodeGlobalGet, gasGlobal)
	b.out = append(b.out, opcodeCall)
	b.out = binary.AppendUvarint(b.out, uint64(len(b.m.imports)))
	b.out = append(b.out, opcodeEnd)
	b.values += 4
	b.effort.calls++
	b.effort.pass(pointsOfCharge, len(b.operands))
}

// settle ends the open basic block: its price goes to where it is charged.
func (b *body) settle() {
	if b.charge >= 0 {
		v := b.cost
		for i := range priceBytes - 1 {
			b.out[b.charge+i] = byte(v) | 0x80
			v >>= 7
		}
		b.out[b.charge+priceBytes-1] = byte(v) & 0x3f // positive
	}
	b.charge, b.cost = -1, 0
}

func (b *body) appendGlobal(out []byte, op byte, own int) []byte {
	return binary.AppendUvarint(append(out, op), uint64(len(b.m.globals)+own))
}

// Scratch locals, after the function's own: two i32 and two i64.
func (b *body) appendScratch(op byte, t valueType, which int) {
	b.scratch = true
	if t == i64 {
		which += 2
	}
	b.out = binary.AppendUvarint(append(b.out, op), uint64(len(b.locals)+which))
}

// rem computes a rem b as a − (a / b) · b, with b = 1 in place of −1: the remainder is 0 either way, and
// the division does not overflow.
func (b *body) rem(op byte, in *instruction) {
	t := in.out
	b.pop(t)
	b.pop(t)
	b.push(t)
	if b.dead {
		return
	}
	b.spend(uint64(b.prices.class[in.class]))
	b.values += 6
	b.effort.checks += checksOfDivision
	// In the table of opcodes, i32: 0x6b sub, 0x6c mul, 0x6d div_s, 0x6e div_u, 0x6f rem_s, 0x70 rem_u, 0x46 eq;
	// i64: 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x51.
	sub, constant, equal, signed := byte(opcodeSub32), byte(opcodeConst32), byte(0x46), op == 0x6f
	if t == i64 {
		sub, constant, equal, signed = opcodeSub64, opcodeConst64, 0x51, op == 0x81
	}
	mul, div := sub+1, op-2
	const first, second = 0, 1
	b.appendScratch(opcodeLocalSet, t, second)
	b.appendScratch(opcodeLocalTee, t, first)
	b.appendScratch(opcodeLocalGet, t, first)
	if signed {
		b.out = append(b.out, constant, 1)
		b.appendScratch(opcodeLocalGet, t, second)
		b.appendScratch(opcodeLocalGet, t, second)
		b.out = append(b.out, constant, 0x7f, equal, opcodeSelect) // 0x7f is −1
		b.appendScratch(opcodeLocalTee, t, second)
	} else {
		b.appendScratch(opcodeLocalGet, t, second)
	}
	b.out = append(b.out, div)
	b.appendScratch(opcodeLocalGet, t, second)
	b.out = append(b.out, mul, sub)
}

// memory is memory.size and memory.grow.
func (b *body) memory(op byte, in *instruction) {
	r := b.r
	if index := r.byte(); index != 0 {
		r.refuse(b.at, in.name, "there is one memory only; compile without the multi-memory feature")
	}
	if !b.m.hasMemory {
		r.refuse(b.at, in.name, reasonNoMemory)
	}
	if in.form == opMemoryGrow {
		b.pop(i32)
	}
	b.push(i32)
	if b.dead {
		return
	}
	b.spend(uint64(b.prices.class[in.class]))
	if in.form == opMemoryGrow {
		b.out = binary.AppendUvarint(append(b.out, opcodeCall), uint64(len(b.m.imports)+1))
		b.calls = true
		b.effort.calls++
	}
	b.out = append(b.out, op, 0)
}

// bulk is memory.copy and memory.fill, which pay for each byte, and what else begins with their prefix.
func (b *body) bulk() {
	r := b.r
	var perByte uint16
	var name string
	memories := 1
	sub := r.u32()
	switch {
	case sub < 8:
		r.refuse(b.at, "a saturating conversion", reasonFloat)
	case sub == 8 || sub == 9:
		r.refuse(b.at, "memory.init or data.drop", "passive data are not accepted; compile without bulk memory initialisation and threads")
	case sub == 10:
		name, perByte, memories = "memory.copy", b.prices.copied, 2
	case sub == 11:
		name, perByte = "memory.fill", b.prices.filled
	case sub < 18:
		r.refuse(b.at, "an instruction on tables", reasonReference)
	default:
		r.refusef(b.at, "opcode", "0xfc %d: %s", sub, reasonUnknown)
	}
	for range memories {
		if r.byte() != 0 {
			r.refuse(b.at, name, "there is one memory only; compile without the multi-memory feature")
		}
	}
	if !b.m.hasMemory {
		r.refuse(b.at, name, reasonNoMemory)
	}
	b.pop(i32)
	b.pop(i32)
	b.pop(i32)
	if b.dead || r.err != nil {
		return
	}
	b.spend(uint64(b.prices.class[Bulk]))
	b.values += 4
	b.effort.pass(pointsOfBulk, len(b.operands))
	b.appendScratch(opcodeLocalSet, i32, 0)
	b.out = b.appendGlobal(b.out, opcodeGlobalGet, gasGlobal)
	b.appendScratch(opcodeLocalGet, i32, 0)
	b.out = append(b.out, opcodeExtend, opcodeConst64)
	b.out = appendSigned(b.out, int64(perByte))
	b.out = append(b.out, opcodeMul64, opcodeSub64)
	b.take()
	b.appendScratch(opcodeLocalGet, i32, 0)
	b.out = append(b.out, 0xfc, byte(sub))
	for range memories {
		b.out = append(b.out, 0)
	}
}

// words is what an entry of the function takes of the stack's words: room for its locals and operands, and for
// the values that a compiler keeps in the frame. wazero 1.12.0 gives each value that does not stay in a
// register 8 bytes of its own, and joins of branches make values of locals; a word has room for 47.
func (b *body) words() int {
	return max(minFrameWords, len(b.locals)+b.height, (b.values+len(b.locals)*b.loops)/valuesPerWord)
}

// framed says whether the function takes words of the stack. One that calls nothing need not if it is small: it
// adds one frame to those that are counted.
func (b *body) framed() bool { return b.calls || b.words() > minFrameWords }

// head is what comes before the rewritten body: its locals, and the stack's words.
func (b *body) head(groups []group) []byte {
	n := len(groups)
	if b.scratch {
		groups = append(groups, group{2, i32}, group{2, i64})
		n += 2
	}
	head := binary.AppendUvarint(make([]byte, 0, 32+4*n), uint64(n))
	for _, g := range groups {
		head = append(binary.AppendUvarint(head, uint64(g.n)), byte(g.typ))
	}
	if !b.framed() {
		return head
	}
	head = b.appendStack(head, opcodeSub32)
	head = b.appendGlobal(head, opcodeGlobalGet, stackGlobal)
	head = append(head, opcodeConst32, 0, opcodeLess32, opcodeIf, emptyType, opcodeUnreachable, opcodeEnd)
	return append(head, opcodeBlock, blockType(b.typ.result()))
}

// tail is what comes after it, on every way out.
func (b *body) tail() []byte {
	if !b.framed() {
		return []byte{opcodeEnd}
	}
	return append(b.appendStack([]byte{opcodeEnd}, opcodeAdd32), opcodeEnd)
}

// appendStack adds to the stack's counter or subtracts from it.
func (b *body) appendStack(out []byte, op byte) []byte {
	out = append(b.appendGlobal(out, opcodeGlobalGet, stackGlobal), opcodeConst32)
	out = append(appendSigned(out, int64(b.words())), op)
	return b.appendGlobal(out, opcodeGlobalSet, stackGlobal)
}

// appendSigned appends a signed LEB128.
func appendSigned(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
