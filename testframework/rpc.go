package testframework

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
)

// Client asks one node over JSON-RPC, as any other program would. Safe for concurrent use.
type Client struct {
	url  string
	http *http.Client
}

// NewClient returns a client of the JSON-RPC server at url.
func NewClient(url string) *Client { return &Client{url: url, http: new(http.Client)} }

// Call is one request of a batch: Result is a pointer that the answer is decoded into, Err what the
// node answered instead.
type Call struct {
	Method string
	Params []any
	Result any
	Err    error
}

// Error is an error answer.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 64 << 20

type request struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

type answer struct {
	ID     *int            `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *Error          `json:"error"`
}

// Call sends one request. An error of the node is an *[Error].
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	call := []Call{{Method: method, Params: params, Result: result}}
	if err := c.Batch(ctx, call); err != nil {
		return err
	}
	return call[0].Err
}

// Batch sends requests together. It fails when the node does not answer; what it answers to each is in
// the calls.
func (c *Client) Batch(ctx context.Context, calls []Call) error {
	requests := make([]request, len(calls))
	for i, call := range calls {
		if call.Params == nil {
			call.Params = []any{}
		}
		requests[i] = request{Version: "2.0", ID: i, Method: call.Method, Params: call.Params}
	}
	var answers []answer
	if len(calls) == 1 {
		answers = make([]answer, 1)
		if err := c.post(ctx, requests[0], &answers[0]); err != nil {
			return err
		}
	} else if err := c.post(ctx, requests, &answers); err != nil {
		return err
	}
	for i := range calls {
		calls[i].Err = fmt.Errorf("%s: no answer in the batch", calls[i].Method)
	}
	for _, a := range answers {
		if a.ID == nil || *a.ID < 0 || *a.ID >= len(calls) {
			if a.Error != nil { // to the batch as a whole
				return fmt.Errorf("%s: %w", c.url, a.Error)
			}
			return fmt.Errorf("%s: answer to no call", c.url)
		}
		calls[*a.ID].Err = a.into(calls[*a.ID].Result)
	}
	return nil
}

func (a *answer) into(result any) error {
	if a.Error != nil {
		return a.Error
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

func (c *Client) post(ctx context.Context, body, result any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	defer func() { _ = answer.Body.Close() }() // read to its end, or given up
	raw, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", c.url, answer.Status, bytes.TrimSpace(raw))
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	return nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Send submits a signed transaction.
func (c *Client) Send(ctx context.Context, raw []byte) (common.Hash, error) {
	var hash common.Hash
	err := c.Call(ctx, &hash, "eth_sendRawTransaction", hexutil.Bytes(raw))
	return hash, err
}

// Height is the number of the newest block.
func (c *Client) Height(ctx context.Context) (uint64, error) {
	var height hexutil.Uint64
	err := c.Call(ctx, &height, "eth_blockNumber")
	return uint64(height), err
}

// Balance is an account's at the newest block, in wei.
func (c *Client) Balance(ctx context.Context, a common.Address) (*uint256.Int, error) {
	var balance hexutil.U256
	if err := c.Call(ctx, &balance, "eth_getBalance", a, "latest"); err != nil {
		return nil, err
	}
	return (*uint256.Int)(&balance), nil
}

// Receipt returns a transaction's receipt, nil while there is none.
func (c *Client) Receipt(ctx context.Context, hash common.Hash) (*types.Receipt, error) {
	var receipt *types.Receipt
	err := c.Call(ctx, &receipt, "eth_getTransactionReceipt", hash)
	return receipt, err
}

// Receipts returns the receipts of transactions, nil for those that have none.
func (c *Client) Receipts(ctx context.Context, hashes []common.Hash) ([]*types.Receipt, error) {
	out := make([]*types.Receipt, len(hashes))
	for at := 0; at < len(hashes); at += callBatch {
		calls := make([]Call, min(len(hashes)-at, callBatch))
		for i := range calls {
			calls[i] = Call{Method: "eth_getTransactionReceipt", Params: []any{hashes[at+i]}, Result: &out[at+i]}
		}
		if err := c.Batch(ctx, calls); err != nil {
			return nil, err
		}
		for i := range calls {
			if calls[i].Err != nil {
				return nil, fmt.Errorf("receipt of %s: %w", hashes[at+i], calls[i].Err)
			}
		}
	}
	return out, nil
}

// callBatch is how many calls go into one request.
const callBatch = 200

// Headers returns the headers of the blocks from..to, both included.
func (c *Client) Headers(ctx context.Context, from, to uint64) ([]*types.Header, error) {
	var out []*types.Header
	for from <= to {
		calls := make([]Call, min(to-from+1, callBatch))
		headers := make([]*types.Header, len(calls))
		for i := range calls {
			calls[i] = Call{Method: "eth_getBlockByNumber", Params: []any{hexutil.Uint64(from + uint64(i)), false}, Result: &headers[i]}
		}
		if err := c.Batch(ctx, calls); err != nil {
			return nil, err
		}
		for i := range calls {
			if err := calls[i].Err; err != nil {
				return nil, fmt.Errorf("block %d of %s: %w", from+uint64(i), c.url, err)
			}
			if headers[i] == nil {
				return nil, fmt.Errorf("%s has no block %d", c.url, from+uint64(i))
			}
		}
		out = append(out, headers...)
		from += uint64(len(calls))
	}
	return out, nil
}
