package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// scenario creates a log, writes, reopens, writes, prunes, writes. It returns
// how many records were acknowledged and how many were begun, and whether the
// log was created.
func scenario(d *simdisk.Files) (acked, begun int, created bool, w *wal.WAL, err error) {
	opts := options(d)
	if err := wal.Create(dir, opts); err != nil {
		return 0, 0, false, nil, err
	}
	for range 2 {
		var recs []consensus.Record
		if w, recs, err = wal.Open(dir, opts); err != nil {
			return acked, begun, true, nil, err
		}
		if !same(recs, records(0, acked)) {
			return acked, begun, true, w, fmt.Errorf("replayed %d records, want %d", len(recs), acked)
		}
		if acked, begun, err = run(w, acked, 12); err != nil {
			return acked, begun, true, w, err
		}
	}
	if err := w.Prune(0, 1); err != nil {
		return acked, begun, true, w, err
	}
	err = w.Close()
	return acked, begun, true, w, err
}

func TestWAL_powerFailureAtEveryOperation(t *testing.T) {
	whole := simdisk.NewFiles(0)
	_, _, _, _, err := scenario(whole)
	check(t, err)
	for op := 1; op <= len(whole.Ops()); op++ {
		for _, mode := range simdisk.Retentions() {
			for seed := range uint64(4) {
				d := simdisk.NewFiles(seed)
				d.FailAt(op, simdisk.Fault{PowerOff: true})
				acked, begun, created, _, err := scenario(d)
				if !errors.Is(err, simdisk.ErrPowerOff) {
					t.Fatalf("operation %d: %v", op, err)
				}
				where := fmt.Sprintf("power failure at operation %d (%s), %v, seed %d", op, whole.Ops()[op-1], mode, seed)
				recovered(t, where, d.Reboot(mode), acked, begun, created)
			}
		}
	}
}

// recovered checks that a log has all acknowledged records, nothing but begun
// ones, can be written to and survives once more.
func recovered(t *testing.T, where string, d *simdisk.Files, acked, begun int, created bool) {
	t.Helper()
	w, recs, err := wal.Open(dir, options(d))
	if errors.Is(err, wal.ErrMissing) && !created {
		check(t, wal.Create(dir, options(d)))
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if n := len(recs); n != acked && n != begun || !same(recs, records(0, n)) {
		t.Fatalf("%s: %d records, acknowledged %d, begun %d", where, n, acked, begun)
	}
	n, _, err := run(w, len(recs), 7)
	if err != nil {
		t.Fatalf("%s: going on: %v", where, err)
	}
	_, recs, err = wal.Open(dir, options(d.Reboot(simdisk.KeepPages)))
	if err != nil || !same(recs, records(0, n)) {
		t.Fatalf("%s: second recovery: %d of %d records, %v", where, len(recs), n, err)
	}
}

func TestWAL_faultAtEveryOperation(t *testing.T) {
	faults := []struct {
		name  string
		fault simdisk.Fault
	}{
		{"EIO once", simdisk.Fault{Err: simdisk.ErrIO}},
		{"EIO for good", simdisk.Fault{Err: simdisk.ErrIO, Sticky: true}},
		{"ENOSPC", simdisk.Fault{Err: simdisk.ErrFull}},
		{"ENOSPC after a part", simdisk.Fault{Err: simdisk.ErrFull, Short: 40}},
		{"short write", simdisk.Fault{Short: 11}},
	}
	whole := simdisk.NewFiles(0)
	_, _, _, _, err := scenario(whole)
	check(t, err)
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			for op, name := range whole.Ops() {
				if tt.fault.Err == nil && name != "write" {
					continue
				}
				d := simdisk.NewFiles(uint64(op))
				d.FailAt(op+1, tt.fault)
				acked, begun, created, w, err := scenario(d)
				if err == nil {
					t.Fatalf("operation %d (%s) failed unnoticed", op+1, name)
				}
				if w != nil {
					latched(t, w, err)
				}
				// The process exits; its page cache survives it. What the
				// next one reads must then survive a power failure.
				if tt.fault.Sticky {
					recovered(t, name, d.Reboot(simdisk.KeepPages), acked, begun, created)
					continue
				}
				w, recs, err := wal.Open(dir, options(d))
				if errors.Is(err, wal.ErrMissing) && !created {
					continue
				}
				check(t, err)
				check(t, w.Close())
				if n := len(recs); n != acked && n != begun {
					t.Fatalf("%s: %d records, acknowledged %d, begun %d", name, n, acked, begun)
				}
				recovered(t, name, d.Reboot(simdisk.LoseUnsynced), len(recs), len(recs), created)
			}
		})
	}
}

func latched(t *testing.T, w *wal.WAL, want error) {
	t.Helper()
	for name, err := range map[string]error{"append": w.Append(record(1)), "sync": w.Sync(), "prune": w.Prune(9, 9)} {
		if !errors.Is(err, want) {
			t.Errorf("%s after %v: %v", name, want, err)
		}
	}
}

