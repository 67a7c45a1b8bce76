package sim

import (
	"fmt"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Replay is the command that runs a generated scenario again.
func Replay(seed uint64, o Options) string { return "tercet sim replay " + o.Flags(seed) }

// ReplayScript is the command that runs a script again.
func ReplayScript(file string) string { return "tercet sim replay --script " + file }

// Flags are the options as flags of `tercet sim`, without those that have their defaults.
func (o Options) Flags(seed uint64) string {
	base := DefaultOptions()
	words := []string{"--seed", strconv.FormatUint(seed, 10)}
	if !slices.Equal(o.Nodes, base.Nodes) {
		var nodes []string
		for _, n := range o.Nodes {
			nodes = append(nodes, strconv.Itoa(n))
		}
		words = append(words, "--nodes", strings.Join(nodes, ","))
	}
	if o.Duration != base.Duration {
		words = append(words, "--duration", brief(o.Duration))
	}
	if len(o.Faults) > 0 {
		words = append(words, "--faults", strings.Join(o.Faults, ","))
	}
	if o.Liars != base.Liars {
		words = append(words, "--byzantine", strconv.Itoa(o.Liars))
	}
	if o.Term != 0 {
		words = append(words, "--schedule", fmt.Sprintf("%d,%d", o.Term, o.Window))
	}
	return strings.Join(words, " ")
}

// reportEntries is how many events a report ends with.
const reportEntries = 20

// Report is what a failing run tells: what broke, where every node stood, what came before, and the command
// that runs it again.
func (l *Log) Report(command string) string {
	var b strings.Builder
	s, r := l.Scenario, l.Result
	rule, text := "every promise held", ""
	if r.Err != nil {
		rule, text = r.Rule(), strings.TrimPrefix(r.Err.Error(), r.Rule()+": ")
	}
	fmt.Fprintf(&b, "seed       %d: %s\n", s.Seed, strings.Join(s.shape(), ", "))
	fmt.Fprintf(&b, "rule       %s\n", rule)
	if text != "" {
		fmt.Fprintf(&b, "what       %s\n", strings.ReplaceAll(text, "\n", "\n           "))
	}
	fmt.Fprintf(&b, "when       %v of virtual time, height %d, hash %s\n", r.At.Round(time.Microsecond), r.Stats.Height, r.Hash)
	for i, line := range strings.Split(l.Standings, "; ") {
		title := ""
		if i == 0 {
			title = "standings"
		}
		fmt.Fprintf(&b, "%-10s %s\n", title, line)
	}
	if entries := l.relevant(); len(entries) > 0 {
		fmt.Fprintf(&b, "events     the last of %d\n", len(entries))
		for _, e := range entries[max(0, len(entries)-reportEntries):] {
			fmt.Fprintf(&b, "%14s  %s\n", stamp(e.At), e)
		}
	}
	fmt.Fprintf(&b, "replay     %s\n", command)
	return b.String()
}

// relevant are the entries that have to do with the views that the violation names, and all rare ones.
func (l *Log) relevant() []*Entry {
	named := map[uint64]bool{}
	if l.Result.Err != nil {
		for _, m := range regexp.MustCompile(`views? (\d+)(?: and (\d+))?`).FindAllStringSubmatch(l.Result.Err.Error(), -1) {
			for _, number := range m[1:] {
				if v, err := strconv.ParseUint(number, 10, 64); err == nil {
					named[v] = true
				}
			}
		}
	}
	var list []*Entry
	for i := range l.Entries {
		switch e := &l.Entries[i]; e.Kind {
		case EntryMessage, EntryViolation: // the one is too much, the other said already
		case EntrySaid, EntryView, EntryFinal:
			if len(named) == 0 || named[e.View] {
				list = append(list, e)
			}
		default:
			list = append(list, e)
		}
	}
	return list
}

// callers is where the code under test panicked: functions and lines, without addresses and paths, which
// would differ from one machine to the next.
func callers() string {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		name := path.Base(f.Function)
		if strings.HasPrefix(name, "sim.(*World).handle") || !more {
			return b.String()
		}
		if !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "sim.(*World).guard") {
			fmt.Fprintf(&b, "\n  %s %s:%d", name, path.Base(f.File), f.Line)
		}
	}
}

// shape says in a few words what network a scenario is about.
func (s *Scenario) shape() []string {
	words := []string{plural(s.Validators, "validator")}
	if s.Observers > 0 {
		words = append(words, plural(s.Observers, "observer"))
	}
	words = append(words, fmt.Sprintf("T=%d W=%d", s.Term, s.Window))
	if s.Network.Regions {
		words = append(words, "five regions")
	} else {
		words = append(words, fmt.Sprintf("latency %s to %s", brief(s.Network.MinLatency), brief(s.Network.MaxLatency)))
	}
	for _, l := range s.Liars {
		words = append(words, fmt.Sprintf("n%d lies: %s", l.Node, strings.Join(l.Strategies, ", ")))
	}
	return append(words, plural(len(s.Faults), "fault"))
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
