package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// Gas that each transaction declares: somewhat more than it takes, since blocks are filled by what is declared.
const (
	tokenGas       = 150_000
	notaryGas      = 200_000
	receivablesGas = 500_000
	creationGas    = 12_000_000
)

const tokenName = "Tercet Euro"

// Modules written by hand: one page of memory, exported, and a user_entrypoint with the body at the end.
const (
	moduleStart = "\x00asm\x01\x00\x00\x00" + "\x01\x06\x01\x60\x01\x7f\x01\x7f" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x07\x1c\x02\x06memory\x02\x00\x0fuser_entrypoint\x00\x00"
	emptyCode = moduleStart + "\x0a\x06\x01\x04\x00\x41\x00\x0b"                                   // i32.const 0
	loopCode  = moduleStart + "\x0a\x0b\x01\x09\x00\x03\x40\x0c\x00\x0b\x41\x00\x0b"               // loop br 0 end i32.const 0
	trapCode  = moduleStart + "\x0a\x05\x01\x03\x00\x00\x0b"                                       // unreachable
	floatCode = moduleStart + "\x0a\x0c\x01\x0a\x00\x43\x00\x00\x00\x00\x1a\x41\x00\x0b"           // f32.const 0 drop i32.const 0
	evmCode   = "\x60\x80\x60\x40\x52\x34\x80\x15\x60\x0e\x57\x5f\x80\xfd\x5b\x50\x60\x01\x5f\xf3" // what solc begins with
)

// contract is one that is deployed, or can be.
type contract struct {
	name    string
	address common.Address
	abi     abi.ABI
	code    []byte
}

// readContract reads an example as a user of any Ethereum tool would: its artifact.
func readContract(t *testing.T, name string) *contract {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "contracts", "examples", name, "artifact.json"))
	check(t, err)
	var artifact struct {
		ABI      json.RawMessage
		Bytecode hexutil.Bytes
	}
	check(t, json.Unmarshal(raw, &artifact))
	parsed, err := abi.JSON(strings.NewReader(string(artifact.ABI)))
	check(t, err)
	return &contract{name: name, abi: parsed, code: artifact.Bytecode}
}

// pack encodes a call, whose arguments are the test's own.
func (c *contract) pack(method string, args ...any) []byte {
	data, err := c.abi.Pack(method, args...)
	if err != nil {
		panic(fmt.Sprintf("the test calls %s.%s as its ABI says: %v", c.name, method, err))
	}
	return data
}

// creation is the data of a transaction that creates the contract.
func (c *contract) creation(args ...any) []byte {
	return slices.Concat(c.code, c.pack("", args...))
}

// market is what all actors share: the contracts, and an admin who is account 0 of the wallet.
type market struct {
	network                    *chaos.Network
	wallet                     *chaos.Wallet
	token, notary, receivables *contract
	loop, trap                 common.Address
	actors                     []*actor
	setup                      []done
}

const adminTokens = 1000

// openMarket deploys the contracts.
func openMarket(t *testing.T, n *chaos.Network, actors int) *market {
	t.Helper()
	m := &market{
		network: n, wallet: fund(t, n, 1+3*actors),
		token: readContract(t, "token"), notary: readContract(t, "notary"), receivables: readContract(t, "receivables"),
	}
	admin := m.wallet.Accounts()[0]
	var attesters []common.Address
	for i := range actors {
		m.actors = append(m.actors, newActor(m, i))
		attesters = append(attesters, m.actors[i].address(debtor), m.actors[i].address(bank))
	}
	for nonce, address := range []*common.Address{&m.token.address, &m.notary.address, &m.receivables.address, &m.loop, &m.trap} {
		*address = crypto.CreateAddress(admin, uint64(nonce))
	}
	steps := []step{
		{kind: "creation", gas: creationGas, data: m.token.creation(tokenName, "TEUR", big.NewInt(adminTokens), admin)},
		{kind: "creation", gas: creationGas, data: m.notary.creation(admin, attesters, uint32(2))},
		{kind: "creation", gas: creationGas, data: m.receivables.creation(m.token.address)},
		{kind: "creation", gas: creationGas, data: []byte(loopCode)},
		{kind: "creation", gas: creationGas, data: []byte(trapCode)},
	}
	minter := crypto.Keccak256Hash([]byte("MINTER_ROLE"))
	for _, a := range m.actors {
		steps = append(steps, step{kind: "token grantRole", to: &m.token.address, gas: tokenGas, data: m.token.pack("grantRole", minter, a.address(supplier))})
	}
	begin := &actor{market: m, load: &chaos.Load{Clients: n.Clients()}} // the admin, for once
	check(t, begin.do(bounded(t, time.Minute), steps...))
	m.setup = begin.did
	return m
}

