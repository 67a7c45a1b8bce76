package contracts_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/contracts"
	"github.com/tercet-chain/tercet/vm"
)

// States, as the contract numbers them.
const (
	drafted   = 1
	accepted  = 2
	wasSplit  = 3
	claimed   = 4
	cancelled = 5
)

// market is receivables against a token of which everybody but the supplier has 1,000 and has approved as much.
type market struct {
	receivables, token              deployed
	supplier, buyer, bank, investor person
}

func newMarket(tb testing.TB) market {
	tb.Helper()
	m := market{supplier: newPerson(tb, "supplier"), buyer: newPerson(tb, "buyer"), bank: newPerson(tb, "bank"), investor: newPerson(tb, "investor")}
	c := newChain(tb, m.supplier, m.buyer, m.bank, m.investor)
	var wrong string
	if m.token, wrong = c.deploy(tb, m.bank, contracts.Token(), "Tercet Euro", "TEUR", big.NewInt(3000), m.bank.address); wrong != "" {
		tb.Fatal(wrong)
	}
	if m.receivables, wrong = c.deploy(tb, m.bank, contracts.Receivables(), m.token.address); wrong != "" {
		tb.Fatal(wrong)
	}
	for _, p := range []person{m.buyer, m.bank, m.investor} {
		must(tb, m.token.send(tb, m.bank, "transfer", p, 1000))
		must(tb, m.token.send(tb, p, "approve", m.receivables, 1000))
	}
	return m
}

func invoiceID(issuer person, number string) [32]byte {
	return crypto.Keccak256Hash(common.LeftPadBytes(issuer.address[:], 32), crypto.Keccak256([]byte(number)))
}

func childID(id [32]byte, i int64) [32]byte {
	return crypto.Keccak256Hash(id[:], common.BigToHash(big.NewInt(i)).Bytes())
}

func amounts(all ...int64) []*big.Int {
	out := make([]*big.Int, len(all))
	for i, n := range all {
		out[i] = big.NewInt(n)
	}
	return out
}

func TestReceivables_constructor(t *testing.T) {
	m := newMarket(t)
	if got := m.receivables.get(t, "token"); got != "token" {
		t.Errorf("token: got %s", got)
	}
	for _, address := range []common.Address{{}, m.bank.address} {
		want := "NotAContract(" + m.receivables.show(address) + ")"
		if _, wrong := m.receivables.fork().deploy(t, m.bank, contracts.Receivables(), address); wrong != want {
			t.Errorf("got %q, want %q", wrong, want)
		}
	}
}

