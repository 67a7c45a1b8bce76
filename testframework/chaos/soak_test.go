package chaos_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

var (
	soakSeed  = flag.Uint64("soak.seed", 1, "seed of the faults of the soak test")
	soakSteps = flag.Int("soak.steps", 0, "steps of the soak test; 0 means none, or 40 in the long form")
)

// Crashes, pauses and deletions of any number of nodes, one soon after the other and under load: after
// each step the chain goes on, the same on all nodes, with every receipt.
func TestNetwork_soak(t *testing.T) {
	steps := *soakSteps
	if steps == 0 {
		steps = pick(0, 40)
	}
	if steps == 0 {
		t.Skip("takes minutes: -long, or -soak.steps")
	}
	n := start(t)
	w := fund(t, n, 50)
	random := rand.New(rand.NewPCG(*soakSeed, 0))
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	var all []*chaos.Transfer
	var seen []*chaos.Receipt
	for step := range steps {
		const rate = 200
		list := transfers(t, w, 3*rate)
		all = append(all, list...)
		l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: rate}
		results, wait := l.Start(bounded(t, 2*time.Minute))
		check(t, chaos.Pause(t.Context(), 200*time.Millisecond+upTo(time.Second)))

		var victims []*chaos.Node
		for _, i := range random.Perm(len(n.Nodes))[:1+random.IntN(len(n.Nodes))] {
			victims = append(victims, n.Nodes[i])
		}
		did := "crashed"
		if pausing := random.IntN(4) == 0; pausing {
			did = "paused"
			for _, node := range victims {
				check(t, node.Signal(syscall.SIGSTOP))
				check(t, chaos.Pause(t.Context(), upTo(200*time.Millisecond)))
			}
			check(t, chaos.Pause(t.Context(), upTo(3*time.Second)))
			for _, node := range victims {
				check(t, node.Signal(syscall.SIGCONT))
				check(t, chaos.Pause(t.Context(), upTo(200*time.Millisecond)))
			}
		} else {
			for _, node := range victims {
				check(t, n.Crash(t.Context(), node))
				check(t, chaos.Pause(t.Context(), upTo(300*time.Millisecond)))
			}
			if random.IntN(3) == 0 {
				did = "crashed and lost the state of"
				for _, node := range victims {
					check(t, os.RemoveAll(node.Data("state.ldb")))
				}
			}
			check(t, chaos.Pause(t.Context(), upTo(1500*time.Millisecond)))
			random.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
			for _, node := range victims {
				check(t, n.Restart(t.Context(), node))
				check(t, chaos.Pause(t.Context(), upTo(300*time.Millisecond)))
			}
		}
		back := time.Now()
		head := chaos.Highest(t.Context(), n.Clients()...)
		_, err := chaos.Level(t.Context(), head+1, 30*time.Second, n.Clients()...)
		check(t, err)
		took := time.Since(back)
		wait()
		if err := results.Complete(); err != nil {
			t.Fatalf("step %d: %v", step+1, err)
		}
		seen = append(seen, results.Seen()...)
		check(t, chaos.Kept(t.Context(), results.Seen(), n.Clients()...))
		t.Logf("step %d: %s %d of 4; all are beyond height %d %v later", step+1, did, len(victims), head, ms(took))
	}
	blocks := agree(t, n)
	check(t, chaos.Once(blocks, all))
	check(t, chaos.Kept(t.Context(), seen, n.Clients()...))
	conserved(t, n, w)
	t.Logf("seed %d: %d steps, %d blocks, %d receipts", *soakSeed, steps, len(blocks), len(seen))
}
