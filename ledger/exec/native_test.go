package exec_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	mrand "math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	geth "github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/vm"
)

// precompiled runs a native contract as a message of its own and returns its output, the gas beside the
// intrinsic one and whether it succeeded.
func (c *chain) precompiled(a common.Address, input []byte) ([]byte, uint64, bool) {
	c.t.Helper()
	m := c.message(&a, 0, input)
	res := c.call(m)
	return res.Output, res.GasUsed - m.IntrinsicGas(), res.Outcome == vm.Success
}

// TestNative_agreesWithGoEthereum holds the precompiled contracts against those of go-ethereum: outputs, prices
// and failures, on inputs that mean something and on mutations of them.
func TestNative_agreesWithGoEthereum(t *testing.T) {
	c := newChain(t)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for number, inputs := range precompiledInputs(t) {
		r := mrand.New(mrand.NewPCG(uint64(number), 1))
		succeeded, failed := 0, 0
		for i := range rounds {
			input := bytes.Clone(inputs[i%len(inputs)])
			if i >= len(inputs) {
				input = mutate(r, input)
			}
			if c.compareNative(number, input) {
				succeeded++
			} else {
				failed++
			}
		}
		if succeeded == 0 || number >= 6 && number <= 9 && failed == 0 {
			t.Errorf("%#x: %d inputs succeed, %d fail: the inputs are too tame", number, succeeded, failed)
		}
	}
}

// compareNative runs a precompiled contract here and there, and says whether it succeeds.
func (c *chain) compareNative(number uint16, input []byte) bool {
	c.t.Helper()
	if number == 9 && len(input) > 4 {
		input[0], input[1] = 0, 0 // few rounds
	}
	a := common.BytesToAddress(binary.BigEndian.AppendUint16(nil, number))
	// Osaka bounds modexp's numbers and prices them anew (EIP-7823, EIP-7883) and has the curve P-256.
	want, price := geth.PrecompiledContractsOsaka[a], geth.PrecompiledContractsOsaka[a].RequiredGas
	wantOutput, err := want.Run(input)
	output, gas, ok := c.precompiled(a, input)
	switch {
	case ok != (err == nil):
		c.t.Fatalf("%#x of %x: success %t, go-ethereum says %v", number, input, ok, err)
	case !ok:
		return false
	case !bytes.Equal(output, wantOutput):
		c.t.Fatalf("%#x of %x: %x, want %x", number, input, output, wantOutput)
	case gas != price(input):
		c.t.Fatalf("%#x of %x: %d gas, want %d", number, input, gas, price(input))
	}
	return true
}

func FuzzNative(f *testing.F) {
	for number, inputs := range precompiledInputs(f) {
		for _, input := range inputs {
			f.Add(number, input)
		}
	}
	f.Fuzz(func(t *testing.T, number uint16, input []byte) {
		if (number == 0 || number > 9) && number != 0x100 || len(input) > 1<<12 {
			t.Skip()
		}
		newChain(t).compareNative(number, bytes.Clone(input))
	})
}

// mutate changes a byte, cuts or lengthens.
func mutate(r *mrand.Rand, b []byte) []byte {
	switch {
	case len(b) == 0 || r.IntN(8) == 0:
		return append(b, make([]byte, r.IntN(70))...)
	case r.IntN(6) == 0:
		return b[:r.IntN(len(b))]
	case r.IntN(3) == 0:
		return b
	}
	b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	return b
}

