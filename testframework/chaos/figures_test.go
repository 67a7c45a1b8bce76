package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// connections is how many questions a flood has under way.
const connections = 8

// body is a JSON-RPC request.
func body(method string, params ...any) []byte {
	raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		panic(fmt.Sprintf("the test asks what JSON has no form for: %v", err))
	}
	return raw
}

// asking is one question, asked again and again.
func asking(question []byte) func(*testing.T) [][]byte {
	return func(*testing.T) [][]byte { return [][]byte{question} }
}

// flood is a [chaos.Flood] in a process of its own, which does not slow down what this one measures.
type flood struct {
	cmd    *exec.Cmd
	answer bytes.Buffer
	stop   io.Closer
}

// floodEnv tells the test's binary to be a flood: it reads one as JSON, floods until its standard input ends and
// prints what came of it.
const floodEnv = "TERCET_TEST_FLOOD"

func startFlood(t *testing.T, of *chaos.Flood) *flood {
	t.Helper()
	return startAttack(t, questions, of)
}

// order is what the process is told.
type order struct {
	Attack attack
	Flood  *chaos.Flood
}

func startAttack(t *testing.T, a attack, of *chaos.Flood) *flood {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	f := &flood{cmd: exec.CommandContext(t.Context(), self)}
	f.cmd.Env = append(os.Environ(), floodEnv+"=1")
	f.cmd.Stdout, f.cmd.Stderr = &f.answer, os.Stderr
	in, err := f.cmd.StdinPipe()
	check(t, err)
	check(t, f.cmd.Start())
	check(t, syscall.Setpriority(syscall.PRIO_PROCESS, f.cmd.Process.Pid, 19)) // clients have machines of their own
	check(t, json.NewEncoder(in).Encode(order{a, of}))
	f.stop = in
	return f
}

// end stops the flood and says what came of it.
func (f *flood) end(t *testing.T) chaos.Answered {
	t.Helper()
	check(t, f.stop.Close())
	check(t, f.cmd.Wait())
	var a chaos.Answered
	check(t, json.Unmarshal(f.answer.Bytes(), &a))
	return a
}

// beFlood is the other side of startFlood.
func beFlood() error {
	in := json.NewDecoder(os.Stdin)
	var o order
	if err := in.Decode(&o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end, whatever it is, is the sign
		cancel()
	}()
	return json.NewEncoder(os.Stdout).Encode(o.Attack.run(ctx, o.Flood))
}

// tokenChain is a network with a token, whose Transfer logs are spread over a number of blocks.
type tokenChain struct {
	*chaos.Network
	wallet      *chaos.Wallet
	token       *contract
	first, last uint64 // blocks with transfers of the token
}

// issue deploys a token and makes transfers until so many blocks have one.
func issue(t *testing.T, n *chaos.Network, blocks int) *tokenChain {
	t.Helper()
	c := &tokenChain{Network: n, wallet: fund(t, n, 200), token: readContract(t, "token")}
	admin := c.wallet.Accounts()[0]
	c.token.address = crypto.CreateAddress(admin, 0)
	supply := new(big.Int).Exp(big.NewInt(10), big.NewInt(24), nil)
	creation, err := c.wallet.Transaction(0, nil, new(big.Int), creationGas, c.token.creation(tokenName, "TEUR", supply, admin))
	check(t, err)
	r, err := n.Nodes[0].Client.SendSync(t.Context(), creation.Raw, 20*time.Second)
	check(t, err)
	if r.Status != 1 {
		t.Fatal("the token was not created")
	}
	// Blocks of one transfer each would take their time; so each block has what came meanwhile, and none is empty.
	c.first = uint64(r.BlockNumber)
	for i := 0; c.last < c.first+uint64(blocks); i++ {
		var raws [][]byte
		for from := range 8 {
			tx, err := c.wallet.Transaction(from, &c.token.address, new(big.Int), tokenGas, c.token.pack("approve", admin, big.NewInt(int64(i))))
			check(t, err)
			raws = append(raws, tx.Raw)
		}
		check(t, n.Nodes[i%len(n.Nodes)].Client.Send(t.Context(), raws...))
		c.last = chaos.Highest(t.Context(), n.Nodes[0].Client)
	}
	return c
}

// measured is one figure: medians of several rounds, with the lowest and the highest.
type measured struct{ perSecond, micros []float64 }

func spread(values []float64) string {
	s := slices.Sorted(slices.Values(values))
	return fmt.Sprintf("%.4g (%.4g–%.4g)", s[len(s)/2], s[0], s[len(s)-1])
}

