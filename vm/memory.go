package vm

import "github.com/tetratelabs/wazero/experimental"

const pageBytes = 64 << 10

// slab is the memory of a transaction's frames, one on top of the other. Only the frame on top runs, so it can
// grow in place, and the length of the slab is the limit of what a transaction can have open. Implements
// experimental.MemoryAllocator.
type slab struct {
	bytes []byte
	// used is where the frames end; dirty is the end of what was ever used, and beyond it all is zero.
	used, dirty uint64
	next        *linear // of the frame that is about to begin
}

func newSlab(pages uint32) *slab {
	// Large allocations come zeroed from the operating system and take up memory when they are touched.
	return &slab{bytes: make([]byte, uint64(pages)*pageBytes)}
}

// fits says whether there is room for a memory of that size.
func (s *slab) fits(pages uint32) bool {
	return uint64(pages)*pageBytes <= uint64(len(s.bytes))-s.used
}

// Allocate begins the memory of a frame.
func (s *slab) Allocate(_, _ uint64) experimental.LinearMemory {
	*s.next = linear{slab: s, start: s.used}
	return s.next
}

// linear is the memory of one frame, from start to where the next one starts.
type linear struct {
	slab       *slab
	start, len uint64
}

// Reallocate grows the memory, or returns nil when the transaction's frames have all there is.
func (l *linear) Reallocate(size uint64) []byte {
	s := l.slab
	if l.start+l.len != s.used {
		panic("vm: a frame grows that is not the last one")
	}
	if size > uint64(len(s.bytes))-l.start {
		return nil
	}
	if size > l.len { // always, but for a memory of no pages
		grown := s.bytes[s.used : l.start+size]
		if dirty := min(s.dirty, l.start+size); dirty > s.used {
			clear(grown[:dirty-s.used])
		}
		s.used = l.start + size
		s.dirty = max(s.dirty, s.used)
		l.len = size
	}
	return s.bytes[l.start : l.start+size : l.start+size]
}

// Free does nothing: the worker takes back all above a frame's start when the frame ends, however it ends.
func (l *linear) Free() {}