// dones are the transactions of all, when nobody acts any more.
func (m *market) dones() []done {
	all := slices.Clone(m.setup)
	for _, a := range m.actors {
		all = append(all, a.did...)
	}
	return all
}

// Contracts of all kinds under a mixed load, while nodes are killed, one of them without its state, index
// and compiled code: every transaction ends as it has to, once and with the same receipt everywhere, and
// the contracts keep what they promise.
func TestNetwork_contracts(t *testing.T) {
	n := start(t)
	began := time.Now()
	m := openMarket(t, n, pick(8, 32))
	t.Logf("three contracts and %d accounts after %v", len(m.wallet.Accounts()), ms(time.Since(began)))

	watching, unwatch := context.WithCancel(t.Context())
	watch, watched := chaos.StartWatch(watching, chaos.Highest(t.Context(), n.Clients()...), n.Clients()...)
	stop, errs := make(chan struct{}), make([]error, len(m.actors)) // stop is closed by the test: no new stories
	ctx := bounded(t, pick(time.Minute, 10*time.Minute))
	var acting sync.WaitGroup
	began = time.Now()
	for i, a := range m.actors {
		acting.Go(func() { errs[i] = a.live(ctx, stop) })
	}
	t.Cleanup(acting.Wait)
	trouble(t, n)
	close(stop)
	acting.Wait()
	took := time.Since(began)
	gap, at := watch.LongestGap(began, time.Now())
	unwatch()
	watched()
	check(t, errors.Join(errs...))

	all := m.dones()
	t.Logf("%d actors: %d transactions in %.1f s, %.0f/s; longest time without a block %v, %v after the start; gas\n%s",
		len(m.actors), len(all), took.Seconds(), float64(len(all)-len(m.setup))/took.Seconds(), ms(gap), ms(at.Sub(began)), figures(all))
	m.audit(t, all)
}

// trouble kills nodes, by turns and by chance, and deletes what they derived.
func trouble(t *testing.T, n *chaos.Network) {
	t.Helper()
	random := rand.New(rand.NewPCG(*soakSeed, 1))
	for round := range pick(2, 10) {
		check(t, chaos.Pause(t.Context(), pick(time.Second, 3*time.Second)+time.Duration(random.IntN(500))*time.Millisecond))
		victims := []*chaos.Node{n.Nodes[(round+1)%len(n.Nodes)]}
		if round%4 == 2 {
			two := random.Perm(len(n.Nodes))
			victims = []*chaos.Node{n.Nodes[two[0]], n.Nodes[two[1]]}
		} else if round%8 == 7 {
			victims = n.Nodes
		}
		check(t, n.Crash(t.Context(), victims...))
		did := "killed"
		if round%2 == 1 {
			did = "killed, one without state, index and compiled code"
			for _, name := range []string{"state.ldb", "index.ldb", "contracts"} {
				path := victims[0].Data(name)
				if _, err := os.Stat(path); err != nil {
					t.Fatalf("there is nothing to delete: %v", err)
				}
				check(t, os.RemoveAll(path))
			}
		}
		check(t, chaos.Pause(t.Context(), pick(500*time.Millisecond, 2*time.Second))) // the others go on, or wait
		began := time.Now()
		check(t, n.Restart(t.Context(), victims...))
		answers := time.Since(began)
		head := chaos.Highest(t.Context(), n.Clients()...)
		_, err := chaos.Level(t.Context(), head+1, 30*time.Second, n.Clients()...)
		check(t, err)
		level := time.Since(began)
		used, err := chaos.UsageOf(victims[0].PID)
		check(t, err)
		t.Logf("round %d: %d of 4 %s; they answer %v after their restart began, all are beyond height %d after %v; %s used %.1f CPU s by then",
			round+1, len(victims), did, ms(answers), head, ms(level), victims[0].Name, used.CPU.Seconds())
	}
}

// figures is a table: of each kind how many there were, how long they took and what they cost.
func figures(all []done) string {
	byKind := map[string][]done{}
	for _, d := range all {
		byKind[d.kind] = append(byKind[d.kind], d)
		byKind[""] = append(byKind[""], d)
	}
	var kinds []string
	for kind := range byKind {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	var b strings.Builder
	fmt.Fprintf(&b, "%-34s %7s %9s %9s %9s %10s %10s\n", "", "count", "p50 ms", "p99 ms", "max ms", "gas least", "gas most")
	for _, kind := range kinds {
		var took []time.Duration
		var gas []uint64
		for _, d := range byKind[kind] {
			took, gas = append(took, d.Latency()), append(gas, uint64(d.Receipt.GasUsed))
		}
		slices.Sort(took)
		at := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1000 }
		name := kind
		if kind == "" {
			name = "all"
		}
		fmt.Fprintf(&b, "%-34s %7d %9.1f %9.1f %9.1f %10d %10d\n", name, len(took), at(0.5), at(0.99), at(1), slices.Min(gas), slices.Max(gas))
	}
	return b.String()
}

