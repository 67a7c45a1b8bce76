package metertest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// shard is how many seeds one subtest runs.
const shard = 250

// Sweep runs the programs of seeds, those below n or those that TERCET_PROGRAMS=FIRST..LAST names, in shards, as many
// at a time as the tests may be parallel. It logs a digest of what runs answer, which two machines have to agree on.
//
// A shard begins with start, which is told its number, makes what it needs and returns how to run a seed. The answer must be the same
// wherever it is computed; runs fail their test by themselves when they see a difference.
func Sweep(t *testing.T, n uint64, start func(t *testing.T, shard uint64) (run func(seed uint64) []byte)) {
	first, last := uint64(0), n-1
	if env := os.Getenv("TERCET_PROGRAMS"); env != "" {
		if _, err := fmt.Sscanf(env, "%d..%d", &first, &last); err != nil || last < first || last-first >= 1<<32 {
			t.Fatalf("TERCET_PROGRAMS=%s: want FIRST..LAST, for instance 0..9999", env)
		}
	}
	n = last - first + 1
	digests := make([][sha256.Size]byte, (n+shard-1)/shard)
	began := time.Now()
	var done atomic.Uint64
	t.Run("seeds", func(t *testing.T) {
		for i := range digests {
			from := first + uint64(i)*shard
			to := min(from+shard-1, last)
			t.Run(fmt.Sprintf("%d..%d", from, to), func(t *testing.T) {
				t.Parallel()
				run, h := start(t, from/shard), sha256.New()
				for seed := from; seed <= to; seed++ {
					answer := run(seed)
					h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(answer))))
					h.Write(answer)
				}
				h.Sum(digests[i][:0])
				ran := done.Add(to - from + 1)
				t.Logf("%d of %d programs, %.0f/s", ran, n, float64(ran)/time.Since(began).Seconds())
			})
		}
	})
	h := sha256.New()
	for _, d := range digests {
		h.Write(d[:])
	}
	t.Logf("digest of %d..%d: %x", first, last, h.Sum(nil)[:16])
}