func precompiledInputs(t testing.TB) map[uint16][][]byte {
	t.Helper()
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	n := func(v uint64) []byte { h := word(v); return h[:] }
	key, _ := testKey(t, 0)
	hash := crypto.Keccak256([]byte("signed"))
	sig, err := crypto.Sign(hash, key)
	if err != nil {
		t.Fatal(err)
	}
	p256Key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("signed"))
	r, s, err := ecdsa.Sign(rand.Reader, p256Key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	wide := func(v *big.Int) []byte { return common.LeftPadBytes(v.Bytes(), 32) }
	// The generators of both groups of bn254 (EIP-196, EIP-197), and the negative of the first.
	g1 := join(n(1), n(2))
	prime, _ := new(big.Int).SetString("21888242871839275222246405745257275088696311157297823662689037894645226208583", 10)
	minus := join(n(1), wide(new(big.Int).Sub(prime, big.NewInt(2))))
	var g2 []byte
	for _, v := range []string{
		"11559732032986387107991004021392285783925812861821192530917403151452391805634",
		"10857046999023057135944570762232829481370756359578518086990519993285655852781",
		"4082367875863433681332203403145435568316851327593401208105741076214120093531",
		"8495653923123431417604973247489272438418190587263600148770280649306958101930",
	} {
		x, _ := new(big.Int).SetString(v, 10)
		g2 = append(g2, wide(x)...)
	}
	modexp := func(base, exponent, modulus []byte) []byte {
		return join(n(uint64(len(base))), n(uint64(len(exponent))), n(uint64(len(modulus))), base, exponent, modulus)
	}
	long := bytes.Repeat([]byte{0xa7}, 100)
	return map[uint16][][]byte{
		1: {join(hash, n(uint64(sig[64])+27), sig[:64]), join(hash, n(29), sig[:64]), join(hash, n(27), make([]byte, 64)), nil},
		2: {nil, []byte("abc"), long},
		3: {nil, []byte("abc"), long},
		4: {nil, []byte("abc"), long},
		5: {
			modexp([]byte{3}, wide(new(big.Int).Sub(prime, big.NewInt(1))), wide(prime)), modexp(long, long, long), modexp(long, []byte{2}, nil),
			modexp(nil, nil, nil), modexp(long, nil, long), modexp(long, long, make([]byte, 40)), nil, modexp(long, append(make([]byte, 40), 5), long[:7]),
		},
		6:     {join(g1, g1), join(g1, minus), g1, nil, join(g1, n(1), n(3))},
		7:     {join(g1, n(9)), join(g1, bytes.Repeat([]byte{0xff}, 32)), g1, nil, join(n(1), n(3), n(1))},
		8:     {nil, join(g1, g2), join(g1, g2, minus, g2), join(g1, g2, g1, g2), g1, join(n(1), n(3), g2)},
		9:     {join([]byte{0, 0, 0, 12}, long, long, make([]byte, 8), []byte{1}), join([]byte{0, 0, 0, 0}, make([]byte, 209)), join(make([]byte, 212), []byte{2}), nil},
		0x100: {join(digest[:], wide(r), wide(s), wide(p256Key.X), wide(p256Key.Y)), join(digest[:], wide(s), wide(r), wide(p256Key.X), wide(p256Key.Y)), nil},
	}
}

// TestNative_modexp_ofLongNumbers is EIP-7823: each of the three has at most 1,024 bytes.
func TestNative_modexp_ofLongNumbers(t *testing.T) {
	c := newChain(t)
	a := common.BytesToAddress([]byte{5})
	for _, tt := range []struct {
		sizes [3]uint64
		want  bool
	}{{[3]uint64{1024, 1, 1024}, true}, {[3]uint64{1025, 0, 1}, false}, {[3]uint64{0, 1025, 1}, false}, {[3]uint64{0, 0, 1025}, false}, {[3]uint64{1 << 63, 0, 1}, false}} {
		var input []byte
		for _, size := range tt.sizes {
			w := word(size)
			input = append(input, w[:]...)
		}
		if _, _, ok := c.precompiled(a, input); ok != tt.want {
			t.Errorf("sizes %v: success %t", tt.sizes, ok)
		}
	}
	input := make([]byte, 96)
	input[0] = 1
	if _, _, ok := c.precompiled(a, input); ok {
		t.Error("a size of 2^248 is accepted")
	}
}

