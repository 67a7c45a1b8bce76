package rpc_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/node/rpc"
)

func rpcNumber(n int64) gethrpc.BlockNumberOrHash {
	return gethrpc.BlockNumberOrHashWithNumber(gethrpc.BlockNumber(n))
}

// whenPending calls do once the pool has a transaction to order.
func (c *chain) whenPending(do func()) {
	pending, cancel := c.pool.Subscribe()
	var done sync.WaitGroup
	done.Go(func() {
		defer cancel()
		select {
		case <-pending:
			do()
		case <-c.t.Context().Done():
		}
	})
	c.t.Cleanup(done.Wait)
}

func TestServer_sendRawTransactionSync(t *testing.T) {
	for _, timeout := range []string{`20000`, `"0x4e20"`, `null`} {
		t.Run(timeout, func(t *testing.T) {
			c := newChain(t, nil)
			c.whenPending(func() { c.produce() })
			tx := pay(t, alice, 0, 2)
			got := c.fields("eth_sendRawTransactionSync", raw(t, tx), json.RawMessage(timeout))
			if got["transactionHash"] != tx.Hash().Hex() || got["status"] != "0x1" || got["blockNumber"] != "0x1" {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestServer_sendRawTransactionSync_timesOut(t *testing.T) {
	c := newChain(t, nil)
	tx := pay(t, alice, 0, 2)
	a := c.call("eth_sendRawTransactionSync", raw(t, tx), 20)
	want := "The transaction was added to the transaction pool but wasn't processed in 20ms"
	if a.Error == nil || a.Error.Code != 4 || a.Error.Message != want || string(a.Error.Data) != `"`+tx.Hash().Hex()+`"` {
		t.Errorf("got %+v", a.Error)
	}
}

func TestServer_sendRawTransactionSync_whenDropped(t *testing.T) {
	c := newChain(t, nil)
	tx := pay(t, bob, 0, 0)
	rival := decoded(t, pay(t, bob, 0, 2))
	c.whenPending(func() { c.execute(rival, decoded(t, tx)) })
	a := c.call("eth_sendRawTransactionSync", raw(t, tx))
	if a.Error == nil || a.Error.Message != "the transaction was ordered but not executed: nonce too low" {
		t.Errorf("got %+v", a.Error)
	}
}

func TestServer_sendWait(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.SendWait = 20 * time.Second })
	receipt := func(tx *types.Transaction) string { return c.result("eth_getTransactionReceipt", tx.Hash()) }
	c.whenPending(func() { c.produce() })
	first := pay(t, alice, 0, 0)
	c.result("eth_sendRawTransaction", raw(t, first))
	if receipt(first) == "null" {
		t.Error("no receipt after the wait")
	}
	// In a batch, with ?sendwait=0, before a missing nonce and behind another transaction of the sender
	// nobody waits: each of these would take 20 s.
	call := func(tx *types.Transaction) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["%s"]}`, raw(t, tx))
	}
	start := time.Now()
	for _, tc := range []struct{ path, body string }{
		{"/", "[" + call(pay(t, alice, 1, 0)) + "]"},
		{"/", call(pay(t, bob, 2, 0))},
		{"/?sendwait=0", call(pay(t, bob, 0, 0))},
		{"/", call(pay(t, alice, 2, 0))},
	} {
		if _, b := c.post(tc.path, tc.body); !strings.Contains(string(b), `"result":"0x`) {
			t.Errorf("got %s", b)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestServer_budget(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.MaxConcurrent, cfg.MaxWaiters = 1, 1 })
	// Who waits for a commit does not count as at work.
	var waited sync.WaitGroup
	pending, cancel := c.pool.Subscribe()
	defer cancel()
	waited.Go(func() { c.call("eth_sendRawTransactionSync", raw(t, pay(t, alice, 0, 0))) })
	<-pending
	if got := c.result("eth_blockNumber"); got != `"0x0"` {
		t.Errorf("got %s", got)
	}
	a := c.call("eth_sendRawTransactionSync", raw(t, pay(t, bob, 0, 0)))
	if a.Error == nil || a.Error.Code != -32005 || !strings.Contains(a.Error.Message, "server is busy: 1 clients wait for a commit") {
		t.Errorf("got %+v, want a refusal", a.Error)
	}
	c.produce()
	waited.Wait()
}

func TestServer_slowBodyHoldsNoSlot(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.MaxConcurrent = 1 })
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	must(t, err)
	defer conn.Close()
	body := `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:10])
	must(t, err)
	if got := c.result("eth_blockNumber"); got != `"0x0"` {
		t.Errorf("got %s", got)
	}
	_, err = conn.Write([]byte(body[10:]))
	must(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "200 OK") {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestServer_budget_exhausted(t *testing.T) {
	hold := make(chan struct{})
	c := newChain(t, func(c *chain, cfg *rpc.Config) { cfg.MaxConcurrent, c.hold = 1, hold })
	var working sync.WaitGroup
	working.Go(func() { c.call("eth_sendRawTransaction", raw(t, pay(t, alice, 0, 0))) })
	// Until the transaction is at work, others are answered; then they are refused after a second.
	refusal := `"error":{"code":-32005,"message":"server is busy: too many requests at once"}`
	for {
		_, b := c.post("/", `{"jsonrpc":"2.0","id":"x7","method":"eth_chainId"}`)
		if strings.Contains(string(b), `"result"`) {
			continue
		}
		if want := `{"jsonrpc":"2.0","id":"x7",` + refusal + `}`; string(b) != want {
			t.Errorf("got %s, want %s", b, want)
		}
		break
	}
	_, b := c.post("/", `[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"eth_chainId"}]`)
	if want := `[{"jsonrpc":"2.0","id":1,` + refusal + `},{"jsonrpc":"2.0","id":2,` + refusal + `}]`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	close(hold)
	working.Wait()
}

func TestServer_fillTransaction(t *testing.T) {
	c := newChain(t, nil)
	c.result("eth_sendRawTransaction", raw(t, pay(t, alice, 0, 0)))
	for _, tc := range []struct {
		name   string
		extra  map[string]any
		kind   uint8
		gas    uint64
		refuse string
	}{
		{"bare", nil, types.DynamicFeeTxType, 21000, ""},
		{"gas price", map[string]any{"gasPrice": "0x5"}, types.LegacyTxType, 21000, ""},
		{"access list", map[string]any{"gasPrice": "0x5", "accessList": []any{map[string]any{"address": addr(bob), "storageKeys": []any{}}}}, types.AccessListTxType, 23400, ""},
		{"own gas", map[string]any{"gas": "0x9999", "maxFeePerGas": "0x1"}, types.DynamicFeeTxType, 0x9999, ""},
		{"both fees", map[string]any{"gasPrice": "0x5", "maxFeePerGas": "0x1"}, 0, 0, "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"},
		{"creation of nothing", map[string]any{"to": nil}, 0, 0, "contract creation without any data provided"},
		{"creation", map[string]any{"to": nil, "value": nil, "data": hexutil.Bytes(creation(t, 1))}, types.DynamicFeeTxType, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := map[string]any{"from": addr(alice), "to": addr(bob), "value": "0x1"}
			maps.Copy(args, tc.extra)
			a := c.call("eth_fillTransaction", args)
			if tc.refuse != "" {
				if a.Error == nil || !strings.Contains(a.Error.Message, tc.refuse) {
					t.Errorf("got %+v, want %q", a, tc.refuse)
				}
				return
			}
			var filled struct{ Raw hexutil.Bytes }
			must(t, json.Unmarshal(a.Result, &filled))
			var tx types.Transaction
			must(t, tx.UnmarshalBinary(filled.Raw))
			if tc.name == "creation" { // needs what it happens to need
				if tx.To() != nil || tx.Gas() < 53_000 || tx.Nonce() != 1 {
					t.Errorf("got to %v, nonce %d, gas %d", tx.To(), tx.Nonce(), tx.Gas())
				}
				return
			}
			if tx.Type() != tc.kind || tx.Nonce() != 1 || tx.Gas() != tc.gas || *tx.To() != addr(bob) {
				t.Errorf("got type %d, nonce %d, gas %d", tx.Type(), tx.Nonce(), tx.Gas())
			}
		})
	}
}
