package sim_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/invariant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

// brokenWorlds have, for each promise that a world watches by itself, a world that breaks it.
var brokenWorlds = []struct {
	rule string
	run  func(t *testing.T) error
}{
	{"liveness", func(t *testing.T) error { // with f+1 silent validators nothing is final
		s := quick()
		s.Liars = []sim.Liar{{Node: 0, Strategies: []string{"silent"}}, {Node: 1, Strategies: []string{"silent"}}}
		return whole(t, s)
	}},
	{"convergence", func(t *testing.T) error { // no time to catch up
		s := quick()
		s.Work.Always, s.Healed = true, time.Millisecond
		s.Faults = []sim.Fault{{Kind: sim.Kill, Node: 3}}
		return whole(t, s)
	}},
	{"idle traffic", func(t *testing.T) error { // heartbeats a hundred times per second
		s := quick()
		s.Timing.MaxIdle = 5 * time.Millisecond
		return whole(t, s)
	}},
	{"idle blocks", func(t *testing.T) error { return bench(t, quick()).Restless() }},
	{"idle answer", func(t *testing.T) error { // validity is judged for seconds, and Δ says that this is fine
		s := quick()
		s.Timing.Delta, s.Disk.Judge, s.Healed = 20*time.Second, 5*time.Second, 30*time.Second
		return whole(t, s)
	}},
	{"encoding", func(t *testing.T) error {
		s := quick()
		s.Wire = true
		r := &consensus.BlockResponse{}
		for range 20_000 {
			r.Headers = append(r.Headers, &consensus.Header{})
		}
		return bench(t, s).Say(0, r)
	}},
	{"refused", func(t *testing.T) error { // evidence of what nobody is to blame for
		b := bench(t, quick())
		return b.Say(0, &consensus.Evidence{A: *b.Vote(1, consensus.Nullify, 1, 0), B: *b.Vote(1, consensus.Nullify, 2, 0)})
	}},
	{"false evidence", func(t *testing.T) error {
		b := bench(t, quick())
		return b.Accuse(0, b.Vote(1, consensus.Notarize, 1, 1), b.Vote(1, consensus.Notarize, 1, 2))
	}},
	{"memory", func(t *testing.T) error { return bench(t, quick()).Hold(0, 1<<20, 0) }},
	{"fail-stop", func(t *testing.T) error {
		b := bench(t, quick())
		return errors.Join(b.FailBeside(1), b.Go(time.Second))
	}},
	{"journal", func(t *testing.T) error {
		b := bench(t, quick())
		b.FailDisk(1)
		return b.Go(time.Second)
	}},
	{"halt", func(t *testing.T) error { // somebody signs with node 1's key
		b := bench(t, quick())
		return errors.Join(b.Hear(1, b.Vote(1, consensus.Notarize, b.View(1), 7)), b.Go(time.Second))
	}},
	{"recovery", func(t *testing.T) error { // of an observer: validators' journals are read by a checker before
		s := quick()
		s.Observers = 1
		return bench(t, s).Scribble(4)
	}},
	{"panic", func(t *testing.T) error {
		b := bench(t, quick())
		b.Mangle(2)
		return b.Go(time.Second)
	}},
	{"failure", func(t *testing.T) error { return bench(t, quick()).Fail(errors.New("out of order")) }},
	{"one key twice", nil}, // TestIncident08_twins has a process that goes on, by a seeded bug.
}

// quick is a small network that has little to do.
func quick() *sim.Scenario {
	s := plain(4, 16, 4)
	s.Network = sim.Network{MinLatency: time.Millisecond, MaxLatency: 3 * time.Millisecond}
	s.Faulty, s.Healed, s.Idle = 3*time.Second, 5*time.Second, time.Second
	return s
}

func whole(t *testing.T, s *sim.Scenario) error {
	t.Helper()
	r, err := sim.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return r.Err
}

func bench(t *testing.T, s *sim.Scenario) *sim.Bench {
	t.Helper()
	b, err := sim.NewBench(s, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWorld_everyRuleIsReported breaks every promise that the source of the package names.
func TestWorld_everyRuleIsReported(t *testing.T) {
	rules := rulesOf(t)
	rules["failure"] = true // the only one that is not given to violate
	seen := map[string]bool{}
	for _, tt := range brokenWorlds {
		seen[tt.rule] = true
		if !rules[tt.rule] {
			t.Errorf("the package has no rule %q", tt.rule)
		}
		if tt.run == nil {
			continue
		}
		t.Run(tt.rule, func(t *testing.T) {
			var v *invariant.ViolationError
			if err := tt.run(t); !errors.As(err, &v) || v.Rule != tt.rule {
				t.Errorf("got %v, want a violation of %q", err, tt.rule)
			}
		})
	}
	for rule := range rules {
		if !seen[rule] {
			t.Errorf("no world breaks the rule %q", rule)
		}
	}
	if err := whole(t, quick()); err != nil {
		t.Errorf("a world that nobody breaks: %v", err)
	}
}

// rulesOf reads the names that the package gives to violate.
func rulesOf(t *testing.T) map[string]bool {
	t.Helper()
	rules := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || strings.Contains(path, "/") || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if fn, ok := call.Fun.(*ast.SelectorExpr); !ok || fn.Sel.Name != "violate" {
				return true
			}
			name, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a rule without a name of its own", path)
				return true
			}
			rule, _ := strconv.Unquote(name.Value)
			rules[rule] = true
			return true
		})
		return nil
	})
	if err != nil || len(rules) == 0 {
		t.Fatal(len(rules), err)
	}
	return rules
}
