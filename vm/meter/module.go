package meter

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// module is a module while it is rewritten: what was decoded, then what was decided about it.
type module struct {
	r      reader
	lab    *laboratory
	prices *prices

	types    []functionType
	imports  []importedFunction
	declared []uint32 // type of each function with a body
	bodies   []span

	hasTable, hasMemory bool
	tableSize           uint32
	pages, maxPages     uint32
	globals             []global
	exports             []export
	start               int64 // index of the start function, or −1
	elements            []elements
	data                []data
	dataCount           int64 // of the data count section, or −1

	usedTypes     []uint32 // types in the result, in order
	queue         []uint32 // functions in the result, by index among those with a body, in order
	order         []uint32 // place of a function in queue, plus one
	indirect      bool     // an instruction that is kept calls through the table
	mutable       int      // globals, with our own
	activationGas uint64
}

type functionType struct {
	params, results []byte
	at              int
	order           uint32 // place in usedTypes, plus one
}

// result is the type of what a function returns.
func (t *functionType) result() valueType {
	if len(t.results) == 0 {
		return noType
	}
	return valueType(t.results[0])
}

type importedFunction struct {
	module, name string
	typ          uint32
}

type span struct{ start, end int }

type global struct {
	typ     valueType
	mutable bool
	init    int64
}

type export struct {
	name  string
	kind  byte
	index uint32
}

type elements struct {
	at        int
	offset    uint32
	functions []uint32
}

type data struct {
	at     int
	offset uint32
	bytes  []byte
}

// Kinds of imports and exports.
const (
	kindFunction byte = 0
	kindTable    byte = 1
	kindMemory   byte = 2
	kindGlobal   byte = 3
)

const (
	entrypointName  = "user_entrypoint"
	constructorName = "user_constructor"
	memoryName      = "memory"
	hooksModule     = "vm_hooks"
	ownModule       = "tercet"
)

// sections by id.
var sections = [...]struct {
	name string
	rank int // sections come in the order of their ranks
}{
	{"custom", 0},
	{"type", 1},
	{"import", 2},
	{"function", 3},
	{"table", 4},
	{"memory", 5},
	{"global", 6},
	{"export", 7},
	{"start", 8},
	{"element", 9},
	{"code", 11},
	{"data", 12},
	{"data count", 10},
}

// decode reads the module up to its bodies.
func (m *module) decode() {
	r := &m.r
	m.dataCount = -1
	if len(r.buf) < 8 || string(r.buf[:4]) != "\x00asm" {
		r.refuse(0, "the module", "it does not begin with \\0asm: this is not WebAssembly; deploy the .wasm file of a contract")
		return
	}
	if v := binary.LittleEndian.Uint32(r.buf[4:]); v != 1 {
		r.refusef(4, "the module", "its version is %d; only version 1 is WebAssembly (a component is not)", v)
		return
	}
	r.pos = 8
	rank := 0
	for r.left() > 0 {
		at := r.pos
		id := r.byte()
		size := r.u32()
		if int64(size) > int64(r.left()) {
			r.refuse(at, "a section", malformed)
			return
		}
		if int(id) >= len(sections) {
			r.refusef(at, "a section", "its kind %d is of no feature that is accepted", id)
			return
		}
		if id != 0 && sections[id].rank <= rank {
			r.refuse(at, "the "+sections[id].name+" section", "it is there twice or out of order; "+malformed)
			return
		}
		rank = max(rank, sections[id].rank)
		all := r.end
		r.end = r.pos + int(size)
		m.section(id)
		if r.err == nil && r.pos != r.end {
			r.refuse(r.pos, "the "+sections[id].name+" section", "it is longer than what is in it; "+malformed)
		}
		if r.err != nil {
			return
		}
		r.end = all
	}
	m.check()
}

func (m *module) section(id byte) {
	switch id {
	case 0:
		m.r.name()
		m.r.pos = m.r.end
	case 1:
		m.typeSection()
	case 2:
		m.importSection()
	case 3:
		m.functionSection()
	case 4:
		m.tableSection()
	case 5:
		m.memorySection()
	case 6:
		m.globalSection()
	case 7:
		m.exportSection()
	case 8:
		m.start = int64(m.r.u32())
	case 9:
		m.elementSection()
	case 10:
		m.codeSection()
	case 11:
		m.dataSection()
	case 12:
		m.dataCount = int64(m.r.u32())
	}
}

// check decides what several sections decide together.
func (m *module) check() {
	r := &m.r
	r.pos = r.end
	if len(m.bodies) != len(m.declared) {
		r.refuse(r.end, "the code section", "there is not one body for each function; "+malformed)
	}
	if m.dataCount >= 0 && m.dataCount != int64(len(m.data)) {
		r.refuse(r.end, "the data count section", "it says another number than there is; "+malformed)
	}
	if m.start >= 0 {
		if t := m.typeOf(uint32(min(m.start, 1<<31))); r.err == nil && (t == nil || len(t.params)+len(t.results) > 0) {
			r.refuse(r.end, "the start section", "the start function must exist and have neither parameters nor results")
		}
	}
	for _, e := range m.elements {
		if int64(e.offset)+int64(len(e.functions)) > int64(m.tableSize) {
			r.refuse(e.at, "elements", "they do not fit into the table")
		}
	}
	for _, d := range m.data {
		if int64(d.offset)+int64(len(d.bytes)) > int64(m.pages)<<16 {
			r.refuse(d.at, "data", "they do not fit into the memory's first pages; let the linker set its initial size")
		}
	}
	if r.err == nil {
		m.checkExports()
	}
}

