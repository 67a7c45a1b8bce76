package rpc_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/node/rpc"
)

// emit executes a transaction of alice, the only one of its block, that emits logs.
func (c *chain) emit(logs ...*types.Log) *types.Transaction {
	c.t.Helper()
	tx := pay(c.t, alice, c.state.Account(addr(alice)).Nonce, 2)
	c.amend = func(result *exec.Result) {
		r := result.Receipts[0]
		for i, l := range logs {
			l.BlockNumber, l.TxHash, l.Index = r.BlockNumber.Uint64(), r.TxHash, uint(i)
			l.BlockTimestamp = (genesisMs + 60*l.BlockNumber) / 1000
		}
		r.Logs = logs
		r.Bloom = types.CreateBloom(r)
	}
	c.execute(decoded(c.t, tx))
	c.amend = nil
	return tx
}

// topic is the word that ends with n.
func topic(n int64) common.Hash { return common.BigToHash(big.NewInt(n)) }

// logsOf are the data of the logs that a query finds: their names.
func logsOf(t testing.TB, result string) []string {
	t.Helper()
	var logs []struct{ Data hexutil.Bytes }
	must(t, json.Unmarshal([]byte(result), &logs))
	names := []string{}
	for _, l := range logs {
		names = append(names, string(l.Data))
	}
	return names
}

var (
	token = common.HexToAddress("0x7000000000000000000000000000000000000001")
	other = common.HexToAddress("0x7000000000000000000000000000000000000002")
)

// logChain is a chain of 400 blocks, so that the first ones are no longer in the server's memory.
func logChain(t *testing.T, change func(*chain, *rpc.Config)) *chain {
	c := newChain(t, change)
	c.emit(
		&types.Log{Address: token, Topics: []common.Hash{topic(1), topic(7)}, Data: []byte("a")},
		&types.Log{Address: other, Topics: []common.Hash{topic(1), topic(8), topic(9)}, Data: []byte("b")},
	)
	c.execute()
	c.emit(&types.Log{Address: token, Data: []byte("c")}, &types.Log{Address: token, Topics: []common.Hash{topic(7)}, Data: []byte("d")})
	for range 396 {
		c.execute()
	}
	c.emit(&types.Log{Address: other, Topics: []common.Hash{topic(1), topic(7), topic(1), topic(7)}, Data: []byte("e")}, &types.Log{Address: token, Data: []byte("f")})
	return c
}

func TestServer_getLogs(t *testing.T) {
	c := logChain(t, nil)
	first := c.fields("eth_getBlockByNumber", "0x1", false)["hash"]
	type q = map[string]any
	for _, tc := range []struct {
		name  string
		query q
		want  string
	}{
		{"everything", q{}, "abcdef"},
		{"an address", q{"address": token}, "acdf"},
		{"one of two addresses", q{"address": []any{token, other}}, "abcdef"},
		{"an address that emits nothing", q{"address": addr(bob)}, ""},
		{"a first topic", q{"topics": []any{topic(1)}}, "abe"},
		{"the second topic", q{"topics": []any{nil, topic(7)}}, "ae"},
		{"one of two topics", q{"topics": []any{[]any{topic(1), topic(7)}}}, "abde"},
		{"two positions", q{"topics": []any{topic(1), []any{topic(7), topic(9)}}}, "ae"},
		{"an address and a topic", q{"address": other, "topics": []any{topic(1), nil, topic(9)}}, "b"},
		{"any four topics", q{"topics": []any{nil, nil, nil, nil}}, "e"},
		{"an empty position is any", q{"topics": []any{[]any{}, topic(8)}}, "b"},
		{"a topic in another position", q{"topics": []any{topic(9)}}, ""},
		{"a block", q{"blockHash": first, "topics": []any{topic(1)}}, "ab"},
		{"the newest block", q{"fromBlock": "latest"}, "ef"},
		{"a range", q{"fromBlock": "0x2", "toBlock": "0x18f"}, "cd"},
		{"the genesis", q{"fromBlock": "earliest", "toBlock": "earliest"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, one := tc.query["blockHash"]; !one && tc.query["fromBlock"] == nil {
				tc.query["fromBlock"] = "0x0"
			}
			got := c.result("eth_getLogs", tc.query)
			if names := strings.Join(logsOf(t, got), ""); names != tc.want {
				t.Errorf("got %s, want %s", names, tc.want)
			}
			if strings.Contains(got, "null") {
				t.Errorf("a field is null: %s", got)
			}
		})
	}
}

