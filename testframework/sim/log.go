package sim

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// Log is what happened in a run, for people: as text or as a picture.
type Log struct {
	Scenario *Scenario
	Result   *Result
	// Standings is where every node was at the end.
	Standings string
	// Entries by time; of messages the time of arrival.
	Entries []Entry
	// Dropped counts older entries that there was no room for.
	Dropped int
}

// Entry is one event of a run. Which fields matter depends on the kind.
type Entry struct {
	At   time.Duration
	Kind EntryKind
	// Node that it happens to, the receiver of a message; -1 for the whole network.
	Node int
	// From and Sent are the sender of a message and when it sent it.
	From int
	Sent time.Duration
	// What is a message or a vote by its kind: NOTARIZE, PROPOSAL, CERT FINALIZE, ….
	What         string
	View, Height uint64
	// Block is a name for a block: b7 for the first one seen of view 7, b7' for the next.
	Block string
	// Until is when a pause ends by itself.
	Until time.Duration
	Text  string

	hash  common.Hash // of the block
	fault *Fault
	order uint64 // in which entries were added
}

// EntryKind says what an [Entry] is about.
type EntryKind uint8

// The kinds of entries.
const (
	EntryMessage   EntryKind = iota + 1 // a message arrives
	EntrySaid                           // a node votes or proposes
	EntryView                           // a node enters a view
	EntryFinal                          // a node delivers a final block
	EntryUp                             // a process starts
	EntryDown                           // a process ends
	EntryPause                          // a process stops for a while
	EntryResume                         // and goes on
	EntryRemark                         // a node says why it stops
	EntryEvidence                       // a node accuses a validator
	EntryFault                          // a fault of the scenario
	EntryViolation                      // a promise was broken
)

// String is the entry without its time.
func (e *Entry) String() string {
	node := fmt.Sprintf("n%d ", e.Node)
	switch e.Kind {
	case EntryMessage:
		return fmt.Sprintf("n%d → n%d %s, after %v", e.From, e.Node, e.what(), (e.At - e.Sent).Round(time.Microsecond))
	case EntrySaid:
		return node + "says " + e.what()
	case EntryView:
		return fmt.Sprintf("%senters view %d", node, e.View)
	case EntryFinal:
		return fmt.Sprintf("%sdelivers height %d, %s", node, e.Height, e.Block)
	case EntryUp:
		return fmt.Sprintf("%sstarts at height %d", node, e.Height)
	case EntryDown:
		return node + "is down"
	case EntryPause:
		return fmt.Sprintf("%spauses until %s", node, stamp(e.Until))
	case EntryResume:
		return node + "goes on"
	case EntryFault:
		_, what, _ := strings.Cut(strings.TrimPrefix(e.Text, "at "), " ")
		return "fault: " + what
	case EntryViolation:
		return "VIOLATION " + e.Text
	}
	return node + e.Text
}

