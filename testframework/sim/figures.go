package sim

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// Figures are what a healthy network does in virtual time, and how fast the simulator is.
type Figures struct {
	Speed    []Speed
	Latency  []Latency
	Failover []Failover
}

// Speed is how fast the simulator runs networks of one size.
type Speed struct {
	Validators int
	// PerCPU is simulated seconds per CPU second, the median of the repeats; Least and Most are the others.
	PerCPU, Least, Most float64
	// Blocks and messages per simulated second: the work that the figure stands for.
	Blocks, Messages float64
}

// Latency is what a schedule gives on links of known delay, in units of the delay δ.
type Latency struct {
	Validators   int
	Term, Window uint64
	Links        string
	// Delta is δ: the delay of the links, or their mean.
	Delta time.Duration
	// Period is the time from block to block, Finality from a proposal to a final block, the mean over
	// all nodes and blocks.
	Period, Finality time.Duration
	// Blocks that the figures come from.
	Blocks uint64
}

// Failover is the gap that the crash of a leader leaves.
type Failover struct {
	Validators   int
	Term, Window uint64
	Delta        time.Duration // the configured bound
	Crashes      int
	Median, Most time.Duration
}

// meter takes the times of blocks.
type meter struct {
	proposed map[common.Hash]time.Duration
	total    time.Duration
	count    int
	finals   []time.Duration // first delivery of each height
}

func (m *meter) proposal(w *World, p *consensus.Proposal) {
	if _, ok := m.proposed[p.Hash()]; !ok {
		m.proposed[p.Hash()] = w.now
	}
}

func (m *meter) final(w *World, f *consensus.FinalBlock) {
	if at, ok := m.proposed[f.Hash]; ok {
		m.total += w.now - at
		m.count++
	}
	if f.Block.Header.Height > uint64(len(m.finals)) {
		m.finals = append(m.finals, w.now)
	}
}

// steady is a network that nothing happens to.
func steady(n int, term, window uint64, latency time.Duration) *Scenario {
	s := DefaultScenario()
	s.Validators, s.Term, s.Window = n, term, window
	s.Network = Network{MinLatency: latency, MaxLatency: latency}
	s.Disk = Disk{Execute: time.Millisecond}
	s.Faulty, s.Healed, s.Idle = 100*time.Second, 0, 0
	return s
}

// Measure takes all figures. Repeats is how often the speed is measured. Progress, when not nil, is told
// what is measured next.
func Measure(repeats int, progress func(what string)) (*Figures, error) {
	f := new(Figures)
	say := func(format string, args ...any) {
		if progress != nil {
			progress(fmt.Sprintf(format, args...))
		}
	}
	for _, n := range []int{4, 7, 16} {
		say("speed with %d validators", n)
		x, err := measureSpeed(n, repeats)
		if err != nil {
			return nil, err
		}
		f.Speed = append(f.Speed, *x)
	}
	for _, shape := range [][2]uint64{{1, 0}, {16, 0}, {16, 4}} {
		for _, regions := range []bool{false, true} {
			say("latency with T=%d and W=%d", shape[0], shape[1])
			x, err := measureLatency(shape[0], shape[1], regions)
			if err != nil {
				return nil, err
			}
			f.Latency = append(f.Latency, *x)
		}
	}
	for _, shape := range [][2]uint64{{1, 0}, {16, 4}} {
		say("crashes of leaders with T=%d and W=%d", shape[0], shape[1])
		x, err := measureFailover(shape[0], shape[1])
		if err != nil {
			return nil, err
		}
		f.Failover = append(f.Failover, *x)
	}
	return f, nil
}

func measureSpeed(n, repeats int) (*Speed, error) {
	var rates []float64
	x := &Speed{Validators: n}
	for range max(repeats, 1) {
		s := steady(n, 16, 4, 0)
		s.Network.MinLatency, s.Network.MaxLatency = 20*time.Millisecond, 60*time.Millisecond
		s.Disk.Sync = time.Millisecond
		before := CPUTime()
		r, err := Run(s)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			return nil, err
		}
		rates = append(rates, r.At.Seconds()/max((CPUTime()-before).Seconds(), 1e-9))
		x.Blocks, x.Messages = float64(r.Stats.Height)/r.At.Seconds(), float64(r.Stats.Sent)/r.At.Seconds()
	}
	slices.Sort(rates)
	x.Least, x.PerCPU, x.Most = rates[0], rates[len(rates)/2], rates[len(rates)-1]
	return x, nil
}

// CPUTime is what this process has used of all cores so far.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measureLatency(term, window uint64, spread bool) (*Latency, error) {
	x := &Latency{Validators: 4, Term: term, Window: window, Links: "50 ms each", Delta: 50 * time.Millisecond}
	if spread {
		x.Validators, x.Links = 16, "five regions"
	}
	s := steady(x.Validators, term, window, x.Delta)
	s.Network.Regions = spread
	s.Disk.Execute = 0
	s.Work = Work{Always: true}
	s.Timing.Delta, s.Faulty = 400*time.Millisecond, 20*time.Second
	w, err := New(s)
	if err != nil {
		return nil, err
	}
	if spread {
		x.Delta = w.meanDelay()
	}
	w.meter = &meter{proposed: map[common.Hash]time.Duration{}}
	r := w.Run()
	if r.Err != nil {
		return nil, r.Err
	}
	x.Blocks = r.Stats.Height
	x.Period = r.At / time.Duration(max(r.Stats.Height, 1))
	x.Finality = w.meter.total / time.Duration(max(w.meter.count, 1))
	return x, nil
}

// meanDelay is the mean delay of all links.
func (w *World) meanDelay() time.Duration {
	total, n := time.Duration(0), len(w.nodes)
	for i := range n {
		for j := range n {
			if i != j {
				total += w.link(i, j).base
			}
		}
	}
	return total / time.Duration(n*(n-1))
}

// leaderCrashes is how many leaders a failover figure kills.
const leaderCrashes = 100

func measureFailover(term, window uint64) (*Failover, error) {
	x := &Failover{Validators: 4, Term: term, Window: window}
	var gaps []time.Duration
	for seed := range uint64(leaderCrashes) {
		s := steady(4, term, window, time.Millisecond)
		s.Seed, s.Work.Rate, s.Faulty = seed, 100, 20*time.Second
		x.Delta = s.Timing.Delta
		w, err := New(s)
		if err != nil {
			return nil, err
		}
		w.meter = &meter{proposed: map[common.Hash]time.Duration{}}
		w.begin()
		w.advance(5*time.Second + time.Duration(seed)*7*time.Millisecond)
		leader := w.nodes[0].replica.Snapshot().Leader
		w.nodes[leader].crash(true, 0)
		from := len(w.meter.finals)
		last := w.now
		w.advance(s.Faulty)
		if w.err != nil {
			return nil, w.err
		}
		most := time.Duration(0)
		for _, at := range w.meter.finals[from:] {
			most = max(most, at-last)
			last = at
		}
		gaps = append(gaps, max(most, s.Faulty-last))
	}
	slices.Sort(gaps)
	x.Crashes, x.Median, x.Most = len(gaps), gaps[len(gaps)/2], gaps[len(gaps)-1]
	return x, nil
}
