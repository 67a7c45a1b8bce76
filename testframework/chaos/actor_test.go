package chaos_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// fate is how a transaction has to end. Actors know that of each of theirs beforehand, since nobody else
// touches their accounts.
type fate int

const (
	succeeds fate = iota
	fails         // with some of its gas left
	usesAll       // of its gas: it ran out, or trapped
)

// step is a transaction of an actor.
type step struct {
	kind  string // as the figures have it
	by    int    // which of the actor's accounts
	to    *common.Address
	data  []byte
	gas   uint64
	value int64 // wei that come back
	fate  fate
}

// done is a step that has its receipt.
type done struct {
	step
	*chaos.Outcome
}

// An actor lives three accounts' lives, one story after the other, and knows what they have to have: the
// supplier may mint tokens, the other two are attesters of the notary and trust receivables with their tokens.
type actor struct {
	*market
	index  int
	first  int // of its accounts in the wallet
	random *rand.Rand
	load   *chaos.Load

	did      []done
	tokens   [3]int64 // of each account
	minted   int64    // less what was burnt
	permits  uint64   // of the debtor
	evidence []evidence
	anchored []common.Hash // each in a tree of its own
	invoices []*part
	notaries []common.Address // that it created
	modules  []module
}

const (
	supplier = iota
	debtor
	bank
)

// evidence is what the notary has to know of a hash.
type evidence struct {
	hash, supersededBy common.Hash
	attestations       int
}

// module is a contract with code that no other has.
type module struct {
	address common.Address
	code    []byte
}

// part is an invoice, or what it was split into.
type part struct {
	id      common.Hash
	amount  int64
	holder  int
	settled bool
	claimed bool
	parts   []*part
}

func newActor(m *market, index int) *actor {
	return &actor{
		market: m, index: index, first: 1 + 3*index, random: rand.New(rand.NewPCG(uint64(index), 0)),
		load: &chaos.Load{Clients: m.network.Clients()},
	}
}

func (a *actor) address(who int) common.Address { return a.wallet.Accounts()[a.first+who] }

// live plays stories until stop is closed, and the last one to its end.
func (a *actor) live(ctx context.Context, stop <-chan struct{}) error {
	if err := a.begin(ctx); err != nil {
		return err
	}
	stories := []struct {
		weight int
		story  func(context.Context) error
	}{{5, a.trade}, {2, a.plain}, {3, a.notarize}, {3, a.finance}, {2, a.blunder}, {1, a.create}}
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		n := a.random.IntN(16)
		for _, s := range stories {
			if n -= s.weight; n < 0 {
				if err := s.story(ctx); err != nil {
					return fmt.Errorf("actor %d: %w", a.index, err)
				}
				break
			}
		}
	}
}

// do signs and submits steps at the same time.
func (a *actor) do(ctx context.Context, steps ...step) error {
	signed := make([]*chaos.Transfer, len(steps))
	for i, s := range steps {
		var err error
		if signed[i], err = a.wallet.Transaction(a.first+s.by, s.to, big.NewInt(s.value), s.gas, s.data); err != nil {
			return err
		}
	}
	return a.submit(ctx, steps, signed)
}

// submit sends each step to another node, and waits until each has ended as it has to.
func (a *actor) submit(ctx context.Context, steps []step, signed []*chaos.Transfer) error {
	dones := make([]done, len(steps))
	var wg sync.WaitGroup
	for i := range steps {
		wg.Go(func() { dones[i] = done{steps[i], a.load.Submit(ctx, signed[i], a.index+len(a.did)+i, time.Now())} })
	}
	wg.Wait()
	a.did = append(a.did, dones...)
	for _, d := range dones {
		if err := d.check(); err != nil {
			return err
		}
	}
	return nil
}