func (e *Entry) what() string {
	words := []string{e.What}
	if e.View != 0 {
		words = append(words, fmt.Sprintf("view %d", e.View))
	}
	for _, w := range []string{e.Block, e.Text} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// stamp is a time in seconds with as many digits as it takes to tell events apart.
func stamp(at time.Duration) string { return fmt.Sprintf("%.6fs", at.Seconds()) }

// WriteText writes one line per entry.
func (l *Log) WriteText(w io.Writer) error {
	if l.Dropped > 0 {
		if _, err := fmt.Fprintf(w, "# %d older entries are left out\n", l.Dropped); err != nil {
			return err
		}
	}
	for i := range l.Entries {
		if _, err := fmt.Fprintf(w, "%14s  %s\n", stamp(l.Entries[i].At), &l.Entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// Record runs a scenario as [Run] does and logs it. It keeps the newest entries of three sorts, at most
// limit of each: messages; what nodes say, deliver and enter; and the rest, which is rare.
func Record(s *Scenario, limit int) (*Result, *Log, error) {
	w, err := New(s)
	if err != nil {
		return nil, nil, err
	}
	r := newRecorder(limit)
	w.OnEvent = r.add
	w.OnMessage = r.message
	res := w.Run()
	if res.Err != nil {
		r.add(Entry{At: res.At, Kind: EntryViolation, Node: -1, Text: res.Err.Error()})
	}
	l := &Log{Scenario: s, Result: res, Standings: w.standings()}
	for i := range r.sorts {
		l.Entries = append(l.Entries, r.sorts[i].entries()...)
		l.Dropped += r.sorts[i].dropped
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.order, b.order)) })
	return res, l, nil
}

// ring keeps the newest entries.
type ring struct {
	list    []Entry
	next    int // where the oldest is, when full
	limit   int
	dropped int
}

func (r *ring) push(e Entry) {
	if len(r.list) < r.limit {
		r.list = append(r.list, e)
		return
	}
	r.list[r.next] = e
	r.next = (r.next + 1) % r.limit
	r.dropped++
}

func (r *ring) entries() []Entry {
	return append(slices.Clone(r.list[r.next:]), r.list[:r.next]...)
}

// recorder turns what a world reports into entries.
type recorder struct {
	sorts [3]ring
	added uint64
	// views are the views in which nodes were last seen, blocks the hashes of each view in the order in
	// which they were seen.
	views  map[int]uint64
	blocks map[uint64][]common.Hash
	// said are votes and proposals, which are sent more than once.
	said map[saying]bool
}

type saying struct {
	node int
	what string
	view uint64
	hash common.Hash
}

// maxSaid bounds the recorder's memory; beyond it, what is repeated is logged again.
const maxSaid = 1 << 18

func newRecorder(limit int) *recorder {
	r := &recorder{views: map[int]uint64{}, blocks: map[uint64][]common.Hash{}, said: map[saying]bool{}}
	for i := range r.sorts {
		r.sorts[i].limit = max(1, limit)
	}
	return r
}

func (r *recorder) add(e Entry) {
	sort := 2
	switch e.Kind {
	case EntryMessage:
		sort = 0
	case EntrySaid:
		key := saying{e.Node, e.What, e.View, e.hash}
		if r.said[key] {
			return
		}
		if len(r.said) >= maxSaid {
			clear(r.said)
		}
		r.said[key] = true
		sort = 1
	case EntryView:
		if r.views[e.Node] == e.View {
			return
		}
		r.views[e.Node] = e.View
		sort = 1
	case EntryUp:
		r.views[e.Node] = 0
	case EntryFinal:
		sort = 1
	}
	r.added++
	e.order, e.Block = r.added, r.name(e.View, e.hash)
	r.sorts[sort].push(e)
}

// name is what a block is called.
func (r *recorder) name(view uint64, hash common.Hash) string {
	if hash == (common.Hash{}) {
		return ""
	}
	i := slices.Index(r.blocks[view], hash)
	if i < 0 {
		if len(r.blocks) >= maxSaid {
			clear(r.blocks)
		}
		i = len(r.blocks[view])
		r.blocks[view] = append(r.blocks[view], hash)
	}
	if i > 3 {
		return fmt.Sprintf("b%d#%d", view, i+1)
	}
	return fmt.Sprintf("b%d%s", view, strings.Repeat("'", i))
}

// message logs a delivery when it is sent; the order is made at the end. A vote of its sender is said
// too: of liars nothing else tells.
func (r *recorder) message(sent, arrived time.Duration, from, to int, m consensus.Message) {
	e := describe(m)
	if v := voteOf(m); v != nil && int(v.Signer) == from {
		said := e
		said.At, said.Kind, said.Node = sent, EntrySaid, from
		r.add(said)
	}
	e.At, e.Kind, e.Node, e.From, e.Sent = arrived, EntryMessage, to, from, sent
	r.add(e)
}

// describe says what a message is.
func describe(m consensus.Message) Entry {
	switch m := m.(type) {
	case *consensus.Vote:
		return Entry{What: m.Kind.String(), View: m.View, hash: m.Hash}
	case *consensus.Cert:
		return Entry{What: "CERT " + m.Kind.String(), View: m.View, hash: m.Hash}
	case *consensus.Proposal:
		h := &m.Block.Header
		return Entry{What: "PROPOSAL", View: h.View, hash: m.Hash(), Text: fmt.Sprintf("height %d on view %d", h.Height, h.ParentView)}
	case *consensus.Status:
		return Entry{What: "STATUS", View: m.View, Text: fmt.Sprintf("final %d executed %d", m.FinHeight, m.ExecHeight)}
	case *consensus.CertRequest:
		return Entry{What: "CERT REQUEST", View: m.From, Text: fmt.Sprintf("to %d", m.To)}
	case *consensus.CertResponse:
		return Entry{What: "CERT RESPONSE", Text: fmt.Sprintf("%d certificates", len(m.Certs))}
	case *consensus.BlockRequest:
		if m.Hash != (common.Hash{}) {
			return Entry{What: "BLOCK REQUEST", Text: fmt.Sprintf("%.4x", m.Hash)}
		}
		return Entry{What: "BLOCK REQUEST", Text: fmt.Sprintf("%d from height %d", m.Count, m.From)}
	case *consensus.BlockResponse:
		return Entry{What: "BLOCK RESPONSE", Text: fmt.Sprintf("%d proposals %d blocks", len(m.Proposals), len(m.Blocks))}
	case *consensus.Evidence:
		return Entry{What: "EVIDENCE", View: m.A.View, Text: fmt.Sprintf("against n%d", m.A.Signer)}
	}
	return Entry{What: fmt.Sprintf("%T", m)}
}

// note reports what happens to a node to those who listen.
func (w *World) note(n *node, e Entry) {
	if w.OnEvent == nil && w.Trace == nil {
		return
	}
	e.At, e.Node = w.now, -1
	if n != nil {
		e.Node = n.index
	}
	if w.OnEvent != nil {
		w.OnEvent(e)
	}
	if w.Trace != nil && e.Kind != EntrySaid && e.Kind != EntryView {
		w.Trace(w.now, e.Node, e.String())
	}
}

// spoke reports a vote or a proposal of a node itself.
func (w *World) spoke(n *node, m consensus.Message) {
	if w.OnEvent == nil {
		return
	}
	if v := voteOf(m); v != nil && int(v.Signer) == n.signer && n.liar == nil {
		e := describe(m)
		e.Kind = EntrySaid
		w.note(n, e)
	}
}

// voteOf is the vote that a message states or contains.
func voteOf(m consensus.Message) *consensus.Vote {
	switch m := m.(type) {
	case *consensus.Vote:
		return m
	case *consensus.Proposal:
		return &m.LeaderVote
	}
	return nil
}
