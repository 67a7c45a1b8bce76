package sim

import (
	"slices"
	"time"
)

// simplify tries everything that makes a scenario easier to read and quicker to run.
func (h *shrinker) simplify() {
	h.fewerLiars()
	h.fewerNodes()
	h.quieterNetwork()
	h.smallerProtocol()
	h.lessWork()
	h.simplerFaults()
	h.soonerFaults()
	h.rounderTimes()
}

func (h *shrinker) fewerLiars() {
	for i := len(h.best.Liars) - 1; i >= 0; i-- {
		if h.try("fewer liars", func(s *Scenario) { s.Liars = slices.Delete(s.Liars, i, i+1) }) {
			continue
		}
		for k := len(h.best.Liars[i].Strategies) - 1; k >= 0 && len(h.best.Liars[i].Strategies) > 1; k-- {
			h.try("fewer lies", func(s *Scenario) {
				s.Liars[i].Strategies = slices.Delete(s.Liars[i].Strategies, k, k+1)
			})
		}
	}
}

// fewerNodes first tries the smallest networks that bear one fault or two, without those nodes that least
// happens to, then leaves out nodes one by one.
func (h *shrinker) fewerNodes() {
	for range h.best.Observers {
		h.try("fewer observers", func(s *Scenario) { s.remove(s.nodes() - 1) })
	}
	for _, size := range []int{1, 4, 7} {
		if size < h.best.Validators {
			h.try("fewer validators", func(s *Scenario) {
				for s.Validators > size {
					s.remove(s.idlest())
				}
			})
		}
	}
	for i := h.best.Validators - 1; i >= 0; i-- {
		if h.best.Validators > 1 && i < h.best.Validators {
			h.try("fewer validators", func(s *Scenario) { s.remove(i) })
		}
	}
}

// idlest is the last of the validators to which the least happens.
func (s *Scenario) idlest() int {
	count := make([]int, s.Validators)
	for _, l := range s.Liars {
		if l.Node < len(count) {
			count[l.Node] += maxFaults
		}
	}
	for i := range s.Faults {
		if f := &s.Faults[i]; f.Node >= 0 && f.Node < len(count) {
			count[f.Node]++
		}
	}
	best := 0
	for i := range count {
		if count[i] <= count[best] {
			best = i
		}
	}
	return best
}

// remove takes a node out of the network; those after it move up.
func (s *Scenario) remove(node int) {
	if node < s.Validators {
		s.Validators--
	} else {
		s.Observers--
	}
	s.Liars = slices.DeleteFunc(s.Liars, func(l Liar) bool { return l.Node == node })
	for i := range s.Liars {
		if s.Liars[i].Node > node {
			s.Liars[i].Node--
		}
	}
	s.Faults = slices.DeleteFunc(s.Faults, func(f Fault) bool {
		form := formOf(f.Kind)
		return f.Node == node && form != nil && slices.ContainsFunc(form.parts, func(p part) bool { return p == partNode || p == partOver })
	})
	low := uint64(1)<<node - 1
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.Node > node {
			f.Node--
		}
		f.Mask = f.Mask&low | f.Mask>>1&^low
	}
}

func (h *shrinker) quieterNetwork() {
	base := DefaultScenario()
	h.try("a plain network", func(s *Scenario) { s.Network, s.Disk, s.Timing, s.Wire = base.Network, base.Disk, base.Timing, false })
	h.try("no jitter", func(s *Scenario) { s.Network.Jitter = 0 })
	h.try("no duplicates", func(s *Scenario) { s.Network.Duplicate = 0 })
	h.try("no reordering", func(s *Scenario) { s.Network.Reorder = 0 })
	h.try("no limit of bandwidth", func(s *Scenario) { s.Network.Bandwidth = 0 })
	h.try("no loss", func(s *Scenario) { s.Network.Loss = 0 })
	h.try("no regions", func(s *Scenario) { s.Network.Regions = false })
	h.try("no sync times", func(s *Scenario) { s.Disk.Sync = 0 })
	h.try("no judge times", func(s *Scenario) { s.Disk.Judge = 0 })
	h.try("quick execution", func(s *Scenario) { s.Disk.Execute = base.Disk.Execute })
	h.try("no encoding", func(s *Scenario) { s.Wire = false })
	h.try("plain latency", func(s *Scenario) {
		s.Network.MinLatency, s.Network.MaxLatency = base.Network.MinLatency, base.Network.MaxLatency
	})
	if l := h.best.Network.MaxLatency; l != base.Network.MaxLatency {
		h.try("one latency", func(s *Scenario) { s.Network.MinLatency = l })
	}
	h.try("plain timing", func(s *Scenario) { s.Timing = base.Timing })
}

