package wal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/mutant"
)

// readBufferBytes is read at once while replaying.
const readBufferBytes = 64 << 10

// Open replays the log in dir, oldest record first, and makes it ready for
// appending. All returned records are durable, also those whose Sync the last
// process did not live to see return. A torn tail is cut off and logged.
//
// Errors: [ErrMissing]; [*CorruptError] if a record that may have been synced
// is damaged; [ErrNetwork]; [ErrVersion]; otherwise the environment failed.
func Open(dir string, opts Options) (*WAL, []consensus.Record, error) {
	r, err := read(dir, &opts)
	if err != nil {
		return nil, nil, err
	}
	w := &WAL{dir: dir, opts: opts, salt: r.salt, segments: r.segments, file: r.file, offset: r.offset, group: r.group}
	if err := w.secure(r); err != nil {
		r.file.Close()
		return nil, nil, fmt.Errorf("recovering the write-ahead log: %w", err)
	}
	if n := len(r.records); n > 0 && mutant.On(mutant.WALReplayStopsEarly) {
		return w, r.records[:n-1], nil
	}
	return w, r.records, nil
}

// Read replays the log in dir for who only looks: it changes nothing, cuts no torn tail, and what it returns of
// the last group need not be durable. Its errors are those of [Open].
func Read(dir string, opts Options) ([]consensus.Record, error) {
	r, err := read(dir, &opts)
	if err != nil {
		return nil, err
	}
	if err := r.file.Close(); err != nil {
		return nil, fmt.Errorf("reading the write-ahead log: %w", err)
	}
	return r.records, nil
}

// read replays the segments and leaves the last one open.
func read(dir string, opts *Options) (*replay, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	numbers, err := listSegments(opts.FS, dir)
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%w: no segment in %s", ErrMissing, dir)
	}
	r := &replay{dir: dir, opts: *opts}
	for i, number := range numbers {
		if err := r.segment(number, i == 0, i == len(numbers)-1); err != nil {
			if r.file != nil {
				r.file.Close()
			}
			return nil, err
		}
	}
	return r, nil
}

// secure cuts the torn tail and makes what was read durable: a killed process
// may have left it in the page cache only, and after a failed sync the kernel
// believes it to be on the disk. Only the last group can be in doubt, it is
// written again with the same bytes.
func (w *WAL) secure(r *replay) error {
	if r.torn > 0 {
		w.opts.Logger.Warn("cut a torn tail off the write-ahead log", "segment", w.segments[len(w.segments)-1].number,
			"offset", r.offset, "bytes", r.torn)
		if err := w.file.Truncate(r.offset); err != nil {
			return err
		}
	}
	w.size = max(w.opts.SegmentBytes, r.offset)
	if err := w.file.Allocate(w.size); err != nil {
		return err
	}
	buf := make([]byte, readBufferBytes)
	for at := r.lastGroup; at < r.lastEnd; {
		chunk := buf[:min(int64(len(buf)), r.lastEnd-at)]
		if _, err := w.file.ReadAt(chunk, at); err != nil {
			return err
		}
		if n, err := w.file.WriteAt(chunk, at); err != nil || n != len(chunk) {
			return orShort(err)
		}
		at += int64(len(chunk))
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	names, err := w.opts.FS.List(w.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, segmentSuffix+temporarySuffix) {
			if err := w.opts.FS.Remove(filepath.Join(w.dir, name)); err != nil {
				return err
			}
		}
	}
	return w.opts.FS.SyncDir(w.dir)
}

// replay reads segments in order.
type replay struct {
	dir  string
	opts Options

	salt     uint64
	group    uint64 // number of the next group
	records  []consensus.Record
	segments []segment

	// Of the segment being read:
	number    uint64
	file      File
	seed      uint32
	offset    int64 // where the next group begins
	lastGroup int64 // bounds of what the last sync wrote (0, header in a new segment)
	lastEnd   int64
	torn      int64 // bytes after offset that are a torn group
}

