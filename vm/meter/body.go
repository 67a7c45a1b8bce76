package meter

import (
	"encoding/binary"
	"slices"
)

// body validates and rewrites one function after the other.
//
// Validation is the algorithm of the specification's appendix. What cannot be reached inside a body, which is
// what follows a branch up to the next end or else, is validated but not kept.
type body struct {
	m      *module
	r      *reader
	prices *prices
	code   []byte // of the functions that are done, each with its size
	out    []byte // of this one, without what surrounds it

	typ      *functionType
	locals   []valueType
	operands []valueType
	origins  []origin // of the operands
	blocks   []block
	// localOrigins and globalOrigins are what was ever put into each; locals that are no parameters begin with 0.
	localOrigins, globalOrigins []origin
	declared                    int  // locals of all functions so far
	height                      int  // most operands at a time
	dead                        bool // what is read is not kept

	at     int    // offset of the instruction
	charge int    // where in out the price of the open basic block is, or −1
	cost   uint64 // of the open basic block

	scratch                 bool // the four locals after the function's own are used
	calls                   bool // functions, not only refill
	control, targets, loops int
	values                  int    // see words
	effort                  effort // of compiling what is kept
}

// block is an entry of the control stack: a block, loop or if that is open, or the function itself.
type block struct {
	form        form
	result      valueType
	height      int  // operands below it
	unreachable bool // what follows up to its end cannot run
	dead        bool // it began where nothing is kept
	targeted    bool // a branch that is kept goes to its end
	begin       int  // of a loop, see effort
}

// rewrite appends the function to the code and returns the gas for compiling it.
func (b *body) rewrite(index uint32) uint64 {
	r, m := b.r, b.m
	where := m.bodies[index]
	r.pos, r.end = where.start, where.end
	r.function = len(m.imports) + int(index)
	if n := where.end - where.start; n > maxBodyBytes {
		r.refusef(where.start, "a body", "it has %d bytes, at most %d are accepted; split the function or inline less (optimise for size)", n, maxBodyBytes)
	}
	_, typ := m.useType(m.declared[index], where.start)
	b.typ, b.out = typ, b.out[:0]
	b.operands, b.blocks = b.operands[:0], b.blocks[:0]
	b.height, b.dead, b.charge, b.cost = 0, false, -1, 0
	b.scratch, b.calls = false, false
	b.control, b.targets, b.loops, b.values = 0, 0, 0, 0
	groups := b.readLocals()
	b.localOrigins, b.globalOrigins = b.localOrigins[:0], append(b.globalOrigins[:0], make([]origin, len(m.globals))...)
	for i := range b.locals {
		o := fromZero
		if i < len(typ.params) {
			o = 0
		}
		b.localOrigins = append(b.localOrigins, o)
	}
	if b.declared += len(b.locals); b.declared > maxAllLocals {
		r.refusef(where.start, "a body", "with its locals all functions have more than %d; make the contract smaller", maxAllLocals)
	}
	b.effort.reset(len(b.locals), len(typ.params))

	b.blocks = append(b.blocks, block{form: opBlock, result: typ.result()})
	b.spend(uint64(b.prices.entry) + uint64(b.prices.local)*uint64(len(b.locals)))
	for len(b.blocks) > 0 && r.err == nil {
		b.instruction()
	}
	if r.pos != r.end {
		r.refuse(r.pos, "a body", "it goes on after its end; "+malformed)
	}
	if n := len(b.locals) * b.loops; n > maxLocalsLoops {
		r.refusef(where.start, "a body", "it has %d locals and %d loops, whose product may be %d at most; split the function", len(b.locals), b.loops, maxLocalsLoops)
	}
	if r.err != nil {
		return 0
	}
	before := len(b.code)
	b.finish(groups)
	return b.effort.gas(&b.prices.activation, len(b.code)-before, m.mutable)
}

// group is a number of locals of one type.
type group struct {
	n   int
	typ valueType
}

// readLocals reads the locals that a body declares and returns them grouped by type.
func (b *body) readLocals() []group {
	r := b.r
	b.locals = b.locals[:0]
	for _, t := range b.typ.params {
		b.locals = append(b.locals, valueType(t))
	}
	var groups []group
	for range r.count("groups of locals", maxBodyBytes) {
		at := r.pos
		n, t := r.u32(), r.byte()
		switch {
		case r.err != nil:
			return nil
		case int64(n)+int64(len(b.locals)) > maxLocals:
			r.refusef(at, "locals", "there are more than %d; split the function", maxLocals)
			return nil
		case valueType(t) != i32 && valueType(t) != i64:
			r.refuse(at, "a local of type "+typeName(t), typeReason(t))
			return nil
		}
		for range n {
			b.locals = append(b.locals, valueType(t))
		}
		if last := len(groups) - 1; last >= 0 && groups[last].typ == valueType(t) {
			groups[last].n += int(n)
		} else if n > 0 {
			groups = append(groups, group{int(n), valueType(t)})
		}
	}
	return groups
}

