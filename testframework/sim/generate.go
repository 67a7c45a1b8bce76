package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// Options say from what a scenario is drawn.
type Options struct {
	// Nodes are the numbers of validators to draw from.
	Nodes []int
	// Duration of the whole run in virtual time.
	Duration time.Duration
	// Term and Window fix T and W; 0 for Term draws both.
	Term, Window uint64
	// Liars is the number of Byzantine validators; -1 draws up to f.
	Liars int
	// Faults names the groups of faults to draw from; empty draws a subset of all.
	Faults []string
}

// DefaultOptions are those of the gate that every change passes.
func DefaultOptions() Options {
	return Options{Nodes: []int{4, 7}, Duration: 2 * time.Minute, Liars: -1}
}

// The groups of faults that can be asked for.
const (
	groupCrash     = "crash"
	groupPause     = "pause"
	groupWipe      = "wipe"
	groupPartition = "partition"
	groupLoss      = "loss"
	groupMute      = "mute"
	groupClock     = "clock"
	groupDisk      = "disk"
	groupTwin      = "twin"
	groupExecute   = "execute"
)

// FaultGroups names the groups of faults.
func FaultGroups() []string {
	return []string{groupCrash, groupPause, groupWipe, groupPartition, groupLoss, groupMute, groupClock, groupDisk, groupTwin, groupExecute}
}

// draw makes one scenario.
type draw struct {
	rng    *rand.Rand
	s      *Scenario
	groups []string
	// broken counts validators that may have lost their journal or lie: at most f in all.
	broken map[int]bool
	// diverged says that some executors give other results already.
	diverged bool
}

// Generate draws a scenario from a seed.
func Generate(seed uint64, o Options) *Scenario {
	d := &draw{rng: rand.New(rand.NewPCG(seed, 0x5CE9A210)), broken: map[int]bool{}}
	d.s = &Scenario{Seed: seed, Validators: o.Nodes[d.rng.IntN(len(o.Nodes))], Timing: consensus.DefaultTiming()}
	d.phases(o.Duration)
	d.protocol(o)
	d.network()
	d.machines()
	d.delta()
	d.liars(o.Liars)
	if spare := consensus.Faulty(d.s.Validators) - len(d.s.Liars); spare > 0 && d.chance(0.4) {
		d.s.Absent = 1 + d.rng.IntN(spare)
	}
	d.groups = o.Faults
	if len(d.groups) == 0 {
		for _, g := range FaultGroups() {
			if d.chance(0.45) {
				d.groups = append(d.groups, g)
			}
		}
	}
	d.dmax()
	d.faults()
	if d.s.Timing.MaxIdle == 0 && slices.ContainsFunc(d.s.Faults, func(f Fault) bool { return f.Kind == Diverge }) {
		// Without heartbeats nothing arms the timers of a validator that may order nothing: a limit that
		// the documents name.
		d.s.Timing.MaxIdle = consensus.DefaultTiming().MaxIdle
	}
	return d.s
}

func (d *draw) chance(p float64) bool { return d.rng.Float64() < p }

// within draws a duration between two bounds.
func (d *draw) within(low, high time.Duration) time.Duration {
	return low + time.Duration(d.rng.Int64N(int64(high-low)+1))
}

// phases divides the duration: the last quarter is for recovery, at most 30 s, and idling.
func (d *draw) phases(total time.Duration) {
	after := min(total/4, 30*time.Second)
	d.s.Idle = min(idleTime, after/4)
	d.s.Healed = after - d.s.Idle
	d.s.Faulty = total - after - settleTime
}

func (d *draw) protocol(o Options) {
	shapes := [][2]uint64{{1, 0}, {16, 4}, {16, 4}, {16, 4}, {3, 2}, {16, 0}, {2, 1}, {5, 8}}
	shape := shapes[d.rng.IntN(len(shapes))]
	if o.Term > 0 {
		shape = [2]uint64{o.Term, o.Window}
	}
	d.s.Term, d.s.Window = shape[0], shape[1]
	if d.chance(0.2) {
		d.s.Observers = 1
	}
	d.s.Wire = d.chance(0.1)
}

func (d *draw) network() {
	kinds := [][2]time.Duration{
		{200 * time.Microsecond, time.Millisecond},
		{time.Millisecond, 10 * time.Millisecond},
		{20 * time.Millisecond, 60 * time.Millisecond},
		{50 * time.Millisecond, 50 * time.Millisecond},
		{5 * time.Millisecond, 140 * time.Millisecond},
	}
	kind := kinds[d.rng.IntN(len(kinds))]
	n := &d.s.Network
	n.MinLatency, n.MaxLatency = kind[0], kind[1]
	if d.chance(0.5) {
		n.Jitter = d.within(0, n.MaxLatency/2)
	}
	if d.chance(0.2) {
		n.Bandwidth = 100_000 << d.rng.IntN(8)
	}
	if d.chance(0.3) {
		n.Duplicate = d.rng.Float64() * 0.1
	}
	if d.chance(0.3) {
		n.Reorder = d.rng.Float64()
	}
}

