package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/ethereum/go-ethereum/core/types"
)

// A section is a run of heights that share a posting. Blocks are never taken back, so that postings are
// exact and no bloom filters are needed.
const (
	sectionBits   = 12
	sectionBlocks = 1 << sectionBits
)

// What of a log a posting is about. The numbers are stored: they never change.
const (
	logAny     = 0 // that there is one; its value is empty
	logAddress = 1
	logTopic   = 2 // the first topic, 3 the second and so on
)

// maxTopics is how many topics a log can have.
const maxTopics = 4

// section is a set of blocks of a section: bit i of word i/64 is the block at offset i.
type section [sectionBlocks / 64]uint64

func (s *section) add(offset uint16) { s[offset/64] |= 1 << (offset % 64) }

func (s *section) or(other *section) {
	for i := range s {
		s[i] |= other[i]
	}
}

func (s *section) and(other *section) {
	for i := range s {
		s[i] &= other[i]
	}
}

// offsets yields the members in ascending order.
func (s *section) offsets(yield func(uint16) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(uint16(64*i + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}

// bitmapBytes is the size of the posting that is a bitmap; all others are shorter.
const bitmapBytes = sectionBlocks / 8

// encodePosting writes a set that is not empty in the shorter of two forms: for each member a uvarint of
// its distance to the one before (the first: its offset plus one), or, in exactly [bitmapBytes], a bitmap
// whose word i is the little-endian word i of the section.
func encodePosting(s *section) []byte {
	out := make([]byte, 0, 16)
	next := uint16(0)
	for offset := range s.offsets {
		out = binary.AppendUvarint(out, uint64(offset+1-next))
		if len(out) >= bitmapBytes {
			return encodeBitmap(s)
		}
		next = offset + 1
	}
	return out
}

func encodeBitmap(s *section) []byte {
	out := make([]byte, 0, bitmapBytes)
	for _, word := range s {
		out = binary.LittleEndian.AppendUint64(out, word)
	}
	return out
}

// decodePosting reverses [encodePosting] and accepts nothing else.
func decodePosting(b []byte) (s section, err error) {
	switch {
	case len(b) == 0 || len(b) > bitmapBytes:
		return s, fmt.Errorf("posting of %d bytes", len(b))
	case len(b) == bitmapBytes:
		for i := range s {
			s[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		if len(encodePosting(&s)) < bitmapBytes {
			return section{}, fmt.Errorf("posting in the longer form")
		}
		return s, nil
	}
	next := uint64(0)
	for len(b) > 0 {
		gap, w := binary.Uvarint(b)
		if w <= 0 || w > 2 || w == 2 && gap < 1<<7 || gap == 0 || next+gap > sectionBlocks {
			return section{}, fmt.Errorf("posting with the distance %x behind %d", b[:min(len(b), 2)], next)
		}
		next += gap
		s.add(uint16(next - 1))
		b = b[w:]
	}
	return s, nil
}

// posted says that a block has a log with what its key names.
type posted struct {
	key    postingKey
	offset uint16
}

// appendPosted appends what a block is to be found by. The same may come more than once.
func appendPosted(dst []posted, height uint64, receipts []*types.Receipt) []posted {
	at, offset := height>>sectionBits, uint16(height%sectionBlocks)
	add := func(kind byte, value []byte) {
		dst = append(dst, posted{makePostingKey(kind, value, at), offset})
	}
	some := false
	for _, r := range receipts {
		for _, l := range r.Logs {
			some = true
			add(logAddress, l.Address[:])
			for i := range l.Topics {
				add(logTopic+byte(i), l.Topics[i][:])
			}
		}
	}
	if some {
		add(logAny, nil)
	}
	return dst
}

func sortPosted(list []posted) {
	slices.SortFunc(list, func(a, b posted) int {
		if c := bytes.Compare(a.key[:], b.key[:]); c != 0 {
			return c
		}
		return cmp.Compare(a.offset, b.offset)
	})
}