// finish appends what was rewritten to the code, inside what every function gets.
func (b *body) finish(groups []group) {
	head := b.head(groups)
	tail := b.tail()
	b.code = binary.AppendUvarint(b.code, uint64(len(head)+len(b.out)+len(tail)))
	b.code = append(append(append(b.code, head...), b.out...), tail...)
}

// push and pop follow the types of the operands. noType stands for one that is not known because control does
// not get there; as what is wanted, for any.

func (b *body) push(t valueType) {
	b.operands, b.origins = append(b.operands, t), append(b.origins[:len(b.operands)], 0)
	b.height = max(b.height, len(b.operands))
}

func (b *body) pop(want valueType) valueType {
	top := &b.blocks[len(b.blocks)-1]
	if len(b.operands) == top.height {
		if !top.unreachable {
			b.invalid("an operand is missing")
		}
		return noType
	}
	t := b.operands[len(b.operands)-1]
	b.operands = b.operands[:len(b.operands)-1]
	if t != want && t != noType && want != noType {
		b.invalid("an operand is " + t.String() + " and should be " + want.String())
	}
	return t
}

func (b *body) invalid(what string) {
	if b.r.err == nil {
		b.r.refuse(b.at, "an instruction", what+"; the module is not valid, the compiler or a tool after it is at fault")
	}
}

// unreachable says that control does not get to what follows.
func (b *body) unreachable() {
	top := &b.blocks[len(b.blocks)-1]
	b.operands = b.operands[:top.height]
	top.unreachable = true
	if !b.dead {
		b.settle()
		b.dead = true
	}
}

// instruction reads, checks and rewrites an instruction.
func (b *body) instruction() {
	r := b.r
	b.at = r.pos
	op := r.byte()
	in := &instructions[op]
	b.values++
	switch in.form {
	case opNumeric:
		b.numeric(op, in)
	case opRem:
		b.rem(op, in)
	case opLoad, opStore:
		b.access(op, in)
	case opConst32:
		v := r.signed(32)
		b.push(i32)
		b.constant(v)
		b.keepSigned(op, in, v)
	case opConst64:
		v := r.signed(64)
		b.push(i64)
		b.constant(v)
		b.keepSigned(op, in, v)
	case opLocalGet, opLocalSet, opLocalTee:
		b.local(op, in)
	case opGlobalGet, opGlobalSet:
		b.global(op, in)
	case opMemorySize, opMemoryGrow:
		b.memory(op, in)
	case opBulk:
		b.bulk()
	case opDrop:
		b.pop(noType)
		b.keep(op, in)
	case opSelect:
		b.choose()
		b.keep(op, in)
	case opNop:
	case opBlock, opLoop, opIf:
		b.open(op, in)
	case opElse:
		b.otherwise(op)
	case opEnd:
		b.close(op)
	case opUnreachable:
		b.keep(op, in)
		b.unreachable()
	case opBr, opBrIf:
		b.branch(op, in)
	case opBrTable:
		b.branchTable(op, in)
	case opReturn:
		b.result(in)
	case opCall:
		b.call(op, in)
	case opCallIndirect:
		b.callIndirect(op, in)
	default:
		b.refused(op, in)
	}
	if b.m.lab != nil && b.m.lab.single {
		b.settle()
	}
}

// keep takes an instruction into the result, and its price into that of the basic block. It says whether it
// did.
func (b *body) keep(op byte, in *instruction) bool {
	if b.dead {
		return false
	}
	b.spend(uint64(b.prices.class[in.class]))
	b.out = append(b.out, op)
	return true
}

func (b *body) keepIndex(op byte, in *instruction, v uint32) {
	if b.keep(op, in) {
		b.out = binary.AppendUvarint(b.out, uint64(v))
	}
}

func (b *body) keepSigned(op byte, in *instruction, v int64) {
	if b.keep(op, in) {
		b.out = appendSigned(b.out, v)
	}
}

