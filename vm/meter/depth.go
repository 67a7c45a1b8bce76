package meter

import "encoding/binary"

// words is what an entry of the function takes of the stack's words: room for its locals and operands, and for
// the values that a compiler may keep in the frame. wazero 1.12.0 gives each value that does not stay in a
// register 8 bytes of its own, and joins of branches make values of locals. With 16 bytes for each value, all words
// together are 8 MB, where wazero's limit is 50 MB: a module ends here first, on every processor.
func (b *body) words() int {
	return max(minFrameWords, len(b.locals)+b.height, (b.values+b.effort.joined+len(b.locals)*b.loops)/valuesPerWord)
}

// framed says whether the function takes words of the stack. One that calls nothing need not if it is small: it
// adds one frame to those that are counted.
func (b *body) framed() bool { return b.calls || b.words() > minFrameWords }

// head is what comes before the rewritten body: its locals, and the stack's words.
func (b *body) head(groups []group) []byte {
	groups = append(groups, group{1, i64})
	if b.scratch {
		groups = append(groups, group{2, i32}, group{2, i64})
	}
	n := len(groups)
	head := binary.AppendUvarint(make([]byte, 0, 64+4*n), uint64(n))
	for _, g := range groups {
		head = append(binary.AppendUvarint(head, uint64(g.n)), byte(g.typ))
	}
	if b.framed() {
		head = b.appendStack(head, opcodeSub32)
		head = b.m.appendGlobal(head, opcodeGlobalGet, stackGlobal)
		head = b.m.appendGlobal(head, opcodeGlobalGet, markGlobal)
		head = append(head, opcodeLess32, opcodeIf, emptyType, opcodeCall)
		head = binary.AppendUvarint(head, uint64(len(b.m.imports)+ownImports))
		head = append(head, opcodeEnd)
	}
	return append(b.load(head), opcodeBlock, blockType(b.typ.result()))
}

// tail is what comes after it, on every way out.
func (b *body) tail() []byte {
	tail := b.store([]byte{opcodeEnd})
	if b.framed() {
		tail = b.appendStack(tail, opcodeAdd32)
	}
	return append(tail, opcodeEnd)
}

// appendStack adds to the stack's counter or subtracts from it.
func (b *body) appendStack(out []byte, op byte) []byte {
	out = append(b.m.appendGlobal(out, opcodeGlobalGet, stackGlobal), opcodeConst32)
	out = append(appendSigned(out, int64(b.words())), op)
	return b.m.appendGlobal(out, opcodeGlobalSet, stackGlobal)
}

// noMark is the mark before the first call in an instance, whose part of the stack begins where it says.
const noMark = 1<<31 - 1

// deepen returns the body of the function that is called when the stack's counter is below the mark. It traps at
// the end of the stack; otherwise it moves the mark by steps and takes their price, because a stack that grows is
// memory that is cleared and copied. The first step of an instance is free, and so is a stack that was as deep
// before.
func (m *module) deepen() []byte {
	const steps = 0 // the local
	get := func(out []byte, own int) []byte { return m.appendGlobal(out, opcodeGlobalGet, own) }
	set := func(out []byte, own int) []byte { return m.appendGlobal(out, opcodeGlobalSet, own) }
	constant := func(out []byte, v int64) []byte { return appendSigned(append(out, opcodeConst32), v) }

	out := []byte{1, 1, byte(i32)}
	// Below zero is the end.
	out = append(get(out, stackGlobal), opcodeConst32, 0, opcodeLess32, opcodeIf, emptyType, opcodeUnreachable, opcodeEnd)
	// The first time, the mark is a step below the stack.
	out = append(constant(get(out, markGlobal), noMark), opcodeEqual32, opcodeIf, emptyType)
	out = set(append(constant(get(out, stackGlobal), wordsPerStep), opcodeSub32), markGlobal)
	// Otherwise as many steps as bring it below the stack again,
	out = append(get(get(append(out, opcodeElse), markGlobal), stackGlobal), opcodeSub32)
	out = append(constant(out, wordsPerStep), opcodeDivide32, opcodeConst32, 1, opcodeAdd32, opcodeLocalSet, steps)
	// by which it moves,
	out = constant(append(get(out, markGlobal), opcodeLocalGet, steps), wordsPerStep)
	out = set(append(out, opcodeMul32, opcodeSub32), markGlobal)
	// are paid like a basic block.
	out = append(get(out, gasGlobal), opcodeLocalGet, steps, opcodeExtend, opcodeConst64)
	out = append(m.appendTake(append(appendSigned(out, int64(m.prices.step)), opcodeMul64, opcodeSub64)), opcodeEnd)
	// At zero it stays, to notice the end.
	out = append(get(out, markGlobal), opcodeConst32, 0, opcodeLess32, opcodeIf, emptyType, opcodeConst32, 0)
	return append(set(out, markGlobal), opcodeEnd, opcodeEnd)
}
