package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/vm/meter"
)

// gasPerStoredByte is what a creation pays for a byte of code (Yellow Paper, G_codedeposit).
const gasPerStoredByte = 200

// checkReport is what there is to know about a contract before it is deployed. Gas is in gas.
type checkReport struct {
	OK               bool     `json:"ok"`
	Bytes            int      `json:"bytes"`       // of the module
	StoredBytes      int      `json:"storedBytes"` // compressed, with the header
	Exports          []string `json:"exports"`
	HostFunctions    []string `json:"hostFunctions"`
	Constructor      bool     `json:"constructor"`
	Functions        int      `json:"functions"`
	DroppedFunctions int      `json:"droppedFunctions"`
	Pages            uint32   `json:"pages"`
	MaxPages         uint32   `json:"maxPages"`
	ActivationGas    uint64   `json:"activationGas"`
	StorageGas       uint64   `json:"storageGas"`
	Refused          *refused `json:"refused,omitempty"`
}

// refused is where and why a module cannot become a contract.
type refused struct {
	Function int    `json:"function"` // in the function space, imports first; -1 for none
	Offset   int    `json:"offset"`   // in the module, in bytes; -1 when it is not in the module
	Reason   string `json:"reason"`
}

func newContractCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether a contract would be accepted, and what it costs",
		Long: `Check does with a contract what a node does when it is created, without a node: it
decodes and validates the module, drops functions that nothing calls, and counts what
activation costs. It exits with 1 for a contract that would be refused, and says which
function and which byte is the reason.

FILE is a .wasm file, an artifact, or bytecode in hexadecimal digits.`,
		Example: `  tercet contract check build/counter.wasm
  tercet contract check build/counter.json --json | jq .activationGas`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readContractFile(args[0])
			if err != nil {
				return err
			}
			report, err := check(raw)
			if asJSON {
				if printErr := printJSON(cmd.OutOrStdout(), report); printErr != nil {
					return printErr
				}
			} else if err == nil {
				return printCheck(cmd.OutOrStdout(), report)
			}
			if err != nil {
				return fmt.Errorf("%s would be refused: %w", args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// check reports on a contract in any form; the error is why it would be refused.
func check(raw []byte) (checkReport, error) {
	report := checkReport{Exports: []string{}, HostFunctions: []string{}}
	c, err := decodeContract(raw)
	if err != nil {
		report.Refused = &refused{-1, -1, err.Error()}
		return report, err
	}
	report.Bytes, report.StoredBytes = len(c.wasm), len(c.code)
	m, err := meter.Rewrite(c.wasm, meter.Current)
	if why, ok := errors.AsType[*meter.RefusedError](err); ok {
		report.Refused = &refused{why.Function, why.Offset, why.What + ": " + why.Reason}
	}
	if err != nil {
		return report, err
	}
	report.OK = true
	report.Exports = append(report.Exports, m.Exports...)
	report.HostFunctions = append(report.HostFunctions, m.Imports...)
	report.Constructor = m.HasConstructor
	report.Functions, report.DroppedFunctions = m.Functions, m.DroppedFunctions
	report.Pages, report.MaxPages = m.Pages, m.MaxPages
	report.ActivationGas = m.ActivationGas
	report.StorageGas = gasPerStoredByte * uint64(len(c.code))
	return report, nil
}

func printCheck(w io.Writer, r checkReport) error {
	constructor := "none: it takes no arguments when it is created"
	if r.Constructor {
		constructor = "user_constructor"
	}
	functions := fmt.Sprint(r.Functions)
	if r.DroppedFunctions > 0 {
		functions += fmt.Sprintf(", and %d that nothing calls", r.DroppedFunctions)
	}
	_, err := fmt.Fprintf(w, `size            %d bytes, %d stored
exports         %s
constructor     %s
host functions  %s
functions       %s
memory          %d KiB, at most %d
gas             %d to activate, %d to store
`,
		r.Bytes, r.StoredBytes, strings.Join(r.Exports, ", "), constructor, strings.Join(r.HostFunctions, ", "), functions,
		r.Pages*64, r.MaxPages*64, r.ActivationGas, r.StorageGas)
	return err
}
