package consensustest_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/consensustest"
)

// TestNetwork_asManyLiarsAsTolerated lets f validators misbehave while the
// honest ones restart, partitions come and go and delays exceed Delta.
func TestNetwork_asManyLiarsAsTolerated(t *testing.T) {
	skip := thinned(20)
	for seed := range uint64(60) {
		if skip() {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, 99))
		size := []int{7, 7, 10}[rng.IntN(3)]
		f := (size - 1) / 3
		cfg := config(size, []uint64{1, 3, 16}[rng.IntN(3)], uint64(rng.IntN(3)*2))
		n, err := consensustest.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var side uint64
		loss, jitter := rng.Float64()*0.2, rng.IntN(200)
		n.SetDeliver(func(from, to int, _ consensus.Message) (time.Duration, bool) {
			if side>>from&1 != side>>to&1 || rng.Float64() < loss {
				return 0, false
			}
			return time.Duration(rng.IntN(jitter+1)) * time.Millisecond, true
		})
		liars := map[int]bool{}
		for len(liars) < f {
			i := rng.IntN(size)
			liars[i] = true
			n.Become(i, []consensustest.Behavior{consensustest.Equivocator{}, consensustest.Withholder{}, consensustest.Laggard{}, consensustest.Contradictor{}, consensustest.Splitter{}}[rng.IntN(5)])
		}
		for range 15 {
			if err := n.Run(time.Duration(rng.IntN(1000)) * time.Millisecond); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			switch rng.IntN(3) {
			case 0:
				side = rng.Uint64()
			case 1:
				side = 0
			case 2:
				for i := range size {
					if !liars[i] && rng.IntN(2) == 0 {
						n.Crash(i)
						n.Start(i)
					}
				}
			}
		}
		side, loss, jitter = 0, 0, 0
		before := 0
		for i := range size {
			before = max(before, len(n.Replica(i).Chain))
		}
		if err := n.Run(8 * time.Second); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i := range size {
			if r := n.Replica(i); !liars[i] && len(r.Chain) <= before {
				t.Errorf("seed %d: n=%d T=%d W=%d liars %v: replica %d at %d, was to pass %d: %+v fault %q", seed, size, cfg.Term, cfg.Window, liars, i, len(r.Chain), before, r.Snapshot(), r.Fault)
				break
			}
		}
	}
}
