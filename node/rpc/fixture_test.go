package rpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/rpc"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/vm"
)

const (
	chainID   = 7357
	genesisMs = 1_700_000_000_000
	ether     = 1e18
)

var (
	alice     = key("alice") // has 100 ether
	bob       = key("bob")   // has 1 ether
	carol     = key("carol") // has nothing
	validator = key("validator")
)

func key(name string) *ecdsa.PrivateKey {
	k, err := crypto.ToECDSA(crypto.Keccak256([]byte(name)))
	if err != nil {
		panic(err)
	}
	return k
}

func addr(k *ecdsa.PrivateKey) common.Address { return crypto.PubkeyToAddress(k.PublicKey) }

// chain is one node's chain without consensus: it orders what the test says.
type chain struct {
	t       testing.TB
	genesis *ledger.Genesis
	store   *store.Store
	state   *state.State
	pool    *txpool.Pool
	engine  *vm.Engine
	worker  *vm.Worker // for blocks
	server  *rpc.Server
	url     string
	http    *http.Client

	mu        sync.Mutex // one block at a time
	parent    *types.Header
	head      atomic.Pointer[types.Header]
	certified atomic.Uint64
	syncing   bool
	behind    uint64 // ordered blocks that are not executed
	reasons   []string
	evidence  []rpc.Evidence
	diagnosis rpc.Diagnosis
	lag       lag
	amend     func(*exec.Result) // when set, changes what executing the next blocks gave
	hold      chan struct{}      // when set, Submit waits until it is closed
}

// newChain runs a server over a fresh chain in a temporary directory.
func newChain(t testing.TB, change func(*chain, *rpc.Config)) *chain {
	t.Helper()
	c := &chain{t: t, state: state.New(), http: &http.Client{Timeout: 30 * time.Second}}
	c.genesis = ledger.DefaultGenesis(chainID, []ledger.Validator{{Address: addr(validator)}}, []ledger.Allocation{
		{Address: addr(alice), Balance: new(uint256.Int).Mul(uint256.NewInt(100), uint256.NewInt(ether))},
		{Address: addr(bob), Balance: uint256.NewInt(ether)},
	}, genesisMs)
	log := testlog.New(t)
	root, err := c.state.Apply(0, c.genesis.Changes())
	must(t, err)
	c.parent = c.genesis.Header(root)
	c.head.Store(c.parent)
	c.store, err = store.Open(t.TempDir(), store.Options{Genesis: c.genesis, Logger: log})
	must(t, err)
	t.Cleanup(func() { must(t, c.store.Close()) })
	c.pool, err = txpool.New(txpool.Config{Genesis: c.genesis, State: c.state})
	must(t, err)
	c.engine, err = vm.New(vm.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, c.engine.Close()) })
	c.worker, err = c.engine.Worker()
	must(t, err)
	t.Cleanup(func() { must(t, c.worker.Close()) })
	cfg := rpc.Config{
		Genesis: c.genesis, Store: c.store, State: c.state, Pool: c.pool, Chain: c, Logger: log, Contracts: c.engine,
		Listen: "127.0.0.1:0", Version: "tercet/test",
	}
	if change != nil {
		change(c, &cfg)
	}
	c.server, err = rpc.New(cfg)
	must(t, err)
	c.url = c.server.URL()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		c.http.CloseIdleConnections()
		must(t, <-done)
	})
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *chain) Head() rpc.Head {
	return rpc.Head{Header: c.head.Load(), Certified: c.certified.Load()}
}

func (c *chain) Status() rpc.Status {
	return rpc.Status{
		Peers: 3, Roster: 3, Ordered: c.head.Load().Number.Uint64() + c.behind, Syncing: c.syncing, Highest: 1000,
		Evidence: len(c.evidence), Reasons: c.reasons, Diagnosis: c.diagnosis,
	}
}

func (c *chain) Evidence() []rpc.Evidence { return c.evidence }

