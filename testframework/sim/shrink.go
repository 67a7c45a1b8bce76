package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// Shrinking says how much work [Shrink] may do.
type Shrinking struct {
	// Runs is the most runs of scenarios; 0 is 1,500.
	Runs int
	// Progress, when not nil, is told each scenario that is smaller and still fails.
	Progress func(Progress)
}

// Progress is one success of a shrinker.
type Progress struct {
	// Runs so far.
	Runs int
	// Step says what was made simpler.
	Step     string
	Scenario *Scenario
}

const (
	defaultRuns = 1500
	// rounds is how often all simplifications are tried: one makes room for another.
	rounds = 4
)

// Shrink reduces a failing scenario to a small one that fails in the same way: fewer faults, liars and
// nodes, a quieter network, round numbers. A nil same stands for breaking the rule that s breaks. Equal
// arguments give equal results; if s itself does not fail in that way, it is the result.
//
// What keeps to the rules of the game goes on doing so: no more validators are broken than there may be, no
// clock is left off and no Δ too short, or the smaller scenario would fail for another reason.
func Shrink(s *Scenario, same func(*Result) bool, o Shrinking) *Scenario {
	h := &shrinker{best: s.clone(), same: same, most: cmp.Or(o.Runs, defaultRuns), progress: o.Progress, seen: map[string]bool{}}
	h.fair = h.best.fairness()
	r, err := Run(s)
	if err != nil {
		return h.best
	}
	if rule := r.Rule(); same == nil {
		h.same = func(r *Result) bool { return rule != "" && r.Rule() == rule }
	}
	if !h.same(r) {
		return h.best
	}
	h.runs, h.at = 1, r.At
	h.truncate()
	for range rounds {
		before := h.best.String()
		h.fewerFaults()
		h.simplify()
		h.truncate()
		if h.best.String() == before {
			break
		}
	}
	return h.best
}

type shrinker struct {
	best *Scenario
	at   time.Duration // when best fails
	same func(*Result) bool
	fair fairness

	runs, most int
	progress   func(Progress)
	seen       map[string]bool // by text: was tried
}

// seeds are tried beside the scenario's own: leaving something out changes what chance decides afterwards.
const seeds = 2

