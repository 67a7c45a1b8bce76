package ledger_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

func TestGenesis_EncodeJSON_parsesToTheSame(t *testing.T) {
	g := testGenesis()
	parsed, err := ledger.ParseGenesis(g.EncodeJSON())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := parsed.Commitment(), g.Commitment(); got != want {
		t.Errorf("commitment %s, want %s", got, want)
	}
	if got, want := string(parsed.EncodeJSON()), string(g.EncodeJSON()); got != want {
		t.Errorf("file\n%s\nwant\n%s", got, want)
	}
	golden(t, "genesis.json", g.EncodeJSON())
}

func TestGenesis_Header_isGolden(t *testing.T) {
	g := testGenesis()
	h := g.Header(common.Hash{0xab})
	if h.MixDigest != g.Commitment() || h.Root != (common.Hash{0xab}) || h.Time != 1_700_000_000 || h.TxHash != types.EmptyRootHash || h.ReceiptHash != types.EmptyRootHash {
		t.Errorf("header %+v", h)
	}
	if ms, err := ledger.HeaderTimeMs(h); err != nil || ms != g.TimeMs {
		t.Errorf("time %d, %v", ms, err)
	}
	encoded, err := rlp.EncodeToBytes(h)
	if err != nil {
		t.Fatal(err)
	}
	if crypto.Keccak256Hash(encoded) != h.Hash() {
		t.Error("the hash is not that of the encoding")
	}
	commitment := g.Commitment()
	golden(t, "genesis_commitment", commitment[:])
	golden(t, "genesis_header", encoded)
	hash := h.Hash()
	golden(t, "genesis_hash", hash[:])
}

func TestGenesis_Commitment_bindsEveryField(t *testing.T) {
	seen := map[common.Hash]string{testGenesis().Commitment(): "unchanged"}
	for name, change := range map[string]func(*ledger.Genesis){
		"version":         func(g *ledger.Genesis) { g.Version++ },
		"chainId":         func(g *ledger.Genesis) { g.ChainID++ },
		"timeMs":          func(g *ledger.Genesis) { g.TimeMs++ },
		"blockGasLimit":   func(g *ledger.Genesis) { g.BlockGasLimit++ },
		"txGasCap":        func(g *ledger.Genesis) { g.TxGasCap++ },
		"maxBlockBytes":   func(g *ledger.Genesis) { g.MaxBlockBytes++ },
		"termLength":      func(g *ledger.Genesis) { g.Consensus.TermLength++ },
		"window":          func(g *ledger.Genesis) { g.Consensus.Window++ },
		"maxOrderedAhead": func(g *ledger.Genesis) { g.Consensus.MaxOrderedAhead++ },
		"validator":       func(g *ledger.Genesis) { g.Validators[0].Address[0]++ },
		"peerId":          func(g *ledger.Genesis) { g.Validators[0].PeerID += "x" },
		"validators":      func(g *ledger.Genesis) { g.Validators = g.Validators[:1] },
		"account":         func(g *ledger.Genesis) { g.Alloc[0].Address[0]++ },
		"balance":         func(g *ledger.Genesis) { g.Alloc[0].Balance = uint256.NewInt(2) },
		"fork":            func(g *ledger.Genesis) { g.Forks = []ledger.Fork{{Name: "x"}} },
		"deployer":        func(g *ledger.Genesis) { g.Deployers = []common.Address{{1}} },
		"deployers":       func(g *ledger.Genesis) { g.Deployers = []common.Address{{1}, {2}} },
		"development":     func(g *ledger.Genesis) { g.Development = true },
		"fork height":     func(g *ledger.Genesis) { g.Forks = []ledger.Fork{{Name: "x", Height: 1}} },
	} {
		g := testGenesis()
		change(g)
		hash := g.Commitment()
		if other, dup := seen[hash]; dup {
			t.Errorf("%s commits to the same as %s", name, other)
		}
		seen[hash] = name
	}
}