func (c *chain) Submit(_ context.Context, tx *ledger.Transaction) error {
	if c.hold != nil {
		<-c.hold
	}
	return c.pool.Add(tx, time.Now())
}

// produce executes a block of what the pool proposes.
func (c *chain) produce() *ledger.Block {
	c.t.Helper()
	return c.execute(c.pool.Select(1<<20, c.genesis.BlockGasLimit, nil)...)
}

// blockReader is the state that a block is executed on.
type blockReader struct {
	*state.State
	store *store.Store
}

func (r blockReader) Code(hash common.Hash) []byte {
	code, err := r.store.Code(hash)
	if err != nil {
		panic(err)
	}
	return code
}

// execute makes the next block, 60 ms after its parent, and announces it.
func (c *chain) execute(txs ...*ledger.Transaction) *ledger.Block {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	height := c.parent.Number.Uint64() + 1
	var raws [][]byte
	payload := &ledger.Payload{}
	for _, tx := range txs {
		raws = append(raws, tx.Raw())
		payload.TxHashes = append(payload.TxHashes, tx.Hash())
	}
	o := ledger.Ordered{
		Hash: crypto.Keccak256Hash(big.NewInt(int64(height)).Bytes()), View: height, Height: height, TimeMs: genesisMs + 60*height,
		Proposer: addr(validator), Payload: ledger.EncodePayload(payload), Data: ledger.EncodeData(raws),
		Header: []byte{byte(height)}, Finalization: []byte{0xf1, byte(height)},
	}
	result, err := exec.Execute(c.t.Context(), c.worker, c.genesis, c.parent, &o, txs, blockReader{c.state, c.store})
	must(c.t, err)
	if c.amend != nil {
		c.amend(result)
	}
	root, err := c.state.Apply(height, result.Changes)
	must(c.t, err)
	header := ledger.SealHeader(c.genesis, c.parent, &o, result.Transactions, result.Receipts, root)
	block := ledger.NewBlock(o, header, result.Transactions, result.Receipts, result.Drops)
	c.store.HoldCodes(result.Codes)
	must(c.t, c.store.CommitBlocks([]*ledger.Block{block}))
	c.flush(block, result)
	c.parent = header
	c.server.Executed(block)
	c.head.Store(header)
	c.pool.Advance(block, time.Now())
	return block
}

// flushEvery is how many blocks the state and the index may lag behind.
const flushEvery = 16

// lag is what is in the blocks and not in state.ldb and index.ldb.
type lag struct {
	blocks  []*ledger.Block
	changes map[[32]byte]ledger.Change
	codes   []ledger.Code
}