// A log has the same fields in every answer, from memory and from the disk.
func TestServer_getLogs_fields(t *testing.T) {
	c := newChain(t, nil)
	c.execute()
	tx := c.emit(
		&types.Log{Address: token, Data: []byte{}},
		&types.Log{Address: token, Topics: []common.Hash{topic(1), topic(2)}, Data: []byte{0xca, 0xfe}},
	)
	hash := c.parent.Hash()
	want := fmt.Sprintf(`{"address":%q,"topics":[%q,%q],"data":"0xcafe","blockNumber":"0x2","transactionHash":%q,`+
		`"transactionIndex":"0x0","blockHash":%q,"blockTimestamp":"0x6553f100","logIndex":"0x1","removed":false}`,
		strings.ToLower(token.Hex()), topic(1), topic(2), tx.Hash(), hash)
	check := func() {
		t.Helper()
		if got := c.result("eth_getLogs", map[string]any{"blockHash": hash, "topics": []any{topic(1)}}); got != "["+want+"]" {
			t.Errorf("got  %s\nwant [%s]", got, want)
		}
		receipt := c.result("eth_getTransactionReceipt", tx.Hash())
		if !strings.Contains(receipt, `"topics":[]`) || !strings.Contains(receipt, ","+want+"]") {
			t.Errorf("the receipt has other logs: %s", receipt)
		}
		if got := c.result("eth_getBlockReceipts", hash); got != "["+receipt+"]" {
			t.Errorf("got %s, want [%s]", got, receipt)
		}
		var bloom struct{ LogsBloom types.Bloom }
		must(t, json.Unmarshal([]byte(receipt), &bloom))
		if block := c.fields("eth_getBlockByHash", hash, false); !bloom.LogsBloom.Test(token[:]) || block["logsBloom"] != hexutil.Encode(bloom.LogsBloom[:]) {
			t.Errorf("bloom %x, of the block %v", bloom.LogsBloom, block["logsBloom"])
		}
	}
	check()
	for range 300 {
		c.execute()
	}
	check()
}

// many are n logs, named by their number.
func many(n int) []*types.Log {
	logs := make([]*types.Log, n)
	for i := range logs {
		logs[i] = &types.Log{Address: token, Data: fmt.Append(nil, i)}
	}
	return logs
}

func TestServer_getLogs_tooMany(t *testing.T) {
	c := newChain(t, nil)
	c.emit(many(6000)...)
	c.emit(many(4000)...)
	c.emit(many(1)...)
	c.emit(many(12_000)...)
	query := func(from, to string) answer {
		return c.call("eth_getLogs", map[string]any{"fromBlock": from, "toBlock": to, "address": token})
	}
	a := query("0x1", "0x4")
	if a.Error == nil || a.Error.Code != -32005 || string(a.Error.Data) != `{"from":"0x1","to":"0x2"}` ||
		a.Error.Message != "query returned more than 10000 results or takes too long. Try with this block range [0x1, 0x2]." {
		t.Errorf("got %+v", a.Error)
	}
	// Whoever asks as told gets everything.
	for from, tc := range map[string]struct {
		to   string
		want int
	}{"0x1": {"0x2", 10_000}, "0x3": {"0x3", 1}, "0x4": {"0x4", 12_000}} {
		a := query(from, tc.to)
		if a.Error != nil {
			t.Fatalf("from %s: %+v", from, a.Error)
		}
		if got := len(logsOf(t, string(a.Result))); got != tc.want {
			t.Errorf("from %s: got %d logs, want %d", from, got, tc.want)
		}
	}
	c.emit(many(100_001)...)
	if a := query("0x5", "0x5"); a.Error == nil || a.Error.Code != -32005 || !strings.Contains(a.Error.Message, "more than 100000 logs of block 5 match") {
		t.Errorf("got %+v", a.Error)
	}
	if a := c.call("eth_getBlockReceipts", "0x5"); a.Error == nil || a.Error.Code != -32005 || !strings.Contains(a.Error.Message, "block 5 has 100001 logs") {
		t.Errorf("got %+v", a.Error)
	}
}

