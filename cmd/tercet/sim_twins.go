package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/testframework/sim"
)

func newSimTwins() *cobra.Command {
	var f simFlags
	o := sim.DefaultTwinsOptions()
	var plan sim.TwinsPlan
	var index int64
	var bug string
	cmd := &cobra.Command{
		Use:   "twins",
		Short: "Give a validator a twin with the same key, and divide the network in every way",
		Long: `Twins runs scenarios in which some validators run twice with one key, and in which the
network is divided into groups anew in each of the first views (Bano et al., 2021). What a
liar can do by telling some this and others that, some scenario does. Scenarios that differ
by names only count once; a sample draws without repetition.`,
		Example: `  tercet sim twins --count 100000
  tercet sim twins --views 3 --all
  tercet sim twins --views 4 --term 2 --window 1 --index 4711`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := seed(bug); err != nil {
				return err
			}
			t, err := sim.NewTwins(o)
			if err != nil {
				return usage("%w", err)
			}
			if index >= 0 {
				return replayTwins(cmd.OutOrStdout(), t, uint64(index))
			}
			if all, _ := cmd.Flags().GetBool("all"); all {
				plan.Sample = 0
			}
			ctx, cancel := interruptible(cmd)
			defer cancel()
			plan.Jobs, plan.Progress = f.jobs, twinsProgress()
			begun, cpu := time.Now(), sim.CPUTime()
			r := t.Sweep(ctx, plan)
			if err := printTwins(cmd.OutOrStdout(), t, r, &f, time.Since(begun), sim.CPUTime()-cpu); err != nil {
				return err
			}
			if r.Violations > 0 {
				return fmt.Errorf("%d of %d scenarios broke a promise; replay one with the command beside it", r.Violations, r.Done)
			}
			return ctx.Err()
		},
	}
	f.addJobs(cmd)
	mutantFlag(cmd, &bug)
	cmd.Flags().IntVar(&o.Validators, "validators", o.Validators, "number of validators")
	cmd.Flags().IntVar(&o.Twins, "twins", o.Twins, "how many of them run twice")
	cmd.Flags().IntVar(&o.Views, "views", o.Views, "views in which the network is divided")
	cmd.Flags().IntVar(&o.Parts, "parts", o.Parts, "most groups that it is divided into")
	cmd.Flags().Uint64Var(&o.Term, "term", o.Term, "T, the views in a leader's term")
	cmd.Flags().Uint64Var(&o.Window, "window", o.Window, "W, how far votes run ahead")
	cmd.Flags().BoolVar(&o.Late, "late", o.Late, "FINALIZE votes travel in the groups of the next view")
	cmd.Flags().Uint64Var(&plan.Sample, "count", 20_000, "scenarios to draw")
	cmd.Flags().Uint64Var(&plan.Seed, "seed", 1, "of the draw")
	cmd.Flags().Bool("all", false, "run all scenarios, not a sample")
	cmd.Flags().Int64Var(&index, "index", -1, "run and show one scenario by its number")
	return cmd
}

func twinsProgress() func(done, total, violations uint64) {
	said := time.Now()
	return func(done, total, violations uint64) {
		if now := time.Now(); now.Sub(said) > 2*time.Second {
			said = now
			progress("%d of %d scenarios, %d violations", done, total, violations)
		}
	}
}

func replayTwins(w io.Writer, t *sim.Twins, index uint64) error {
	if index >= t.Count() {
		return usage("--index %d: there are %d scenarios, from 0", index, t.Count())
	}
	fmt.Fprintln(w, t.Describe(index))
	r := t.Trace(index, func(at time.Duration, node int, text string) { fmt.Fprintf(w, "%12v  n%d  %s\n", at, node, text) })
	fmt.Fprintf(w, "height %d, final everywhere %v after the twins fell silent, hash %016x\n", r.Height, r.Recovery, r.Hash)
	if r.Err != nil {
		fmt.Fprintln(w, r.Err)
		return errPromise
	}
	return nil
}

type twinsReport struct {
	Scenarios    uint64   `json:"scenarios"`
	OfAll        uint64   `json:"ofAll"`
	Violations   uint64   `json:"violations"`
	First        []string `json:"first"`
	Events       uint64   `json:"events"`
	CPUSeconds   float64  `json:"cpuSeconds"`
	WallSeconds  float64  `json:"wallSeconds"`
	PerCPUSecond float64  `json:"scenariosPerCPUSecond"`
	Hash         string   `json:"hash"`
}

func printTwins(w io.Writer, t *sim.Twins, r *sim.TwinsReport, f *simFlags, wall, cpu time.Duration) error {
	out := twinsReport{
		Scenarios: r.Done, OfAll: t.Count(), Violations: r.Violations, First: []string{}, Events: r.Events,
		CPUSeconds: cpu.Seconds(), WallSeconds: wall.Seconds(), PerCPUSecond: float64(r.Done) / max(cpu.Seconds(), 1e-9),
		Hash: fmt.Sprintf("%016x", r.Hash),
	}
	for _, x := range r.First {
		out.First = append(out.First, fmt.Sprintf("%v\n  %s", x.Err, t.Command(x.Index)))
	}
	if f.json {
		return printJSON(w, out)
	}
	for _, text := range out.First {
		fmt.Fprintln(w, text)
	}
	o := t.Options()
	if err := printTable(w, [][]string{
		{"validators", "twins", "T", "W", "views", "groups", "scenarios", "of all", "violations"},
		{
			strconv.Itoa(o.Validators), strconv.Itoa(o.Twins), strconv.FormatUint(o.Term, 10), strconv.FormatUint(o.Window, 10),
			strconv.Itoa(o.Views), strconv.Itoa(o.Parts), strconv.FormatUint(out.Scenarios, 10), strconv.FormatUint(out.OfAll, 10), strconv.FormatUint(out.Violations, 10),
		},
	}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%.0f scenarios per CPU second (%.1f CPU s), hash of all results %s\n", out.PerCPUSecond, out.CPUSeconds, out.Hash)
	return err
}
