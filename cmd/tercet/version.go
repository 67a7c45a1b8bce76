package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/consensus/sig"
)

// version is the release; it is part of what nodes tell each other and clients.
const version = "0.1.0-dev"

// commit can be set by the linker (-X main.commit=…) where the Go tool does not
// record it.
var commit = ""

// buildInfo says what this binary was made from.
type buildInfo struct {
	Version    string `json:"version"`
	Commit     string `json:"commit"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	Signatures string `json:"signatures"` // the implementation of secp256k1: five times slower in pure Go
}

func readBuild() buildInfo {
	b := buildInfo{version, commit, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, sig.Backend()}
	if b.Commit != "" {
		return b
	}
	b.Commit = "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		modified := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Commit = s.Value[:min(10, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = "-dirty"
			}
		}
		b.Commit += modified
	}
	return b
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say what this binary was built from",
		Long: `Version says what this binary was built from: release, commit, Go, and which
implementation of secp256k1 checks signatures. "pure Go" means that it was built
without cgo: correct, but a node then verifies transactions five times slower.`,
		Example: "  tercet version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := readBuild()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), b)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tercet %s\ncommit %s\n%s %s\nsignatures by %s\n", b.Version, b.Commit, b.Go, b.Platform, b.Signatures)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
