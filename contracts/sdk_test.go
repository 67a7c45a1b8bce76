package contracts_test

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"

	"github.com/tercet-chain/tercet/contracts"
)

// TestSDKs runs one contract, written in each language, that does all that the SDK offers.
func TestSDKs(t *testing.T) {
	for _, language := range []string{"assemblyscript", "c", "rust"} {
		t.Run(language, func(t *testing.T) {
			source := map[string]string{"assemblyscript": "contract.ts", "c": "contract.c", "rust": "contract.rs"}[language]
			dir := scaffold(t, language)
			if err := os.WriteFile(filepath.Join(dir, source), []byte(read(t, "testdata/probe/"+source)), 0o600); err != nil {
				t.Fatal(err)
			}
			wasm := build(t, language, dir)
			someone := newPerson(t, "someone")
			probe, wrong := newChain(t, someone).deploy(t, someone, contracts.Contract{
				Name: "probe", ABI: []byte(read(t, "testdata/probe/abi.json")), Wasm: wasm,
			})
			if wrong != "" {
				t.Fatal(wrong)
			}
			t.Run("arithmetic", func(t *testing.T) { checkArithmetic(t, probe) })
			t.Run("encoding", func(t *testing.T) { checkEncoding(t, probe, someone) })
			t.Run("bad calldata", func(t *testing.T) { checkBadCalldata(t, probe, someone) })
			t.Run("calls", func(t *testing.T) { checkCalls(t, probe, someone) })
		})
	}
}

// checkArithmetic compares with math/big.
func checkArithmetic(t *testing.T, probe deployed) {
	one, top := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 256)
	values := []*big.Int{new(big.Int), one, big.NewInt(0xffffffff), math.MaxBig256}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, bits := range []uint{32, 64, 65, 127, 128, 192, 255, 256} {
		random := make([]byte, 32)
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		values = append(values, new(big.Int).Sub(new(big.Int).Lsh(one, bits), one), new(big.Int).Rsh(new(big.Int).SetBytes(random), 256-bits))
	}
	for method, op := range map[string]func(a, b *big.Int) *big.Int{
		"add": func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) },
		"sub": func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) },
		"mul": func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) },
		"divide": func(a, b *big.Int) *big.Int {
			if b.Sign() == 0 {
				return nil
			}
			return new(big.Int).Div(a, b)
		},
		"modulo": func(a, b *big.Int) *big.Int {
			if b.Sign() == 0 {
				return nil
			}
			return new(big.Int).Mod(a, b)
		},
		"compare": func(a, b *big.Int) *big.Int { return big.NewInt(int64(a.Cmp(b) + 1)) },
	} {
		for _, a := range values {
			for _, b := range values {
				res := probe.answer(t, method, probe.ask(t, person{}, &probe.address, probe.pack(t, method, a, b), 0))
				got, result := res.wrong+strings.Join(res.gives, ""), op(a, b)
				want := "Panic(0x11)"
				switch {
				case result == nil:
					want = "Panic(0x12)"
				case result.Sign() >= 0 && result.Cmp(top) < 0:
					want = result.String()
				}
				if got != want {
					t.Fatalf("%s(%x, %x): got %s, want %s", method, a, b, got, want)
				}
			}
		}
	}
}

func checkEncoding(t *testing.T, probe deployed, someone person) {
	for n := range 70 {
		data, numbers := bytes.Repeat([]byte{0xa5}, n), []*big.Int{}
		for i := range n % 5 {
			numbers = append(numbers, new(big.Int).Sub(math.MaxBig256, big.NewInt(int64(i))))
		}
		args := []any{data, numbers, someone.address, n%2 == 0, ^uint64(0) - uint64(n), strings.Repeat("é", n)}
		res := probe.ask(t, someone, &probe.address, probe.pack(t, "echo", args...), 0)
		want, err := probe.abi.Methods["echo"].Outputs.Pack(args...)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(res.Output, want) {
			t.Fatalf("echo of %d bytes: got %x (%s), want %x", n, res.Output, probe.reason(res), want)
		}
		res = probe.ask(t, someone, &probe.address, probe.pack(t, "odd", math.MaxBig256, data), 0)
		odd := probe.abi.Errors["Odd"]
		if want, err = odd.Inputs.Pack(math.MaxBig256, data); err != nil {
			t.Fatal(err)
		}
		if want = append(odd.ID[:4:4], want...); !bytes.Equal(res.Output, want) {
			t.Fatalf("error with %d bytes: got %x, want %x", n, res.Output, want)
		}
		res = probe.ask(t, someone, &probe.address, probe.pack(t, "note", data, numbers), 0)
		if want, err = probe.abi.Events["Note"].Inputs.NonIndexed().Pack(data, numbers); err != nil {
			t.Fatal(err)
		}
		topics := []common.Hash{probe.abi.Events["Note"].ID, common.BytesToHash(someone.address[:])}
		if len(res.Logs) != 1 || !bytes.Equal(res.Logs[0].Data, want) || !slices.Equal(res.Logs[0].Topics, topics) {
			t.Fatalf("log with %d bytes: got %+v, want %x %x", n, res.Logs, topics, want)
		}
	}
}

