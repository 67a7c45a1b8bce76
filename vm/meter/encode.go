package meter

import (
	"encoding/binary"
	"slices"
)

// encode returns the rewritten module around the code of its functions.
func (m *module) encode(code []byte) []byte {
	e := encoder{module: m, out: make([]byte, 0, len(code)+len(m.r.buf)+512)}
	e.out = append(e.out, "\x00asm\x01\x00\x00\x00"...)
	if m.start >= 0 {
		for _, x := range m.exports {
			if x.kind == kindFunction {
				e.entries = append(e.entries, x.index)
			}
		}
	}
	e.section(1, e.typeSection)
	e.section(2, e.importSection)
	e.section(3, e.functionSection)
	if m.indirect {
		e.section(4, e.tableSection)
	}
	if m.hasMemory {
		e.section(5, e.memorySection)
	}
	e.section(6, e.globalSection)
	e.section(7, e.exportSection)
	if m.indirect && len(m.elements) > 0 {
		e.section(9, e.elementSection)
	}
	e.section(10, func() {
		e.count(ownFunctions + len(m.queue) + len(e.entries))
		e.name(string(m.deepen()))
		e.out = append(e.out, code...)
		e.entryFunctions()
	})
	if len(m.data) > 0 {
		e.section(11, e.dataSection)
	}
	return e.out
}

// encoder appends the rewritten module to out.
type encoder struct {
	*module
	out []byte
	// entries are exported functions, by their index in the original, before which the start function runs.
	entries []uint32
}

func (e *encoder) section(id byte, content func()) {
	e.out = append(e.out, id)
	at := len(e.out)
	content()
	e.out = slices.Insert(e.out, at, binary.AppendUvarint(nil, uint64(len(e.out)-at))...)
}

func (e *encoder) u32(v uint32) { e.out = binary.AppendUvarint(e.out, uint64(v)) }
func (e *encoder) count(n int)  { e.out = binary.AppendUvarint(e.out, uint64(n)) }

// name appends anything with its length before it.
func (e *encoder) name(s string) {
	e.count(len(s))
	e.out = append(e.out, s...)
}

func (e *encoder) constant(t valueType, v int64) {
	op := byte(opcodeConst32)
	if t == i64 {
		op = opcodeConst64
	}
	e.out = append(appendSigned(append(e.out, op), v), opcodeEnd)
}

func (e *encoder) typeSection() {
	e.count(len(e.usedTypes) + ownImports + ownFunctions)
	for _, i := range e.usedTypes {
		t := &e.types[i]
		e.out = append(e.out, 0x60)
		e.name(string(t.params))
		e.name(string(t.results))
	}
	e.out = append(e.out, 0x60, 1, byte(i64), 0)            // refill
	e.out = append(e.out, 0x60, 1, byte(i32), 1, byte(i32)) // grow
	e.out = append(e.out, 0x60, 0, 0)                       // deepen
}

func (e *encoder) importSection() {
	e.count(len(e.imports) + ownImports)
	add := func(module, name string, typ uint32) {
		e.name(module)
		e.name(name)
		e.out = append(e.out, kindFunction)
		e.u32(typ)
	}
	for _, f := range e.imports {
		add(f.module, f.name, e.types[f.typ].order-1)
	}
	add(ownModule, "refill", uint32(len(e.usedTypes)))
	add(ownModule, "grow", uint32(len(e.usedTypes)+1))
}

func (e *encoder) functionSection() {
	e.count(ownFunctions + len(e.queue) + len(e.entries))
	e.u32(uint32(len(e.usedTypes) + ownImports))
	for _, f := range e.queue {
		e.u32(e.types[e.declared[f]].order - 1)
	}
	for _, f := range e.entries {
		e.u32(e.typeOf(f).order - 1)
	}
}

func (e *encoder) tableSection() {
	e.out = append(e.out, 1, 0x70, 1)
	e.u32(e.tableSize)
	e.u32(e.tableSize)
}

func (e *encoder) memorySection() {
	e.out = append(e.out, 1, 1)
	e.u32(e.pages)
	e.u32(e.maxPages)
}

func (e *encoder) globalSection() {
	e.count(len(e.globals) + ownGlobals)
	for _, g := range e.globals {
		e.out = append(e.out, byte(g.typ), 0)
		if g.mutable {
			e.out[len(e.out)-1] = 1
		}
		e.constant(g.typ, g.init)
	}
	e.out = append(e.out, byte(i64), 1)
	e.constant(i64, 0)
	e.out = append(e.out, byte(i32), 1)
	e.constant(i32, StackWords)
	e.out = append(e.out, byte(i32), 1)
	e.constant(i32, noMark)
}

func (e *encoder) exportSection() {
	e.count(len(e.exports) + 2)
	add := func(name string, kind byte, index uint32) {
		e.name(name)
		e.out = append(e.out, kind)
		e.u32(index)
	}
	for _, x := range e.exports {
		index := x.index
		if x.kind == kindFunction {
			index = e.useFunction(index)
			if i := slices.Index(e.entries, x.index); i >= 0 {
				index = uint32(len(e.imports) + ownImports + ownFunctions + len(e.queue) + i)
			}
		}
		add(x.name, x.kind, index)
	}
	add(GasExport, kindGlobal, uint32(len(e.globals)+gasGlobal))
	add(StackExport, kindGlobal, uint32(len(e.globals)+stackGlobal))
}

func (e *encoder) elementSection() {
	e.count(len(e.elements))
	for _, s := range e.elements {
		e.u32(0)
		e.constant(i32, int64(int32(s.offset)))
		e.count(len(s.functions))
		for _, f := range s.functions {
			e.u32(e.useFunction(f))
		}
	}
}

// entryFunctions appends functions that run the start function, then what is exported.
func (e *encoder) entryFunctions() {
	for _, f := range e.entries {
		params := len(e.typeOf(f).params)
		code := []byte{0, opcodeCall}
		code = binary.AppendUvarint(code, uint64(e.useFunction(uint32(e.start))))
		for i := range params {
			code = binary.AppendUvarint(append(code, opcodeLocalGet), uint64(i))
		}
		code = binary.AppendUvarint(append(code, opcodeCall), uint64(e.useFunction(f)))
		e.name(string(append(code, opcodeEnd)))
	}
}

func (e *encoder) dataSection() {
	e.count(len(e.data))
	for _, d := range e.data {
		e.u32(0)
		e.constant(i32, int64(int32(d.offset)))
		e.name(string(d.bytes))
	}
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
