package wal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

var update = flag.Bool("update", false, "write golden files")

const dir = "/node/wal"

// futureHeader is a valid segment header of format version 2.
const futureHeader = "746572636574776c00000002000000000000000100000000000000010000000000005a1700000000000000000000000000000000000000000000000000000000007e2ce711cef52f"

var network = common.HexToHash("0x7e2ce7")

func options(fs wal.FS) wal.Options {
	return wal.Options{Network: network, SegmentBytes: 2048, FS: fs, Salt: 0x5a17}
}

// record i has data of a length that makes groups cross sectors.
func record(i int) consensus.Record {
	return consensus.Record{
		Type: consensus.RecordType(1 + i%3), Epoch: uint64(i / 20), View: uint64(i%20 + 1),
		Data: bytes.Repeat([]byte{byte(i), 0, 0, 0, 0}, i%7*20),
	}
}

func records(from, to int) []consensus.Record {
	var out []consensus.Record
	for i := from; i < to; i++ {
		out = append(out, record(i))
	}
	return out
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(a, b []consensus.Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type != b[i].Type || a[i].Epoch != b[i].Epoch || a[i].View != b[i].View || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

// run writes groups of 1, 2, 3, 1, 2, 3 … records and returns how many records
// were acknowledged and how many were begun; it stops at the first error.
func run(w *wal.WAL, from, groups int) (acked, begun int, err error) {
	acked, begun = from, from
	for g := range groups {
		begun = acked + 1 + g%3
		if err := w.Append(records(acked, begun)...); err != nil {
			return acked, begun, err
		}
		if err := w.Sync(); err != nil {
			return acked, begun, err
		}
		acked = begun
	}
	return acked, begun, nil
}

// written returns a closed log of some groups on a disk, and its records.
func written(t testing.TB, groups int, change func(*wal.Options)) (*simdisk.Files, int) {
	t.Helper()
	d := simdisk.NewFiles(1)
	opts := options(d)
	if change != nil {
		change(&opts)
	}
	check(t, wal.Create(dir, opts))
	w, recs, err := wal.Open(dir, opts)
	check(t, err)
	if len(recs) != 0 {
		t.Fatalf("a new log has %d records", len(recs))
	}
	n, _, err := run(w, 0, groups)
	check(t, err)
	check(t, w.Close())
	return d, n
}

func segmentName(i int) string { return filepath.Join(dir, fmt.Sprintf("%016d.wal", i)) }

func TestWAL_onRealFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "wal")
	opts := wal.Options{Network: network, SegmentBytes: 4096, Logger: testlog.New(t)}
	if _, _, err := wal.Open(path, opts); !errors.Is(err, wal.ErrMissing) {
		t.Fatalf("got %v, want ErrMissing", err)
	}
	check(t, wal.Create(path, opts))
	if got, err := wal.NetworkOf(path); err != nil || got != network {
		t.Fatalf("the log is of %s, %v", got, err)
	}
	if _, err := wal.NetworkOf(filepath.Dir(path)); !errors.Is(err, wal.ErrMissing) {
		t.Fatalf("got %v, want ErrMissing", err)
	}
	if err := wal.Create(path, opts); !errors.Is(err, wal.ErrExists) {
		t.Fatalf("got %v, want ErrExists", err)
	}
	total := 0
	for range 4 {
		w, recs, err := wal.Open(path, opts)
		check(t, err)
		if !same(recs, records(0, total)) {
			t.Fatalf("replayed %d records, want %d", len(recs), total)
		}
		total, _, err = run(w, total, 20)
		check(t, err)
		check(t, w.Append(consensus.Record{Type: 1})) // never synced
		check(t, w.Close())
		if err := w.Append(record(0)); !errors.Is(err, wal.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %v", info.Mode())
	}
	entries, err := os.ReadDir(path)
	check(t, err)
	if len(entries) < 3 {
		t.Errorf("%d segments, want a rotation", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		check(t, err)
		if info.Size() != 4096 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v", e.Name(), info.Size(), info.Mode())
		}
	}
}

func TestWAL_golden(t *testing.T) {
	d, _ := written(t, 3, nil)
	f, err := d.Open(segmentName(1), false)
	check(t, err)
	b := make([]byte, 1024)
	f.ReadAt(b, 0)
	got := []byte(hex.Dump(bytes.TrimRight(b, "\x00")))
	path := filepath.Join("testdata", "segment.hex")
	if *update {
		check(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("the format changed:\n%s", got)
	}
}

func TestOpen_otherNetworkOrVersion(t *testing.T) {
	d, _ := written(t, 1, nil)
	opts := options(d)
	opts.Network[0] ^= 1
	if _, _, err := wal.Open(dir, opts); !errors.Is(err, wal.ErrNetwork) {
		t.Errorf("got %v, want ErrNetwork", err)
	}
	d.Corrupt(segmentName(1), func(b []byte) []byte {
		h, err := hex.DecodeString(futureHeader)
		check(t, err)
		copy(b, h)
		return b
	})
	if _, _, err := wal.Open(dir, options(d)); !errors.Is(err, wal.ErrVersion) {
		t.Errorf("got %v, want ErrVersion", err)
	}
}

func TestWAL_Append_refuses(t *testing.T) {
	tests := []struct {
		name string
		rec  consensus.Record
	}{
		{"type 0", consensus.Record{}},
		{"the marker's type", consensus.Record{Type: 0xC0}},
		{"too large", consensus.Record{Type: 1, Data: make([]byte, wal.MaxRecordBytes)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := written(t, 1, nil)
			w, _, err := wal.Open(dir, options(d))
			check(t, err)
			if err = w.Append(tt.rec); err == nil {
				t.Fatal("accepted")
			}
			if got := w.Sync(); !errors.Is(got, err) {
				t.Errorf("not latched: %v", got)
			}
		})
	}
}

func TestWAL_largeGroups(t *testing.T) {
	d, n := written(t, 4, nil)
	w, _, err := wal.Open(dir, options(d))
	check(t, err)
	want := records(0, n)
	big := consensus.Record{Type: 1, View: 9, Data: bytes.Repeat([]byte{0}, wal.MaxRecordBytes-17)}
	check(t, w.Append(big, big))
	check(t, w.Sync())
	check(t, w.Append(record(3)))
	check(t, w.Sync())
	_, got, err := wal.Open(dir, options(d.Reboot(simdisk.LoseUnsynced)))
	check(t, err)
	if !same(got, append(want, big, big, record(3))) {
		t.Errorf("replayed %d records", len(got))
	}
}

func TestWAL_Prune(t *testing.T) {
	d, n := written(t, 60, nil)
	w, all, err := wal.Open(dir, options(d))
	check(t, err)
	before, err := d.List(dir)
	check(t, err)
	check(t, w.Prune(0, 0))
	if names, _ := d.List(dir); !reflect.DeepEqual(names, before) {
		t.Fatal("pruned with nothing below")
	}
	check(t, w.Prune(3, 5))
	d = d.Reboot(simdisk.LoseUnsynced)
	w, kept, err := wal.Open(dir, options(d))
	check(t, err)
	if len(kept) == len(all) || !same(kept, all[len(all)-len(kept):]) {
		t.Fatalf("kept %d of %d records", len(kept), len(all))
	}
	for _, r := range all[:len(all)-len(kept)] {
		if r.Epoch > 3 || r.Epoch == 3 && r.View >= 5 {
			t.Errorf("pruned %d/%d", r.Epoch, r.View)
		}
	}
	check(t, w.Prune(99, 0))
	if names, _ := d.List(dir); len(names) != 1 {
		t.Errorf("%d segments left, want the one in use", len(names))
	}
	_, _, err = run(w, n, 3)
	check(t, err)
}

func TestOpen_missingSegment(t *testing.T) {
	for _, name := range []int{1, 2} {
		d, _ := written(t, 60, nil)
		check(t, d.Remove(segmentName(name)))
		_, _, err := wal.Open(dir, options(d))
		var corrupt *wal.CorruptError
		if wantGap := name == 2; errors.As(err, &corrupt) != wantGap {
			t.Errorf("without segment %d: %v", name, err)
		}
	}
}

// TestRead_changesNothing: what Read sees, Open sees; a torn tail stays for Open.
func TestRead_changesNothing(t *testing.T) {
	path := t.TempDir()
	opts := options(nil)
	check(t, wal.Create(path, opts))
	w, _, err := wal.Open(path, opts)
	check(t, err)
	want := records(0, 30)
	for _, r := range want {
		check(t, w.Append(r))
		check(t, w.Sync())
	}
	check(t, w.Close())
	contents := func() string {
		files, err := filepath.Glob(filepath.Join(path, "*"))
		check(t, err)
		var all bytes.Buffer
		for _, name := range files {
			raw, err := os.ReadFile(name)
			check(t, err)
			fmt.Fprintf(&all, "%s %x\n", name, raw)
		}
		return all.String()
	}
	before := contents()
	for range 2 {
		got, err := wal.Read(path, opts)
		check(t, err)
		if !same(got, want) {
			t.Errorf("read %d records, want %d", len(got), len(want))
		}
	}
	if contents() != before {
		t.Error("Read changed a file")
	}
	if _, err := wal.Read(t.TempDir(), opts); !errors.Is(err, wal.ErrMissing) {
		t.Errorf("got %v", err)
	}
}
