package state_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
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

// slotChanges are n slots of a thousand contracts.
func slotChanges(n int) []ledger.Change {
	cs := make([]ledger.Change, n)
	for i := range cs {
		slot := common.Hash(sha256.Sum256(binary.BigEndian.AppendUint64([]byte("slot"), uint64(i))))
		key := ledger.StorageKey(benchAddress(i%1000), slot)
		cs[i] = ledger.Change{Path: ledger.Path(key), Key: key, Value: slot[:]}
	}
	return sorted(cs)
}

// kind is a sort of keys to measure with.
type kind struct {
	name    string
	changes func(n int) []ledger.Change
}

func kinds() []kind { return []kind{{"account", benchChanges}, {"slot", slotChanges}} }

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
	for _, kind := range kinds() {
		b.Run("kind="+kind.name, func(b *testing.B) { benchApply(b, kind.changes(keys)) })
	}
}

func benchApply(b *testing.B, cs []ledger.Change) {
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

// BenchmarkState_Load also says what a loaded state takes of memory, and how much of that the garbage collector
// looks through.
func BenchmarkState_Load(b *testing.B) {
	const keys = 1_000_000
	for _, kind := range kinds() {
		b.Run("kind="+kind.name, func(b *testing.B) { benchLoad(b, kind.changes(keys)) })
	}
}

func benchLoad(b *testing.B, cs []ledger.Change) {
	var keep struct{ s *state.State }
	var before, after, scanBefore, scanAfter uint64
	for b.Loop() {
		b.StopTimer()
		keep.s = nil // one state at a time
		before, scanBefore = heap()
		b.StartTimer()
		keep.s = loaded(b, cs)
		b.StopTimer()
		after, scanAfter = heap()
		b.StartTimer()
	}
	n := float64(keep.s.Len())
	b.ReportMetric(float64(after-before)/n, "RAM-B/key")
	b.ReportMetric((float64(scanAfter)-float64(scanBefore))/n, "scanned-B/key")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/1Mkeys")
}

// heap collects garbage and returns the bytes that live, and those of them which the collector looks through.
func heap() (live, scanned uint64) {
	runtime.GC()
	runtime.GC() // what finalizers held
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// TestState_leavesTheGarbageCollectorNothing: neither accounts nor slots make a collection longer.
func TestState_leavesTheGarbageCollectorNothing(t *testing.T) {
	const keys = 100_000
	for _, kind := range kinds() {
		t.Run(kind.name, func(t *testing.T) {
			cs := kind.changes(keys)
			live, scanned := heap()
			s := state.New()
			if _, err := s.Apply(0, cs); err != nil {
				t.Fatal(err)
			}
			liveAfter, scannedAfter := heap()
			if liveAfter < live+100*keys {
				t.Errorf("%d keys are said to take %d bytes", s.Len(), int64(liveAfter-live))
			}
			if more := int64(scannedAfter - scanned); more > keys {
				t.Errorf("the garbage collector looks through %d bytes more for %d keys", more, s.Len())
			}
			runtime.KeepAlive(cs)
		})
	}
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

func BenchmarkState_Storage(b *testing.B) {
	const keys = 1_000_000
	cs := slotChanges(keys)
	s := loaded(b, cs)
	rng := rand.New(rand.NewPCG(1, 2))
	type place struct {
		addr common.Address
		slot common.Hash
	}
	places := make([]place, 1<<14)
	for i := range places {
		places[i].addr, places[i].slot, _ = ledger.ParseStorageKey(cs[rng.IntN(len(cs))].Key)
	}
	b.Run("height=newest", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			p := &places[i&(1<<14-1)]
			if s.Storage(p.addr, p.slot) == (common.Hash{}) {
				b.Fatal("a slot is missing")
			}
			i++
		}
	})
	for h := range uint64(16) {
		if _, err := s.Apply(h+1, cs[:1000]); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("height=newest-16", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			p := &places[i&(1<<14-1)]
			if v, err := s.StorageAt(0, p.addr, p.slot); err != nil || v == (common.Hash{}) {
				b.Fatal("a slot is missing", err)
			}
			i++
		}
	})
}
