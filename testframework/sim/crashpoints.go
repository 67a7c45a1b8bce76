package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// CrashPoint is one moment at which the power fails in a fixed story of a network: four validators order
// transactions, one of them dies and its term is skipped, all machines restart, journals rotate and are
// pruned. The victim is validator 1.
type CrashPoint struct {
	// Term is T: 16 with the window 4, or 1 with the window 0.
	Term uint64
	// Op is the operation of the victim's journal at which its power fails, from 1, the making of the
	// journal included.
	Op int
	// Retention is what the disks keep, Chance a seed of what it leaves to chance.
	Retention simdisk.Retention
	Chance    uint64
	// All takes the power of the other machines at the same moment.
	All bool
	// Again takes the power once more, at this operation after the first failure; 0 for never. The
	// recovery of a journal takes up to 6.
	Again int
}

const crashVictim = 1

// String is the text form of a point, for [ParseCrashPoint].
func (p CrashPoint) String() string {
	who := "one"
	if p.All {
		who = "all"
	}
	return fmt.Sprintf("%d/%d/%s/%d/%s/%d", p.Term, p.Op, retentionName(p.Retention), p.Chance, who, p.Again)
}

// ParseCrashPoint is the inverse of [CrashPoint.String].
func ParseCrashPoint(text string) (CrashPoint, error) {
	var p CrashPoint
	parts := strings.Split(text, "/")
	if len(parts) != 6 {
		return p, fmt.Errorf("a crash point is term/operation/retention/chance/one or all/again, got %q", text)
	}
	var errs [4]error
	p.Term, errs[0] = strconv.ParseUint(parts[0], 10, 64)
	p.Op, errs[1] = strconv.Atoi(parts[1])
	p.Chance, errs[2] = strconv.ParseUint(parts[3], 10, 64)
	p.Again, errs[3] = strconv.Atoi(parts[5])
	modes := simdisk.Retentions()
	mode := slices.IndexFunc(modes, func(r simdisk.Retention) bool { return retentionName(r) == parts[2] })
	p.All = parts[4] == "all"
	if mode < 0 || !p.All && parts[4] != "one" || errors.Join(errs[:]...) != nil {
		return p, fmt.Errorf("no crash point: %q", text)
	}
	p.Retention = modes[mode]
	return p, nil
}

// crashWindows are the shapes of the protocol that the story is told with: T and W.
func crashWindows() map[uint64]uint64 { return map[uint64]uint64{1: 0, 16: 4} }

// Times of the story.
const (
	crashStory    = 800 * time.Millisecond // in which the victim's operations count
	crashDeadline = 3 * time.Second        // for the victim's first new vote once all are level
	crashDowntime = 40 * time.Millisecond  // of a machine without power
)

// crashScenario is the story.
func crashScenario(term uint64) (*Scenario, error) {
	window, ok := crashWindows()[term]
	if !ok {
		return nil, fmt.Errorf("no story of crashes with terms of %d views", term)
	}
	timing := consensus.DefaultTiming()
	timing.Delta = 20 * time.Millisecond
	return &Scenario{
		Seed: 1, Validators: 4, Term: term, Window: window, Timing: timing,
		Network: Network{MinLatency: time.Millisecond, MaxLatency: 3 * time.Millisecond},
		// Stores that lag, so that a journal pruned by what is in memory shows.
		Disk:   Disk{Sync: 500 * time.Microsecond, Execute: 60 * time.Millisecond, Segment: 4096},
		Faulty: crashStory + 5*crashDowntime, Healed: 4 * time.Second,
		Faults: []Fault{
			{Kind: Rate, Count: 80_000},
			{At: 200 * time.Millisecond, Kind: Crash, Node: -1},
			{At: 230 * time.Millisecond, Kind: Start, Node: -1},
			{At: 300 * time.Millisecond, Kind: Kill, Node: 2},
			{At: 600 * time.Millisecond, Kind: Start, Node: 2},
			{At: crashStory, Kind: Rate},
		},
	}, nil
}

// crashRun tells the story and takes the power once or twice.
type crashRun struct {
	w     *World
	point CrashPoint
	// Of the victim.
	passed int // operations of disks before the present one
	off    bool
	voted  uint64 // its highest vote before the power failed
	trace  []string
}