func TestReceivables_methods(t *testing.T) {
	m := newMarket(t)
	r, supplier, buyer, bank, investor := m.receivables, m.supplier, m.buyer, m.bank, m.investor
	id := invoiceID(supplier, "2026-001")
	left, right := childID(id, 0), childID(id, 1)
	due := r.time() + 1000
	type call struct {
		by     person
		method string
		args   []any
	}
	after := func(calls ...call) func(*chain) {
		return func(c *chain) {
			for _, s := range calls {
				must(t, r.on(c).send(t, s.by, s.method, s.args...))
			}
		}
	}
	before := func(first, second func(*chain)) func(*chain) { return func(c *chain) { first(c); second(c) } }
	onToken := func(by person, method string, args ...any) func(*chain) {
		return func(c *chain) { must(t, m.token.on(c).send(t, by, method, args...)) }
	}
	draft := call{supplier, "draft", []any{"2026-001", buyer, 500, due}}
	accept := call{buyer, "accept", []any{id}}
	split := call{supplier, "split", []any{id, amounts(200, 300)}}
	offer := call{supplier, "offer", []any{id, 450}}
	settle := call{buyer, "settle", []any{id}}
	claim := call{supplier, "claim", []any{id}}
	s, l, h := short(id), short(left), short(right)
	record := func(state int, holder, amount, root string, settled bool, asked int) string {
		return fmt.Sprintf("%d, %s, %s, %s, buyer, %d, %t, %d", state, holder, amount, root, due, settled, asked)
	}
	wrongState := func(id string, state int) string { return fmt.Sprintf("WrongState(%s, %d)", id, state) }

	runSteps(t, r, []step{
		{
			name: "draft", by: supplier, method: "draft", args: []any{"2026-001", buyer, 500, due},
			logs: []string{fmt.Sprintf("Drafted(%s, supplier, buyer, 2026-001, 500, %d)", s, due)},
			then: []view{is(record(drafted, "supplier", "500", s, false, 0), "receivable", id), is(s, "invoiceId", supplier, "2026-001")},
		},
		{name: "draft twice", before: after(draft), by: supplier, method: "draft", args: []any{"2026-001", bank, 7, due}, wrong: "InvoiceExists(" + s + ")"},
		{name: "draft what was cancelled", before: after(draft, call{supplier, "cancel", []any{id}}), by: supplier, method: "draft", args: []any{"2026-001", bank, 7, due}, wrong: "InvoiceExists(" + s + ")"},
		{
			name: "draft the number of another", before: after(draft), by: bank, method: "draft", args: []any{"2026-001", buyer, 500, due},
			logs: []string{fmt.Sprintf("Drafted(%s, bank, buyer, 2026-001, 500, %d)", short(invoiceID(bank, "2026-001")), due)},
		},
		{name: "draft against nobody", by: supplier, method: "draft", args: []any{"n", common.Address{}, 500, due}, wrong: "ZeroAddress()"},
		{name: "draft of nothing", by: supplier, method: "draft", args: []any{"n", buyer, 0, due}, wrong: "ZeroAmount()"},
		{name: "draft that is due", by: supplier, method: "draft", args: []any{"n", buyer, 500, r.time()}, wrong: fmt.Sprintf("DueInPast(%d)", r.time())},

		{name: "cancel", before: after(draft), by: supplier, method: "cancel", args: []any{id}, logs: []string{"Cancelled(" + s + ")"}, then: []view{is(record(cancelled, "supplier", "500", s, false, 0), "receivable", id)}},
		{name: "cancel by another", before: after(draft), by: buyer, method: "cancel", args: []any{id}, wrong: "NotHolder(" + s + ", buyer)"},
		{name: "cancel what was accepted", before: after(draft, accept), by: supplier, method: "cancel", args: []any{id}, wrong: wrongState(s, accepted)},
		{name: "accept", before: after(draft), by: buyer, method: "accept", args: []any{id}, logs: []string{"Accepted(" + s + ", buyer)"}, then: []view{is(record(accepted, "supplier", "500", s, false, 0), "receivable", id)}},
		{name: "accept by another", before: after(draft), by: supplier, method: "accept", args: []any{id}, wrong: "NotDebtor(" + s + ", supplier)"},
		{name: "accept twice", before: after(draft, accept), by: buyer, method: "accept", args: []any{id}, wrong: wrongState(s, accepted)},
		{name: "accept what is not there", by: buyer, method: "accept", args: []any{id}, wrong: "NoSuchReceivable(" + s + ")"},

		{
			name: "split", before: after(draft, accept), by: supplier, method: "split", args: []any{id, amounts(200, 300)},
			logs: []string{fmt.Sprintf("Split(%s, [%s %s], [200 300])", s, l, h)},
			then: []view{
				is(record(wasSplit, "supplier", "500", s, false, 0), "receivable", id),
				is(record(accepted, "supplier", "200", s, false, 0), "receivable", left),
				is(record(accepted, "supplier", "300", s, false, 0), "receivable", right),
				is(h, "childId", id, 1),
			},
		},
		{
			name: "split a part", before: after(draft, accept, split), by: supplier, method: "split", args: []any{left, amounts(1, 199)},
			logs: []string{fmt.Sprintf("Split(%s, [%s %s], [1 199])", l, short(childID(left, 0)), short(childID(left, 1)))},
			then: []view{is(record(accepted, "supplier", "199", s, false, 0), "receivable", childID(left, 1))},
		},
		{name: "split into one", before: after(draft, accept), by: supplier, method: "split", args: []any{id, amounts(500)}, wrong: "BadParts(1)"},
		{name: "split into too many", before: after(draft, accept), by: supplier, method: "split", args: []any{id, amounts(make([]int64, 33)...)}, wrong: "BadParts(33)"},
		{name: "split into nothing and all", before: after(draft, accept), by: supplier, method: "split", args: []any{id, amounts(0, 500)}, wrong: "ZeroAmount()"},
		{name: "split into more", before: after(draft, accept), by: supplier, method: "split", args: []any{id, amounts(200, 301)}, wrong: "SumDiffers(501, 500)"},
		{name: "split into less", before: after(draft, accept), by: supplier, method: "split", args: []any{id, amounts(200, 299)}, wrong: "SumDiffers(499, 500)"},
		{name: "split by overflow", before: after(draft, accept), by: supplier, method: "split", args: []any{id, []*big.Int{unlimited, big.NewInt(501)}}, wrong: "Panic(0x11)"},
		{name: "split by another", before: after(draft, accept), by: bank, method: "split", args: []any{id, amounts(200, 300)}, wrong: "NotHolder(" + s + ", bank)"},
		{name: "split a draft", before: after(draft), by: supplier, method: "split", args: []any{id, amounts(200, 300)}, wrong: wrongState(s, drafted)},
		{name: "split twice", before: after(draft, accept, split), by: supplier, method: "split", args: []any{id, amounts(200, 300)}, wrong: wrongState(s, wasSplit)},

		{
			name: "transfer", before: after(draft, accept, offer), by: supplier, method: "transfer", args: []any{id, bank},
			logs: []string{"Transferred(" + s + ", supplier, bank)"}, then: []view{is(record(accepted, "bank", "500", s, false, 0), "receivable", id)},
		},
		{name: "transfer a part", before: after(draft, accept, split), by: supplier, method: "transfer", args: []any{right, bank}, logs: []string{"Transferred(" + h + ", supplier, bank)"}},
		{name: "transfer by another", before: after(draft, accept), by: bank, method: "transfer", args: []any{id, bank}, wrong: "NotHolder(" + s + ", bank)"},
		{name: "transfer to nobody", before: after(draft, accept), by: supplier, method: "transfer", args: []any{id, common.Address{}}, wrong: "ZeroAddress()"},
		{name: "transfer a draft", before: after(draft), by: supplier, method: "transfer", args: []any{id, bank}, wrong: wrongState(s, drafted)},
		{name: "transfer what is not there", by: supplier, method: "transfer", args: []any{id, bank}, wrong: "NoSuchReceivable(" + s + ")"},

		{
			name: "offer", before: after(draft, accept), by: supplier, method: "offer", args: []any{id, 450}, logs: []string{"Offered(" + s + ", supplier, 450)"},
			then: []view{is(record(accepted, "supplier", "500", s, false, 450), "receivable", id)},
		},
		{
			name: "offer nothing", before: after(draft, accept, offer), by: supplier, method: "offer", args: []any{id, 0}, logs: []string{"Offered(" + s + ", supplier, 0)"},
			then: []view{is(record(accepted, "supplier", "500", s, false, 0), "receivable", id)},
		},
		{name: "offer by another", before: after(draft, accept), by: bank, method: "offer", args: []any{id, 450}, wrong: "NotHolder(" + s + ", bank)"},
		{name: "offer a draft", before: after(draft), by: supplier, method: "offer", args: []any{id, 450}, wrong: wrongState(s, drafted)},
		{
			name: "finance", before: after(draft, accept, offer), by: bank, method: "finance", args: []any{id, 450},
			logs: []string{"Financed(" + s + ", supplier, bank, 450)", "Transfer(bank, supplier, 450)"},
			then: []view{is(record(accepted, "bank", "500", s, false, 0), "receivable", id)},
		},
		{name: "finance at another price", before: after(draft, accept, offer), by: bank, method: "finance", args: []any{id, 451}, wrong: "PriceDiffers(450, 451)"},
		{name: "finance what is not offered", before: after(draft, accept), by: bank, method: "finance", args: []any{id, 450}, wrong: "NotOffered(" + s + ")"},
		{name: "finance twice", before: after(draft, accept, offer, call{bank, "finance", []any{id, 450}}), by: investor, method: "finance", args: []any{id, 450}, wrong: "NotOffered(" + s + ")"},
		{name: "finance a draft", before: after(draft), by: bank, method: "finance", args: []any{id, 450}, wrong: wrongState(s, drafted)},
		{name: "finance without allowance", before: before(after(draft, accept, offer), onToken(bank, "approve", r, 449)), by: bank, method: "finance", args: []any{id, 450}, wrong: "ERC20InsufficientAllowance(receivables, 449, 450)"},
		{name: "finance without tokens", before: before(after(draft, accept, offer), onToken(bank, "transfer", buyer, 999)), by: bank, method: "finance", args: []any{id, 450}, wrong: "ERC20InsufficientBalance(bank, 1, 450)"},
		{name: "finance while the token is paused", before: before(after(draft, accept, offer), onToken(bank, "pause")), by: bank, method: "finance", args: []any{id, 450}, wrong: "EnforcedPause()"},
		{name: "finance from a frozen seller", before: before(after(draft, accept, offer), onToken(bank, "freeze", supplier)), by: bank, method: "finance", args: []any{id, 450}, wrong: "AccountFrozen(supplier)"},

		{
			name: "settle", before: after(draft, accept), by: buyer, method: "settle", args: []any{id},
			logs: []string{"Settled(" + s + ", buyer, 500)", "Transfer(buyer, receivables, 500)"},
			then: []view{is(record(accepted, "supplier", "500", s, true, 0), "receivable", id)},
		},
		{
			name: "settle what was split", before: after(draft, accept, split), by: buyer, method: "settle", args: []any{id},
			logs: []string{"Settled(" + s + ", buyer, 500)", "Transfer(buyer, receivables, 500)"},
			then: []view{is(record(accepted, "supplier", "300", s, true, 0), "receivable", right)},
		},
		{name: "settle by another", before: after(draft, accept), by: bank, method: "settle", args: []any{id}, wrong: "NotDebtor(" + s + ", bank)"},
		{name: "settle twice", before: after(draft, accept, settle), by: buyer, method: "settle", args: []any{id}, wrong: "AlreadySettled(" + s + ")"},
		{name: "settle a draft", before: after(draft), by: buyer, method: "settle", args: []any{id}, wrong: wrongState(s, drafted)},
		{name: "settle what was cancelled", before: after(draft, call{supplier, "cancel", []any{id}}), by: buyer, method: "settle", args: []any{id}, wrong: wrongState(s, cancelled)},
		{name: "settle a part", before: after(draft, accept, split), by: buyer, method: "settle", args: []any{left}, wrong: "NotInvoice(" + l + ")"},
		{name: "settle what is not there", by: buyer, method: "settle", args: []any{id}, wrong: "NoSuchReceivable(" + s + ")"},
		{name: "settle without tokens", before: before(after(draft, accept), onToken(buyer, "transfer", bank, 501)), by: buyer, method: "settle", args: []any{id}, wrong: "ERC20InsufficientBalance(buyer, 499, 500)"},

		{
			name: "claim", before: after(draft, accept, settle), by: supplier, method: "claim", args: []any{id},
			logs: []string{"Claimed(" + s + ", supplier, 500)", "Transfer(receivables, supplier, 500)"},
			then: []view{is(record(claimed, "supplier", "500", s, true, 0), "receivable", id)},
		},
		{
			name: "claim a part that was passed on", before: after(draft, accept, split, settle, call{supplier, "transfer", []any{right, bank}}), by: bank, method: "claim", args: []any{right},
			logs: []string{"Claimed(" + h + ", bank, 300)", "Transfer(receivables, bank, 300)"},
		},
		{name: "claim what is not settled", before: after(draft, accept), by: supplier, method: "claim", args: []any{id}, wrong: "NotSettled(" + s + ")"},
		{name: "claim a part of what is not settled", before: after(draft, accept, split), by: supplier, method: "claim", args: []any{left}, wrong: "NotSettled(" + s + ")"},
		{name: "claim by another", before: after(draft, accept, settle), by: bank, method: "claim", args: []any{id}, wrong: "NotHolder(" + s + ", bank)"},
		{name: "claim twice", before: after(draft, accept, settle, claim), by: supplier, method: "claim", args: []any{id}, wrong: wrongState(s, claimed)},
		{name: "claim what was split", before: after(draft, accept, split, settle), by: supplier, method: "claim", args: []any{id}, wrong: wrongState(s, wasSplit)},
		{name: "split what was claimed", before: after(draft, accept, settle, claim), by: supplier, method: "split", args: []any{id, amounts(200, 300)}, wrong: wrongState(s, claimed)},
		{name: "transfer what was claimed", before: after(draft, accept, settle, claim), by: supplier, method: "transfer", args: []any{id, bank}, wrong: wrongState(s, claimed)},
	})

	t.Run("the whole story", func(t *testing.T) {
		c := r.fork()
		after(draft, accept, split, call{supplier, "offer", []any{right, 280}}, call{bank, "finance", []any{right, 280}}, settle,
			call{supplier, "claim", []any{left}}, call{bank, "claim", []any{right}})(c)
		for who, want := range map[common.Address]string{supplier.address: "480", bank.address: "1020", buyer.address: "500", r.address: "0"} {
			if got := m.token.on(c).get(t, "balanceOf", who); got != want {
				t.Errorf("tokens of %s: got %s, want %s", r.show(who), got, want)
			}
		}
	})
}