// try makes a change if the scenario goes on failing with it.
func (h *shrinker) try(step string, change func(s *Scenario)) bool {
	c := h.best.clone()
	change(c)
	c = c.clone() // without empty lists
	slices.SortStableFunc(c.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	if !c.fairness().within(h.fair) || c.check() != nil {
		return false
	}
	own := c.Seed
	for seed := range uint64(1 + seeds) {
		if c.Seed = own; seed > 0 {
			c.Seed = seed
		}
		if h.fails(step, c) {
			return true
		}
	}
	return false
}

// fails runs a candidate once, and takes it if it fails.
func (h *shrinker) fails(step string, c *Scenario) bool {
	text := c.String()
	if h.seen[text] || text == h.best.String() || h.runs >= h.most {
		return false
	}
	h.seen[text] = true
	h.runs++
	r, err := Run(c)
	if err != nil || !h.same(r) {
		return false
	}
	h.best, h.at = c.clone(), r.At
	if h.progress != nil {
		h.progress(Progress{Runs: h.runs, Step: step, Scenario: c.clone()})
	}
	return true
}

// truncate ends the scenario where it fails.
func (h *shrinker) truncate() {
	for _, unit := range []time.Duration{10 * time.Second, time.Second, 100 * time.Millisecond, time.Millisecond} {
		end := h.at.Truncate(unit) + unit
		if end >= h.best.Faulty && h.best.Healed == 0 {
			continue
		}
		h.try("end when it fails", func(s *Scenario) {
			s.Faulty, s.Healed, s.Idle = end, 0, 0
			s.Faults = slices.DeleteFunc(s.Faults, func(f Fault) bool { return f.At > end })
		})
	}
	if h.at < h.best.Faulty+h.best.Healed {
		h.try("no idling", func(s *Scenario) { s.Idle = 0 })
	}
}

// fewerFaults leaves out faults: first each with what mends it, then one by one.
func (h *shrinker) fewerFaults() {
	h.drop(func(s *Scenario) [][]int { return pairs(s.Faults) })
	h.drop(func(s *Scenario) [][]int {
		one := make([][]int, len(s.Faults))
		for i := range one {
			one[i] = []int{i}
		}
		return one
	})
}

// drop is delta debugging: it leaves out all groups of faults, halves, quarters, and single ones.
func (h *shrinker) drop(divide func(s *Scenario) [][]int) {
	groups := divide(h.best)
	for size := len(groups); size > 0 && h.runs < h.most; {
		again := false
		for from := 0; from < len(groups); {
			gone := map[int]bool{}
			for _, g := range groups[from:min(from+size, len(groups))] {
				for _, i := range g {
					gone[i] = true
				}
			}
			if !h.try("fewer faults", func(s *Scenario) { s.Faults = without(s.Faults, gone) }) {
				from += size
				continue
			}
			again = size == 1
			groups = divide(h.best)
		}
		if !again {
			size /= 2
		}
	}
}

func without(faults []Fault, gone map[int]bool) []Fault {
	var kept []Fault
	for i, f := range faults {
		if !gone[i] {
			kept = append(kept, f)
		}
	}
	return kept
}

// pairs groups each fault with the next one that ends it.
func pairs(faults []Fault) [][]int {
	var groups [][]int
	taken := make([]bool, len(faults))
	for i := range faults {
		if taken[i] {
			continue
		}
		group := []int{i}
		for j := i + 1; j < len(faults); j++ {
			if !taken[j] && mends(&faults[i], &faults[j]) {
				group = append(group, j)
				taken[j] = true
				if faults[j].Kind != Wipe && faults[j].Kind != Forget && faults[j].Kind != Corrupt && faults[j].Kind != Rollback {
					break
				}
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// mends reports whether b belongs to what a began.
func mends(a, b *Fault) bool {
	switch a.Kind {
	case Crash, Kill:
		return a.Node == b.Node && (b.Kind == Start || b.Kind >= Wipe && b.Kind <= Rollback)
	case Partition, Bridge, Ring, Funnel, OneWay:
		return b.Kind == Heal
	case Lossy, Mute:
		return b.Kind == a.Kind && b.Count < a.Count
	case Step:
		return b.Kind == Step && a.Node == b.Node && b.For == -a.For
	case FailWrite, FailSync, Full, ShortWrite, PowerOff:
		return b.Kind == Crash && a.Node == b.Node
	}
	return false
}

// fairness is how much a scenario asks for beyond what the protocol promises to bear.
type fairness struct {
	broken int           // validators that lie or forget, beyond f
	off    time.Duration // the most by which a clock stays off
	short  time.Duration // by how much messages may be later than Δ
}

func (a fairness) within(b fairness) bool {
	return a.broken <= b.broken && a.off <= b.off && a.short <= b.short
}

func (s *Scenario) fairness() fairness {
	broken := map[int]bool{}
	off := make([]time.Duration, max(1, s.nodes()))
	for _, l := range s.Liars {
		broken[l.Node] = true
	}
	for i := range s.Faults {
		f := &s.Faults[i]
		for node := range off {
			if f.Node != node && f.Node >= 0 {
				continue
			}
			switch f.Kind {
			case Wipe, Forget, Corrupt, Rollback, Twin:
				broken[node] = true
			case Step:
				off[node] += f.For
			}
		}
	}
	fair := fairness{broken: max(0, len(broken)-consensus.Faulty(s.Validators))}
	for _, d := range off {
		fair.off = max(fair.off, d, -d)
	}
	n, latest := &s.Network, s.Network.MaxLatency
	if n.Regions {
		latest = 164 * time.Millisecond
	}
	fair.short = max(0, latest+4*n.Jitter+s.Disk.Sync+s.Disk.Judge-s.Timing.Delta)
	return fair
}

// clone is a scenario that shares nothing with s; empty lists are nil, as parsed ones are.
func (s *Scenario) clone() *Scenario {
	c := *s
	c.Faults, c.Liars = append([]Fault(nil), s.Faults...), nil
	for _, l := range s.Liars {
		c.Liars = append(c.Liars, Liar{Node: l.Node, Strategies: append([]string(nil), l.Strategies...)})
	}
	return &c
}