func (r *replay) corrupt(offset int64, format string, args ...any) error {
	return &CorruptError{Segment: r.number, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// segment reads one file, and leaves it open if it is the last.
func (r *replay) segment(number uint64, first, last bool) error {
	if !first && number != r.number+1 {
		return &CorruptError{Segment: r.number + 1, Reason: fmt.Sprintf("segment is missing before segment %d", number)}
	}
	r.number = number
	f, err := r.opts.FS.Open(segmentPath(r.dir, number), false)
	if err != nil {
		return fmt.Errorf("opening segment %d: %w", number, err)
	}
	r.file = f
	if err := r.header(first); err != nil {
		return err
	}
	r.segments = append(r.segments, segment{number: number})
	in := bufio.NewReaderSize(io.NewSectionReader(f, r.offset, math.MaxInt64-r.offset), readBufferBytes)
	for {
		recs, end, err := r.readGroup(in)
		if errors.Is(err, errRecord) {
			return r.tail(end, last)
		}
		if err != nil {
			return fmt.Errorf("reading segment %d: %w", number, err)
		}
		s := &r.segments[len(r.segments)-1]
		for i := range recs {
			s.newest = maxKey(s.newest, key{recs[i].Epoch, recs[i].View})
		}
		r.records = append(r.records, recs...)
		r.lastGroup, r.lastEnd = r.offset, end
		r.offset = align(end)
		r.group++
		if _, err := in.Discard(int(r.offset - end)); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading segment %d: %w", number, err)
		}
	}
}

func (r *replay) header(first bool) error {
	b := make([]byte, headerSize)
	if _, err := r.file.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return r.corrupt(0, "segment ends within its header")
	} else if err != nil {
		return fmt.Errorf("reading segment %d: %w", r.number, err)
	}
	h, err := decodeHeader(b)
	switch {
	case errors.Is(err, ErrVersion):
		return fmt.Errorf("segment %d: %w", r.number, err)
	case err != nil:
		return r.corrupt(0, "%v", err)
	case h.network != r.opts.Network:
		return fmt.Errorf("%w: it belongs to genesis %s, this node to %s", ErrNetwork, h.network, r.opts.Network)
	case h.segment != r.number:
		return r.corrupt(0, "file holds segment %d", h.segment)
	case !first && h.salt != r.salt:
		return r.corrupt(0, "segment of another log")
	case !first && h.firstGroup != r.group:
		return r.corrupt(0, "segment begins with group %d, the one before ends at %d", h.firstGroup, r.group)
	}
	r.salt, r.group = h.salt, h.firstGroup
	r.seed = seed(h.salt, h.segment)
	r.offset, r.lastGroup, r.lastEnd = firstGroupOffset, 0, headerSize
	return nil
}

// readGroup reads the group at r.offset. It returns the position behind its
// marker, or errRecord and the position of what does not verify.
func (r *replay) readGroup(in *bufio.Reader) ([]consensus.Record, int64, error) {
	var recs []consensus.Record
	at := r.offset
	for {
		var prefix [prefixSize]byte
		if _, err := io.ReadFull(in, prefix[:]); err != nil {
			return nil, at, endIsDamage(err)
		}
		n, err := bodyLength(prefix[:])
		if err != nil {
			return nil, at, err
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return nil, at, endIsDamage(err)
		}
		if checksum(r.seed, prefix[:4], body) != binary.BigEndian.Uint32(prefix[4:]) || body[0] == 0 {
			return nil, at, errRecord
		}
		if body[0] == markerType {
			m := decodeMarkerBody(body)
			if m.group != r.group || int64(m.bytes) != at-r.offset || string(body[bodyFixed:]) != markerEnd {
				return nil, at, errRecord
			}
			return recs, at + markerSize, nil
		}
		recs = append(recs, consensus.Record{
			Type:  consensus.RecordType(body[0]),
			Epoch: binary.BigEndian.Uint64(body[1:]),
			View:  binary.BigEndian.Uint64(body[9:]),
			Data:  body[bodyFixed:],
		})
		at += int64(prefixSize + n)
	}
}

func endIsDamage(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errRecord
	}
	return err
}