// mute is a contract that accepts every call and answers nothing; no writes 32 zeros, which is Solidity's false.
const (
	mute = "\x00asm\x01\x00\x00\x00" + "\x01\x06\x01\x60\x01\x7f\x01\x7f" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x07\x1c\x02\x06memory\x02\x00\x0fuser_entrypoint\x00\x00" + "\x0a\x06\x01\x04\x00\x41\x00\x0b"
	no = "\x00asm\x01\x00\x00\x00" + "\x01\x0b\x02\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\x00" + "\x02\x19\x01\x08vm_hooks\x0cwrite_result\x00\x01" +
		"\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" + "\x07\x1c\x02\x06memory\x02\x00\x0fuser_entrypoint\x00\x01" +
		"\x0a\x0c\x01\x0a\x00\x41\x00\x41\x20\x10\x00\x41\x00\x0b"
)

// Nothing is settled when the token did not say that it paid.
func TestReceivables_refusesTokensThatDoNotPay(t *testing.T) {
	m := newMarket(t)
	notary, wrong := m.token.deploy(t, m.bank, contracts.Notary(), m.bank.address, []common.Address{m.bank.address}, uint32(1))
	if wrong != "" {
		t.Fatal(wrong)
	}
	raw := func(module string) common.Address {
		res := m.token.execute(t, m.bank, nil, []byte(module), 0)
		if res.Outcome != vm.Success {
			t.Fatalf("creating %x: outcome %d, %s", module, res.Outcome, notary.reason(res))
		}
		return res.Created
	}
	for _, tt := range []struct {
		name, wrong string
		token       common.Address
	}{
		{"another contract", "Error(no such method)", notary.address}, // its error is passed on
		{"one that answers nothing", "TokenRefused()", raw(mute)},
		{"one that answers no", "TokenRefused()", raw(no)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, wrong := m.token.fork().deploy(t, m.bank, contracts.Receivables(), tt.token)
			if wrong != "" {
				t.Fatal(wrong)
			}
			id := invoiceID(m.supplier, "1")
			must(t, r.send(t, m.supplier, "draft", "1", m.buyer, 5, r.time()+9))
			must(t, r.send(t, m.buyer, "accept", id))
			if a := r.send(t, m.buyer, "settle", id); a.wrong != tt.wrong {
				t.Errorf("got %q, want %q", a.wrong, tt.wrong)
			}
			if got := r.get(t, "receivable", id); !strings.Contains(got, "false") {
				t.Errorf("it is settled though nobody was paid: %s", got)
			}
		})
	}
}