func (d *draw) machines() {
	if d.chance(0.5) {
		d.s.Disk.Sync = d.within(100*time.Microsecond, 20*time.Millisecond)
	}
	d.s.Disk.Execute = d.within(100*time.Microsecond, 50*time.Millisecond)
	if d.chance(0.5) {
		d.s.Disk.Judge = d.within(10*time.Microsecond, 5*time.Millisecond)
	}
	d.s.Disk.Segment = 2 << (10 + d.rng.IntN(6))
	if d.chance(0.2) {
		d.s.Timing.MaxIdle = 0
	}
	d.s.Work.Rate = []float64{0.3, 1, 3, 3, 10}[d.rng.IntN(5)]
}

// delta sets the bound that the protocol is told to one that nearly all messages keep.
func (d *draw) delta() {
	n := &d.s.Network
	if n.MaxLatency+4*n.Jitter+d.s.Disk.Sync+d.s.Disk.Judge > d.s.Timing.Delta {
		d.s.Timing.Delta = 400 * time.Millisecond
	}
}

// liars turns up to f validators: each tells up to three lies, or all of them collude.
func (d *draw) liars(count int) {
	f := consensus.Faulty(d.s.Validators)
	if count < 0 {
		count = 0
		if d.chance(0.5) {
			count = d.rng.IntN(f + 1)
		}
	}
	names, all := Strategies(), d.chance(0.25)
	for _, i := range d.rng.Perm(d.s.Validators)[:min(count, d.s.Validators)] {
		l := Liar{Node: i}
		if all {
			l.Strategies = append(l.Strategies, "colluding")
		}
		for len(l.Strategies) == 0 || len(l.Strategies) < 3 && d.chance(0.35) {
			l.Strategies = append(l.Strategies, names[d.rng.IntN(len(names))])
		}
		d.s.Liars = append(d.s.Liars, l)
		d.broken[i] = true
	}
	slices.SortFunc(d.s.Liars, func(a, b Liar) int { return a.Node - b.Node })
}

// faults draws what happens in the first phase: now and then something, each mended after a while.
func (d *draw) faults() {
	gap := d.within(500*time.Millisecond, 8*time.Second)
	for at := d.within(0, 3*time.Second); at < d.s.Faulty && len(d.groups) > 0; at += d.within(gap/4, gap*2) {
		d.fault(at, d.groups[d.rng.IntN(len(d.groups))])
	}
	slices.SortStableFunc(d.s.Faults, func(a, b Fault) int { return int(a.At - b.At) })
}

func (d *draw) add(f Fault) {
	if f.At < d.s.Faulty {
		d.s.Faults = append(d.s.Faults, f.relevant())
	}
}

// node draws a node, sometimes all of them.
func (d *draw) node(all float64) int {
	if d.chance(all) {
		return -1
	}
	return d.rng.IntN(d.s.Validators + d.s.Observers)
}

func (d *draw) fault(at time.Duration, group string) {
	switch group {
	case groupCrash:
		d.crash(at)
	case groupPause:
		d.add(Fault{At: at, Kind: Pause, Node: d.node(0.1), For: d.within(20*time.Millisecond, 10*time.Second)})
	case groupWipe:
		d.wipe(at)
	case groupPartition:
		d.partition(at)
	case groupLoss:
		d.lossy(at)
	case groupMute:
		d.add(Fault{At: at, Kind: Mute, Count: 1 + d.rng.Int64N(int64(muteEnd)-1)})
		d.add(Fault{At: at + d.within(100*time.Millisecond, 15*time.Second), Kind: Mute})
	case groupClock:
		d.clock(at)
	case groupDisk:
		d.disk(at)
	case groupTwin:
		d.twin(at)
	case groupExecute:
		d.diverge(at)
	}
}

// twin has one validator's key in two processes, if an observer's machine is there for it.
func (d *draw) twin(at time.Duration) {
	node := d.rng.IntN(d.s.Validators)
	if d.s.Observers > 0 && !d.broken[node] && len(d.broken) < consensus.Faulty(d.s.Validators) {
		d.broken[node] = true
		d.add(Fault{At: at, Kind: Twin, Node: node})
	}
}

