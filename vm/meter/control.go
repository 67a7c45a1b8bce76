package meter

import "encoding/binary"

// Why features are refused.
const (
	reasonFloat     = "floating point is not deterministic; compute with integers or fixed point, and leave out what formats or parses floats"
	reasonVector    = "vectors are not accepted; compile without the simd128 feature"
	reasonThread    = "contracts have one thread; compile without the atomics feature and shared memory"
	reasonTailCall  = "tail calls are not accepted; compile without the tail-call feature"
	reasonException = "exceptions are not accepted; compile without exception handling (Rust: panic=abort; TinyGo: -panic=trap)"
	reasonReference = "references are not accepted; compile without the reference-types and garbage collection features"
	reasonNoMemory  = "there is no memory; the module is not valid"
	reasonUnknown   = "there is no such instruction in what is accepted; compile for WebAssembly 1.0 (MVP)"
)

// refused refuses an instruction for its form.
func (b *body) refused(op byte, in *instruction) {
	what := in.name
	switch in.form {
	case opFloat:
		b.r.refuse(b.at, what, reasonFloat)
	case opVector:
		b.r.refuse(b.at, "a vector instruction", reasonVector)
	case opThread:
		b.r.refuse(b.at, "an atomic instruction", reasonThread)
	case opTailCall:
		b.r.refuse(b.at, what, reasonTailCall)
	case opException:
		b.r.refuse(b.at, what, reasonException)
	case opReference:
		if what == "" {
			what = "an instruction of garbage collection"
		}
		b.r.refuse(b.at, what, reasonReference)
	default:
		b.r.refusef(b.at, "opcode", "0x%02x: %s", op, reasonUnknown)
	}
}

// open begins a block, loop or if.
func (b *body) open(op byte, in *instruction) {
	r := b.r
	result := noType
	switch t := r.byte(); {
	case t == 0x40:
	case valueType(t) == i32 || valueType(t) == i64:
		result = valueType(t)
	case t >= 0x6f && t <= 0x7d:
		r.refuse(b.at, in.name+" of type "+typeName(t), typeReason(t))
	default:
		r.refuse(b.at, in.name, "its type is a function's; compile without the multi-value feature")
	}
	if in.form == opIf {
		b.pop(i32)
	}
	switch b.control++; {
	case b.control > maxControl:
		b.tooManyControl(in)
	case len(b.blocks) > maxNesting:
		r.refusef(b.at, in.name, "blocks are nested more than %d deep; split the function", maxNesting)
	}
	if !b.dead {
		b.keep(op, in)
		b.out = append(b.out, blockType(result))
		if in.form != opBlock {
			b.settle()
		}
		switch in.form {
		case opLoop:
			b.loops++
			b.effort.pass(pointsOfLoop, len(b.operands))
		case opIf:
			b.effort.pass(1, len(b.operands))
		}
	}
	b.blocks = append(b.blocks, block{form: in.form, result: result, height: len(b.operands), dead: b.dead, begin: b.effort.points})
}

func (b *body) tooManyControl(in *instruction) {
	b.r.refusef(b.at, in.name, "there are more than %d blocks, loops and conditional branches; split the function", maxControl)
}

// blockType encodes the type of a block.
func blockType(result valueType) byte {
	if result == noType {
		return emptyType
	}
	return byte(result)
}

// leave checks that a block has its result, and nothing else, at its end.
func (b *body) leave(top *block) {
	if top.result != noType {
		b.pop(top.result)
	}
	if len(b.operands) != top.height {
		b.invalid("there are operands left at the end of a block")
	}
}

// otherwise is else.
func (b *body) otherwise(op byte) {
	top := &b.blocks[len(b.blocks)-1]
	if top.form != opIf {
		b.r.refuse(b.at, "else", "there is no if; the module is not valid")
		return
	}
	b.leave(top)
	top.form, top.unreachable = opElse, false
	if !top.dead {
		b.settle()
		b.effort.pass(1, len(b.operands))
		b.out = append(b.out, op)
		b.dead = false
	}
}

// close is end.
func (b *body) close(op byte) {
	top := &b.blocks[len(b.blocks)-1]
	b.leave(top)
	if top.form == opIf && top.result != noType {
		b.r.refuse(b.at, "if", "it has a result but no else; the module is not valid")
	}
	if top.result != noType {
		b.push(top.result)
		b.comes(anywhere)
	}
	last := len(b.blocks) == 1
	if !top.dead {
		if !last {
			b.out = append(b.out, op)
		}
		if last || top.targeted || top.form == opIf || top.form == opElse {
			b.settle()
			b.effort.pass(1, len(b.operands))
			b.effort.join(top.begin)
		}
		if top.form == opLoop {
			b.effort.loop(top.begin)
		}
		b.dead = false
	}
	b.blocks = b.blocks[:len(b.blocks)-1]
}

// label reads a label and returns its block; a branch to it carries what carried says.
func (b *body) label() (*block, uint32) {
	i := b.r.u32()
	if int64(i) >= int64(len(b.blocks)) {
		b.r.refusef(b.at, "a branch", "there is no label %d; the module is not valid", i)
		return &b.blocks[0], 0
	}
	return &b.blocks[len(b.blocks)-1-int(i)], i
}

// carried is the type of the value that a branch to a block takes with it.
func (t *block) carried() valueType {
	if t.form == opLoop {
		return noType
	}
	return t.result
}

func (b *body) branch(op byte, in *instruction) {
	target, label := b.label()
	if in.form == opBrIf {
		b.pop(i32)
		if b.control++; b.control > maxControl {
			b.tooManyControl(in)
		}
	}
	t := target.carried()
	if t != noType {
		b.pop(t)
	}
	if b.keep(op, in) {
		b.out = binary.AppendUvarint(b.out, uint64(label))
		target.targeted = true
	}
	if in.form == opBr {
		b.unreachable()
		return
	}
	if t != noType {
		b.push(t)
		b.comes(anywhere)
	}
	if !b.dead {
		b.settle()
		b.effort.pass(pointsOfBranch, len(b.operands))
	}
}

func (b *body) branchTable(op byte, in *instruction) {
	r := b.r
	n := r.count("targets of br_table", maxTargets)
	b.targets += n + 1
	b.control++
	switch {
	case b.targets > maxTargets:
		r.refusef(b.at, in.name, "the function's tables have more than %d targets; split the function", maxTargets)
	case b.control > maxControl:
		b.tooManyControl(in)
	}
	b.pop(i32)
	kept := b.keep(op, in)
	if kept {
		b.effort.pass(n+1, len(b.operands))
		b.out = binary.AppendUvarint(b.out, uint64(n))
	}
	arity := -1
	for range n + 1 {
		target, label := b.label()
		if r.err != nil {
			return
		}
		t := target.carried()
		has := 0
		if t != noType {
			has = 1
			b.push(b.pop(t))
		}
		if arity >= 0 && has != arity {
			r.refuse(b.at, in.name, "its targets take different numbers of values; the module is not valid")
		}
		arity = has
		if kept {
			b.out = binary.AppendUvarint(b.out, uint64(label))
			target.targeted = true
		}
	}
	b.unreachable()
}

// result is return: a branch to the end of the body, where the stack's words are given back.
func (b *body) result(in *instruction) {
	if t := b.typ.result(); t != noType {
		b.pop(t)
	}
	const br = 0x0c
	b.keepIndex(br, in, uint32(len(b.blocks)-1))
	b.unreachable()
}