// Run tells the story with the point's power failure and reports what came of it. It fails only for a point
// that makes no sense.
func (p CrashPoint) Run() (*Result, error) {
	c, r, err := p.run()
	if err != nil {
		return nil, err
	}
	if r.Err == nil && !c.off {
		return nil, fmt.Errorf("the story has no operation %d", p.Op)
	}
	return r, nil
}

func (p CrashPoint) run() (*crashRun, *Result, error) {
	s, err := crashScenario(p.Term)
	if err != nil {
		return nil, nil, err
	}
	w, err := New(s)
	if err != nil {
		return nil, nil, err
	}
	c := &crashRun{w: w, point: p}
	w.machines = machines{pruneViews: 5, hasty: true, rebooted: c.rebooted, broke: c.broke}
	r := new(Result)
	w.guard(func() { c.tell(r) })
	w.finish(r)
	return c, r, nil
}

// tell is the story.
func (c *crashRun) tell(r *Result) {
	w := c.w
	for _, n := range w.nodes {
		c.format(n)
	}
	w.begin()
	w.advance(crashStory)
	disk := w.nodes[crashVictim].disk
	c.trace = append(c.trace, disk.Ops()...)
	disk.Mend() // What comes from here on is no point of the story, unless the power fails once more.
	if c.off && c.point.Again > len(disk.Ops()) {
		c.failAgain(w.nodes[crashVictim])
	}
	w.advance(w.scenario.Faulty)
	if w.err == nil {
		w.converge(r)
	}
	n := w.nodes[crashVictim]
	for end := w.now + crashDeadline; w.err == nil && c.off && n.topVote <= c.voted && w.now < end; {
		w.advance(w.now + 100*time.Millisecond)
	}
	if w.err == nil && c.off && n.topVote <= c.voted {
		w.violate("recovery", "validator %d voted up to view %d and never again after its power failed: %s", crashVictim, c.voted, w.standings())
	}
}

// format makes a node's machine as `init` does. Should the power fail meanwhile, `init` runs again.
func (c *crashRun) format(n *node) {
	n.disk = simdisk.NewFiles(c.point.Chance<<8 | uint64(n.index))
	c.plan(n)
	err := wal.Create(journalDir, n.walOptions())
	for errors.Is(err, simdisk.ErrPowerOff) {
		c.hit(n)
		n.crash(false, c.point.Retention)
		err = wal.Create(journalDir, n.walOptions())
	}
	if err != nil && !errors.Is(err, wal.ErrExists) {
		c.w.check(err)
	}
}

// plan has the power of the victim fail at the point's operation.
func (c *crashRun) plan(n *node) {
	if n.index == crashVictim && !c.off && c.point.Op > c.passed {
		n.disk.FailAt(c.point.Op-c.passed, simdisk.Fault{PowerOff: true})
	}
}

// rebooted keeps count over the victim's disks.
func (c *crashRun) rebooted(n *node, old *simdisk.Files) {
	if n.index != crashVictim {
		return
	}
	c.trace = append(c.trace, old.Ops()...)
	c.passed += len(old.Ops())
	c.plan(n)
}

// hit notes the first failure of the victim, from which on chance is drawn anew.
func (c *crashRun) hit(n *node) (first bool) {
	if c.off || n.index != crashVictim {
		return false
	}
	c.off, c.voted = true, n.topVote
	c.w.rng = rand.New(rand.NewPCG(c.point.Chance, uint64(c.point.Op)))
	return true
}

// broke is what happens to a machine without power: it has it back soon.
func (c *crashRun) broke(n *node, err error) bool {
	if !errors.Is(err, simdisk.ErrPowerOff) {
		return false
	}
	c.voted = max(c.voted, n.topVote)
	again := c.hit(n) && c.point.Again > 0
	for _, other := range c.w.nodes {
		if other != n && !(c.point.All && other.up) {
			continue
		}
		other.crash(false, c.point.Retention)
		if again {
			c.failAgain(other)
		}
		c.w.queue.push(c.w.now+crashDowntime, event{kind: evStart, node: int32(other.index)})
	}
	return true
}

func (c *crashRun) failAgain(n *node) {
	n.disk.FailAt(c.point.Again, simdisk.Fault{PowerOff: true})
}