func TestGenesis_Changes_areSortedAndNeverEmpty(t *testing.T) {
	g := testGenesis()
	changes := g.Changes()
	if len(changes) != 3 {
		t.Fatalf("%d changes, want 3", len(changes))
	}
	if !slices.IsSortedFunc(changes, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) }) {
		t.Error("not sorted by path")
	}
	values := make(map[string][]byte)
	for _, c := range changes {
		if c.Path != ledger.Path(c.Key) {
			t.Errorf("path of %x is %x", c.Key, c.Path)
		}
		values[string(c.Key)] = c.Value
	}
	commitment := g.Commitment()
	if !bytes.Equal(values["ygenesis"], commitment[:]) {
		t.Errorf("system key holds %x", values["ygenesis"])
	}
	account, err := ledger.DecodeAccount(values[string(ledger.AccountKey(common.HexToAddress("0x0b")))])
	if err != nil || account != (ledger.Account{Balance: *uint256.NewInt(7)}) {
		t.Errorf("account %v, %v", account, err)
	}
	if n := len(ledger.DefaultGenesis(1, nil, nil, 0).Changes()); n != 1 {
		t.Errorf("%d changes without allocations, want the system key", n)
	}
}

func TestParseGenesis_whenTheFileIsWrong_saysWhatToDo(t *testing.T) {
	valid := string(testGenesis().EncodeJSON())
	replace := func(old, with string) string {
		if !strings.Contains(valid, old) {
			t.Fatalf("the valid file has no %q:\n%s", old, valid)
		}
		return strings.Replace(valid, old, with, 1)
	}
	field := func(name string, value any) string {
		i := strings.Index(valid, fmt.Sprintf("%q:", name))
		end := i + strings.IndexAny(valid[i:], ",\n}")
		return valid[:i] + fmt.Sprintf("%q: %v", name, value) + valid[end:]
	}
	withoutValidators, _, _ := strings.Cut(valid, `"validators"`)
	addresses := []string{"0x0000000000000000000000000000000000000001", "0x0000000000000000000000000000000000000002"}
	accounts := []string{"0x000000000000000000000000000000000000000a", "0x000000000000000000000000000000000000000b"}
	for _, tt := range []struct{ name, file, want string }{
		{"empty", "", "EOF"},
		{"not an object", "[]", "one JSON object"},
		{"a number", "7", "one JSON object"},
		{"torn", valid[:len(valid)/2], "EOF"},
		{"trailing text", valid + "{}", "text after"},
		{"trailing garbage", valid + "x", "text after"},
		{"deep", strings.Repeat("[", 100), "nested"},
		{"unknown field", replace(`"chainId"`, `"extra": 1, "chainId"`), `unknown field "extra"`},
		{"unknown inner field", replace(`"window"`, `"extra": 1, "window"`), `unknown field "extra"`},
		{"repeated field", replace(`"chainId"`, `"chainId": 1, "chainId"`), `"chainId" is given twice`},
		{"repeated field in another case", replace(`"chainId"`, `"CHAINID": 1, "chainId"`), `"chainId" is given twice`},
		{"repeated inner field", replace(`"window"`, `"window": 1, "window"`), `"window" is given twice`},
		{"missing field", replace(`"timeMs": 1700000000123,`, ""), `"timeMs" is missing: add it`},
		{"wrong type", field("chainId", `"x"`), "chainId"},
		{"negative", field("chainId", -1), "chainId"},
		{"fraction", field("chainId", 1.5), "chainId"},
		{"version", field("version", 2), "version is 2 but this program reads version 1"},
		{"chain id zero", field("chainId", 0), "chainId is 0: set it to a value from 1"},
		{"chain id beyond wallets", field("chainId", uint64(1)<<53), "chainId is"},
		{"time", field("timeMs", uint64(1)<<60), "timeMs is"},
		{"block gas", field("blockGasLimit", 20_999), "blockGasLimit is 20999: set it to a value from 21000"},
		{"transaction gas above the block's", field("txGasCap", 200_000_001), "to 200000000"},
		{"transaction gas below a transfer's", field("txGasCap", 20_999), "txGasCap is 20999"},
		{"small blocks", field("maxBlockBytes", 1), "maxBlockBytes is 1"},
		{"large blocks", field("maxBlockBytes", 1<<30), "maxBlockBytes is"},
		{"term", field("termLength", 0), "termLength is 0"},
		{"long term", field("termLength", 257), "to 256"},
		{"window", field("window", 65), "window is 65"},
		{"ahead", field("maxOrderedAhead", 0), "maxOrderedAhead is 0"},
		{"no validators", withoutValidators + `"validators": []}`, "add at least one"},
		{"zero validator", replace(addresses[0], "0x"+strings.Repeat("0", 40)), "zero address"},
		{"bad address", replace(addresses[0], "0x01"), "reading genesis"},
		{"validator twice", replace(addresses[0], addresses[1]), "twice: remove one"},
		{"peer twice", replace("16Uiu2HAmA", "16Uiu2HAmB"), "give each its own host key"},
		{"long peer", replace("16Uiu2HAmA", strings.Repeat("x", 129)), "peerId of 129 bytes"},
		{"account twice", replace(accounts[0], accounts[1]), "twice: remove one"},
		{"no balance", replace(`"7"`, `"0"`), "set its balance in wei"},
		{"null balance", replace(`"7"`, `null`), "set its balance in wei"},
		{"too large a balance", replace(`"7"`, `"0x1`+strings.Repeat("0", 64)+`"`), "reading genesis"},
		{"too large a supply", replace(`"7"`, `"0x`+strings.Repeat("f", 64)+`"`), "lower the balances"},
		{"fork", replace(`"forks": []`, `"forks": [{"name": "wasm", "height": 9}]`), `fork "wasm" at height 9`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ledger.ParseGenesis([]byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestGenesis_Validate_whenNotSorted(t *testing.T) {
	g := testGenesis()
	slices.Reverse(g.Validators)
	if err := g.Validate(); err == nil || !strings.Contains(err.Error(), "validators are not sorted") {
		t.Errorf("error %v", err)
	}
	g = testGenesis()
	slices.Reverse(g.Alloc)
	if err := g.Validate(); err == nil || !strings.Contains(err.Error(), "alloc is not sorted") {
		t.Errorf("error %v", err)
	}
	g.Validators = make([]ledger.Validator, 1025)
	for i := range g.Validators {
		binary.BigEndian.PutUint32(g.Validators[i].Address[:], uint32(i+1))
	}
	if err := g.Validate(); err == nil || !strings.Contains(err.Error(), "keep at most 1024") {
		t.Errorf("error %v", err)
	}
}

func TestParseGenesis_acceptsWhatAHumanWrites(t *testing.T) {
	file := `{"version":1,"chainId":1,"timeMs":0,"blockGasLimit":21000,"txGasCap":21000,"maxBlockBytes":262144,
		"consensus":{"termLength":1,"window":0,"maxOrderedAhead":1},
		"alloc":[{"address":"0x000000000000000000000000000000000000000B","balance":"0x10"}],
		"validators":[{"address":"0x0000000000000000000000000000000000000009","peerId":""},{"address":"0x0000000000000000000000000000000000000001"}]}`
	g, err := ledger.ParseGenesis([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if g.Alloc[0].Balance.Uint64() != 16 || g.Validators[0].Address != common.HexToAddress("0x01") || g.Forks == nil {
		t.Errorf("read %+v", g)
	}
	if got := g.ValidatorAddresses(); len(got) != 2 || got[1] != common.HexToAddress("0x09") {
		t.Errorf("addresses %v", got)
	}
	if l := g.Limits(); l.Gas != 21_000 || l.Bytes != 128<<10 {
		t.Errorf("limits %+v", l)
	}
}

func FuzzParseGenesis(f *testing.F) {
	f.Add(testGenesis().EncodeJSON())
	f.Add([]byte(`{"version":1,"version":1}`))
	f.Add([]byte(`{"a":[{"b":[]}]} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ledger.ParseGenesis(data)
		if err != nil {
			return
		}
		if err := g.Validate(); err != nil {
			t.Fatalf("a genesis was read that is invalid: %v", err)
		}
		again, err := ledger.ParseGenesis(g.EncodeJSON())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.EncodeJSON(), g.EncodeJSON()) {
			t.Fatalf("another file after a round trip:\n%s\n%s", g.EncodeJSON(), again.EncodeJSON())
		}
		if g.Commitment() != again.Commitment() {
			t.Fatalf("another chain after a round trip:\n%s", g.EncodeJSON())
		}
	})
}
