package meter

// form says how an instruction is decoded, checked and rewritten.
type form uint8

const (
	// Refused, each for its reason; 0 is for opcodes that do not exist.
	opFloat form = iota + 1
	opVector
	opThread
	opTailCall
	opException
	opReference
	// Accepted.
	opNumeric // in and out say everything
	opRem
	opLoad
	opStore
	opConst32
	opConst64
	opLocalGet
	opLocalSet
	opLocalTee
	opGlobalGet
	opGlobalSet
	opMemorySize
	opMemoryGrow
	opBulk
	opDrop
	opSelect
	opNop
	opUnreachable
	opBlock
	opLoop
	opIf
	opElse
	opEnd
	opBr
	opBrIf
	opBrTable
	opReturn
	opCall
	opCallIndirect
)

// valueType is the type of a value; noType for none, and for the unknown ones that code after a branch has.
type valueType byte

const (
	noType valueType = 0
	i32    valueType = 0x7f
	i64    valueType = 0x7e
)

func (t valueType) String() string {
	switch t {
	case i32:
		return "i32"
	case i64:
		return "i64"
	}
	return "nothing"
}

// instruction is a line of the table of instructions.
type instruction struct {
	name  string
	form  form
	class Class
	in    [2]valueType // operands, the topmost last
	out   valueType
	align uint8 // the largest alignment of a load or store, as an exponent
}

