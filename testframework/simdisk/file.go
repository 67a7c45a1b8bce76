package simdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/tercet-chain/tercet/consensus/wal"
)

// ErrPowerOff is returned by every operation from the planned crash on.
var ErrPowerOff = errors.New("power is off")

// Retention says what a power failure leaves of what was not synced.
type Retention uint8

// The four ways of losing power.
const (
	LoseUnsynced  Retention = iota // nothing
	KeepPrefix                     // the operations up to some byte
	KeepPages                      // any subset of the pages
	TornLastPage                   // all but the end of the last page
	retentionEnds                  // count of the modes
)

// Retentions lists every mode.
func Retentions() []Retention {
	return []Retention{LoseUnsynced, KeepPrefix, KeepPages, TornLastPage}
}

func (r Retention) String() string {
	names := [retentionEnds]string{"lose unsynced", "keep prefix", "keep pages", "torn last page"}
	if r < retentionEnds {
		return names[r]
	}
	return fmt.Sprintf("Retention(%d)", uint8(r))
}

// Fault is what happens to one operation.
type Fault struct {
	// Err is returned; the operation has no effect, except that a write
	// stores its first Short bytes and a failed sync drops the dirty pages
	// while they stay readable, as Linux does. Nil with Short > 0 is a
	// short write without an error.
	Err error
	// Short is how many bytes of a write arrive.
	Short int
	// Sticky repeats the fault for every later operation.
	Sticky bool
	// Lost makes syncs of files and directories report success and do
	// nothing, as a disk that lies does. Other operations go through.
	Lost bool
	// PowerOff ends the machine instead: the operation and all later ones
	// return [ErrPowerOff], a write having reached the page cache.
	PowerOff bool
}

// Names of the operations to which a fault may do something of its own.
const (
	opWrite   = "write"
	opSync    = "sync"
	opSyncDir = "syncdir"
)

// Files is a file system in memory with a page cache that can be lost. It
// counts the operations that change something (all but reading, listing and
// closing) from 1. It is safe for concurrent use.
type Files struct {
	mu      sync.Mutex // guards the fields below and all inodes
	rng     *rand.Rand
	ops     int
	trace   []string
	faults  map[int]Fault
	next    []plannedFault // of the next operations by name
	sticky  *Fault
	failed  int // operations that did not do what they were asked for, and said so
	off     bool
	names   map[string]*inode // as processes see it
	durable map[string]*inode // as the disk has it
	pending []nameOp          // since the last sync of their directory
	dirs    map[string]bool
}

var _ wal.FS = (*Files)(nil)

type inode struct {
	cache   []byte
	durable []byte
	writes  []write // since the last sync, oldest first
}

// write is one change of the cache; nil data is a truncation to offset.
type write struct {
	offset int64
	data   []byte
}

// nameOp sets names to inodes (nil removes), atomically.
type nameOp struct {
	dir string
	set map[string]*inode
}

// NewFiles returns an empty file system; seed decides what is lost by chance.
func NewFiles(seed uint64) *Files {
	return &Files{
		rng: rand.New(rand.NewPCG(seed, 0)), faults: map[int]Fault{}, dirs: map[string]bool{},
		names: map[string]*inode{}, durable: map[string]*inode{},
	}
}

// FailAt plans a fault for the op-th operation from the file system's start.
func (d *Files) FailAt(op int, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[op] = f
}

// plannedFault happens to the operation of a name that comes after some others.
type plannedFault struct {
	op    string
	after int
	fault Fault
}

// FailNext plans a fault for an operation named op ("write", "sync", "syncdir", "create", "rename", …),
// the first one from here on after having let some pass.
func (d *Files) FailNext(op string, pass int, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = append(d.next, plannedFault{op, pass, f})
}

// Mend forgets planned and sticky faults. What power failures and failed syncs have done stays done.
func (d *Files) Mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.faults)
	d.next, d.sticky = nil, nil
}

// Ops returns the names of the operations so far, such as "write" and "sync".
func (d *Files) Ops() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.trace)
}

// Failures counts the operations that did less than they were asked for and said so: with an error, or with
// a write's count of bytes.
func (d *Files) Failures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Reboot ends all use of d and returns what the disk holds after a power
// failure, without planned faults.
func (d *Files) Reboot(mode Retention) *Files {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	next := NewFiles(d.rng.Uint64())
	next.dirs = maps.Clone(d.dirs)
	kept := make(map[*inode]*inode)
	names := d.keptNames(mode)
	for _, name := range slices.Sorted(maps.Keys(names)) { // chance decides file by file
		n := names[name]
		if kept[n] == nil {
			b := d.keptBytes(n, mode)
			kept[n] = &inode{cache: b, durable: slices.Clone(b)}
		}
		next.names[name] = kept[n]
	}
	next.durable = maps.Clone(next.names)
	return next
}

