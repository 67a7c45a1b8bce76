package meter

import "slices"

// Module is a module that was accepted, rewritten.
type Module struct {
	// Wasm is the rewritten module. It is valid WebAssembly 1.0 with sign extension, mutable globals and
	// memory.copy and memory.fill.
	//
	// It imports, beside what the original imports of vm_hooks, the functions of the module tercet:
	//
	//	refill(left i64): the counter tercet_gas has just become left, which is below zero. The host adds to
	//	it from what the frame has left, so that it is not negative, or does not return.
	//	grow(pages i32) → i32: pages are about to be added to the memory. The host either takes the price of
	//	a page for each and answers pages, in which case memory.grow MUST succeed; or answers −1, and then
	//	memory.grow fails.
	//
	// It exports memory, user_entrypoint, user_constructor if the original does, and the mutable globals
	// tercet_gas (i64, in ink; zero) and tercet_stack (i32, in words; [StackWords]). The host sets both in
	// each instance before it calls. Instantiation cannot fail and runs no code.
	Wasm []byte
	// ActivationGas pays for compiling the module once; in gas.
	ActivationGas uint64
	// InstanceInk pays for an instance of the module, its first pages included; in ink.
	InstanceInk uint64
	// Pages is what the memory starts with, MaxPages what it can have.
	Pages, MaxPages uint32
	// Imports are the names of the imported functions of vm_hooks, sorted, each once.
	Imports []string
	// Exports are the names of the exports that hosts may use, sorted; our own are not among them.
	Exports []string
	// HasConstructor says that user_constructor is one of them.
	HasConstructor bool
	// Functions were kept, DroppedFunctions were not reachable.
	Functions, DroppedFunctions int
}

// PageInk is the price of a page of memory under a version, in ink.
func PageInk(v Version) uint64 { return versions[v].page }

// LargeShift is how often, as a power of two, the price of an instruction doubles in a frame whose memory has so
// many pages: what does not fit into a processor's own caches takes ten times as long to load.
func LargeShift(v Version, pages uint32) uint {
	if pages > versions[v].smallPages {
		return versions[v].largeShift
	}
	return 0
}

// Rewrite checks a module and returns it metered. Every refusal is a *[RefusedError].
func Rewrite(wasm []byte, v Version) (*Module, error) {
	return rewrite(wasm, v, nil)
}

// laboratory is for tests: the module need not be a contract, it can import and export any functions.
type laboratory struct {
	keep []string // exports
	all  bool     // keep all functions
	// single makes each instruction a basic block.
	single bool
}

func rewrite(wasm []byte, v Version, lab *laboratory) (*Module, error) {
	m := &module{r: reader{buf: wasm, end: len(wasm), function: -1}, lab: lab, start: -1}
	r := &m.r
	switch {
	case v == 0 || int(v) >= len(versions):
		r.refusef(0, "the metering version", "%d is not known here; this node is older than the code, update it", v)
	case len(wasm) > MaxModuleBytes:
		r.refusef(0, "the module", "it has %d bytes, at most %d are accepted; build it without debug information and optimised for size", len(wasm), MaxModuleBytes)
	default:
		m.prices = &versions[v]
		m.decode()
	}
	if r.err != nil {
		return nil, r.err
	}
	code := m.functions()
	if r.err != nil {
		return nil, r.err
	}
	return m.result(m.encode(code)), nil
}

// result says what there is to know about a rewritten module.
func (m *module) result(wasm []byte) *Module {
	res := &Module{
		Wasm:             wasm,
		ActivationGas:    m.activationGas,
		Pages:            m.pages,
		MaxPages:         m.maxPages,
		Functions:        len(m.queue),
		DroppedFunctions: len(m.bodies) - len(m.queue),
	}
	for _, f := range m.imports {
		res.Imports = append(res.Imports, f.name)
	}
	slices.Sort(res.Imports)
	res.Imports = slices.Compact(res.Imports)
	for _, e := range m.exports {
		res.Exports = append(res.Exports, e.name)
		res.HasConstructor = res.HasConstructor || e.name == constructorName
	}
	slices.Sort(res.Exports)
	res.InstanceInk = m.instanceInk()
	return res
}

// instanceInk is the price of an instance: what is made, resolved or copied for each.
func (m *module) instanceInk() uint64 {
	var bytes, functions int
	for _, d := range m.data {
		bytes += len(d.bytes)
	}
	if m.indirect {
		for _, s := range m.elements {
			functions += len(s.functions)
		}
	}
	p := m.prices
	return p.instance + uint64(m.pages)*p.page + uint64(m.tableSize)*p.element + uint64(bytes)*uint64(p.copied) +
		uint64(len(m.imports))*p.imported + uint64(len(m.globals))*p.global + uint64(functions)*p.filledElement
}
