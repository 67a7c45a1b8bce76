package sim

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// String is the scenario as a script, which [ParseScenario] reads back. A script has one statement per
// line; # begins a comment. What it does not mention is as in [DefaultScenario], and is left out here.
//
//	seed 7                        validators 4                  observers 1
//	term 16                       window 4
//	delta 150ms                   min-interval 8ms              max-idle 1s         max-drift 500ms
//	latency 20ms..60ms            regions                       jitter 5ms
//	loss 0.01                     duplicate 0.05                reorder 0.3         bandwidth 100000
//	sync 1ms                      execute 1ms                   judge 1ms
//	rate 3                        always                        memory              wire
//	max-ahead 16
//	faulty 80s                    healed 25s                    idle 5s             absent 1
//	liar 2 equivocate late
//	at 3.2s crash 1 keep-prefix   at 4s start 1                 at 5s kill all
//	at 6s pause 0 for 300ms       at 7s wipe 1                  at 8s rollback 1 by 20
//	at 9s partition 0,1|2,3       at 9s bridge 0,1|2,3 over 0   at 9s ring          at 9s one-way 2
//	at 9s funnel 2                at 9s heal                    at 10s clog all for 2s        at 11s loss 20%     at 12s rate 0.5
//	at 12s mute finalize          at 13s mute none
//	at 13s step 1 by -300ms       at 14s drift 1 by 30000ppm    at 15s slow-disk 1 for 5s
//	at 16s fail-sync 1 after 3    forget, corrupt, fail-write, full, short-write, power-off likewise
//	at 17s twin 1                 at 18s diverge 1
func (s *Scenario) String() string {
	var b strings.Builder
	base := DefaultScenario()
	for _, f := range settings() {
		value := f.print(s)
		if !f.always && value == f.print(base) {
			continue
		}
		fmt.Fprintln(&b, strings.TrimSpace(f.name+" "+value))
	}
	for _, l := range s.Liars {
		fmt.Fprintln(&b, strings.Join(append([]string{"liar", strconv.Itoa(l.Node)}, l.Strategies...), " "))
	}
	for i := range s.Faults {
		fmt.Fprintln(&b, s.Faults[i].text(s.nodes()))
	}
	return b.String()
}

// DefaultScenario is what a script stands for that says nothing: four validators in one region whom
// nothing happens to, for two minutes.
func DefaultScenario() *Scenario {
	return &Scenario{
		Validators: 4, Term: 16, Window: 4, Timing: consensus.DefaultTiming(),
		Network: Network{MinLatency: time.Millisecond, MaxLatency: 10 * time.Millisecond},
		Disk:    Disk{Execute: time.Millisecond},
		Work:    Work{Rate: 3}, Faulty: 87 * time.Second, Healed: 25 * time.Second, Idle: idleTime,
	}
}

// setting is a statement that sets one field of a scenario, or two that belong together.
type setting struct {
	name string
	// of points at the field: a *uint64, *int, *float64, *bool, *time.Duration or [2]*time.Duration.
	of     func(s *Scenario) any
	always bool // printed even if it has its default
}

// settings are the statements in the order in which a script has them.
func settings() []setting {
	return []setting{
		{"seed", func(s *Scenario) any { return &s.Seed }, true},
		{"validators", func(s *Scenario) any { return &s.Validators }, true},
		{"observers", func(s *Scenario) any { return &s.Observers }, false},
		{"term", func(s *Scenario) any { return &s.Term }, false},
		{"window", func(s *Scenario) any { return &s.Window }, false},
		{"delta", func(s *Scenario) any { return &s.Timing.Delta }, false},
		{"min-interval", func(s *Scenario) any { return &s.Timing.MinInterval }, false},
		{"max-idle", func(s *Scenario) any { return &s.Timing.MaxIdle }, false},
		{"max-drift", func(s *Scenario) any { return &s.Timing.MaxDrift }, false},
		{"latency", func(s *Scenario) any {
			return [2]*time.Duration{&s.Network.MinLatency, &s.Network.MaxLatency}
		}, false},
		{"regions", func(s *Scenario) any { return &s.Network.Regions }, false},
		{"jitter", func(s *Scenario) any { return &s.Network.Jitter }, false},
		{"loss", func(s *Scenario) any { return &s.Network.Loss }, false},
		{"duplicate", func(s *Scenario) any { return &s.Network.Duplicate }, false},
		{"reorder", func(s *Scenario) any { return &s.Network.Reorder }, false},
		{"bandwidth", func(s *Scenario) any { return &s.Network.Bandwidth }, false},
		{"sync", func(s *Scenario) any { return &s.Disk.Sync }, false},
		{"segment", func(s *Scenario) any { return &s.Disk.Segment }, false},
		{"execute", func(s *Scenario) any { return &s.Disk.Execute }, false},
		{"judge", func(s *Scenario) any { return &s.Disk.Judge }, false},
		{"rate", func(s *Scenario) any { return &s.Work.Rate }, false},
		{"always", func(s *Scenario) any { return &s.Work.Always }, false},
		{"max-ahead", func(s *Scenario) any { return &s.MaxAhead }, false},
		{"memory", func(s *Scenario) any { return &s.Memory }, false},
		{"wire", func(s *Scenario) any { return &s.Wire }, false},
		{"faulty", func(s *Scenario) any { return &s.Faulty }, false},
		{"healed", func(s *Scenario) any { return &s.Healed }, false},
		{"absent", func(s *Scenario) any { return &s.Absent }, false},
		{"idle", func(s *Scenario) any { return &s.Idle }, false},
	}
}