func (d done) check() error {
	r := d.Receipt
	if r == nil {
		return fmt.Errorf("%s (%s) has no receipt after %d tries: %w", d.kind, d.Transfer.Hash, d.Tries, d.Err)
	}
	if ended := r.Status == 1; ended != (d.fate == succeeds) || (uint64(r.GasUsed) == d.gas) != (d.fate == usesAll) {
		return fmt.Errorf("%s (%s) ended with status %d and %d of %d gas used", d.kind, d.Transfer.Hash, r.Status, r.GasUsed, d.gas)
	}
	return nil
}

// call is a step that succeeds.
func (a *actor) call(by int, c *contract, gas uint64, method string, args ...any) step {
	return step{kind: c.name + " " + method, by: by, to: &c.address, gas: gas, data: c.pack(method, args...)}
}

// and gives a step another fate.
func (s step) and(f fate, kind string) step {
	s.fate, s.kind = f, kind
	return s
}

// begin gives the accounts tokens, and receivables the right to move them.
func (a *actor) begin(ctx context.Context) error {
	const wealth = 1_000_000
	var steps []step
	for who := range a.tokens {
		steps = append(steps, a.mint(who, wealth))
	}
	for _, who := range []int{debtor, bank} {
		steps = append(steps, a.call(who, a.token, tokenGas, "approve", a.receivables.address, abi.MaxUint256))
	}
	return a.do(ctx, steps...)
}

func (a *actor) mint(to int, amount int64) step {
	a.tokens[to] += amount
	a.minted += amount
	return a.call(supplier, a.token, tokenGas, "mint", a.address(to), big.NewInt(amount))
}

func (a *actor) pay(from, to int, amount int64) step {
	a.tokens[from] -= amount
	a.tokens[to] += amount
	return a.call(from, a.token, tokenGas, "transfer", a.address(to), big.NewInt(amount))
}

// trade moves tokens: transfers, a permit that is used, minting and burning.
func (a *actor) trade(ctx context.Context) error {
	amount := 1 + a.random.Int64N(97)
	permit, err := a.permit(amount)
	if err != nil {
		return err
	}
	err = a.do(ctx, a.pay(supplier, debtor, amount), a.pay(supplier, bank, amount+1), a.pay(debtor, bank, amount+2), permit)
	if err != nil {
		return err
	}
	use := a.call(bank, a.token, tokenGas, "transferFrom", a.address(debtor), a.address(supplier), big.NewInt(amount))
	a.tokens[debtor] -= amount
	a.tokens[supplier] += amount
	burn := a.call(debtor, a.token, tokenGas, "burn", big.NewInt(amount))
	a.tokens[debtor] -= amount
	a.minted -= amount
	return a.do(ctx, use, burn, a.mint(bank, amount))
}