func (d *Files) keptNames(mode Retention) map[string]*inode {
	names := maps.Clone(d.durable)
	prefix := d.rng.IntN(len(d.pending) + 1)
	for i, op := range d.pending {
		keep := mode == TornLastPage || mode == KeepPrefix && i < prefix || mode == KeepPages && d.rng.IntN(2) == 0
		if keep {
			op.apply(names)
		}
	}
	return names
}

func (op nameOp) apply(names map[string]*inode) {
	for name, n := range op.set {
		if n == nil {
			delete(names, name)
		} else {
			names[name] = n
		}
	}
}

// keptBytes decides what is left of one file.
func (d *Files) keptBytes(n *inode, mode Retention) []byte {
	page := []int{512, 4096}[d.rng.IntN(2)]
	switch {
	case len(n.writes) == 0 || mode == LoseUnsynced:
		return slices.Clone(n.durable)
	case mode == KeepPrefix:
		return d.keptPrefix(n)
	}
	out := slices.Clone(n.durable)
	if len(out) < len(n.cache) || d.rng.IntN(2) == 0 {
		out = resize(out, len(n.cache))
	}
	last := -1
	for at := 0; at < len(out); at += page {
		end := min(at+page, len(out))
		fresh := slice(n.cache, at, end)
		if string(fresh) == string(out[at:end]) {
			continue
		}
		if last = at; mode == TornLastPage || d.rng.IntN(2) == 0 {
			copy(out[at:end], fresh)
		}
	}
	if last >= 0 && mode == TornLastPage {
		end := min(last+page, len(out))
		cut := last + d.rng.IntN(end-last)
		copy(out[cut:end], slice(n.durable, cut, end))
	}
	return out
}

func (d *Files) keptPrefix(n *inode) []byte {
	total := 0
	for _, w := range n.writes {
		total += max(1, len(w.data))
	}
	budget := d.rng.IntN(total + 1)
	out := slices.Clone(n.durable)
	for _, w := range n.writes {
		if budget == 0 {
			break
		}
		if w.data == nil {
			out = resize(out, int(w.offset))
			budget--
			continue
		}
		k := min(budget, len(w.data))
		out = put(out, w.offset, w.data[:k])
		budget -= k
	}
	return out
}

// slice is b[from:to] as if zeros followed b.
func slice(b []byte, from, to int) []byte {
	out := make([]byte, to-from)
	if from < len(b) {
		copy(out, b[from:])
	}
	return out
}

func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

func put(b []byte, offset int64, data []byte) []byte {
	if end := int(offset) + len(data); end > len(b) {
		b = resize(b, end)
	}
	copy(b[offset:], data)
	return b
}

// begin counts an operation and returns its fault. The caller holds mu.
func (d *Files) begin(op string) *Fault {
	if d.off {
		d.failed++
		return &Fault{Err: ErrPowerOff}
	}
	d.ops++
	d.trace = append(d.trace, op)
	f := d.faultOf(op)
	if f == nil || f.Lost && op != opSync && op != opSyncDir {
		return nil
	}
	if f.Err != nil {
		d.failed++
	}
	return f
}

// faultOf is what happens to the operation that was just counted. The caller holds mu.
func (d *Files) faultOf(op string) *Fault {
	f, ok := d.faults[d.ops]
	if !ok {
		f, ok = d.planned(op)
	}
	if !ok {
		return d.sticky
	}
	if f.Sticky {
		d.sticky = &f
	}
	if f.PowerOff {
		d.off = true
		f.Err = ErrPowerOff
	}
	return &f
}

// planned takes the fault that FailNext left for an operation. The caller holds mu.
func (d *Files) planned(op string) (Fault, bool) {
	for i := range d.next {
		if d.next[i].op != op {
			continue
		}
		if d.next[i].after > 0 {
			d.next[i].after--
			return Fault{}, false
		}
		f := d.next[i].fault
		d.next = slices.Delete(d.next, i, i+1)
		return f, true
	}
	return Fault{}, false
}

// changeNames performs a change of directory entries. On a power failure the
// change was made but not synced. The caller holds mu.
func (d *Files) changeNames(op, dir string, set map[string]*inode) error {
	f := d.begin(op)
	if f == nil || f.PowerOff || f.Err == nil {
		n := nameOp{dir, set}
		n.apply(d.names)
		d.pending = append(d.pending, n)
	}
	if f != nil {
		return f.Err
	}
	return nil
}

