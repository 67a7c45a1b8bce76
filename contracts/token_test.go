package contracts_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/contracts"
)

var (
	noRole      = [32]byte{}
	minterRole  = [32]byte(crypto.Keccak256([]byte("MINTER_ROLE")))
	freezerRole = [32]byte(crypto.Keccak256([]byte("FREEZER_ROLE")))
	pauserRole  = [32]byte(crypto.Keccak256([]byte("PAUSER_ROLE")))
	badRole     = [32]byte(crypto.Keccak256([]byte("BAKER_ROLE")))
	unlimited   = math.MaxBig256
)

// newToken deploys a token of 1,000 units, all of them the admin's.
func newToken(tb testing.TB) (token deployed, admin, alice, bob person) {
	tb.Helper()
	admin, alice, bob = newPerson(tb, "admin"), newPerson(tb, "alice"), newPerson(tb, "bob")
	c := newChain(tb, admin, alice, bob, newPerson(tb, "carol"))
	token, wrong := c.deploy(tb, bob, contracts.Token(), "Tercet Euro", "TEUR", big.NewInt(1000), admin.address)
	if wrong != "" {
		tb.Fatal(wrong)
	}
	return token, admin, alice, bob
}

func TestToken_constructor(t *testing.T) {
	token, admin, alice, bob := newToken(t)
	for _, v := range []view{
		is("Tercet Euro", "name"),
		is("TEUR", "symbol"),
		is("18", "decimals"),
		is("1000", "totalSupply"),
		is("1000", "balanceOf", admin),
		is("0", "balanceOf", bob),
		is("false", "paused"),
		is("false", "isFrozen", admin),
		is("true", "hasRole", noRole, admin),
		is("true", "hasRole", minterRole, admin),
		is("true", "hasRole", freezerRole, admin),
		is("true", "hasRole", pauserRole, admin),
		is("false", "hasRole", badRole, admin),
		is("false", "hasRole", noRole, bob),
		is("0", "nonces", admin),
		is(short(noRole), "DEFAULT_ADMIN_ROLE"),
		is(short(minterRole), "MINTER_ROLE"),
		is(short(freezerRole), "FREEZER_ROLE"),
		is(short(pauserRole), "PAUSER_ROLE"),
		is(short(noRole), "getRoleAdmin", minterRole),
	} {
		if got := token.get(t, v.method, v.args...); got != v.want {
			t.Errorf("%s%v: got %s, want %s", v.method, v.args, got, v.want)
		}
	}
	tooMuch := new(big.Int).Lsh(big.NewInt(1), 255)
	for _, tt := range []struct {
		name  string
		args  []any
		wrong string
	}{
		{"a name of 31 bytes", []any{strings.Repeat("n", 31), "S", big.NewInt(0), alice.address}, ""},
		{"a name of 32 bytes", []any{strings.Repeat("n", 32), "S", big.NewInt(0), alice.address}, "Error(a text has more than 31 bytes)"},
		{"a symbol of 32 bytes", []any{"N", strings.Repeat("s", 32), big.NewInt(0), alice.address}, "Error(a text has more than 31 bytes)"},
		{"an admin who is nobody", []any{"N", "S", big.NewInt(0), common.Address{}}, "ERC20InvalidReceiver(nobody)"},
		{"a supply of 2^255", []any{"N", "S", tooMuch, alice.address}, "Panic(0x11)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, wrong := token.fork().deploy(t, bob, contracts.Token(), tt.args...); wrong != tt.wrong {
				t.Errorf("got %q, want %q", wrong, tt.wrong)
			}
		})
	}
}

