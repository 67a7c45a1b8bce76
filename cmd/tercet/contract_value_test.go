package main_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	tercet "github.com/tercet-chain/tercet/cmd/tercet"
)

func TestParseSignature(t *testing.T) {
	for _, tt := range []struct{ name, text, written, signature string }{
		{"cast", "balanceOf(address)(uint256)", "function balanceOf(address) returns (uint256)", "balanceOf(address)"},
		{"Solidity", "function transfer(address to, uint amount) external returns (bool ok);", "function transfer(address to, uint256 amount) returns (bool ok)", "transfer(address,uint256)"},
		{"view before and after", "f() view returns (int[2][])", "function f() view returns (int256[2][])", "f()"},
		{"tuples", "f((uint8,(string,bytes32[])[2]) x, tuple(bool a) y)", "function f((uint8, (string, bytes32[])[2]) x, (bool a) y)", "f((uint8,(string,bytes32[])[2]),(bool))"},
		{"event", "event Transfer(address indexed from,address indexed to,uint256 value)", "event Transfer(address indexed from, address indexed to, uint256 value)", "Transfer(address,address,uint256)"},
		{"error", "error NotOwner(address)", "error NotOwner(address)", "NotOwner(address)"},
		{"data locations", "f(string memory s, bytes calldata b)", "function f(string s, bytes b)", "f(string,bytes)"},
		{"a name like a keyword", "event(address)", "", ""},
		{"constructor", "constructor(uint256 start) payable", "constructor(uint256 start) payable", "(uint256)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			written, signature, selector, err := tercet.ParseSignature(tt.text)
			if tt.written == "" {
				if err == nil {
					t.Fatalf("%q is accepted as %q", tt.text, written)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if written != tt.written || signature != tt.signature {
				t.Errorf("%q is written %q, hashed as %q; want %q and %q", tt.text, written, signature, tt.written, tt.signature)
			}
			if want := crypto.Keccak256([]byte(tt.signature))[:4]; !bytes.Equal(selector[:], want) {
				t.Errorf("selector %x, want %x", selector, want)
			}
		})
	}
}

func TestParseSignature_refused(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "does not begin with a name",
		"balanceOf":               `"(" is missing`,
		"f(address":               `"," is missing`,
		"f(uint7)":                `unknown type "uint7"`,
		"f(uint264)":              `unknown type "uint264"`,
		"f(bytes33)":              `unknown type "bytes33"`,
		"f(uint256[0])":           "1 to 1024",
		"f(uint256[1024][2])":     "1 to 1024",
		"f(uint256[99999999])":    "an array is",
		"f(uint256[])(uint256) x": `"x" is left over`,
		"f(uint256 indexed x)":    "only parameters of events",
		"f()(uint8)(uint8)":       `"(" is left over`,
		"event E(int indexed,int indexed,int indexed,int indexed)":               "at most three",
		"f(" + strings.Repeat("(", 20) + "uint8" + strings.Repeat(")", 20) + ")": "deeper than 8",
		"f(uint8" + strings.Repeat("[]", 9) + ")":                                "deeper than 8",
		"f(" + strings.Repeat("uint8,", 64) + "uint8)":                           "at most 64",
		strings.Repeat("f", 5000) + "()":                                         "at most 4096",
		"f(tuple)":                                                               `tuple has at least one field`,
		"f(())":                                                                  `tuple has at least one field`,
	} {
		if _, _, _, err := tercet.ParseSignature(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want something with %q", text, err, want)
		}
	}
}