// audit compares the nodes with each other, with what clients saw, and with what the actors did.
func (m *market) audit(t *testing.T, all []done) {
	t.Helper()
	began := time.Now()
	n, clients := m.network, m.network.Clients()
	blocks := agree(t, n)
	var sent []*chaos.Transfer
	var seen, some []*chaos.Receipt
	for i, d := range all {
		sent, seen = append(sent, d.Transfer), append(seen, d.Receipt)
		if i%10 == 0 {
			some = append(some, d.Receipt)
		}
	}
	check(t, chaos.Once(blocks, sent))
	check(t, chaos.Kept(t.Context(), seen, clients[0]))
	check(t, chaos.Kept(t.Context(), some, clients[1:]...)) // by hash; block by block the nodes are compared below
	conserved(t, n, m.wallet)

	last := uint64(len(blocks) - 1)
	receipts, err := chaos.SameReceipts(t.Context(), 0, last, clients...)
	check(t, err)
	logs, err := chaos.SameLogs(t.Context(), 0, last, nil, clients...)
	check(t, err)
	var want []*types.Log
	for _, r := range receipts {
		want = append(want, r.Logs...)
	}
	if !reflect.DeepEqual(logs, want) {
		t.Errorf("eth_getLogs finds %d logs, which are not the %d of the receipts", len(logs), len(want))
	}
	m.auditCodes(t)
	m.auditTokens(t, last)
	m.auditNotary(t)
	m.auditReceivables(t)
	t.Logf("%d blocks, %d receipts and %d logs are the same on four nodes, and the contracts hold what they have to; that took %v to see",
		len(blocks), len(receipts), len(logs), ms(time.Since(began)))
}

// auditCodes asks every node for the code of every contract.
func (m *market) auditCodes(t *testing.T) {
	t.Helper()
	all := []module{
		{m.loop, []byte(loopCode)},
		{m.trap, []byte(trapCode)},
		{m.token.address, nil},
		{m.receivables.address, nil},
		{m.notary.address, nil}, // what is stored of an artifact is the node's matter
	}
	known := len(all) - 1
	for _, a := range m.actors {
		all = append(all, a.modules...)
	}
	own := len(all)
	for _, a := range m.actors {
		for _, address := range a.notaries {
			all = append(all, module{address, nil})
		}
	}
	for _, c := range m.network.Clients() {
		codes, calls := make([]hexutil.Bytes, len(all)), make([]chaos.Call, len(all))
		for i := range all {
			calls[i] = chaos.Call{Method: "eth_getCode", Params: []any{all[i].address, "latest"}, Result: &codes[i]}
		}
		for part := range slices.Chunk(calls, 200) {
			check(t, c.Batch(t.Context(), part))
		}
		for i, got := range codes {
			want := all[i].code
			if i >= own {
				want = all[known].code
			}
			if want == nil { // the first node says it
				all[i].code = got
				want = got
			}
			if len(got) == 0 || !slices.Equal(got, want) {
				t.Errorf("%s says that the code of %s has %d bytes, it has %d", c.Name, all[i].address, len(got), len(want))
			}
		}
	}
}

// ask calls a method once for each set of arguments on every node, and returns what all of them answer.
func (m *market) ask(t *testing.T, c *contract, method string, args ...[]any) [][]any {
	t.Helper()
	var questions []chaos.Question
	for _, a := range args {
		questions = append(questions, chaos.Question{To: c.address, Data: c.pack(method, a...)})
	}
	answers, err := chaos.SameCalls(t.Context(), questions, m.network.Clients()...)
	check(t, err)
	values := make([][]any, len(answers))
	for i, answer := range answers {
		values[i], err = c.abi.Unpack(method, answer)
		check(t, err)
	}
	return values
}

