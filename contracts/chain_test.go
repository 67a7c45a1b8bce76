package contracts_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/contracts"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

const (
	txGas     = 10_000_000
	genesisMs = 1_700_000_000_000
	blockMs   = 1_000
)

// chain is a ledger whose state is a map: each transaction is a block, executed as a node does.
type chain struct {
	genesis *ledger.Genesis
	worker  *vm.Worker
	parent  *types.Header
	entries map[string][]byte // by raw key
	codes   map[common.Hash][]byte
	names   map[common.Address]string // of accounts and contracts, for what tests print
}

// person is an account with a key.
type person struct {
	name    string
	key     *ecdsa.PrivateKey
	address common.Address
}

func newPerson(tb testing.TB, name string) person {
	tb.Helper()
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return person{name, key, crypto.PubkeyToAddress(key.PublicKey)}
}

func newChain(tb testing.TB, people ...person) *chain {
	tb.Helper()
	engine, err := vm.New(vm.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	worker, err := engine.Worker()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := worker.Close(); err != nil {
			tb.Errorf("closing the worker: %v", err)
		}
		if err := engine.Close(); err != nil {
			tb.Errorf("closing the engine: %v", err)
		}
	})
	validator := ledger.Validator{Address: newPerson(tb, "validator").address}
	g := ledger.DefaultGenesis(ledger.TestnetChainID, []ledger.Validator{validator}, nil, genesisMs)
	c := &chain{
		genesis: g, worker: worker, parent: g.Header(common.Hash{}),
		entries: map[string][]byte{}, codes: map[common.Hash][]byte{}, names: map[common.Address]string{{}: "nobody"},
	}
	for _, p := range people {
		c.names[p.address] = p.name
	}
	return c
}

// fork returns a chain that goes on by itself from here.
func (c *chain) fork() *chain {
	f := *c
	f.entries, f.codes, f.names = maps.Clone(c.entries), maps.Clone(c.codes), maps.Clone(c.names)
	return &f
}

// Account implements exec.Reader.
func (c *chain) Account(a common.Address) ledger.Account {
	account, err := ledger.DecodeAccount(c.entries[string(ledger.AccountKey(a))])
	if err != nil {
		panic("the executor wrote a valid account: " + err.Error())
	}
	return account
}

// Storage implements exec.Reader.
func (c *chain) Storage(a common.Address, slot common.Hash) common.Hash {
	return common.BytesToHash(c.entries[string(ledger.StorageKey(a, slot))])
}

// Value implements exec.Reader.
func (c *chain) Value(key []byte) []byte { return c.entries[string(key)] }

// Code implements exec.Reader.
func (c *chain) Code(hash common.Hash) []byte { return c.codes[hash] }

// time of the next block, in Unix seconds.
func (c *chain) time() uint64 { return genesisMs/1000 + c.parent.Number.Uint64() + 1 }

// execute asks what a transaction would do, executes it in a block of its own, and checks that both agree.
func (c *chain) execute(tb testing.TB, by person, to *common.Address, data []byte, value int64) *exec.CallResult {
	tb.Helper()
	height := c.parent.Number.Uint64() + 1
	o := &ledger.Ordered{Height: height, TimeMs: genesisMs + height*blockMs, Proposer: c.genesis.Validators[0].Address}
	asked := c.ask(tb, by, to, data, value)

	signed, err := types.SignNewTx(by.key, types.LatestSignerForChainID(new(big.Int).SetUint64(c.genesis.ChainID)), &types.DynamicFeeTx{
		ChainID: new(big.Int).SetUint64(c.genesis.ChainID), Nonce: c.Account(by.address).Nonce, Gas: txGas,
		GasFeeCap: new(big.Int), GasTipCap: new(big.Int), To: to, Data: data, Value: big.NewInt(value),
	})
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := signed.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	tx, err := ledger.DecodeTransaction(raw, c.genesis.ChainID, c.genesis.Limits())
	if err != nil {
		tb.Fatal(err)
	}
	res, err := exec.Execute(tb.Context(), c.worker, c.genesis, c.parent, o, []*ledger.Transaction{tx}, c)
	if err != nil {
		tb.Fatal(err)
	}
	if len(res.Receipts) != 1 {
		tb.Fatalf("the transaction was dropped: %+v", res.Drops)
	}
	receipt := res.Receipts[0]
	if done := receipt.Status == types.ReceiptStatusSuccessful; done != (asked.Outcome == vm.Success) || receipt.GasUsed != asked.GasUsed || len(receipt.Logs) != len(asked.Logs) {
		tb.Fatalf("asked and executed differ: outcome %d, status %d; gas %d and %d; logs %d and %d",
			asked.Outcome, receipt.Status, asked.GasUsed, receipt.GasUsed, len(asked.Logs), len(receipt.Logs))
	}
	c.apply(res, o)
	return asked
}