// tail judges what begins at r.offset and does not verify at bad: the zeros
// behind the last group, a torn group, or corruption.
func (r *replay) tail(bad int64, last bool) error {
	end, later, own, err := r.survey(bad)
	if err != nil {
		return fmt.Errorf("reading segment %d: %w", r.number, err)
	}
	if !last {
		if end > r.offset {
			return r.corrupt(bad, "record does not verify in a segment that was completed")
		}
		return r.file.Close()
	}
	if end <= r.offset {
		return nil
	}
	if later {
		return r.corrupt(bad, "record does not verify and later groups follow")
	}
	var altered bool
	if own != nil {
		blank, err := r.blankBefore(own.at)
		if err != nil {
			return fmt.Errorf("reading segment %d: %w", r.number, err)
		}
		altered = blank <= own.blank
	} else if altered, err = r.markerAltered(bad, end); err != nil {
		return fmt.Errorf("reading segment %d: %w", r.number, err)
	}
	if altered {
		return r.corrupt(bad, "record of the last group was altered")
	}
	r.torn = end - r.offset
	return nil
}

type foundMarker struct {
	marker
	at int64
}

// survey reads the rest of the segment from bad: the position behind its last
// byte that is not zero, whether a marker of a later group is there, and the
// marker of the group at r.offset.
func (r *replay) survey(bad int64) (end int64, later bool, own *foundMarker, err error) {
	end = bad
	const step = readBufferBytes
	buf := make([]byte, step+markerSize-1)
	for at := bad; ; at += step {
		n, err := r.file.ReadAt(buf, at)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return 0, false, nil, err
		}
		window := buf[:n]
		if trimmed := bytes.TrimRight(window, "\x00"); len(trimmed) > 0 {
			end = max(end, at+int64(len(trimmed)))
		}
		for from := 0; ; {
			i := bytes.Index(window[from:], []byte(markerEnd))
			if i < 0 {
				break
			}
			stop := from + i + len(markerEnd)
			from += i + 1
			if stop < markerSize {
				continue
			}
			m, ok := decodeMarker(window[stop-markerSize:stop], r.seed)
			if ok && m.group > r.group {
				later = true
			}
			if pos := at + int64(stop-markerSize); ok && m.group == r.group && pos-int64(m.bytes) == r.offset {
				own = &foundMarker{m, pos}
			}
		}
		if ended {
			return end, later, own, nil
		}
	}
}

// blankBefore counts the zero sectors between the group's start and stop.
func (r *replay) blankBefore(stop int64) (uint32, error) {
	var count uint32
	buf := make([]byte, readBufferBytes)
	for at := r.offset; at < stop; {
		// Windows end at a sector's end, so that each sector is seen once.
		next := min(stop, (at/readBufferBytes+1)*readBufferBytes)
		chunk := buf[:next-at]
		if _, err := r.file.ReadAt(chunk, at); err != nil {
			return 0, err
		}
		count += blankSectors(at, chunk)
		at = next
	}
	return count, nil
}

// markerAltered reports whether a group without a readable marker was written
// to its last byte nevertheless.
func (r *replay) markerAltered(bad, end int64) (bool, error) {
	blank, err := r.blankBefore(bad)
	if err != nil {
		return false, err
	}
	m := marker{group: r.group, bytes: uint32(bad - r.offset), blank: blank}
	want := m.append(nil, r.seed)
	if end == bad+markerSize && bad > r.offset {
		got := make([]byte, markerSize)
		if _, err := r.file.ReadAt(got, bad); err != nil {
			return false, err
		}
		const body = markerSize - len(markerEnd)
		similar := bytes.Equal(got[:body], want[:body]) || string(got[body:]) == markerEnd
		return similar && blankSectors(bad, got) == 0, nil
	}
	// Damage from before the marker into it: the end of the marker may remain.
	if end-r.offset < markerSize {
		return false, nil
	}
	got := make([]byte, len(markerEnd))
	if _, err := r.file.ReadAt(got, end-int64(len(got))); err != nil {
		return false, err
	}
	blank, err = r.blankBefore(end)
	return string(got) == markerEnd && blank == 0, err
}
