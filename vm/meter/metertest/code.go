package metertest

import "encoding/binary"

// Code is a sequence of instructions, or of anything else that a module is made of. Its methods append.
type Code []byte

// Op appends bytes, for instance opcodes without immediates.
func (c Code) Op(ops ...byte) Code { return append(c, ops...) }

// U32 appends an unsigned number.
func (c Code) U32(v uint32) Code { return binary.AppendUvarint(c, uint64(v)) }

// Signed appends a signed number.
func (c Code) Signed(v int64) Code {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(c, b)
		}
		c = append(c, b|0x80)
	}
}

// Bytes appends bytes with their length before them.
func (c Code) Bytes(b []byte) Code { return append(c.U32(uint32(len(b))), b...) }

// Const32 appends i32.const.
func (c Code) Const32(v int32) Code { return c.Op(0x41).Signed(int64(v)) }

// Const64 appends i64.const.
func (c Code) Const64(v int64) Code { return c.Op(0x42).Signed(v) }

// Get appends local.get.
func (c Code) Get(local uint32) Code { return c.Op(0x20).U32(local) }

// Set appends local.set.
func (c Code) Set(local uint32) Code { return c.Op(0x21).U32(local) }

// Tee appends local.tee.
func (c Code) Tee(local uint32) Code { return c.Op(0x22).U32(local) }

// Block appends block of a type: 0x40 for none.
func (c Code) Block(blockType byte) Code { return c.Op(0x02, blockType) }

// Loop appends loop.
func (c Code) Loop(blockType byte) Code { return c.Op(0x03, blockType) }

// If appends if.
func (c Code) If(blockType byte) Code { return c.Op(0x04, blockType) }

// End appends end.
func (c Code) End() Code { return c.Op(0x0b) }

// Br appends br.
func (c Code) Br(label uint32) Code { return c.Op(0x0c).U32(label) }

// BrIf appends br_if.
func (c Code) BrIf(label uint32) Code { return c.Op(0x0d).U32(label) }

// BrTable appends br_table; the last label is the default.
func (c Code) BrTable(labels ...uint32) Code {
	c = c.Op(0x0e).U32(uint32(len(labels) - 1))
	for _, l := range labels {
		c = c.U32(l)
	}
	return c
}

// Call appends call.
func (c Code) Call(function uint32) Code { return c.Op(0x10).U32(function) }

// CallIndirect appends call_indirect through the table.
func (c Code) CallIndirect(typ uint32) Code { return c.Op(0x11).U32(typ).Op(0) }

// Access appends a load or store.
func (c Code) Access(op byte, align, offset uint32) Code { return c.Op(op).U32(align).U32(offset) }
