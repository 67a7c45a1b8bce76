package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/testframework/sim"
)

func newSimFigures() *cobra.Command {
	var repeats int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "figures",
		Short: "Measure the protocol in message delays, and the simulator in speed",
		Long: `Figures prints how long a block takes in units of the message delay, for the published
protocol (T=1, W=0), for terms, and for terms with optimistic votes; the gap that a leader's
crash leaves; and how many simulated seconds a CPU second buys, with the work that was
simulated. The times of the protocol are virtual and exact; the speed is this machine's.`,
		Example: "  tercet sim figures",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer relaxed()()
			f, err := sim.Measure(repeats, func(what string) { progress("measuring %s", what) })
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), f)
			}
			return printFigures(cmd.OutOrStdout(), f, repeats)
		},
	}
	cmd.Flags().IntVar(&repeats, "repeats", 3, "how often the speed is measured")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func printFigures(w io.Writer, f *sim.Figures, repeats int) error {
	rows := [][]string{{"validators", "simulated s per CPU s", "least..most of " + strconv.Itoa(repeats), "blocks per simulated s", "messages per simulated s"}}
	for _, x := range f.Speed {
		rows = append(rows, []string{
			strconv.Itoa(x.Validators), fmt.Sprintf("%.0f", x.PerCPU), fmt.Sprintf("%.0f..%.0f", x.Least, x.Most),
			fmt.Sprintf("%.1f", x.Blocks), fmt.Sprintf("%.0f", x.Messages),
		})
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	rows = [][]string{{"T", "W", "validators", "links", "δ", "period", "finality", "period/δ", "finality/δ"}}
	for _, x := range f.Latency {
		delta := float64(x.Delta)
		rows = append(rows, []string{
			strconv.FormatUint(x.Term, 10), strconv.FormatUint(x.Window, 10), strconv.Itoa(x.Validators), x.Links,
			x.Delta.Round(time.Millisecond).String(), x.Period.Round(100 * time.Microsecond).String(), x.Finality.Round(100 * time.Microsecond).String(),
			fmt.Sprintf("%.2f", float64(x.Period)/delta), fmt.Sprintf("%.2f", float64(x.Finality)/delta),
		})
	}
	fmt.Fprintln(w)
	if err := printTable(w, rows); err != nil {
		return err
	}
	rows = [][]string{{"T", "W", "Δ", "leaders crashed", "gap without a block, median", "longest"}}
	for _, x := range f.Failover {
		rows = append(rows, []string{
			strconv.FormatUint(x.Term, 10), strconv.FormatUint(x.Window, 10), x.Delta.String(), strconv.Itoa(x.Crashes),
			x.Median.Round(time.Millisecond).String(), x.Most.Round(time.Millisecond).String(),
		})
	}
	fmt.Fprintln(w)
	return printTable(w, rows)
}
