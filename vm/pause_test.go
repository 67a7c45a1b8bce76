package vm_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/vm"
)

// pauses are the stops of the world for garbage collections, by their length.
func pauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// collectWhile collects garbage all the time while something runs, and returns upper bounds of how long the world
// was stopped each time, ascending.
func collectWhile(run func()) (stops []time.Duration) {
	before := pauses()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	run()
	close(stop)
	<-stopped
	after := pauses()
	for i, n := range after.Counts {
		for range n - before.Counts[i] {
			stops = append(stops, time.Duration(min(after.Buckets[i+1], 3600)*float64(time.Second)))
		}
	}
	return stops
}

// spinWhileCollecting runs a contract's loop, collects garbage all the time, and returns how long the loop took
// and how long the world was stopped each time, ascending.
func spinWhileCollecting(t testing.TB, w *world, rounds uint32) (loopTime time.Duration, stops []time.Duration) {
	at := w.deploy(loop)
	stops = collectWhile(func() {
		start := time.Now()
		if got := w.sendTo(at, loopInput(loopArithmetic, rounds, 0), nil, 1<<40); got.Outcome != vm.Success {
			t.Errorf("got outcome %d", got.Outcome)
		}
		loopTime = time.Since(start)
	})
	return loopTime, stops
}

// TestPause_aContractDoesNotStopTheWorld: compiled code has no safe points of its own. Without tranches the first
// collection would wait for the loop's end.
func TestPause_aContractDoesNotStopTheWorld(t *testing.T) {
	w := newWorld(t, vm.Config{})
	loopTime, stops := spinWhileCollecting(t, w, 20_000_000)
	if len(stops) < 6 { // two for each collection
		t.Errorf("the world was stopped %d times in %s: each collection waited for the contract", len(stops), loopTime)
	}
}

// BenchmarkPause is how long the world stops while a contract loops for seconds, and, to compare, while Go does: on a
// machine that is busy otherwise, a stop waits for threads that do not run.
func BenchmarkPause(b *testing.B) {
	w := newWorld(b, vm.Config{})
	for b.Loop() {
		loopTime, stops := spinWhileCollecting(b, w, 200_000_000)
		b.ReportMetric(loopTime.Seconds(), "loop-s")
		b.ReportMetric(float64(len(stops)), "stops")
		b.ReportMetric(float64(stops[len(stops)/2].Microseconds()), "median-µs")
		b.ReportMetric(float64(stops[len(stops)-1].Microseconds()), "longest-µs")
		stops = collectWhile(func() {
			for start := time.Now(); time.Since(start) < loopTime; {
			}
		})
		b.ReportMetric(float64(stops[len(stops)/2].Microseconds()), "go-median-µs")
		b.ReportMetric(float64(stops[len(stops)-1].Microseconds()), "go-longest-µs")
	}
}
