package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/internal/mutant"
)

const (
	// DefaultSegmentBytes is the size to which a segment is preallocated.
	DefaultSegmentBytes = 16 << 20
	// MaxRecordBytes bounds type, epoch, view and data of one record: a frame
	// of a proposal has up to 4 MiB, and no peer may choose one that fails.
	MaxRecordBytes = 4<<20 + 1<<10
	// maxGroupBytes bounds what waits in memory for one Sync.
	maxGroupBytes = 64 << 20
	// minSegmentBytes keeps a segment larger than its header; small ones
	// are for tests of rotation.
	minSegmentBytes = 512
	// maxSegmentBytes keeps positions within a group representable in 32 bits.
	maxSegmentBytes = 1 << 30
	// keptBufferBytes is how much of a grown buffer is kept between groups.
	keptBufferBytes = 1 << 20
)

// Errors that callers branch on.
var (
	// ErrMissing says that there is no log in the directory: it was never
	// created or it was wiped.
	ErrMissing = errors.New("write-ahead log is missing")
	// ErrExists says that [Create] found a log.
	ErrExists = errors.New("write-ahead log exists already")
	// ErrNetwork says that the log belongs to another network.
	ErrNetwork = errors.New("write-ahead log of another network")
	// ErrVersion says that the log has a format that this program does not know.
	ErrVersion = errors.New("write-ahead log of an unknown format version")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("write-ahead log is closed")
)

// CorruptError says where a log does not hold what was synced to it.
type CorruptError struct {
	Segment uint64 // number of the segment
	Offset  int64  // position in its file, bytes
	Reason  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("write-ahead log is corrupt: segment %d, offset %d: %s", e.Segment, e.Offset, e.Reason)
}

// Options of a log. The zero value of each field but Network is its default.
type Options struct {
	// Network is the genesis hash; a log of another network is refused.
	Network common.Hash
	// SegmentBytes is the size of a new segment; a larger group gets a
	// larger segment. Default [DefaultSegmentBytes].
	SegmentBytes int64
	// FS holds the files. Default: the operating system's.
	FS FS
	// Salt of a log to create; 0 draws a random one. A simulation that has
	// to repeat exactly sets it.
	Salt uint64
	// Logger receives a WARN when a torn tail was cut off. Default: none.
	Logger *slog.Logger
	// OnSync, if set, is told how long each write with its sync took.
	OnSync func(took time.Duration)
}

func (o *Options) complete() error {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes {
		return fmt.Errorf("segment size %d is not in [%d, %d]", o.SegmentBytes, minSegmentBytes, maxSegmentBytes)
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// WAL is an open log. Its methods must not be called concurrently. The caller
// makes sure that no other process has the directory open.
type WAL struct {
	dir  string
	opts Options

	salt     uint64
	segments []segment // oldest first; the last one is written to
	file     File      // of the last segment
	offset   int64     // where the next group begins, a multiple of groupAlign
	size     int64     // to which the last segment is allocated
	group    uint64    // number of the next group

	pending []byte // encoded records of the next group, without their checksums
	newest  key    // of pending
	err     error  // latched
}

// segment is what pruning needs to know.
type segment struct {
	number uint64
	newest key // highest (epoch, view) of its records
}

type key struct{ epoch, view uint64 }

func (k key) less(o key) bool {
	return k.epoch < o.epoch || k.epoch == o.epoch && k.view < o.view
}

func maxKey(a, b key) key {
	if a.less(b) {
		return b
	}
	return a
}

// Create makes an empty log in dir, which is created with mode 0700 if needed;
// the log is durable when Create returns. It fails with [ErrExists] if dir
// holds a log.
func Create(dir string, opts Options) error {
	if err := opts.complete(); err != nil {
		return err
	}
	if err := opts.FS.MkdirAll(dir); err != nil {
		return fmt.Errorf("creating the write-ahead log: %w", err)
	}
	numbers, err := listSegments(opts.FS, dir)
	if err != nil {
		return err
	}
	if len(numbers) > 0 {
		return fmt.Errorf("%w in %s", ErrExists, dir)
	}
	if opts.Salt == 0 {
		opts.Salt = randomSalt()
	}
	h := header{segment: 1, firstGroup: 1, salt: opts.Salt, network: opts.Network}
	f, err := createSegment(opts.FS, dir, h, opts.SegmentBytes)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("creating the write-ahead log: %w", err)
	}
	if err := opts.FS.SyncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("creating the write-ahead log: %w", err)
	}
	return nil
}

