package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tercet-chain/tercet/vm"
)

// artifact is what "contract build" writes: Hardhat's form, which ethers, viem, web3.js, Hardhat and cast take.
type artifact struct {
	Format                 string      `json:"_format"`
	ContractName           string      `json:"contractName"`
	SourceName             string      `json:"sourceName"`
	ABI                    contractABI `json:"abi"`
	Bytecode               string      `json:"bytecode"`         // a frame, to which constructor arguments can be appended
	DeployedBytecode       string      `json:"deployedBytecode"` // what eth_getCode answers
	LinkReferences         struct{}    `json:"linkReferences"`
	DeployedLinkReferences struct{}    `json:"deployedLinkReferences"`
}

// contractFile is a contract as a user names one: an artifact, a module, or bytecode.
type contractFile struct {
	abi      contractABI // nil when the file has none
	creation []byte      // what a transaction carries, constructor arguments aside
	code     []byte      // what the chain stores
	wasm     []byte
}

// makeArtifact wraps a module for deployment.
func makeArtifact(name, source string, entries contractABI, wasm []byte) (*artifact, error) {
	creation, err := vm.Pack(wasm)
	if err != nil {
		return nil, err
	}
	code, _, err := vm.ParseCreation(creation)
	if err != nil {
		return nil, err
	}
	return &artifact{
		Format: "hh-sol-artifact-1", ContractName: name, SourceName: source, ABI: entries,
		Bytecode: "0x" + hex.EncodeToString(creation), DeployedBytecode: "0x" + hex.EncodeToString(code),
	}, nil
}

func (a *artifact) write(path string) error {
	var b bytes.Buffer
	if err := printJSON(&b, a); err != nil {
		return fmt.Errorf("encoding the artifact: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil { // for everybody, like a program
		return fmt.Errorf("writing the artifact: %w", err)
	}
	return nil
}

// readContract reads a contract that a user named.
func readContract(path string) (*contractFile, error) {
	raw, err := readContractFile(path)
	if err != nil {
		return nil, err
	}
	c, err := decodeContract(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// decodeContract reads a module, what a creation carries in bytes or in hexadecimal digits, or an artifact.
func decodeContract(raw []byte) (*contractFile, error) {
	c := &contractFile{}
	var err error
	switch trimmed := bytes.TrimSpace(raw); {
	case bytes.HasPrefix(trimmed, []byte("{")):
		if c.creation, err = artifactBytecode(trimmed); err != nil {
			return nil, err
		}
		if c.abi, err = decodeABI(trimmed); err != nil {
			return nil, err
		}
	case bytes.HasPrefix(raw, []byte("\x00asm")):
		if c.creation, err = vm.Pack(raw); err != nil {
			return nil, err
		}
	case isHex(trimmed):
		c.creation, _ = hex.DecodeString(strings.TrimPrefix(string(trimmed), "0x"))
	default:
		c.creation = raw
	}
	if c.code, _, err = vm.ParseCreation(c.creation); err != nil {
		return nil, err
	}
	if c.wasm, err = vm.Wasm(c.code); err != nil {
		return nil, err
	}
	return c, nil
}

func isHex(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("0x"))
	_, err := hex.DecodeString(string(digits))
	return err == nil && len(digits) > 0
}

// artifactBytecode finds what Hardhat, Truffle ("bytecode") and Foundry ("bytecode": {"object"}) call bytecode.
func artifactBytecode(raw []byte) ([]byte, error) {
	var file struct {
		Bytecode json.RawMessage `json:"bytecode"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("this is neither an artifact nor a module: %w", err)
	}
	var text string
	var object struct {
		Object string `json:"object"`
	}
	if json.Unmarshal(file.Bytecode, &text) != nil {
		if json.Unmarshal(file.Bytecode, &object) != nil {
			return nil, errors.New(`this JSON has no "bytecode": name an artifact of "tercet contract build", or a .wasm file`)
		}
		text = object.Object
	}
	if strings.Contains(text, "__$") { // a library is to be linked, which only EVM code has
		return nil, vm.ErrEVM
	}
	creation, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the bytecode is not hexadecimal: %w", err)
	case len(creation) == 0:
		return nil, errors.New("the bytecode is empty: this is an interface or an abstract contract, name one that can be deployed")
	}
	return creation, nil
}

// baseName is the name of a file or directory without what comes after the dot.
func baseName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}
