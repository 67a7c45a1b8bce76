package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

const (
	// statusTimeout bounds one call: a node answers in milliseconds or is not well.
	statusTimeout = 3 * time.Second
	// maxStatusBytes bounds what is read of an answer.
	maxStatusBytes = 1 << 20
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

// callRPC asks a node one JSON-RPC question and decodes the result into out.
func callRPC(ctx context.Context, url, method string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":[]}`, method)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxStatusBytes))
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("asking %s: HTTP %d is not a JSON-RPC answer: is this the RPC URL of a node?", url, resp.StatusCode)
	}
	if answer.Error != nil {
		return fmt.Errorf("asking %s: %s", url, answer.Error.Message)
	}
	if err := json.Unmarshal(answer.Result, out); err != nil {
		return fmt.Errorf("asking %s: reading the answer of %s: %w", url, method, err)
	}
	return nil
}

// unwrapURL drops the URL that net/http repeats.
func unwrapURL(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func newStatus() *cobra.Command {
	var url string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask a running node where it stands",
		Long: `Status asks a node over JSON-RPC (tercet_status) for its height, certified height,
view, leader and peers. With --json it prints the answer as the node gave it.`,
		Example: `  tercet status
  tercet status --rpc http://127.0.0.1:8555 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw json.RawMessage
			if err := callRPC(cmd.Context(), url, "tercet_status", &raw); err != nil {
				return notReady("%w: check that the node runs and that --rpc names its JSON-RPC address", err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			return printFields(cmd.OutOrStdout(), raw)
		},
	}
	cmd.Flags().StringVar(&url, "rpc", "http://127.0.0.1:8545", "the node's JSON-RPC `URL`")
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
