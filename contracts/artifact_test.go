package contracts_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/tercet-chain/tercet/vm"
)

var update = flag.Bool("update", false, "write the artifacts")

// artifact is Hardhat's form of a built contract; ethers, viem and cast deploy it as it is.
type artifact struct {
	Format                 string          `json:"_format"`
	ContractName           string          `json:"contractName"`
	SourceName             string          `json:"sourceName"`
	ABI                    json.RawMessage `json:"abi"`
	Bytecode               hexutil.Bytes   `json:"bytecode"`
	DeployedBytecode       hexutil.Bytes   `json:"deployedBytecode"`
	LinkReferences         struct{}        `json:"linkReferences"`
	DeployedLinkReferences struct{}        `json:"deployedLinkReferences"`
}

// The artifacts say what the modules and ABIs beside them say; the compressed bytes may be another compressor's.
func TestExamples_artifacts(t *testing.T) {
	for source, c := range examples() {
		name := path.Join(path.Dir(source), "artifact.json")
		if *update {
			creation, err := vm.Pack(c.Wasm)
			if err != nil {
				t.Fatal(err)
			}
			code, _, err := vm.ParseCreation(creation)
			if err != nil {
				t.Fatal(err)
			}
			data, err := json.MarshalIndent(artifact{
				Format: "hh-sol-artifact-1", ContractName: strings.ToUpper(c.Name[:1]) + c.Name[1:], SourceName: path.Join("contracts", source),
				ABI: c.ABI, Bytecode: creation, DeployedBytecode: code,
			}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, append(data, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var a artifact
		if err := json.Unmarshal([]byte(read(t, name)), &a); err != nil {
			t.Fatal(err)
		}
		code, args, err := vm.ParseCreation(a.Bytecode)
		if err != nil || len(args) != 0 || !bytes.Equal(code, a.DeployedBytecode) {
			t.Errorf("%s: the bytecode is not a creation of the deployed bytecode: %v", name, err)
		}
		if wasm, err := vm.Wasm(code); err != nil || !bytes.Equal(wasm, c.Wasm) {
			t.Errorf("%s is not made of %s/contract.wasm (%v): run make contracts", name, c.Name, err)
		}
		if compact(t, a.ABI) != compact(t, c.ABI) {
			t.Errorf("%s has another ABI than %s/abi.json: run make contracts", name, c.Name)
		}
	}
}

func compact(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