// Append adds records to the next group, in memory. It copies them. It fails,
// for good, on a record that is too large, of a type that is not allowed (0 and
// 0xC0), or when too much waits for a [WAL.Sync].
func (w *WAL) Append(recs ...consensus.Record) error {
	if w.err != nil {
		return w.err
	}
	for i := range recs {
		r := &recs[i]
		if r.Type == 0 || r.Type == markerType {
			return w.fail(fmt.Errorf("appending to the write-ahead log: record type %d is reserved", r.Type))
		}
		if len(r.Data) > MaxRecordBytes-bodyFixed {
			return w.fail(fmt.Errorf("appending to the write-ahead log: %d bytes of data exceed a record", len(r.Data)))
		}
		if len(w.pending)+recordFixed+len(r.Data) > maxGroupBytes {
			return w.fail(fmt.Errorf("appending to the write-ahead log: more than %d bytes wait for a sync", maxGroupBytes))
		}
		w.pending = appendRecord(w.pending, uint8(r.Type), r.Epoch, r.View, r.Data)
		w.newest = maxKey(w.newest, key{r.Epoch, r.View})
	}
	return nil
}

// Sync makes all appended records durable with one write and one fdatasync,
// after which their promises may leave the process. Without any it does
// nothing. After an error the log accepts nothing anymore, ever: the caller
// stops voting.
func (w *WAL) Sync() error {
	if w.err != nil || len(w.pending) == 0 {
		return w.err
	}
	need := int64(len(w.pending) + markerSize)
	if w.offset+need > w.size {
		if err := w.rotate(need); err != nil {
			return w.fail(fmt.Errorf("rotating the write-ahead log: %w", err))
		}
	}
	records := len(w.pending)
	last := &w.segments[len(w.segments)-1]
	buf := w.sealed(last.number)
	var began time.Time
	if w.opts.OnSync != nil {
		began = time.Now()
	}
	if n, err := w.file.WriteAt(buf, w.offset); (err != nil || n != len(buf)) && !mutant.On(mutant.WALIgnoresSyncError) {
		return w.fail(fmt.Errorf("writing %d bytes to the write-ahead log, %d written: %w", len(buf), n, orShort(err)))
	}
	if err := w.file.Sync(); err != nil && !mutant.On(mutant.WALIgnoresSyncError) {
		return w.fail(fmt.Errorf("syncing the write-ahead log: %w", err))
	}
	if w.opts.OnSync != nil {
		w.opts.OnSync(time.Since(began))
	}
	last.newest = maxKey(last.newest, w.newest)
	w.offset = align(w.offset + int64(len(buf)))
	w.group++
	w.newest = key{}
	w.pending = buf[:0]
	if records > keptBufferBytes {
		w.pending = nil
	}
	return nil
}

// sealed checksums the pending records for their place and adds the marker.
func (w *WAL) sealed(number uint64) []byte {
	s := seed(w.salt, number)
	for rest := w.pending; len(rest) > 0; {
		n := sumRecord(rest, s)
		rest = rest[n:]
	}
	m := marker{group: w.group, bytes: uint32(len(w.pending)), blank: blankSectors(w.offset, w.pending)}
	return m.append(w.pending, s)
}

// rotate starts a segment with room for a group of need bytes. Everything in
// the old one is durable.
func (w *WAL) rotate(need int64) error {
	old := w.segments[len(w.segments)-1]
	h := header{segment: old.number + 1, firstGroup: w.group, salt: w.salt, network: w.opts.Network}
	size := max(w.opts.SegmentBytes, firstGroupOffset+need)
	f, err := createSegment(w.opts.FS, w.dir, h, size)
	if err != nil {
		return err
	}
	closing := w.file
	w.file, w.offset, w.size = f, firstGroupOffset, size
	w.segments = append(w.segments, segment{number: h.segment})
	return closing.Close()
}

// Prune deletes the oldest segments as long as all records of a segment are
// before view belowView of the epoch. It never deletes the segment in use.
func (w *WAL) Prune(epoch, belowView uint64) error {
	if w.err != nil {
		return w.err
	}
	for len(w.segments) > 1 && (w.segments[0].newest.less(key{epoch, belowView}) || mutant.On(mutant.WALPruneTooMuch)) {
		if err := w.opts.FS.Remove(segmentPath(w.dir, w.segments[0].number)); err != nil {
			return w.fail(fmt.Errorf("pruning the write-ahead log: %w", err))
		}
		if err := w.opts.FS.SyncDir(w.dir); err != nil {
			return w.fail(fmt.Errorf("pruning the write-ahead log: %w", err))
		}
		w.segments = w.segments[1:]
	}
	return nil
}

// Close releases the files. Records that were not synced are gone: nobody was
// promised them. Later calls fail with [ErrClosed] or the latched error.
func (w *WAL) Close() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	if w.err == nil {
		w.err = ErrClosed
	}
	w.pending = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("closing the write-ahead log: %w", err)
	}
	return nil
}

// fail latches the first error.
func (w *WAL) fail(err error) error {
	w.err = err
	w.pending = nil
	return err
}
