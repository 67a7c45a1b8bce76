package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// number is an integer that JSON-RPC writes as 0x-hex or as a number.
type number uint64

// UnmarshalJSON accepts 26, "26" and "0x1a".
func (n *number) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	v, err := strconv.ParseUint(text, 0, 64)
	*n = number(v)
	return err
}

func newStatus() *cobra.Command {
	var urls []string
	var dir string
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask running nodes where they stand",
		Long: `Status asks a node over JSON-RPC (tercet_status) for its height, certified height,
view, leader and peers. A line "accused" names each validator that is proved to have
signed votes which exclude each other (tercet_evidence). With --json it prints the
answer as the node gave it, and the proofs under accusations if there are any.

With --watch, several --rpc, or --dir of a test network it prints a table, a line per
node. --watch draws it again every second until Ctrl-C; when the output is not a
terminal it writes a line per node and second. "tercet doctor" says more of the
findings in its last column.`,
		Example: `  tercet status
  tercet status --rpc http://127.0.0.1:8555 --json
  tercet status --watch --dir ~/.tercet/testnet`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if several := len(urls) > 1 || cmd.Flags().Changed("dir"); watch || several {
				if asJSON {
					return usage("--json is for one node and without --watch: ask each node alone, or use tercet testnet status --json")
				}
				return watchFlagged(cmd, urls, dir, watch)
			}
			url := defaultURL()
			if len(urls) > 0 {
				url = urls[0]
			}
			return oneStatus(cmd, url, asJSON)
		},
	}
	urlsFlag(cmd, &urls)
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&watch, "watch", false, "refresh every second until Ctrl-C")
	return cmd
}

func oneStatus(cmd *cobra.Command, url string, asJSON bool) error {
	var raw json.RawMessage
	if err := callRPC(cmd.Context(), url, "tercet_status", &raw); err != nil {
		return notReady("%w: check that the node runs and that --rpc names its JSON-RPC address", err)
	}
	proofs, err := askEvidence(cmd.Context(), url, raw)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), withAccusations(raw, proofs))
	}
	if err := printFields(cmd.OutOrStdout(), raw); err != nil {
		return err
	}
	return printAccused(cmd.OutOrStdout(), proofs)
}

// printFields writes a JSON object as lines, in its order; values that are objects
// or lists stay JSON.
func printFields(w io.Writer, raw json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		_, err := fmt.Fprintln(w, printable(string(raw)))
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, printable(fmt.Sprintf("%-18v %s", name, plain(value)))); err != nil {
			return err
		}
	}
	return nil
}

// printable replaces what would end a line or drive the terminal: whoever answers at an address chooses the text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// plain writes 0x-quantities in decimal and strings without quotes.
func plain(value json.RawMessage) string {
	var n number
	var s string
	isText := json.Unmarshal(value, &s) == nil
	if isText && len(s) <= len("0xffffffffffffffff") && strings.HasPrefix(s, "0x") && n.UnmarshalJSON(value) == nil {
		return strconv.FormatUint(uint64(n), 10)
	}
	if isText {
		return s
	}
	return string(value)
}
