package chaos_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/gorilla/websocket"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// An attack is what a process of bad clients does to one node.
type attack string

const (
	questions   attack = ""            // asks as fast as it is answered
	subscribers attack = "subscribers" // subscribes to everything, on few connections, and reads
	slowReaders attack = "slow"        // asks for much, and does not read
	largeBodies attack = "bodies"      // sends bodies of 100 MB
)

const (
	subscriptionsEach = 100 // of a connection
	largeBody         = 100 << 20
	// abusedRSS is what a node may have in memory meanwhile.
	abusedRSS = 600 << 20
)

// run attacks until ctx ends.
func (a attack) run(ctx context.Context, f *chaos.Flood) chaos.Answered {
	if a == questions {
		return f.Run(ctx)
	}
	one := map[attack]func(context.Context, *chaos.Flood) int64{subscribers: subscribe, slowReaders: neverRead, largeBodies: sendMuch}[a]
	var mu sync.Mutex
	var out chaos.Answered
	var wg sync.WaitGroup
	for range f.Connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := one(ctx, f)
				mu.Lock()
				out.Answers += n
				mu.Unlock()
				_ = chaos.Pause(ctx, 50*time.Millisecond) // a node that refuses is asked again
			}
		})
	}
	wg.Wait()
	return out
}

// subscribe counts the notifications of a connection.
func subscribe(ctx context.Context, f *chaos.Flood) (notes int64) {
	conn, resp, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(f.URL, "http"), nil)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // it is empty
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }() // it was only read
	for i := range subscriptionsEach {
		topic := []string{`"newHeads"`, `"logs"`, `"newPendingTransactions"`}[i%3]
		if conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"eth_subscribe","params":[%s]}`, i, topic)) != nil {
			return 0
		}
	}
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return notes
		}
		notes++
	}
}

// neverRead asks the questions, each on a connection of its own, and does not read the answers.
func neverRead(ctx context.Context, f *chaos.Flood) (asked int64) {
	life, hangUp := context.WithTimeout(ctx, 10*time.Second)
	defer hangUp()
	for _, q := range f.Questions {
		conn, err := (&net.Dialer{}).DialContext(life, "tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			return asked
		}
		context.AfterFunc(life, func() { _ = conn.Close() }) // it was not even read
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(q), q); err != nil {
			return asked
		}
		asked++
	}
	<-life.Done()
	return asked
}

// zeros are a body without an end that is known before.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.left)
	if z.left -= n; n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	return n, nil
}

func sendMuch(ctx context.Context, f *chaos.Flood) int64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL, &zeros{largeBody})
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // the node has hung up, as it should
	}
	_ = resp.Body.Close() // it was only counted
	return 1
}

// intervals are the times between blocks as the chain has them, from a height on, the shortest first.
func intervals(blocks []*chaos.Block) []time.Duration {
	var out []time.Duration
	for i := 1; i < len(blocks); i++ {
		out = append(out, time.Duration(blocks[i].TimestampMs-blocks[i-1].TimestampMs)*time.Millisecond)
	}
	slices.Sort(out)
	return out
}

// Bad clients at one node keep nobody from ordering: wide searches for logs, traces and estimates, 10,000 subscriptions, bodies
// of 100 MB, clients that do not read. The chain's own timestamps say how regular the blocks of a steady load are meanwhile.
func TestNetwork_abuse(t *testing.T) {
	n := start(t)
	c := issue(t, n, pick(100, 2000))
	victim := n.Nodes[0]
	duration := pick(3*time.Second, time.Minute)
	const perSecond = 100
	others := n.Clients()[1:]
	measure := func() ([]time.Duration, chaos.Figures) {
		first := chaos.Highest(t.Context(), others...)
		l := &chaos.Load{Clients: others, Transfers: transfers(t, c.wallet, int(duration.Seconds())*perSecond), PerSecond: perSecond}
		r, err := l.Run(bounded(t, duration+time.Minute))
		check(t, err)
		blocks, err := others[0].Blocks(t.Context(), first, chaos.Highest(t.Context(), others[0]))
		check(t, err)
		return intervals(blocks), r.Figures()
	}
	calm, without := measure()

	everything := map[string]any{"fromBlock": hexutil.Uint64(c.first), "toBlock": hexutil.Uint64(c.last)}
	call := map[string]any{"to": c.token.address, "data": hexutil.Bytes(c.token.pack("balanceOf", c.wallet.Accounts()[1]))}
	storm := [][]byte{
		body("debug_traceCall", call, "latest", map[string]any{"tracer": "callTracer"}),
		body("debug_traceBlockByNumber", hexutil.Uint64(c.last), map[string]any{"tracer": "callTracer"}),
		body("eth_estimateGas", call),
	}
	sockets := pick(10, 100)
	bad := map[string]*flood{}
	for name, a := range map[string]struct {
		attack
		chaos.Flood
	}{
		"searches":      {questions, chaos.Flood{Connections: 16, Questions: [][]byte{body("eth_getLogs", everything)}}},
		"traces":        {questions, chaos.Flood{Connections: 16, Questions: storm}},
		"subscriptions": {subscribers, chaos.Flood{Connections: sockets}},
		"slow readers":  {slowReaders, chaos.Flood{Connections: 8, Questions: [][]byte{body("eth_getLogs", everything), body("eth_getLogs", everything)}}},
		"large bodies":  {largeBodies, chaos.Flood{Connections: 4}},
	} {
		a.URL = victim.RPC
		bad[name] = startAttack(t, a.attack, &a.Flood)
	}
	check(t, chaos.Pause(t.Context(), time.Second)) // they are at it
	busy, with := measure()
	usage, err := chaos.UsageOf(victim.PID)
	check(t, err)
	for name, f := range bad {
		a := f.end(t)
		t.Logf("%s: %d answers or notifications, %d refused (%.120s), %d failed", name, a.Answers, a.Refused, a.Refusal, a.Failed)
	}
	at := func(d []time.Duration, q int) time.Duration { return d[(len(d)-1)*q/100] }
	t.Logf("without: %d blocks, interval p50 %v p99 %v; %v", len(calm)+1, at(calm, 50), at(calm, 99), without)
	t.Logf("with: %d blocks, interval p50 %v p99 %v; %v", len(busy)+1, at(busy, 50), at(busy, 99), with)
	t.Logf("%s had %d MiB in memory at most, %d now", victim.Name, usage.Peak>>20, usage.RSS>>20)
	if usage.Peak > abusedRSS {
		t.Errorf("%s had %d MiB in memory, at most %d are allowed", victim.Name, usage.Peak>>20, abusedRSS>>20)
	}
	// The short form runs beside other tests, a few blocks long: it shows that blocks go on at all.
	most := pick(time.Second, at(calm, 99)*12/10)
	if p99 := at(busy, 99); p99 > most {
		t.Errorf("the p99 of block intervals is %v, at most %v is promised", p99, most)
	}
	agree(t, n)
	conservedTokens(t, c)
}

// conservedTokens checks that the abused node has the state of the others.
func conservedTokens(t *testing.T, c *tokenChain) {
	t.Helper()
	questions := []chaos.Question{{To: c.token.address, Data: c.token.pack("totalSupply")}}
	_, err := chaos.SameCalls(t.Context(), questions, c.Clients()...)
	check(t, err)
}
