package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// Limits of a script: a generated one has about 100 lines, one by hand fewer.
const (
	maxScriptBytes = 1 << 20
	maxScriptLine  = 1000
)

// ParseScenario reads a script, see [Scenario.String]. An error names the line and says what belongs
// there. Whether the scenario makes sense, [New] decides.
func ParseScenario(text string) (*Scenario, error) {
	if len(text) > maxScriptBytes {
		return nil, fmt.Errorf("a script of %d bytes; it may have %d", len(text), maxScriptBytes)
	}
	p := &parser{s: DefaultScenario(), said: map[string]int{}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		p.line = number
		if err := p.statement(line, words); err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", number, strings.Join(words, " "), err)
		}
	}
	for _, name := range []string{"seed", "validators"} {
		if p.said[name] == 0 {
			return nil, fmt.Errorf("the script does not say `%s NUMBER`", name)
		}
	}
	return p.s, p.checkSides()
}

type parser struct {
	s    *Scenario
	line int
	said map[string]int // statement to line
	far  []farSide
}

// farSide is the second list of a partition, which is checked when the number of nodes is known.
type farSide struct {
	line       int
	near, mask uint64
}

func (p *parser) statement(line string, words []string) error {
	if len(line) > maxScriptLine {
		return fmt.Errorf("the line has %d bytes; it may have %d", len(line), maxScriptLine)
	}
	switch words[0] {
	case "at":
		return p.fault(words)
	case "liar":
		return p.liar(words)
	}
	var names []string
	for _, f := range settings() {
		if f.name == words[0] {
			if before := p.said[f.name]; before != 0 {
				return fmt.Errorf("line %d says this already", before)
			}
			p.said[f.name] = p.line
			return f.parse(p.s, words[1:])
		}
		names = append(names, f.name)
	}
	return fmt.Errorf("no such statement; there are at, liar, %s", strings.Join(names, ", "))
}

// parse sets what a setting says.
func (f *setting) parse(s *Scenario, args []string) error {
	field := f.of(s)
	want := map[bool]int{false: 1, true: 0}[isFlag(field)]
	if len(args) != want {
		return fmt.Errorf("want: %s", f.usage(field))
	}
	var err error
	switch p := field.(type) {
	case *uint64:
		*p, err = strconv.ParseUint(args[0], 10, 64)
	case *int:
		*p, err = strconv.Atoi(args[0])
	case *float64:
		*p, err = parseRate(args[0])
	case *time.Duration:
		*p, err = parseSpan(args[0])
	case [2]*time.Duration:
		low, high, two := strings.Cut(args[0], "..")
		if !two {
			high = low
		}
		var e error
		*p[0], err = parseSpan(low)
		*p[1], e = parseSpan(high)
		err = errors.Join(err, e)
	case *bool:
		*p = true
	}
	if err != nil {
		return fmt.Errorf("want: %s", f.usage(field))
	}
	return nil
}

func isFlag(field any) bool {
	_, ok := field.(*bool)
	return ok
}

func (f *setting) usage(field any) string {
	switch field.(type) {
	case *uint64, *int:
		return f.name + " NUMBER"
	case *float64:
		return f.name + " NUMBER, with a decimal point if need be"
	case *time.Duration:
		return f.name + " DURATION, such as 150ms"
	case [2]*time.Duration:
		return f.name + " DURATION..DURATION, such as 20ms..60ms, or one DURATION"
	}
	return f.name + ", and nothing more"
}

func (p *parser) liar(words []string) error {
	const usage = "want: liar NODE STRATEGY…"
	if len(words) < 2 {
		return errors.New(usage)
	}
	node, err := parseNode(words[1])
	if err != nil {
		return errors.New(usage)
	}
	l := Liar{Node: node}
	for _, name := range words[2:] {
		if !slices.Contains(Strategies(), name) {
			return fmt.Errorf("no strategy %q; there are %s", name, strings.Join(Strategies(), ", "))
		}
		l.Strategies = append(l.Strategies, name)
	}
	if len(p.s.Liars) == maxNodes {
		return fmt.Errorf("there may be %d liars", maxNodes)
	}
	p.s.Liars = append(p.s.Liars, l)
	return nil
}

func (p *parser) fault(words []string) error {
	if len(words) < 3 {
		return errors.New("want: at TIME FAULT …, such as `at 3.2s crash 1 lose-unsynced`")
	}
	at, err := parseSpan(words[1])
	if err != nil {
		return fmt.Errorf("%q is no time; want one such as 3.2s", words[1])
	}
	f := Fault{At: at}
	if err := p.parts(&f, words[2], words[3:]); err != nil {
		return err
	}
	if len(p.s.Faults) == maxFaults {
		return fmt.Errorf("there may be %d faults", maxFaults)
	}
	p.s.Faults = append(p.s.Faults, f)
	return nil
}

