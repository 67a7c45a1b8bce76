package sim_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/sim"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

func TestScenario_String_parsesToTheSame(t *testing.T) {
	for seed := range uint64(3000) {
		o := sim.DefaultOptions()
		o.Nodes = []int{1, 2, 4, 7, 16}
		s := sim.Generate(seed, o)
		got, err := sim.ParseScenario(s.String())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, s)
		}
		if !reflect.DeepEqual(got, s) {
			t.Fatalf("seed %d: got %+v\nwant %+v\n%s", seed, got, s, s)
		}
	}
}

// leaves calls a function for each field that holds a value.
func leaves(v reflect.Value, path string, do func(path string, v reflect.Value)) {
	if v.Kind() != reflect.Struct {
		do(path, v)
		return
	}
	for i := range v.NumField() {
		leaves(v.Field(i), path+"."+v.Type().Field(i).Name, do)
	}
}

// other sets a value to one that a field never has by default.
func other(t *testing.T, path string, v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[[]sim.Liar]():
		v.Set(reflect.ValueOf([]sim.Liar{{Node: 2, Strategies: []string{"late", "censor"}}}))
	case v.Type() == reflect.TypeFor[[]sim.Fault]():
		v.Set(reflect.ValueOf([]sim.Fault{{At: 12345678, Kind: sim.Crash, Node: -1, Retention: simdisk.TornLastPage}}))
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.CanInt():
		v.SetInt(v.Int() + 1234567)
	case v.CanUint():
		v.SetUint(v.Uint() + 1234567)
	case v.CanFloat():
		v.SetFloat(v.Float() + 1.0/3)
	default:
		t.Fatalf("no other value is known for %s, a %s", path, v.Type())
	}
}

// A field that the script does not have would make a replayed scenario another one.
func TestScenario_String_hasEveryField(t *testing.T) {
	leaves(reflect.ValueOf(sim.DefaultScenario()).Elem(), "Scenario", func(path string, _ reflect.Value) {
		s := sim.DefaultScenario()
		leaves(reflect.ValueOf(s).Elem(), "Scenario", func(p string, v reflect.Value) {
			if p == path {
				other(t, p, v)
			}
		})
		if got, err := sim.ParseScenario(s.String()); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s is lost: %v\n%s", path, err, s)
		}
	})
}

func TestScenario_String_leavesDefaultsOut(t *testing.T) {
	if got, want := sim.DefaultScenario().String(), "seed 0\nvalidators 4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// script has every fault, in the form in which it is printed.
const script = `seed 7
validators 4
observers 1
term 3
window 2
delta 400ms
latency 20ms..60ms
jitter 5ms
duplicate 0.05
rate 0.5
faulty 30s
liar 3 equivocate late
at 0s loss 12.5%
at 1s crash 1 keep-prefix
at 1.5s kill all
at 2s wipe 1
at 2s forget 1
at 2s corrupt 1
at 2s rollback 1 by 20
at 3s start all
at 4s pause 0 for 300ms
at 5s partition 0,1|2,3,4
at 6s bridge 0,2|1,3,4 over 4
at 7s ring
at 7s one-way 2
at 8s heal
at 9s clog all for 2s
at 10s step 1 by -300ms
at 11s drift 1 by -30000ppm
at 12s fail-write 1 after 0
at 12s fail-sync 1 after 3
at 12s full 1 after 3
at 12s short-write 1 after 3
at 12s power-off 1 after 3
at 13s slow-disk 1 for 5s
at 14s rate 0.025
`

func TestParseScenario_everyFault(t *testing.T) {
	s, err := sim.ParseScenario("# a comment\n\n" + strings.ReplaceAll(script, "\n", "  # and one here\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != script {
		t.Errorf("got %s", got)
	}
	for i := range s.Faults {
		line := s.Faults[i].String()
		if got, err := sim.ParseScenario("seed 1\nvalidators 4\nobservers 1\n" + line); err != nil || got.Faults[0] != s.Faults[i] {
			t.Errorf("%s: got %v, %v", line, got, err)
		}
	}
	if _, err := sim.New(s); err != nil {
		t.Error(err)
	}
}

func TestParseScenario_saysWhatIsExpected(t *testing.T) {
	const head = "seed 1\nvalidators 4\n"
	tests := []struct{ name, text, want string }{
		{"no seed", "validators 4", "does not say `seed NUMBER`"},
		{"unknown", head + "color red", `line 3, "color red": no such statement; there are at, liar, seed,`},
		{"no value", head + "term", `line 3, "term": want: term NUMBER`},
		{"two values", head + "term 1 2", "want: term NUMBER"},
		{"no duration", head + "delta 5", "want: delta DURATION, such as 150ms"},
		{"no range", head + "latency 1ms..x", "want: latency DURATION..DURATION"},
		{"no rate", head + "loss NaN", "want: loss NUMBER"},
		{"a flag with a value", head + "wire on", "want: wire, and nothing more"},
		{"twice", head + "seed 2", "line 1 says this already"},
		{"unknown strategy", head + "liar 1 politely", `no strategy "politely"; there are `},
		{"liar", head + "liar one", "want: liar NODE STRATEGY…"},
		{"short fault", head + "at 3s", "want: at TIME FAULT"},
		{"no time", head + "at noon heal", `"noon" is no time`},
		{"unknown fault", head + "at 3s explode 1", `no fault "explode"; there are crash, kill, `},
		{"no node", head + "at 3s crash", "want: at TIME crash NODE|all RETENTION"},
		{"bad node", head + "at 3s kill n1", `"n1" is no node; want: at TIME kill NODE|all`},
		{"bad retention", head + "at 3s crash 1 nothing", `no retention "nothing"; there are lose-unsynced, keep-prefix,`},
		{"no keyword", head + "at 3s pause 1 5s", "want: at TIME pause NODE|all for DURATION"},
		{"too much", head + "at 3s heal 1", `"1" is too much; want: at TIME heal`},
		{"no unit", head + "at 3s drift 1 by 5", "has no unit ppm"},
		{"too exact", head + "at 3s loss 0.01%", "more than 1 digits behind the point"},
		{"one side", head + "at 3s partition 0,1", "has no |"},
		{"a node on no side", head + "at 3s partition 0,1|2", "line 3: the sides 0,1 and 2 do not divide the nodes 0 to 3"},
		{"a node on both sides", head + "at 3s partition 0,1|1,2,3", "do not divide"},
		{"a node twice", head + "at 3s partition 0,0|1,2,3", "node 0 twice"},
		{"long line", head + "liar 1 " + strings.Repeat("late ", 500), "the line has 2507 bytes"},
		{"long script", strings.Repeat("# \n", 1<<20), "a script of 3145728 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if s, err := sim.ParseScenario(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want %q", s, err, tt.want)
			}
		})
	}
}

