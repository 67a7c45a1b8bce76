package clients_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/accounts/abi/bind"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// target is a network.json: that of "tercet testnet up", or one like it.
type target struct {
	ChainID  uint64    `json:"chainId"`
	Nodes    []node    `json:"nodes"`
	Accounts []account `json:"accounts"`
}

// account is funded, and its key is public.
type account struct {
	Address    string `json:"address"` // with its checksum, as clients show it
	PrivateKey string `json:"privateKey"`
}

type node struct {
	RPC string `json:"rpc"`
	WS  string `json:"ws"`
}

// ethclientAccount is the one that these flows spend from; the scripts have the others.
const ethclientAccount = 8

// flow is what the scripts call a flow, with what came of it.
type flow struct {
	Flow  string `json:"flow"`
	Ms    int64  `json:"ms"`
	Error string `json:"error,omitempty"`
}

// gethClient are the flows of go-ethereum's ethclient and bind.
type gethClient struct {
	network  *target
	client   *ethclient.Client
	key      *ecdsa.PrivateKey
	from     common.Address
	bob      common.Address
	abi      abi.ABI
	code     []byte
	receipt  *types.Receipt
	token    common.Address
	deployed uint64
}

// runEthclient runs the flows and writes them to a file as hardhat/flows.mjs prints them.
func runEthclient(t *testing.T, network *target, path string, sends int) {
	t.Helper()
	client, err := ethclient.DialContext(t.Context(), network.Nodes[0].RPC)
	must(t, err)
	defer client.Close()
	key, err := crypto.HexToECDSA(strings.TrimPrefix(network.Accounts[ethclientAccount].PrivateKey, "0x"))
	must(t, err)
	raw, err := os.ReadFile("../../contracts/examples/token/artifact.json")
	must(t, err)
	var artifact struct {
		ABI      json.RawMessage
		Bytecode hexutil.Bytes
	}
	must(t, json.Unmarshal(raw, &artifact))
	parsed, err := abi.JSON(bytes.NewReader(artifact.ABI))
	must(t, err)
	g := &gethClient{
		network: network, client: client, key: key, from: crypto.PubkeyToAddress(key.PublicKey), bob: common.HexToAddress(network.Accounts[9].Address),
		abi: parsed, code: artifact.Bytecode,
	}
	file, err := os.Create(path)
	must(t, err)
	defer func() { must(t, file.Close()) }()
	out := json.NewEncoder(file)
	for _, f := range g.flows() {
		began := time.Now()
		err := f.run(t.Context())
		must(t, out.Encode(line(f.name, time.Since(began), err)))
	}
	times, err := g.times(t.Context(), sends)
	must(t, out.Encode(line("send: back to back", time.Duration(0), err)))
	must(t, out.Encode(map[string]any{"version": gethVersion(t), "times": times, "absent": map[string]string{}}))
}

func line(name string, took time.Duration, err error) flow {
	f := flow{Flow: name, Ms: took.Milliseconds()}
	if err != nil {
		f.Error = err.Error()
	}
	return f
}