func TestToken_methods(t *testing.T) {
	token, admin, alice, bob := newToken(t)
	carol := newPerson(t, "carol")
	do := func(by person, method string, args ...any) func(*chain) {
		return func(c *chain) { must(t, token.on(c).send(t, by, method, args...)) }
	}
	both := func(first, second func(*chain)) func(*chain) {
		return func(c *chain) { first(c); second(c) }
	}
	tooMuch := new(big.Int).Lsh(big.NewInt(1), 255)

	runSteps(t, token, []step{
		{
			name: "transfer", by: admin, method: "transfer", args: []any{alice, 300}, logs: []string{"Transfer(admin, alice, 300)"},
			then: []view{is("700", "balanceOf", admin), is("300", "balanceOf", alice), is("1000", "totalSupply")},
		},
		{
			name: "transfer of everything to oneself", by: admin, method: "transfer", args: []any{admin, 1000},
			logs: []string{"Transfer(admin, admin, 1000)"}, then: []view{is("1000", "balanceOf", admin)},
		},
		{name: "transfer of nothing", by: bob, method: "transfer", args: []any{alice, 0}, logs: []string{"Transfer(bob, alice, 0)"}},
		{name: "transfer of too much", by: admin, method: "transfer", args: []any{alice, 1001}, wrong: "ERC20InsufficientBalance(admin, 1000, 1001)"},
		{name: "transfer to nobody", by: admin, method: "transfer", args: []any{common.Address{}, 1}, wrong: "ERC20InvalidReceiver(nobody)"},
		{name: "transfer from a frozen account", before: do(admin, "freeze", admin), by: admin, method: "transfer", args: []any{alice, 1}, wrong: "AccountFrozen(admin)"},
		{name: "transfer to a frozen account", before: do(admin, "freeze", alice), by: admin, method: "transfer", args: []any{alice, 1}, wrong: "AccountFrozen(alice)"},
		{name: "transfer while paused", before: do(admin, "pause"), by: admin, method: "transfer", args: []any{alice, 1}, wrong: "EnforcedPause()"},

		{
			name: "approve", by: admin, method: "approve", args: []any{bob, 50}, logs: []string{"Approval(admin, bob, 50)"},
			then: []view{is("50", "allowance", admin, bob), is("0", "allowance", bob, admin)},
		},
		{name: "approve nobody", by: admin, method: "approve", args: []any{common.Address{}, 1}, wrong: "ERC20InvalidSpender(nobody)"},
		{
			name: "transferFrom", before: do(admin, "approve", bob, 50), by: bob, method: "transferFrom", args: []any{admin, carol, 20},
			logs: []string{"Transfer(admin, carol, 20)"}, then: []view{is("30", "allowance", admin, bob), is("20", "balanceOf", carol)},
		},
		{
			name: "transferFrom without limit", before: do(admin, "approve", bob, unlimited), by: bob, method: "transferFrom", args: []any{admin, carol, 20},
			logs: []string{"Transfer(admin, carol, 20)"}, then: []view{is(unlimited.String(), "allowance", admin, bob)},
		},
		{name: "transferFrom beyond the allowance", before: do(admin, "approve", bob, 50), by: bob, method: "transferFrom", args: []any{admin, carol, 51}, wrong: "ERC20InsufficientAllowance(bob, 50, 51)"},
		{name: "transferFrom beyond the balance", before: do(alice, "approve", bob, 50), by: bob, method: "transferFrom", args: []any{alice, carol, 50}, wrong: "ERC20InsufficientBalance(alice, 0, 50)"},
		{name: "transferFrom nobody", by: bob, method: "transferFrom", args: []any{common.Address{}, carol, 0}, wrong: "ERC20InvalidSender(nobody)"},
		{name: "transferFrom to nobody", by: bob, method: "transferFrom", args: []any{admin, common.Address{}, 0}, wrong: "ERC20InvalidReceiver(nobody)"},
		{name: "transferFrom by a frozen spender", before: both(do(admin, "approve", bob, 50), do(admin, "freeze", bob)), by: bob, method: "transferFrom", args: []any{admin, carol, 1}, wrong: "AccountFrozen(bob)"},

		{
			name: "mint", by: admin, method: "mint", args: []any{alice, 5}, logs: []string{"Transfer(nobody, alice, 5)"},
			then: []view{is("1005", "totalSupply"), is("5", "balanceOf", alice)},
		},
		{name: "mint by anybody", by: bob, method: "mint", args: []any{bob, 5}, wrong: "AccessControlUnauthorizedAccount(bob, " + short(minterRole) + ")"},
		{name: "mint for nobody", by: admin, method: "mint", args: []any{common.Address{}, 5}, wrong: "ERC20InvalidReceiver(nobody)"},
		{name: "mint too much", by: admin, method: "mint", args: []any{bob, tooMuch}, wrong: "Panic(0x11)"},
		{name: "mint far too much", by: admin, method: "mint", args: []any{bob, unlimited}, wrong: "Panic(0x11)"},
		{name: "mint for a frozen account", before: do(admin, "freeze", alice), by: admin, method: "mint", args: []any{alice, 5}, wrong: "AccountFrozen(alice)"},
		{name: "mint while paused", before: do(admin, "pause"), by: admin, method: "mint", args: []any{alice, 5}, wrong: "EnforcedPause()"},
		{
			name: "burn", by: admin, method: "burn", args: []any{400}, logs: []string{"Transfer(admin, nobody, 400)"},
			then: []view{is("600", "totalSupply"), is("600", "balanceOf", admin)},
		},
		{name: "burn too much", by: bob, method: "burn", args: []any{1}, wrong: "ERC20InsufficientBalance(bob, 0, 1)"},
		{name: "burn while paused", before: do(admin, "pause"), by: admin, method: "burn", args: []any{1}, wrong: "EnforcedPause()"},
		{
			name: "burnFrom", before: do(admin, "approve", bob, 50), by: bob, method: "burnFrom", args: []any{admin, 50},
			logs: []string{"Transfer(admin, nobody, 50)"}, then: []view{is("950", "totalSupply"), is("0", "allowance", admin, bob)},
		},
		{name: "burnFrom without allowance", by: bob, method: "burnFrom", args: []any{admin, 50}, wrong: "ERC20InsufficientAllowance(bob, 0, 50)"},
		{name: "burnFrom nobody", by: bob, method: "burnFrom", args: []any{common.Address{}, 0}, wrong: "ERC20InvalidSender(nobody)"},

		{
			name: "freeze", by: admin, method: "freeze", args: []any{admin}, logs: []string{"Frozen(admin, admin)"},
			then: []view{is("true", "isFrozen", admin), is("1000", "balanceOf", admin)},
		},
		{name: "freeze twice", before: do(admin, "freeze", alice), by: admin, method: "freeze", args: []any{alice}, then: []view{is("true", "isFrozen", alice)}},
		{name: "freeze by anybody", by: bob, method: "freeze", args: []any{admin}, wrong: "AccessControlUnauthorizedAccount(bob, " + short(freezerRole) + ")"},
		{
			name: "unfreeze", before: do(admin, "freeze", admin), by: admin, method: "unfreeze", args: []any{admin},
			logs: []string{"Unfrozen(admin, admin)"}, then: []view{is("false", "isFrozen", admin), is("1000", "balanceOf", admin)},
		},
		{name: "unfreeze by anybody", by: bob, method: "unfreeze", args: []any{bob}, wrong: "AccessControlUnauthorizedAccount(bob, " + short(freezerRole) + ")"},
		{name: "pause", by: admin, method: "pause", logs: []string{"Paused(admin)"}, then: []view{is("true", "paused")}},
		{name: "pause twice", before: do(admin, "pause"), by: admin, method: "pause", wrong: "EnforcedPause()"},
		{name: "pause by anybody", by: bob, method: "pause", wrong: "AccessControlUnauthorizedAccount(bob, " + short(pauserRole) + ")"},
		{name: "unpause", before: do(admin, "pause"), by: admin, method: "unpause", logs: []string{"Unpaused(admin)"}, then: []view{is("false", "paused")}},
		{name: "unpause what goes on", by: admin, method: "unpause", wrong: "ExpectedPause()"},
		{name: "unpause by anybody", by: bob, method: "unpause", wrong: "AccessControlUnauthorizedAccount(bob, " + short(pauserRole) + ")"},

		{
			name: "grantRole", by: admin, method: "grantRole", args: []any{minterRole, bob},
			logs: []string{"RoleGranted(" + short(minterRole) + ", bob, admin)"},
			then: []view{is("true", "hasRole", minterRole, bob), is("false", "hasRole", pauserRole, bob)},
		},
		{name: "grantRole twice", by: admin, method: "grantRole", args: []any{minterRole, admin}},
		{name: "grantRole by anybody", by: bob, method: "grantRole", args: []any{minterRole, bob}, wrong: "AccessControlUnauthorizedAccount(bob, 00000000)"},
		{name: "grantRole that there is not", by: admin, method: "grantRole", args: []any{badRole, bob}, wrong: "UnknownRole(" + short(badRole) + ")"},
		{
			name: "revokeRole", by: admin, method: "revokeRole", args: []any{minterRole, admin},
			logs: []string{"RoleRevoked(" + short(minterRole) + ", admin, admin)"},
			then: []view{is("false", "hasRole", minterRole, admin), is("true", "hasRole", noRole, admin)},
		},
		{name: "revokeRole by anybody", by: bob, method: "revokeRole", args: []any{minterRole, admin}, wrong: "AccessControlUnauthorizedAccount(bob, 00000000)"},
		{
			name: "renounceRole", by: admin, method: "renounceRole", args: []any{noRole, admin},
			logs: []string{"RoleRevoked(00000000, admin, admin)"}, then: []view{is("false", "hasRole", noRole, admin)},
		},
		{name: "renounceRole of another", by: bob, method: "renounceRole", args: []any{minterRole, admin}, wrong: "AccessControlBadConfirmation()"},
	}, "permit")
}