func TestOpen_truncatedAtEveryByte(t *testing.T) {
	d, n := written(t, 6, func(o *wal.Options) { o.SegmentBytes = 4096 })
	f, err := d.Open(segmentName(1), false)
	check(t, err)
	whole := make([]byte, 4096)
	f.ReadAt(whole, 0)
	bounds := []int{0, 1, 3, 6, 7, 9, n}
	for _, zeros := range []bool{false, true} {
		last := 0
		for cut := 80; cut <= len(whole); cut++ {
			d := simdisk.NewFiles(1)
			check(t, wal.Create(dir, options(d)))
			d.Corrupt(segmentName(1), func([]byte) []byte {
				b := slices.Clone(whole)
				clear(b[cut:])
				if !zeros {
					b = b[:cut]
				}
				return b
			})
			_, recs, err := wal.Open(dir, options(d))
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if !same(recs, records(0, len(recs))) || !slices.Contains(bounds, len(recs)) || len(recs) < last {
				t.Fatalf("cut at %d: %d records after %d", cut, len(recs), last)
			}
			last = len(recs)
		}
		if last != n {
			t.Errorf("%d of %d records in the end", last, n)
		}
	}
}

func TestOpen_everyFlippedBit(t *testing.T) {
	// Small logs bit by bit; with several segments, a sample.
	for groups, stride := range map[int]int{1: 1, 2: 1, 3: 1, 6: 5, 24: 97} {
		d, n := written(t, groups, nil)
		names, err := d.List(dir)
		check(t, err)
		detected := 0
		for s := range names {
			for bit := 0; bit < 8*2048; bit += stride {
				if stride == 1 && bit > 8*1400 && bit%8 != 0 {
					continue // mostly zeros of the preallocation
				}
				d, _ := copyOf(t, d)
				d.Corrupt(segmentName(s+1), func(b []byte) []byte {
					b[bit/8] ^= 1 << (bit % 8)
					return b
				})
				_, recs, err := wal.Open(dir, options(d))
				if err != nil {
					detected++
					continue
				}
				if !same(recs, records(0, n)) {
					t.Fatalf("%d groups, bit %d of segment %d: %d of %d records, no error", groups, bit, s+1, len(recs), n)
				}
			}
		}
		if detected == 0 {
			t.Error("no flipped bit was detected")
		}
	}
}

func copyOf(t *testing.T, d *simdisk.Files) (*simdisk.Files, []string) {
	t.Helper()
	names, err := d.List(dir)
	check(t, err)
	out := simdisk.NewFiles(1)
	check(t, out.MkdirAll(dir))
	for i := range names {
		f, err := d.Open(segmentName(i+1), false)
		check(t, err)
		b := make([]byte, 2048)
		n, _ := f.ReadAt(b, 0)
		_, err = out.Open(segmentName(i+1), true)
		check(t, err)
		out.Corrupt(segmentName(i+1), func([]byte) []byte { return b[:n] })
	}
	return out, names
}

func FuzzOpen(f *testing.F) {
	d, _ := written(f, 5, nil)
	file, err := d.Open(segmentName(1), false)
	check(f, err)
	whole := make([]byte, 2048)
	file.ReadAt(whole, 0)
	f.Add(whole)
	f.Add(whole[:300])
	f.Add([]byte("tercetwl"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, body := range []int{0, 80} { // as it is, and behind a good header
			d := simdisk.NewFiles(1)
			check(t, wal.Create(dir, options(d)))
			d.Corrupt(segmentName(1), func(good []byte) []byte { return append(good[:body:body], b...) })
			w, recs, err := wal.Open(dir, options(d))
			if err != nil {
				if !known(err) {
					t.Fatalf("%v does not say what is wrong", err)
				}
				continue
			}
			check(t, w.Append(record(1)))
			check(t, w.Sync())
			_, again, err := wal.Open(dir, options(d.Reboot(simdisk.LoseUnsynced)))
			if err != nil || !same(again, append(recs, record(1))) {
				t.Fatalf("%d records, then %d: %v", len(recs), len(again), err)
			}
		}
	})
}

func TestOpen_tornTailIsLoggedAndCut(t *testing.T) {
	d, n := written(t, 3, nil)
	f, err := d.Open(segmentName(1), false)
	check(t, err)
	b := make([]byte, 2048)
	f.ReadAt(b, 0)
	end := len(bytes.TrimRight(b, "\x00"))
	d.Corrupt(segmentName(1), func(b []byte) []byte { return b[:end-1] })
	opts := options(d)
	opts.Logger = testlog.New(t, testlog.Require("cut a torn tail"))
	_, recs, err := wal.Open(dir, opts)
	check(t, err)
	if !same(recs, records(0, n-3)) {
		t.Errorf("replayed %d records, want %d", len(recs), n-3)
	}
	opts.Logger = testlog.New(t) // once cut, there is nothing to warn of
	_, _, err = wal.Open(dir, opts)
	check(t, err)
}

func TestOpen_lostSectorBeforeLaterGroups(t *testing.T) {
	d, _ := written(t, 3, nil)
	d.Corrupt(segmentName(1), func(b []byte) []byte {
		clear(b[80:512])
		return b
	})
	_, _, err := wal.Open(dir, options(d))
	var corrupt *wal.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Segment != 1 || corrupt.Offset != 80 {
		t.Errorf("got %v, want corruption at 80", err)
	}
}
