package txpool_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
)

// journaled runs a journal until everything offered by work is written, and returns what it read first.
func journaled(t *testing.T, path string, most int, waits func(common.Hash) bool, log []testlog.Option, work func(j *txpool.Journal, pass func(time.Duration))) (read [][]byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := txpool.NewJournal(txpool.JournalConfig{
			Path: path, MaxBytes: most, Waits: waits, Admit: func(raw []byte) { read = append(read, raw) }, Logger: testlog.New(t, log...),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- j.Run(ctx) }()
		synctest.Wait()
		pass := func(d time.Duration) { time.Sleep(d) }
		work(j, pass)
		pass(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	return read
}

func always(common.Hash) bool { return true }

func TestJournal_keepsWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool.journal")
	a, b, c := transfer(t, 0, 0), transfer(t, 0, 2), transfer(t, 1, 0)
	if read := journaled(t, path, 1<<20, always, nil, func(j *txpool.Journal, _ func(time.Duration)) { j.Offer(a); j.Offer(b) }); len(read) != 0 {
		t.Fatalf("read %d", len(read))
	}
	// A kill: the file stays as it is.
	waits := func(h common.Hash) bool { return h != a.Hash() }
	read := journaled(t, path, 1<<20, waits, nil, func(j *txpool.Journal, _ func(time.Duration)) { j.Offer(c) })
	if len(read) != 2 || !bytes.Equal(read[0], a.Raw()) || !bytes.Equal(read[1], b.Raw()) {
		t.Fatalf("read %x", read)
	}
	read = journaled(t, path, 1<<20, func(common.Hash) bool { return false }, nil, func(*txpool.Journal, func(time.Duration)) {})
	if len(read) != 2 || !bytes.Equal(read[0], b.Raw()) || !bytes.Equal(read[1], c.Raw()) {
		t.Fatalf("read %x", read)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 0 {
		t.Errorf("nothing waits, and there is %v", left)
	}
}

func TestJournal_isBounded(t *testing.T) {
	const most = 4096
	path := filepath.Join(t.TempDir(), "pool.journal")
	var waiting atomic.Bool // all of them wait, then none does
	waiting.Store(true)
	journaled(t, path, most, func(common.Hash) bool { return waiting.Load() }, nil, func(j *txpool.Journal, pass func(time.Duration)) {
		for i := range uint64(100) {
			j.Offer(transfer(t, 0, i))
		}
		pass(time.Second)
		if info, err := os.Stat(path); err != nil || info.Size() > most || info.Size() < most/2 {
			t.Errorf("the file: %v, %v", info, err)
		}
		waiting.Store(false)
		pass(time.Minute)
		j.Offer(transfer(t, 0, 200)) // there is room again
		pass(time.Second)
		if info, err := os.Stat(path); err != nil || info.Size() > 200 {
			t.Errorf("the file: %v, %v", info, err)
		}
	})
}

// TestJournal_whenCutAnywhere: every prefix gives whole transactions in their order; a flipped bit costs what
// follows it.
func TestJournal_whenCutAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool.journal")
	txs := []*ledger.Transaction{transfer(t, 0, 0), transfer(t, 0, 1), transfer(t, 1, 0)}
	journaled(t, path, 1<<20, always, nil, func(j *txpool.Journal, _ func(time.Duration)) {
		for _, tx := range txs {
			j.Offer(tx)
		}
	})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	count := func(b []byte) (n int) {
		_, err := txpool.Records(b, func(raw []byte) {
			if n >= len(txs) || !bytes.Equal(raw, txs[n].Raw()) {
				t.Fatalf("record %d is %x", n, raw)
			}
			n++
		})
		if err != nil && n > 0 {
			t.Fatal(err)
		}
		return n
	}
	if count(whole) != 3 {
		t.Fatalf("%d of 3", count(whole))
	}
	before := 0
	for end := range whole {
		n := count(whole[:end])
		if n < before {
			t.Fatalf("%d bytes hold %d, %d held %d", end, n, end-1, before)
		}
		before = n
		flipped := bytes.Clone(whole)
		flipped[end] ^= 1
		if count(flipped) == 3 {
			t.Fatalf("bit flip at %d is not seen", end)
		}
	}
	// A torn tail is no reason to warn, another file is.
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if read := journaled(t, path, 1<<20, always, nil, func(*txpool.Journal, func(time.Duration)) {}); len(read) != 2 {
		t.Fatalf("read %d", len(read))
	}
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect := []testlog.Option{testlog.Expect("transactions of an earlier run may be lost")}
	if read := journaled(t, path, 1<<20, always, expect, func(*txpool.Journal, func(time.Duration)) {}); len(read) != 0 {
		t.Fatalf("read %d", len(read))
	}
}

// TestJournal_golden: the bytes of one record do not change.
func TestJournal_golden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool.journal")
	tx := transfer(t, 0, 0)
	journaled(t, path, 1<<20, always, nil, func(j *txpool.Journal, _ func(time.Duration)) { j.Offer(tx) })
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := hex.EncodeToString([]byte("TERCETP1")) + fmt.Sprintf("%08x", tx.Size())
	if text := hex.EncodeToString(got); !strings.HasPrefix(text, want) || !strings.HasSuffix(text, hex.EncodeToString(tx.Raw())) || len(got) != 16+tx.Size() {
		t.Errorf("got %s", text)
	}
}

// TestJournal_whenTheDiskFails: the node goes on without.
func TestJournal_whenTheDiskFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "pool.journal")
	expect := []testlog.Option{testlog.Expect("waiting transactions are not kept for a restart")}
	journaled(t, path, 1<<20, always, expect, func(j *txpool.Journal, pass func(time.Duration)) {
		for i := range uint64(10) {
			j.Offer(transfer(t, 0, i))
			pass(50 * time.Millisecond)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("TERCETP1"))
	f.Add([]byte("TERCETP1\x00\x00\x00\x01\xc7\x4d\x35\x6f\x00"))
	f.Add([]byte("TERCETP1\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		size := 0
		rest, err := txpool.Records(b, func(raw []byte) { size += 8 + len(raw) })
		if err == nil && len(b) > 0 && 8+size+rest != len(b) || err != nil && size != 0 {
			t.Fatalf("%d bytes: %d in records, %d left: %v", len(b), size, rest, err)
		}
	})
}

// BenchmarkJournal_Offer adds transactions to a pool as node.Submit does, without and with a journal beside it.
func BenchmarkJournal_Offer(b *testing.B) {
	const senders, each = 1000, 20
	txs := load(b, senders, each)
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("journal=%t", with), func(b *testing.B) {
			_, state := newPool(b, senders, nil)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			j := txpool.NewJournal(txpool.JournalConfig{
				Path: filepath.Join(b.TempDir(), "pool.journal"), MaxBytes: 16 << 20, Waits: func(common.Hash) bool { return false }, Logger: testlog.New(b),
			})
			done := make(chan error, 1)
			go func() { done <- j.Run(ctx) }()
			for b.Loop() {
				pool, err := txpool.New(txpool.Config{Genesis: genesis(), State: state})
				if err != nil {
					b.Fatal(err)
				}
				for _, tx := range txs {
					if err := pool.Add(tx, start); err != nil {
						b.Fatal(err)
					}
					if with {
						j.Offer(tx)
					}
				}
			}
			b.ReportMetric(float64(b.N*len(txs))/b.Elapsed().Seconds(), "tx/s")
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}