func TestServer_logFilters(t *testing.T) {
	c := newChain(t, nil)
	c.emit(&types.Log{Address: token, Data: []byte("before")})
	install := func(query map[string]any) (id string) {
		must(t, json.Unmarshal([]byte(c.result("eth_newFilter", query)), &id))
		return id
	}
	all, some, late := install(map[string]any{"address": token, "fromBlock": "0x0"}), install(map[string]any{"topics": []any{topic(1)}}),
		install(map[string]any{"fromBlock": "0x3", "toBlock": "0x3"})
	expect := func(method, id string, want ...string) {
		t.Helper()
		if got := logsOf(t, c.result(method, id)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", method, got, want)
		}
	}
	expect("eth_getFilterChanges", all)
	c.emit(&types.Log{Address: token, Data: []byte("2a")}, &types.Log{Address: other, Topics: []common.Hash{topic(1)}, Data: []byte("2b")})
	c.emit(&types.Log{Address: other, Data: []byte("3")})
	expect("eth_getFilterChanges", all, "2a")
	expect("eth_getFilterChanges", all)
	expect("eth_getFilterChanges", some, "2b")
	expect("eth_getFilterLogs", all, "before", "2a")
	c.emit(&types.Log{Address: token, Topics: []common.Hash{topic(1)}, Data: []byte("4")})
	expect("eth_getFilterChanges", all, "4")
	expect("eth_getFilterChanges", some, "4")
	expect("eth_getFilterChanges", late, "3")

	// What does not fit into one answer comes with the next.
	c.emit(many(9000)...)
	c.emit(many(2000)...)
	for _, want := range []int{9000, 2000, 0} {
		if got := len(logsOf(t, c.result("eth_getFilterChanges", all))); got != want {
			t.Errorf("got %d logs, want %d", got, want)
		}
	}
}

// Answers of more than a megabyte have their own places: who reads slowly takes none from the others.
func TestServer_largeAnswers(t *testing.T) {
	c := newChain(t, nil)
	large := c.emit(&types.Log{Address: token, Data: make([]byte, 1<<20)})
	c.execute()
	small := c.emit(&types.Log{Address: token, Data: []byte("small")})
	all := map[string]any{"fromBlock": "0x0"}
	var id string
	must(t, json.Unmarshal([]byte(c.result("eth_newFilter", all)), &id))
	requests := map[string]any{"eth_getTransactionReceipt": large.Hash(), "eth_getBlockReceipts": "0x1", "eth_getLogs": all, "eth_getFilterLogs": id}
	release := c.server.HoldLargeAnswers()
	var asking sync.WaitGroup
	for method, param := range requests {
		asking.Go(func() {
			a := c.call(method, param)
			if a.Error == nil || a.Error.Code != -32005 || a.Error.Message != "server is busy: 8 answers of more than 1048576 bytes are on their way" {
				t.Errorf("%s: got %+v", method, a.Error)
			}
		})
	}
	asking.Wait()
	c.result("eth_getTransactionReceipt", small.Hash())
	c.result("eth_getLogs", map[string]any{"fromBlock": "0x2"})
	release()
	for method, param := range requests {
		if got := c.result(method, param); len(got) < 2<<20 {
			t.Errorf("%s: got %d bytes", method, len(got))
		}
	}
}

// Clients who do not read their answers keep no processor busy, neither those of the machine nor the turns of others.
func TestServer_slowReaders(t *testing.T) {
	c := newChain(t, nil)
	c.emit(&types.Log{Address: token, Data: make([]byte, 8<<20)})
	question := `{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0"}]}`
	for range 4 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.server.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() }) // nothing more is sent
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(question), question)
		must(t, err)
		_, err = conn.Read(make([]byte, 1)) // the answer is on its way
		must(t, err)
	}
	c.result("eth_blockNumber")
	c.result("eth_getLogs", map[string]any{"fromBlock": "0x0", "address": other})
}
