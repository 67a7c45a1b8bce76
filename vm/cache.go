package vm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
)

// Compiled code is machine code that this process will jump into, so it is never trusted for lying where it
// was put. wazero looks up a file by the hash of module and CPU features, and checks the length of its header
// and a CRC of the instructions, not of the table of where functions begin; what fails that check is an error,
// not a miss. So wazero is never shown the cache: each worker has a directory of its own, empty but for the
// moment of a compilation, its desk. What is on the shelf is checked as a whole before it is laid on the desk,
// and anything that is wrong with it is a miss.

const (
	// maxEntryBytes of one file: a module of 128 KiB makes less than a tenth of it.
	maxEntryBytes = 64 << 20
	// maxShelfBytes of all files, some 5,000 large contracts. Only what a chain activated is added, see
	// [Engine.CallWorker].
	maxShelfBytes = 4 << 30

	entryMagic  = "tercet compiled code 1\n"
	deskPrefix  = "desk-"
	shelfPrefix = "shelf-"
)

// cache is a directory of compiled code. It is safe for concurrent use. A nil cache keeps nothing.
type cache struct {
	dir string
	// shelf is where entries of this wazero, Go, architecture and CPU are; set once, before workers exist.
	shelf string
	print [32]byte // what shelf stands for, part of every entry's hash

	mu    sync.Mutex
	bytes int64 // on the shelf
}

// openCache takes over a directory.
func openCache(dir string) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("others can write to it (mode %#o): whoever can replaces the code of contracts; chmod 700 it, or delete it", mode)
	}
	c := &cache{dir: dir}
	return c, c.sweep()
}

// sweep removes desks: those of a process that was killed, or of workers that were not closed.
func (c *cache) sweep() error { return removeAll(c.dir, deskPrefix, "") }