func (b *body) numeric(op byte, in *instruction) {
	separate, o := b.miscompared(op), b.originOf(op)
	if in.in[1] != noType {
		b.pop(in.in[1])
	}
	b.pop(in.in[0])
	b.push(in.out)
	b.comes(o)
	if !b.keep(op, in) {
		return
	}
	if in.class == Div {
		b.effort.checks += checksOfDivision
	}
	if separate {
		b.separate()
	}
}

// choose is select.
func (b *body) choose() {
	b.pop(i32)
	t := b.pop(noType)
	if other := b.pop(t); t == noType {
		t = other
	}
	b.push(t)
}

func (b *body) access(op byte, in *instruction) {
	r := b.r
	align, offset := r.u32(), r.u32()
	switch {
	case align > uint32(in.align):
		r.refusef(b.at, in.name, "its alignment 2^%d is beyond its size; the module is not valid, or is compiled for several memories", align)
	case !b.m.hasMemory:
		r.refuse(b.at, in.name, reasonNoMemory)
	}
	if in.form == opStore {
		b.pop(in.in[0])
		b.pop(i32)
	} else {
		b.pop(i32)
		b.push(in.out)
	}
	if b.keep(op, in) {
		b.effort.checks++
		b.out = binary.AppendUvarint(b.out, uint64(align))
		b.out = binary.AppendUvarint(b.out, uint64(offset))
	}
}

func (b *body) local(op byte, in *instruction) {
	i := b.r.u32()
	if int64(i) >= int64(len(b.locals)) {
		b.r.refusef(b.at, in.name, "there is no local %d; the module is not valid", i)
		return
	}
	t := b.locals[i]
	o := b.localOrigins[i]
	if in.form != opLocalGet {
		o = b.origin(0)
		b.localOrigins[i] |= o
		b.pop(t)
	}
	if in.form != opLocalSet {
		b.push(t)
		b.comes(o)
	}
	if !b.keep(op, in) {
		return
	}
	b.out = binary.AppendUvarint(b.out, uint64(i))
	if in.form == opLocalGet {
		b.effort.get(i)
	} else {
		b.effort.write(i)
	}
}

func (b *body) global(op byte, in *instruction) {
	i := b.r.u32()
	if int64(i) >= int64(len(b.m.globals)) {
		b.r.refusef(b.at, in.name, "there is no global %d; the module is not valid", i)
		return
	}
	g := &b.m.globals[i]
	if in.form == opGlobalGet {
		b.push(g.typ)
		b.comes(b.globalOrigins[i])
	} else {
		if !g.mutable {
			b.r.refusef(b.at, in.name, "global %d is constant; the module is not valid", i)
		}
		b.globalOrigins[i] |= b.origin(0)
		b.pop(g.typ)
	}
	b.keepIndex(op, in, i)
}

func (b *body) call(op byte, in *instruction) {
	i := b.r.u32()
	t := b.m.typeOf(i)
	if t == nil {
		b.r.refusef(b.at, in.name, "there is no function %d; the module is not valid", i)
		return
	}
	b.apply(t)
	if b.dead {
		return
	}
	b.calls = true
	b.effort.call(t)
	b.spend(uint64(b.prices.class[in.class]))
	b.out = append(b.store(b.out), op)
	b.out = binary.AppendUvarint(b.out, uint64(b.m.useFunction(i)))
	b.out = b.load(b.out)
	b.values++
}

func (b *body) callIndirect(op byte, in *instruction) {
	r := b.r
	typ, table := b.m.typeIndex(), r.u32() // overlong zeros, as LLVM 19 has them, come out short
	switch {
	case r.err != nil:
		return
	case table != 0 || !b.m.hasTable:
		r.refusef(b.at, in.name, "there is no table %d; compile without the reference-types feature", table)
		return
	}
	b.pop(i32)
	if b.dead {
		b.apply(&b.m.types[typ])
		return
	}
	index, t := b.m.useType(typ, b.at)
	b.apply(t)
	b.calls = true
	b.effort.call(t)
	b.m.useTable()
	b.spend(uint64(b.prices.class[in.class]))
	b.out = append(b.store(b.out), op)
	b.out = append(binary.AppendUvarint(b.out, uint64(index)), 0)
	b.out = b.load(b.out)
	b.values++
}

// apply takes a function's parameters from the operands and puts its result there.
func (b *body) apply(t *functionType) {
	top := &b.blocks[len(b.blocks)-1]
	for _, v := range slices.Backward(t.params) {
		if top.unreachable && len(b.operands) == top.height {
			break // the others are not known either, and calls that never happen cost nothing
		}
		b.pop(valueType(v))
	}
	for _, v := range t.results {
		b.push(valueType(v))
	}
}
