package sim_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/testframework/sim"
)

func scope(t testing.TB, o sim.TwinsOptions) *sim.Twins {
	t.Helper()
	twins, err := sim.NewTwins(o)
	if err != nil {
		t.Fatal(err)
	}
	return twins
}

// The number of scenarios, and that each kind has exactly one index, by brute force: every assignment of
// every partition to every view, for every choice of who has twins, under every renaming that keeps roles.
func TestTwins_Count_bruteForce(t *testing.T) {
	for _, o := range []sim.TwinsOptions{
		{Validators: 1, Twins: 1, Views: 3, Parts: 2, Term: 1},
		{Validators: 3, Twins: 0, Views: 2, Parts: 3, Term: 1},
		{Validators: 3, Twins: 1, Views: 2, Parts: 2, Term: 1},
		{Validators: 3, Twins: 2, Views: 2, Parts: 2, Term: 2},
		{Validators: 4, Twins: 1, Views: 2, Parts: 2, Term: 1},
		{Validators: 4, Twins: 1, Views: 2, Parts: 3, Term: 16},
		{Validators: 4, Twins: 1, Views: 3, Parts: 2, Term: 2},
		{Validators: 4, Twins: 2, Views: 2, Parts: 2, Term: 16},
		{Validators: 4, Twins: 3, Views: 1, Parts: 5, Term: 16},
		{Validators: 5, Twins: 2, Views: 1, Parts: 3, Term: 1},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			s := scope(t, o)
			want := brute(o)
			if s.Count() != uint64(len(want)) {
				t.Fatalf("%d scenarios, brute force finds %d", s.Count(), len(want))
			}
			seen := map[string]bool{}
			for i := range s.Count() {
				sc := s.At(i)
				key := canonical(o, sc.Twinned, sc.Groups)
				if seen[key] || !want[key] {
					t.Fatalf("scenario %d is one that there is already, or none:\n%s", i, s.Describe(i))
				}
				seen[key] = true
			}
		})
	}
}

// brute lists the canonical forms of all scenarios.
func brute(o sim.TwinsOptions) map[string]bool {
	forms := map[string]bool{}
	for set := range 1 << o.Validators {
		var twinned []int
		for i := range o.Validators {
			if set>>i&1 != 0 {
				twinned = append(twinned, i)
			}
		}
		if len(twinned) != o.Twins {
			continue
		}
		var assign func(groups [][]uint8)
		assign = func(groups [][]uint8) {
			if len(groups) == o.Views {
				forms[canonical(o, twinned, groups)] = true
				return
			}
			n := o.Validators + o.Twins
			code := make([]uint8, n)
			for done := false; !done; {
				if inOrder(code) {
					assign(append(slices.Clone(groups), slices.Clone(code)))
				}
				done = true
				for i := range code { // Count in base min(n, Parts).
					if code[i]++; int(code[i]) < min(n, o.Parts) {
						done = false
						break
					}
					code[i] = 0
				}
			}
		}
		assign(nil)
	}
	return forms
}

// inOrder reports whether groups are numbered in the order of their first members.
func inOrder(code []uint8) bool {
	next := uint8(0)
	for _, g := range code {
		if g > next {
			return false
		}
		next = max(next, g+1)
	}
	return true
}

