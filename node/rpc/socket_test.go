package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"github.com/tercet-chain/tercet/node/rpc"
)

// socketURL is the server's address for WebSockets.
func (c *chain) socketURL() string { return "ws" + strings.TrimPrefix(c.server.URL(), "http") }

// dial opens a WebSocket.
func (c *chain) dial(header http.Header) (*websocket.Conn, error) {
	conn, resp, err := websocket.DefaultDialer.DialContext(c.t.Context(), c.socketURL(), header)
	if resp != nil {
		_ = resp.Body.Close() // of a refusal it is empty
	}
	if err == nil {
		c.t.Cleanup(func() { _ = conn.Close() }) // nothing more is sent
	}
	return conn, err
}

func (c *chain) socket() *websocket.Conn {
	c.t.Helper()
	conn, err := c.dial(nil)
	must(c.t, err)
	return conn
}

// ask sends a request and returns the next message.
func ask(t testing.TB, conn *websocket.Conn, request string) string {
	t.Helper()
	must(t, conn.WriteMessage(websocket.TextMessage, []byte(request)))
	return hear(t, conn)
}

func hear(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, message, err := conn.ReadMessage()
	must(t, err)
	return strings.TrimSpace(string(message))
}

func TestSocket_answersAsHTTP(t *testing.T) {
	c := newChain(t, nil)
	c.execute()
	conn := c.socket()
	for _, tt := range []struct{ request, want string }{
		{`{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`, `{"jsonrpc":"2.0","id":1,"result":"0x1cbd"}`},
		{`[{"jsonrpc":"2.0","id":"a","method":"eth_blockNumber"},{"jsonrpc":"2.0","id":2,"method":"net_version"}]`, `[{"jsonrpc":"2.0","id":"a","result":"0x1"},{"jsonrpc":"2.0","id":2,"result":"7357"}]`},
		{`{"jsonrpc":"2.0","id":3,"method":"eth_nothing"}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"the method eth_nothing does not exist/is not available"}}`},
		{`{"jsonrpc":"2.0","id":4,"method":"eth_subscribe","params":["weather"]}`, `{"error":{"code":-32601,"message":"no \"weather\" subscription in eth namespace: there are newHeads, logs and newPendingTransactions"},"id":4,"jsonrpc":"2.0"}`},
		{`{"jsonrpc":"2.0","id":5,"method":"eth_unsubscribe","params":["0x1"]}`, `{"error":{"code":-32000,"message":"subscription not found"},"id":5,"jsonrpc":"2.0"}`},
		{`{"jsonrpc":"2.0","id":6,"method":"eth_subscribe","params":["logs",{"address":"0x12"}]}`, `{"error":{"code":-32602,"message":"hex has invalid length 1 after decoding; expected 20 for address"},"id":6,"jsonrpc":"2.0"}`},
		{`nonsense`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
	} {
		if got := ask(t, conn, tt.request); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.request, got, tt.want)
		}
	}
}

func TestSocket_ethclient(t *testing.T) {
	c := newChain(t, nil)
	c.execute()
	client, err := ethclient.DialContext(t.Context(), c.socketURL())
	must(t, err)
	defer client.Close()
	heads := make(chan *types.Header, 16)
	sub, err := client.SubscribeNewHead(t.Context(), heads)
	must(t, err)
	logs := make(chan types.Log, 16)
	some, err := client.SubscribeFilterLogs(t.Context(), ethereum.FilterQuery{Addresses: []common.Address{token}, Topics: [][]common.Hash{{topic(1)}}}, logs)
	must(t, err)
	c.emit(&types.Log{Address: token, Topics: []common.Hash{topic(2)}}, &types.Log{Address: other, Topics: []common.Hash{topic(1)}},
		&types.Log{Address: token, Topics: []common.Hash{topic(1)}, Data: []byte("this one")})
	head := receive(t, heads)
	if head.Number.Uint64() != 2 || head.Hash() != c.parent.Hash() {
		t.Errorf("got the head %d %s, want 2 %s", head.Number, head.Hash(), c.parent.Hash())
	}
	if l := receive(t, logs); string(l.Data) != "this one" || l.BlockHash != c.parent.Hash() || l.Index != 2 {
		t.Errorf("got the log %+v", l)
	}
	some.Unsubscribe()
	c.emit(&types.Log{Address: token, Topics: []common.Hash{topic(1)}})
	if head := receive(t, heads); head.Number.Uint64() != 3 {
		t.Errorf("got the head %d, want 3", head.Number)
	}
	select {
	case l := <-logs:
		t.Errorf("got %+v after the end of the subscription", l)
	default:
	}
	sub.Unsubscribe()
}

