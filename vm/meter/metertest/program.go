// Package metertest writes WebAssembly modules: hand-made ones, random ones from a seed, and one for each class of
// instructions.
//
// Its modules are contracts: they import from vm_hooks only and export user_entrypoint and memory. What a program
// computes shows in its result, in its memory and in the order of its host calls, so that two ways to run it can be
// compared; it ends by itself, or by its gas.
package metertest

import "encoding/binary"

// Types of values.
const (
	I32 byte = 0x7f
	I64 byte = 0x7e
	F64 byte = 0x7c
)

// Module is a module to encode. Nothing about it is checked, so that it can be wrong.
type Module struct {
	Types   []Type
	Imports []Import
	Funcs   []Func
	// Table is the number of entries, 0 for no table.
	Table uint32
	// Memory has nil for none.
	Memory   *Memory
	Globals  []Global
	Exports  []Export
	Start    *uint32
	Elements []Elements
	Data     []Data
	// Sections replace encoded sections by what is given, header excluded, or remove them where it is nil.
	Sections map[byte][]byte
	// Last is appended to the module.
	Last []byte
}

// Type is a function type.
type Type struct{ Params, Results []byte }

// Import is an imported function.
type Import struct {
	Module, Name string
	Type         uint32
}

// Func is a function with a body. Locals are one of each type given; Code ends with its end.
type Func struct {
	Type   uint32
	Locals []byte
	Code   Code
}

// Memory has Min pages, and Max where that is not 0.
type Memory struct{ Min, Max uint32 }

// Global is a mutable or constant global.
type Global struct {
	Type    byte
	Mutable bool
	Init    int64
}

// Export exports by kind (0 function, 1 table, 2 memory, 3 global) and index.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// Elements are functions in the table from Offset on.
type Elements struct {
	Offset int32
	Funcs  []uint32
}

// Data are bytes in the memory from Offset on.
type Data struct {
	Offset int32
	Bytes  []byte
}

// Contract returns a module with one page of memory whose user_entrypoint, function 0 of type 0, has the code.
func Contract(code Code, locals ...byte) *Module {
	return &Module{
		Types:   []Type{{[]byte{I32}, []byte{I32}}},
		Funcs:   []Func{{0, locals, code}},
		Memory:  &Memory{1, 0},
		Exports: []Export{{"user_entrypoint", 0, 0}, {"memory", 2, 0}},
	}
}

// Encode returns the module's bytes.
func (m *Module) Encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} {
		content, replaced := m.Sections[id]
		if !replaced {
			content = m.section(id)
		}
		if content != nil {
			out = append(out, id)
			out = append(binary.AppendUvarint(out, uint64(len(content))), content...)
		}
	}
	return append(out, m.Last...)
}

// section returns the content of a section, nil where there is none.
func (m *Module) section(id byte) []byte {
	switch {
	case id == 1 && len(m.Types) > 0:
		return vector(m.Types, func(c Code, t Type) Code { return append(c, 0x60).Bytes(t.Params).Bytes(t.Results) })
	case id == 2 && len(m.Imports) > 0:
		return vector(m.Imports, func(c Code, i Import) Code {
			return append(c.Bytes([]byte(i.Module)).Bytes([]byte(i.Name)), 0).U32(i.Type)
		})
	case id == 3 && len(m.Funcs) > 0:
		return vector(m.Funcs, func(c Code, f Func) Code { return c.U32(f.Type) })
	case id == 4 && m.Table > 0:
		return Code{1, 0x70, 0}.U32(m.Table)
	case id == 5 && m.Memory != nil:
		return m.Memory.encode()
	case id == 6 && len(m.Globals) > 0:
		return vector(m.Globals, func(c Code, g Global) Code { return append(c, g.encode()...) })
	case id == 7 && len(m.Exports) > 0:
		return vector(m.Exports, func(c Code, e Export) Code { return append(c.Bytes([]byte(e.Name)), e.Kind).U32(e.Index) })
	case id == 8 && m.Start != nil:
		return Code{}.U32(*m.Start)
	case id == 9 && len(m.Elements) > 0:
		return vector(m.Elements, func(c Code, e Elements) Code {
			return append(append(c, 0).Const32(e.Offset).End(), vector(e.Funcs, Code.U32)...)
		})
	case id == 10 && len(m.Funcs) > 0:
		return vector(m.Funcs, func(c Code, f Func) Code { return c.Bytes(f.encode()) })
	case id == 11 && len(m.Data) > 0:
		return vector(m.Data, func(c Code, d Data) Code { return append(c, 0).Const32(d.Offset).End().Bytes(d.Bytes) })
	}
	return nil
}

func vector[T any](list []T, each func(Code, T) Code) Code {
	c := Code{}.U32(uint32(len(list)))
	for _, v := range list {
		c = each(c, v)
	}
	return c
}

func (m *Memory) encode() Code {
	if m.Max == 0 {
		return Code{1, 0}.U32(m.Min)
	}
	return Code{1, 1}.U32(m.Min).U32(m.Max)
}

func (g *Global) encode() Code {
	c := Code{g.Type, 0}
	if g.Mutable {
		c[1] = 1
	}
	if g.Type == I64 {
		return c.Const64(g.Init).End()
	}
	return c.Const32(int32(g.Init)).End()
}

func (f *Func) encode() Code {
	return append(vector(f.Locals, func(c Code, t byte) Code { return append(c, 1, t) }), f.Code...)
}
