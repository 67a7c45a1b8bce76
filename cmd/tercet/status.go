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
	var url string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask a running node where it stands",
		Long: `Status asks a node over JSON-RPC (tercet_status) for its height, certified height,
view, leader and peers. A line "accused" names each validator that is proved to have
signed votes which exclude each other (tercet_evidence). With --json it prints the
answer as the node gave it, and the proofs under accusations if there are any.`,
		Example: `  tercet status
  tercet status --rpc http://127.0.0.1:8555 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
		},
	}
	rpcFlag(cmd, &url)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
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