// removeAll removes what a directory has with a prefix, but for one.
func removeAll(dir, prefix, except string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if path := filepath.Join(dir, e.Name()); strings.HasPrefix(e.Name(), prefix) && path != except {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// identify chooses the shelf by what wazero made of a module on this machine: the name of its file is a hash over
// the CPU's features, the directory's is its version and the architecture, and the code is what this compiler
// makes. Shelves of another wazero, Go or CPU are thrown away.
func (c *cache) identify(files, name string, code []byte) error {
	id := sha256.New()
	for _, part := range []string{filepath.Base(files), name, runtime.Version(), runtime.GOARCH, string(code)} {
		fmt.Fprintf(id, "%d:%s", len(part), part)
	}
	id.Sum(c.print[:0])
	c.shelf = filepath.Join(c.dir, shelfPrefix+hex.EncodeToString(c.print[:16]))
	if err := removeAll(c.dir, shelfPrefix, c.shelf); err != nil {
		return err
	}
	if err := os.MkdirAll(c.shelf, 0o700); err != nil {
		return err
	}
	entries, err := c.entries()
	for _, e := range entries {
		c.bytes += e.Size()
	}
	return err
}

// entries are the files on the shelf, the oldest first.
func (c *cache) entries() ([]fs.FileInfo, error) {
	list, err := os.ReadDir(c.shelf)
	if err != nil {
		return nil, err
	}
	var infos []fs.FileInfo
	for _, e := range list {
		if info, err := e.Info(); err == nil { // else it was removed by hand
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return infos, nil
}

// hash names an entry, or with contents vouches for it.
func (c *cache) hash(key moduleKey, contents ...[]byte) []byte {
	h := sha256.New()
	h.Write(c.print[:])
	h.Write(key.code[:])
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(key.version)))
	for _, part := range contents {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

func (c *cache) path(key moduleKey) string {
	return filepath.Join(c.shelf, hex.EncodeToString(c.hash(key)))
}

// load returns what wazero had made of a module, and the name it gave it. An entry is
//
//	magic | SHA-256 over shelf, key, name and code | name in 64 hexadecimal digits | code
//
// and anything else, or nothing, is a miss.
func (c *cache) load(key moduleKey) (name string, code []byte, ok bool) {
	path := c.path(key)
	if info, err := os.Stat(path); err != nil || info.Size() > maxEntryBytes {
		return "", nil, false
	}
	entry, err := os.ReadFile(path)
	if err != nil {
		return "", nil, false
	}
	rest, ok := bytes.CutPrefix(entry, []byte(entryMagic))
	if !ok || len(rest) < 96 {
		return "", nil, false
	}
	sum, name, code := rest[:32], string(rest[32:96]), rest[96:]
	if !bytes.Equal(sum, c.hash(key, []byte(name), code)) {
		return "", nil, false
	}
	if _, err := hex.DecodeString(name); err != nil {
		return "", nil, false
	}
	return name, code, true
}

// store puts an entry on the shelf. A cache that cannot be written to is slower and no worse.
func (c *cache) store(key moduleKey, name string, code []byte) {
	if len(name) != 64 || len(code)+len(entryMagic)+96 > maxEntryBytes {
		return
	}
	entry := slices.Concat([]byte(entryMagic), c.hash(key, []byte(name), code), []byte(name), code)
	path := c.path(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes += int64(len(entry)); c.bytes > maxShelfBytes {
		c.prune()
	}
	// Not synced: a torn file does not have its hash.
	if os.WriteFile(path+".new", entry, 0o600) != nil || os.Rename(path+".new", path) != nil {
		os.Remove(path + ".new") // nothing more can be done, and the next one overwrites it
	}
}

// prune removes the oldest entries until half of the shelf is free. The caller holds mu.
func (c *cache) prune() {
	entries, err := c.entries()
	if err != nil {
		return
	}
	c.bytes = 0
	for _, e := range entries {
		c.bytes += e.Size()
	}
	for _, e := range entries {
		if c.bytes <= maxShelfBytes/2 {
			return
		}
		if os.Remove(filepath.Join(c.shelf, e.Name())) == nil {
			c.bytes -= e.Size()
		}
	}
}

// desk is where one worker's wazero keeps files. It holds what is being compiled, otherwise nothing. A nil desk
// compiles in memory only.
type desk struct {
	cache  *cache
	reads  bool   // and adds nothing to the shelf
	dir    string // of the worker
	files  string // where wazero has its files, below dir
	wazero wazero.CompilationCache
}

// desk makes a desk.
func (c *cache) desk() (*desk, error) {
	if c == nil {
		return nil, nil
	}
	dir, err := os.MkdirTemp(c.dir, deskPrefix)
	if err != nil {
		return nil, err
	}
	d := &desk{cache: c, dir: dir}
	if d.wazero, err = wazero.NewCompilationCacheWithDir(dir); err == nil {
		var made []os.DirEntry
		if made, err = os.ReadDir(dir); err == nil && len(made) != 1 {
			err = fmt.Errorf("wazero made %d directories in %s, not one", len(made), dir)
		}
		if err == nil {
			d.files = filepath.Join(dir, made[0].Name())
			return d, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

func (d *desk) close() error {
	if d == nil {
		return nil
	}
	return errors.Join(d.wazero.Close(background()), os.RemoveAll(d.dir))
}

// compile compiles a module, or lets wazero find it on the desk.
func (d *desk) compile(r wazero.Runtime, key moduleKey, wasm []byte) (wazero.CompiledModule, error) {
	if d == nil {
		return compileSafely(r, wasm)
	}
	known := ""
	if name, code, ok := d.cache.load(key); ok && os.WriteFile(filepath.Join(d.files, name), code, 0o600) == nil {
		known = name
	}
	compiled, err := compileSafely(r, wasm)
	if err != nil {
		// If wazero has compiled and only not been able to write (a full disk), it has it in memory. If it has
		// choked on the file, the file is gone.
		d.clear()
		compiled, err = compileSafely(r, wasm)
	}
	if err == nil && !d.reads {
		if name, code := d.made(known); name != "" {
			d.cache.store(key, name, code)
		}
	}
	d.clear()
	return compiled, err
}

// made is the file on the desk that was not there before.
func (d *desk) made(known string) (string, []byte) {
	files, err := os.ReadDir(d.files)
	if err != nil {
		return "", nil
	}
	for _, f := range files {
		if name := f.Name(); name != known && !strings.HasSuffix(name, ".tmp") {
			if code, err := os.ReadFile(filepath.Join(d.files, name)); err == nil {
				return name, code
			}
		}
	}
	return "", nil
}

func (d *desk) clear() {
	files, err := os.ReadDir(d.files)
	if err != nil {
		return
	}
	for _, f := range files {
		os.Remove(filepath.Join(d.files, f.Name())) // found by the next compilation, which is of another name
	}
}

// compileSafely turns a panic of the compiler into an error: modules come from strangers.
func compileSafely(r wazero.Runtime, wasm []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); ok {
				err = fmt.Errorf("wazero's compiler panicked: %w", e)
			} else {
				err = fmt.Errorf("wazero's compiler panicked: %v", p)
			}
		}
	}()
	return r.CompileModule(background(), wasm)
}