// flush writes state and index now and then, as a node does.
func (c *chain) flush(block *ledger.Block, result *exec.Result) {
	c.t.Helper()
	if c.lag.changes == nil {
		c.lag.changes = make(map[[32]byte]ledger.Change)
	}
	c.lag.blocks, c.lag.codes = append(c.lag.blocks, block), append(c.lag.codes, result.Codes...)
	for _, change := range result.Changes {
		c.lag.changes[change.Path] = change
	}
	if len(c.lag.blocks) < flushEvery {
		return
	}
	changes := slices.SortedFunc(maps.Values(c.lag.changes), func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	must(c.t, c.store.FlushState(store.Marker{
		FirstHeight: c.lag.blocks[0].Header.Number.Uint64(), LastHeight: block.Header.Number.Uint64(),
		HeaderHash: block.Header.Hash(), StateRoot: block.Header.Root,
	}, changes, c.lag.codes))
	must(c.t, c.store.IndexBlocks(c.lag.blocks))
	c.lag = lag{}
}

// certify stores an execution certificate for the newest block.
func (c *chain) certify() *ledger.ExecCert {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.parent
	set := ledger.ValidatorSetHash(c.genesis.ValidatorAddresses())
	timeMs, err := ledger.HeaderTimeMs(h)
	must(c.t, err)
	vote := &ledger.ExecVote{ExecResult: ledger.ExecResult{
		Height: h.Number.Uint64(), HeaderHash: h.Hash(), StateRoot: h.Root, ReceiptsRoot: h.ReceiptHash, TimeMs: timeMs,
		ValidatorSetHash: set, PendingSetHash: set,
	}}
	sig, err := crypto.Sign(vote.Digest(chainID, c.genesisHash()).Bytes(), validator)
	must(c.t, err)
	vote.Sig = [65]byte(sig)
	cert, err := ledger.NewExecCert(vote.ExecResult, 1, []*ledger.ExecVote{vote})
	must(c.t, err)
	must(c.t, c.store.PutExecCert(cert.Height, ledger.EncodeExecCert(cert)))
	c.certified.Store(cert.Height)
	return cert
}

func (c *chain) genesisHash() common.Hash {
	root, err := state.New().Apply(0, c.genesis.Changes())
	must(c.t, err)
	return c.genesis.Header(root).Hash()
}

func sign(t testing.TB, from *ecdsa.PrivateKey, data types.TxData) *types.Transaction {
	t.Helper()
	return types.MustSignNewTx(from, types.LatestSignerForChainID(big.NewInt(chainID)), data)
}

func raw(t testing.TB, tx *types.Transaction) string {
	t.Helper()
	b, err := tx.MarshalBinary()
	must(t, err)
	return hexutil.Encode(b)
}

// pay is a transfer of a wei, of the given type.
func pay(t testing.TB, from *ecdsa.PrivateKey, nonce uint64, kind byte) *types.Transaction {
	t.Helper()
	to := common.HexToAddress("0xdeadbeef00000000000000000000000000000001")
	switch kind {
	case types.AccessListTxType:
		return sign(t, from, &types.AccessListTx{
			ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 40000, GasPrice: big.NewInt(7), To: &to, Value: big.NewInt(1),
			AccessList: types.AccessList{{Address: to, StorageKeys: []common.Hash{{1}}}},
		})
	case types.DynamicFeeTxType:
		return sign(t, from, &types.DynamicFeeTx{
			ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 30000, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(2),
			To: &to, Value: big.NewInt(1), Data: []byte("hello"),
		})
	}
	return sign(t, from, &types.LegacyTx{Nonce: nonce, Gas: 21000, GasPrice: big.NewInt(3), To: &to, Value: big.NewInt(1)})
}

func decoded(t testing.TB, tx *types.Transaction) *ledger.Transaction {
	t.Helper()
	b, err := tx.MarshalBinary()
	must(t, err)
	out, err := ledger.DecodeTransaction(b, chainID, ledger.Limits{Bytes: 1 << 20, Gas: 1 << 40})
	must(t, err)
	return out
}

// answer is a JSON-RPC response.
type answer struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// post sends a body and returns the status and the answer's body.
func (c *chain) post(path, body string) (int, []byte) {
	c.t.Helper()
	resp, err := c.http.Post(c.url+path, "application/json", bytes.NewReader([]byte(body)))
	must(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return resp.StatusCode, b
}

// call returns the answer to one call.
func (c *chain) call(method string, params ...any) answer {
	c.t.Helper()
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	must(c.t, err)
	_, b := c.post("/", string(body))
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		c.t.Fatalf("%s: %v in %q", method, err, b)
	}
	return a
}

// result fails the test on an error and returns the result as JSON.
func (c *chain) result(method string, params ...any) string {
	c.t.Helper()
	a := c.call(method, params...)
	if a.Error != nil {
		c.t.Fatalf("%s(%v): %d %s", method, params, a.Error.Code, a.Error.Message)
	}
	return string(a.Result)
}

// fields decodes an object.
func (c *chain) fields(method string, params ...any) map[string]any {
	c.t.Helper()
	var out map[string]any
	must(c.t, json.Unmarshal([]byte(c.result(method, params...)), &out))
	return out
}
