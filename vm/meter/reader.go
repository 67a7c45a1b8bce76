package meter

import (
	"fmt"
	"unicode/utf8"
)

// RefusedError says why a module cannot become a contract, and what to do about it.
type RefusedError struct {
	// Function is an index in the original's function space, imports first; -1 for none.
	Function int
	// Offset in the original module, in bytes.
	Offset int
	// What is refused, such as f64.add.
	What string
	// Reason says why and what to do.
	Reason string
}

// Error says what, where and why in one line.
func (e *RefusedError) Error() string {
	if e.Function < 0 {
		return fmt.Sprintf("%s (offset %d): %s", e.What, e.Offset, e.Reason)
	}
	return fmt.Sprintf("%s in function %d (offset %d): %s", e.What, e.Function, e.Offset, e.Reason)
}

// reader reads a module. The first refusal stays; from then on there is nothing left to read, every value is
// zero, and loops over what is left end.
type reader struct {
	buf      []byte
	pos, end int
	function int
	err      *RefusedError
}

func (r *reader) refuse(at int, what, reason string) {
	if r.err == nil {
		r.err = &RefusedError{Function: r.function, Offset: at, What: what, Reason: reason}
		r.end = r.pos
	}
}

func (r *reader) refusef(at int, what, format string, args ...any) {
	if r.err == nil {
		r.refuse(at, what, fmt.Sprintf(format, args...))
	}
}

const malformed = "it is truncated or damaged; build it again, and deploy the .wasm file as it is"

func (r *reader) left() int { return r.end - r.pos }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.refuse(r.pos, "the end of what should go on", malformed)
		return 0
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if int64(n) > int64(r.left()) {
		r.refuse(r.pos, "a length beyond the end", malformed)
		return nil
	}
	at := r.pos
	r.pos += int(n)
	return r.buf[at:r.pos:r.pos]
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (r *reader) u32() uint32 {
	at := r.pos
	var v uint32
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			r.refuse(at, "a number of more than 32 bits", malformed)
			return 0
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 of at most bits bits, 32 or 64.
func (r *reader) signed(bits int) int64 {
	at := r.pos
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if left := bits - shift; left < 7 {
			// The rest of the last byte repeats the sign, and no byte follows.
			if rest := int8(b<<1) >> left; b >= 0x80 || rest != 0 && rest != -1 {
				r.refusef(at, "a number of more than bits", "%s", malformed)
				return 0
			}
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift += 7; shift < 64 {
				v = v << (64 - shift) >> (64 - shift)
			}
			return v
		}
	}
}

// count reads the length of a vector. Each element takes a byte at least.
func (r *reader) count(what string, limit int) int {
	at := r.pos
	n := r.u32()
	switch {
	case int64(n) > int64(limit):
		r.refusef(at, what, "there are %d, at most %d are accepted; make the contract smaller", n, limit)
		return 0
	case int64(n) > int64(r.left()):
		r.refuse(at, what, malformed)
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	at := r.pos
	n := r.u32()
	if n > maxNameBytes {
		r.refusef(at, "a name", "it has %d bytes, at most %d are accepted; give it a shorter one", n, maxNameBytes)
		return ""
	}
	name := r.bytes(n)
	if !utf8.Valid(name) {
		r.refuse(at, "a name", "it is not UTF-8; "+malformed)
	}
	return string(name)
}
