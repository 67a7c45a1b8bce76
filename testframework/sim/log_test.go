package sim_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
)

// broken is a run in which two of four validators lie, and something is violated.
func broken(t *testing.T, limit int) (*sim.Result, *sim.Log) {
	t.Helper()
	s, err := sim.ParseScenario(`seed 2
validators 4
term 1
window 0
liar 0 equivocate
liar 1 equivocate double-vote
at 5ms pause 3 for 20ms
at 10ms crash 2 lose-unsynced
at 12ms start 2
at 13ms partition 0,2|1,3
at 14ms heal
`)
	if err != nil {
		t.Fatal(err)
	}
	r, l, err := sim.Record(s, limit)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rule() == "" {
		t.Fatal("two liars of four broke nothing")
	}
	return r, l
}

// Whoever looks at a run must not change it.
func TestRecord_changesNothing(t *testing.T) {
	for seed := range uint64(6) {
		s := sim.Generate(seed, sim.DefaultOptions())
		want, err := sim.Run(s)
		if err != nil {
			t.Fatal(err)
		}
		got, l, err := sim.Record(s, 100)
		if err != nil || got.Hash != want.Hash {
			t.Errorf("seed %d: got %v, %v, want %v", seed, got.Hash, err, want.Hash)
		}
		if len(l.Entries) > 300 || l.Dropped == 0 {
			t.Errorf("%d entries were kept, %d dropped", len(l.Entries), l.Dropped)
		}
	}
}

func TestLog_Entries_newestInOrder(t *testing.T) {
	_, all := broken(t, 100_000)
	_, few := broken(t, 40)
	if all.Dropped != 0 || few.Dropped == 0 || len(few.Entries)+few.Dropped != len(all.Entries) {
		t.Fatalf("got %d entries and %d dropped of %d", len(few.Entries), few.Dropped, len(all.Entries))
	}
	kinds := map[sim.EntryKind]int{}
	for i, e := range all.Entries {
		kinds[e.Kind]++
		if i > 0 && e.At < all.Entries[i-1].At {
			t.Errorf("%v comes after %v", &e, &all.Entries[i-1])
		}
		if e.Kind == sim.EntryMessage && e.Sent > e.At {
			t.Errorf("%v arrives before it is sent", &e)
		}
	}
	for _, k := range []sim.EntryKind{
		sim.EntryMessage, sim.EntrySaid, sim.EntryView, sim.EntryUp, sim.EntryDown, sim.EntryPause, sim.EntryFault, sim.EntryViolation,
	} {
		if kinds[k] == 0 {
			t.Errorf("no entry of kind %d", k)
		}
	}
	if last := few.Entries[len(few.Entries)-1]; last.Kind != sim.EntryViolation && last.Kind != sim.EntryMessage {
		t.Errorf("the last entry is %v", &last)
	}
}

func TestLog_WriteText(t *testing.T) {
	_, l := broken(t, 100_000)
	var b bytes.Buffer
	if err := l.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"     0.000000s  n0 starts at height 0\n", "says PROPOSAL view 1 b1 height 1 on view 0\n", " b1' height 1 on view 0",
		"     0.010000s  fault: crash 2 lose-unsynced\n", "     0.010000s  n2 is down\n", "     0.013000s  fault: partition 0,2|1,3\n",
		"     0.005000s  n3 pauses until 0.025000s\n", "VIOLATION ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text has no %q", want)
		}
	}
}

func TestLog_WriteHTML_isOnePage(t *testing.T) {
	var pages [2]bytes.Buffer
	for i := range pages {
		_, l := broken(t, 100_000)
		if err := l.WriteHTML(&pages[i]); err != nil {
			t.Fatal(err)
		}
	}
	page := pages[0].String()
	if page != pages[1].String() {
		t.Error("equal runs give two pages")
	}
	if m := regexp.MustCompile(`https?://|src=|@import|url\(|<link`).FindString(page); m != "" {
		t.Errorf("the page needs something from elsewhere: %s", m)
	}
	for _, want := range []string{"<title>seed 2 · ", `"role":"liar","note":"equivocate, double-vote"`, `"sides":[1,0,1,0]`, `"kind":"down"`, `"kind":"paused"`, "</html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestLog_Report(t *testing.T) {
	r, l := broken(t, 1000)
	got := l.Report(sim.ReplayScript("found.txt"))
	for _, want := range []string{
		"seed       2: 4 validators, T=1 W=0, latency 1ms to 10ms, n0 lies: equivocate, n1 lies: equivocate, double-vote, 5 faults\n",
		"rule       " + r.Rule() + "\n", "hash " + r.Hash, "standings  n0 view ", "events     the last of ", "fault: crash 2 lose-unsynced\n",
		"replay     tercet sim replay --script found.txt\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report has no %q:\n%s", want, got)
		}
	}
	if lines := strings.Count(got, "\n"); lines > 40 {
		t.Errorf("the report has %d lines", lines)
	}
}

func TestOptions_Flags(t *testing.T) {
	o := sim.DefaultOptions()
	if got, want := sim.Replay(7, o), "tercet sim replay --seed 7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	o = sim.Options{Nodes: []int{4, 16}, Duration: 90 * time.Second, Term: 3, Window: 2, Liars: 1, Faults: []string{"crash", "disk"}}
	if got, want := o.Flags(7), "--seed 7 --nodes 4,16 --duration 1m30s --faults crash,disk --byzantine 1 --schedule 3,2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
