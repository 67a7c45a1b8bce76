package contracts

import (
	_ "embed"
	"slices"
)

// Contract is an example: its interface and its module, built from the source beside them.
type Contract struct {
	Name string
	// ABI is Solidity's, as JSON.
	ABI []byte
	// Wasm is the module as the compiler made it.
	Wasm []byte
}

var (
	//go:embed examples/token/abi.json
	tokenABI []byte
	//go:embed examples/token/contract.wasm
	tokenWasm []byte
	//go:embed examples/notary/abi.json
	notaryABI []byte
	//go:embed examples/notary/contract.wasm
	notaryWasm []byte
	//go:embed examples/receivables/abi.json
	receivablesABI []byte
	//go:embed examples/receivables/contract.wasm
	receivablesWasm []byte
)

// Token returns an ERC-20 token with permits, roles, frozen accounts and a pause, written in C.
func Token() Contract { return contract("token", tokenABI, tokenWasm) }

// Notary returns a register of evidence with attestations and Merkle anchors, written in C.
func Notary() Contract { return contract("notary", notaryABI, notaryWasm) }

// Receivables returns supply-chain finance against a token, written in AssemblyScript.
func Receivables() Contract { return contract("receivables", receivablesABI, receivablesWasm) }

func contract(name string, abi, wasm []byte) Contract {
	return Contract{Name: name, ABI: slices.Clone(abi), Wasm: slices.Clone(wasm)}
}
