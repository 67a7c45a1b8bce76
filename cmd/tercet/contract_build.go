package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// abiFiles are where a project says what it offers; the second has one signature a line.
var abiFiles = []string{"abi.json", "contract.abi"}

// built is what "contract build" made.
type built struct {
	Language string      `json:"language"`
	Wasm     string      `json:"wasm"`
	Artifact string      `json:"artifact"`
	Check    checkReport `json:"check"`
}

func newContractBuild() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Compile a contract into an artifact that every Ethereum tool deploys",
		Long: `Build compiles the contract of a directory (default: this one), checks it as a node
would, and writes

  build/NAME.wasm   the module
  build/NAME.json   the artifact: ABI and bytecode, in the form of Hardhat

NAME is the directory's. The language is that of the source, contract.c, contract.rs,
contract.ts or contract.go; what the contract offers is in abi.json beside it, or one
signature a line in contract.abi. The compilers are the usual ones: clang and lld,
cargo, asc from npm, tinygo. If one is not there, build says what to install.`,
		Example: `  tercet contract build
  tercet contract build counter --json | jq -r .artifact`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			b, err := build(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), b)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "module          %s\nartifact        %s\n", b.Wasm, b.Artifact); err != nil {
				return err
			}
			return printCheck(cmd.OutOrStdout(), b.Check)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func build(ctx context.Context, dir string) (*built, error) {
	p, err := findProject(dir)
	if err != nil {
		return nil, err
	}
	entries, err := p.abi()
	if err != nil {
		return nil, err
	}
	b := &built{Language: p.language.name, Wasm: filepath.Join(dir, "build", p.name+".wasm"), Artifact: filepath.Join(dir, "build", p.name+".json")}
	if err := os.MkdirAll(filepath.Dir(p.wasm), 0o755); err != nil { // for everybody, like the source
		return nil, fmt.Errorf("making the directory for what is built: %w", err)
	}
	if err := p.language.compile(ctx, p); err != nil {
		return nil, err
	}
	if err := os.Chmod(p.wasm, 0o644); err != nil { // linkers make programs of it
		return nil, fmt.Errorf("taking what was compiled: %w", err)
	}
	wasm, err := readContractFile(p.wasm)
	if err != nil {
		return nil, err
	}
	if b.Check, err = check(wasm); err != nil {
		return nil, fmt.Errorf("%s is built and would be refused: %w", b.Wasm, err)
	}
	if n := len(entries.constructor().Inputs); n > 0 && !b.Check.Constructor {
		return nil, usage("the ABI of %s has a constructor with %d parameters, and %s exports no user_constructor: write one, or remove it from the ABI", p.name, n, p.source)
	}
	a, err := makeArtifact(p.name, p.source, entries, wasm)
	if err != nil {
		return nil, err
	}
	return b, a.write(b.Artifact)
}

// abi reads what the project says that it offers.
func (p *project) abi() (contractABI, error) {
	for _, name := range abiFiles {
		path := filepath.Join(p.dir, name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return readABI(path)
	}
	return nil, usage("%s has no %s: write there what %s offers, one signature a line, like \"function count() view returns (uint256)\"", p.dir, abiFiles[1], p.source)
}
