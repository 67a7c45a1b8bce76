package vm_test

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/vm"
)

// longestPause is an upper bound of the longest stop of the world for a garbage collection so far, and how many
// there were.
func longestPause() (time.Duration, uint64) {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	var longest float64
	var n uint64
	for i, count := range h.Counts {
		if n += count; count > 0 {
			longest = h.Buckets[i+1]
		}
	}
	if math.IsInf(longest, 1) {
		longest = math.MaxInt64
	}
	return time.Duration(longest * float64(time.Second)), n
}

// spinWhileCollecting runs a contract's loop, collects garbage all the time, and returns how long the loop took
// and how often the world was stopped.
func spinWhileCollecting(t testing.TB, w *world, rounds uint32) (loopTime time.Duration, stops uint64) {
	at := w.deploy(loop)
	_, before := longestPause()
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
	start := time.Now()
	if got := w.sendTo(at, loopInput(loopArithmetic, rounds, 0), nil, 1<<40); got.Outcome != vm.Success {
		t.Errorf("got outcome %d", got.Outcome)
	}
	loopTime = time.Since(start)
	close(stop)
	<-stopped
	_, after := longestPause()
	return loopTime, after - before
}

// TestPause_aContractDoesNotStopTheWorld: compiled code has no safe points of its own. Without tranches the first
// collection would wait for the loop's end.
func TestPause_aContractDoesNotStopTheWorld(t *testing.T) {
	w := newWorld(t, vm.Config{})
	loopTime, stops := spinWhileCollecting(t, w, 20_000_000)
	if stops < 6 { // two for each collection
		t.Errorf("the world was stopped %d times in %s: each collection waited for the contract", stops, loopTime)
	}
}

// BenchmarkPause is the longest stop of the world while a contract loops for seconds.
func BenchmarkPause(b *testing.B) {
	w := newWorld(b, vm.Config{})
	for b.Loop() {
		loopTime, stops := spinWhileCollecting(b, w, 200_000_000)
		longest, _ := longestPause()
		b.ReportMetric(loopTime.Seconds(), "loop-s")
		b.ReportMetric(float64(stops), "stops")
		b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	}
}
