// Command tercet runs nodes of a permissioned blockchain, and whole test networks of them.
//
// Every command is a verb on one thing: a development chain (dev), a network of
// real processes on this machine (testnet), one node's home directory (init, run,
// keys, config, status, inspect, debug), a contract, a transaction (tx) or a proof (verify). Results go to
// standard output, in JSON with --json; progress and logs go to standard error. An error is one line that says what to
// do next, and the exit code says which kind it is (see exitCodes).
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() { os.Exit(Main()) }

// Main runs the command line of the process and returns its exit code.
func Main() int {
	root, started := newRoot()
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitOK
	}
	if !*started { // cobra refused the words before a command ran
		err = usage("%w: see %q", err, cmd.CommandPath()+" --help")
	}
	fmt.Fprintln(os.Stderr, "tercet: "+strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", "; ")))
	return exitCode(err)
}

// subcommand is the rule for the words after a group of commands: there are none,
// or cobra would have found the command.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // letters
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q, did you mean %q", args[0], cmd.CommandPath()+" "+near[0])
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// newRoot builds the command tree; started tells whether a command of it was run.
func newRoot() (root *cobra.Command, started *bool) {
	started = new(bool)
	root = &cobra.Command{
		Use:   "tercet",
		Short: "A permissioned blockchain that is final at once and speaks Ethereum",
		Long: `tercet runs nodes of a permissioned blockchain: BFT consensus, final at once,
free gas, and every Ethereum tool works unchanged.

Start here:
  tercet dev              one node, ten funded accounts, RPC on http://127.0.0.1:8545
  tercet testnet up       four validators, as real processes on this machine

` + exitCodes,
		Example: `  tercet dev
  cast send --rpc-url http://127.0.0.1:8545 --private-key KEY --value 1ether ADDRESS

  tercet testnet up --detach
  tercet testnet kill leader
  tercet testnet status`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { *started = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              subcommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	root.AddGroup(
		&cobra.Group{ID: "try", Title: "Try it:"},
		&cobra.Group{ID: "build", Title: "Build on it:"},
		&cobra.Group{ID: "operate", Title: "Run a node:"},
		&cobra.Group{ID: "inspect", Title: "Look:"},
		&cobra.Group{ID: "verify", Title: "Check it yourself:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("try", newDev(), newTestnet())
	add("build", newContract(), newTx())
	add("operate", newInit(), newRun(), newKeys(), newConfig())
	add("inspect", newStatus(), newDoctor(), newInspect(), newDebug(), newVersion())
	add("verify", newSim(), newVerify())
	return root, started
}
