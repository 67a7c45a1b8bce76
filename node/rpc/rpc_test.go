package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/node/rpc"
)

func TestServer_constantAnswers(t *testing.T) {
	c := newChain(t, nil)
	for range 3 {
		c.execute()
	}
	zero32 := `"0x` + strings.Repeat("0", 64) + `"`
	to := map[string]any{"from": addr(alice), "to": addr(bob), "value": "0x1"}
	for _, tc := range []struct {
		method string
		params []any
		want   string
	}{
		{"web3_clientVersion", nil, `"tercet/test"`},
		{"web3_sha3", []any{"0x68656c6c6f20776f726c64"}, `"0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad"`},
		{"net_version", nil, `"7357"`},
		{"net_listening", nil, `true`},
		{"net_peerCount", nil, `"0x3"`},
		{"eth_chainId", nil, `"0x1cbd"`},
		{"eth_syncing", nil, `false`},
		{"eth_accounts", nil, `[]`},
		{"eth_blockNumber", nil, `"0x3"`},
		{"eth_gasPrice", nil, `"0x0"`},
		{"eth_maxPriorityFeePerGas", nil, `"0x0"`},
		{"eth_getBlockByNumber", []any{"0x4", false}, `null`},
		{"eth_getBlockByHash", []any{common.Hash{1}, false}, `null`},
		{"eth_getBlockReceipts", []any{"latest"}, `[]`},
		{"eth_getBlockReceipts", []any{"0x9"}, `null`},
		{"eth_getBlockTransactionCountByNumber", []any{"latest"}, `"0x0"`},
		{"eth_getBlockTransactionCountByNumber", []any{"0x9"}, `null`},
		{"eth_getBlockTransactionCountByHash", []any{c.parent.Hash()}, `"0x0"`},
		{"eth_getUncleCountByBlockNumber", []any{"latest"}, `"0x0"`},
		{"eth_getUncleCountByBlockHash", []any{c.parent.Hash()}, `"0x0"`},
		{"eth_getUncleByBlockNumberAndIndex", []any{"latest", "0x0"}, `null`},
		{"eth_getUncleByBlockHashAndIndex", []any{c.parent.Hash(), "0x0"}, `null`},
		{"eth_getTransactionByHash", []any{common.Hash{1}}, `null`},
		{"eth_getTransactionReceipt", []any{common.Hash{1}}, `null`},
		{"eth_getTransactionByBlockNumberAndIndex", []any{"latest", "0x0"}, `null`},
		{"eth_getTransactionByBlockHashAndIndex", []any{c.parent.Hash(), "0x0"}, `null`},
		{"eth_getBalance", []any{addr(bob), "latest"}, `"0xde0b6b3a7640000"`},
		{"eth_getBalance", []any{addr(bob)}, `"0xde0b6b3a7640000"`},
		{"eth_getBalance", []any{addr(bob), map[string]any{"blockHash": c.parent.Hash()}}, `"0xde0b6b3a7640000"`},
		{"eth_getBalance", []any{addr(bob), map[string]any{"blockNumber": "0x1"}}, `"0xde0b6b3a7640000"`},
		{"eth_getTransactionCount", []any{addr(bob), "safe"}, `"0x0"`},
		{"eth_getCode", []any{addr(bob), "latest"}, `"0x"`},
		{"eth_getStorageAt", []any{addr(bob), "0x0", "latest"}, zero32},
		{"eth_call", []any{to, "latest"}, `"0x"`},
		{"eth_call", []any{map[string]any{"to": addr(bob), "data": "0x12345678", "input": "0x12345678"}}, `"0x"`},
		{"eth_call", []any{map[string]any{"from": addr(carol), "to": addr(bob), "value": "0x1"}, "latest", map[string]any{addr(carol).Hex(): map[string]any{"balance": "0x1"}}}, `"0x"`},
		{"eth_estimateGas", []any{to}, `"0x5208"`},
		{"eth_estimateGas", []any{map[string]any{"to": addr(bob), "data": "0x00ff"}, "latest"}, `"0x521c"`},
		{"eth_createAccessList", []any{to}, `{"accessList":[],"gasUsed":"0x5208"}`},
		{"eth_feeHistory", []any{"0x2", "latest", []float64{10, 50}}, `{"oldestBlock":"0x2","reward":[["0x0","0x0"],["0x0","0x0"]],"baseFeePerGas":["0x0","0x0","0x0"],"gasUsedRatio":[0,0]}`},
		{"eth_feeHistory", []any{4, "latest", nil}, `{"oldestBlock":"0x0","baseFeePerGas":["0x0","0x0","0x0","0x0","0x0"],"gasUsedRatio":[0,0,0,0]}`},
		{"eth_getLogs", []any{map[string]any{"fromBlock": "0x0", "toBlock": "latest", "address": addr(bob), "topics": []any{nil, []any{common.Hash{1}}}}}, `[]`},
		{"txpool_status", nil, `{"pending":"0x0","queued":"0x0"}`},
		{"txpool_content", nil, `{"pending":{},"queued":{}}`},
		{"rpc_modules", nil, `{"debug":"1.0","erigon":"1.0","eth":"1.0","net":"1.0","ots":"1.0","rpc":"1.0","tercet":"1.0","txpool":"1.0","web3":"1.0"}`},
	} {
		t.Run(tc.method, func(t *testing.T) {
			if got := c.result(tc.method, tc.params...); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestServer_syncing(t *testing.T) {
	c := newChain(t, func(c *chain, _ *rpc.Config) { c.syncing = true })
	if got, want := c.result("eth_syncing"), `{"currentBlock":"0x0","highestBlock":"0x3e8","startingBlock":"0x0"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestServer_badInput(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.MaxBodyBytes, cfg.MaxBatch, cfg.MaxLogRange = 3<<20, 3, 2 })
	for range 5 {
		c.execute()
	}
	held := pay(t, alice, 0, 2)
	c.result("eth_sendRawTransaction", raw(t, held))
	send := func(tx *types.Transaction) []any { return []any{raw(t, tx)} }
	other := types.MustSignNewTx(alice, types.LatestSignerForChainID(big.NewInt(1)), &types.DynamicFeeTx{ChainID: big.NewInt(1), Gas: 21000, To: &common.Address{}})
	unprotected := types.MustSignNewTx(alice, types.HomesteadSigner{}, &types.LegacyTx{Gas: 21000, To: &common.Address{}})
	v, r, s := held.RawSignatureValues()
	n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	resigned := func(v, r, s *big.Int) *types.Transaction {
		return types.NewTx(&types.DynamicFeeTx{
			ChainID: held.ChainId(), Nonce: 0, Gas: held.Gas(), GasTipCap: held.GasTipCap(), GasFeeCap: held.GasFeeCap(),
			To: held.To(), Value: held.Value(), Data: held.Data(), V: v, R: r, S: s,
		})
	}
	bob1 := addr(bob)
	for _, tc := range []struct {
		name   string
		method string
		params []any
		code   int
		text   string
	}{
		{"too many slots", "tercet_getProof", []any{bob1, nil, make([]string, 257)}, -32602, "257 slots, at most 256 are proved at a time"},
		{"slot that is none", "tercet_getProof", []any{bob1, nil, []string{"0xzz"}}, -32602, "invalid hex in storage key"},
		{"unknown method", "eth_fly", nil, -32601, "the method eth_fly does not exist/is not available"},
		{"missing parameter", "eth_getBalance", nil, -32602, "missing value for required argument 0"},
		{"malformed address", "eth_getBalance", []any{"0x12", "latest"}, -32602, "invalid argument 0: hex string has length 2, want 40 for common.Address"},
		{"unknown tag", "eth_getBalance", []any{bob1, "newest"}, -32602, "invalid argument 1: hex string without 0x prefix"},
		{"block above the head", "eth_getBalance", []any{bob1, "0x99"}, -32000, "header not found"},
		{"unknown block hash", "eth_getBalance", []any{bob1, map[string]any{"blockHash": common.Hash{1}}}, -32000, "header for hash not found"},
		{"bytes that are no transaction", "eth_sendRawTransaction", []any{"0x1234"}, -32000, "transaction type not valid"},
		{"no bytes", "eth_sendRawTransaction", []any{"0x"}, -32000, "unexpected EOF"},
		{"truncated transaction", "eth_sendRawTransaction", []any{raw(t, held)[:60]}, -32000, "rlp: value size exceeds available input length"},
		{"wrong chain id", "eth_sendRawTransaction", send(other), -32000, "invalid chain id for signer: have 1 want 7357"},
		{"no replay protection", "eth_sendRawTransaction", send(unprotected), -32000, "only replay-protected (EIP-155) transactions allowed over RPC"},
		{"bad signature", "eth_sendRawTransaction", send(resigned(v, r, big.NewInt(0))), -32000, "invalid sender: invalid transaction v, r, s values"},
		{"high s", "eth_sendRawTransaction", send(resigned(new(big.Int).Sub(big.NewInt(1), v), r, new(big.Int).Sub(n, s))), -32000, "invalid sender: invalid transaction v, r, s values"},
		{"already known", "eth_sendRawTransaction", send(held), -32000, "already known"},
		{"underpriced replacement", "eth_sendRawTransaction", send(sign(t, alice, &types.LegacyTx{Gas: 21000, GasPrice: big.NewInt(1), To: &bob1})), -32000, "replacement transaction underpriced"},
		{"nonce far too high", "eth_sendRawTransaction", send(pay(t, bob, 5000, 0)), -32000, "nonce too high: tx nonce 5000, gapped nonce 0"},
		{"value above the balance", "eth_sendRawTransaction", send(pay(t, carol, 0, 0)), -32000, "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1"},
		{"too little gas", "eth_sendRawTransaction", send(sign(t, bob, &types.LegacyTx{Gas: 20000, To: &bob1})), -32000, "intrinsic gas too low: gas 20000, minimum needed 21000"},
		{"too much gas", "eth_sendRawTransaction", send(sign(t, bob, &types.LegacyTx{Gas: 60_000_000, To: &bob1})), -32000, "transaction gas limit too high (cap: 50000000, tx: 60000000)"},
		{"oversized creation", "eth_sendRawTransaction", send(sign(t, bob, &types.LegacyTx{Gas: 5_000_000, Data: make([]byte, ledger.MaxInitCodeBytes+1)})), -32000, "max initcode size exceeded: code size "},
		{"creation with too little gas", "eth_sendRawTransaction", send(sign(t, bob, &types.LegacyTx{Gas: 52_999})), -32000, "intrinsic gas too low: gas 52999, minimum needed 53000"},
		{"oversized transaction", "eth_sendRawTransaction", send(sign(t, bob, &types.LegacyTx{Gas: 50_000_000, To: &bob1, Data: make([]byte, 1<<20)})), -32000, "oversized data: transaction size 1048"},
		{"data and input differ", "eth_call", []any{map[string]any{"to": bob1, "data": "0x60", "input": "0x61"}}, -32000, `both "data" and "input" are set and not equal`},
		{"call beyond the balance", "eth_call", []any{map[string]any{"from": addr(carol), "to": bob1, "value": "0x1"}}, -32000, "err: insufficient funds for gas * price + value: address " + addr(carol).Hex() + " have 0 want 1 (supplied gas 50000000)"},
		{"call with too little gas", "eth_call", []any{map[string]any{"to": bob1, "gas": "0x1"}}, -32000, "err: intrinsic gas too low: have 1, want 21000 (supplied gas 1)"},
		{"estimate beyond the balance", "eth_estimateGas", []any{map[string]any{"from": addr(carol), "to": bob1, "value": "0x1"}}, -32000, "insufficient funds for transfer"},
		{"estimate with too little gas", "eth_estimateGas", []any{map[string]any{"to": bob1, "gas": "0x1"}}, -32000, "gas required exceeds allowance (1)"},
		{"percentile", "eth_feeHistory", []any{"0x1", "latest", []float64{101}}, -32000, "invalid reward percentile: 101.000000"},
		{"fees beyond the head", "eth_feeHistory", []any{"0x1", "0x99", nil}, -32000, "request beyond head block: requested 153, head 5"},
		{"reversed range", "eth_getLogs", []any{map[string]any{"fromBlock": "0x2", "toBlock": "0x1"}}, -32602, "invalid block range params"},
		{"wide range", "eth_getLogs", []any{map[string]any{"fromBlock": "0x0", "toBlock": "0x2"}}, -32005, "query exceeds the limit of 2 blocks"},
		{"five topics", "eth_getLogs", []any{map[string]any{"topics": []any{nil, nil, nil, nil, nil}}}, -32602, "exceed max topics"},
		{"logs of an unknown block", "eth_getLogs", []any{map[string]any{"blockHash": common.Hash{1}}}, -32000, "unknown block"},
		{"storage key", "eth_getStorageAt", []any{bob1, "0x" + strings.Repeat("0", 66), "latest"}, -32602, "storage key too long (want at most 32 bytes)"},
		{"unknown filter", "eth_getFilterChanges", []any{"0x1"}, -32000, "filter not found"},
		{"proof of an uncertified block", "tercet_getProof", []any{bob1, "0x2"}, -32000, "block 2 is not certified yet"},
		{"timeout of nothing", "eth_sendRawTransactionSync", []any{raw(t, pay(t, bob, 0, 0)), 0}, -32602, "timeout must be a positive number"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := c.call(tc.method, tc.params...)
			if a.Error == nil {
				t.Fatalf("got %s, want an error", a.Result)
			}
			if a.Error.Code != tc.code || !strings.Contains(a.Error.Message, tc.text) {
				t.Errorf("got %d %q, want %d %q", a.Error.Code, a.Error.Message, tc.code, tc.text)
			}
		})
	}
}

func TestServer_badRequest(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) { cfg.MaxBodyBytes, cfg.MaxBatch = 3<<20, 3 })
	item := `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`
	for _, tc := range []struct {
		name   string
		body   string
		status int
		want   string
	}{
		{"malformed JSON", `{"jsonrpc":`, 200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
		{"batch too large", "[" + strings.Repeat(item+",", 3) + item + "]", 200, `"message":"batch too large"`},
		{"empty batch", `[]`, 200, `{"code":-32600,"message":"empty batch"}`},
		{"batch", " [" + item + "," + item + "]", 200, `"result":"0x1cbd"},{`},
		{"body too large", `{"x":"` + strings.Repeat("a", 3<<20) + `"}`, 413, "content length too large"},
		{"large body", `{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":["0x` + strings.Repeat("00", 1<<20) + `"]}`, 200, `"result":"0x`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, body := c.post("/", tc.body)
			if status != tc.status || !strings.Contains(string(body), tc.want) {
				t.Errorf("got %d %q, want %d %q", status, body[:min(len(body), 300)], tc.status, tc.want)
			}
		})
	}
}

func TestServer_hostsAndOrigins(t *testing.T) {
	c := newChain(t, func(_ *chain, cfg *rpc.Config) {
		cfg.Hosts, cfg.CORS = []string{"node.example"}, []string{"https://wallet.example"}
	})
	for _, tc := range []struct {
		name, method, host, origin string
		status                     int
		allowed                    string
	}{
		{"ip", "POST", "127.0.0.1:8545", "", 200, ""},
		{"ipv6", "POST", "[::1]:8545", "", 200, ""},
		{"localhost", "POST", "localhost:1", "", 200, ""},
		{"configured name", "POST", "Node.Example", "", 200, ""},
		{"another name", "POST", "evil.example:8545", "", 403, ""},
		{"configured origin", "POST", "localhost", "https://wallet.example", 200, "https://wallet.example"},
		{"another origin", "POST", "localhost", "https://evil.example", 200, ""},
		{"preflight", "OPTIONS", "localhost", "https://wallet.example", 204, "https://wallet.example"},
		{"refused preflight", "OPTIONS", "localhost", "https://evil.example", 204, ""},
		{"health", "GET", "localhost", "", 200, ""},
		{"deletion", "DELETE", "localhost", "", 405, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`
			if tc.method != "POST" {
				body = ""
			}
			r, err := http.NewRequestWithContext(t.Context(), tc.method, c.url, strings.NewReader(body))
			must(t, err)
			r.Host = tc.host
			r.Header.Set("Content-Type", "application/json")
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			resp, err := c.http.Do(r)
			must(t, err)
			must(t, resp.Body.Close())
			if got := resp.Header.Get("Access-Control-Allow-Origin"); resp.StatusCode != tc.status || got != tc.allowed {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, got, tc.status, tc.allowed)
			}
		})
	}
}

func TestNew_namesAPortConflict(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	c := newChain(t, nil)
	_, err = rpc.New(rpc.Config{Genesis: c.genesis, Store: c.store, State: c.state, Pool: c.pool, Chain: c, Contracts: c.engine, Listen: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "listening for JSON-RPC on "+l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func keys(m map[string]any) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

func TestServer_fieldsAreTheSpecifications(t *testing.T) {
	c := newChain(t, nil)
	txs := []*types.Transaction{pay(t, alice, 0, 0), pay(t, alice, 1, 1), pay(t, alice, 2, 2)}
	block := c.execute(decoded(t, txs[0]), decoded(t, txs[1]), decoded(t, txs[2]))
	const common = "blockHash blockNumber blockTimestamp chainId from gas gasPrice hash input nonce r s to transactionIndex type v value"
	wants := []string{
		common,
		"accessList " + common + " yParity",
		"accessList " + common + " maxFeePerGas maxPriorityFeePerGas yParity",
	}
	for i, tx := range txs {
		got := c.fields("eth_getTransactionByHash", tx.Hash())
		want := strings.Fields(wants[i])
		slices.Sort(want)
		if keys(got) != strings.Join(want, " ") {
			t.Errorf("type %d: got %s, want %s", i, keys(got), want)
		}
		receipt := c.fields("eth_getTransactionReceipt", tx.Hash())
		if got, want := keys(receipt), "blockHash blockNumber contractAddress cumulativeGasUsed effectiveGasPrice from gasUsed logs logsBloom status to transactionHash transactionIndex type"; got != want {
			t.Errorf("receipt: got %s, want %s", got, want)
		}
		if receipt["status"] != "0x1" || receipt["effectiveGasPrice"] != "0x0" || receipt["type"] != fmt.Sprintf("0x%d", i) || receipt["contractAddress"] != nil {
			t.Errorf("receipt %v", receipt)
		}
	}
	for _, full := range []bool{false, true} {
		got := c.fields("eth_getBlockByNumber", "latest", full)
		if keys(got) != "baseFeePerGas difficulty extraData gasLimit gasUsed hash logsBloom miner mixHash nonce number parentHash receiptsRoot sha3Uncles size stateRoot timestamp timestampMs transactions transactionsRoot uncles" {
			t.Errorf("block fields %s", keys(got))
		}
		if got["hash"] != block.Header.Hash().Hex() || got["timestampMs"] != hexutil.EncodeUint64(genesisMs+60) {
			t.Errorf("block %v", got)
		}
	}
	var inners []*types.Transaction
	inners = append(inners, txs...)
	want := types.NewBlockWithHeader(block.Header).WithBody(types.Body{Transactions: inners}).Size()
	if got := c.fields("eth_getBlockByNumber", "latest", true)["size"]; got != hexutil.EncodeUint64(want) {
		t.Errorf("size %v, want %d", got, want)
	}
}

func TestServer_ethclientAgrees(t *testing.T) {
	c := newChain(t, nil)
	c.execute()
	block := c.execute(decoded(t, pay(t, alice, 0, 0)), decoded(t, pay(t, alice, 1, 1)), decoded(t, pay(t, bob, 0, 2)))
	c.execute()
	client, err := ethclient.DialContext(t.Context(), c.url)
	must(t, err)
	defer client.Close()
	for height := range int64(4) {
		b, err := client.BlockByNumber(t.Context(), big.NewInt(height))
		must(t, err)
		raw := c.fields("eth_getBlockByNumber", hexutil.EncodeUint64(uint64(height)), false)
		if b.Hash().Hex() != raw["hash"] {
			t.Errorf("block %d: the client computes %s, we say %s", height, b.Hash(), raw["hash"])
		}
	}
	got, err := client.BlockByHash(t.Context(), block.Header.Hash())
	must(t, err)
	if got.Hash() != block.Header.Hash() || len(got.Transactions()) != 3 {
		t.Errorf("got %s with %d transactions", got.Hash(), len(got.Transactions()))
	}
	for i, tx := range got.Transactions() {
		if tx.Hash() != block.Transactions[i].Hash() {
			t.Errorf("transaction %d is %s, want %s", i, tx.Hash(), block.Transactions[i].Hash())
		}
		receipt, err := client.TransactionReceipt(t.Context(), tx.Hash())
		must(t, err)
		if receipt.BlockHash != got.Hash() || receipt.TransactionIndex != uint(i) || receipt.Status != 1 {
			t.Errorf("receipt %+v", receipt)
		}
	}
	receipts, err := client.BlockReceipts(t.Context(), rpcNumber(2))
	must(t, err)
	if len(receipts) != 3 || receipts[2].CumulativeGasUsed != block.Header.GasUsed {
		t.Errorf("got %d receipts", len(receipts))
	}
	if head, err := client.HeaderByNumber(t.Context(), nil); err != nil || head.Hash() != c.parent.Hash() {
		t.Errorf("head %v, %v", head, err)
	}
	must(t, client.SendTransaction(t.Context(), pay(t, bob, 1, 2)))
	if n, err := client.PendingNonceAt(t.Context(), addr(bob)); err != nil || n != 2 {
		t.Errorf("pending nonce %d, %v", n, err)
	}
	if pending, err := client.PendingTransactionCount(t.Context()); err != nil || pending != 1 {
		t.Errorf("%d pending transactions, %v", pending, err)
	}
	if tx, isPending, err := client.TransactionByHash(t.Context(), pay(t, bob, 1, 2).Hash()); err != nil || !isPending || tx.Nonce() != 1 {
		t.Errorf("got %v, %t, %v", tx, isPending, err)
	}
}

func TestServer_readsOldStates(t *testing.T) {
	c := newChain(t, nil)
	for n := range uint64(300) {
		c.execute(decoded(t, pay(t, alice, n, 0)))
	}
	if got := c.result("eth_getTransactionCount", addr(alice), "latest"); got != `"0x12c"` {
		t.Errorf("got %s", got)
	}
	if got := c.result("eth_getTransactionCount", addr(alice), "0x64"); got != `"0x64"` {
		t.Errorf("got %s", got)
	}
	if a := c.call("eth_getTransactionCount", addr(alice), "earliest"); a.Error == nil || !strings.Contains(a.Error.Message, "historical state is not available at block 0: this node keeps the states of blocks from 44 on") {
		t.Errorf("got %+v", a)
	}
	// The first blocks are not in memory any more.
	if got := c.fields("eth_getTransactionByHash", pay(t, alice, 0, 0).Hash())["blockNumber"]; got != "0x1" {
		t.Errorf("got %v", got)
	}
	if got := c.fields("eth_getBlockByNumber", "0x2", true)["number"]; got != "0x2" {
		t.Errorf("got %v", got)
	}
}

func TestServer_finalityAndProof(t *testing.T) {
	c := newChain(t, nil)
	c.execute(decoded(t, pay(t, alice, 0, 0)))
	c.execute()
	cert := c.certify()
	c.execute(decoded(t, pay(t, alice, 1, 0)))
	if got := c.fields("eth_getBlockByNumber", "finalized", false)["number"]; got != "0x2" {
		t.Errorf("finalized is %v", got)
	}
	f := c.fields("tercet_getFinality", "0x1")
	certificate := f["certificate"].(map[string]any)
	if certificate["height"] != "0x2" || f["finalization"].(map[string]any)["data"] != "0xf101" {
		t.Errorf("got %v", f)
	}
	if f := c.fields("tercet_getFinality", "latest"); f["certificate"] != nil {
		t.Errorf("got %v", f)
	}
	got, err := ledger.DecodeExecCert(hexutil.MustDecode(certificate["data"].(string)))
	must(t, err)
	must(t, got.Verify(chainID, c.genesisHash(), c.genesis.ValidatorAddresses(), 1))
	for _, tc := range []struct {
		name    string
		address common.Address
		nonce   string
	}{{"present", addr(alice), "0x1"}, {"absent", addr(carol), "0x0"}} {
		t.Run(tc.name, func(t *testing.T) {
			var p struct {
				Height              hexutil.Uint64
				StateRoot           common.Hash
				Nonce               string
				Key, Value          hexutil.Bytes
				Member, Left, Right *struct {
					Key, Value hexutil.Bytes
					Siblings   []common.Hash
				}
			}
			must(t, json.Unmarshal([]byte(c.result("tercet_getProof", tc.address)), &p))
			if p.Height != 2 || p.StateRoot != cert.StateRoot || p.Nonce != tc.nonce {
				t.Errorf("got %+v", p)
			}
			proof := state.Proof{Height: 2, Key: p.Key}
			for _, o := range []struct {
				from *struct {
					Key, Value hexutil.Bytes
					Siblings   []common.Hash
				}
				to **state.Opening
			}{{p.Member, &proof.Member}, {p.Left, &proof.Left}, {p.Right, &proof.Right}} {
				if o.from != nil {
					*o.to = &state.Opening{Key: o.from.Key, Value: o.from.Value, Siblings: o.from.Siblings}
				}
			}
			must(t, proof.Verify(cert.StateRoot, ledger.AccountKey(tc.address), p.Value))
		})
	}
	status := c.fields("tercet_status")
	if status["height"] != 3.0 || status["certified"] != 2.0 || status["peers"] != 3.0 || status["genesisHash"] != c.genesisHash().Hex() {
		t.Errorf("status %v", status)
	}
}

func TestServer_transactionStatus(t *testing.T) {
	c := newChain(t, nil)
	executed, dropped, queued := pay(t, alice, 0, 0), pay(t, carol, 0, 0), pay(t, bob, 3, 0)
	c.execute(decoded(t, executed), decoded(t, dropped))
	c.result("eth_sendRawTransaction", raw(t, queued))
	for _, tc := range []struct {
		hash  common.Hash
		state string
	}{{executed.Hash(), "executed"}, {dropped.Hash(), "dropped"}, {queued.Hash(), "pending"}, {common.Hash{1}, "unknown"}} {
		if got := c.fields("tercet_transactionStatus", tc.hash); got["state"] != tc.state || tc.state != "executed" && got["reason"] == "" {
			t.Errorf("got %v, want %s", got, tc.state)
		}
	}
	if got := c.result("eth_getTransactionByHash", dropped.Hash()); got != "null" {
		t.Errorf("a dropped transaction: got %s", got)
	}
	content := c.fields("txpool_content")["queued"].(map[string]any)[addr(bob).Hex()].(map[string]any)
	if content["3"].(map[string]any)["hash"] != queued.Hash().Hex() {
		t.Errorf("content %v", content)
	}
	if got := c.fields("txpool_contentFrom", addr(bob)); len(got["queued"].(map[string]any)) != 1 {
		t.Errorf("got %v", got)
	}
	want := `{"pending":{},"queued":{"` + addr(bob).Hex() + `":{"3":"` + queued.To().Hex() + `: 1 wei + 21000 gas × 3 wei"}}}`
	if got := c.result("txpool_inspect"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestServer_filters(t *testing.T) {
	c := newChain(t, nil)
	c.execute()
	var id string
	must(t, json.Unmarshal([]byte(c.result("eth_newBlockFilter")), &id))
	if got := c.result("eth_getFilterChanges", id); got != "[]" {
		t.Errorf("got %s", got)
	}
	a, b := c.execute().Header.Hash(), c.execute().Header.Hash()
	if got, want := c.result("eth_getFilterChanges", id), fmt.Sprintf(`["%s","%s"]`, a, b); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := c.result("eth_uninstallFilter", id); got != "true" {
		t.Errorf("got %s", got)
	}
	must(t, json.Unmarshal([]byte(c.result("eth_newFilter", map[string]any{"address": addr(bob)})), &id))
	for _, method := range []string{"eth_getFilterChanges", "eth_getFilterLogs"} {
		if got := c.result(method, id); got != "[]" {
			t.Errorf("%s: got %s", method, got)
		}
	}
}

func TestServer_Run_stopsWithWaiters(t *testing.T) {
	c := newChain(t, nil)
	server, err := rpc.New(rpc.Config{
		Genesis: c.genesis, Store: c.store, State: c.state, Pool: c.pool, Chain: c, Contracts: c.engine, Listen: "127.0.0.1:0",
	})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	pending, end := c.pool.Subscribe()
	defer end()
	go func() {
		<-pending // the transaction arrived, its sender waits
		cancel()
	}()
	c.url = server.URL()
	a := c.call("eth_sendRawTransactionSync", raw(t, pay(t, alice, 0, 0)))
	if a.Error == nil || a.Error.Code != 4 {
		t.Errorf("got %+v, want the timeout", a)
	}
	must(t, <-done)
}

func TestServer_Run_stopsWithUnusedConnections(t *testing.T) {
	c := newChain(t, nil)
	server, err := rpc.New(rpc.Config{
		Genesis: c.genesis, Store: c.store, State: c.state, Pool: c.pool, Chain: c, Contracts: c.engine, Listen: "127.0.0.1:0",
	})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	unused, err := net.Dial("tcp", server.Addr().String())
	must(t, err)
	defer unused.Close()
	c.url = server.URL()
	c.result("eth_chainId") // accepted after it
	cancel()
	begun := time.Now()
	must(t, <-done)
	if took := time.Since(begun); took > 3*time.Second { // Shutdown alone takes 5
		t.Errorf("the server waits %s for a connection that nobody uses", took)
	}
}