// canonical is the least description of a scenario over all renamings of validators that lead no view, and
// of twins and their doubles.
func canonical(o sim.TwinsOptions, twinned []int, groups [][]uint8) string {
	leads := make([]bool, o.Validators)
	for v := range uint64(o.Views) {
		leads[v/o.Term%uint64(o.Validators)] = true
	}
	least := ""
	var try func(order []int)
	try = func(order []int) { // order[i] is the validator that plays i.
		if i := len(order); i < o.Validators {
			for j := range o.Validators {
				if !slices.Contains(order, j) && (i == j || !leads[i] && !leads[j]) {
					try(append(slices.Clone(order), j))
				}
			}
			return
		}
		for swaps := range 1 << o.Twins {
			var text strings.Builder
			var instances []int
			for _, v := range order {
				instances = append(instances, v)
				if at := slices.Index(twinned, v); at >= 0 {
					pair := []int{v, o.Validators + at}
					instances = append(instances[:len(instances)-1], pair[swaps>>at&1], pair[1-swaps>>at&1])
					text.WriteString("two ")
				} else {
					text.WriteString("one ")
				}
			}
			for _, g := range groups {
				names := map[uint8]int{}
				for _, i := range instances {
					if _, ok := names[g[i]]; !ok {
						names[g[i]] = len(names)
					}
					fmt.Fprint(&text, names[g[i]])
				}
			}
			if form := text.String(); least == "" || form < least {
				least = form
			}
		}
	}
	try(nil)
	return least
}

func TestTwins_Sample_noRepetition(t *testing.T) {
	s := scope(t, sim.TwinsOptions{Validators: 4, Twins: 1, Views: 2, Parts: 2, Term: 1})
	for _, seed := range []uint64{1, 2} {
		seen := map[uint64]bool{}
		for i := range s.Sample(seed, s.Count()+5) {
			if seen[i] || i >= s.Count() {
				t.Fatalf("seed %d: %d of %d again", seed, i, s.Count())
			}
			seen[i] = true
		}
		if uint64(len(seen)) != s.Count() {
			t.Fatalf("seed %d: %d of %d", seed, len(seen), s.Count())
		}
	}
}

func TestNewTwins_refuses(t *testing.T) {
	for _, o := range []sim.TwinsOptions{
		{},
		{Validators: 4, Twins: 5, Views: 1, Parts: 2, Term: 1},
		{Validators: 4, Twins: 1, Views: 0, Parts: 2, Term: 1},
		{Validators: 4, Twins: 1, Views: 2, Parts: 0, Term: 1},
		{Validators: 4, Twins: 1, Views: 2, Parts: 2},
		{Validators: 7, Twins: 2, Views: 16, Parts: 9, Term: 1},
		{Validators: 16, Twins: 0, Views: 1, Parts: 2, Term: 16},
	} {
		if _, err := sim.NewTwins(o); err == nil {
			t.Errorf("%+v is a scope", o)
		}
	}
}

// Everything of small scopes, with FINALIZE votes that travel in their own view's groups and in the next.
func TestTwins_exhaustive(t *testing.T) {
	for _, o := range []sim.TwinsOptions{
		{Views: 2, Term: 1, Window: 0},
		{Views: 2, Term: 2, Window: 1},
		{Views: 2, Term: 16, Window: 4},
		{Views: 3, Term: 1, Window: 0},
		{Views: 3, Term: 2, Window: 1},
		{Views: 3, Term: 16, Window: 4},
	} {
		for _, o.Late = range []bool{false, true} {
			if testing.Short() && o.Views > 2 {
				continue
			}
			o.Validators, o.Twins, o.Parts = 4, 1, 2
			t.Run(fmt.Sprintf("T=%d/W=%d/views=%d/late=%v", o.Term, o.Window, o.Views, o.Late), func(t *testing.T) {
				s := scope(t, o)
				quiet(t, s, s.Sweep(t.Context(), sim.TwinsPlan{}))
			})
		}
	}
}

// quiet fails for violations.
func quiet(t *testing.T, s *sim.Twins, r *sim.TwinsReport) {
	t.Helper()
	for _, v := range r.First {
		t.Error(s.Explain(v))
	}
	if r.Violations != 0 || r.Done != r.Total {
		t.Fatalf("%d violations in %d of %d scenarios", r.Violations, r.Done, r.Total)
	}
	t.Logf("%d of %d scenarios, %d events each, hash %016x", r.Done, s.Count(), r.Events/r.Done, r.Hash)
}