// TestNative_inFrames calls the chain's own contracts from a contract, in each way, and with too little gas.
func TestNative_inFrames(t *testing.T) {
	c := puppets(t)
	a := common.BytesToAddress([]byte{2})
	want := sha256.Sum256([]byte("abc"))
	got := c.ask(puppetA, script{}.call(a, 5, allGas, []byte("abc")).static(a, allGas, []byte("abc")).delegate(a, allGas, []byte("abc")).
		balance(a).static(a, 71, []byte("abc")).static(a, 72, []byte("abc")).call(common.BytesToAddress([]byte{6}), 0, 50_000, bytes.Repeat([]byte{1}, 64)))
	for range 3 {
		if status, data := got.call(); status != succeeded || !bytes.Equal(data.rest, want[:]) {
			t.Errorf("status %d, %x", status, data.rest)
		}
	}
	if balance := got.word(); balance != word(5) {
		t.Errorf("balance %s", balance)
	}
	for _, want := range []uint64{failed, succeeded, failed} {
		if status, _ := got.call(); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	got.end()
	if r := c.run(&a, 3, 30_000, []byte("abc")); r.Status != 1 || r.GasUsed != 21_000+48+72 || c.accounts[a].Balance != wei(3) {
		t.Errorf("%+v, balance %v", r, c.accounts[a])
	}
	if r := c.run(&a, 3, 21_000+48+71, []byte("abc")); r.Status != 0 || r.GasUsed != 21_000+48+71 || c.accounts[a].Balance != wei(3) {
		t.Errorf("%+v, balance %v", r, c.accounts[a])
	}
}

// TestNative_arbWasm asks the activation contract what tools for Stylus contracts ask.
func TestNative_arbWasm(t *testing.T) {
	c := puppets(t)
	_, from := testKey(t, 0)
	a := common.BytesToAddress([]byte{0x71})
	hash := crypto.Keccak256Hash(puppet)
	encode := func(signature string, args ...common.Hash) []byte {
		data := crypto.Keccak256([]byte(signature))[:4]
		for _, arg := range args {
			data = append(data, arg[:]...)
		}
		return data
	}
	of := func(a common.Address) common.Hash { return common.BytesToHash(a[:]) }
	failure := func(signature string) []byte { return encode(signature) }
	numbers := func(values ...uint64) (out []byte) {
		for _, v := range values {
			w := word(v)
			out = append(out, w[:]...)
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		input   []byte
		outcome vm.Outcome
		want    []byte
	}{
		{"version", encode("stylusVersion()"), vm.Success, numbers(1)},
		{"ink", encode("inkPrice()"), vm.Success, numbers(10_000)},
		{"activate what is active", encode("activateProgram(address)", of(puppetA)), vm.Success, numbers(1, 0)},
		{"activate nothing", encode("activateProgram(address)", of(from)), vm.Revert, failure("ProgramNotWasm()")},
		{"version of code", encode("codehashVersion(bytes32)", hash), vm.Success, numbers(1)},
		{"version of no code", encode("codehashVersion(bytes32)", word(5)), vm.Revert, failure("ProgramNotActivated()")},
		{"size of code", encode("codehashAsmSize(bytes32)", hash), vm.Success, numbers(uint64(len(puppet)))},
		{"version of a program", encode("programVersion(address)", of(puppetA)), vm.Success, numbers(1)},
		{"version of no program", encode("programVersion(address)", of(nobody)), vm.Revert, failure("ProgramNotActivated()")},
		{"memory", encode("programMemoryFootprint(address)", of(puppetA)), vm.Success, numbers(1)},
		{"time left", encode("programTimeLeft(address)", of(puppetA)), vm.Success, numbers(1<<64 - 1)},
		{"nothing", nil, vm.Revert, nil},
		{"no argument", encode("activateProgram(address)"), vm.Revert, nil},
		{"another method", encode("codehashKeepalive(bytes32)", hash), vm.Revert, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := c.message(&a, 0, tt.input)
			res := c.call(m)
			if res.Outcome != tt.outcome || !bytes.Equal(res.Output, tt.want) || res.GasUsed != m.IntrinsicGas()+2_100 {
				t.Errorf("outcome %d, %x, %d gas, want %d, %x", res.Outcome, res.Output, res.GasUsed-m.IntrinsicGas(), tt.outcome, tt.want)
			}
		})
	}
	// As cargo stylus does: ask, deploy, send the activation.
	d := newChain(t)
	at := crypto.CreateAddress(from, 0)
	if res := d.call(d.message(&a, 0, encode("codehashVersion(bytes32)", packedHash(t)))); res.Outcome != vm.Revert {
		t.Errorf("active before it is deployed: %d", res.Outcome)
	}
	if r := d.run(nil, 0, 10_000_000, stylus(t)); r.Status != 1 || d.accounts[at].CodeHash != packedHash(t) {
		t.Fatalf("%+v", r)
	}
	if r := d.run(&a, 0, 100_000, encode("activateProgram(address)", of(at))); r.Status != 1 {
		t.Errorf("%+v", r)
	}
}

// stylus is a puppet as cargo stylus deploys it: a program of the EVM that returns the code behind it.
func stylus(tb testing.TB) []byte {
	tb.Helper()
	code, _, err := vm.ParseCreation(packed(tb, nil))
	if err != nil {
		tb.Fatal(err)
	}
	size := word(uint64(len(code)))
	return append(append(append([]byte{0x7f}, size[:]...), common.FromHex("80602b6000396000f300")...), code...)
}
