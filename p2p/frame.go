package p2p

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The stream after the handshake is a sequence of chunks:
//
//	chunk = header be32 ‖ [total be32] ‖ data        header = more<<31 | lane<<28 | len(data)
//
// A frame of up to MaxChunk bytes is one chunk. A longer one is cut into chunks
// of exactly MaxChunk bytes and a last one of 1 to MaxChunk bytes; the first
// states the length of the frame in total, and all but the last have the more bit
// set. Chunks of different lanes may alternate, those of one lane are in order.
// The encoding of a frame is unique: a peer cannot make us work for chunks
// smaller than need be.

// MaxChunk is the longest run of bytes of one frame that cannot be interrupted
// by a more urgent one. 32 KiB is 0.3 ms at 1 Gbit/s and two TLS records.
const MaxChunk = 32 << 10

const (
	headerBytes = 4
	moreBit     = 1 << 31
	laneShift   = 28
	lengthMask  = 1<<laneShift - 1
)

// AppendChunk appends the next chunk of frame, of which sent bytes have gone
// before, and returns the number of bytes of frame that went into it. The frame
// is complete when that reaches its end. The caller has checked the frame with
// [CheckFrame].
func AppendChunk(dst []byte, lane Lane, frame []byte, sent int) ([]byte, int) {
	rest := frame[sent:]
	header := uint32(lane) << laneShift
	if len(rest) > MaxChunk {
		rest = rest[:MaxChunk]
		header |= moreBit
	}
	dst = binary.BigEndian.AppendUint32(dst, header|uint32(len(rest)))
	if sent == 0 && len(frame) > MaxChunk {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(frame)))
	}
	return append(dst, rest...), len(rest)
}

// AppendKeepalive appends the chunk that carries nothing.
func AppendKeepalive(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(Keepalive)<<laneShift)
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

// A Decoder reads frames from a stream. Lengths are checked before anything is
// allocated, and memory follows the bytes that have arrived: at most growth times
// as many, and never more than the limits of all lanes together, which is what a
// peer occupies that leaves a frame unfinished on each.
type Decoder struct {
	r       io.Reader
	header  [headerBytes]byte
	partial [Lanes]struct {
		frame []byte // what has arrived; nil between frames
		total int    // what was announced
	}
}

// growth is the factor by which the buffer of an unfinished frame grows. Larger
// ones save copying; a peer that announces much and sends little occupies this
// much more than it sent.
const growth = 6

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
	header, err := d.word()
	if err != nil {
		return 0, nil, err
	}
	more := header&moreBit != 0
	lane := Lane(header >> laneShift & 7)
	size := int(header & lengthMask)
	if lane == Keepalive && size == 0 && !more {
		return lane, nil, nil
	}
	if lane >= Lanes {
		return lane, nil, fmt.Errorf("%w: chunk of %d bytes on %v", ErrInvalid, size, lane)
	}
	p := &d.partial[lane]
	if p.frame == nil {
		p.total = size
		if more {
			total, err := d.word()
			if err != nil {
				return lane, nil, inside(err)
			}
			p.total = int(total)
		}
		if limit := lane.MaxFrame(); p.total == 0 || p.total > limit || more && p.total <= MaxChunk {
			return lane, nil, fmt.Errorf("%w: frame of %d bytes on lane %v, the limit is %d", ErrInvalid, p.total, lane, limit)
		}
	}
	if rest := p.total - len(p.frame); size != min(rest, MaxChunk) || more != (rest > MaxChunk) {
		return lane, nil, fmt.Errorf("%w: chunk of %d bytes on lane %v with %d to come", ErrInvalid, size, lane, rest)
	}
	arrived := len(p.frame)
	p.frame = extend(p.frame, size, p.total)
	if _, err := io.ReadFull(d.r, p.frame[arrived:]); err != nil {
		return lane, nil, inside(err)
	}
	if more {
		return lane, nil, nil
	}
	frame := p.frame
	p.frame = nil
	return lane, frame, nil
}

func (d *Decoder) word() (uint32, error) {
	if _, err := io.ReadFull(d.r, d.header[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(d.header[:]), nil
}

// inside turns the end of the stream into one that is not expected.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// extend returns b with n more bytes, of total that b will have in the end.
func extend(b []byte, n, total int) []byte {
	if cap(b)-len(b) < n {
		bigger := make([]byte, len(b), min(total, growth*len(b)+n))
		copy(bigger, b)
		b = bigger
	}
	return b[:len(b)+n]
}
