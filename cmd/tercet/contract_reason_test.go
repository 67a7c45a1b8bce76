package main_test

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	tercet "github.com/tercet-chain/tercet/cmd/tercet"
)

const someABI = `
error NotOwner(address account)
error Plain()
error Listed(string[] words, (uint8, bool) pair)
event Moved(address indexed by, string indexed name, uint256[] values)
event Moved(address indexed by, string name, uint256[] values)
event Small(int8 indexed n, bytes4 indexed tag, bool indexed on)
`

// raised encodes an error or a call.
func raised(t testing.TB, signature string, words ...string) []byte {
	t.Helper()
	_, _, selector, err := tercet.ParseSignature(signature)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tercet.Encode(strings.TrimPrefix(signature, "error "), words...)
	if err != nil {
		t.Fatal(err)
	}
	return append(selector[:], data...)
}

func TestRevertReason(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "it gives no reason"},
		{"text", raised(t, "Error(string)", "not today"), "not today"},
		{"text for the terminal", raised(t, "Error(string)", "a\x1b[2J\nb"), "a [2J b"},
		{"overflow", raised(t, "Panic(uint256)", "0x11"), "panic 0x11, an overflow"},
		{"another panic", raised(t, "Panic(uint256)", "0x7777"), "panic 30583"},
		{"huge panic", raised(t, "Panic(uint256)", "0x"+strings.Repeat("f", 64)), "panic 115792089237316195423570985008687907853269984665640564039457584007913129639935"},
		{"own error", raised(t, "error NotOwner(address)", "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"), "NotOwner(account: 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266)"},
		{"own error without arguments", raised(t, "error Plain()"), "Plain()"},
		{"own error with lists", raised(t, "error Listed(string[],(uint8,bool))", `[a,"b c"]`, "(1,true)"), `Listed(words: [a,"b c"], pair: (1,true))`},
		{"own error cut off", raised(t, "error NotOwner(address)", "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")[:20], "0x245aecd3000000000000000000000000f39fd6e5, an error that --abi may explain"},
		{"unknown", []byte{1, 2, 3}, "0x010203, an error that --abi may explain"},
		{"long", bytes.Repeat([]byte{0xab}, 1000), "0x" + strings.Repeat("ab", 256) + ", an error that --abi may explain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tercet.RevertReason(someABI, tt.data); err != nil || got != tt.want {
				t.Errorf("got %q, want %q: %v", got, tt.want, err)
			}
		})
	}
}

func TestDecodeLog(t *testing.T) {
	by := common.HexToHash("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
	moved := crypto.Keccak256Hash([]byte("Moved(address,string,uint256[])"))
	small := crypto.Keccak256Hash([]byte("Small(int8,bytes4,bool)"))
	values, err := tercet.Encode("f(uint256[])", "[1,2]")
	if err != nil {
		t.Fatal(err)
	}
	named, err := tercet.Encode("f(string,uint256[])", "x y", "[]")
	if err != nil {
		t.Fatal(err)
	}
	minusOne := common.MaxHash
	tag := common.HexToHash("0xdeadbeef00000000000000000000000000000000000000000000000000000000")
	for _, tt := range []struct {
		name   string
		topics []common.Hash
		data   []byte
		want   string
	}{
		{"an indexed text is its hash", []common.Hash{moved, by, tag}, values, "Moved(by: 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266, name: " + tag.Hex() + ", values: [1,2])"},
		{"the event with as many topics", []common.Hash{moved, by}, named, `Moved(by: 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266, name: "x y", values: [])`},
		{"small values", []common.Hash{small, minusOne, tag, common.BigToHash(big.NewInt(1))}, nil, "Small(n: -1, tag: 0xdeadbeef, on: true)"},
		{"a bool that is none", []common.Hash{small, minusOne, tag, tag}, nil, fmt.Sprintf("data 0x, topic 0 %s, topic 1 %s, topic 2 %s, topic 3 %s", small, minusOne, tag, tag)},
		{"too few topics", []common.Hash{moved}, values, fmt.Sprintf("data 0x%x, topic 0 %s", values, moved)},
		{"no topics", nil, []byte{1}, "data 0x01"},
		{"data that is not", []common.Hash{moved, by}, []byte{1}, fmt.Sprintf("data 0x01, topic 0 %s, topic 1 %s", moved, by)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tercet.LogText(someABI, &types.Log{Topics: tt.topics, Data: tt.data})
			if err != nil || got != tt.want {
				t.Errorf("got %q, want %q: %v", got, tt.want, err)
			}
		})
	}
}

// FuzzReason: whatever a node answers about reverts and logs is one line for the terminal.
func FuzzReason(f *testing.F) {
	f.Add(raised(f, "error Listed(string[],(uint8,bool))", `[a,"b c"]`, "(1,true)"), uint8(0))
	f.Add(raised(f, "Error(string)", "a\x1b"), uint8(2))
	f.Add(crypto.Keccak256([]byte("Moved(address,string,uint256[])")), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, topics uint8) {
		reason, err := tercet.RevertReason(someABI, data)
		if err != nil {
			t.Fatal(err)
		}
		log := &types.Log{Data: data}
		for range topics % 5 {
			n := min(len(log.Data), common.HashLength)
			log.Topics, log.Data = append(log.Topics, common.BytesToHash(log.Data[:n])), log.Data[n:]
		}
		text, err := tercet.LogText(someABI, log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(reason+text, "\x1b\r\n\x00") {
			t.Fatalf("%x reaches the terminal as %q and %q", data, reason, text)
		}
	})
}

func TestAmount(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "5": "5", "7wei": "7", "1ether": "1000000000000000000", "0.5ether": "500000000000000000", "30 gwei": "30000000000",
		"1.000000001gwei": "1000000001", "0.0000000001gwei": "", "-1": "", "+1": "", "1_0": "", "": "", "ether": "", "1.5": "", "1e18": "", "0x10": "",
		"1.2.3ether": "", strings.Repeat("9", 80): "",
	} {
		got, err := tercet.Amount(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: got %v, %v, want %q", text, got, err, want)
		}
	}
}