// print is a setting's value; a bool that holds has none, its name says it.
func (f *setting) print(s *Scenario) string {
	switch p := f.of(s).(type) {
	case *uint64:
		return strconv.FormatUint(*p, 10)
	case *int:
		return strconv.Itoa(*p)
	case *float64:
		return strconv.FormatFloat(*p, 'g', -1, 64)
	case *time.Duration:
		return brief(*p)
	case [2]*time.Duration:
		if *p[0] == *p[1] {
			return brief(*p[0])
		}
		return brief(*p[0]) + ".." + brief(*p[1])
	case *bool:
		if *p {
			return ""
		}
		return "off"
	}
	panic("setting " + f.name + " has a type that scripts do not know")
}

// brief is a duration without the zeros that [time.Duration.String] puts at its end.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// String names a kind of fault as scripts do.
func (k FaultKind) String() string {
	if form := formOf(k); form != nil {
		return form.name
	}
	return fmt.Sprintf("fault-%d", uint8(k))
}

// String is the fault as a line of a script. It says `others` for the far side of a partition.
func (f *Fault) String() string { return f.text(0) }

// text is the fault as a line of the script of a network of so many nodes, 0 for unknown.
func (f *Fault) text(nodes int) string {
	words := []string{"at", brief(f.At), f.Kind.String()}
	if form := formOf(f.Kind); form != nil {
		for _, p := range form.parts {
			if key := partForms[p].keyword; key != "" {
				words = append(words, key)
			}
			words = append(words, p.print(f, nodes))
		}
	}
	return strings.Join(words, " ")
}

// faultForm says how a kind of fault is written.
type faultForm struct {
	kind  FaultKind
	name  string
	parts []part
}

// faultForms has every kind of fault; what a kind does not mention has no effect on it.
var faultForms = [...]faultForm{
	{Crash, "crash", []part{partNode, partRetention}},
	{Kill, "kill", []part{partNode}},
	{Start, "start", []part{partNode}},
	{Pause, "pause", []part{partNode, partFor}},
	{Wipe, "wipe", []part{partNode}},
	{Forget, "forget", []part{partNode}},
	{Corrupt, "corrupt", []part{partNode}},
	{Rollback, "rollback", []part{partNode, partBlocks}},
	{Partition, "partition", []part{partSides}},
	{Bridge, "bridge", []part{partSides, partOver}},
	{Ring, "ring", nil},
	{Funnel, "funnel", []part{partNode}},
	{OneWay, "one-way", []part{partNode}},
	{Heal, "heal", nil},
	{Clog, "clog", []part{partNode, partFor}},
	{Lossy, "loss", []part{partPercent}},
	{Mute, "mute", []part{partMessages}},
	{Step, "step", []part{partNode, partBy}},
	{Drift, "drift", []part{partNode, partPpm}},
	{FailWrite, "fail-write", []part{partNode, partAfter}},
	{FailSync, "fail-sync", []part{partNode, partAfter}},
	{Full, "full", []part{partNode, partAfter}},
	{ShortWrite, "short-write", []part{partNode, partAfter}},
	{PowerOff, "power-off", []part{partNode, partAfter}},
	{SlowDisk, "slow-disk", []part{partNode, partFor}},
	{Twin, "twin", []part{partNode}},
	{Diverge, "diverge", []part{partNode}},
	{Rate, "rate", []part{partPerSecond}},
}