// parts reads what follows the name of a fault.
func (p *parser) parts(f *Fault, name string, rest []string) error {
	var form *faultForm
	var names []string
	for i := range faultForms {
		if names = append(names, faultForms[i].name); faultForms[i].name == name {
			form = &faultForms[i]
		}
	}
	if form == nil {
		return fmt.Errorf("no fault %q; there are %s", name, strings.Join(names, ", "))
	}
	f.Kind = form.kind
	for _, part := range form.parts {
		if key := partForms[part].keyword; key != "" {
			if len(rest) == 0 || rest[0] != key {
				return fmt.Errorf("want: %s", form.usage())
			}
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return fmt.Errorf("want: %s", form.usage())
		}
		if err := p.part(part, f, rest[0]); err != nil {
			return fmt.Errorf("%w; want: %s", err, form.usage())
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%q is too much; want: %s", rest[0], form.usage())
	}
	return nil
}

func (p *parser) part(kind part, f *Fault, word string) (err error) {
	switch kind {
	case partNode, partOver:
		if f.Node = -1; word != "all" || kind == partOver {
			f.Node, err = parseNode(word)
		}
	case partSides:
		err = p.sides(f, word)
	case partRetention:
		f.Retention, err = parseRetention(word)
	case partFor, partBy:
		f.For, err = parseSpan(word)
	case partMessages:
		f.Count, err = parseMessages(word)
	default:
		number, ok := strings.CutSuffix(word, partForms[kind].unit)
		if !ok {
			return fmt.Errorf("%q has no unit %s", word, partForms[kind].unit)
		}
		f.Count, err = parseFixed(number, partForms[kind].digits)
	}
	return err
}

// sides reads `0,1|2,3` and `0,1|others`.
func (p *parser) sides(f *Fault, word string) error {
	near, far, two := strings.Cut(word, "|")
	if !two {
		return fmt.Errorf("%q has no |", word)
	}
	var err error
	if f.Mask, err = parseNodes(near); err != nil || far == "others" {
		return err
	}
	mask, err := parseNodes(far)
	p.far = append(p.far, farSide{line: p.line, near: f.Mask, mask: mask})
	return err
}

// checkSides compares both sides of each partition with the nodes that there are.
func (p *parser) checkSides() error {
	nodes := p.s.nodes()
	if nodes < 1 || nodes > maxNodes {
		return nil // [New] complains.
	}
	for _, s := range p.far {
		if s.near&s.mask != 0 || s.near|s.mask != allNodes(nodes) {
			return fmt.Errorf("line %d: the sides %s and %s do not divide the nodes 0 to %d: each belongs to one, or write |others",
				s.line, nodeList(s.near), nodeList(s.mask), nodes-1)
		}
	}
	return nil
}

func parseNode(word string) (int, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no node", word)
	}
	return int(n), nil
}

// parseNodes reads a list of nodes such as 0,2,3; an empty one is none.
func parseNodes(list string) (mask uint64, err error) {
	if list == "" {
		return 0, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		n, err := parseNode(name)
		if err != nil {
			return 0, err
		}
		if n >= maxNodes {
			return 0, fmt.Errorf("node %d; there may be %d nodes", n, maxNodes)
		}
		if mask>>n&1 != 0 {
			return 0, fmt.Errorf("node %d twice", n)
		}
		mask |= 1 << n
	}
	return mask, nil
}

func parseSpan(word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as 150ms", word)
	}
	return d, nil
}

func parseRate(word string) (float64, error) {
	x, err := strconv.ParseFloat(word, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%q is no number", word)
	}
	return x, nil
}

// parseFixed reads a number with at most so many digits behind the point as a count of the last of them.
func parseFixed(word string, digits int) (int64, error) {
	whole, rest, _ := strings.Cut(word, ".")
	if len(rest) > digits {
		return 0, fmt.Errorf("%q has more than %d digits behind the point", word, digits)
	}
	if len(rest) > 0 && (rest[0] < '0' || rest[0] > '9') {
		return 0, fmt.Errorf("%q is no number", word)
	}
	count, err := strconv.ParseInt(whole+rest+strings.Repeat("0", digits-len(rest)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", word)
	}
	return count, nil
}

func parseMessages(word string) (int64, error) {
	for k := range muteEnd {
		if k.String() == word {
			return int64(k), nil
		}
	}
	return 0, fmt.Errorf("%q is no kind of message", word)
}

func parseRetention(word string) (simdisk.Retention, error) {
	var names []string
	for _, r := range simdisk.Retentions() {
		if retentionName(r) == word {
			return r, nil
		}
		names = append(names, retentionName(r))
	}
	return 0, fmt.Errorf("no retention %q; there are %s", word, strings.Join(names, ", "))
}