// checkExports keeps what a host may use.
func (m *module) checkExports() {
	r := &m.r
	kept := m.exports[:0]
	for _, e := range m.exports {
		if m.lab != nil {
			if slices.Contains(m.lab.keep, e.name) {
				kept = append(kept, e)
			}
			continue
		}
		switch e.name {
		case entrypointName, constructorName:
			if t := m.typeOf(e.index); e.kind != kindFunction || e.index < uint32(len(m.imports)) || signature(t.params) != "i" || signature(t.results) != "i" {
				r.refuse(r.end, "the export "+e.name, "it must be a function of the contract that takes the length of the arguments as i32 and returns i32, 0 for success")
				return
			}
			kept = append(kept, e)
		case memoryName:
			if e.kind != kindMemory {
				r.refuse(r.end, "the export memory", "it must be the memory")
				return
			}
			kept = append(kept, e)
		}
	}
	m.exports = kept
	has := func(name string) bool {
		return slices.ContainsFunc(kept, func(e export) bool { return e.name == name })
	}
	switch {
	case m.lab != nil:
	case !has(entrypointName):
		r.refuse(r.end, "the module", "it does not export user_entrypoint; a contract has a function user_entrypoint(i32 len) → i32 (compile with an SDK, or export yours by that name)")
	case !has(memoryName):
		r.refuse(r.end, "the module", "it does not export its memory; export it as memory")
	}
}

// typeOf returns the type of a function by its index in the original, nil when there is none.
func (m *module) typeOf(function uint32) *functionType {
	switch n := uint32(len(m.imports)); {
	case function < n:
		return &m.types[m.imports[function].typ]
	case int64(function)-int64(n) < int64(len(m.declared)):
		return &m.types[m.declared[function-n]]
	}
	return nil
}

// useType returns the index of a type in the result. A type that is used must be made of integers and have one
// result at most.
func (m *module) useType(index uint32, at int) (uint32, *functionType) {
	t := &m.types[index]
	if t.order != 0 {
		return t.order - 1, t
	}
	switch {
	case len(t.results) > 1:
		m.r.refuse(at, "a function type", "it has several results; compile without the multi-value feature")
	case len(t.params) > maxLocals:
		m.r.refusef(at, "a function type", "it has %d parameters, at most %d are accepted", len(t.params), maxLocals)
	}
	for _, v := range slices.Concat(t.params, t.results) {
		if valueType(v) != i32 && valueType(v) != i64 {
			m.r.refuse(at, "a function type", fmt.Sprintf("it has a value of type %s: %s", typeName(v), typeReason(v)))
		}
	}
	m.usedTypes = append(m.usedTypes, index)
	t.order = uint32(len(m.usedTypes))
	return t.order - 1, t
}

// useFunction returns the index of a function in the result, and sees to it that it is rewritten.
func (m *module) useFunction(index uint32) uint32 {
	n := uint32(len(m.imports))
	if index < n {
		return index
	}
	i := index - n
	if m.order[i] == 0 {
		m.queue = append(m.queue, i)
		m.order[i] = uint32(len(m.queue))
	}
	return n + ownImports + ownFunctions + m.order[i] - 1
}

// useTable keeps the table, and every function in it: any of them can be called through it.
func (m *module) useTable() {
	if m.indirect {
		return
	}
	m.indirect = true
	for _, e := range m.elements {
		for _, f := range e.functions {
			m.useFunction(f)
		}
	}
}

// functions rewrites the functions that can be reached, and returns their code.
func (m *module) functions() []byte {
	m.order = make([]uint32, len(m.bodies))
	for _, f := range m.imports {
		m.useType(f.typ, m.types[f.typ].at)
	}
	for _, e := range m.exports {
		if e.kind == kindFunction {
			m.useFunction(e.index)
		}
	}
	if m.start >= 0 {
		m.useFunction(uint32(m.start))
	}
	if m.lab != nil && m.lab.all {
		for i := range m.bodies {
			m.useFunction(uint32(len(m.imports) + i))
		}
	}
	b := body{m: m, r: &m.r, prices: m.prices, code: make([]byte, 0, 3*len(m.r.buf))}
	p := &m.prices.activation
	m.activationGas = p.module + p.byte*uint64(len(m.r.buf)) + p.global*uint64(len(m.globals))
	m.mutable = ownGlobals
	for _, g := range m.globals {
		if g.mutable {
			m.mutable++
		}
	}
	for i := 0; i < len(m.queue) && m.r.err == nil; i++ { // the queue grows
		m.activationGas += b.rewrite(m.queue[i])
	}
	return b.code
}

// reserved says whether a name is one of our own in the result.
func reserved(name string) bool { return strings.HasPrefix(name, reservedPrefix) }

func typeName(t byte) string {
	switch t {
	case 0x7f:
		return "i32"
	case 0x7e:
		return "i64"
	case 0x7d:
		return "f32"
	case 0x7c:
		return "f64"
	case 0x7b:
		return "v128"
	case 0x70:
		return "funcref"
	case 0x6f:
		return "externref"
	}
	return fmt.Sprintf("0x%02x", t)
}

func typeReason(t byte) string {
	switch t {
	case 0x7d, 0x7c:
		return reasonFloat
	case 0x7b:
		return reasonVector
	case 0x70, 0x6f:
		return reasonReference
	}
	return "there is no such type; " + malformed
}
