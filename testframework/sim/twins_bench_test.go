package sim_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
)

// cpuTime is what this process has had of its cores, for a machine that others use too.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkTwins_Run(b *testing.B) {
	for _, o := range []sim.TwinsOptions{{Term: 1}, {Term: 2, Window: 1}, {Term: 16, Window: 4}} {
		o.Validators, o.Twins, o.Views, o.Parts, o.Late = 4, 1, 4, 2, true
		b.Run(fmt.Sprintf("T=%d/W=%d", o.Term, o.Window), func(b *testing.B) {
			s := scope(b, o)
			b.ReportAllocs()
			start, runs, events := cpuTime(b), uint64(0), uint64(0)
			for b.Loop() {
				r := s.Run(runs * 7919 % s.Count())
				events += r.Events
				runs++
			}
			b.ReportMetric(float64(runs)/(cpuTime(b)-start).Seconds(), "scenarios/cpu_s")
			b.ReportMetric(float64(events)/float64(runs), "events/scenario")
		})
	}
}