// smallerProtocol looks for the smallest T and W.
func (h *shrinker) smallerProtocol() {
	for _, term := range []uint64{1, 2, 3, 4, 8} {
		if term < h.best.Term && h.try("shorter terms", func(s *Scenario) { s.Term = term }) {
			break
		}
	}
	for window := range min(h.best.Window, 8) {
		if h.try("a smaller window", func(s *Scenario) { s.Window = window }) {
			break
		}
	}
}

func (h *shrinker) lessWork() {
	h.try("not always blocks", func(s *Scenario) { s.Work.Always = false })
	for _, rate := range []float64{0, 0.3, 1, 3} {
		if rate < h.best.Work.Rate && h.try("less work", func(s *Scenario) { s.Work.Rate = rate }) {
			break
		}
	}
}

// fewFaults is how many may be left for those changes that are tried with each.
const fewFaults = 16

func (h *shrinker) simplerFaults() {
	for i := range min(len(h.best.Faults), fewFaults) {
		f := h.best.Faults[i]
		if f.Kind == Crash {
			h.try("a kill instead of a crash", func(s *Scenario) { s.Faults[i] = Fault{At: f.At, Kind: Kill, Node: f.Node} })
			h.try("the simplest crash", func(s *Scenario) { s.Faults[i].Retention = 0 })
		}
		h.try("no count", func(s *Scenario) { s.Faults[i].Count = 0 })
		if f.Node < 0 && f.Kind != Start {
			for node := range h.best.nodes() {
				if h.try("one node instead of all", func(s *Scenario) { s.Faults[i].Node = node }) {
					break
				}
			}
		}
	}
}

// soonerFaults shortens the times between faults, and the time after the last one.
func (h *shrinker) soonerFaults() {
	gaps := []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second}
	for i := range min(len(h.best.Faults)+1, fewFaults) {
		for _, gap := range gaps {
			if i <= len(h.best.Faults) && h.try("sooner", func(s *Scenario) { s.pull(i, gap) }) {
				break
			}
		}
	}
}

// pull makes the time before fault i at most gap; for i one beyond the last fault, the time to the end.
func (s *Scenario) pull(i int, gap time.Duration) {
	before, at := time.Duration(0), s.Faulty
	if i > 0 {
		before = s.Faults[i-1].At
	}
	if i < len(s.Faults) {
		at = s.Faults[i].At
	}
	less := at - before - gap
	if less <= 0 {
		return
	}
	for k := i; k < len(s.Faults); k++ {
		s.Faults[k].At -= less
	}
	s.Faulty -= less
}

// rounderTimes makes numbers round: all at once, then one by one.
func (h *shrinker) rounderTimes() {
	units := []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond}
	for _, unit := range units {
		h.try("rounder times", func(s *Scenario) {
			for i := range s.Faults {
				s.Faults[i].round(unit)
			}
			s.Faulty = s.Faulty.Truncate(unit) + unit
		})
	}
	for i := range min(len(h.best.Faults), fewFaults) {
		for _, unit := range units {
			if h.try("a rounder time", func(s *Scenario) { s.Faults[i].round(unit) }) {
				break
			}
		}
	}
	for _, unit := range units {
		if end := h.best.Faulty.Truncate(unit); end != h.best.Faulty && h.try("a rounder end", func(s *Scenario) { s.Faulty = end }) {
			break
		}
	}
	for _, unit := range units {
		h.try("rounder delays", func(s *Scenario) {
			n := &s.Network
			for _, d := range []*time.Duration{&n.MinLatency, &n.MaxLatency, &n.Jitter, &s.Disk.Sync, &s.Disk.Execute, &s.Disk.Judge} {
				if *d > unit {
					*d = d.Round(unit)
				}
			}
		})
	}
}

// round makes a fault's times multiples of a unit. What lasts goes on lasting.
func (f *Fault) round(unit time.Duration) {
	f.At = f.At.Round(unit)
	if f.For.Abs() >= unit {
		f.For = f.For.Round(unit)
	}
}
