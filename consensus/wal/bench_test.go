package wal_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
)

func BenchmarkWAL_Sync(b *testing.B) {
	for _, size := range []int{200, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "wal")
			opts := wal.Options{Network: network}
			check(b, wal.Create(dir, opts))
			w, _, err := wal.Open(dir, opts)
			check(b, err)
			rec := consensus.Record{Type: consensus.RecordNotarize, Epoch: 1, Data: bytes.Repeat([]byte{7}, size-25)}
			b.SetBytes(int64(size))
			for b.Loop() {
				rec.View++
				check(b, w.Append(rec))
				check(b, w.Sync())
				if rec.View%1000 == 0 {
					check(b, w.Prune(1, rec.View))
				}
			}
		})
	}
}
