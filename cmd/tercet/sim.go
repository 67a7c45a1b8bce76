package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

func newSim() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Simulate whole networks in virtual time, with every fault there is",
		Long: `Sim runs networks of the production consensus code in virtual time: crashes, power
failures, wiped and wrong disks, partitions, lost and late messages, clocks that are wrong,
and validators that lie. Checkers that share no rule with the code watch every vote and
every block. Equal seeds give equal runs, event by event.

docs/testing.md teaches it; docs/track-record.md lists what it found.`,
		Example: `  tercet sim run --seeds 1..2000
  tercet sim replay --seed 17 --trace seed17.html
  tercet sim twins --count 100000
  tercet sim crashpoints`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimRun(), newSimReplay(), newSimTwins(), newSimCrashPoints(), newSimMutants(), newSimFigures())
	return cmd
}

// relaxed lets the garbage collector work less often: a simulation makes much that dies at once, and the
// machine has memory to spare. It returns what undoes it.
func relaxed() func() {
	before := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(before) }
}

// interruptible is a context that ends with the first Ctrl-C.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
}

// mutantFlag lets a command run with a seeded bug, in builds that have them.
func mutantFlag(cmd *cobra.Command, name *string) {
	if mutant.Built {
		cmd.Flags().StringVar(name, "mutant", "", "a seeded bug to run with")
	}
}

// seed turns a seeded bug on.
func seed(name string) error {
	if name == "" {
		return nil
	}
	m, ok := mutant.Parse(name)
	if !ok {
		return usage("--mutant: there is no seeded bug %q", name)
	}
	mutant.Select(m)
	return nil
}

// simFlags are what scenarios are drawn from.
type simFlags struct {
	nodes    string
	duration time.Duration
	faults   string
	liars    int
	term     string
	jobs     int
	json     bool
}

func (f *simFlags) add(cmd *cobra.Command) {
	d := sim.DefaultOptions()
	cmd.Flags().StringVar(&f.nodes, "nodes", joined(d.Nodes), "numbers of validators; each seed draws one")
	cmd.Flags().DurationVar(&f.duration, "duration", d.Duration, "virtual time of each run, the phases of recovery and idling included")
	cmd.Flags().StringVar(&f.faults, "faults", "swarm", "swarm draws a subset for each seed; or a list of "+strings.Join(sim.FaultGroups(), ","))
	cmd.Flags().IntVar(&f.liars, "byzantine", d.Liars, "validators that lie in each run; -1 draws up to a third less one")
	cmd.Flags().StringVar(&f.term, "schedule", "", "T,W for all runs, such as 16,4; without it each seed draws one")
}

// addJobs adds the flags of commands that run much.
func (f *simFlags) addJobs(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "runs at a time")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the result as JSON")
}

// options checks the flags.
func (f *simFlags) options() (sim.Options, error) {
	o := sim.Options{Duration: f.duration, Liars: f.liars}
	for word := range strings.SplitSeq(f.nodes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > 64 {
			return o, usage("--nodes %s: want numbers from 1 to 64, such as 4,7", f.nodes)
		}
		o.Nodes = append(o.Nodes, n)
	}
	if f.duration < 30*time.Second || f.duration > 1000*time.Hour {
		return o, usage("--duration %v: want 30s to 1000h; a shorter run has no time to recover", f.duration)
	}
	if f.faults != "swarm" {
		for group := range strings.SplitSeq(f.faults, ",") {
			if !slices.Contains(sim.FaultGroups(), group) {
				return o, usage("--faults %s: there is no %q; want swarm, or a list of %s", f.faults, group, strings.Join(sim.FaultGroups(), ","))
			}
			o.Faults = append(o.Faults, group)
		}
	}
	if f.term != "" {
		if _, err := fmt.Sscanf(f.term, "%d,%d", &o.Term, &o.Window); err != nil || o.Term < 1 || o.Term > 256 || o.Window > 64 {
			return o, usage("--schedule %s: want T,W such as 16,4, with T from 1 to 256 and W at most 64", f.term)
		}
	}
	return o, nil
}