func receive[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
	}
	return v
}

// A head is told of when its receipts are there.
func TestSocket_receiptIsThere(t *testing.T) {
	c := newChain(t, nil)
	conn := c.socket()
	ask(t, conn, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)
	for range 20 {
		tx := c.emit(&types.Log{Address: token})
		var note struct {
			Params struct{ Result struct{ Hash common.Hash } }
		}
		must(t, json.Unmarshal([]byte(hear(t, conn)), &note))
		if want := c.parent.Hash(); note.Params.Result.Hash != want {
			t.Fatalf("got the head %s, want %s", note.Params.Result.Hash, want)
		}
		if c.result("eth_getTransactionReceipt", tx.Hash()) == "null" {
			t.Fatal("there is no receipt")
		}
	}
}

func TestSocket_pendingTransactions(t *testing.T) {
	c := newChain(t, nil)
	conn, whole := c.socket(), c.socket()
	ask(t, conn, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newPendingTransactions"]}`)
	ask(t, whole, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newPendingTransactions",true]}`)
	tx := pay(t, alice, 0, 2)
	c.result("eth_sendRawTransaction", raw(t, tx))
	if got, want := hear(t, conn), tx.Hash().Hex(); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := hear(t, whole); !strings.Contains(got, tx.Hash().Hex()) || !strings.Contains(got, `"blockHash":null`) {
		t.Errorf("got %s, want the transaction", got)
	}
}

func TestSocket_bounds(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.MaxSubscriptions, cfg.MaxBodyBytes = 3, 100_000 })
	conn := c.socket()
	request := `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`
	var id string
	for range 3 {
		var answer struct{ Result string }
		must(t, json.Unmarshal([]byte(ask(t, conn, request)), &answer))
		id = answer.Result
	}
	if got := ask(t, c.socket(), request); !strings.Contains(got, `"code":-32005`) || !strings.Contains(got, "3 subscriptions are open") {
		t.Errorf("got %s", got)
	}
	if got := ask(t, conn, fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"eth_unsubscribe","params":["%s"]}`, id)); !strings.Contains(got, `"result":true`) {
		t.Errorf("got %s", got)
	}
	ask(t, conn, request)
	_ = conn.Close() // its subscriptions end with it
	for strings.Contains(ask(t, c.socket(), request), "error") {
		c.result("eth_blockNumber") // the test's deadline ends this
	}
	large := c.socket()
	must(t, large.WriteMessage(websocket.TextMessage, make([]byte, 100_001)))
	if _, _, err := large.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("a message that is too large: got %v", err)
	}
	if got := ask(t, c.socket(), `{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":["0x`+strings.Repeat("00", 40_000)+`"]}`); !strings.Contains(got, "result") {
		t.Errorf("a message of 80 kB: got %.200s", got)
	}
}

func TestSocket_origin(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.CORS = []string{"https://app.example.com"} })
	for origin, admitted := range map[string]bool{"": true, "https://app.example.com": true, "https://evil.example.com": false} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		if _, err := c.dial(header); (err == nil) != admitted {
			t.Errorf("origin %q: %v, want it admitted: %t", origin, err, admitted)
		}
	}
}