// times sends again and again and returns the ms of each until its receipt, with the error that ended it.
func (g *gethClient) times(ctx context.Context, sends int) (times []float64, err error) {
	for range sends {
		began := time.Now()
		if _, err := g.transfer(ctx, g.dynamic()); err != nil {
			return times, err
		}
		times = append(times, float64(time.Since(began).Microseconds())/1000)
	}
	return times, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gethVersion is what go.mod pins; the build information of a test does not have it.
func gethVersion(t *testing.T) string {
	t.Helper()
	out, err := command(t, time.Minute, ".", nil, "go", "list", "-m", "-f", "{{.Version}}", "github.com/ethereum/go-ethereum")
	must(t, err)
	return strings.TrimPrefix(strings.TrimSpace(out), "v")
}

type namedFlow struct {
	name string
	run  func(context.Context) error
}

func (g *gethClient) flows() []namedFlow {
	return []namedFlow{
		{"connect", g.connect},
		{"balances", g.balances},
		{"send: default", func(ctx context.Context) (err error) { g.receipt, err = g.transfer(ctx, g.dynamic()); return err }},
		{"send: legacy", func(ctx context.Context) error {
			return g.sends(ctx, &types.LegacyTx{To: &g.bob, Value: big.NewInt(1), Gas: 21000, GasPrice: new(big.Int)})
		}},
		{"send: access list", func(ctx context.Context) error {
			return g.sends(ctx, &types.AccessListTx{To: &g.bob, Value: big.NewInt(1), Gas: 30000, GasPrice: new(big.Int), AccessList: types.AccessList{{Address: g.bob, StorageKeys: []common.Hash{{1}}}}})
		}},
		{"send: 1559", func(ctx context.Context) error { return g.sends(ctx, g.dynamic()) }},
		{"send: no balance, no value", g.poor},
		{"send: sync", g.sync},
		{"read: block", g.block},
		{"read: transaction", g.transaction},
		{"fees", g.fees},
		{"code, call, logs", g.nothing},
		{"contract: deploy", g.deploy},
		{"contract: read", g.read},
		{"contract: transfer", g.pay},
		{"contract: logs", g.logs},
		{"filters", g.filters},
		{"subscribe: heads", g.heads},
		{"subscribe: pending", g.pending},
		{"subscribe: logs", g.subscribedLogs},
		{"error: nonce too low", func(ctx context.Context) error {
			_, err := g.sendNonce(ctx, &types.LegacyTx{To: &g.bob, Gas: 21000, GasPrice: new(big.Int)}, new(uint64))
			return says(err, "nonce too low")
		}},
		{"error: insufficient funds", func(ctx context.Context) error {
			_, err := g.transfer(ctx, &types.LegacyTx{To: &g.bob, Gas: 21000, GasPrice: new(big.Int), Value: new(big.Int).Lsh(big.NewInt(1), 100)})
			return says(err, "insufficient funds")
		}},
		{"error: custom error", g.customError},
		{"error: panic", g.panics},
		{"error: EVM bytecode", func(ctx context.Context) error {
			_, err := g.client.EstimateGas(ctx, ethereum.CallMsg{From: g.from, Data: common.FromHex("0x6001600c60003960016000f300")})
			return says(err, "not a WebAssembly contract")
		}},
	}
}

// says reports an error that is not there, or does not say what clients look for.
func says(err error, words string) error {
	if err == nil || !strings.Contains(err.Error(), words) {
		return fmt.Errorf("got the error %w, want one with %q", err, words)
	}
	return nil
}

func equal[T comparable](got, want T, what string) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

func (g *gethClient) dynamic() types.TxData {
	return &types.DynamicFeeTx{ChainID: new(big.Int).SetUint64(g.network.ChainID), To: &g.bob, Value: big.NewInt(1), Gas: 21000, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(7)}
}

// sign signs a transaction, whose nonce is the next unless one is given.
func (g *gethClient) sign(ctx context.Context, data types.TxData, nonce *uint64) (*types.Transaction, error) {
	if nonce == nil {
		next, err := g.client.PendingNonceAt(ctx, g.from)
		if err != nil {
			return nil, err
		}
		nonce = &next
	}
	chainID := new(big.Int).SetUint64(g.network.ChainID)
	switch d := data.(type) {
	case *types.LegacyTx:
		d.Nonce = *nonce
	case *types.AccessListTx:
		d.Nonce, d.ChainID = *nonce, chainID
	case *types.DynamicFeeTx:
		d.Nonce = *nonce
	}
	return types.SignNewTx(g.key, types.LatestSignerForChainID(chainID), data)
}

func (g *gethClient) sendNonce(ctx context.Context, data types.TxData, nonce *uint64) (*types.Transaction, error) {
	tx, err := g.sign(ctx, data, nonce)
	if err != nil {
		return nil, err
	}
	return tx, g.client.SendTransaction(ctx, tx)
}

func (g *gethClient) sync(ctx context.Context) error {
	tx, err := g.sign(ctx, g.dynamic(), nil)
	if err != nil {
		return err
	}
	patience := 20 * time.Second
	r, err := g.client.SendTransactionSync(ctx, tx, &patience)
	if err != nil {
		return err
	}
	return errors.Join(equal(r.Status, 1, "status"), equal(r.TxHash, tx.Hash(), "hash"))
}

// transfer sends a transaction and waits for its receipt as bind does.
func (g *gethClient) transfer(ctx context.Context, data types.TxData) (*types.Receipt, error) {
	tx, err := g.sendNonce(ctx, data, nil)
	if err != nil {
		return nil, err
	}
	return g.wait(ctx, tx)
}

func (g *gethClient) wait(ctx context.Context, tx *types.Transaction) (*types.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := bind.WaitMined(ctx, g.client, tx)
	if err != nil {
		return nil, err
	}
	return r, errors.Join(equal(r.Status, 1, "status"), equal(r.Type, tx.Type(), "type"))
}

func (g *gethClient) sends(ctx context.Context, data types.TxData) error {
	_, err := g.transfer(ctx, data)
	return err
}

func (g *gethClient) connect(ctx context.Context) error {
	id, err := g.client.ChainID(ctx)
	if err != nil {
		return err
	}
	network, err := g.client.NetworkID(ctx)
	if err != nil {
		return err
	}
	_, err = g.client.SyncProgress(ctx)
	return errors.Join(err, equal(id.Uint64(), g.network.ChainID, "chain id"), equal(network.Uint64(), g.network.ChainID, "network id"))
}

func (g *gethClient) balances(ctx context.Context) error {
	balance, err := g.client.BalanceAt(ctx, g.from, nil)
	if err != nil {
		return err
	}
	if balance.Cmp(big.NewInt(1e18)) < 0 {
		return fmt.Errorf("the balance is %d", balance)
	}
	nobody, err := g.client.BalanceAt(ctx, common.Address{1, 2, 3}, nil)
	if err != nil {
		return err
	}
	return equal(nobody.Sign(), 0, "balance of nobody")
}

func (g *gethClient) poor(ctx context.Context) error {
	key, err := crypto.GenerateKey()
	if err != nil {
		return err
	}
	other := *g
	other.key, other.from = key, crypto.PubkeyToAddress(key.PublicKey)
	return other.sends(ctx, &types.LegacyTx{To: &g.bob, Gas: 21000, GasPrice: new(big.Int)})
}

func (g *gethClient) block(ctx context.Context) error {
	b, err := g.client.BlockByHash(ctx, g.receipt.BlockHash)
	if err != nil {
		return err
	}
	h, err := g.client.HeaderByNumber(ctx, g.receipt.BlockNumber)
	if err != nil {
		return err
	}
	if b.Transaction(g.receipt.TxHash) == nil {
		return errors.New("the block lacks the transaction")
	}
	receipts, err := g.client.BlockReceipts(ctx, rpc.BlockNumberOrHashWithHash(b.Hash(), false))
	if err != nil {
		return err
	}
	return errors.Join(equal(b.Hash(), g.receipt.BlockHash, "computed hash"), equal(h.Hash(), b.Hash(), "hash by number"), equal(len(receipts), b.Transactions().Len(), "receipts"))
}

func (g *gethClient) transaction(ctx context.Context) error {
	tx, pending, err := g.client.TransactionByHash(ctx, g.receipt.TxHash)
	if err != nil {
		return err
	}
	_, _, unknown := g.client.TransactionByHash(ctx, common.Hash{18})
	if !errors.Is(unknown, ethereum.NotFound) {
		return fmt.Errorf("an unknown transaction: %w", unknown)
	}
	return errors.Join(equal(pending, false, "pending"), equal(tx.Hash(), g.receipt.TxHash, "computed hash"))
}

func (g *gethClient) fees(ctx context.Context) error {
	price, err := g.client.SuggestGasPrice(ctx)
	if err != nil {
		return err
	}
	tip, err := g.client.SuggestGasTipCap(ctx)
	if err != nil {
		return err
	}
	history, err := g.client.FeeHistory(ctx, 3, nil, []float64{50})
	if err != nil {
		return err
	}
	gas, err := g.client.EstimateGas(ctx, ethereum.CallMsg{From: g.from, To: &g.bob, Value: big.NewInt(1)})
	if err != nil {
		return err
	}
	return errors.Join(equal(price.Sign(), 0, "price"), equal(tip.Sign(), 0, "tip"), equal(len(history.BaseFee), 4, "base fees"), equal(gas, 21000, "estimate"))
}

func (g *gethClient) nothing(ctx context.Context) error {
	code, err := g.client.CodeAt(ctx, g.bob, nil)
	if err != nil {
		return err
	}
	slot, err := g.client.StorageAt(ctx, g.bob, common.Hash{}, nil)
	if err != nil {
		return err
	}
	logs, err := g.client.FilterLogs(ctx, ethereum.FilterQuery{FromBlock: new(big.Int), Addresses: []common.Address{g.bob}})
	return errors.Join(err, equal(len(code), 0, "code"), equal(common.BytesToHash(slot), common.Hash{}, "slot"), equal(len(logs), 0, "logs"))
}

func (g *gethClient) auth(ctx context.Context) (*bind.TransactOpts, error) {
	opts, err := bind.NewKeyedTransactorWithChainID(g.key, new(big.Int).SetUint64(g.network.ChainID))
	if err == nil {
		opts.Context = ctx
	}
	return opts, err
}

func (g *gethClient) deploy(ctx context.Context) error {
	opts, err := g.auth(ctx)
	if err != nil {
		return err
	}
	address, tx, _, err := bind.DeployContract(opts, g.abi, g.code, g.client, "Token of ethclient", "TOG", big.NewInt(1e18), g.from)
	if err != nil {
		return err
	}
	r, err := g.wait(ctx, tx)
	if err != nil {
		return err
	}
	g.token, g.deployed = address, r.BlockNumber.Uint64()
	return equal(r.ContractAddress, address, "address")
}

func (g *gethClient) bound() *bind.BoundContract {
	return bind.NewBoundContract(g.token, g.abi, g.client, g.client, g.client)
}

func (g *gethClient) read(ctx context.Context) error {
	var name, balance []any
	if err := g.bound().Call(&bind.CallOpts{Context: ctx}, &name, "name"); err != nil {
		return err
	}
	if err := g.bound().Call(&bind.CallOpts{Context: ctx}, &balance, "balanceOf", g.from); err != nil {
		return err
	}
	return errors.Join(equal(fmt.Sprint(name...), "Token of ethclient", "name"), equal(fmt.Sprint(balance...), "1000000000000000000", "balance"))
}

func (g *gethClient) transact(ctx context.Context, value int64) (*types.Receipt, error) {
	opts, err := g.auth(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := g.bound().Transact(opts, "transfer", g.bob, big.NewInt(value))
	if err != nil {
		return nil, err
	}
	return g.wait(ctx, tx)
}

func (g *gethClient) pay(ctx context.Context) error {
	r, err := g.transact(ctx, 5)
	if err != nil {
		return err
	}
	return equal(len(r.Logs), 1, "logs")
}

func (g *gethClient) query() ethereum.FilterQuery {
	return ethereum.FilterQuery{FromBlock: new(big.Int).SetUint64(g.deployed), Addresses: []common.Address{g.token}, Topics: [][]common.Hash{{g.abi.Events["Transfer"].ID}}}
}

func (g *gethClient) logs(ctx context.Context) error {
	logs, err := g.client.FilterLogs(ctx, g.query())
	return errors.Join(err, equal(len(logs), 2, "transfers"))
}

// filters has no method of ethclient, whose connection sends any.
func (g *gethClient) filters(ctx context.Context) error {
	var id string
	if err := g.client.Client().CallContext(ctx, &id, "eth_newBlockFilter"); err != nil {
		return err
	}
	r, err := g.transfer(ctx, g.dynamic())
	if err != nil {
		return err
	}
	var blocks []common.Hash
	var gone bool
	err = errors.Join(g.client.Client().CallContext(ctx, &blocks, "eth_getFilterChanges", id), g.client.Client().CallContext(ctx, &gone, "eth_uninstallFilter", id))
	return errors.Join(err, equal(slices.Contains(blocks, r.BlockHash), true, "the filter has the block"), equal(gone, true, "uninstalled"))
}

// socket connects to the node by WebSocket.
func (g *gethClient) socket(ctx context.Context) (*ethclient.Client, error) {
	return ethclient.DialContext(ctx, g.network.Nodes[0].WS)
}

func (g *gethClient) heads(ctx context.Context) error {
	ws, err := g.socket(ctx)
	if err != nil {
		return err
	}
	defer ws.Close()
	heads := make(chan *types.Header, 16)
	sub, err := ws.SubscribeNewHead(ctx, heads)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	r, err := g.transfer(ctx, g.dynamic())
	if err != nil {
		return err
	}
	for {
		h, err := next(ctx, heads, sub)
		if err != nil {
			return err
		}
		if h.Number.Cmp(r.BlockNumber) == 0 {
			return equal(h.Hash(), r.BlockHash, "hash of the head")
		}
	}
}

func (g *gethClient) pending(ctx context.Context) error {
	ws, err := g.socket(ctx)
	if err != nil {
		return err
	}
	defer ws.Close()
	hashes := make(chan common.Hash, 16)
	sub, err := ws.Client().EthSubscribe(ctx, hashes, "newPendingTransactions") // gethclient would need more modules
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	r, err := g.transfer(ctx, g.dynamic())
	if err != nil {
		return err
	}
	for {
		if hash, err := next(ctx, hashes, sub); err != nil || hash == r.TxHash {
			return err
		}
	}
}

func (g *gethClient) subscribedLogs(ctx context.Context) error {
	ws, err := g.socket(ctx)
	if err != nil {
		return err
	}
	defer ws.Close()
	logs := make(chan types.Log, 16)
	sub, err := ws.SubscribeFilterLogs(ctx, ethereum.FilterQuery{Addresses: []common.Address{g.token}}, logs)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	r, err := g.transact(ctx, 78)
	if err != nil {
		return err
	}
	l, err := next(ctx, logs, sub)
	if err != nil {
		return err
	}
	return equal(l.TxHash, r.TxHash, "transaction")
}

// next is the next notification, which comes within 20 s.
func next[T any](ctx context.Context, from <-chan T, sub ethereum.Subscription) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	select {
	case v = <-from:
		return v, nil
	case err := <-sub.Err():
		return v, fmt.Errorf("the subscription ended: %w", err)
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

func (g *gethClient) customError(ctx context.Context) error {
	data, err := g.abi.Pack("transfer", g.bob, big.NewInt(1))
	if err != nil {
		return err
	}
	_, err = g.client.CallContract(ctx, ethereum.CallMsg{From: common.Address{7}, To: &g.token, Data: data}, nil)
	raw, ok := ethclient.RevertErrorData(err)
	if !ok {
		return fmt.Errorf("no revert data: %w", err)
	}
	want := g.abi.Errors["ERC20InsufficientBalance"].ID
	return equal(common.Bytes2Hex(raw[:4]), common.Bytes2Hex(want[:4]), "selector of the error")
}

func (g *gethClient) panics(ctx context.Context) error {
	data, err := g.abi.Pack("mint", g.bob, new(big.Int).Lsh(big.NewInt(1), 255))
	if err != nil {
		return err
	}
	_, err = g.client.CallContract(ctx, ethereum.CallMsg{From: g.from, To: &g.token, Data: data}, nil)
	raw, ok := ethclient.RevertErrorData(err)
	if !ok {
		return fmt.Errorf("no revert data: %w", err)
	}
	reason, unpacked := abi.UnpackRevert(raw)
	return errors.Join(unpacked, equal(reason, "arithmetic underflow or overflow", "reason"), says(err, "overflow"))
}
