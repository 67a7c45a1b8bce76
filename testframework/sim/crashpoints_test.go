package sim_test

import (
	"os"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// TestCrashPoints takes the power at every operation of a journal; the short form at every thirtieth.
func TestCrashPoints(t *testing.T) {
	o := sim.CrashOptions{Every: 30}
	if os.Getenv("TERCET_LONG") != "" {
		o.Every = 1
	}
	r, err := o.Run()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Failures {
		if i < 20 {
			t.Errorf("%s: %v", f.Replay, f.Err)
		}
	}
	if r.Recovered != r.Runs || r.Runs == 0 {
		t.Errorf("%d of %d runs recovered", r.Recovered, r.Runs)
	}
	t.Logf("%d points %v, %d runs %v, %d with two failures", r.Points, r.Operations, r.Runs, r.Modes, r.Twice)
}

// TestCrashPoints_story makes sure that the story has what a journal can go through.
func TestCrashPoints_story(t *testing.T) {
	done, total := 0, 0
	r, err := sim.CrashOptions{Every: 40, Progress: func(d, n int) { done, total = d, n }}.Run()
	if err != nil {
		t.Fatal(err)
	}
	if done != r.Runs || total != r.Runs || len(r.Modes) != len(simdisk.Retentions()) || r.Twice == 0 {
		t.Errorf("progress %d of %d, %d runs, modes %v, %d with two failures", done, total, r.Runs, r.Modes, r.Twice)
	}
	names := map[string]bool{}
	for _, c := range r.Stories {
		names[c.Name] = c.Count > 0
	}
	for _, want := range []string{"mkdir", "create", "allocate", "write", "sync", "rename", "syncdir", "remove"} {
		if !names[want] {
			t.Errorf("no %s in the stories: %v", want, r.Stories)
		}
	}
}

func TestParseCrashPoint_inverse(t *testing.T) {
	p := sim.CrashPoint{Term: 16, Op: 37, Retention: simdisk.TornLastPage, Chance: 2, All: true, Again: 3}
	if got, err := sim.ParseCrashPoint(p.String()); err != nil || got != p {
		t.Errorf("%q reads as %+v, %v", p, got, err)
	}
	for _, text := range []string{"", "16/37/none/2/all/3", "16/x/keep-pages/2/all/3", "16/37/keep-pages/2/some/3"} {
		if got, err := sim.ParseCrashPoint(text); err == nil {
			t.Errorf("%q reads as %+v", text, got)
		}
	}
}

// TestCrashPoint_Run_again shows that a point replays bit by bit.
func TestCrashPoint_Run_again(t *testing.T) {
	p := sim.CrashPoint{Term: 16, Op: 60, Retention: simdisk.KeepPages, Chance: 1, All: true, Again: 2}
	a, err := p.Run()
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Run()
	if err != nil || a.Hash != b.Hash {
		t.Errorf("the point gave %s, then %s, %v", a.Hash, b.Hash, err)
	}
	if _, err := (sim.CrashPoint{Term: 16, Op: 1 << 20}).Run(); err == nil {
		t.Error("an operation that does not exist gave no error")
	}
}

// TestForget_inTheFirstView takes the journal of a leader that has just proposed the first block, while the
// others are still in view 1: that they are at genesis does not mean that it has signed nothing.
func TestForget_inTheFirstView(t *testing.T) {
	for _, shape := range [][2]uint64{{1, 0}, {16, 4}} {
		for step := range 12 {
			s := plain(4, shape[0], shape[1])
			s.Seed, s.Work.Always, s.Faulty, s.Healed, s.Idle = uint64(step), true, 10*time.Second, 10*time.Second, 0
			at := time.Duration(10*step) * time.Millisecond
			s.Faults = []sim.Fault{
				{At: at, Kind: sim.Kill, Node: 0},
				{At: at + time.Millisecond, Kind: sim.Forget, Node: 0},
				{At: at + 2*time.Millisecond, Kind: sim.Start, Node: 0},
			}
			if r, err := sim.Run(s); err != nil || r.Err != nil {
				t.Errorf("T=%d, journal lost at %v: %v, %v", shape[0], at, err, r.Err)
			}
		}
	}
}
