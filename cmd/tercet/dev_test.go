package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

const (
	alice    = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	aliceKey = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
	stranger = "0x00000000000000000000000000000000000000aa"
)

// devChain is a "tercet dev" in a process of its own.
type devChain struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	log bytes.Buffer // read when the process has ended
}

// startDev starts a development chain in a directory; an empty one is a temporary directory of its own.
func startDev(t *testing.T, dir string) *devChain {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	program, err := exec.LookPath("tercet") // testscript put it on the PATH
	if err != nil {
		t.Fatal(err)
	}
	d := &devChain{t: t}
	args := []string{"dev", "--port", "0"}
	if dir != "" {
		args = append(args, "--dir", dir)
	}
	d.cmd = exec.Command(program, args...)
	d.cmd.Stderr = &d.log
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ready.") {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 && fields[0] == "RPC" {
			d.url = fields[1]
		}
	}
	if d.url == "" {
		d.kill()
		t.Fatalf("tercet dev said no URL: %s", d.log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until the process ends
	return d
}

// kill ends the process as a power cut would.
func (d *devChain) kill() {
	_ = d.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	_ = d.cmd.Wait()                          // killed
}

type rpcError struct {
	Code    int
	Message string
}

func (e *rpcError) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Message) }

// ask calls a method.
func (d *devChain) ask(method string, params ...any) (string, error) {
	d.t.Helper()
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *rpcError
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	if answer.Error != nil {
		return "", answer.Error
	}
	return string(answer.Result), nil
}

// get is ask for what succeeds.
func (d *devChain) get(method string, params ...any) string {
	d.t.Helper()
	result, err := d.ask(method, params...)
	if err != nil {
		d.t.Fatalf("%s %v: %v", method, params, err)
	}
	return result
}

func (d *devChain) number(method string, params ...any) uint64 {
	d.t.Helper()
	var n hexutil.Uint64
	if err := json.Unmarshal([]byte(d.get(method, params...)), &n); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
	return uint64(n)
}

func (d *devChain) height() uint64 { d.t.Helper(); return d.number("eth_blockNumber") }

// header returns the newest block's time and hash.
func (d *devChain) header() (unix uint64, hash string) {
	d.t.Helper()
	var b struct {
		Timestamp hexutil.Uint64
		Hash      string
	}
	if err := json.Unmarshal([]byte(d.get("eth_getBlockByNumber", "latest", false)), &b); err != nil {
		d.t.Fatal(err)
	}
	return uint64(b.Timestamp), b.Hash
}

// pay sends wei from alice and returns the transaction when it is executed.
func (d *devChain) pay(wei int64) string {
	d.t.Helper()
	key, err := crypto.HexToECDSA(aliceKey)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.get("eth_sendRawTransactionSync", d.signed(key, d.number("eth_getTransactionCount", alice, "latest"), wei))
}

func (d *devChain) signed(key *ecdsa.PrivateKey, nonce uint64, wei int64) string {
	d.t.Helper()
	to := [20]byte(hexutil.MustDecode(stranger))
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(31337)), &types.DynamicFeeTx{
		ChainID: big.NewInt(31337), Nonce: nonce, Gas: 21_000, To: (*common.Address)(&to), Value: big.NewInt(wei),
		GasFeeCap: new(big.Int), GasTipCap: new(big.Int),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		d.t.Fatal(err)
	}
	return hexutil.Encode(raw)
}

func (d *devChain) balance(address string) string {
	d.t.Helper()
	return d.get("eth_getBalance", address, "latest")
}

