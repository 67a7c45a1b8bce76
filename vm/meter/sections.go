package meter

import "strings"

// Each function decodes the section that it is named after, whose end is the reader's.

func (m *module) typeSection() {
	r := &m.r
	m.types = make([]functionType, r.count("types", maxTypes))
	for i := range m.types {
		at := r.pos
		if form := r.byte(); r.err == nil && form != 0x60 {
			r.refuse(at, "a type", "it is not a function's; compile without garbage collection and typed references")
		}
		m.types[i] = functionType{params: r.bytes(r.u32()), results: r.bytes(r.u32()), at: at}
		if r.err != nil {
			return
		}
		for _, list := range [...][]byte{m.types[i].params, m.types[i].results} {
			for _, t := range list {
				if !strings.ContainsRune("\x7f\x7e\x7d\x7c\x7b\x70\x6f", rune(t)) {
					r.refuse(at, "a function type", "there is no value type "+typeName(t)+"; "+malformed)
					return
				}
			}
		}
	}
}

func (m *module) importSection() {
	r := &m.r
	n := r.count("imports", maxFunctions)
	m.imports = make([]importedFunction, 0, n)
	for range n {
		at := r.pos
		module, name := r.name(), r.name()
		kind := r.byte()
		what := "the import " + module + "." + name
		switch {
		case r.err != nil:
			return
		case kind == kindMemory:
			r.refuse(at, what, "a contract has its own memory; compile without importing one (AssemblyScript: without --importMemory)")
		case kind != kindFunction:
			r.refuse(at, what, "only functions can be imported")
		}
		f := importedFunction{module: module, name: name, typ: m.typeIndex()}
		if r.err != nil {
			return
		}
		if m.lab == nil {
			m.checkImport(f, at, what)
		}
		m.imports = append(m.imports, f)
	}
}

func (m *module) checkImport(f importedFunction, at int, what string) {
	r := &m.r
	t := &m.types[f.typ]
	h, ok := findHook(f.name)
	switch {
	case f.module == "wasi_snapshot_preview1" || f.module == "wasi_unstable":
		r.refuse(at, what, "contracts have no files, clock or randomness; compile without WASI (TinyGo: -target=wasm-unknown; Rust: wasm32-unknown-unknown)")
	case f.module == "env":
		r.refuse(at, what, "nothing provides it; define the function, or declare it as an import of vm_hooks if it is a host function (AssemblyScript: --use abort= for env.abort)")
	case f.module != hooksModule:
		r.refuse(at, what, "contracts import from the module vm_hooks only")
	case !ok:
		r.refuse(at, what, "there is no host function of this name; check it against the list of host functions")
	case signature(t.params) != h.Params || signature(t.results) != h.Results:
		r.refusef(at, what, "it has type (%s) → (%s) but is declared (%s) → (%s), where i is i32 and l is i64; correct the declaration", h.Params, h.Results, signature(t.params), signature(t.results))
	}
}

// typeIndex reads the index of a type.
func (m *module) typeIndex() uint32 {
	at := m.r.pos
	i := m.r.u32()
	if int64(i) >= int64(len(m.types)) {
		m.r.refuse(at, "a type index", "there is no such type; "+malformed)
		return 0
	}
	return i
}

func (m *module) functionSection() {
	m.declared = make([]uint32, m.r.count("functions", maxFunctions))
	for i := range m.declared {
		m.declared[i] = m.typeIndex()
	}
}

func (m *module) codeSection() {
	r := &m.r
	m.bodies = make([]span, r.count("function bodies", maxFunctions))
	for i := range m.bodies {
		n := r.u32()
		start := r.pos
		r.bytes(n)
		m.bodies[i] = span{start, r.pos}
	}
}

// limits reads the limits of a table or memory. Without a maximum it is −1.
func (m *module) limits(what string) (low uint32, high int64) {
	r := &m.r
	at := r.pos
	flags := r.byte()
	switch {
	case flags == 2 || flags == 3:
		r.refuse(at, what, reasonThread)
	case flags > 7:
		r.refuse(at, what, "its limits have unknown flags; "+malformed)
	case flags > 3:
		r.refuse(at, what, "it has 64-bit addresses; compile for wasm32")
	}
	low, high = r.u32(), -1
	if flags&1 != 0 {
		high = int64(r.u32())
		if high < int64(low) && r.err == nil {
			r.refuse(at, what, "its maximum is below its minimum; "+malformed)
		}
	}
	return low, high
}

func (m *module) tableSection() {
	r := &m.r
	if at, n := r.pos, r.count("tables", 1<<30); n == 0 || n > 1 {
		if n > 1 {
			r.refuse(at, "the table section", "there are several tables; compile without the reference-types feature")
		}
		return
	}
	at := r.pos
	if t := r.byte(); r.err == nil && t != 0x70 {
		r.refuse(at, "a table of "+typeName(t), reasonReference)
	}
	low, _ := m.limits("the table")
	if low > maxTable {
		r.refusef(at, "the table", "it has %d entries, at most %d are accepted", low, maxTable)
	}
	m.hasTable, m.tableSize = true, low
}