// instructions by opcode. Prefixes have a line, what follows them has not.
var instructions = [256]instruction{
	0x00: {name: "unreachable", form: opUnreachable},
	0x01: {name: "nop", form: opNop},
	0x02: {name: "block", form: opBlock},
	0x03: {name: "loop", form: opLoop},
	0x04: {name: "if", form: opIf, class: Branch},
	0x05: {name: "else", form: opElse},
	0x06: {name: "try", form: opException},
	0x07: {name: "catch", form: opException},
	0x08: {name: "throw", form: opException},
	0x09: {name: "rethrow", form: opException},
	0x0a: {name: "throw_ref", form: opException},
	0x0b: {name: "end", form: opEnd},
	0x0c: {name: "br", form: opBr, class: Branch},
	0x0d: {name: "br_if", form: opBrIf, class: Branch},
	0x0e: {name: "br_table", form: opBrTable, class: BranchTable},
	0x0f: {name: "return", form: opReturn, class: Branch},
	0x10: {name: "call", form: opCall, class: Call},
	0x11: {name: "call_indirect", form: opCallIndirect, class: CallIndirect},
	0x12: {name: "return_call", form: opTailCall},
	0x13: {name: "return_call_indirect", form: opTailCall},
	0x14: {name: "call_ref", form: opTailCall},
	0x15: {name: "return_call_ref", form: opTailCall},
	0x18: {name: "delegate", form: opException},
	0x19: {name: "catch_all", form: opException},
	0x1a: {name: "drop", form: opDrop},
	0x1b: {name: "select", form: opSelect, class: Simple},
	0x1c: {name: "select with a type", form: opReference},
	0x1f: {name: "try_table", form: opException},
	0x20: {name: "local.get", form: opLocalGet, class: Move},
	0x21: {name: "local.set", form: opLocalSet, class: Move},
	0x22: {name: "local.tee", form: opLocalTee, class: Move},
	0x23: {name: "global.get", form: opGlobalGet, class: Global},
	0x24: {name: "global.set", form: opGlobalSet, class: Global},
	0x25: {name: "table.get", form: opReference},
	0x26: {name: "table.set", form: opReference},
	0x28: {name: "i32.load", form: opLoad, class: Load, in: [2]valueType{i32}, out: i32, align: 2},
	0x29: {name: "i64.load", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64, align: 3},
	0x2a: {name: "f32.load", form: opFloat},
	0x2b: {name: "f64.load", form: opFloat},
	0x2c: {name: "i32.load8_s", form: opLoad, class: Load, in: [2]valueType{i32}, out: i32},
	0x2d: {name: "i32.load8_u", form: opLoad, class: Load, in: [2]valueType{i32}, out: i32},
	0x2e: {name: "i32.load16_s", form: opLoad, class: Load, in: [2]valueType{i32}, out: i32, align: 1},
	0x2f: {name: "i32.load16_u", form: opLoad, class: Load, in: [2]valueType{i32}, out: i32, align: 1},
	0x30: {name: "i64.load8_s", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64},
	0x31: {name: "i64.load8_u", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64},
	0x32: {name: "i64.load16_s", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64, align: 1},
	0x33: {name: "i64.load16_u", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64, align: 1},
	0x34: {name: "i64.load32_s", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64, align: 2},
	0x35: {name: "i64.load32_u", form: opLoad, class: Load, in: [2]valueType{i32}, out: i64, align: 2},
	0x36: {name: "i32.store", form: opStore, class: Store, in: [2]valueType{i32}, align: 2},
	0x37: {name: "i64.store", form: opStore, class: Store, in: [2]valueType{i64}, align: 3},
	0x38: {name: "f32.store", form: opFloat},
	0x39: {name: "f64.store", form: opFloat},
	0x3a: {name: "i32.store8", form: opStore, class: Store, in: [2]valueType{i32}},
	0x3b: {name: "i32.store16", form: opStore, class: Store, in: [2]valueType{i32}, align: 1},
	0x3c: {name: "i64.store8", form: opStore, class: Store, in: [2]valueType{i64}},
	0x3d: {name: "i64.store16", form: opStore, class: Store, in: [2]valueType{i64}, align: 1},
	0x3e: {name: "i64.store32", form: opStore, class: Store, in: [2]valueType{i64}, align: 2},
	0x3f: {name: "memory.size", form: opMemorySize, class: Global},
	0x40: {name: "memory.grow", form: opMemoryGrow, class: Grow},
	0x41: {name: "i32.const", form: opConst32, class: Move},
	0x42: {name: "i64.const", form: opConst64, class: Move},
	0x43: {name: "f32.const", form: opFloat},
	0x44: {name: "f64.const", form: opFloat},
	0x45: {name: "i32.eqz", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i32},
	0x46: {name: "i32.eq", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x47: {name: "i32.ne", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x48: {name: "i32.lt_s", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x49: {name: "i32.lt_u", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x4a: {name: "i32.gt_s", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x4b: {name: "i32.gt_u", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x4c: {name: "i32.le_s", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x4d: {name: "i32.le_u", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x4e: {name: "i32.ge_s", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x4f: {name: "i32.ge_u", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x50: {name: "i64.eqz", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i32},
	0x51: {name: "i64.eq", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x52: {name: "i64.ne", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x53: {name: "i64.lt_s", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x54: {name: "i64.lt_u", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x55: {name: "i64.gt_s", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x56: {name: "i64.gt_u", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x57: {name: "i64.le_s", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x58: {name: "i64.le_u", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x59: {name: "i64.ge_s", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x5a: {name: "i64.ge_u", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i32},
	0x5b: {name: "f32.eq", form: opFloat},
	0x5c: {name: "f32.ne", form: opFloat},
	0x5d: {name: "f32.lt", form: opFloat},
	0x5e: {name: "f32.gt", form: opFloat},
	0x5f: {name: "f32.le", form: opFloat},
	0x60: {name: "f32.ge", form: opFloat},
	0x61: {name: "f64.eq", form: opFloat},
	0x62: {name: "f64.ne", form: opFloat},
	0x63: {name: "f64.lt", form: opFloat},
	0x64: {name: "f64.gt", form: opFloat},
	0x65: {name: "f64.le", form: opFloat},
	0x66: {name: "f64.ge", form: opFloat},
	0x67: {name: "i32.clz", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i32},
	0x68: {name: "i32.ctz", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i32},
	0x69: {name: "i32.popcnt", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i32},
	0x6a: {name: "i32.add", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x6b: {name: "i32.sub", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x6c: {name: "i32.mul", form: opNumeric, class: Mul, in: [2]valueType{i32, i32}, out: i32},
	0x6d: {name: "i32.div_s", form: opNumeric, class: Div, in: [2]valueType{i32, i32}, out: i32},
	0x6e: {name: "i32.div_u", form: opNumeric, class: Div, in: [2]valueType{i32, i32}, out: i32},
	0x6f: {name: "i32.rem_s", form: opRem, class: Rem, in: [2]valueType{i32, i32}, out: i32},
	0x70: {name: "i32.rem_u", form: opRem, class: Rem, in: [2]valueType{i32, i32}, out: i32},
	0x71: {name: "i32.and", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x72: {name: "i32.or", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x73: {name: "i32.xor", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x74: {name: "i32.shl", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x75: {name: "i32.shr_s", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x76: {name: "i32.shr_u", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x77: {name: "i32.rotl", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x78: {name: "i32.rotr", form: opNumeric, class: Simple, in: [2]valueType{i32, i32}, out: i32},
	0x79: {name: "i64.clz", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i64},
	0x7a: {name: "i64.ctz", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i64},
	0x7b: {name: "i64.popcnt", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i64},
	0x7c: {name: "i64.add", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x7d: {name: "i64.sub", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x7e: {name: "i64.mul", form: opNumeric, class: Mul, in: [2]valueType{i64, i64}, out: i64},
	0x7f: {name: "i64.div_s", form: opNumeric, class: Div, in: [2]valueType{i64, i64}, out: i64},
	0x80: {name: "i64.div_u", form: opNumeric, class: Div, in: [2]valueType{i64, i64}, out: i64},
	0x81: {name: "i64.rem_s", form: opRem, class: Rem, in: [2]valueType{i64, i64}, out: i64},
	0x82: {name: "i64.rem_u", form: opRem, class: Rem, in: [2]valueType{i64, i64}, out: i64},
	0x83: {name: "i64.and", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x84: {name: "i64.or", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x85: {name: "i64.xor", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x86: {name: "i64.shl", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x87: {name: "i64.shr_s", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x88: {name: "i64.shr_u", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x89: {name: "i64.rotl", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x8a: {name: "i64.rotr", form: opNumeric, class: Simple, in: [2]valueType{i64, i64}, out: i64},
	0x8b: {name: "f32.abs", form: opFloat},
	0x8c: {name: "f32.neg", form: opFloat},
	0x8d: {name: "f32.ceil", form: opFloat},
	0x8e: {name: "f32.floor", form: opFloat},
	0x8f: {name: "f32.trunc", form: opFloat},
	0x90: {name: "f32.nearest", form: opFloat},
	0x91: {name: "f32.sqrt", form: opFloat},
	0x92: {name: "f32.add", form: opFloat},
	0x93: {name: "f32.sub", form: opFloat},
	0x94: {name: "f32.mul", form: opFloat},
	0x95: {name: "f32.div", form: opFloat},
	0x96: {name: "f32.min", form: opFloat},
	0x97: {name: "f32.max", form: opFloat},
	0x98: {name: "f32.copysign", form: opFloat},
	0x99: {name: "f64.abs", form: opFloat},
	0x9a: {name: "f64.neg", form: opFloat},
	0x9b: {name: "f64.ceil", form: opFloat},
	0x9c: {name: "f64.floor", form: opFloat},
	0x9d: {name: "f64.trunc", form: opFloat},
	0x9e: {name: "f64.nearest", form: opFloat},
	0x9f: {name: "f64.sqrt", form: opFloat},
	0xa0: {name: "f64.add", form: opFloat},
	0xa1: {name: "f64.sub", form: opFloat},
	0xa2: {name: "f64.mul", form: opFloat},
	0xa3: {name: "f64.div", form: opFloat},
	0xa4: {name: "f64.min", form: opFloat},
	0xa5: {name: "f64.max", form: opFloat},
	0xa6: {name: "f64.copysign", form: opFloat},
	0xa7: {name: "i32.wrap_i64", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i32},
	0xa8: {name: "i32.trunc_f32_s", form: opFloat},
	0xa9: {name: "i32.trunc_f32_u", form: opFloat},
	0xaa: {name: "i32.trunc_f64_s", form: opFloat},
	0xab: {name: "i32.trunc_f64_u", form: opFloat},
	0xac: {name: "i64.extend_i32_s", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i64},
	0xad: {name: "i64.extend_i32_u", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i64},
	0xae: {name: "i64.trunc_f32_s", form: opFloat},
	0xaf: {name: "i64.trunc_f32_u", form: opFloat},
	0xb0: {name: "i64.trunc_f64_s", form: opFloat},
	0xb1: {name: "i64.trunc_f64_u", form: opFloat},
	0xb2: {name: "f32.convert_i32_s", form: opFloat},
	0xb3: {name: "f32.convert_i32_u", form: opFloat},
	0xb4: {name: "f32.convert_i64_s", form: opFloat},
	0xb5: {name: "f32.convert_i64_u", form: opFloat},
	0xb6: {name: "f32.demote_f64", form: opFloat},
	0xb7: {name: "f64.convert_i32_s", form: opFloat},
	0xb8: {name: "f64.convert_i32_u", form: opFloat},
	0xb9: {name: "f64.convert_i64_s", form: opFloat},
	0xba: {name: "f64.convert_i64_u", form: opFloat},
	0xbb: {name: "f64.promote_f32", form: opFloat},
	0xbc: {name: "i32.reinterpret_f32", form: opFloat},
	0xbd: {name: "i64.reinterpret_f64", form: opFloat},
	0xbe: {name: "f32.reinterpret_i32", form: opFloat},
	0xbf: {name: "f64.reinterpret_i64", form: opFloat},
	0xc0: {name: "i32.extend8_s", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i32},
	0xc1: {name: "i32.extend16_s", form: opNumeric, class: Simple, in: [2]valueType{i32}, out: i32},
	0xc2: {name: "i64.extend8_s", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i64},
	0xc3: {name: "i64.extend16_s", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i64},
	0xc4: {name: "i64.extend32_s", form: opNumeric, class: Simple, in: [2]valueType{i64}, out: i64},
	0xd0: {name: "ref.null", form: opReference},
	0xd1: {name: "ref.is_null", form: opReference},
	0xd2: {name: "ref.func", form: opReference},
	0xfb: {name: "", form: opReference},
	0xfc: {name: "", form: opBulk, class: Bulk},
	0xfd: {name: "", form: opVector},
	0xfe: {name: "", form: opThread},
}
