package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
)

const (
	// statusTimeout bounds a question about the node itself: it answers in milliseconds or is not well.
	statusTimeout = 3 * time.Second
	// maxAnswerBytes bounds what is read of an answer: the evidence against a third of a thousand
	// validators has half of it.
	maxAnswerBytes = 10 << 20
)

// rpcError is what a node answers instead of a result.
type rpcError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// Error is one line for the terminal: whoever answers at an address chooses the text.
func (e *rpcError) Error() string { return printable(e.Message) }

// callRPC asks a node one JSON-RPC question and decodes the result into out. An answer that is an error is an
// *rpcError.
func callRPC(ctx context.Context, url, method string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return askRPC(ctx, url, method, out, nil)
}

// askRPC is callRPC with the caller's patience.
func askRPC(ctx context.Context, url, method string, out any, params []any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      int    `json:"id"`
		Method  string `json:"method"`
		Params  []any  `json:"params"`
	}{"2.0", 1, method, params})
	if err != nil {
		return fmt.Errorf("asking %s for %s: %w", url, method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("asking %s: HTTP %d is not a JSON-RPC answer: is this the RPC URL of a node?", url, resp.StatusCode)
	}
	if answer.Error != nil {
		return fmt.Errorf("asking %s: %w", url, answer.Error)
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

// defaultURL is where a node listens by default, unless the environment names another.
func defaultURL() string {
	if named := os.Getenv("TERCET_URL"); named != "" {
		return named
	}
	return "http://127.0.0.1:8545"
}

// rpcFlag adds --rpc.
func rpcFlag(cmd *cobra.Command, url *string) {
	cmd.Flags().StringVar(url, "rpc", defaultURL(), "the node's JSON-RPC `URL`, or set $TERCET_URL")
}

// unreachable says what to do about a node that did not answer; what it answered stays as it is.
func unreachable(err error) error {
	if _, answered := errors.AsType[*rpcError](err); answered || err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return notReady("%w: check that the node runs and that --rpc names its JSON-RPC address", err)
}
