package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// Limits of a scenario, so that no script keeps a machine busy for good or makes times overflow.
const (
	// maxNodes is how many have a bit in [Fault.Mask].
	maxNodes  = 64
	maxFaults = 10_000
	maxPhase  = 1000 * time.Hour
	// maxDelay bounds every delay and timer.
	maxDelay = time.Hour
	// minTimer and minLatency make time pass: without them a network could decide blocks without end
	// within one moment.
	minTimer   = 100 * time.Microsecond
	minLatency = 10 * time.Microsecond
	maxRate    = 100_000.0 // transactions per second
	// maxOperations bounds counts of blocks and of disk operations.
	maxOperations = 1 << 20
	// maxDriftPpm is a clock at half or one and a half times its speed.
	maxDriftPpm            = 500_000
	minSegment, maxSegment = 1 << 10, 1 << 24 // bytes
	// maxMaxAhead is the highest Dmax that a genesis may have.
	maxMaxAhead = 200
	// minBandwidth lets a block of the largest size pass within a minute.
	minBandwidth = 1000
)

// nodes is how many nodes there are.
func (s *Scenario) nodes() int { return s.Validators + s.Observers }

// check says what makes no sense about a scenario.
func (s *Scenario) check() error {
	if s.Validators < 1 || s.Validators > maxNodes || s.Observers < 0 || s.Observers > maxNodes-s.Validators {
		return fmt.Errorf("%d validators and %d observers; want 1 to %d nodes, at least one a validator", s.Validators, s.Observers, maxNodes)
	}
	if err := s.checkTimes(); err != nil {
		return err
	}
	if s.Work.Rate < 0 || s.Work.Rate > maxRate || math.IsNaN(s.Work.Rate) {
		return fmt.Errorf("a rate of %v transactions per second; want 0 to %v", s.Work.Rate, maxRate)
	}
	if s.MaxAhead > maxMaxAhead {
		return fmt.Errorf("max-ahead %d; want 0 for the default or 1 to %d", s.MaxAhead, maxMaxAhead)
	}
	if size := s.Disk.Segment; size != 0 && (size < minSegment || size > maxSegment) {
		return fmt.Errorf("segments of %d bytes; want 0 for the default or %d to %d", size, minSegment, maxSegment)
	}
	if b := s.Network.Bandwidth; b != 0 && b < minBandwidth {
		return fmt.Errorf("a bandwidth of %d bytes per second; want 0 for unlimited or at least %d", b, minBandwidth)
	}
	if f := consensus.Faulty(s.Validators) - len(s.Liars); s.Absent < 0 || s.Absent > max(f, 0) {
		return fmt.Errorf("%d validators absent beside %d liars; want at most a third less one in all", s.Absent, len(s.Liars))
	}
	told := map[int]bool{}
	for _, l := range s.Liars {
		if told[l.Node] {
			return fmt.Errorf("validator %d is made a liar twice", l.Node)
		}
		told[l.Node] = true // that it is a validator, [World.turn] checks
	}
	return s.checkFaults()
}

func (s *Scenario) checkTimes() error {
	n := &s.Network
	for _, t := range []struct {
		name            string
		is, least, most time.Duration
	}{
		{"faulty", s.Faulty, 0, maxPhase},
		{"healed", s.Healed, 0, maxPhase},
		{"idle", s.Idle, 0, maxPhase},
		{"delta", s.Timing.Delta, minTimer, maxDelay},
		{"min-interval", s.Timing.MinInterval, minTimer, maxDelay},
		{"max-idle", s.Timing.MaxIdle, 0, maxDelay},
		{"max-drift", s.Timing.MaxDrift, 0, maxDelay},
		{"latency", n.MinLatency, minLatency, maxDelay},
		{"latency", n.MaxLatency, minLatency, maxDelay},
		{"jitter", n.Jitter, 0, maxDelay},
		{"sync", s.Disk.Sync, 0, maxDelay},
		{"execute", s.Disk.Execute, 0, maxDelay},
		{"judge", s.Disk.Judge, 0, maxDelay},
	} {
		if t.is < t.least || t.is > t.most {
			return fmt.Errorf("%s %v; want %v to %v", t.name, t.is, t.least, t.most)
		}
	}
	if idle := s.Timing.MaxIdle; idle != 0 && idle < minTimer {
		return fmt.Errorf("max-idle %v; want 0s for off, or at least %v", idle, minTimer)
	}
	if n.MinLatency > n.MaxLatency {
		return fmt.Errorf("latency %v..%v; want the smaller one first", n.MinLatency, n.MaxLatency)
	}
	for _, r := range []struct {
		name string
		is   float64
	}{{"loss", n.Loss}, {"duplicate", n.Duplicate}, {"reorder", n.Reorder}} {
		if !(r.is >= 0 && r.is <= 1) { // so that NaN is none
			return fmt.Errorf("%s %v; want a rate between 0 and 1", r.name, r.is)
		}
	}
	return nil
}

func (s *Scenario) checkFaults() error {
	if len(s.Faults) > maxFaults {
		return fmt.Errorf("%d faults; there may be %d", len(s.Faults), maxFaults)
	}
	var before time.Duration
	for i := range s.Faults {
		f := &s.Faults[i]
		if err := s.checkFault(f); err != nil {
			return fmt.Errorf("%q: %w", f.text(s.nodes()), err)
		}
		if f.At < before {
			return fmt.Errorf("%q comes after a fault at %v; want them in the order of their times", f.text(s.nodes()), before)
		}
		before = f.At
	}
	return nil
}

func (s *Scenario) checkFault(f *Fault) error {
	if f.At < 0 || f.At > s.Faulty {
		return fmt.Errorf("faults happen between 0s and the end of the first phase at %v", s.Faulty)
	}
	if formOf(f.Kind) == nil {
		return fmt.Errorf("no fault has the number %d", f.Kind)
	}
	if f.Node < -1 || f.Node >= s.nodes() {
		return fmt.Errorf("no node %d; want 0 to %d, or all", f.Node, s.nodes()-1)
	}
	if f.Mask&^allNodes(s.nodes()) != 0 {
		return fmt.Errorf("want nodes 0 to %d", s.nodes()-1)
	}
	least, most := int64(0), int64(maxOperations)
	spanLeast := time.Duration(0)
	switch f.Kind {
	case Bridge, Funnel, OneWay:
		if f.Node < 0 {
			return fmt.Errorf("want one node")
		}
	case Lossy:
		most = 1000
	case Mute:
		most = int64(muteEnd) - 1
	case Rate:
		most = 1000 * maxRate
	case Drift:
		least, most = -maxDriftPpm, maxDriftPpm
	case Step:
		spanLeast = -maxDelay
	}
	if f.Count < least || f.Count > most {
		return fmt.Errorf("the count %d is not between %d and %d", f.Count, least, most)
	}
	if f.For < spanLeast || f.For > maxDelay {
		return fmt.Errorf("the duration %v is not between %v and %v", f.For, spanLeast, maxDelay)
	}
	return nil
}
