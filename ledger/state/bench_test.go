package state_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
)

func benchAddress(i int) common.Address {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("bench"), uint64(i)))
	return common.Address(h[:20])
}

func accountChange(addr common.Address, nonce, balance uint64) ledger.Change {
	key := ledger.AccountKey(addr)
	return ledger.Change{
		Path: ledger.Path(key), Key: key,
		Value: ledger.EncodeAccount(ledger.Account{Nonce: nonce, Balance: *uint256.NewInt(balance)}),
	}
}

func sorted(cs []ledger.Change) []ledger.Change {
	slices.SortFunc(cs, func(a, b ledger.Change) int { return comparePaths(a.Path, b.Path) })
	return slices.CompactFunc(cs, func(a, b ledger.Change) bool { return a.Path == b.Path })
}

func benchChanges(n int) []ledger.Change {
	cs := make([]ledger.Change, n)
	for i := range cs {
		cs[i] = accountChange(benchAddress(i), 1, uint64(i)+1)
	}
	return sorted(cs)
}

// reader hands out changes as Load wants them.
func reader(cs []ledger.Change) func() (ledger.Change, bool, error) {
	return func() (ledger.Change, bool, error) {
		if len(cs) == 0 {
			return ledger.Change{}, false, nil
		}
		c := cs[0]
		cs = cs[1:]
		return c, true, nil
	}
}

func loaded(b *testing.B, cs []ledger.Change) *state.State {
	s := state.New()
	if _, err := s.Load(reader(cs), 0); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkTree_Apply(b *testing.B) {
	for _, keys := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			var us []state.Update
			for _, c := range benchChanges(keys) {
				us = append(us, state.Update{Path: c.Path, Value: c.Value})
			}
			tree := state.NewTree()
			rng := rand.New(rand.NewPCG(1, 2))
			rng.Shuffle(len(us), func(i, j int) { us[i], us[j] = us[j], us[i] })
			var batches [][]state.Update
			for c := range slices.Chunk(us, 1000) {
				batches = append(batches, batch(c))
				tree.Apply(batches[len(batches)-1])
			}
			value := make([]byte, 40)
			i, n := 0, 0
			for b.Loop() {
				us := batches[i%len(batches)]
				binary.BigEndian.PutUint64(value, uint64(i))
				for j := range us {
					us[j].Value = value
				}
				tree.Apply(us)
				n += len(us)
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/update")
		})
	}
}

func BenchmarkState_Apply(b *testing.B) {
	const keys = 1_000_000
	cs := benchChanges(keys)
	s := loaded(b, cs)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
	var batches [][]ledger.Change
	for c := range slices.Chunk(cs, 1000) {
		batches = append(batches, sorted(c))
	}
	n, h := 0, uint64(0)
	for b.Loop() {
		us := batches[h%uint64(len(batches))]
		h++
		if _, err := s.Apply(h, us); err != nil {
			b.Fatal(err)
		}
		n += len(us)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/update")
}

func BenchmarkState_Prove(b *testing.B) {
	const keys = 1_000_000
	cs := benchChanges(keys)
	s := loaded(b, cs)
	b.Run("height=newest", func(b *testing.B) { benchProve(b, s, cs, 0) })
	for h := range uint64(4) {
		if _, err := s.Apply(h+1, sorted(append([]ledger.Change(nil), cs[int(h)*1000:][:1000]...))); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("height=newest-4", func(b *testing.B) { benchProve(b, s, cs, 0) })
}

func benchProve(b *testing.B, s *state.State, cs []ledger.Change, height uint64) {
	i, size := 0, 0
	for b.Loop() {
		i = (i + 7919) % len(cs)
		p, err := s.Prove(height, cs[i].Key)
		if err != nil {
			b.Fatal(err)
		}
		size += 32*len(p.Member.Siblings) + len(p.Member.Key) + len(p.Member.Value)
	}
	b.ReportMetric(float64(size)/float64(b.N), "proof-B")
}

func BenchmarkProof_Verify(b *testing.B) {
	cs := benchChanges(1_000_000)
	s := loaded(b, cs)
	root := s.Root()
	p, err := s.Prove(0, cs[1234].Key)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := p.Verify(root, cs[1234].Key, cs[1234].Value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkState_Load(b *testing.B) {
	const keys = 1_000_000
	cs := benchChanges(keys)
	var before, after runtime.MemStats
	var keep struct{ s *state.State }
	for b.Loop() {
		keep.s = nil // one state at a time
		runtime.GC()
		runtime.ReadMemStats(&before)
		keep.s = loaded(b, cs)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(keep.s.Len()), "RAM-B/key")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/1Mkeys")
}

func BenchmarkState_Account(b *testing.B) {
	s := loaded(b, benchChanges(1_000_000))
	addrs := make([]common.Address, 1<<14)
	for i := range addrs {
		addrs[i] = benchAddress(i * 50)
	}
	i := 0
	for b.Loop() {
		s.Account(addrs[i&(1<<14-1)])
		i++
	}
}