// Who does not read is cut off, and nobody waits for him.
func TestSocket_slowReader(t *testing.T) {
	c := newChain(t, nil)
	slow, quick := c.socket(), c.socket()
	request := `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["logs"]}`
	ask(t, slow, request)
	ask(t, quick, request)
	data := make([]byte, 1<<20)
	for i := range 24 { // 48 MiB of JSON
		c.emit(&types.Log{Address: token, Data: data})
		if got := hear(t, quick); len(got) < 2<<20 {
			t.Fatalf("notification %d has %d bytes", i, len(got))
		}
	}
	var err error
	must(t, slow.SetReadDeadline(time.Now().Add(20*time.Second)))
	for n := 0; err == nil; n++ {
		if _, _, err = slow.ReadMessage(); n == 24 {
			t.Fatal("the slow reader has all notifications")
		}
	}
	if netErr := net.Error(nil); !websocket.IsCloseError(err, websocket.CloseTryAgainLater) && asTimeout(err, &netErr) {
		t.Errorf("the slow reader is not cut off: %v", err)
	}
}

func asTimeout(err error, as *net.Error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // of the connection itself
	*as = e
	return ok && e.Timeout()
}

func TestIPC(t *testing.T) {
	dir, err := os.MkdirTemp("", "ipc") //nolint:usetesting // the test's own directory has too long a path for a socket
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "tercet.ipc")
	must(t, os.WriteFile(path, nil, 0o600)) // of a process that is gone
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.IPC = path })
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got the mode %v", info.Mode())
	}
	client, err := gethrpc.DialIPC(t.Context(), path)
	must(t, err)
	defer client.Close()
	var id string
	must(t, client.CallContext(t.Context(), &id, "eth_chainId"))
	if id != "0x1cbd" {
		t.Errorf("got the chain id %s", id)
	}
	heads := make(chan *types.Header, 4)
	_, err = client.EthSubscribe(t.Context(), heads, "newHeads")
	must(t, err)
	c.execute()
	if h := receive(t, heads); h.Number.Uint64() != 1 {
		t.Errorf("got the head %d", h.Number)
	}
}

// event is what tests look at.
type event struct {
	Cursor, Type    string
	BlockNumber     string
	TransactionHash common.Hash
	Reason          string
	Log             *types.Log
}

func (e event) String() string {
	if e.Log != nil {
		return fmt.Sprintf("%s %s %s", e.Cursor, e.Type, e.Log.Data)
	}
	return e.Cursor + " " + e.Type
}

func TestServer_events(t *testing.T) {
	c := newChain(t, nil)
	c.emit(&types.Log{Address: token, Topics: []common.Hash{topic(1)}, Data: []byte("a")}, &types.Log{Address: other, Data: []byte("b")})
	c.execute()
	c.emit(&types.Log{Address: token, Data: []byte("c")})
	for _, tt := range []struct {
		name, query, want, next string
	}{
		{"all", `{"from":"1"}`, "1-1 block,1-2 transaction,1-3 log a,1-4 log b,2-1 block,3-1 block,3-2 transaction,3-3 log c", "4-0"},
		{"behind one", `{"from":"1-3"}`, "1-4 log b,2-1 block,3-1 block,3-2 transaction,3-3 log c", "4-0"},
		{"a few", `{"from":"1","limit":3}`, "1-1 block,1-2 transaction,1-3 log a", "1-3"},
		{"the rest of a block", `{"from":"1-3","limit":1}`, "1-4 log b", "2-0"},
		{"logs", `{"from":"0","types":["log"]}`, "1-3 log a,1-4 log b,3-3 log c", "4-0"},
		{"logs of a contract", fmt.Sprintf(`{"from":"0","types":["log","block"],"address":"%s"}`, token), "0-1 block,1-1 block,1-3 log a,2-1 block,3-1 block,3-3 log c", "4-0"},
		{"by topic", fmt.Sprintf(`{"from":"0","types":["log"],"topics":["%s"]}`, topic(1)), "1-3 log a", "4-0"},
		{"behind the head", `{"from":"9-4"}`, "", "9-4"},
		{"from now on", `{}`, "", "4-0"},
	} {
		var page struct {
			Events []event
			Next   string
		}
		must(t, json.Unmarshal([]byte(c.result("tercet_events", json.RawMessage(tt.query))), &page))
		var got []string
		for _, e := range page.Events {
			got = append(got, e.String())
		}
		if strings.Join(got, ",") != tt.want || page.Next != tt.next {
			t.Errorf("%s: got %q, next %s, want %q, next %s", tt.name, strings.Join(got, ","), page.Next, tt.want, tt.next)
		}
	}
	for _, bad := range []string{`{"from":"x"}`, `{"from":"1-"}`, `{"from":"-1"}`, `{"limit":-1}`, `{"limit":1001}`, `{"types":["weather"]}`, `{"address":"0x1"}`, `{"from":7}`} {
		if a := c.call("tercet_events", json.RawMessage(bad)); a.Error == nil || a.Error.Code != -32602 {
			t.Errorf("%s: got %s, %+v", bad, a.Result, a.Error)
		}
	}
}

