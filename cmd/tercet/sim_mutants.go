package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/internal/mutant"
	"github.com/tercet-chain/tercet/testframework/sim"
)

func newSimMutants() *cobra.Command {
	var f simFlags
	var seeds uint64
	var only string
	cmd := &cobra.Command{
		Use:   "mutants",
		Short: "Seed known bugs one by one and see whether the checkers find them",
		Long: `Mutants runs the generic suite (scenarios from seeds, Twins, crash points) against each
seeded bug and prints what found it and how fast. The suite knows nothing of the bugs. A
release has none of them: this needs a build with -tags mutants, as "make mutants" makes it.`,
		Example: "  go run -tags mutants ./cmd/tercet sim mutants\n  go run -tags mutants ./cmd/tercet sim mutants --only vote-twice",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !mutant.Built {
				return usage("this binary has no seeded bugs: build it with go build -tags mutants ./cmd/tercet, or run make mutants")
			}
			list := mutant.All()
			if only != "" {
				list = nil
				for name := range strings.SplitSeq(only, ",") {
					m, ok := mutant.Parse(name)
					if !ok {
						return usage("--only: there is no seeded bug %q", name)
					}
					list = append(list, m)
				}
			}
			return runMutants(cmd, list, &f, seeds)
		},
	}
	f.addJobs(cmd)
	cmd.Flags().Uint64Var(&seeds, "seeds", 600, "the most seeds that are tried against one bug")
	cmd.Flags().StringVar(&only, "only", "", "names of seeded bugs to try, instead of all")
	return cmd
}

// mutantResult is a line of the table.
type mutantResult struct {
	Name    string  `json:"name"`
	Origin  string  `json:"origin,omitempty"`
	Wrong   string  `json:"wrong"`
	FoundBy string  `json:"foundBy"`
	Replay  string  `json:"replay,omitempty"`
	Rule    string  `json:"rule"`
	Text    string  `json:"text"`
	Seeds   uint64  `json:"seeds"`
	Twins   uint64  `json:"twins"`
	Seconds float64 `json:"seconds"`
}

func runMutants(cmd *cobra.Command, list []mutant.Mutant, f *simFlags, seeds uint64) error {
	ctx, cancel := interruptible(cmd)
	defer cancel()
	defer relaxed()()
	var results []mutantResult
	missed := 0
	hunt := sim.Hunt{Seeds: seeds, Jobs: f.jobs}
	progress("without a seeded bug first")
	control, err := hunt.Run(ctx)
	if err != nil {
		return err
	}
	if control.By != "" {
		return fmt.Errorf("without a seeded bug %s finds: %s", control.By, control.Text)
	}
	progress("without a seeded bug nothing is found: %d seeds, %d Twins scenarios, %.1f s", control.Seeds, control.Twins, control.Took.Seconds())
	for i, m := range list {
		mutant.Select(m)
		found, err := hunt.Run(ctx)
		mutant.Select(0)
		if err != nil {
			return err
		}
		r := mutantResult{
			Name: m.String(), Origin: m.Origin(), Wrong: m.Describe(), FoundBy: found.By, Replay: found.Replay, Rule: found.Rule, Text: found.Text,
			Seeds: found.Seeds, Twins: found.Twins, Seconds: found.Took.Seconds(),
		}
		if r.FoundBy == "" {
			missed++
			r.FoundBy = "not found"
		} else {
			r.Replay += " --mutant " + r.Name
		}
		results = append(results, r)
		progress("%d of %d: %s: %s %s, %.1f s", i+1, len(list), r.Name, r.FoundBy, r.Rule, r.Seconds)
	}
	if err := printMutants(cmd.OutOrStdout(), results, f.json); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d seeded bugs were not found", missed, len(list))
	}
	return nil
}

func printMutants(w io.Writer, results []mutantResult, asJSON bool) error {
	if asJSON {
		return printJSON(w, results)
	}
	rows := [][]string{{"seeded bug", "stands for", "found by", "promise broken", "seeds", "twins", "time"}}
	for _, r := range results {
		rows = append(rows, []string{
			r.Name, r.Origin, r.FoundBy, r.Rule, strconv.FormatUint(r.Seeds, 10), strconv.FormatUint(r.Twins, 10),
			time.Duration(r.Seconds * float64(time.Second)).Round(10 * time.Millisecond).String(),
		})
	}
	return printTable(w, rows)
}
