package p2p

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The stream after the handshake is a sequence of chunks:
//
//	chunk = header be32 ‖ data        header = more<<31 | lane<<28 | len(data)
//
// A frame is cut into chunks of exactly MaxChunk bytes and a last one of 1 to
// MaxChunk bytes, the only one without the more bit. Chunks of different lanes
// may alternate, those of one lane are in order. The encoding of a frame is
// unique, and a chunk that is short without being the last is an error: a peer
// cannot make us work for less than MaxChunk bytes of its own traffic.

// MaxChunk is the longest run of bytes of one frame that cannot be interrupted
// by a more urgent one. 32 KiB is 0.3 ms at 1 Gbit/s and two TLS records.
const MaxChunk = 32 << 10

// ChunkHeader is the number of bytes in front of each chunk.
const ChunkHeader = 4

const (
	moreBit  = 1 << 31
	laneBits = 28
)

// AppendChunk appends the next chunk of frame, of which sent bytes have gone
// before, and returns the number of bytes of frame that went into it. The frame
// is complete when that reaches its end. The caller has checked the frame with
// [CheckFrame].
func AppendChunk(dst []byte, lane Lane, frame []byte, sent int) ([]byte, int) {
	rest := frame[sent:]
	header := uint32(lane) << laneBits
	if len(rest) > MaxChunk {
		rest = rest[:MaxChunk]
		header |= moreBit
	}
	dst = binary.BigEndian.AppendUint32(dst, header|uint32(len(rest)))
	return append(dst, rest...), len(rest)
}

// AppendKeepalive appends the chunk that carries nothing.
func AppendKeepalive(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(Keepalive)<<laneBits)
}

// CheckFrame reports whether frame may be sent on lane.
func CheckFrame(lane Lane, frame []byte) error {
	switch limit := lane.MaxFrame(); {
	case limit == 0:
		return fmt.Errorf("%w: no %v", ErrInvalid, lane)
	case len(frame) == 0:
		return fmt.Errorf("%w: empty frame on lane %v", ErrInvalid, lane)
	case len(frame) > limit:
		return fmt.Errorf("%w: frame of at least %d bytes on lane %v, the limit is %d", ErrInvalid, len(frame), lane, limit)
	}
	return nil
}

// A Decoder reads frames from a stream. Its memory follows the bytes that have
// arrived, never a length that was only announced: at most the sum of all lane
// limits, when a peer leaves a frame unfinished on every lane.
type Decoder struct {
	r       io.Reader
	header  [ChunkHeader]byte
	partial [Lanes][]byte // unfinished frames
}

// NewDecoder returns a decoder that reads from r, which should be buffered: each
// chunk takes two reads.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{r: r} }

// Next returns the next frame that is complete, owned by the caller, or
// [Keepalive] and nil. An error that wraps [ErrInvalid] means that the stream
// breaks the rules above; any other is the reader's: io.EOF between two chunks,
// io.ErrUnexpectedEOF inside one. After an error the stream is of no more use.
func (d *Decoder) Next() (Lane, []byte, error) {
	for {
		lane, frame, err := d.chunk()
		if err != nil || frame != nil || lane == Keepalive {
			return lane, frame, err
		}
	}
}

// chunk reads one chunk and returns the frame that it completes, if it does.
func (d *Decoder) chunk() (Lane, []byte, error) {
	if _, err := io.ReadFull(d.r, d.header[:]); err != nil {
		return 0, nil, err
	}
	header := binary.BigEndian.Uint32(d.header[:])
	more := header&moreBit != 0
	lane := Lane(header >> laneBits & 7)
	size := int(header & (1<<laneBits - 1))
	switch {
	case lane == Keepalive && size == 0 && !more:
		return lane, nil, nil
	case lane >= Lanes:
		return lane, nil, fmt.Errorf("%w: chunk of %d bytes on %v", ErrInvalid, size, lane)
	case size == 0 || size > MaxChunk || more && size != MaxChunk:
		return lane, nil, fmt.Errorf("%w: chunk of %d bytes on lane %v, more to come: %t", ErrInvalid, size, lane, more)
	}
	old := d.partial[lane]
	total := len(old) + size
	if limit := lane.MaxFrame(); total > limit || more && total == limit {
		return lane, nil, fmt.Errorf("%w: frame of at least %d bytes on lane %v, the limit is %d", ErrInvalid, total, lane, limit)
	}
	frame := grow(old, size)
	if _, err := io.ReadFull(d.r, frame[len(old):]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return lane, nil, err
	}
	if more {
		d.partial[lane] = frame
		return lane, nil, nil
	}
	d.partial[lane] = nil
	return lane, frame, nil
}

// grow returns b with n more bytes. A frame of one chunk gets exactly what it
// needs; longer ones grow geometrically.
func grow(b []byte, n int) []byte {
	if b == nil {
		return make([]byte, n)
	}
	if cap(b)-len(b) < n {
		bigger := make([]byte, len(b), 2*len(b)+n)
		copy(bigger, b)
		b = bigger
	}
	return b[:len(b)+n]
}