// auditTokens: balances are what the actors did and what the logs say, and sum to the supply.
func (m *market) auditTokens(t *testing.T, last uint64) {
	t.Helper()
	transfers, err := chaos.SameLogs(t.Context(), 0, last, map[string]any{
		"address": m.token.address, "topics": []any{m.token.abi.Events["Transfer"].ID},
	}, m.network.Clients()...)
	check(t, err)
	logged := map[common.Address]int64{}
	for _, l := range transfers {
		amount := new(big.Int).SetBytes(l.Data).Int64()
		logged[common.BytesToAddress(l.Topics[1][:])] -= amount
		logged[common.BytesToAddress(l.Topics[2][:])] += amount
	}
	supply, owed := int64(adminTokens), int64(0)
	want := map[common.Address]int64{m.wallet.Accounts()[0]: adminTokens}
	for _, a := range m.actors {
		supply += a.minted
		for who, tokens := range a.tokens {
			want[a.address(who)] = tokens
		}
		for _, invoice := range a.invoices {
			owed += invoice.owed()
		}
	}
	want[m.receivables.address] = owed
	var holders []common.Address
	var args [][]any
	for _, h := range append(m.wallet.Accounts(), m.receivables.address) {
		holders, args = append(holders, h), append(args, []any{h})
	}
	sum := new(big.Int)
	for i, balance := range m.ask(t, m.token, "balanceOf", args...) {
		got := balance[0].(*big.Int)
		if h := holders[i]; got.Int64() != want[h] || got.Int64() != logged[h] {
			t.Errorf("%s has %s tokens, the actors make it %d, the logs %d", h, got, want[h], logged[h])
		}
		sum.Add(sum, got)
	}
	if got := m.ask(t, m.token, "totalSupply", nil)[0][0].(*big.Int); got.Cmp(sum) != 0 || got.Int64() != supply {
		t.Errorf("the supply is %s; balances sum to %s, and what was minted less what was burnt to %d", got, sum, supply)
	}
}

// auditNotary: all evidence is there, as certified and superseded as it has to be.
func (m *market) auditNotary(t *testing.T) {
	t.Helper()
	var all []evidence
	var submitters []common.Address
	var hashes, leaves [][]any
	for _, a := range m.actors {
		for _, e := range a.evidence {
			all, submitters, hashes = append(all, e), append(submitters, a.address(supplier)), append(hashes, []any{e.hash})
		}
		for _, h := range a.anchored {
			leaves = append(leaves, []any{rootOf(h), h, [][32]byte{}})
		}
	}
	for i, got := range m.ask(t, m.notary, "evidence", hashes...) {
		e := all[i]
		if got[0] != submitters[i] || got[2] != uint32(e.attestations) || got[3] != (e.attestations == 2) || got[5] != [32]byte(e.supersededBy) {
			t.Errorf("the evidence %s is %v, and has to be of %s, with %d attestations, superseded by %s", e.hash, got, submitters[i], e.attestations, e.supersededBy)
		}
	}
	for i, got := range m.ask(t, m.notary, "verifyLeaf", leaves...) {
		if got[0] != true {
			t.Errorf("the leaf %s is not in its tree", leaves[i][1])
		}
	}
}

// auditReceivables: what an invoice was split into sums to it, and everything has its state and holder.
func (m *market) auditReceivables(t *testing.T) {
	t.Helper()
	for _, a := range m.actors {
		var parts []*part
		var ids [][]any
		for _, invoice := range a.invoices {
			for _, p := range append([]*part{invoice}, invoice.parts...) {
				parts, ids = append(parts, p), append(ids, []any{p.id})
			}
		}
		leaves := map[common.Hash]int64{} // sums by invoice
		for i, got := range m.ask(t, m.receivables, "receivable", ids...) {
			p := parts[i]
			state, holder, amount, root := got[0].(uint8), got[1].(common.Address), got[2].(*big.Int), common.Hash(got[3].([32]byte))
			const split, claimed = 3, 4
			if holder != a.address(p.holder) || amount.Int64() != p.amount || (state == split) != (len(p.parts) > 0) || (state == claimed) != p.claimed {
				t.Errorf("the receivable %s is %v, and has to be of %s, over %d, claimed: %v", p.id, got, a.address(p.holder), p.amount, p.claimed)
			}
			if state != split {
				leaves[root] += amount.Int64()
			}
		}
		for _, invoice := range a.invoices {
			if got := leaves[invoice.id]; got != invoice.amount {
				t.Errorf("the leaves of %s sum to %d, it is over %d", invoice.id, got, invoice.amount)
			}
		}
	}
}

// owed is what the contract holds for the holders of an invoice's parts.
func (p *part) owed() int64 {
	if !p.settled {
		return 0
	}
	var sum int64
	for _, child := range p.parts {
		if !child.claimed {
			sum += child.amount
		}
	}
	return sum
}