// MkdirAll makes a directory, durably.
func (d *Files) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.begin("mkdir"); f != nil && f.Err != nil {
		return f.Err
	}
	d.dirs[dir] = true
	return nil
}

// List names the files in dir, sorted.
func (d *Files) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPowerOff
	}
	if !d.dirs[dir] {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if filepath.Dir(name) == dir {
			out = append(out, filepath.Base(name))
		}
	}
	return out, nil
}

// Open opens a file, or makes an empty one.
func (d *Files) Open(name string, create bool) (wal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if create {
		n := &inode{}
		if err := d.changeNames("create", filepath.Dir(name), map[string]*inode{name: n}); err != nil {
			return nil, err
		}
		return &File{disk: d, inode: n}, nil
	}
	if d.off {
		return nil, ErrPowerOff
	}
	n := d.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &File{disk: d, inode: n}, nil
}

// Rename moves a file, replacing another one.
func (d *Files) Rename(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[oldName]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldName, Err: fs.ErrNotExist}
	}
	return d.changeNames("rename", filepath.Dir(newName), map[string]*inode{oldName: nil, newName: n})
}

// Remove deletes a file.
func (d *Files) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	return d.changeNames("remove", filepath.Dir(name), map[string]*inode{name: nil})
}

// SyncDir makes the names in dir durable.
func (d *Files) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.begin(opSyncDir); f != nil && (f.Err != nil || f.Lost) {
		return f.Err
	}
	d.pending = slices.DeleteFunc(d.pending, func(op nameOp) bool {
		if op.dir == dir {
			op.apply(d.durable)
		}
		return op.dir == dir
	})
	return nil
}

// Corrupt changes a file's bytes in cache and on disk, uncounted.
func (d *Files) Corrupt(name string, change func(b []byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.names[name]; n != nil {
		n.cache = change(slices.Clone(n.cache))
		n.durable = slices.Clone(n.cache)
		n.writes = nil
	}
}

// File is an open file of [Files].
type File struct {
	disk  *Files
	inode *inode
}

// ReadAt reads from the page cache.
func (f *File) ReadAt(b []byte, offset int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.off {
		return 0, ErrPowerOff
	}
	if offset >= int64(len(f.inode.cache)) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.cache[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes to the page cache.
func (f *File) WriteAt(b []byte, offset int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n, err := len(b), error(nil)
	if fault := f.disk.begin(opWrite); fault != nil {
		err = fault.Err
		if !fault.PowerOff {
			n = min(len(b), fault.Short)
		}
		if err == nil && n < len(b) {
			f.disk.failed++
		}
		if errors.Is(err, ErrPowerOff) && !fault.PowerOff {
			return 0, err
		}
	}
	data := slices.Clone(b[:n])
	if n > 0 {
		f.inode.cache = put(f.inode.cache, offset, data)
		f.inode.writes = append(f.inode.writes, write{offset, data})
	}
	return n, err
}

// Allocate extends the file with zeros.
func (f *File) Allocate(size int64) error {
	return f.resize("allocate", max(size, int64(f.len())))
}

// Truncate sets the file's size.
func (f *File) Truncate(size int64) error { return f.resize("truncate", size) }

func (f *File) len() int {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return len(f.inode.cache)
}

func (f *File) resize(op string, size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	fault := f.disk.begin(op)
	if fault == nil || fault.PowerOff || fault.Err == nil {
		f.inode.cache = resize(f.inode.cache, int(size))
		f.inode.writes = append(f.inode.writes, write{offset: size})
	}
	if fault != nil {
		return fault.Err
	}
	return nil
}

// Sync makes the file durable. Failing, it forgets that pages are dirty. The
// power may go after the pages have reached the disk.
func (f *File) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	fault := f.disk.begin(opSync)
	switch {
	case fault != nil && fault.Lost:
		return nil
	case fault == nil || fault.Err == nil:
		f.inode.flush()
		return nil
	case fault.PowerOff && f.disk.rng.IntN(2) == 0:
		f.inode.flush()
	case !errors.Is(fault.Err, ErrPowerOff):
		f.inode.writes = nil
	}
	return fault.Err
}

// flush writes the dirty parts only: what a failed sync forgot stays away.
func (n *inode) flush() {
	for _, w := range n.writes {
		if w.data == nil {
			n.durable = resize(n.durable, int(w.offset))
		} else {
			n.durable = put(n.durable, w.offset, w.data)
		}
	}
	n.writes = nil
}

// Close closes the file; its pages stay where they are.
func (f *File) Close() error { return nil }

// Errors of a disk for [Fault.Err].
var (
	ErrIO   error = syscall.EIO
	ErrFull error = syscall.ENOSPC
)
