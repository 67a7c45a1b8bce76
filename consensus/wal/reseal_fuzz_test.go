package wal_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// reseal walks a segment record by record and makes each checksum right, by the description in docs/formats.md, so
// that what the fuzzer wrote gets past them.
func reseal(b []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	begin := crc32.Checksum(append(slices.Clone(b[28:36]), b[12:20]...), table) // salt ‖ segment
	for at := 80; at+8 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[at:]))
		if n < 17 || n > len(b)-at-8 {
			return
		}
		sum := crc32.Update(crc32.Update(begin, table, b[at:at+4]), table, b[at+8:at+8+n])
		binary.BigEndian.PutUint32(b[at+4:], sum)
		marker := b[at+8] == 0xc0
		if at += 8 + n; marker {
			at = (at + 15) / 16 * 16
		}
	}
}

// known reports whether an error says what is wrong with a log.
func known(err error) bool {
	var corrupt *wal.CorruptError
	return errors.As(err, &corrupt) || errors.Is(err, wal.ErrMissing) || errors.Is(err, wal.ErrNetwork) || errors.Is(err, wal.ErrVersion)
}

// FuzzOpen_resealed: records of any content with right checksums. What is read is read again, with what is appended.
func FuzzOpen_resealed(f *testing.F) {
	d, _ := written(f, 3, nil)
	file, err := d.Open(segmentName(1), false)
	check(f, err)
	whole := make([]byte, 1024)
	file.ReadAt(whole, 0)
	f.Add(whole[80:], false)
	f.Add(whole[80:300], true)
	f.Add(append(slices.Clone(whole[80:200]), make([]byte, 64)...), true)
	two := slices.Clone(whole[80:])
	two[8] = 0xc0 // a marker where a record was
	f.Add(two, true)
	f.Fuzz(func(t *testing.T, b []byte, second bool) {
		d := simdisk.NewFiles(1)
		opts := options(d)
		opts.Logger = testlog.New(t, testlog.Expect("cut a torn tail"))
		check(t, wal.Create(dir, opts))
		d.Corrupt(segmentName(1), func(good []byte) []byte {
			sealed := append(slices.Clone(good[:80]), b...)
			reseal(sealed)
			return sealed
		})
		if second { // a torn group is pardoned in the last segment only
			_, err := d.Open(segmentName(2), true)
			check(t, err)
			d.Corrupt(segmentName(2), func([]byte) []byte { return nil })
		}
		w, recs, err := wal.Open(dir, opts)
		if err != nil {
			if !known(err) {
				t.Fatalf("%v does not say what is wrong", err)
			}
			return
		}
		size := 0
		for _, r := range recs {
			size += 25 + len(r.Data)
		}
		if size > len(b) {
			t.Fatalf("%d bytes of records in %d bytes", size, len(b))
		}
		check(t, w.Append(record(1)))
		check(t, w.Sync())
		_, again, err := wal.Open(dir, options(d.Reboot(simdisk.LoseUnsynced)))
		if err != nil || !same(again, append(recs, record(1))) {
			t.Fatalf("%d records, then %d: %v", len(recs), len(again), err)
		}
	})
}
