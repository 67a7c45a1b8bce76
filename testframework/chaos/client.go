package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

const (
	// maxAnswerBytes bounds what is read of one answer, a batch of 100 full blocks included.
	maxAnswerBytes = 64 << 20
	// maxIdleConns keeps connections open at the rates that tests use.
	maxIdleConns = 256
	// callTimeout bounds a call that nothing else bounds.
	callTimeout = 40 * time.Second
)

// Client speaks JSON-RPC with one node. It is safe for concurrent use.
type Client struct {
	Name string
	URL  string
	http *http.Client
}

// NewClient returns a client of the node that serves url.
func NewClient(name, url string) *Client {
	transport := &http.Transport{MaxIdleConns: maxIdleConns, MaxIdleConnsPerHost: maxIdleConns, IdleConnTimeout: time.Minute}
	return &Client{name, url, &http.Client{Transport: transport, Timeout: callTimeout}}
}

// Close closes the connections that no call uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A Call is one question of a batch; Result is a pointer to what the answer is decoded into.
type Call struct {
	Method string
	Params []any
	Result any
}

// ServerError is an answer that says no.
type ServerError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// Error implements error.
func (e *ServerError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

type question struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *ServerError    `json:"error"`
}

// Call asks one question. A refusal is a [*ServerError]; every other error means that the node did not
// answer.
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	var a answer
	if err := c.post(ctx, question{"2.0", 1, method, params}, &a); err != nil {
		return fmt.Errorf("%s of %s: %w", method, c.Name, err)
	}
	return c.take(a, Call{method, params, result})
}

// Batch asks several questions in one request.
func (c *Client) Batch(ctx context.Context, calls []Call) error {
	if len(calls) == 0 {
		return nil
	}
	questions := make([]question, len(calls))
	for i, call := range calls {
		questions[i] = question{"2.0", i, call.Method, call.Params}
	}
	var answers []answer
	if err := c.post(ctx, questions, &answers); err != nil {
		return fmt.Errorf("a batch of %d %s of %s: %w", len(calls), calls[0].Method, c.Name, err)
	}
	if len(answers) != len(calls) {
		return fmt.Errorf("a batch of %d %s of %s: %d answers", len(calls), calls[0].Method, c.Name, len(answers))
	}
	for _, a := range answers {
		if a.ID < 0 || a.ID >= len(calls) {
			return fmt.Errorf("a batch of %s: an answer has the id %d", c.Name, a.ID)
		}
		if err := c.take(a, calls[a.ID]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) take(a answer, call Call) error {
	if a.Error != nil {
		return fmt.Errorf("%s of %s: %w", call.Method, c.Name, a.Error)
	}
	if call.Result == nil {
		return nil
	}
	if err := json.Unmarshal(a.Result, call.Result); err != nil {
		return fmt.Errorf("%s of %s: reading the answer: %w", call.Method, c.Name, err)
	}
	return nil
}

func (c *Client) post(ctx context.Context, body, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	raw, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("HTTP %d is not a JSON-RPC answer: %.200q", resp.StatusCode, raw)
	}
	return nil
}

// Status is the part of tercet_status that tests look at.
type Status struct {
	Height    uint64          `json:"height"`
	Hash      common.Hash     `json:"hash"`
	StateRoot common.Hash     `json:"stateRoot"`
	Certified uint64          `json:"certified"`
	Ordered   uint64          `json:"ordered"`
	Validator *common.Address `json:"validator"` // nil for a replica
	View      uint64          `json:"view"`
	Leader    common.Address  `json:"leader"`
	Peers     int             `json:"peers"`
	Syncing   bool            `json:"syncing"`
	Reasons   []string        `json:"reasons"` // why the node is not ready
}

// Status asks tercet_status.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	return &s, c.Call(ctx, &s, "tercet_status")
}

// Block is what every node must agree on.
type Block struct {
	Number       hexutil.Uint64 `json:"number"`
	Hash         common.Hash    `json:"hash"`
	ParentHash   common.Hash    `json:"parentHash"`
	StateRoot    common.Hash    `json:"stateRoot"`
	Miner        common.Address `json:"miner"`
	TimestampMs  hexutil.Uint64 `json:"timestampMs"`
	Transactions []common.Hash  `json:"transactions"`
}

// Head asks for the height of the newest executed block.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	var h hexutil.Uint64
	err := c.Call(ctx, &h, "eth_blockNumber")
	return uint64(h), err
}

// Block asks for a block; nil when the node does not have it yet.
func (c *Client) Block(ctx context.Context, height uint64) (*Block, error) {
	var b *Block
	if err := c.Call(ctx, &b, "eth_getBlockByNumber", hexutil.Uint64(height), false); err != nil {
		return nil, err
	}
	return b, nil
}

// blocksPerBatch keeps the answers below the server's limit at 1,000 transfers per block.
const blocksPerBatch = 50

// Blocks asks for the blocks from first to last, all of which the node must have.
func (c *Client) Blocks(ctx context.Context, first, last uint64) ([]*Block, error) {
	var blocks []*Block
	for from := first; from <= last; from += blocksPerBatch {
		part := make([]*Block, min(blocksPerBatch, last-from+1))
		calls := make([]Call, len(part))
		for i := range calls {
			calls[i] = Call{"eth_getBlockByNumber", []any{hexutil.Uint64(from + uint64(i)), false}, &part[i]}
		}
		if err := c.Batch(ctx, calls); err != nil {
			return nil, err
		}
		for i, b := range part {
			if b == nil {
				return nil, fmt.Errorf("%s has no block %d", c.Name, from+uint64(i))
			}
		}
		blocks = append(blocks, part...)
	}
	return blocks, nil
}

// Receipt is the part of a receipt that must never change.
type Receipt struct {
	TransactionHash  common.Hash    `json:"transactionHash"`
	TransactionIndex hexutil.Uint64 `json:"transactionIndex"`
	BlockHash        common.Hash    `json:"blockHash"`
	BlockNumber      hexutil.Uint64 `json:"blockNumber"`
	Status           hexutil.Uint64 `json:"status"`
	GasUsed          hexutil.Uint64 `json:"gasUsed"`
	// Digest is of all that the node said, logs included.
	Digest [sha256.Size]byte `json:"-"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Receipt) UnmarshalJSON(b []byte) error {
	type fields Receipt
	if err := json.Unmarshal(b, (*fields)(r)); err != nil {
		return err
	}
	r.Digest = sha256.Sum256(b)
	return nil
}

// Receipt asks for the receipt of a transaction; nil when there is none.
func (c *Client) Receipt(ctx context.Context, hash common.Hash) (*Receipt, error) {
	var r *Receipt
	err := c.Call(ctx, &r, "eth_getTransactionReceipt", hash)
	return r, err
}

// SendSync submits a transaction and waits for its receipt, for at most the time given.
func (c *Client) SendSync(ctx context.Context, raw []byte, timeout time.Duration) (*Receipt, error) {
	var r *Receipt
	err := c.Call(ctx, &r, "eth_sendRawTransactionSync", hexutil.Bytes(raw), timeout.Milliseconds())
	return r, err
}

// Send submits transactions in one request, which waits for nothing.
func (c *Client) Send(ctx context.Context, raws ...[]byte) error {
	calls := make([]Call, len(raws))
	for i, raw := range raws {
		calls[i] = Call{"eth_sendRawTransaction", []any{hexutil.Bytes(raw)}, nil}
	}
	return c.Batch(ctx, calls)
}