// part is one word of a fault after its name, with the keyword before it if it has one.
type part uint8

const (
	partNode part = iota
	partOver
	partSides
	partRetention
	partFor
	partBy
	partBlocks
	partAfter
	partPpm
	partPercent
	partPerSecond
	partMessages
)

// partForms says how parts are written. A count may have digits behind its point, 125 is 12.5 with one,
// and a unit.
var partForms = [...]struct {
	keyword, usage, unit string
	digits               int
}{
	partNode:      {usage: "NODE|all"},
	partOver:      {keyword: "over", usage: "NODE"},
	partSides:     {usage: "NODES|NODES"},
	partRetention: {usage: "RETENTION"},
	partFor:       {keyword: "for", usage: "DURATION"},
	partBy:        {keyword: "by", usage: "DURATION"},
	partBlocks:    {keyword: "by", usage: "BLOCKS"},
	partAfter:     {keyword: "after", usage: "OPERATIONS"},
	partPpm:       {keyword: "by", usage: "NUMBERppm", unit: "ppm"},
	partPercent:   {usage: "NUMBER%", unit: "%", digits: 1},
	partPerSecond: {usage: "NUMBER", digits: 3},
	partMessages:  {usage: "notarize|nullify|finalize|proposals|certificates|blocks|status|execution|none"},
}

func (p part) print(f *Fault, nodes int) string {
	switch p {
	case partNode, partOver:
		if f.Node == -1 {
			return "all"
		}
		return strconv.Itoa(f.Node)
	case partSides:
		if nodes <= 0 || nodes > maxNodes || f.Mask&^allNodes(nodes) != 0 {
			return nodeList(f.Mask) + "|others"
		}
		return nodeList(f.Mask) + "|" + nodeList(allNodes(nodes)&^f.Mask)
	case partRetention:
		return retentionName(f.Retention)
	case partFor, partBy:
		return brief(f.For)
	case partMessages:
		return MessageKind(f.Count).String()
	}
	return fixed(f.Count, partForms[p].digits) + partForms[p].unit
}

// copy takes over the fields that the part writes.
func (p part) copy(to, from *Fault) {
	switch p {
	case partNode, partOver:
		to.Node = from.Node
	case partSides:
		to.Mask = from.Mask
	case partRetention:
		to.Retention = from.Retention
	case partFor, partBy:
		to.For = from.For
	default:
		to.Count = from.Count
	}
}

func formOf(k FaultKind) *faultForm {
	for i := range faultForms {
		if faultForms[i].kind == k {
			return &faultForms[i]
		}
	}
	return nil
}

// usage is how the fault is written, for error messages.
func (f *faultForm) usage() string {
	words := []string{"at TIME", f.name}
	for _, p := range f.parts {
		if key := partForms[p].keyword; key != "" {
			words = append(words, key)
		}
		words = append(words, partForms[p].usage)
	}
	return strings.Join(words, " ")
}

// relevant is the fault without the fields that its kind ignores: scripts do not have them.
func (f Fault) relevant() Fault {
	r := Fault{At: f.At, Kind: f.Kind}
	if form := formOf(f.Kind); form != nil {
		for _, p := range form.parts {
			p.copy(&r, &f)
		}
	}
	return r
}

func retentionName(r simdisk.Retention) string { return strings.ReplaceAll(r.String(), " ", "-") }

// fixed is count·10^-digits.
func fixed(count int64, digits int) string {
	s := strconv.FormatInt(count, 10)
	if digits == 0 {
		return s
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if pad := digits + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	whole, rest := s[:len(s)-digits], strings.TrimRight(s[len(s)-digits:], "0")
	if rest != "" {
		whole += "." + rest
	}
	return sign + whole
}

// allNodes is a mask with a bit for each node.
func allNodes(nodes int) uint64 {
	if nodes >= maxNodes {
		return ^uint64(0)
	}
	return 1<<nodes - 1
}

// nodeList names the nodes of a mask.
func nodeList(mask uint64) string {
	var names []string
	for ; mask != 0; mask &= mask - 1 {
		names = append(names, strconv.Itoa(bits.TrailingZeros64(mask)))
	}
	return strings.Join(names, ",")
}
