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
	var number uint64
	var script, trace, shrunk, bug string
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
			s, command, err := replayed(cmd, &f, number, script)
			if err != nil {
				return err
			}
			if err := seed(bug); err != nil {
				return err
			}
			defer relaxed()()
			r := replay{scenario: s, command: command, trace: trace, shrunk: shrunk, verbose: verbose}
			return r.run(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	cmd.Flags().Uint64Var(&number, "seed", 0, "the seed, with the other flags of the run that it came from")
	cmd.Flags().StringVar(&script, "script", "", "a file with a scenario, instead of a seed")
	cmd.Flags().StringVar(&trace, "trace", "", "write a timeline to this HTML file")
	cmd.Flags().StringVar(&shrunk, "shrink", "", "write the smallest scenario that breaks the same promise to this file")
	mutantFlag(cmd, &bug)
	cmd.Flags().BoolVar(&verbose, "log", false, "print every event")
	return cmd
}

// replayed is the scenario that the flags name, and the command that names it again.
func replayed(cmd *cobra.Command, f *simFlags, seed uint64, script string) (*sim.Scenario, string, error) {
	if (script == "") == !cmd.Flags().Changed("seed") {
		return nil, "", usage("name a scenario with --seed or with --script")
	}
	if script != "" {
		text, err := os.ReadFile(script)
		if err != nil {
			return nil, "", usage("--script: %w", err)
		}
		s, err := sim.ParseScenario(string(text))
		if err != nil {
			return nil, "", usage("--script %s: %w", script, err)
		}
		return s, sim.ReplayScript(script), nil
	}
	o, err := f.options()
	if err != nil {
		return nil, "", err
	}
	return sim.Generate(seed, o), sim.Replay(seed, o), nil
}

// loggedEvents bounds what a timeline and a log show: the newest of a long run.
const loggedEvents = 50_000

// replay is one run that is looked at.
type replay struct {
	scenario      *sim.Scenario
	command       string // that runs it again
	trace, shrunk string // files to write, if named
	verbose       bool
}

func (x *replay) run(w io.Writer) error {
	r, log, err := sim.Record(x.scenario, loggedEvents)
	if err != nil {
		return usage("the scenario makes no sense: %w", err)
	}
	fmt.Fprintf(w, "%s\n", x.scenario)
	if x.verbose {
		if err := log.WriteText(w); err != nil {
			return err
		}
	}
	if x.trace != "" {
		if err := writeFile(x.trace, log.WriteHTML); err != nil {
			return err
		}
		progress("wrote %s: open it in a browser", x.trace)
	}
	if r.Err == nil {
		return printHeld(w, r)
	}
	if _, err := io.WriteString(w, log.Report(x.command)); err != nil {
		return err
	}
	if x.shrunk != "" {
		if err := shrink(x.scenario, x.shrunk); err != nil {
			return err
		}
	}
	return errPromise
}

func printHeld(w io.Writer, r *sim.Result) error {
	_, err := fmt.Fprintf(w, `every promise held
at %v, height %d, %d of %d transactions executed, %d messages
after healing: first block within %v, all level within %v; first receipt after idling within %v
hash of all events %s
`, r.At, r.Stats.Height, r.Stats.Receipts, r.Stats.Transactions, r.Stats.Sent,
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
