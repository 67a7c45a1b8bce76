package main

import (
	"github.com/spf13/cobra"
)

func newContract() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contract",
		Short: "Write, build, check, deploy and call contracts",
		Long: `Contracts are WebAssembly modules with the calling conventions of Solidity: every
tool that deploys and calls contracts on Ethereum works with them. They are written
in C, Rust, AssemblyScript or Go, and pay gas as they run.

  new      a project to start from        check    would it be accepted, what does it cost
  build    compile it into an artifact    deploy   put it on a chain
  abi      what a contract offers         call, send    ask it, change it

docs/contracts.md is the tutorial.`,
		Example: `  tercet contract new counter --language c
  tercet contract build counter
  tercet contract deploy counter/build/counter.json 41 --dev-account 0
  tercet contract send 0x5FbDB2315678afecb367f032d93F642f64180aa3 'increment()' --dev-account 0
  tercet contract call 0x5FbDB2315678afecb367f032d93F642f64180aa3 'count()(uint256)'`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newContractNew(), newContractBuild(), newContractCheck(), newContractDeploy(), newContractCall(), newContractSend(),
		newContractABI(),
	)
	return cmd
}
