package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show a node's configuration and where each value comes from",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigShow(), newConfigValidate(), &cobra.Command{
		Use:   "docs",
		Short: "Print the reference of all keys in Markdown",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Markdown())
			return err
		},
	})
	return cmd
}

func newConfigValidate() *cobra.Command {
	var home string
	var set []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a node's configuration, genesis and keys",
		Long: `Validate reads what "tercet run" would read before it opens anything: config.toml with
the environment and --set, genesis.json, the key files, and whether they fit each other.
On the first mistake it exits with 2 and says where it is, with the line of config.toml,
and what to do. It writes nothing, and the node may run.`,
		Example: `  tercet config validate --home ./node
  tercet config validate --home ./node --set rpc.listen=0.0.0.0:8545 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, flags, err := homeAndSet(home, set)
			if err != nil {
				return err
			}
			cfg, err := config.Load(home, flags)
			if err == nil {
				err = node.Check(cfg)
			}
			if asJSON {
				result := map[string]any{"home": home, "valid": err == nil}
				if err != nil {
					result["error"] = err.Error()
				}
				return errors.Join(printJSON(cmd.OutOrStdout(), result), err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: config.toml, genesis.json and keys are valid\n", home)
			return err
		},
	}
	homeFlag(cmd, &home)
	setFlag(cmd, &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newConfigShow() *cobra.Command {
	var home string
	var set []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show every setting with its origin, and check it",
		Long: `Show reads a home's configuration as "tercet run" would and prints each setting
with the place that decided it: flag, environment variable, config.toml or default.
It fails (exit code 2) on what run would refuse.`,
		Example: `  tercet config show --home ./node
  TERCET_LOG_LEVEL=debug tercet config show --home ./node
  tercet config show --home ./node --set rpc.listen=127.0.0.1:9000 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, flags, err := homeAndSet(home, set)
			if err != nil {
				return err
			}
			settings, err := config.Explain(home, flags)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), settings)
			}
			rows := [][]string{{"KEY", "VALUE", "ORIGIN"}}
			for _, s := range settings {
				rows = append(rows, []string{s.Key, s.Value, s.Origin})
			}
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	homeFlag(cmd, &home)
	setFlag(cmd, &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