func TestToken_permit(t *testing.T) {
	token, admin, alice, bob := newToken(t)
	word := func(n *big.Int) []byte { return math.U256Bytes(new(big.Int).Set(n)) }
	hash := crypto.Keccak256
	padded := func(a common.Address) []byte { return common.LeftPadBytes(a[:], 32) }
	domain := hash(
		hash([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
		hash([]byte("Tercet Euro")), hash([]byte("1")), word(new(big.Int).SetUint64(token.genesis.ChainID)), padded(token.address))
	if got := token.get(t, "DOMAIN_SEPARATOR"); got != short([32]byte(domain)) {
		t.Fatalf("domain separator: got %s, want %x", got, domain)
	}
	// permit signs for a permit of alice, and returns the arguments.
	permit := func(by person, amount, nonce, deadline int64) []any {
		content := hash(
			hash([]byte("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")),
			padded(alice.address), padded(bob.address), word(big.NewInt(amount)), word(big.NewInt(nonce)), word(big.NewInt(deadline)))
		signature, err := crypto.Sign(hash([]byte("\x19\x01"), domain, content), by.key)
		if err != nil {
			t.Fatal(err)
		}
		return []any{alice, bob, int(amount), int(deadline), signature[64] + 27, [32]byte(signature[:32]), [32]byte(signature[32:64])}
	}
	now := int64(token.time())
	changed := func(args []any, i int, value any) []any {
		args[i] = value
		return args
	}
	sent := func(c *chain) { must(t, token.on(c).send(t, bob, "permit", permit(alice, 77, 0, now)...)) }
	for _, s := range []step{
		{
			name: "by the owner", args: permit(alice, 77, 0, now), logs: []string{"Approval(alice, bob, 77)"},
			then: []view{is("77", "allowance", alice, bob), is("1", "nonces", alice)},
		},
		{name: "by the owner again", before: sent, args: permit(alice, 78, 1, now+1), logs: []string{"Approval(alice, bob, 78)"}},
		{name: "expired", args: permit(alice, 77, 0, now-1), wrong: "ERC2612ExpiredSignature(" + big.NewInt(now-1).String() + ")"},
		{name: "by another", args: permit(bob, 77, 0, now), wrong: "ERC2612InvalidSigner(bob, alice)"},
		{name: "with a signature that is none", args: changed(permit(alice, 77, 0, now), 4, uint8(9)), wrong: "ERC2612InvalidSigner(nobody, alice)"},
		{name: "for an account without a key", args: changed(changed(permit(alice, 77, 0, now), 4, uint8(9)), 0, common.Address{}), wrong: "ERC2612InvalidSigner(nobody, nobody)"},
	} {
		t.Run(s.name, func(t *testing.T) {
			d := token.on(token.fork())
			if s.before != nil {
				s.before(d.chain)
			}
			a := d.send(t, admin, "permit", s.args...)
			if a.wrong != s.wrong || strings.Join(a.logs, " ") != strings.Join(s.logs, " ") {
				t.Errorf("got error %q, logs %q; want %q, %q", a.wrong, a.logs, s.wrong, s.logs)
			}
			for _, v := range s.then {
				if got := d.get(t, v.method, v.args...); got != v.want {
					t.Errorf("%s: got %s, want %s", v.method, got, v.want)
				}
			}
			t.Logf("permit %d gas", a.raw.GasUsed)
		})
	}
	t.Run("twice", func(t *testing.T) {
		d := token.on(token.fork())
		sent(d.chain)
		a := d.send(t, bob, "permit", permit(alice, 77, 0, now+9)...)
		if !strings.HasPrefix(a.wrong, "ERC2612InvalidSigner(") {
			t.Errorf("got %q, want ERC2612InvalidSigner", a.wrong)
		}
	})
}

// A transfer touches the two balances and whether the token is paused.
func TestToken_transferIsSmall(t *testing.T) {
	token, admin, alice, _ := newToken(t)
	must(t, token.send(t, admin, "transfer", alice, 1))
	a := must(t, token.send(t, admin, "transfer", alice, 1))
	slots := 0
	for _, tuple := range a.raw.Accessed {
		slots += len(tuple.StorageKeys)
	}
	if slots != 3 || len(a.logs) != 1 {
		t.Errorf("a transfer touches %d slots and emits %d logs, want 3 and 1", slots, len(a.logs))
	}
	// 21,000, calldata 1,000, two slots changed 2·5,000, one read 2,100, a log 1,756: the rest is the contract.
	if a.raw.GasUsed > 40_000 {
		t.Errorf("a transfer between holders uses %d gas, want at most 40,000", a.raw.GasUsed)
	}
	t.Logf("a transfer between holders uses %d gas", a.raw.GasUsed)
}

func TestToken_refusesValueAndNonsense(t *testing.T) {
	token, admin, _, _ := newToken(t)
	rich := token.Account(admin.address)
	rich.Balance.SetUint64(9)
	for _, tt := range []struct {
		name, wrong string
		data        []byte
		value       int64
	}{
		{"value", "Error(the contract takes no value)", token.pack(t, "totalSupply"), 1},
		{"no selector", "Error(no such method)", nil, 0},
		{"three bytes", "Error(no such method)", []byte{1, 2, 3}, 0},
		{"an unknown selector", "Error(no such method)", []byte{1, 2, 3, 4}, 0},
		{"missing arguments", "Error(the calldata is too short)", token.pack(t, "transfer", admin, 1)[:67], 0},
		{"an address of 21 bytes", "Error(an address has more than 20 bytes)", append(token.pack(t, "balanceOf", admin)[:15], make([]byte, 21)...), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := token.fork()
			if tt.value > 0 {
				c.entries[string(accountKey(admin))] = encodeAccount(rich)
			}
			if tt.name == "an address of 21 bytes" {
				tt.data[15] = 1
			}
			if got := token.reason(c.execute(t, admin, &token.address, tt.data, tt.value)); got != tt.wrong {
				t.Errorf("got %q, want %q", got, tt.wrong)
			}
		})
	}
}

// Whatever happens, balances sum to the supply.
func TestToken_balancesSumToSupply(t *testing.T) {
	token, admin, alice, bob := newToken(t)
	people := []person{admin, alice, bob, newPerson(t, "carol")}
	must(t, token.send(t, admin, "grantRole", minterRole, alice))
	rng := rand.New(rand.NewPCG(1, 2))
	done := map[string]int{}
	for range 600 {
		by, from, to, amount := people[rng.IntN(4)], people[rng.IntN(4)], people[rng.IntN(4)], rng.IntN(400)
		calls := []struct {
			method string
			args   []any
		}{
			{"transfer", []any{to, amount}},
			{"transfer", []any{to, amount}},
			{"approve", []any{to, amount}},
			{"transferFrom", []any{from, to, amount}},
			{"mint", []any{to, amount}},
			{"burn", []any{amount}},
			{"burnFrom", []any{from, amount}},
			{"freeze", []any{to}},
			{"unfreeze", []any{to}},
			{"unfreeze", []any{from}},
		}
		call := calls[rng.IntN(len(calls))]
		a := token.send(t, by, call.method, call.args...)
		if strings.HasPrefix(a.wrong, "outcome") {
			t.Fatalf("%s%v: %s", call.method, call.args, a.wrong)
		}
		if a.wrong == "" {
			done[call.method]++
		}
		sum := new(big.Int)
		for _, p := range people {
			sum.Add(sum, token.number(t, "balanceOf", p))
		}
		if supply := token.number(t, "totalSupply"); sum.Cmp(supply) != 0 {
			t.Fatalf("after %s%v by %s the balances sum to %s, the supply is %s", call.method, call.args, by.name, sum, supply)
		}
	}
	if len(done) != 8 {
		t.Errorf("only these methods succeeded at least once: %v", done)
	}
	t.Logf("succeeded: %v", done)
}