func joined(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// seedRange reads A..B, or one seed.
func seedRange(text string) (from, to uint64, err error) {
	first, last, isRange := strings.Cut(text, "..")
	if !isRange {
		last = first
	}
	from, err = strconv.ParseUint(first, 10, 63)
	if err == nil {
		to, err = strconv.ParseUint(last, 10, 63)
	}
	if err != nil || to < from || to-from >= 10_000_000 {
		return 0, 0, usage("--seeds %s: want A..B, at most ten million, such as 1..2000", text)
	}
	return from, to, nil
}

func newSimRun() *cobra.Command {
	var f simFlags
	var seeds string
	var stop int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the scenarios of many seeds and check every promise",
		Long: `Run draws a scenario from each seed and runs it: first faults, while only safety is
required; then everything heals, and the network has to recover within bounds; then it
idles, has to be quiet, and to answer at once. The exit code is 1 when a promise was broken.`,
		Example: `  tercet sim run --seeds 1..2000 --nodes 4,7 --duration 120s
  tercet sim run --seeds 1..500 --faults crash,disk --byzantine 1 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, to, err := seedRange(seeds)
			if err != nil {
				return err
			}
			o, err := f.options()
			if err != nil {
				return err
			}
			ctx, cancel := interruptible(cmd)
			defer cancel()
			defer relaxed()()
			b := sim.Batch{From: from, To: to, Options: o, Jobs: f.jobs, Stop: stop, Progress: batchProgress(to - from + 1)}
			begun, cpu := time.Now(), sim.CPUTime()
			s, err := b.Run(ctx)
			if err != nil && s == nil {
				return err
			}
			if err := printBatch(cmd.OutOrStdout(), s, &f, o, time.Since(begun), sim.CPUTime()-cpu); err != nil {
				return err
			}
			if err != nil {
				return fmt.Errorf("stopped after %d of %d runs", s.Runs, to-from+1)
			}
			if len(s.Failed) > 0 {
				return fmt.Errorf("%d of %d runs broke a promise; replay one with the command beside it", len(s.Failed), s.Runs)
			}
			return nil
		},
	}
	f.add(cmd)
	f.addJobs(cmd)
	cmd.Flags().StringVar(&seeds, "seeds", "1..100", "first and last seed, A..B")
	cmd.Flags().IntVar(&stop, "stop-after", 20, "end at so many violations; 0 never")
	return cmd
}

// batchProgress tells a person how far a batch is, at most once in two seconds.
func batchProgress(total uint64) func(sim.Outcome) {
	begun, said := time.Now(), time.Now()
	done, failed := uint64(0), 0
	var simulated time.Duration
	return func(o sim.Outcome) {
		done++
		simulated += o.Result.At
		if o.Result.Err != nil {
			failed++
			progress("seed %d: %v", o.Seed, o.Result.Err)
		}
		if now := time.Now(); now.Sub(said) > 2*time.Second {
			said = now
			left := time.Duration(float64(now.Sub(begun)) / float64(done) * float64(total-done))
			progress("%d of %d runs, %d violations, %.1f simulated hours, about %v left", done, total, failed, simulated.Hours(), left.Round(time.Second))
		}
	}
}

// batchReport is the result of sim run for scripts.
type batchReport struct {
	Runs             int              `json:"runs"`
	Violations       []batchViolation `json:"violations"`
	SimulatedSeconds float64          `json:"simulatedSeconds"`
	CPUSeconds       float64          `json:"cpuSeconds"`
	WallSeconds      float64          `json:"wallSeconds"`
	SimulatedPerCPU  float64          `json:"simulatedSecondsPerCPUSecond"`
	Events           uint64           `json:"events"`
	Messages         uint64           `json:"messages"`
	Blocks           uint64           `json:"blocks"`
	Transactions     int              `json:"transactions"`
	Liars            int              `json:"liars"`
	Faults           int              `json:"faults"`
	SlowestRecovery  float64          `json:"slowestRecoverySeconds"`
	SlowestLevel     float64          `json:"slowestLevelSeconds"`
	SlowestAnswer    float64          `json:"slowestIdleAnswerSeconds"`
	Hash             string           `json:"hash"`
}

type batchViolation struct {
	Seed   uint64 `json:"seed"`
	Rule   string `json:"rule"`
	Text   string `json:"text"`
	Replay string `json:"replay"`
}

func printBatch(w io.Writer, s *sim.Summary, f *simFlags, o sim.Options, wall, cpu time.Duration) error {
	r := batchReport{
		Runs: s.Runs, Violations: []batchViolation{}, SimulatedSeconds: s.Simulated.Seconds(), CPUSeconds: cpu.Seconds(),
		WallSeconds: wall.Seconds(), SimulatedPerCPU: s.Simulated.Seconds() / max(cpu.Seconds(), 1e-9),
		Events: s.Stats.Events, Messages: s.Stats.Sent, Blocks: s.Stats.Height, Transactions: s.Stats.Receipts,
		Liars: s.Liars, Faults: s.Faults, SlowestRecovery: s.Recovery.Seconds(), SlowestLevel: s.Level.Seconds(),
		SlowestAnswer: s.Answer.Seconds(), Hash: s.Hash,
	}
	for i := range s.Failed {
		x := &s.Failed[i]
		r.Violations = append(r.Violations, batchViolation{x.Seed, x.Result.Rule(), x.Result.Err.Error(), sim.Replay(x.Seed, o)})
	}
	if f.json {
		return printJSON(w, r)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "seed %d  %s\n  %s\n", v.Seed, v.Text, v.Replay)
	}
	simulated := fmt.Sprintf("%.1f h", s.Simulated.Hours())
	if s.Simulated < 10*time.Hour {
		simulated = s.Simulated.Round(time.Second).String()
	}
	rows := [][]string{
		{"runs", "violations", "simulated", "blocks", "transactions", "messages", "faults", "liars"},
		{
			strconv.Itoa(r.Runs), strconv.Itoa(len(r.Violations)), simulated, strconv.FormatUint(r.Blocks, 10),
			strconv.Itoa(r.Transactions), strconv.FormatUint(r.Messages, 10), strconv.Itoa(r.Faults), strconv.Itoa(r.Liars),
		},
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%.0f simulated seconds per CPU second (%.1f CPU s, %.1f s on %d cores)\n",
		r.SimulatedPerCPU, r.CPUSeconds, r.WallSeconds, runtime.GOMAXPROCS(0))
	if len(s.Failed) < s.Runs {
		fmt.Fprintf(w, "after healing: first block within %v (seed %d), all level within %v (seed %d)\nfirst receipt after idling within %v (seed %d)\n",
			s.Recovery.Round(time.Millisecond), s.RecoveryOf, s.Level.Round(time.Millisecond), s.LevelOf, s.Answer.Round(time.Millisecond), s.AskOf)
	}
	_, err := fmt.Fprintf(w, "hash of all events %s\n", r.Hash)
	return err
}

func newSimCrashPoints() *cobra.Command {
	var every int
	var asJSON bool
	var point, bug string
	cmd := &cobra.Command{
		Use:   "crashpoints",
		Short: "Cut the power at every operation of a validator's journal",
		Long: `Crashpoints runs one fixed scenario again and again and takes the power of a machine, or
of all, at each operation of its journal in turn, with each way in which a disk may keep or
lose what was not synced; then once more while it recovers. Every run has to recover.`,
		Example: "  tercet sim crashpoints\n  tercet sim crashpoints --point 16/40/keep-pages/0/one/0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := seed(bug); err != nil {
				return err
			}
			defer relaxed()()
			if point != "" {
				return replayCrashPoint(cmd.OutOrStdout(), point)
			}
			said := time.Now()
			r, err := sim.CrashOptions{Every: every, Progress: func(done, total int) {
				if time.Since(said) > 2*time.Second {
					said = time.Now()
					progress("%d of about %d power failures", done, total)
				}
			}}.Run()
			if err != nil {
				return err
			}
			if err := printCrashPoints(cmd.OutOrStdout(), r, asJSON); err != nil {
				return err
			}
			if n := len(r.Failures); n > 0 {
				return fmt.Errorf("%d of %d power failures were not recovered from; replay one with the command beside it", n, r.Runs)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&every, "every", 1, "take each so manieth operation only")
	mutantFlag(cmd, &bug)
	cmd.Flags().StringVar(&point, "point", "", "run one power failure, as a report names it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func replayCrashPoint(w io.Writer, text string) error {
	p, err := sim.ParseCrashPoint(text)
	if err != nil {
		return usage("--point: %w", err)
	}
	r, err := p.Run()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: height %d after %v, hash %s\n", p, r.Stats.Height, r.At, r.Hash)
	return r.Err
}

func printCrashPoints(w io.Writer, r *sim.CrashReport, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "%s  %v\n  %s\n", f.Point, f.Err, f.Replay)
	}
	rows := [][]string{{"operation", "points"}}
	for _, c := range r.Operations {
		rows = append(rows, []string{c.Name, strconv.Itoa(c.Count)})
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d operations, %d power failures, %d of them with a second one during recovery: %d recovered\n", r.Points, r.Runs, r.Twice, r.Recovered)
	return err
}
