package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/diagnosis"
)

// Causes that only the doctor finds, beside those of package diagnosis.
const (
	causeUnreachable   diagnosis.Cause = "unreachable"
	causeNotRunning    diagnosis.Cause = "not_running"
	causeProcessPaused diagnosis.Cause = "process_paused"
	causeConfig        diagnosis.Cause = "config_error"
	causeGenesis       diagnosis.Cause = "genesis_error"
	causeKey           diagnosis.Cause = "wrong_key"
	causeJournal       diagnosis.Cause = "journal_missing"
	causePort          diagnosis.Cause = "port_in_use"
)

// examined is a node or a home and what was found there.
type examined struct {
	Subject  string              `json:"subject"` // its URL or directory
	Name     string              `json:"name,omitempty"`
	Height   *uint64             `json:"height,omitempty"`
	Findings []diagnosis.Finding `json:"findings"`
}

// verdict is what the doctor says.
type verdict struct {
	// Healthy: nothing worse than a notice was found.
	Healthy  bool       `json:"healthy"`
	Subjects []examined `json:"subjects"`
	// Compared holds what only shows between nodes.
	Compared []diagnosis.Finding `json:"compared"`
}

func newDoctor() *cobra.Command {
	var urls []string
	var home, dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with nodes, and what to do",
		Long: `Doctor asks running nodes what they find wrong with themselves (tercet_diagnose) and
prints each finding: its cause, what was seen, what to do. Several --rpc, or --dir of a
test network, are also compared: their chains, heights, clocks and keys.

With --home, a node that does not answer is examined where it lies, without changing
anything: who holds its lock, configuration, genesis, keys and databases against each
other, disk space, a measured fsync of a file that is removed again, the clock, ports
in use, and whether its peers accept connections.

It exits with 0 when nothing worse than a notice was found, else with 6.
docs/operations.md explains every cause.`,
		Example: `  tercet doctor
  tercet doctor --rpc http://10.0.0.1:8545 --rpc http://10.0.0.2:8545
  tercet doctor --home ./node
  tercet doctor --dir ./net --json | jq '.subjects[].findings[].cause'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := examine(cmd, urls, home, dir)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), v)
			} else {
				err = printVerdict(cmd.OutOrStdout(), v)
			}
			if err != nil || v.Healthy {
				return err
			}
			return coded(exitFindings, fmt.Errorf("%s: docs/operations.md explains each cause", v.count()))
		},
	}
	urlsFlag(cmd, &urls)
	homeFlag(cmd, &home)
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// urlsFlag adds an --rpc that may be repeated.
func urlsFlag(cmd *cobra.Command, urls *[]string) {
	cmd.Flags().StringArrayVar(urls, "rpc", nil, "the node's JSON-RPC `URL`, may be repeated (default $TERCET_URL, else http://127.0.0.1:8545)")
}

// patient is a node to ask, and the home to look into when it does not answer.
type patient struct{ url, home, name string }

// patients resolves the flags.
func patients(cmd *cobra.Command, urls []string, home, dir string) ([]patient, error) {
	var list []patient
	if cmd.Flags().Changed("dir") {
		n, err := openNetwork(dir)
		if err != nil {
			return nil, err
		}
		for _, node := range n.Nodes {
			list = append(list, patient{node.RPC, node.Home, node.Name})
		}
	}
	for _, url := range urls {
		list = append(list, patient{url: url})
	}
	if home != "" {
		abs, err := homeDir(home)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(abs); err != nil {
			return nil, usage("%w: name the directory of a node with --home", err)
		}
		if len(urls) == 1 {
			list[len(list)-1].home = abs
		} else {
			list = append(list, patient{url: configuredURL(abs), home: abs})
		}
	}
	if len(list) == 0 {
		list = append(list, patient{url: defaultURL()})
	}
	return list, nil
}

// configuredURL is where the node of a home serves JSON-RPC; empty when its configuration does not say.
func configuredURL(home string) string {
	cfg, err := config.Load(home, nil)
	if err != nil {
		return ""
	}
	return "http://" + strings.Replace(cfg.RPC.Listen, "0.0.0.0", "127.0.0.1", 1)
}

// examine looks at all that the flags name.
func examine(cmd *cobra.Command, urls []string, home, dir string) (*verdict, error) {
	list, err := patients(cmd, urls, home, dir)
	if err != nil {
		return nil, err
	}
	ctx := cmd.Context()
	v := &verdict{Compared: []diagnosis.Finding{}}
	answers := askAll(ctx, list)
	if err := askBehind(ctx, list, answers); err != nil {
		return nil, err
	}
	for i, p := range list {
		v.Subjects = append(v.Subjects, examineOne(ctx, p, &answers[i]))
	}
	v.Compared = append(v.Compared, compare(answers)...)
	v.Healthy = !needsSomebody(v.Compared)
	for _, s := range v.Subjects {
		v.Healthy = v.Healthy && !needsSomebody(s.Findings)
	}
	return v, ctx.Err()
}

func examineOne(ctx context.Context, p patient, a *answered) examined {
	e := examined{Subject: p.url, Name: p.name, Findings: []diagnosis.Finding{}}
	if e.Subject == "" {
		e.Subject = p.home
	}
	if a.err == nil {
		if e.Height = &a.Height; e.Name == "" {
			e.Name = a.Name
		}
		e.Findings = append(e.Findings, a.Findings...)
		return e
	}
	if p.url != "" {
		e.Findings = append(e.Findings, diagnosis.Finding{
			Cause: causeUnreachable, Severity: diagnosis.Error, Text: fmt.Sprintf("%s does not answer: %v", p.url, a.err),
			Do:      "see whether its process runs, and whether --rpc names its JSON-RPC address; on its machine, tercet doctor --home DIR looks into its home",
			Figures: map[string]any{"url": p.url, "error": a.err.Error()},
		})
	}
	if p.home != "" {
		e.Findings = append(e.Findings, examineHome(ctx, p.home)...)
		diagnosis.Sort(e.Findings)
	}
	return e
}

func needsSomebody(found []diagnosis.Finding) bool {
	for _, f := range found {
		if f.Severity != diagnosis.Notice {
			return true
		}
	}
	return false
}

func (v *verdict) all() []diagnosis.Finding {
	list := append([]diagnosis.Finding{}, v.Compared...)
	for _, s := range v.Subjects {
		list = append(list, s.Findings...)
	}
	return list
}

// count says how much was found.
func (v *verdict) count() string {
	n := 0
	for _, f := range v.all() {
		if f.Severity != diagnosis.Notice {
			n++
		}
	}
	if n == 1 {
		return "1 finding"
	}
	return fmt.Sprintf("%d findings", n)
}

func printVerdict(w io.Writer, v *verdict) error {
	var b strings.Builder
	for _, s := range v.Subjects {
		head := s.Subject
		if s.Name != "" {
			head += " (" + s.Name + ")"
		}
		if s.Height != nil {
			head += fmt.Sprintf(", height %d", *s.Height)
		}
		fmt.Fprintf(&b, "%s: %s\n", printable(head), condition(s.Findings))
		describe(&b, w, s.Findings)
	}
	if len(v.Compared) > 0 {
		b.WriteString("the nodes compared:\n")
		describe(&b, w, v.Compared)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func condition(found []diagnosis.Finding) string {
	if len(found) == 0 {
		return "healthy"
	}
	if !needsSomebody(found) {
		return "healthy, with notices"
	}
	return "not well"
}

// describe writes findings as sentences.
func describe(b *strings.Builder, w io.Writer, found []diagnosis.Finding) {
	for _, f := range found {
		fmt.Fprintf(b, "  %s  %s\n", bold(w, printable(string(f.Severity)+" "+string(f.Cause))), printable(f.Text))
		if f.Do != "" {
			fmt.Fprintf(b, "    what to do: %s\n", printable(f.Do))
		}
	}
}