// permit is brought by the bank and lets it spend the debtor's tokens (EIP-2612).
func (a *actor) permit(amount int64) (step, error) {
	word := func(n uint64) []byte { return common.BigToHash(new(big.Int).SetUint64(n)).Bytes() }
	address := func(a common.Address) []byte { return common.LeftPadBytes(a[:], 32) }
	text := func(s string) []byte { return crypto.Keccak256([]byte(s)) }
	domain := crypto.Keccak256(text("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
		text(tokenName), text("1"), word(a.network.ChainID), address(a.token.address))
	message := crypto.Keccak256(text("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
		address(a.address(debtor)), address(a.address(bank)), word(uint64(amount)), word(a.permits), abi.MaxUint256.Bytes())
	sig, err := a.wallet.Sign(a.first+debtor, crypto.Keccak256Hash([]byte("\x19\x01"), domain, message))
	if err != nil {
		return step{}, err
	}
	a.permits++
	return a.call(bank, a.token, tokenGas, "permit", a.address(debtor), a.address(bank), big.NewInt(amount), abi.MaxUint256,
		sig[64]+27, [32]byte(sig[:32]), [32]byte(sig[32:64])), nil
}

// plain moves wei.
func (a *actor) plain(ctx context.Context) error {
	steps, signed := make([]step, 6), make([]*chaos.Transfer, 6)
	for i := range steps {
		var err error
		steps[i] = step{kind: "transfer of wei", by: i % 3}
		if signed[i], err = a.wallet.Transfer(a.first+i%3, a.first+(i+1+i/3)%3, big.NewInt(1+a.random.Int64N(1000))); err != nil {
			return err
		}
	}
	return a.submit(ctx, steps, signed)
}

func (a *actor) hash(i int) common.Hash {
	return crypto.Keccak256Hash(fmt.Appendf(nil, "document %d of actor %d", i, a.index))
}

// rootOf is the root of a tree of one leaf.
func rootOf(hash common.Hash) common.Hash { return crypto.Keccak256Hash(crypto.Keccak256(hash[:])) }

// notarize submits evidence, one by one and in a batch, anchors a root, has it certified and sometimes supersedes it.
func (a *actor) notarize(ctx context.Context) error {
	const batch = 4
	n, words := len(a.evidence), strings.Repeat("a delivery note; ", 1+a.random.IntN(8))
	var hashes []common.Hash
	for i := range 1 + batch {
		hashes = append(hashes, a.hash(n+i))
		a.evidence = append(a.evidence, evidence{hash: hashes[i]})
	}
	a.anchored = append(a.anchored, hashes[0])
	err := a.do(ctx,
		a.call(supplier, a.notary, notaryGas, "submit", hashes[0], words),
		a.call(supplier, a.notary, batch*notaryGas, "submitBatch", hashes[1:], words),
		a.call(supplier, a.notary, notaryGas, "anchor", rootOf(hashes[0]), words))
	if err != nil {
		return err
	}
	a.evidence[n].attestations = 2
	err = a.do(ctx, a.call(debtor, a.notary, notaryGas, "attest", hashes[0]), a.call(bank, a.notary, notaryGas, "attest", hashes[0]))
	if err != nil || a.random.IntN(3) > 0 {
		return err
	}
	next := a.hash(len(a.evidence))
	a.evidence[n].supersededBy = next
	a.evidence = append(a.evidence, evidence{hash: next})
	return a.do(ctx, a.call(supplier, a.notary, notaryGas, "supersede", hashes[0], next, words))
}

// finance is the life of an invoice, which may stop at any point.
func (a *actor) finance(ctx context.Context) error {
	number := fmt.Sprintf("invoice %d", len(a.invoices))
	issuer := a.address(supplier)
	invoice := &part{id: crypto.Keccak256Hash(common.LeftPadBytes(issuer[:], 32), crypto.Keccak256([]byte(number))), amount: 300 + a.random.Int64N(300)}
	r := a.receivables
	step := func(by int, method string, args ...any) func() error {
		return func() error { return a.do(ctx, a.call(by, r, receivablesGas, method, args...)) }
	}
	due := uint64(time.Now().Add(time.Hour).Unix())
	if err := step(supplier, "draft", number, a.address(debtor), big.NewInt(invoice.amount), due)(); err != nil {
		return err
	}
	a.invoices = append(a.invoices, invoice)
	for i := range int64(3) {
		invoice.parts = append(invoice.parts, &part{id: crypto.Keccak256Hash(invoice.id[:], common.BigToHash(big.NewInt(i)).Bytes()), amount: 100 * (i + 1)})
	}
	invoice.parts[2].amount = invoice.amount - 300
	if invoice.parts[2].amount == 0 {
		invoice.parts = invoice.parts[:2]
	}
	parts := invoice.parts
	invoice.parts = nil
	var amounts []*big.Int
	for _, p := range parts {
		amounts = append(amounts, big.NewInt(p.amount))
	}
	const price = 90
	life := []struct {
		happens func() error
		then    func()
	}{
		{step(debtor, "accept", invoice.id), func() {}},
		{step(supplier, "split", invoice.id, amounts), func() { invoice.parts = parts }},
		{step(supplier, "offer", parts[0].id, big.NewInt(price)), func() {}},
		{step(bank, "finance", parts[0].id, big.NewInt(price)), func() {
			parts[0].holder = bank
			a.tokens[bank] -= price
			a.tokens[supplier] += price
		}},
		{step(supplier, "transfer", parts[1].id, a.address(bank)), func() { parts[1].holder = bank }},
		{step(debtor, "settle", invoice.id), func() {
			invoice.settled = true
			a.tokens[debtor] -= invoice.amount
		}},
		{func() error { return a.claim(ctx, parts) }, func() {}},
	}
	for _, l := range life {
		if a.random.IntN(12) == 0 {
			return nil
		}
		if err := l.happens(); err != nil {
			return err
		}
		l.then()
	}
	return nil
}

// claim has some holders claim their shares, at the same time.
func (a *actor) claim(ctx context.Context, parts []*part) error {
	var steps []step
	for _, p := range parts {
		if a.random.IntN(4) == 0 {
			continue
		}
		p.claimed = true
		a.tokens[p.holder] += p.amount
		steps = append(steps, a.call(p.holder, a.receivables, receivablesGas, "claim", p.id))
	}
	return a.do(ctx, steps...)
}

// blunder does what has to fail: in a contract, in one that it calls, for lack of a right, with wei that
// nobody takes, without enough gas and without an end.
func (a *actor) blunder(ctx context.Context) error {
	tooMuch, unknown := big.NewInt(1<<62), common.Hash{1}
	value := a.call(debtor, a.token, tokenGas, "approve", a.address(bank), big.NewInt(1)).and(fails, "wei to a contract that takes none")
	value.value = 5
	return a.do(ctx,
		a.call(supplier, a.token, tokenGas, "transfer", a.address(bank), tooMuch).and(fails, "transfer of too much"),
		a.call(debtor, a.token, tokenGas, "mint", a.address(debtor), tooMuch).and(fails, "mint without the right"),
		a.call(bank, a.notary, notaryGas, "attest", unknown).and(fails, "attest what is not there"),
		a.call(supplier, a.receivables, receivablesGas, "settle", unknown).and(fails, "settle what is not there"),
		value,
		a.call(bank, a.token, 30_000, "transfer", a.address(supplier), big.NewInt(1)).and(usesAll, "transfer with too little gas"),
		step{kind: "a loop without end", by: debtor, to: &a.loop, gas: 200_000, fate: usesAll},
		step{kind: "a trap", by: supplier, to: &a.trap, gas: 100_000, fate: usesAll},
	)
}

// create creates a contract with code that is known and one with new code, and fails to create others in every way.
func (a *actor) create(ctx context.Context) error {
	good := a.notary.creation(a.address(bank), []common.Address{a.address(debtor)}, uint32(1))
	bad := a.notary.creation(a.address(bank), []common.Address{a.address(debtor)}, uint32(2))
	own := fmt.Appendf([]byte(emptyCode), "\x00\x0a\x01x%04d%04d", a.index, len(a.modules)) // a custom section
	steps := []step{
		{kind: "creation", by: supplier, gas: creationGas, data: good},
		{kind: "creation of new code", by: supplier, gas: creationGas, data: own},
		{kind: "creation that reverts", by: debtor, gas: creationGas, data: bad, fate: fails},
		{kind: "creation with too little gas", by: bank, gas: 500_000, data: good, fate: usesAll},
		{kind: "creation from EVM bytecode", by: bank, gas: creationGas, data: []byte(evmCode), fate: fails},
		{kind: "creation with floats", by: debtor, gas: creationGas, data: []byte(floatCode), fate: fails},
	}
	if err := a.do(ctx, steps...); err != nil {
		return err
	}
	created := func(i int) common.Address {
		return crypto.CreateAddress(a.address(supplier), a.did[len(a.did)-len(steps)+i].Transfer.Nonce)
	}
	a.notaries = append(a.notaries, created(0))
	to := created(1)
	a.modules = append(a.modules, module{to, own})
	return a.do(ctx, step{kind: "call of new code", by: bank, to: &to, gas: tokenGas})
}
