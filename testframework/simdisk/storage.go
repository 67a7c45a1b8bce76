package simdisk

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// LevelDB injects faults under several LevelDB databases of one machine. Its operations, from 1, are
// the creations, writes, syncs, renames, removals and changes of the current manifest. Those that
// return have reached the page cache; a power failure takes what was not synced. It is safe for
// concurrent use.
type LevelDB struct {
	mu     sync.Mutex // guards the fields below; held during operations, so that none passes a power failure
	rng    *rand.Rand
	trace  []string
	faults map[int]Fault
	next   map[string]Fault // by a part of the operation's name
	sticky *Fault
	off    bool
	mode   Retention
	files  map[fileID]*tracked
	stores []*faultyStorage
}

type fileID struct {
	database string
	fd       storage.FileDesc
}

// tracked is what a power failure would do to a file.
type tracked struct {
	size, synced int64
	lost         [][2]int64 // pages that a failed sync has dropped: readable, never written
}

// NewLevelDB returns a machine without faults; seed decides what is lost by chance.
func NewLevelDB(seed uint64) *LevelDB {
	return &LevelDB{
		rng: rand.New(rand.NewPCG(seed, 1)), faults: map[int]Fault{}, next: map[string]Fault{},
		files: map[fileID]*tracked{},
	}
}

// FailAt plans a fault for the op-th operation.
func (d *LevelDB) FailAt(op int, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[op] = f
}

// FailNext plans a fault for the next operation whose name contains part, such as "sync" or
// "blocks.ldb journal write".
func (d *LevelDB) FailNext(part string, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next[part] = f
}

// Ops returns the names of the operations so far: database, kind of file and operation.
func (d *LevelDB) Ops() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.trace)
}

// Wrap puts the machine's faults over the files of a database. Files that exist already are durable.
func (d *LevelDB) Wrap(database string, s storage.Storage) storage.Storage {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &faultyStorage{Storage: s, disk: d, database: database}
	d.stores = append(d.stores, w)
	return w
}

// begin counts an operation; the fault, if any, is to be carried out. The caller holds mu.
func (d *LevelDB) begin(name string) *Fault {
	if d.off {
		return &Fault{Err: ErrPowerOff}
	}
	d.trace = append(d.trace, name)
	f, ok := d.faults[len(d.trace)]
	if !ok && d.sticky != nil {
		return d.sticky
	}
	for _, part := range slices.Sorted(maps.Keys(d.next)) {
		if !ok && strings.Contains(name, part) {
			f, ok = d.next[part], true
			delete(d.next, part)
		}
	}
	if !ok {
		return nil
	}
	if f.PowerOff {
		f.Err = ErrPowerOff
		d.off = true
	}
	if f.Sticky {
		d.sticky = &f
	}
	return &f
}

// Off reports whether the planned power failure has come.
func (d *LevelDB) Off() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off
}

// Retain chooses what a planned power failure leaves; see [LevelDB.PowerOff].
func (d *LevelDB) Retain(mode Retention) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode = mode
}

// PowerOff ends the machine and leaves in the files what the disk holds: with [LoseUnsynced] what was
// synced, with [KeepPrefix] also some bytes after it, with [TornLastPage] and [KeepPages] all bytes
// but with some of the unsynced tail zeroed. Creations, renames and removals are durable at once.
// Files of a database that is open lose at once, after a planned power failure they lose when the
// database is closed; one that was closed before has lost nothing. Then the files can be opened
// without d.
func (d *LevelDB) PowerOff(mode Retention) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off, d.mode = true, mode
	var errs []error
	for _, s := range d.stores {
		errs = append(errs, s.lose())
	}
	return errors.Join(errs...)
}

// lose brings the files of a database to what the disk holds, once. The caller holds the disk's lock.
func (s *faultyStorage) lose() error {
	if s.closed {
		return nil
	}
	s.closed = true
	d := s.disk
	fds, err := s.Storage.List(storage.TypeAll)
	errs := []error{err}
	for _, fd := range fds {
		if t := d.files[fileID{s.database, fd}]; t != nil && (t.synced < t.size || len(t.lost) > 0) {
			errs = append(errs, rewrite(s.Storage, fd, func(b []byte) []byte { return d.kept(t, b, d.mode) }))
		}
	}
	return errors.Join(errs...)
}

// Close gives up the files, after the losses of a power failure that has come.
func (s *faultyStorage) Close() error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	var err error
	if s.disk.off {
		err = s.lose()
	}
	s.closed = true
	return errors.Join(err, s.Storage.Close())
}

