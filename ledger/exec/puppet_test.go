package exec_test

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"maps"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	tercet "github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
)

//go:embed testdata/puppet.wasm
var puppet []byte

// TestPuppet_isBuiltFromItsSource builds the puppet again where its compiler is installed.
func TestPuppet_isBuiltFromItsSource(t *testing.T) {
	for _, program := range []string{"clang-14", "wasm-ld-14"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	// Linked by itself: clang would call binaryen's wasm-opt where there is one, and the bytes would depend on that.
	object, out := filepath.Join(t.TempDir(), "puppet.o"), filepath.Join(t.TempDir(), "puppet.wasm")
	for _, command := range [][]string{
		{"clang-14", "--target=wasm32", "-O2", "-mcpu=mvp", "-fno-builtin", "-c", "-o", object, "testdata/puppet.c"},
		{"wasm-ld-14", "--no-entry", "--strip-all", "-z", "stack-size=8192", "--stack-first", "-o", out, object},
	} {
		if text, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("building the puppet: %v: %s", err, text)
		}
	}
	if built, err := os.ReadFile(out); err != nil || !bytes.Equal(built, puppet) {
		t.Errorf("testdata/puppet.wasm (%d bytes) is not what testdata/puppet.c compiles to (%d bytes, %v)", len(puppet), len(built), err)
	}
}

// script is what a puppet does: its calldata.
type script []byte

func word(n uint64) common.Hash { return uint256.NewInt(n).Bytes32() }

func (s script) store(key, value uint64) script {
	k, v := word(key), word(value)
	return append(append(append(s, 'S'), k[:]...), v[:]...)
}

func (s script) load(key uint64) script { k := word(key); return append(append(s, 's'), k[:]...) }

func (s script) storeTransient(key, value uint64) script {
	k, v := word(key), word(value)
	return append(append(append(s, 'T'), k[:]...), v[:]...)
}

func (s script) loadTransient(key uint64) script {
	k := word(key)
	return append(append(s, 't'), k[:]...)
}

func (s script) log(data string, topics ...uint64) script {
	s = append(s, 'L', byte(len(topics)), byte(len(data)>>8), byte(len(data)))
	for _, topic := range topics {
		k := word(topic)
		s = append(s, k[:]...)
	}
	return append(s, data...)
}

// allGas is as much as there is.
const allGas = math.MaxUint64

func (s script) call(to common.Address, value, gas uint64, input []byte) script {
	v := word(value)
	s = append(append(append(s, 'c'), to[:]...), v[:]...)
	return s.sub(gas, input)
}

func (s script) delegate(to common.Address, gas uint64, input []byte) script {
	return append(append(s, 'd'), to[:]...).sub(gas, input)
}

func (s script) static(to common.Address, gas uint64, input []byte) script {
	return append(append(s, 'v'), to[:]...).sub(gas, input)
}

func (s script) sub(gas uint64, input []byte) script {
	s = binary.BigEndian.AppendUint64(s, gas)
	return append(append(s, byte(len(input)>>8), byte(len(input))), input...)
}

func (s script) create(value uint64, code []byte) script {
	v := word(value)
	s = append(append(s, 'N'), v[:]...)
	return append(binary.BigEndian.AppendUint32(s, uint32(len(code))), code...)
}

func (s script) create2(value, salt uint64, code []byte) script {
	v, k := word(value), word(salt)
	s = append(append(append(s, 'M'), v[:]...), k[:]...)
	return append(binary.BigEndian.AppendUint32(s, uint32(len(code))), code...)
}

func (s script) about(what byte, a common.Address) script { return append(append(s, what), a[:]...) }

func (s script) balance(a common.Address) script  { return s.about('b', a) }
func (s script) codeHash(a common.Address) script { return s.about('h', a) }
func (s script) codeSize(a common.Address) script { return s.about('z', a) }

func (s script) revert() script          { return append(s, 'R') }
func (s script) trap() script            { return append(s, '!') }
func (s script) burn() script            { return append(s, 'B') }
func (s script) gas() script             { return append(s, 'g') }
func (s script) context() script         { return append(s, 'i') }
func (s script) recurse() script         { return append(s, 'r') }
func (s script) exit(status byte) script { return append(s, 'X', status) }
func (s script) output(text string) script {
	return append(append(s, 'o', byte(len(text)>>8), byte(len(text))), text...)
}