// book follows what the test did, to know which ids there are.
type book struct {
	market
	invoices [][32]byte
	parts    map[[32]byte][][32]byte // by what was split
	all      [][32]byte
}

type entry struct {
	state         int
	holder        string
	amount        int64
	settled       bool
	invoice, rest string
}

func (b *book) entry(t *testing.T, id [32]byte) entry {
	t.Helper()
	f := strings.Split(b.receivables.get(t, "receivable", id), ", ")
	var e entry
	if _, err := fmt.Sscan(f[0], &e.state); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(f[2], &e.amount); err != nil {
		t.Fatal(err)
	}
	e.holder, e.invoice, e.settled, e.rest = f[1], f[3], f[6] == "true", strings.Join(f[4:], ", ")
	return e
}

// leaves sums what is not split below an id, and what of that is not claimed.
func (b *book) leaves(t *testing.T, id [32]byte) (all, unclaimed int64) {
	t.Helper()
	e := b.entry(t, id)
	if (e.state == wasSplit) != (len(b.parts[id]) > 0) {
		t.Fatalf("%x is in state %d with %d parts", id[:4], e.state, len(b.parts[id]))
	}
	if e.state != wasSplit {
		if e.state == claimed {
			return e.amount, 0
		}
		return e.amount, e.amount
	}
	for _, part := range b.parts[id] {
		a, u := b.leaves(t, part)
		all, unclaimed = all+a, unclaimed+u
	}
	return all, unclaimed
}