// The codec of go-ethereum agrees on what was parsed, and the way back gives the same words.
func TestEncode_andBack(t *testing.T) {
	for _, tt := range []struct {
		function string
		words    []string
		back     []string // if not the same
	}{
		{"f()", nil, nil},
		{"f(uint8,int8,uint256,int256)", []string{"255", "-128", "0xff", "-1_000"}, []string{"255", "-128", "255", "-1000"}},
		{"f(uint24,int40,uint64)", []string{"16777215", "-549755813888", "18446744073709551615"}, nil},
		{"f(bool,string,bytes,bytes4)", []string{"true", "two words, (one) \"quote\"", "0x", "0xdeadbeef"}, nil},
		{"f(address)", []string{"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"}, []string{"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}},
		{"f(uint256[],string[2])", []string{"[1, 2,3]", `[plain,"with, comma"]`}, []string{"[1,2,3]", `[plain,"with, comma"]`}},
		{"f((address,(bool,bytes32[])[])[],uint8[2][])", []string{"[(0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266,[(true,[]),(false,[0x" + strings.Repeat("00", 32) + "])])]", "[[1,2],[3,4]]"}, nil},
		{"f(string[])", []string{`["",""]`}, nil},
		{"f(string[])", []string{`[]`}, nil},
	} {
		data, err := tercet.Encode(tt.function, tt.words...)
		if err != nil {
			t.Errorf("%s %q: %v", tt.function, tt.words, err)
			continue
		}
		words, _, err := tercet.Decode(tt.function, data)
		want := tt.back
		if want == nil {
			want = tt.words
		}
		if err != nil || !reflect.DeepEqual(words, want) {
			t.Errorf("%s: %q came back as %q: %v", tt.function, want, words, err)
		}
	}
	data, err := tercet.Encode("f(uint256,string)", "7", "tercet")
	if want := fmt.Sprintf("%064x%064x%064x%s", 7, 64, 6, hex.EncodeToString([]byte("tercet"))+strings.Repeat("00", 26)); err != nil || hex.EncodeToString(data) != want {
		t.Errorf("encoded as %x: %v", data, err)
	}
}

func TestEncode_refused(t *testing.T) {
	for _, tt := range []struct {
		function string
		words    []string
		want     string
	}{
		{"f(uint256 a)", nil, "0 arguments for (uint256 a): give 1"},
		{"f(uint8 a)", []string{"256"}, "argument 1, uint8 a: 256 does not fit into uint8"},
		{"f(uint8)", []string{"-1"}, "does not fit"},
		{"f(int8)", []string{"128"}, "does not fit"},
		{"f(uint256)", []string{"1e18"}, "not an integer"},
		{"f(uint256)", []string{strings.Repeat("9", 101)}, "not an integer"},
		{"f(uint256)", []string{"0x-1"}, "not an integer"},
		{"f(uint256)", []string{""}, "not an integer"},
		{"f(address)", []string{"0xF39fd6e51aad88f6f4ce6ab8827279cfffb92266"}, "checksum is wrong"},
		{"f(address)", []string{"f39fd6e51aad88f6f4ce6ab8827279cfffb92266"}, "is not an address"},
		{"f(address)", []string{"0xf39f"}, "is not an address"},
		{"f(bool)", []string{"1"}, "neither true nor false"},
		{"f(bytes)", []string{"0xabc"}, "even number"},
		{"f(bytes4)", []string{"0xabcdef"}, "has 3 bytes"},
		{"f(uint8[2])", []string{"[1]"}, "has 1 elements"},
		{"f((uint8,uint8))", []string{"(1,2,3)"}, "has 3 elements"},
		{"f(uint8[])", []string{"1,2"}, "does not stand in []"},
		{"f(uint8[][])", []string{"[[1,2]"}, "not closed"},
		{"f(uint8[][])", []string{"[1],[2]]"}, "do not match"},
		{"f(uint8[])", []string{"[1,]"}, "element 2"},
		{"f(string[])", []string{`["a]`}, "not closed"},
		{"f(string[])", []string{`["a" b]`}, "not a text in quotes"},
	} {
		if _, err := tercet.Encode(tt.function, tt.words...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: %v, want something with %q", tt.function, tt.words, err, tt.want)
		}
	}
}

// FuzzParseSignature: what is accepted is written so that it is read the same.
func FuzzParseSignature(f *testing.F) {
	for _, s := range []string{
		"balanceOf(address)(uint256)", "function f((uint8,string[2])[] x) view returns (bool)", "event E(address indexed a, bytes) anonymous",
		"error E()", "constructor(uint[3][])", "receive() payable", "f(", "f([)", "f(tuple(uint8 a)[] b)", "f(uint8[ 2 ] a)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		written, signature, _, err := tercet.ParseSignature(text)
		if err != nil {
			return
		}
		again, same, _, err := tercet.ParseSignature(written)
		if err != nil || again != written || same != signature {
			t.Fatalf("%q is written %q, which is read as %q: %v", text, written, again, err)
		}
	})
}

// FuzzReadABI: any file is refused, or its entries are written so that they are signatures.
func FuzzReadABI(f *testing.F) {
	for _, s := range []string{
		`[{"type":"function","name":"f","inputs":[{"name":"x","type":"tuple[]","components":[{"name":"a","type":"uint8"}]}]}]`,
		`{"abi":[{"type":"event","name":"E","inputs":[{"name":"a","type":"address","indexed":true}]}]}`, `[]`, `{}`, "f(uint8)\n// comment\nerror E()", `[{"inputs":null,"name":"f"}]`,
		`[{"type":"error","name":"E","inputs":[{"type":"uint256[1000000]"}]}]`, "\x00asm", `{"abi":null}`, `[{"name":"view","inputs":[{"name":"memory","type":"uint8"}]}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := tercet.ReadABI(raw)
		if err != nil {
			return
		}
		for _, e := range entries {
			if len(e) > 4096 {
				continue
			}
			if _, _, _, err := tercet.ParseSignature(e); err != nil {
				t.Fatalf("%s is read as %q: %v", raw, entries, err)
			}
		}
	})
}

// FuzzEncode: words that are accepted come back from the encoding in a form that is encoded the same.
func FuzzEncode(f *testing.F) {
	for _, s := range [][2]string{
		{"f(uint256)", "7"}, {"f(int8[])", "[-1,2]"}, {"f((string,bytes)[2])", `[(a,0x),("b,\n",0xff)]`}, {"f(string)", "a\x00\"b"}, {"f(bytes3)", "0x010203"}, {"f(string[])", `["\xff"]`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, function, word string) {
		data, err := tercet.Encode(function, word)
		if err != nil {
			return
		}
		words, values, err := tercet.Decode(function, data)
		if err != nil || len(words) != 1 {
			t.Fatalf("%s %q came back as %q: %v", function, word, words, err)
		}
		if _, isText := values[0].(string); isText && words[0] != values[0] {
			return // control characters do not reach the terminal
		}
		again, err := tercet.Encode(function, words[0])
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s: %q came back as %q, which is encoded differently: %v", function, word, words[0], err)
		}
	})
}

// FuzzDecode: what a node answers is printed or refused.
func FuzzDecode(f *testing.F) {
	f.Add("f(uint256)", make([]byte, 32))
	f.Add("f(string[])", bytes.Repeat([]byte{0, 0, 0, 32}, 32))
	f.Add("f((uint8,bytes)[])", bytes.Repeat([]byte{0xff}, 96))
	f.Fuzz(func(t *testing.T, function string, data []byte) {
		words, _, err := tercet.Decode(function, data)
		if err == nil && strings.ContainsAny(strings.Join(words, ""), "\x1b\n\r") {
			t.Fatalf("%x reaches the terminal as %q", data, words)
		}
	})
}