func TestNew_refusesNonsense(t *testing.T) {
	fault := func(f sim.Fault) func(*sim.Scenario) {
		return func(s *sim.Scenario) { s.Faults = append(s.Faults, f) }
	}
	tests := []struct {
		name  string
		spoil func(s *sim.Scenario)
		want  string
	}{
		{"no validators", func(s *sim.Scenario) { s.Validators = 0 }, "want 1 to 64 nodes"},
		{"too many", func(s *sim.Scenario) { s.Observers = 61 }, "want 1 to 64 nodes"},
		{"no term", func(s *sim.Scenario) { s.Term = 0 }, "a term of 0 views"},
		{"a huge window", func(s *sim.Scenario) { s.Window = 1 << 40 }, "a window of"},
		{"no delta", func(s *sim.Scenario) { s.Timing.Delta = 0 }, "delta 0s; want 100µs to 1h0m0s"},
		{"no latency", func(s *sim.Scenario) { s.Network.MinLatency = 0 }, "latency 0s; want 10µs"},
		{"hectic heartbeats", func(s *sim.Scenario) { s.Timing.MaxIdle = 1 }, "max-idle 1ns; want 0s for off"},
		{"a negative delay", func(s *sim.Scenario) { s.Disk.Sync = -1 }, "sync -1ns"},
		{"an endless phase", func(s *sim.Scenario) { s.Healed = 1 << 62 }, "healed"},
		{"latencies the wrong way round", func(s *sim.Scenario) { s.Network.MinLatency = time.Second }, "want the smaller one first"},
		{"loss of more than all", func(s *sim.Scenario) { s.Network.Loss = 1.5 }, "want a rate between 0 and 1"},
		{"a negative rate", func(s *sim.Scenario) { s.Work.Rate = -1 }, "transactions per second"},
		{"a trickle", func(s *sim.Scenario) { s.Network.Bandwidth = -3 }, "bandwidth of -3"},
		{"a liar that is no validator", func(s *sim.Scenario) { s.Liars = []sim.Liar{{Node: 4}} }, "4 is none"},
		{"a liar twice", func(s *sim.Scenario) { s.Liars = []sim.Liar{{Node: 1}, {Node: 1}} }, "liar twice"},
		{"an unknown strategy", func(s *sim.Scenario) { s.Liars = []sim.Liar{{Node: 1, Strategies: []string{"x"}}} }, "no strategy"},
		{"an unknown fault", fault(sim.Fault{Kind: 200}), "no fault has the number 200"},
		{"a fault of no node", fault(sim.Fault{Kind: sim.Kill, Node: 99}), "no node 99"},
		{"a bridge over all", fault(sim.Fault{Kind: sim.Bridge, Node: -1}), "want one node"},
		{"a partition of others", fault(sim.Fault{Kind: sim.Partition, Mask: 1 << 9}), "want nodes 0 to 3"},
		{"a late fault", fault(sim.Fault{Kind: sim.Heal, At: time.Hour}), "the end of the first phase"},
		{"a negative rollback", fault(sim.Fault{Kind: sim.Rollback, Count: -1}), "the count -1"},
		{"a clock that stands", fault(sim.Fault{Kind: sim.Drift, Count: -1_000_000}), "the count -1000000"},
		{"a negative pause", fault(sim.Fault{Kind: sim.Pause, For: -1}), "the duration -1ns"},
		{"disorder", func(s *sim.Scenario) {
			s.Faults = []sim.Fault{{Kind: sim.Heal, At: time.Second}, {Kind: sim.Heal}}
		}, "in the order of their times"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sim.DefaultScenario()
			tt.spoil(s)
			if _, err := sim.New(s); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParseScenario(f *testing.F) {
	f.Add(script)
	f.Add(sim.DefaultScenario().String())
	for seed := range uint64(20) {
		f.Add(sim.Generate(seed, sim.DefaultOptions()).String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sim.ParseScenario(text)
		if err != nil {
			return
		}
		printed := s.String()
		again, err := sim.ParseScenario(printed)
		if err != nil {
			t.Fatalf("%q is printed as %q: %v", text, printed, err)
		}
		if !reflect.DeepEqual(again, s) {
			t.Fatalf("%q parses to %+v, and printed to %+v", text, s, again)
		}
		_, _ = sim.New(s) // An error is fine, a panic is not.
	})
}