// check holds the contract to what its first comment promises.
func (b *book) check(t *testing.T, what string) {
	t.Helper()
	var owed int64
	for _, id := range b.invoices {
		e := b.entry(t, id)
		all, unclaimed := b.leaves(t, id)
		if all != e.amount {
			t.Fatalf("after %s: what is not split of %x sums to %d, the invoice is %d", what, id[:4], all, e.amount)
		}
		if e.settled {
			owed += unclaimed
		} else if unclaimed != all {
			t.Fatalf("after %s: %d of %x were claimed before it was settled", what, all-unclaimed, id[:4])
		}
	}
	if held := b.token.number(t, "balanceOf", b.receivables); held.Int64() != owed {
		t.Fatalf("after %s: the contract holds %s tokens and owes %d", what, held, owed)
	}
	if supply := b.token.get(t, "totalSupply"); supply != "3000" {
		t.Fatalf("after %s: the supply is %s", what, supply)
	}
}

func TestReceivables_invariants(t *testing.T) {
	done := map[string]int{}
	for seed := range uint64(3) {
		b := &book{market: newMarket(t), parts: map[[32]byte][][32]byte{}}
		people := []person{b.supplier, b.buyer, b.bank, b.investor}
		must(t, b.token.send(t, b.supplier, "approve", b.receivables, 1000))
		rng := rand.New(rand.NewPCG(seed, 7))
		for range 150 {
			method, what := b.random(t, rng, people)
			if method != "" {
				done[method]++
			}
			b.check(t, what)
		}
	}
	for _, method := range []string{"draft", "cancel", "accept", "split", "transfer", "offer", "finance", "settle", "claim"} {
		if done[method] < 3 {
			t.Errorf("%s succeeded %d times: the test does not see it", method, done[method])
		}
	}
	t.Logf("succeeded: %v", done)
}