// TestDev_edits asks for the edits as ethers, viem, Hardhat and cast write them.
func TestDev_edits(t *testing.T) {
	d := startDev(t, "")
	contract, err := os.ReadFile("../../contracts/examples/notary/contract.wasm")
	if err != nil {
		t.Fatal(err)
	}
	slot5 := "0x" + strings.Repeat("0", 63) + "5"
	for _, tc := range []struct {
		method string
		params []any
		want   string
		asked  string
		about  []any
		found  string
	}{
		{"hardhat_setBalance", []any{stranger, "0x56bc75e2d63100000"}, "true", "eth_getBalance", []any{stranger, "latest"}, `"0x56bc75e2d63100000"`},
		{"anvil_setBalance", []any{stranger, 7}, "null", "eth_getBalance", []any{stranger, "latest"}, `"0x7"`},
		{"anvil_setBalance", []any{stranger, "1000000000000000000000"}, "null", "eth_getBalance", []any{stranger, "latest"}, `"0x3635c9adc5dea00000"`},
		{"anvil_setBalance", []any{stranger, "0x0"}, "null", "eth_getBalance", []any{stranger, "latest"}, `"0x0"`},
		{"hardhat_setNonce", []any{stranger, "0x9"}, "true", "eth_getTransactionCount", []any{stranger, "pending"}, `"0x9"`},
		{"anvil_setNonce", []any{stranger, 12}, "null", "eth_getTransactionCount", []any{stranger, "latest"}, `"0xc"`},
		{"hardhat_setStorageAt", []any{stranger, "0x0", slot5}, "true", "eth_getStorageAt", []any{stranger, "0x0", "latest"}, `"` + slot5 + `"`},
		{"anvil_setStorageAt", []any{stranger, slot5, "0x" + strings.Repeat("0", 64)}, "null", "eth_getStorageAt", []any{stranger, "0x5", "latest"}, `"0x` + strings.Repeat("0", 64) + `"`},
		{"hardhat_setCode", []any{stranger, hexutil.Encode(contract)}, "true", "eth_getCode", []any{stranger, "latest"}, `"` + hexutil.Encode(contract) + `"`},
		{"anvil_setCode", []any{stranger, "0x"}, "null", "eth_getCode", []any{stranger, "latest"}, `"0x"`},
	} {
		if got := d.get(tc.method, tc.params...); got != tc.want {
			t.Errorf("%s %.100v: %s, want %s", tc.method, tc.params, got, tc.want)
		}
		if got := d.get(tc.asked, tc.about...); got != tc.found {
			t.Errorf("after %s %.100v: %.100s, want %.100s", tc.method, tc.params, got, tc.found)
		}
	}
	for _, tc := range []struct {
		method string
		params []any
		want   string
	}{
		{"hardhat_setNonce", []any{stranger, "0x1"}, "-32000 new nonce (1) must not be smaller than the existing nonce (12)"},
		{"anvil_setCode", []any{stranger, "0x6080"}, "-32000 this is not a WebAssembly contract: EVM bytecode does not run here"},
		{"anvil_setBalance", []any{stranger, "-1"}, "-32602 "},
		{"anvil_setBalance", []any{stranger, "0x1" + strings.Repeat("0", 64)}, "-32602 "},
		{"anvil_impersonateAccount", []any{alice}, "-32004 accounts cannot be impersonated here"},
		{"hardhat_impersonateAccount", []any{alice}, "-32004 accounts cannot be impersonated here"},
		{"evm_setAutomine", []any{false}, "-32004 automine is always on"},
		{"evm_setIntervalMining", []any{1000}, "-32004 automine is always on"},
		{"hardhat_reset", []any{map[string]any{"forking": map[string]any{"jsonRpcUrl": "http://x"}}}, "-32602 there is no forking"},
		{"hardhat_setPrevRandao", []any{slot5}, "-32601 the method hardhat_setPrevRandao does not exist/is not available"},
	} {
		if _, err := d.ask(tc.method, tc.params...); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s %.100v: %v, want %s", tc.method, tc.params, err, tc.want)
		}
	}
}

func TestDev_describesItself(t *testing.T) {
	d := startDev(t, "")
	for method, want := range map[string]string{
		"hardhat_metadata": `"chainId":31337`, "anvil_nodeInfo": `"currentBlockNumber":"0x0"`, "tercet_status": `"development":true`,
		"web3_clientVersion": `"tercet/`, "hardhat_getAutomine": "true", "anvil_getAutomine": "true", "rpc_modules": `"evm":"1.0"`,
	} {
		if got := d.get(method); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s in it", method, got, want)
		}
	}
	if got := d.get("evm_setAutomine", true); got != "null" {
		t.Errorf("evm_setAutomine: %s", got)
	}
	hash := "0x" + strings.Repeat("1", 64)
	if a, h := d.get("anvil_dropTransaction", hash), d.get("hardhat_dropTransaction", hash); a != "null" || h != "false" {
		t.Errorf("dropping what is not there: %s, %s", a, h)
	}
	key, err := crypto.HexToECDSA(aliceKey)
	if err != nil {
		t.Fatal(err)
	}
	waiting := d.get("eth_sendRawTransaction", d.signed(key, 5, 1)) // behind a gap
	if _, err := d.ask("anvil_setNonce", alice, 5); err == nil || !strings.Contains(err.Error(), "pending transactions") {
		t.Errorf("setting a nonce beside a waiting transaction: %v", err)
	}
	if got := d.get("anvil_dropTransaction", strings.Trim(waiting, `"`)); got != waiting {
		t.Errorf("dropping %s: %s", waiting, got)
	}
}