// What a node answers per second, and what an answer costs it, on one connection each of several clients. The
// processor time is that of the whole process, consensus and what idles included; the flood shares the machine.
func TestNetwork_rpcFigures(t *testing.T) {
	n := start(t)
	c := issue(t, n, pick(200, 10_000))
	node := n.Nodes[0]
	rounds, duration, sends := pick(1, 5), pick(300*time.Millisecond, 2*time.Second), pick(200, 4000)
	balance := c.token.pack("balanceOf", c.wallet.Accounts()[1])
	filter := map[string]any{"fromBlock": hexutil.Uint64(c.last - uint64(pick(200, 10_000)) + 1), "toBlock": hexutil.Uint64(c.last), "address": c.token.address}
	none := map[string]any{"fromBlock": filter["fromBlock"], "toBlock": filter["toBlock"], "address": common.Address{19: 1}}
	rare := map[string]any{"fromBlock": filter["fromBlock"], "toBlock": filter["toBlock"], "address": c.token.address, "topics": []any{c.token.abi.Events["RoleGranted"].ID}}
	for _, q := range []struct {
		name      string
		calls     int // in one request
		questions func(t *testing.T) [][]byte
	}{
		{"eth_blockNumber", 1, asking(body("eth_blockNumber"))},
		{"eth_getBalance", 1, asking(body("eth_getBalance", c.wallet.Accounts()[0], "latest"))},
		{"eth_call of the token's balanceOf", 1, asking(body("eth_call", map[string]any{"to": c.token.address, "data": hexutil.Bytes(balance)}, "latest"))},
		{"eth_getLogs over all blocks, none found", 1, asking(body("eth_getLogs", none))},
		{"eth_getLogs over all blocks, by a rare topic", 1, asking(body("eth_getLogs", rare))},
		{"eth_sendRawTransaction, ?sendwait=0", 1, func(t *testing.T) [][]byte {
			var list [][]byte
			for _, tx := range transfers(t, c.wallet, sends) {
				list = append(list, body("eth_sendRawTransaction", hexutil.Bytes(tx.Raw)))
			}
			return list
		}},
		{"eth_sendRawTransaction in batches of 100", 100, func(t *testing.T) [][]byte {
			var list [][]byte
			for part := range slices.Chunk(transfers(t, c.wallet, sends), 100) {
				var calls []json.RawMessage
				for _, tx := range part {
					calls = append(calls, body("eth_sendRawTransaction", hexutil.Bytes(tx.Raw)))
				}
				raw, err := json.Marshal(calls)
				check(t, err)
				list = append(list, raw)
			}
			return list
		}},
	} {
		var m measured
		for range rounds {
			f := &chaos.Flood{URL: node.RPC + "?sendwait=0", Connections: connections, Questions: q.questions(t)}
			ctx, cancel := context.WithTimeout(t.Context(), duration)
			if f.Once = len(f.Questions) > 1; f.Once { // a number of them, not a time
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
			}
			before, err := chaos.UsageOf(node.PID)
			check(t, err)
			a := f.Run(ctx)
			cancel()
			after, err := chaos.UsageOf(node.PID)
			check(t, err)
			if a.Refused+a.Failed > 0 || a.Answers == 0 {
				t.Errorf("%s: %d answers, %d refused, %d failed: %s", q.name, a.Answers, a.Refused, a.Failed, a.Refusal)
				break
			}
			calls := float64(a.Answers) * float64(q.calls)
			m.perSecond = append(m.perSecond, calls/a.Took.Seconds())
			m.micros = append(m.micros, float64((after.CPU-before.CPU).Microseconds())/calls)
		}
		if len(m.micros) == rounds {
			t.Logf("| %s | %s | %s |", q.name, spread(m.perSecond), spread(m.micros))
		}
	}
	t.Logf("of %d connections, %d rounds; blocks %d to %d; calls/s, and µs of the node's processor time for each", connections, rounds, c.first, c.last)
}

// Reads do not starve consensus: what transfers take beside floods of calls and of searches for logs at all nodes.
func TestNetwork_reads(t *testing.T) {
	n := start(t)
	c := issue(t, n, pick(100, 1000))
	calm, busy := pick(2*time.Second, 30*time.Second), pick(2*time.Second, 30*time.Second)
	measure := func(d time.Duration) chaos.Figures {
		const perSecond = 100
		l := &chaos.Load{Clients: n.Clients(), Transfers: transfers(t, c.wallet, int(d.Seconds()*perSecond)), PerSecond: perSecond}
		r, err := l.Run(bounded(t, d+time.Minute))
		check(t, err)
		return r.Figures()
	}
	without := measure(calm)
	balance := c.token.pack("balanceOf", c.wallet.Accounts()[1])
	questions := [][]byte{
		body("eth_call", map[string]any{"to": c.token.address, "data": hexutil.Bytes(balance)}, "latest"),
		body("eth_getLogs", map[string]any{"fromBlock": hexutil.Uint64(c.last - 20), "toBlock": hexutil.Uint64(c.last), "address": c.token.address}),
		body("eth_getBlockByNumber", "latest", true),
	}
	var floods []*flood
	for _, node := range n.Nodes {
		floods = append(floods, startFlood(t, &chaos.Flood{URL: node.RPC, Connections: connections, Questions: questions}))
	}
	with := measure(busy)
	var answers, refused int64
	for _, f := range floods {
		a := f.end(t)
		answers, refused = answers+a.Answers, refused+a.Refused
	}
	t.Logf("without reads: %v", without)
	t.Logf("with %d connections of reads (%.0f/s, %d refused): %v", connections*len(n.Nodes), float64(answers)/busy.Seconds(), refused, with)
	if answers == 0 {
		t.Error("no read was answered")
	}
	agree(t, n)
}
