package sim

import (
	_ "embed" // the page of a timeline
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed timeline.html
var timelinePage string

// WriteHTML draws the log as one page that needs nothing else: a lane for each node, time to the right,
// messages as arrows. Equal logs give equal bytes.
func (l *Log) WriteHTML(w io.Writer) error {
	page, err := template.New("timeline").Parse(timelinePage)
	if err != nil {
		return err
	}
	data, err := json.Marshal(newDrawing(l)) // escapes what could end a script element
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{"Title": l.title(), "Data": template.JS(data)})
}

func (l *Log) title() string {
	title := fmt.Sprintf("seed %d", l.Scenario.Seed)
	if rule := l.Result.Rule(); rule != "" {
		title += " · " + rule
	}
	return title
}

// drawing is what the page draws. Times are in µs; lists of numbers have one entry after the other, in
// the order of the fields that their comments name, with strings as indices of Names.
type drawing struct {
	Facts      []string `json:"facts"`
	Rule       string   `json:"rule"`
	Text       string   `json:"text"`
	Script     string   `json:"script"`
	At         int64    `json:"at"`
	Dropped    int      `json:"dropped"`
	Validators int      `json:"validators"`
	Term       uint64   `json:"term"`
	Nodes      []lane   `json:"nodes"`
	Phases     []moment `json:"phases"`
	Faults     []moment `json:"faults"`
	Bands      []band   `json:"bands"`
	Spans      []span   `json:"spans"`
	Names      []string `json:"names"`
	Messages   []int64  `json:"messages"` // sent since the one before, delay, from, to, what, view, block, text
	Marks      []int64  `json:"marks"`    // at since the one before, kind, node, what or text, view, block, height
}

// lane is a node.
type lane struct {
	Name string `json:"name"`
	Role string `json:"role"`
	Note string `json:"note"`
}

// moment is something that happens to a node, -1 for all of them.
type moment struct {
	At   int64  `json:"at"`
	Node int    `json:"node"`
	Text string `json:"text"`
}

// band is a time during which links do not work as they should.
type band struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Text string `json:"text"`
	Kind string `json:"kind"`
	// Sides has 0 or 1 for each node of a partition.
	Sides []int `json:"sides"`
}

