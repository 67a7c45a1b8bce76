package vm_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/vmtest"
)

// entries are the files of compiled code in a cache directory.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(filepath.Base(filepath.Dir(path)), "shelf-") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// count runs the counter once in a new engine on a directory, and checks that it counts.
func count(t *testing.T, dir string) vm.Answer {
	t.Helper()
	w := newWorld(t, vm.Config{CacheDir: dir})
	got := w.sendTo(w.deploy(counter), nil, nil, plenty)
	if got.Outcome != vm.Success || got.Output[31] != 1 {
		t.Fatalf("got outcome %d, %x", got.Outcome, got.Output)
	}
	return got
}

func TestCache_isUsedAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "below [*", "cache")
	cold := count(t, dir)
	files := entries(t, dir)
	if len(files) != 3 { // the self-test, the puppet, the counter
		t.Fatalf("got %d entries, want 3", len(files))
	}
	before := map[string]os.FileInfo{}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", f, mode)
		}
		before[f] = info
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	if warm := count(t, dir); warm.GasLeft != cold.GasLeft || !bytes.Equal(warm.Output, cold.Output) {
		t.Errorf("got %d gas left and %x with a warm cache, %d and %x with a cold one", warm.GasLeft, warm.Output, cold.GasLeft, cold.Output)
	}
	for _, f := range entries(t, dir) {
		if info, err := os.Stat(f); err != nil || before[f] == nil || !info.ModTime().Equal(before[f].ModTime()) {
			t.Errorf("%s was written again", f)
		}
	}
}

// TestCache_callsAddNothing compiles on a worker for calls, and finds there what another worker compiled.
func TestCache_callsAddNothing(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, vm.Config{CacheDir: dir})
	w, err := e.CallWorker()
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range [][]byte{counter, selfTest(t)} {
		if err := w.Prepare(code); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if files := entries(t, dir); len(files) != 1 { // the self-test
		t.Errorf("got %d entries, want 1", len(files))
	}
}