func TestDev_minesAndTellsTheTime(t *testing.T) {
	d := startDev(t, "")
	for _, tc := range []struct {
		method string
		params []any
		want   string
		blocks uint64
	}{
		{"evm_mine", nil, `"0x0"`, 1},
		{"evm_mine", []any{map[string]any{"blocks": 3}}, `"0x0"`, 3},
		{"anvil_mine", []any{"0x5"}, "null", 5},
		{"anvil_mine", []any{"0x64", "0x0"}, "null", 100}, // as viem asks
		{"hardhat_mine", []any{"0x0"}, "true", 0},
		{"hardhat_mine", []any{"0x7", "0x3c"}, "true", 7},
		{"hardhat_mine", nil, "true", 1},
	} {
		before := d.height()
		if got := d.get(tc.method, tc.params...); got != tc.want {
			t.Errorf("%s %v: %s, want %s", tc.method, tc.params, got, tc.want)
		}
		if got := d.height(); got != before+tc.blocks {
			t.Errorf("%s %v: %d blocks, want %d", tc.method, tc.params, got-before, tc.blocks)
		}
	}
	before, _ := d.header()
	d.get("hardhat_mine", "0x4", "0xe10")
	if now, _ := d.header(); now < before+3*3600 || now > before+3*3600+60 {
		t.Errorf("four blocks an hour apart took %d s", now-before)
	}
	before, _ = d.header()
	var ahead int64
	if err := json.Unmarshal([]byte(d.get("evm_increaseTime", "0x15180")), &ahead); err != nil || ahead < 86400 {
		t.Errorf("ahead by %d, %v", ahead, err)
	}
	d.pay(1)
	if now, _ := d.header(); now < before+86400 || now > before+86400+60 {
		t.Errorf("a day later is %d s later", now-before)
	}
	next := before + 1_000_000
	if got := d.get("evm_setNextBlockTimestamp", hexutil.EncodeUint64(next)); got != "null" {
		t.Errorf("evm_setNextBlockTimestamp: %s", got)
	}
	d.get("anvil_setBalance", stranger, 5) // an edit does not use it up
	d.pay(1)
	if now, _ := d.header(); now != next {
		t.Errorf("the time is %d, want exactly %d", now, next)
	}
	d.get("evm_mine", next+500)
	if now, _ := d.header(); now != next+500 {
		t.Errorf("the time is %d, want exactly %d", now, next+500)
	}
	d.get("evm_setTime", next+9000)
	d.get("evm_mine")
	if now, _ := d.header(); now < next+9000 || now > next+9060 {
		t.Errorf("the time is %d, want about %d", now, next+9000)
	}
	for method, want := range map[string]string{"evm_setNextBlockTimestamp": "lower than the previous block's timestamp", "evm_setTime": "before that of the newest block"} {
		if _, err := d.ask(method, next); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
	if got, head := d.number("eth_getBlockTransactionCountByNumber", "finalized"), d.height(); got != 0 || head == 0 {
		t.Errorf("%d transactions in the finalized block", got)
	}
}

func TestDev_snapshots(t *testing.T) {
	d := startDev(t, "")
	d.get("anvil_setBalance", stranger, 100)
	_, base := d.header()
	first, height := d.get("evm_snapshot"), d.height()
	if first != `"0x1"` {
		t.Errorf("the first snapshot is %s", first)
	}
	d.get("evm_increaseTime", 1_000_000)
	receipt := d.pay(5)
	second := d.get("evm_snapshot")
	d.pay(6)
	d.get("evm_mine")
	filter := strings.Trim(d.get("eth_newBlockFilter"), `"`)
	if got := d.get("evm_revert", strings.Trim(second, `"`)); got != "true" || d.balance(stranger) != `"0x69"` {
		t.Errorf("back to the second: %s, balance %s", got, d.balance(stranger))
	}
	if got := d.get("evm_revert", "0x1"); got != "true" {
		t.Errorf("back to the first: %s", got)
	}
	if _, hash := d.header(); hash != base || d.height() != height || d.balance(stranger) != `"0x64"` || d.number("eth_getTransactionCount", alice, "pending") != 0 {
		t.Errorf("block %d %s, want %d %s", d.height(), hash, height, base)
	}
	for _, id := range []string{"0x1", "0x2", "0x77", "0x1" + strings.Repeat("0", 40)} {
		if got := d.get("evm_revert", id); got != "false" {
			t.Errorf("a snapshot that is gone, %s: %s", id, got)
		}
	}
	var r struct{ TransactionHash string }
	if err := json.Unmarshal([]byte(receipt), &r); err != nil {
		t.Fatal(err)
	}
	if a, b := d.get("eth_getTransactionReceipt", r.TransactionHash), d.get("eth_getTransactionByHash", r.TransactionHash); a != "null" || b != "null" {
		t.Errorf("a transaction that was taken back: %s, %s", a, b)
	}
	if again := d.pay(5); !strings.Contains(again, r.TransactionHash) {
		t.Errorf("the same transaction again: %s, want %s", again, r.TransactionHash)
	}
	if now, _ := d.header(); now > uint64(time.Now().Unix())+60 {
		t.Errorf("the clock did not go back: %d", now)
	}
	if got := d.get("eth_getFilterChanges", filter); !strings.Contains(got, "0x") {
		t.Errorf("a filter sees no new blocks: %s", got)
	}
	d.get("anvil_mine", 300) // farther than the state goes back by itself
	third := strings.Trim(d.get("evm_snapshot"), `"`)
	d.get("anvil_mine", 300)
	if got := d.get("evm_revert", third); got != "true" || d.height() != height+301 || d.balance(stranger) != `"0x69"` {
		t.Errorf("far back: %s, block %d, balance %s", got, d.height(), d.balance(stranger))
	}
	d.pay(1)
	if got := d.get("hardhat_reset"); got != "true" || d.height() != 0 || d.balance(stranger) != `"0x0"` {
		t.Errorf("reset: %s, block %d, balance %s", got, d.height(), d.balance(stranger))
	}
	d.pay(1)
}

// TestDev_killed kills the process after edits and after going back: it recovers to the same block, state and time.
func TestDev_killed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chain")
	d := startDev(t, dir)
	restart := func(doing string) {
		t.Helper()
		height, balance := d.height(), d.balance(stranger)
		unix, hash := d.header()
		d.kill()
		d = startDev(t, dir)
		if _, again := d.header(); again != hash || d.balance(stranger) != balance {
			t.Fatalf("after %s: block %d %s, balance %s; want %d %s, %s", doing, d.height(), again, d.balance(stranger), height, hash, balance)
		}
		d.get("evm_mine")
		if now, _ := d.header(); now < unix || now > max(unix, uint64(time.Now().Unix()))+60 || d.height() != height+1 {
			t.Fatalf("after %s: block %d has the time %d after %d", doing, d.height(), now, unix)
		}
	}
	d.get("anvil_setBalance", stranger, 5)
	d.get("hardhat_setStorageAt", stranger, "0x1", "0x2")
	restart("edits")
	d.get("evm_increaseTime", 100_000)
	d.pay(7)
	restart("a jump in time")
	id := strings.Trim(d.get("evm_snapshot"), `"`)
	d.pay(8)
	d.get("anvil_mine", 3)
	d.get("evm_revert", id)
	restart("going back")
	id = strings.Trim(d.get("evm_snapshot"), `"`)
	d.pay(9)
	d.get("evm_revert", id)
	d.pay(10)
	restart("going back and on")
	d.kill()
	if err := os.RemoveAll(filepath.Join(dir, "data", "consensus.wal")); err != nil { // where a crash while going back leaves it
		t.Fatal(err)
	}
	d = startDev(t, dir)
	d.pay(11)
	restart("a crash while going back")
	if bad, err := filepath.Glob(filepath.Join(dir, "data", "*.bad-*")); err != nil || len(bad) > 0 {
		t.Errorf("databases were moved aside: %v, %v", bad, err)
	}
}

func TestDev_faucet(t *testing.T) {
	d := startDev(t, "")
	hash := d.get("tercet_faucet", stranger)
	if got := d.balance(stranger); got != `"0x8ac7230489e80000"` { // 10 ether
		t.Errorf("balance %s after %s", got, hash)
	}
	if got := d.get("eth_getTransactionReceipt", strings.Trim(hash, `"`)); !strings.Contains(got, `"status":"0x1"`) {
		t.Errorf("receipt %s", got)
	}
	if _, err := d.ask("tercet_faucet", stranger); err == nil || !strings.HasPrefix(err.Error(), "-32005 ") {
		t.Errorf("a second time: %v", err)
	}
	granted := 1
	for i := range 30 {
		if _, err := d.ask("tercet_faucet", fmt.Sprintf("0x%040x", i+1000)); err == nil {
			granted++
		}
	}
	if granted != 20 {
		t.Errorf("%d addresses got something at once", granted)
	}
}