func (c *chain) apply(res *exec.Result, o *ledger.Ordered) {
	for _, change := range res.Changes {
		if change.Value == nil {
			delete(c.entries, string(change.Key))
		} else {
			c.entries[string(change.Key)] = change.Value
		}
	}
	for _, code := range res.Codes {
		c.codes[code.Hash] = code.Bytes
	}
	c.parent = &types.Header{Number: new(big.Int).SetUint64(o.Height), Time: o.TimeMs / 1000, GasLimit: c.genesis.BlockGasLimit}
}

// ask executes a call on the state and forgets it.
func (c *chain) ask(tb testing.TB, by person, to *common.Address, data []byte, value int64) *exec.CallResult {
	tb.Helper()
	block := vm.Block{
		ChainID: c.genesis.ChainID, Number: c.parent.Number.Uint64() + 1, Time: c.time(),
		GasLimit: c.genesis.BlockGasLimit, Coinbase: c.genesis.Validators[0].Address,
	}
	msg := &exec.Message{From: by.address, To: to, Gas: txGas, Data: data}
	msg.Value.SetUint64(uint64(value))
	res, err := exec.Call(tb.Context(), c.worker, block, msg, c)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// deployed is a contract on a chain.
type deployed struct {
	*chain
	address common.Address
	abi     abi.ABI
}

// deploy creates a contract; wrong is how the creation failed.
func (c *chain) deploy(tb testing.TB, by person, example contracts.Contract, args ...any) (d deployed, wrong string) {
	tb.Helper()
	parsed := parseABI(tb, example)
	code, err := vm.Pack(example.Wasm)
	if err != nil {
		tb.Fatal(err)
	}
	packed, err := parsed.Pack("", args...)
	if err != nil {
		tb.Fatal(err)
	}
	res := c.execute(tb, by, nil, append(code, packed...), 0)
	d = deployed{c, res.Created, parsed}
	if res.Outcome != vm.Success {
		return d, d.reason(res)
	}
	c.names[res.Created] = example.Name
	tb.Logf("%s: %d bytes of module, %d in a creation, %d gas", example.Name, len(example.Wasm), len(code), res.GasUsed)
	return d, ""
}

// on is the contract on another chain.
func (d deployed) on(c *chain) deployed { return deployed{c, d.address, d.abi} }

func (d deployed) pack(tb testing.TB, method string, args ...any) []byte {
	tb.Helper()
	for i := range args { // as tests write them
		switch a := args[i].(type) {
		case int:
			args[i] = big.NewInt(int64(a))
		case person:
			args[i] = a.address
		case deployed:
			args[i] = a.address
		}
	}
	data, err := d.abi.Pack(method, args...)
	if err != nil {
		tb.Fatalf("encoding %s: %v", method, err)
	}
	return data
}

// answer is what a call gave, as tests print it.
type answer struct {
	wrong string   // how it failed: Error(reason) or CustomError(arguments)
	gives []string // the results
	logs  []string // Event(arguments)
	raw   *exec.CallResult
}

// send executes a method in a transaction.
func (d deployed) send(tb testing.TB, by person, method string, args ...any) answer {
	tb.Helper()
	return d.answer(tb, method, d.execute(tb, by, &d.address, d.pack(tb, method, args...), 0))
}

// get asks a method, which has to succeed.
func (d deployed) get(tb testing.TB, method string, args ...any) string {
	tb.Helper()
	a := d.answer(tb, method, d.ask(tb, person{}, &d.address, d.pack(tb, method, args...), 0))
	if a.wrong != "" {
		tb.Fatalf("%s: %s", method, a.wrong)
	}
	return strings.Join(a.gives, ", ")
}

// number is get for one number.
func (d deployed) number(tb testing.TB, method string, args ...any) *big.Int {
	tb.Helper()
	n, ok := new(big.Int).SetString(d.get(tb, method, args...), 10)
	if !ok {
		tb.Fatalf("%s does not return a number", method)
	}
	return n
}

func (d deployed) answer(tb testing.TB, method string, res *exec.CallResult) answer {
	tb.Helper()
	a := answer{raw: res}
	if res.Outcome != vm.Success {
		a.wrong = d.reason(res)
		return a
	}
	values, err := d.abi.Unpack(method, res.Output)
	if err != nil {
		tb.Fatalf("decoding the result of %s: %v", method, err)
	}
	for _, v := range values {
		a.gives = append(a.gives, d.show(v))
	}
	for _, log := range res.Logs {
		a.logs = append(a.logs, d.showLog(tb, log))
	}
	return a
}

// reason decodes revert data.
func (d deployed) reason(res *exec.CallResult) string {
	if res.Outcome != vm.Revert {
		return fmt.Sprintf("outcome %d", res.Outcome)
	}
	if text, err := abi.UnpackRevert(res.Output); err == nil && !bytes.HasPrefix(res.Output, []byte("NH{q")) {
		return fmt.Sprintf("Error(%s)", text)
	}
	if len(res.Output) == 36 && bytes.HasPrefix(res.Output, []byte("NH{q")) { // 4e487b71: Panic(uint256)
		return fmt.Sprintf("Panic(%#x)", res.Output[35])
	}
	for _, e := range d.abi.Errors {
		if len(res.Output) < 4 || !bytes.Equal(res.Output[:4], e.ID[:4]) {
			continue
		}
		if values, err := e.Inputs.Unpack(res.Output[4:]); err == nil {
			return d.showCall(e.Name, values)
		}
	}
	return fmt.Sprintf("%x", res.Output)
}

// showLog decodes a log of this contract, or of a token that it calls.
func (d deployed) showLog(tb testing.TB, log *types.Log) string {
	tb.Helper()
	event, err := d.abi.EventByID(log.Topics[0])
	if err != nil {
		token := parseABI(tb, contracts.Token())
		if event, err = token.EventByID(log.Topics[0]); err != nil {
			tb.Fatal(err)
		}
	}
	plain, err := event.Inputs.NonIndexed().Unpack(log.Data)
	if err != nil {
		tb.Fatalf("decoding %s: %v", event.Name, err)
	}
	indexed := map[string]any{}
	var names abi.Arguments
	for _, in := range event.Inputs {
		if in.Indexed {
			names = append(names, in)
		}
	}
	if err := abi.ParseTopicsIntoMap(indexed, names, log.Topics[1:]); err != nil {
		tb.Fatalf("decoding %s: %v", event.Name, err)
	}
	var values []any
	for _, in := range event.Inputs {
		if in.Indexed {
			values = append(values, indexed[in.Name])
		} else {
			values, plain = append(values, plain[0]), plain[1:]
		}
	}
	return d.showCall(event.Name, values)
}

func (d deployed) showCall(name string, values []any) string {
	var shown []string
	for _, v := range values {
		shown = append(shown, d.show(v))
	}
	return fmt.Sprintf("%s(%s)", name, strings.Join(shown, ", "))
}

// show prints accounts by name, and the first bytes of a hash.
func (d deployed) show(v any) string {
	switch v := v.(type) {
	case common.Address:
		if name, ok := d.names[v]; ok {
			return name
		}
		return v.Hex()
	case [32]byte:
		return short(v)
	case [][32]byte:
		var all []string
		for _, h := range v {
			all = append(all, short(h))
		}
		return fmt.Sprint(all)
	}
	return fmt.Sprint(v)
}

func short(h common.Hash) string { return hex.EncodeToString(h[:4]) }

// step is one transaction of a table, on a fork of a chain.
type step struct {
	name   string
	before func(c *chain) // what happens first
	by     person
	method string
	args   []any
	wrong  string
	logs   []string
	then   []view
}

// view is what a method returns afterwards.
type view struct {
	want, method string
	args         []any
}

func is(want, method string, args ...any) view { return view{want, method, args} }

// runSteps executes each step on a fork of the contract's chain and prints what it cost. Every method that changes
// something has to have a step, here or elsewhere.
func runSteps(t *testing.T, base deployed, steps []step, elsewhere ...string) {
	t.Helper()
	used := map[string]bool{}
	for _, s := range steps {
		used[s.method] = true
		t.Run(s.name, func(t *testing.T) {
			d := base.on(base.fork())
			if s.before != nil {
				s.before(d.chain)
			}
			a := d.send(t, s.by, s.method, s.args...)
			if a.wrong != s.wrong {
				t.Fatalf("%s: got error %q, want %q", s.method, a.wrong, s.wrong)
			}
			if !slices.Equal(a.logs, s.logs) {
				t.Errorf("%s: logs\n%s\nwant\n%s", s.method, strings.Join(a.logs, "\n"), strings.Join(s.logs, "\n"))
			}
			for _, v := range s.then {
				if got := d.get(t, v.method, v.args...); got != v.want {
					t.Errorf("%s%v: got %s, want %s", v.method, v.args, got, v.want)
				}
			}
			t.Logf("%-14s %7d gas", s.method, a.raw.GasUsed)
		})
	}
	for name, m := range base.abi.Methods {
		if !m.IsConstant() && !used[name] && !slices.Contains(elsewhere, name) {
			t.Errorf("no step calls %s", name)
		}
	}
}

// must executes what a test needs to have happened.
func must(tb testing.TB, a answer) answer {
	tb.Helper()
	if a.wrong != "" {
		tb.Fatalf("a step of the preparation failed: %s", a.wrong)
	}
	return a
}

func accountKey(p person) []byte { return ledger.AccountKey(p.address) }

func encodeAccount(a ledger.Account) []byte { return ledger.EncodeAccount(a) }