func (m *module) memorySection() {
	r := &m.r
	if at, n := r.pos, r.count("memories", 1<<30); n == 0 || n > 1 {
		if n > 1 {
			r.refuse(at, "the memory section", "there are several memories; compile without the multi-memory feature")
		}
		return
	}
	at := r.pos
	low, high := m.limits("the memory")
	switch {
	case high > 1<<16:
		r.refuse(at, "the memory", "its maximum is beyond 4 GiB; "+malformed)
	case low > MaxPages:
		r.refusef(at, "the memory", "it starts with %d pages of 64 KiB, at most %d are accepted; ask the linker for less (wasm-ld: --initial-memory, -z stack-size=16384)", low, MaxPages)
	}
	m.hasMemory, m.pages, m.maxPages = true, low, MaxPages
	if high >= 0 {
		m.maxPages = uint32(min(high, MaxPages))
	}
}

func (m *module) globalSection() {
	r := &m.r
	m.globals = make([]global, r.count("globals", maxGlobals))
	for i := range m.globals {
		at := r.pos
		t, mutable := r.byte(), r.byte()
		switch {
		case r.err != nil:
			return
		case valueType(t) != i32 && valueType(t) != i64:
			r.refuse(at, "a global of type "+typeName(t), typeReason(t))
		case mutable > 1:
			r.refuse(at, "a global", "it is neither mutable nor constant; "+malformed)
		}
		m.globals[i] = global{typ: valueType(t), mutable: mutable == 1, init: m.constant(valueType(t))}
	}
}

// constant reads an initial value of a type.
func (m *module) constant(t valueType) int64 {
	r := &m.r
	at := r.pos
	var v int64
	op := r.byte()
	switch {
	case op == 0x41 && t == i32:
		v = r.signed(32)
	case op == 0x42 && t == i64:
		v = r.signed(64)
	default:
		r.refusef(at, "an initial value", "it is not a constant of type %s; compile without position-independent code and extended constants", t)
	}
	if end := r.byte(); r.err == nil && end != 0x0b {
		r.refuse(r.pos-1, "an initial value", "it is more than one constant; compile without extended constants")
	}
	return v
}

func (m *module) exportSection() {
	r := &m.r
	n := r.count("exports", 1<<30)
	m.exports = make([]export, 0, n)
	seen := make(map[string]bool, n)
	for range n {
		at := r.pos
		e := export{name: r.name(), kind: r.byte(), index: r.u32()}
		what := "the export " + e.name
		switch {
		case r.err != nil:
			return
		case seen[e.name]:
			r.refuse(at, what, "it is there twice; "+malformed)
		case reserved(e.name):
			r.refuse(at, what, "names that begin with tercet_ are the host's; choose another")
		case e.kind > kindGlobal:
			r.refuse(at, what, "it is of an unknown kind; compile without exceptions")
		case int64(e.index) >= m.countOf(e.kind):
			r.refuse(at, what, "it is of something that does not exist; "+malformed)
		}
		seen[e.name] = true
		m.exports = append(m.exports, e)
	}
}

// countOf returns how many functions, tables, memories or globals there are.
func (m *module) countOf(kind byte) int64 {
	switch {
	case kind == kindFunction:
		return int64(len(m.imports) + len(m.declared))
	case kind == kindTable && m.hasTable, kind == kindMemory && m.hasMemory:
		return 1
	case kind == kindGlobal:
		return int64(len(m.globals))
	}
	return 0
}

// segment reads how a segment of data or elements begins: only those that are copied at the start are
// accepted.
func (m *module) segment(what string) (offset uint32) {
	r := &m.r
	at := r.pos
	if flags := r.u32(); flags != 0 && r.err == nil {
		r.refuse(at, what, "they are passive, declarative or of another table or memory; compile without bulk memory initialisation and reference types")
	}
	return uint32(m.constant(i32))
}

func (m *module) elementSection() {
	r := &m.r
	m.elements = make([]elements, r.count("segments of elements", maxSegments))
	entries := 0
	for i := range m.elements {
		e := elements{at: r.pos, offset: m.segment("elements")}
		n := r.count("elements", maxTable)
		if entries += n; entries > maxTable {
			r.refusef(e.at, "elements", "there are more than %d in all", maxTable)
		}
		if r.err == nil && !m.hasTable {
			r.refuse(e.at, "elements", "there is no table; "+malformed)
		}
		e.functions = make([]uint32, n)
		for j := range e.functions {
			at := r.pos
			e.functions[j] = r.u32()
			if int64(e.functions[j]) >= m.countOf(kindFunction) {
				r.refuse(at, "elements", "there is no such function; "+malformed)
			}
		}
		m.elements[i] = e
	}
}

func (m *module) dataSection() {
	r := &m.r
	m.data = make([]data, r.count("segments of data", maxSegments))
	for i := range m.data {
		d := data{at: r.pos, offset: m.segment("data")}
		d.bytes = r.bytes(r.u32())
		if r.err == nil && !m.hasMemory {
			r.refuse(d.at, "data", "there is no memory; "+malformed)
		}
		m.data[i] = d
	}
}
