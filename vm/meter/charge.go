package meter

import "encoding/binary"

// Opcodes and types that the rewriting puts in.
const (
	opcodeUnreachable = 0x00
	opcodeBlock       = 0x02
	opcodeIf          = 0x04
	opcodeElse        = 0x05
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
	opcodeEqual32     = 0x46
	opcodeLess32      = 0x48 // i32.lt_s
	opcodeLess64      = 0x53 // i64.lt_s
	opcodeAdd32       = 0x6a
	opcodeSub32       = 0x6b
	opcodeMul32       = 0x6c
	opcodeDivide32    = 0x6e // i32.div_u
	opcodeSub64       = 0x7d
	opcodeMul64       = 0x7e
	opcodeExtend      = 0xad // i64.extend_i32_u
	emptyType         = 0x40
)

// What is ours comes after what is the original's, but our function before its functions.
const (
	ownImports   = 2 // refill, grow
	ownFunctions = 1 // deepen
	ownGlobals   = 3

	gasGlobal   = 0 // from len(module.globals) on
	stackGlobal = 1
	markGlobal  = 2 // the stack's words below which deepen is called
)

// priceBytes is the room for the price of a basic block, a signed LEB128: 2^34 at most. A body's 64 Ki instructions
// at 2^17 ink, its entry and its locals are less.
const priceBytes = 5

// spend adds to the price of the open basic block, and begins one when there is none.
func (b *body) spend(ink uint64) {
	if ink == 0 {
		return
	}
	if b.charge < 0 {
		b.out = b.appendGas(b.out, opcodeLocalGet)
		b.out = append(b.out, opcodeConst64)
		b.charge = len(b.out)
		b.out = append(b.out, 0, 0, 0, 0, 0, opcodeSub64)
		b.take()
	}
	b.cost += ink
}

// take ends a charge: the new value of the counter is on the stack.
func (b *body) take() {
	b.out = b.appendGas(b.out, opcodeLocalTee)
	b.out = append(b.out, opcodeConst64, 0, opcodeLess64, opcodeIf, emptyType)
	b.out = b.appendGas(b.store(b.out), opcodeLocalGet)
	b.out = binary.AppendUvarint(append(b.out, opcodeCall), uint64(len(b.m.imports)))
	b.out = b.load(b.out)
	b.out = append(b.out, opcodeEnd)
	if b.m.lab == nil || !b.m.lab.single { // whose functions are to have the words of the others
		b.values += 5
	}
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

func (m *module) appendTake(out []byte) []byte {
	out = m.appendGlobal(out, opcodeGlobalSet, gasGlobal)
	out = m.appendGlobal(out, opcodeGlobalGet, gasGlobal)
	out = append(out, opcodeConst64, 0, opcodeLess64, opcodeIf, emptyType)
	out = m.appendGlobal(out, opcodeGlobalGet, gasGlobal)
	out = binary.AppendUvarint(append(out, opcodeCall), uint64(len(m.imports)))
	return append(out, opcodeEnd)
}

func (m *module) appendGlobal(out []byte, op byte, own int) []byte {
	return binary.AppendUvarint(append(out, op), uint64(len(m.globals)+own))
}

// appendGas is an instruction on the local that holds the counter while the function runs.
func (b *body) appendGas(out []byte, op byte) []byte {
	return binary.AppendUvarint(append(out, op), uint64(len(b.locals)))
}

// store makes the counter known to others, before a call of any function and at the end; load takes it back.
func (b *body) store(out []byte) []byte {
	return b.m.appendGlobal(b.appendGas(out, opcodeLocalGet), opcodeGlobalSet, gasGlobal)
}

func (b *body) load(out []byte) []byte {
	return b.appendGas(b.m.appendGlobal(out, opcodeGlobalGet, gasGlobal), opcodeLocalSet)
}

// Scratch locals, after the function's own and the counter: two i32 and two i64.
func (b *body) appendScratch(op byte, t valueType, which int) {
	b.scratch = true
	if t == i64 {
		which += 2
	}
	b.out = binary.AppendUvarint(append(b.out, op), uint64(len(b.locals)+1+which))
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
		b.out = binary.AppendUvarint(append(b.store(b.out), opcodeCall), uint64(len(b.m.imports)+1))
		b.out = b.load(b.out)
		b.values++
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
	b.out = b.appendGas(b.out, opcodeLocalGet)
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
