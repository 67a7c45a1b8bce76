package sim_test

import (
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/sim"
)

func plain(n int, term, window uint64) *sim.Scenario {
	return &sim.Scenario{
		Seed: 1, Validators: n, Term: term, Window: window, Timing: consensus.DefaultTiming(),
		Network: sim.Network{MinLatency: 20 * time.Millisecond, MaxLatency: 60 * time.Millisecond},
		Disk:    sim.Disk{Sync: time.Millisecond, Execute: time.Millisecond},
		Work:    sim.Work{Rate: 3}, Faulty: 80 * time.Second, Healed: 20 * time.Second, Idle: 5 * time.Second,
	}
}

func BenchmarkRun(b *testing.B) {
	for _, n := range []int{4, 7, 16} {
		b.Run(map[int]string{4: "n=4", 7: "n=7", 16: "n=16"}[n], func(b *testing.B) {
			b.ReportAllocs()
			total := 0.0
			var r *sim.Result
			for b.Loop() {
				var err error
				if r, err = sim.Run(plain(n, 16, 4)); err != nil || r.Err != nil {
					b.Fatal(err, r.Err)
				}
				total += r.At.Seconds()
			}
			b.ReportMetric(total/b.Elapsed().Seconds(), "sim_s/s")
			b.ReportMetric(float64(r.Stats.Height), "blocks")
			b.ReportMetric(float64(r.Stats.Sent), "msgs")
		})
	}
}
