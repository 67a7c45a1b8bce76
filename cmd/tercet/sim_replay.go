package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/testframework/sim"
)

// errPromise is how a replay or a search for violations ends that found one; what it was stands in the output.
var errPromise = errors.New("the run broke a promise: see its report")

func newSimReplay() *cobra.Command {
	var f simFlags
	var seed uint64
	var script, trace, shrunk string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Run one scenario again, event by event as before",
		Long: `Replay runs the scenario of a seed, or of a script, and says what came of it. Standard
output depends on the seed, the flags and the program only. --trace draws a timeline of all
messages, --shrink looks for a small scenario that breaks the same promise and writes it as
a script, which replay --script runs.`,
		Example: `  tercet sim replay --seed 17
  tercet sim replay --seed 17 --trace seed17.html --shrink seed17.txt
  tercet sim replay --script seed17.txt --log`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := replayed(cmd, &f, seed, script)
			if err != nil {
				return err
			}
			defer relaxed()()
			return replay(cmd.OutOrStdout(), s, trace, shrunk, verbose)
		},
	}
	f.add(cmd)
	cmd.Flags().Uint64Var(&seed, "seed", 0, "the seed, with the other flags of the run that it came from")
	cmd.Flags().StringVar(&script, "script", "", "a file with a scenario, instead of a seed")
	cmd.Flags().StringVar(&trace, "trace", "", "write a timeline to this HTML file")
	cmd.Flags().StringVar(&shrunk, "shrink", "", "write the smallest scenario that breaks the same promise to this file")
	cmd.Flags().BoolVar(&verbose, "log", false, "print every event")
	return cmd
}

// replayed is the scenario that the flags name.
func replayed(cmd *cobra.Command, f *simFlags, seed uint64, script string) (*sim.Scenario, error) {
	if (script == "") == !cmd.Flags().Changed("seed") {
		return nil, usage("name a scenario with --seed or with --script")
	}
	if script != "" {
		text, err := os.ReadFile(script)
		if err != nil {
			return nil, usage("--script: %w", err)
		}
		s, err := sim.ParseScenario(string(text))
		if err != nil {
			return nil, usage("--script %s: %w", script, err)
		}
		return s, nil
	}
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	return sim.Generate(seed, o), nil
}

// loggedEvents bounds what a timeline and a log show: the newest of a long run.
const loggedEvents = 50_000

func replay(w io.Writer, s *sim.Scenario, trace, shrunk string, verbose bool) error {
	r, log, err := sim.Record(s, loggedEvents)
	if err != nil {
		return usage("the scenario makes no sense: %w", err)
	}
	fmt.Fprintf(w, "%s\n", s)
	if verbose {
		if err := log.WriteText(w); err != nil {
			return err
		}
	}
	if err := printReplay(w, r); err != nil {
		return err
	}
	if trace != "" {
		if err := writeFile(trace, log.WriteHTML); err != nil {
			return err
		}
		progress("wrote %s: open it in a browser", trace)
	}
	if r.Err == nil {
		if shrunk != "" {
			progress("nothing to shrink: the run broke no promise")
		}
		return nil
	}
	if shrunk != "" {
		if err := shrink(s, shrunk); err != nil {
			return err
		}
	}
	return errPromise
}

func printReplay(w io.Writer, r *sim.Result) error {
	verdict := "every promise held"
	if r.Err != nil {
		verdict = r.Err.Error()
	}
	_, err := fmt.Fprintf(w, `%s
at %v, height %d, %d of %d transactions executed, %d messages
after healing: first block within %v, all level within %v; first receipt after idling within %v
hash of all events %s
`, verdict, r.At, r.Stats.Height, r.Stats.Receipts, r.Stats.Transactions, r.Stats.Sent,
		r.Recovery.Round(time.Millisecond), r.Level.Round(time.Millisecond), r.Answer.Round(time.Millisecond), r.Hash)
	return err
}

func shrink(s *sim.Scenario, path string) error {
	small := sim.Shrink(s, nil, sim.Shrinking{Progress: func(p sim.Progress) {
		progress("%d runs: %s", p.Runs, p.Step)
	}})
	err := writeFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, small.String())
		return err
	})
	if err == nil {
		progress("wrote %s: tercet sim replay --script %s", path, path)
	}
	return err
}

// writeFile creates a file with what write puts into it.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
