package rpc_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/node/rpc"
)

// TestServer_development_existsThereOnly asks for every method on an ordinary chain.
func TestServer_development_existsThereOnly(t *testing.T) {
	c := newChain(t, nil)
	for _, name := range rpc.SummarisedForDevelopment() {
		if a := c.call(name, "0x1"); a.Error == nil || a.Error.Code != -32601 || a.Error.Message != "the method "+name+" does not exist/is not available" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestServer_development_isDescribed compares the lists of methods of a development chain.
func TestServer_development_isDescribed(t *testing.T) {
	key, err := crypto.GenerateKey()
	must(t, err)
	c := newChain(t, func(_ *chain, cfg *rpc.Config) {
		cfg.Development, cfg.Faucet = &rpc.Development{}, &rpc.Faucet{Key: key, Wei: uint256.NewInt(1)}
	})
	var doc struct {
		Methods []struct{ Name, Summary string }
	}
	must(t, json.Unmarshal([]byte(c.result("rpc_discover")), &doc))
	var described []string
	for _, m := range doc.Methods {
		if m.Summary == "" {
			t.Errorf("%s has no summary", m.Name)
		}
		if slices.Contains([]string{"evm", "hardhat", "anvil"}, strings.Split(m.Name, "_")[0]) || m.Name == "tercet_faucet" {
			described = append(described, m.Name)
		}
	}
	same(t, "texts that are of methods", rpc.SummarisedForDevelopment(), described)
	_, section, _ := strings.Cut(rpcDocument(t), "\n## Development\n")
	for _, name := range described {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/rpc.md does not mention %s", name)
		}
	}
}

func TestQuantity(t *testing.T) {
	for text, want := range map[string]string{
		`0`: "0", `12`: "12", `"12"`: "12", `"0x0c"`: "12", `"0X0C"`: "12", `"0x"`: "", `""`: "", `"-1"`: "", `-1`: "", `1.5`: "", `"1e3"`: "", `"0b1"`: "", `"010"`: "10",
		`"0o7"`: "", `"0x1_0"`: "", `null`: "", `true`: "", `{}`: "", `"0x` + strings.Repeat("f", 64) + `"`: new(uint256.Int).SetAllOne().Dec(), `"0x1` + strings.Repeat("0", 64) + `"`: "",
	} {
		got, err := rpc.ParseQuantity([]byte(text))
		if (err == nil) != (want != "") || err == nil && got.Dec() != want {
			t.Errorf("%s: %v, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzQuantity(f *testing.F) {
	for _, text := range []string{`0`, `"0x1f"`, `"12"`, `-1`, `"0x"`, `{}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := rpc.ParseQuantity(text)
		if err != nil {
			return
		}
		again, err := rpc.ParseQuantity([]byte(`"` + v.Hex() + `"`))
		if err != nil || again != v {
			t.Fatalf("%s is %s, and that %v, %v", text, v.Hex(), again, err)
		}
	})
}