// invoices of one run: few enough that a receivable meets many calls.
const invoices = 6

// random does something, more often sensible than not, and returns the method if it succeeded.
func (b *book) random(t *testing.T, rng *rand.Rand, people []person) (method, what string) {
	t.Helper()
	anybody := func() person { return people[rng.IntN(len(people))] }
	by, id := anybody(), [32]byte{}
	var e entry
	if len(b.all) > 0 {
		id = b.all[rng.IntN(len(b.all))]
		e = b.entry(t, id)
		if holder := slices.IndexFunc(people, func(p person) bool { return p.name == e.holder }); rng.IntN(4) > 0 && holder >= 0 {
			by = people[holder]
		}
	}
	debtor := by
	if d := slices.IndexFunc(people, func(p person) bool { return strings.HasPrefix(e.rest, p.name) }); d >= 0 {
		debtor = people[d]
	}
	part := e.amount
	if e.amount > 1 {
		part = 1 + rng.Int64N(e.amount-1)
	}
	type call struct {
		by     person
		method string
		args   []any
	}
	draft := call{by, "draft", []any{fmt.Sprint(rng.IntN(2 * invoices)), anybody(), 1 + rng.IntN(200), b.receivables.time() + 50}}
	calls := []call{ // what a receivable in any state may meet
		{by, "cancel", []any{id}},
		{debtor, "accept", []any{id}},
		{by, "split", []any{id, amounts(part, 3)}},
		{anybody(), "transfer", []any{id, anybody()}},
		{anybody(), "finance", []any{id, 7}},
		{debtor, "settle", []any{id}},
		{by, "claim", []any{id}},
		draft,
	}
	switch {
	case len(b.invoices) < invoices:
		calls = []call{draft, {debtor, "accept", []any{id}}}
	case rng.IntN(3) == 0:
	case e.state == drafted:
		calls = []call{{by, "cancel", []any{id}}, {debtor, "accept", []any{id}}, {debtor, "accept", []any{id}}}
	case e.state == accepted && strings.HasSuffix(e.rest, " 7"):
		calls = []call{{anybody(), "finance", []any{id, 7}}}
	case e.state == accepted && e.settled:
		calls = []call{{by, "claim", []any{id}}}
	case e.state == accepted:
		calls = []call{
			{by, "split", []any{id, amounts(part, e.amount-part)}},
			{by, "transfer", []any{id, anybody()}},
			{by, "offer", []any{id, 7}},
			{debtor, "settle", []any{id}},
		}
	}
	next := calls[rng.IntN(len(calls))]
	a := b.receivables.send(t, next.by, next.method, next.args...)
	what = fmt.Sprintf("%s by %s (%s)", next.method, next.by.name, a.wrong)
	if strings.HasPrefix(a.wrong, "outcome") {
		t.Fatal(what)
	}
	if a.wrong != "" {
		return "", what
	}
	switch next.method {
	case "draft":
		id = invoiceID(next.by, next.args[0].(string))
		b.invoices, b.all = append(b.invoices, id), append(b.all, id)
	case "split":
		b.parts[id] = [][32]byte{childID(id, 0), childID(id, 1)}
		b.all = append(b.all, b.parts[id]...)
	}
	return next.method, what
}