func (d *draw) crash(at time.Duration) {
	f := Fault{At: at, Kind: Crash, Node: d.node(0.25), Retention: d.retention()}
	if d.chance(0.4) {
		f.Kind = Kill
	}
	down := d.within(10*time.Millisecond, 15*time.Second)
	for range 1 + d.rng.IntN(4)/3*d.rng.IntN(6) { // now and then again and again
		d.add(f)
		d.add(Fault{At: f.At + down, Kind: Start, Node: f.Node})
		f.At += down + d.within(10*time.Millisecond, 2*time.Second)
		down = d.within(10*time.Millisecond, 2*time.Second)
	}
}

func (d *draw) retention() simdisk.Retention {
	all := simdisk.Retentions()
	return all[d.rng.IntN(len(all))]
}

// wipe takes a validator's memory, if the others can do without.
func (d *draw) wipe(at time.Duration) {
	node := d.rng.IntN(d.s.Validators)
	n := d.s.Validators
	if !d.broken[node] && (len(d.broken) >= consensus.Faulty(n) || n-1-len(d.broken) < consensus.Quorum(n)) {
		return
	}
	d.broken[node] = true
	kind := []FaultKind{Wipe, Forget, Corrupt, Rollback}[d.rng.IntN(4)]
	if d.chance(0.4) { // Nobody else learns what it learns and says last.
		d.add(Fault{At: at - min(at, d.within(time.Millisecond, 400*time.Millisecond)), Kind: Funnel, Node: node})
		d.add(Fault{At: at + time.Millisecond, Kind: Heal})
	}
	d.add(Fault{At: at, Kind: Kill, Node: node})
	d.add(Fault{At: at + time.Millisecond, Kind: kind, Node: node, Count: int64(d.rng.IntN(60))})
	back := d.within(10*time.Millisecond, 10*time.Second)
	if d.chance(0.5) {
		back = d.within(2*time.Millisecond, 100*time.Millisecond)
	}
	d.add(Fault{At: at + back, Kind: Start, Node: node})
}

func (d *draw) partition(at time.Duration) {
	kind := []FaultKind{Partition, Partition, Partition, Bridge, Ring, OneWay, Funnel}[d.rng.IntN(7)]
	all := uint64(1)<<(d.s.Validators+d.s.Observers) - 1
	for range 1 + d.rng.IntN(3) { // flapping
		d.add(Fault{At: at, Kind: kind, Node: d.rng.IntN(d.s.Validators), Mask: d.rng.Uint64() & all})
		at += d.within(100*time.Millisecond, 12*time.Second)
		d.add(Fault{At: at, Kind: Heal})
		at += d.within(10*time.Millisecond, time.Second)
	}
}

func (d *draw) lossy(at time.Duration) {
	if d.chance(0.4) {
		d.add(Fault{At: at, Kind: Clog, Node: d.node(0.1), For: d.within(50*time.Millisecond, 4*time.Second)})
		return
	}
	d.add(Fault{At: at, Kind: Lossy, Count: int64(d.rng.IntN(400))})
	d.add(Fault{At: at + d.within(time.Second, 10*time.Second), Kind: Lossy, Count: int64(d.rng.IntN(20))})
}

func (d *draw) clock(at time.Duration) {
	node := d.node(0)
	if d.chance(0.5) {
		d.add(Fault{At: at, Kind: Drift, Node: node, Count: d.rng.Int64N(100_001) - 50_000})
		return
	}
	// Forward and, as often, back; beyond the allowed drift too.
	off := d.within(0, 2*time.Second) - time.Second
	d.add(Fault{At: at, Kind: Step, Node: node, For: off})
	if d.chance(0.5) {
		d.add(Fault{At: at + d.within(time.Second, 20*time.Second), Kind: Step, Node: node, For: -off})
	}
}

func (d *draw) disk(at time.Duration) {
	node := d.rng.IntN(d.s.Validators)
	if d.chance(0.3) {
		d.add(Fault{At: at, Kind: SlowDisk, Node: node, For: d.within(time.Second, 10*time.Second)})
		return
	}
	kind := []FaultKind{FailWrite, FailSync, Full, ShortWrite, PowerOff}[d.rng.IntN(5)]
	d.add(Fault{At: at, Kind: kind, Node: node, Count: int64(d.rng.IntN(20))})
	at += d.within(2*time.Second, 12*time.Second)
	d.add(Fault{At: at, Kind: Crash, Node: node, Retention: d.retention()})
	d.add(Fault{At: at + d.within(10*time.Millisecond, 3*time.Second), Kind: Start, Node: node})
}