// A client that is cut off after each event, by turns over WebSocket and as server-sent events, sees every event once.
func TestServer_eventStream(t *testing.T) {
	c := newChain(t, nil)
	var want []string
	emit := func(n int) {
		h := c.parent.Number.Uint64() + 1
		var logs []*types.Log
		for i := range n {
			logs = append(logs, &types.Log{Address: token, Data: fmt.Append(nil, h, "/", i)})
		}
		c.emit(logs...)
		want = append(want, fmt.Sprintf("%d-1 block", h), fmt.Sprintf("%d-2 transaction", h))
		for i := range n {
			want = append(want, fmt.Sprintf("%d-%d log %d/%d", h, 3+i, h, i))
		}
	}
	cursor, got := "1", []string{}
	for round := range 100 {
		emit(round % 4)
		one := c.viaSocket
		if round%2 == 1 {
			one = c.viaHTTP
		}
		for _, e := range one(t.Context(), cursor, min(1+round%3, len(want)-len(got))) {
			got, cursor = append(got, e.String()), e.Cursor
		}
	}
	for len(got) < len(want) && strings.HasPrefix(strings.Join(want, "\n"), strings.Join(got, "\n")) {
		for _, e := range c.viaHTTP(t.Context(), cursor, 1) {
			got, cursor = append(got, e.String()), e.Cursor
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// viaSocket reads n events from a cursor on over a WebSocket, and hangs up.
func (c *chain) viaSocket(_ context.Context, from string, n int) (events []event) {
	conn := c.socket()
	defer func() { _ = conn.Close() }() // as a client that dies
	ask(c.t, conn, `{"jsonrpc":"2.0","id":1,"method":"tercet_subscribe","params":["newEvents",{"from":"`+from+`"}]}`)
	for range n {
		var note struct{ Params struct{ Result event } }
		must(c.t, json.Unmarshal([]byte(hear(c.t, conn)), &note))
		events = append(events, note.Params.Result)
	}
	return events
}

// viaHTTP reads n events from a cursor on as server-sent events, and hangs up.
func (c *chain) viaHTTP(ctx context.Context, from string, n int) (events []event) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL()+"/events?from=1", nil)
	must(c.t, err)
	req.Header.Set("Last-Event-ID", from)
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer func() { _ = resp.Body.Close() }() // as a client that dies
	var id string
	for line := range lines(resp.Body) {
		if text, ok := strings.CutPrefix(line, "id: "); ok {
			id = text
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			var e event
			must(c.t, json.Unmarshal([]byte(text), &e))
			if e.Cursor != id {
				c.t.Errorf("the id %s is not the cursor %s", id, e.Cursor)
			}
			if events = append(events, e); len(events) == n {
				return events
			}
		}
	}
	c.t.Fatalf("the stream from %s on ended after %d of %d events", from, len(events), n)
	return nil
}

// lines reads lines as they come.
func lines(r io.Reader) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		var line []byte
		b := make([]byte, 1)
		for {
			if _, err := r.Read(b); err != nil {
				return
			}
			if b[0] != '\n' {
				line = append(line, b[0])
				continue
			}
			if !yield(string(line)) {
				return
			}
			line = line[:0]
		}
	}
}

func TestServer_eventsBadQuery(t *testing.T) {
	c := newChain(t, nil)
	for _, query := range []string{"from=x", "types=weather", "address=0x12", "topic0=zz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server.URL()+"/events?"+query, nil)
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %s", query, resp.Status)
		}
		must(t, resp.Body.Close())
	}
}