// selfTest is the code that an engine has compiled already.
func selfTest(t *testing.T) []byte {
	t.Helper()
	code, err := os.ReadFile("selftest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestCache_leavesNothingButEntries(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, vm.Config{CacheDir: dir})
	w, err := e.Worker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Prepare(counter); err != nil {
		t.Fatal(err)
	}
	desks := func() []string {
		list, err := filepath.Glob(filepath.Join(dir, "desk-*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if len(desks()) != 1 {
		t.Errorf("got %d desks for one worker", len(desks()))
	}
	// As if the process had been killed: the next one sweeps.
	newEngine(t, vm.Config{CacheDir: dir})
	if len(desks()) != 0 {
		t.Errorf("got %d desks after a restart, want none", len(desks()))
	}
	// The first worker's desk is gone while it still compiles: it goes on without.
	if err := w.Prepare(puppet); err != nil {
		t.Errorf("without a desk: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestCache_isNotTrusted damages entries in every way that a disk, a crash or a copy from another machine does.
func TestCache_isNotTrusted(t *testing.T) {
	dir := t.TempDir()
	cold := count(t, dir)
	files := entries(t, dir)
	good := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		good[f] = b
	}
	damage := map[string]func(b []byte) []byte{
		"empty":                     func([]byte) []byte { return nil },
		"truncated":                 func(b []byte) []byte { return b[:len(b)-1] },
		"truncated to its header":   func(b []byte) []byte { return b[:100] },
		"garbage":                   func(b []byte) []byte { return bytes.Repeat([]byte{0xcc}, len(b)) },
		"longer":                    func(b []byte) []byte { return append(b, 0) },
		"of another format":         func(b []byte) []byte { b[0] ^= 1; return b },
		"a flipped bit of the code": func(b []byte) []byte { b[len(b)-200] ^= 4; return b },
		"a flipped bit of the name": func(b []byte) []byte { b[80] ^= 1; return b },
		"a flipped bit of the hash": func(b []byte) []byte { b[30] ^= 1; return b },
		// Where functions begin: 4 bytes of a number, 8 for each; wazero's checksum does not cover it.
		"a function that begins elsewhere": func(b []byte) []byte { b[bytes.Index(b, []byte("WAZEVO"))+30] ^= 1; return b },
	}
	restored := func(name string) {
		t.Helper()
		if again := count(t, dir); again.GasLeft != cold.GasLeft {
			t.Errorf("%s: %d gas left, %d before", name, again.GasLeft, cold.GasLeft)
		}
		for f, b := range good {
			if now, err := os.ReadFile(f); err != nil || !bytes.Equal(now, b) {
				t.Errorf("%s: the entry was not made again (%v)", name, err)
			}
		}
	}
	for name, change := range damage {
		for f, b := range good {
			if err := os.WriteFile(f, change(bytes.Clone(b)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		restored(name)
	}
	// An entry that is whole, but of another contract.
	for i, f := range files {
		if err := os.WriteFile(f, good[files[(i+1)%len(files)]], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	restored("another contract's")
	// A directory where a file should be cannot be read or written, and is no obstacle.
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(f, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if again := count(t, dir); again.GasLeft != cold.GasLeft {
		t.Errorf("directories: %d gas left, %d before", again.GasLeft, cold.GasLeft)
	}
}

func TestCache_forgetsOtherMachines(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "shelf-00000000000000000000000000000000")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	count(t, dir)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the shelf of another compiler is still there: %v", err)
	}
	shelves, err := filepath.Glob(filepath.Join(dir, "shelf-*"))
	if err != nil || len(shelves) != 1 {
		t.Fatalf("got %q, %v, want one shelf", shelves, err)
	}
	count(t, dir)
	if again, err := filepath.Glob(filepath.Join(dir, "shelf-*")); err != nil || len(again) != 1 || again[0] != shelves[0] {
		t.Errorf("got %q, %v, want %q: what a machine compiles does not change", again, err, shelves)
	}
}

func TestCache_thatCannotBeUsedIsDoneWithout(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{"a file": file, "below a file": filepath.Join(file, "cache"), "one that others can write to": open}
	if os.Geteuid() != 0 { // to whom nothing is read-only
		readOnly := filepath.Join(base, "read-only")
		if err := os.Mkdir(readOnly, 0o500); err != nil {
			t.Fatal(err)
		}
		dirs["read-only"] = readOnly
	}
	if err := os.Mkdir("/sys/tercet", 0o700); err != nil { // a file system that nobody can write to
		dirs["on a read-only file system"] = "/sys/tercet"
	}
	for name, dir := range dirs {
		t.Run(name, func(t *testing.T) {
			e, err := vm.New(vm.Config{CacheDir: dir, Log: testlog.New(t, testlog.Require("the cache directory cannot be used"))})
			if err != nil {
				t.Fatalf("got %v, want an engine without a cache", err)
			}
			worker := newWorker(t, e)
			w := &world{World: vmtest.New(worker), t: t, worker: worker}
			if got := w.sendTo(w.deploy(counter), nil, nil, plenty); got.Outcome != vm.Success {
				t.Errorf("got outcome %d", got.Outcome)
			}
			if files := entries(t, dir); strings.Join(files, "") != "" {
				t.Errorf("it was used: %q", files)
			}
		})
	}
}

func BenchmarkWorker_Prepare(b *testing.B) {
	for _, bb := range []struct {
		name string
		dir  func() string
	}{
		{"cold", func() string { return "" }},
		{"warm", b.TempDir},
	} {
		for name, code := range map[string][]byte{"counter": counter, "erc20": erc20, "puppet": puppet} {
			b.Run("cache="+bb.name+"/contract="+name, func(b *testing.B) {
				e := newEngine(b, vm.Config{CacheDir: bb.dir()})
				for b.Loop() {
					w := newWorker(b, e)
					start := cpuTime(b)
					if err := w.Prepare(code); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64((cpuTime(b) - start).Microseconds()), "cpu-µs")
				}
			})
		}
	}
}