// More views, groups and validators than fit, by sample; without twins the network only splits.
func TestTwins_sample(t *testing.T) {
	for _, o := range []sim.TwinsOptions{
		{Validators: 4, Twins: 1, Views: 4, Parts: 2, Term: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 6, Parts: 3, Term: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 6, Parts: 2, Term: 2, Window: 1, Late: true},
		{Validators: 4, Twins: 1, Views: 6, Parts: 3, Term: 3, Window: 2},
		{Validators: 4, Twins: 1, Views: 8, Parts: 2, Term: 16, Window: 4, Late: true},
		{Validators: 4, Twins: 0, Views: 5, Parts: 2, Term: 2, Window: 1, Late: true},
		{Validators: 7, Twins: 2, Views: 4, Parts: 3, Term: 2, Window: 1, Late: true},
		{Validators: 5, Twins: 1, Views: 4, Parts: 3, Term: 1, Late: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			s := scope(t, o)
			quiet(t, s, s.Sweep(t.Context(), sim.TwinsPlan{Sample: 400, Seed: 1}))
		})
	}
}

// Two liars of four are more than the protocol tolerates: that must show.
func TestTwins_tooMany_isReported(t *testing.T) {
	o := sim.TwinsOptions{Validators: 4, Twins: 2, Views: 2, Parts: 2, Term: 1}
	s := scope(t, o)
	r := s.Sweep(t.Context(), sim.TwinsPlan{Sample: 500, Seed: 1, Stop: 1})
	if r.Violations == 0 {
		t.Fatalf("nothing in %d scenarios", r.Done)
	}
	v := r.First[0]
	text := s.Explain(v)
	if again, err := sim.RunTwins(o, v.Index); err != nil || again.Hash != v.Hash || again.Err == nil || again.Err.Error() != v.Err.Error() {
		t.Errorf("%v when run again\n%s", again.Err, text)
	}
	for _, want := range []string{"view 2, leader 1:  {", "tercet sim twins --validators 4 --twins 2 --views 2 --term 1 --window 0 --late=false --index "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	t.Logf("after %d scenarios:\n%s", r.Done, text)
}

func TestTwins_Sweep_hashWithoutOrder(t *testing.T) {
	s := scope(t, sim.TwinsOptions{Validators: 4, Twins: 1, Views: 3, Parts: 2, Term: 2, Window: 1, Late: true})
	var hashes []uint64
	for _, jobs := range []int{1, 3} {
		calls := uint64(0)
		r := s.Sweep(t.Context(), sim.TwinsPlan{Sample: 300, Seed: 3, Jobs: jobs, Progress: func(done, total, violations uint64) {
			if calls++; done > total || total != 300 || violations != 0 {
				t.Errorf("%d of %d, %d violations", done, total, violations)
			}
		}})
		hashes = append(hashes, r.Hash)
		if r.Done != 300 || calls == 0 {
			t.Errorf("%d jobs: %d done, %d calls", jobs, r.Done, calls)
		}
	}
	if hashes[0] != hashes[1] || hashes[0] == 0 {
		t.Errorf("hashes %x", hashes)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := s.Sweep(ctx, sim.TwinsPlan{}); r.Done != 0 {
		t.Errorf("%d done after the end", r.Done)
	}
}

// Every single delivery, and every pair of them, is lost once in the first views without partitions.
func TestTwins_lostDeliveries(t *testing.T) {
	for _, o := range []sim.TwinsOptions{{Views: 2, Term: 1}, {Views: 2, Term: 16, Window: 4}} {
		o.Validators, o.Parts = 4, 1
		t.Run(fmt.Sprintf("T=%d/W=%d", o.Term, o.Window), func(t *testing.T) {
			s := scope(t, o)
			runs := 0
			check := func(lost ...uint64) uint64 {
				r := s.Run(0, lost...)
				if runs++; r.Err != nil {
					t.Fatalf("without the deliveries %d: %v", lost, r.Err)
				}
				return r.Deliveries
			}
			all := check()
			for i := range all {
				after := check(i)
				for j := i + 1; j < after && !testing.Short(); j++ {
					check(i, j)
				}
			}
			t.Logf("%d runs, %d deliveries", runs, all)
		})
	}
}