// answer reads what a puppet has put out.
type answer struct {
	t    testing.TB
	rest []byte
}

func (a *answer) bytes(n int) []byte {
	a.t.Helper()
	if n > len(a.rest) {
		a.t.Fatalf("the answer ends %d bytes before", n-len(a.rest))
	}
	b := a.rest[:n]
	a.rest = a.rest[n:]
	return b
}

func (a *answer) number(bytes int) (n uint64) {
	a.t.Helper()
	for _, b := range a.bytes(bytes) {
		n = n<<8 | uint64(b)
	}
	return n
}

func (a *answer) word() common.Hash       { return common.Hash(a.bytes(32)) }
func (a *answer) address() common.Address { return common.Address(a.bytes(20)) }

// call reads the status and the data of a nested call.
func (a *answer) call() (status uint64, inner *answer) {
	a.t.Helper()
	status = a.number(1)
	return status, &answer{a.t, a.bytes(int(a.number(4)))}
}

// end checks that nothing is left.
func (a *answer) end() {
	a.t.Helper()
	if len(a.rest) != 0 {
		a.t.Errorf("the answer has %d bytes too many: %x", len(a.rest), a.rest)
	}
}

// chain is a state with contracts, on which blocks and calls run.
type chain struct {
	t        testing.TB
	genesis  *ledger.Genesis
	worker   *vm.Worker
	parent   *types.Header
	accounts map[common.Address]ledger.Account
	storage  map[common.Address]map[common.Hash]common.Hash
	values   map[string][]byte
	codes    map[common.Hash][]byte
}

func (c *chain) Account(a common.Address) ledger.Account                { return c.accounts[a] }
func (c *chain) Storage(a common.Address, slot common.Hash) common.Hash { return c.storage[a][slot] }

func (c *chain) Value(key []byte) []byte      { return c.values[string(key)] }
func (c *chain) Code(hash common.Hash) []byte { return c.codes[hash] }

var _ tercet.Reader = (*chain)(nil)

// worker is the one of all tests: no two of them run at the same time.
var worker = sync.OnceValues(func() (*vm.Worker, error) {
	engine, err := vm.New(vm.Config{})
	if err != nil {
		return nil, err
	}
	return engine.Worker()
})

// newChain has the accounts of key 0 and 1 with a balance of 1,000,000 each.
func newChain(tb testing.TB) *chain {
	tb.Helper()
	w, err := worker()
	if err != nil {
		tb.Fatal(err)
	}
	g := testGenesis(tb)
	c := &chain{
		t: tb, genesis: g, worker: w, parent: g.Header(common.Hash{}), accounts: make(map[common.Address]ledger.Account),
		storage: make(map[common.Address]map[common.Hash]common.Hash), values: make(map[string][]byte), codes: make(map[common.Hash][]byte),
	}
	for i := range 2 {
		_, address := testKey(tb, i)
		c.accounts[address] = ledger.Account{Balance: wei(1_000_000)}
	}
	return c
}

// install puts a puppet at an address, without a transaction.
func (c *chain) install(a common.Address, balance uint64) common.Address {
	c.t.Helper()
	module, err := meter.Rewrite(puppet, meter.Current)
	if err != nil {
		c.t.Fatal(err)
	}
	hash := crypto.Keccak256Hash(puppet)
	c.accounts[a] = ledger.Account{Nonce: 1, Balance: wei(balance), CodeHash: hash}
	c.codes[hash] = puppet
	c.values[string(ledger.CodeKey(hash))] = ledger.EncodeActivation(ledger.Activation{Version: uint16(meter.Current), Pages: uint16(module.Pages), ModuleBytes: uint32(len(puppet)), Gas: module.ActivationGas})
	return a
}

// block executes transactions as the next block and advances the state.
func (c *chain) block(txs ...*ledger.Transaction) *tercet.Result {
	c.t.Helper()
	height := c.parent.Number.Uint64() + 1
	o := &ledger.Ordered{Height: height, TimeMs: c.genesis.TimeMs + 2000*height, Proposer: common.Address{0xc0}}
	res, err := tercet.Execute(c.t.Context(), c.worker, c.genesis, c.parent, o, txs, c)
	if err != nil {
		c.t.Fatal(err)
	}
	c.apply(res)
	c.parent = ledger.SealHeader(c.genesis, c.parent, o, res.Transactions, res.Receipts, common.Hash{})
	return res
}

