package exec_test

import (
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// loadGas is what a transaction pays for running modules.
func loadGas(modules ...[]byte) uint64 {
	bytes := 0
	for _, m := range modules {
		bytes += 5000 + len(m)
	}
	return 4 * uint64(max(bytes-16<<10, 0))
}

// installOther puts a puppet whose code nobody else has at an address.
func (c *chain) installOther(a common.Address, name byte) []byte {
	c.t.Helper()
	c.install(a, 1000)
	code := append(slices.Clip(puppet), 0, 2, 1, name) // a section
	account := c.accounts[a]
	was := account.CodeHash
	account.CodeHash = crypto.Keccak256Hash(code)
	c.accounts[a], c.codes[account.CodeHash] = account, code
	activation, err := ledger.DecodeActivation(c.values[string(ledger.CodeKey(was))])
	if err != nil {
		c.t.Fatal(err)
	}
	activation.ModuleBytes = uint32(len(code))
	c.values[string(ledger.CodeKey(account.CodeHash))] = ledger.EncodeActivation(activation)
	return code
}

// TestFrames_load pays for each module that a transaction runs, once, and whatever ran before.
func TestFrames_load(t *testing.T) {
	c := puppets(t)
	other := c.installOther(nobody, 'x')
	measure := func(to common.Address) (first, second uint64) {
		got := c.ask(puppetA, script{}.static(to, 0, nil).gas().static(to, allGas, nil).gas().static(to, allGas, nil).gas())
		got.call() // makes the account warm, and fails
		a := got.number(8)
		got.call()
		b := got.number(8)
		got.call()
		return a - b, b - got.number(8)
	}
	for range 2 {
		first, second := measure(nobody)
		if want := loadGas(puppet, other) - loadGas(puppet); first != second+want {
			t.Errorf("the first call takes %d gas, the second %d, want %d less", first, second, want)
		}
		if first, second := measure(puppetB); first != second {
			t.Errorf("of the code that runs, the first call takes %d gas, the second %d", first, second)
		}
	}
	// With too little gas it is not loaded, nor paid by others.
	got := c.ask(puppetA, script{}.static(nobody, 5_000, nil).gas().static(nobody, allGas, nil).gas().static(nobody, allGas, nil).gas())
	if status, _ := got.call(); status != failed {
		t.Errorf("status %d", status)
	}
	a := got.number(8)
	got.call()
	b := got.number(8)
	got.call()
	if first, second := a-b, b-got.number(8); first <= second {
		t.Errorf("after a failure the call takes %d gas, then %d", first, second)
	}
	// The next transaction of the block pays again.
	call := script{}.static(nobody, allGas, nil)
	res := c.block(c.sign(0, &puppetA, 0, 1_000_000, call), c.sign(1, &puppetA, 0, 1_000_000, call))
	if x, y := res.Receipts[0].GasUsed, res.Receipts[1].GasUsed; x != y {
		t.Errorf("the transactions used %d and %d gas", x, y)
	}
}

// TestFrames_codeIsReadOnceForItsSize asks about an account a hundred times: its size comes from all of its code.
func TestFrames_codeIsReadOnceForItsSize(t *testing.T) {
	c := &countedCodes{chain: puppets(t)}
	c.installOther(nobody, 'y')
	s := script{}
	for range 100 {
		s = s.balance(nobody).codeHash(nobody).codeSize(nobody)
	}
	m := c.message(&puppetA, 0, s)
	if res, err := exec.Call(t.Context(), c.worker, exec.BlockOf(c.genesis, c.parent), m, c); err != nil || res.Outcome != vm.Success {
		t.Fatal(res, err)
	}
	if c.reads > 2 { // with the puppet's own, where it is not compiled
		t.Errorf("code was read %d times", c.reads)
	}
}

// countedCodes counts how often code is read.
type countedCodes struct {
	*chain
	reads int
}

func (c *countedCodes) Code(hash common.Hash) []byte {
	c.reads++
	return c.chain.Code(hash)
}
