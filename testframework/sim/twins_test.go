package sim_test

import (
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

// Everything of small scopes.
func TestTwins_exhaustive(t *testing.T) {
	for _, o := range []sim.TwinsOptions{
		{Views: 2, Term: 1, Window: 0},
		{Views: 2, Term: 2, Window: 1},
		{Views: 2, Term: 16, Window: 4},
		{Views: 3, Term: 1, Window: 0},
		{Views: 3, Term: 2, Window: 1},
		{Views: 3, Term: 16, Window: 4},
	} {
		o.Validators, o.Twins, o.Parts = 4, 1, 2
		t.Run(fmt.Sprintf("T=%d/W=%d/views=%d", o.Term, o.Window, o.Views), func(t *testing.T) {
			s := scope(t, o)
			for i := range s.Count() {
				if r := s.Run(i); r.Err != nil {
					t.Fatalf("%v\n%s%s", r.Err, s.Describe(i), s.Command(i))
				}
			}
			t.Logf("%d scenarios", s.Count())
		})
	}
}