// apply advances the state, and checks that each change is one and in its place.
func (c *chain) apply(res *tercet.Result) {
	c.t.Helper()
	for i, change := range res.Changes {
		if change.Path != ledger.Path(change.Key) || i > 0 && bytes.Compare(res.Changes[i-1].Path[:], change.Path[:]) >= 0 {
			c.t.Fatalf("change %d is not in its place", i)
		}
		if a, ok := ledger.ParseAccountKey(change.Key); ok {
			account, err := ledger.DecodeAccount(change.Value)
			if err != nil || account == c.accounts[a] {
				c.t.Fatalf("change %d of %s changes nothing: %v", i, a, err)
			}
			c.accounts[a] = account
		} else if a, slot, ok := ledger.ParseStorageKey(change.Key); ok {
			value, err := ledger.DecodeSlot(change.Value)
			if err != nil || value == c.storage[a][slot] {
				c.t.Fatalf("change %d of %s %s changes nothing: %v", i, a, slot, err)
			}
			if c.storage[a] == nil {
				c.storage[a] = make(map[common.Hash]common.Hash)
			}
			if c.storage[a][slot] = value; value == (common.Hash{}) {
				delete(c.storage[a], slot)
			}
		} else {
			if c.values[string(change.Key)] != nil || len(change.Value) == 0 {
				c.t.Fatalf("change %d of %x changes nothing", i, change.Key)
			}
			c.values[string(change.Key)] = change.Value
		}
	}
	for _, code := range res.Codes {
		if code.Hash != crypto.Keccak256Hash(code.Bytes) || c.codes[code.Hash] != nil || c.values[string(ledger.CodeKey(code.Hash))] == nil {
			c.t.Fatalf("code %s is known, has another hash or no activation", code.Hash)
		}
		c.codes[code.Hash] = code.Bytes
	}
}

// sign makes a transaction of key i with its next nonce.
func (c *chain) sign(i int, to *common.Address, value, gas uint64, data []byte) *ledger.Transaction {
	c.t.Helper()
	key, from := testKey(c.t, i)
	return sign(c.t, c.genesis, key, &types.LegacyTx{
		Nonce: c.accounts[from].Nonce, To: to, Value: new(big.Int).SetUint64(value), Gas: gas, Data: data,
	})
}

// run executes one transaction of key 0 as a block and returns its receipt.
func (c *chain) run(to *common.Address, value, gas uint64, data []byte) *types.Receipt {
	c.t.Helper()
	res := c.block(c.sign(0, to, value, gas, data))
	if len(res.Receipts) != 1 {
		c.t.Fatalf("the transaction was dropped: %v", res.Drops)
	}
	return res.Receipts[0]
}

// message is a call by key 0.
func (c *chain) message(to *common.Address, value uint64, data []byte) *tercet.Message {
	c.t.Helper()
	_, from := testKey(c.t, 0)
	return &tercet.Message{From: from, To: to, Gas: c.genesis.TxGasCap, Value: wei(value), Data: data}
}

// call executes a message on the newest block.
func (c *chain) call(m *tercet.Message) *tercet.CallResult {
	c.t.Helper()
	res, err := tercet.Call(c.t.Context(), c.worker, tercet.BlockOf(c.genesis, c.parent), m, c)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// ask calls without a transaction and returns what a success put out.
func (c *chain) ask(to common.Address, data []byte) *answer {
	c.t.Helper()
	res := c.call(c.message(&to, 0, data))
	if res.Outcome != vm.Success {
		c.t.Fatalf("outcome %d, output %q", res.Outcome, res.Output)
	}
	return &answer{c.t, res.Output}
}

// clone is a chain in the same state.
func (c *chain) clone() *chain {
	other := *c
	other.accounts, other.values, other.codes = maps.Clone(c.accounts), maps.Clone(c.values), maps.Clone(c.codes)
	other.storage = make(map[common.Address]map[common.Hash]common.Hash)
	for a, slots := range c.storage {
		other.storage[a] = maps.Clone(slots)
	}
	return &other
}