// span is a time during which a node is down or paused.
type span struct {
	Node int    `json:"node"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Kind string `json:"kind"`
}

func newDrawing(l *Log) *drawing {
	s, r := l.Scenario, l.Result
	d := &drawing{
		Facts: append(s.shape(), "hash "+r.Hash), Rule: r.Rule(), Script: s.String(), At: r.At.Microseconds(), Dropped: l.Dropped,
		Validators: s.Validators, Term: max(1, s.Term), Nodes: s.lanes(), Faults: []moment{}, Bands: []band{}, Spans: []span{},
	}
	if r.Err != nil {
		d.Text = strings.TrimPrefix(r.Err.Error(), d.Rule+": ")
	}
	d.Phases = []moment{{0, -1, "faults"}, {s.Faulty.Microseconds(), -1, "everything heals"}, {(s.Faulty + s.Healed).Microseconds(), -1, "idle"}}
	d.put(l.Entries)
	d.Spans = spans(l.Entries, s.nodes(), r.At)
	d.Bands = bands(s, r.At)
	return d
}

// lanes describes the nodes.
func (s *Scenario) lanes() []lane {
	var lanes []lane
	for i := range s.nodes() {
		lanes = append(lanes, lane{Name: fmt.Sprintf("n%d", i), Role: "validator"})
		if i >= s.Validators {
			lanes[i].Role = "observer"
		}
	}
	for _, l := range s.Liars {
		lanes[l.Node].Role, lanes[l.Node].Note = "liar", strings.Join(l.Strategies, ", ")
	}
	return lanes
}

// put adds messages by the time when they were sent, and marks.
func (d *drawing) put(entries []Entry) {
	known := map[string]int64{"": 0}
	d.Names = []string{""}
	name := func(s string) int64 {
		i, ok := known[s]
		if !ok {
			i = int64(len(d.Names))
			known[s], d.Names = i, append(d.Names, s)
		}
		return i
	}
	var messages []*Entry
	mark := int64(0)
	for i := range entries {
		e := &entries[i]
		switch at := e.At.Microseconds(); e.Kind {
		case EntryMessage:
			messages = append(messages, e)
		case EntryFault:
			node := -1
			if e.fault != nil && !slices.Contains([]FaultKind{Partition, Bridge, Ring, Heal, Lossy, Mute, Rate}, e.fault.Kind) {
				node = e.fault.Node
			}
			d.Faults = append(d.Faults, moment{at, node, strings.TrimPrefix(e.String(), "fault: ")})
		case EntryPause, EntryResume, EntryDown, EntryViolation:
		default:
			what := e.What
			if what == "" {
				what = e.Text
			}
			d.Marks = append(d.Marks, at-mark, int64(e.Kind), int64(e.Node), name(what), int64(e.View), name(e.Block), int64(e.Height))
			mark = at
		}
	}
	slices.SortStableFunc(messages, func(a, b *Entry) int { return int(a.Sent - b.Sent) })
	before := int64(0)
	for _, e := range messages {
		sent := e.Sent.Microseconds()
		d.Messages = append(d.Messages, sent-before, e.At.Microseconds()-sent, int64(e.From), int64(e.Node), name(e.What), int64(e.View), name(e.Block), name(e.Text))
		before = sent
	}
}

// spans is when nodes were down or paused.
func spans(entries []Entry, nodes int, end time.Duration) []span {
	list := []span{}
	open := make([]*span, nodes)
	finish := func(e *Entry) {
		if s := open[e.Node]; s != nil {
			s.To = e.At.Microseconds()
			list = append(list, *s)
			open[e.Node] = nil
		}
	}
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case EntryDown:
			finish(e)
			open[e.Node] = &span{Node: e.Node, From: e.At.Microseconds(), Kind: "down"}
		case EntryPause:
			finish(e)
			open[e.Node] = &span{Node: e.Node, From: e.At.Microseconds(), Kind: "paused"}
		case EntryUp, EntryResume:
			finish(e)
		}
	}
	for _, s := range open {
		if s != nil {
			s.To = end.Microseconds()
			list = append(list, *s)
		}
	}
	return list
}

// bands is when links were cut, clogged or lossy; everything heals after the first phase.
func bands(s *Scenario, end time.Duration) []band {
	list := []band{}
	last := min(end, s.Faulty)
	until := func(i int, ends func(*Fault) bool) int64 {
		for k := i + 1; k < len(s.Faults); k++ {
			if ends(&s.Faults[k]) {
				return min(last, s.Faults[k].At).Microseconds()
			}
		}
		return last.Microseconds()
	}
	for i := range s.Faults {
		f := &s.Faults[i]
		b := band{From: f.At.Microseconds(), Kind: "cut", Sides: []int{}}
		_, b.Text, _ = strings.Cut(strings.TrimPrefix(f.text(s.nodes()), "at "), " ")
		switch f.Kind {
		case Partition, Bridge, Ring, Funnel, OneWay:
			b.To = until(i, func(g *Fault) bool { return g.Kind >= Partition && g.Kind <= Heal })
			for node := range s.nodes() {
				if f.Kind == Partition || f.Kind == Bridge && node != f.Node {
					b.Sides = append(b.Sides, int(f.Mask>>node&1))
				} else {
					b.Sides = append(b.Sides, -1)
				}
			}
		case Lossy:
			b.Kind, b.To = "loss", until(i, func(g *Fault) bool { return g.Kind == Lossy })
			if f.Count == 0 {
				continue
			}
		case Mute:
			b.Kind, b.To = "loss", until(i, func(g *Fault) bool { return g.Kind == Mute })
			if f.Count == 0 {
				continue
			}
		case Clog:
			b.Kind, b.To = "clog", min(f.At+f.For, last).Microseconds()
		default:
			continue
		}
		if b.From < b.To {
			list = append(list, b)
		}
	}
	return list
}