func checkBadCalldata(t *testing.T, probe deployed, someone person) {
	good := probe.pack(t, "echo", []byte("bytes"), []*big.Int{big.NewInt(1)}, someone, true, uint64(7), "text")
	word := func(i int) int { return 4 + 32*i }
	with := func(at int, value byte) []byte {
		data := bytes.Clone(good)
		data[at] = value
		return data
	}
	for _, tt := range []struct {
		name, wrong string
		data        []byte
	}{
		{"nothing", "Error(no such method)", nil},
		{"three bytes", "Error(no such method)", good[:3]},
		{"no arguments", "Error(the calldata is too short)", good[:4]},
		{"not all heads", "Error(the calldata is too short)", probe.pack(t, "compare", 1, 2)[:word(2)-1]},
		{"an address of 21 bytes", "Error(an address has more than 20 bytes)", with(word(2)+11, 1)},
		{"an address of 32 bytes", "Error(an address has more than 20 bytes)", with(word(2), 1)},
		{"a boolean of 2", "Error(a boolean is neither 0 nor 1)", with(word(4)-1, 2)},
		{"a number of 65 bits", "Error(a number is too large)", with(word(5)-9, 1)},
		{"an offset of 257 bits", "Error(a number is too large)", with(word(0), 1)},
		{"an offset behind the end", "Error(an offset points outside the calldata)", with(word(1)-3, 1)},
		{"an offset beyond 32 bits", "Error(an offset points outside the calldata)", with(word(1)-5, 1)},
		{"an offset at the end", "Error(an offset points outside the calldata)", append(with(word(1)-2, 1)[:word(0)+31], append([]byte{byte(len(good) - 4 - 31)}, good[word(1):]...)...)},
		{"a length behind the end", "Error(a length points outside the calldata)", with(word(7)-2, 8)},
		{"a length beyond 32 bits", "Error(a length points outside the calldata)", with(word(7)-5, 1)},
		{"an array behind the end", "Error(a length points outside the calldata)", with(word(9)-1, 40)},
		{"an array beyond 32 bits", "Error(a length points outside the calldata)", with(word(9)-8, 0x80)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := probe.reason(probe.ask(t, someone, &probe.address, tt.data, 0)); got != tt.wrong {
				t.Errorf("got %q, want %q", got, tt.wrong)
			}
		})
	}
}

// checkCalls has the probe call itself, so that what it had written is visible to the callee and the reverse.
func checkCalls(t *testing.T, probe deployed, someone person) {
	token, wrong := probe.deploy(t, someone, contracts.Token(), "n", "s", new(big.Int), someone.address)
	if wrong != "" {
		t.Fatal(wrong)
	}
	for _, tt := range []struct {
		name string
		args []any
		want string
	}{
		{"what was written before", []any{probe, 7, 30, true}, "30"},
		{"what the other wrote", []any{probe, 7, 30, false}, "31"},
		{"somebody without code", []any{someone, 7, 30, true}, "Error(the called contract returned too little)"},
		{"an error that is passed on", []any{token, 7, 30, true}, "Error(no such method)"},
		{"an error of a call that writes", []any{token, 7, 30, false}, "Error(no such method)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := probe.on(probe.fork())
			a := d.send(t, someone, "relay", tt.args...)
			if got := a.wrong + strings.Join(a.gives, ""); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			kept := "0"
			if a.wrong == "" {
				kept = tt.want
			}
			if got := d.get(t, "kept", 7); got != kept {
				t.Errorf("afterwards %s is kept, want %s", got, kept)
			}
		})
	}
}