func (d *LevelDB) kept(t *tracked, b []byte, mode Retention) []byte {
	synced := min(int(t.synced), len(b))
	tail := b[synced:]
	switch mode {
	case LoseUnsynced:
		b = b[:synced]
	case KeepPrefix:
		b = b[:synced+d.rng.IntN(len(tail)+1)]
	case TornLastPage, KeepPages:
		if len(tail) > 0 {
			clear(tail[d.rng.IntN(len(tail)):])
		}
	}
	for _, r := range t.lost {
		if int(r[0]) < len(b) {
			clear(b[r[0]:min(int(r[1]), len(b))])
		}
	}
	return b
}

// rewrite replaces a file's content.
func rewrite(s storage.Storage, fd storage.FileDesc, change func([]byte) []byte) error {
	r, err := s.Open(fd)
	if err != nil {
		return fmt.Errorf("reading %s: %w", fd, err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("reading %s: %w", fd, err)
	}
	w, err := s.Create(fd)
	if err != nil {
		return fmt.Errorf("writing %s: %w", fd, err)
	}
	_, err = w.Write(change(b))
	return errors.Join(err, w.Sync(), w.Close())
}

// FlipBit inverts one bit of a file at rest. A bit beyond its end is counted from the start again.
func FlipBit(s storage.Storage, fd storage.FileDesc, bit int64) error {
	return rewrite(s, fd, func(b []byte) []byte {
		if len(b) > 0 {
			bit %= 8 * int64(len(b))
			b[bit/8] ^= 1 << (bit % 8)
		}
		return b
	})
}

// faultyStorage is one database's files; operations that only read pass through until the power is off.
type faultyStorage struct {
	storage.Storage
	disk     *LevelDB
	database string
	closed   bool // or past its power failure; guarded by the disk's mutex
}

var _ storage.Storage = (*faultyStorage)(nil)

// do runs one counted operation under the disk's lock.
func (s *faultyStorage) do(op string, run func() error) error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if f := s.disk.begin(s.database + " " + op); f != nil && f.Err != nil {
		return f.Err
	}
	return run()
}

func (s *faultyStorage) id(fd storage.FileDesc) fileID { return fileID{s.database, fd} }

func (s *faultyStorage) SetMeta(fd storage.FileDesc) error {
	return s.do("current set", func() error { return s.Storage.SetMeta(fd) })
}

func (s *faultyStorage) Remove(fd storage.FileDesc) error {
	return s.do(fd.Type.String()+" remove", func() error {
		delete(s.disk.files, s.id(fd))
		return s.Storage.Remove(fd)
	})
}

func (s *faultyStorage) Rename(from, to storage.FileDesc) error {
	return s.do(from.Type.String()+" rename", func() error {
		if t := s.disk.files[s.id(from)]; t != nil {
			delete(s.disk.files, s.id(from))
			s.disk.files[s.id(to)] = t
		}
		return s.Storage.Rename(from, to)
	})
}

func (s *faultyStorage) Open(fd storage.FileDesc) (storage.Reader, error) {
	if s.disk.Off() {
		return nil, ErrPowerOff
	}
	return s.Storage.Open(fd)
}

func (s *faultyStorage) Create(fd storage.FileDesc) (storage.Writer, error) {
	var w storage.Writer
	t := new(tracked)
	err := s.do(fd.Type.String()+" create", func() (err error) {
		w, err = s.Storage.Create(fd)
		s.disk.files[s.id(fd)] = t
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultyWriter{Writer: w, storage: s, tracked: t, kind: fd.Type.String()}, nil
}

type faultyWriter struct {
	storage.Writer
	storage *faultyStorage
	tracked *tracked // guarded by the disk's mutex
	kind    string
}

func (w *faultyWriter) Write(b []byte) (int, error) {
	d := w.storage.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	var fault error
	if f := d.begin(w.storage.database + " " + w.kind + " write"); f != nil {
		fault = f.Err
		if !f.PowerOff {
			b = b[:min(f.Short, len(b))]
		}
	}
	if errors.Is(fault, ErrPowerOff) && len(b) == 0 {
		return 0, fault
	}
	n, err := w.Writer.Write(b)
	w.tracked.size += int64(n)
	return n, errors.Join(fault, err)
}

func (w *faultyWriter) Sync() error {
	d, t := w.storage.disk, w.tracked
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.begin(w.storage.database + " " + w.kind + " sync"); f != nil && f.Err != nil {
		if !d.off {
			t.lost = append(t.lost, [2]int64{t.synced, t.size})
			t.synced = t.size
		}
		return f.Err
	}
	if err := w.Writer.Sync(); err != nil {
		return err
	}
	t.synced = t.size
	return nil
}
