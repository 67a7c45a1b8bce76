package chaos_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/gorilla/websocket"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// seenEvent is what the test keeps of an event.
type seenEvent struct {
	Cursor, Type, BlockNumber string
	TransactionHash           common.Hash
}

// A client of the stream of events that is cut off 100 times, each time in the middle, and goes on with its last cursor at another
// node and over the other transport, while transfers are made and a node is killed: it sees every event once, in order.
func TestNetwork_eventStream(t *testing.T) {
	n := start(t)
	w := fund(t, n, 40)
	rounds := pick(20, 100)
	first := chaos.Highest(t.Context(), n.Clients()...) + 1
	cursor := fmt.Sprint(first)
	count := pick(800, 8000)
	const perSecond = 200
	l := &chaos.Load{Clients: n.Clients(), Transfers: transfers(t, w, count), PerSecond: perSecond}
	ctx := bounded(t, time.Duration(count/perSecond)*time.Second+2*time.Minute)
	results, wait := l.Start(ctx)
	t.Cleanup(wait)

	var events []seenEvent
	lived := time.Duration(count/perSecond) * time.Second / time.Duration(rounds)
	hear := func(node *chaos.Node, overHTTP bool) {
		read := viaSocket
		if overHTTP {
			read = viaHTTP
		}
		life, cancel := context.WithTimeout(ctx, lived)
		defer cancel()
		got := read(life, node, cursor)
		check(t, ctx.Err())
		for _, e := range got { // what came before the end of the connection counts
			events, cursor = append(events, e), e.Cursor
		}
	}
	for round := range rounds {
		switch round {
		case rounds / 3:
			check(t, n.Crash(t.Context(), n.Nodes[1]))
		case rounds / 2:
			check(t, n.Restart(t.Context(), n.Nodes[1]))
		}
		hear(n.Nodes[round%len(n.Nodes)], round%2 == 1)
	}
	wait()
	check(t, results.Complete())
	blocks := agree(t, n)
	last := uint64(blocks[len(blocks)-1].Number)
	for seen := false; !seen; {
		hear(n.Nodes[0], false)
		for _, e := range events {
			seen = seen || e.Type == "block" && e.BlockNumber == fmt.Sprintf("0x%x", last+1)
		}
	}

	// What the blocks say in order is what the events have to be, up to where the client stopped.
	next := 0
	for _, b := range blocks[first : last+1] {
		want := append([]common.Hash{{}}, b.Transactions...)
		for i, hash := range want {
			e, kind := events[next], map[bool]string{true: "block", false: "transaction"}[i == 0]
			if e.Type != kind || e.TransactionHash != hash || e.BlockNumber != b.Number.String() {
				t.Fatalf("event %d is %+v, want the %s %s of block %d", next, e, kind, hash, b.Number)
			}
			next++
		}
	}
	t.Logf("%d events of %d blocks in %d connections, each once and in order", len(events), last-first+1, rounds)
}

// dropped are left out: transfers that are sent to two nodes can be ordered twice.
const eventTypes = `["block","transaction"]`

// viaSocket reads events over a WebSocket until ctx ends or the connection does, and hangs up.
func viaSocket(ctx context.Context, node *chaos.Node, from string) (events []seenEvent) {
	conn, resp, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(node.RPC, "http"), nil)
	if err != nil {
		return nil // the node is down
	}
	_ = resp.Body.Close()               // it is empty
	defer func() { _ = conn.Close() }() // as a client that dies
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	request := `{"jsonrpc":"2.0","id":1,"method":"tercet_subscribe","params":["newEvents",{"from":"` + from + `","types":` + eventTypes + `}]}`
	if conn.WriteMessage(websocket.TextMessage, []byte(request)) != nil {
		return nil
	}
	for {
		var note struct {
			Result string
			Params struct{ Result seenEvent }
		}
		if conn.ReadJSON(&note) != nil {
			return events
		}
		if note.Result == "" {
			events = append(events, note.Params.Result)
		}
	}
}

// viaHTTP reads events as server-sent events until ctx ends or the connection does.
func viaHTTP(ctx context.Context, node *chaos.Node, from string) (events []seenEvent) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node.RPC+"/events?types=block,transaction", nil)
	if err != nil {
		return nil
	}
	req.Header.Set("Last-Event-ID", from)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // the node is down
	}
	defer func() { _ = resp.Body.Close() }() // as a client that dies
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var e seenEvent
		if ok && json.Unmarshal([]byte(data), &e) == nil { // the last line may be half there
			events = append(events, e)
		}
	}
	return events
}
