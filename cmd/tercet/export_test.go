package main

import (
	"io"
	"math/big"

	"github.com/ethereum/go-ethereum/core/types"
)

// ReadNetwork reads the network.json of a directory and returns its nodes' names and homes; Save writes it again.
func ReadNetwork(dir string) (nodes [][2]string, save func() error, err error) {
	n, err := readNetwork(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, node := range n.Nodes {
		nodes = append(nodes, [2]string{node.Name, node.Home})
	}
	return nodes, n.save, nil
}

// PrintFields prints what a node answered.
func PrintFields(w io.Writer, raw []byte) error { return printFields(w, raw) }

// ParseNumber reads an integer of a node's answer.
func ParseNumber(raw []byte) (uint64, error) {
	var n number
	err := n.UnmarshalJSON(raw)
	return uint64(n), err
}

// ParseSignature reads an entry of an ABI as people write it and returns how it is written back, the text that its
// selector is a hash of, and the selector.
func ParseSignature(text string) (written, signature string, selector [4]byte, err error) {
	e, err := parseSignature(text)
	if err != nil {
		return "", "", selector, err
	}
	return e.String(), e.signature(), e.selector(), nil
}

// ReadABI reads an ABI in any form and returns its entries as text.
func ReadABI(raw []byte) ([]string, error) {
	entries, err := decodeABI(raw)
	var texts []string
	for _, e := range entries {
		texts = append(texts, e.String())
	}
	return texts, err
}

// Encode encodes words for a function like f(uint256,string).
func Encode(function string, words ...string) ([]byte, error) {
	e, err := parseSignature(function)
	if err != nil {
		return nil, err
	}
	return encodeArguments(e.Inputs, words)
}

// Decode is the inverse of Encode; it also returns the values for JSON.
func Decode(function string, data []byte) (words []string, values []any, err error) {
	e, err := parseSignature(function)
	if err != nil {
		return nil, nil, err
	}
	decoded, err := decodeArguments(e.Inputs, data)
	for _, a := range decoded {
		words, values = append(words, valueText(a.Value, false)), append(values, a.Value)
	}
	return words, values, err
}

// RevertReason says what revert data means, with an ABI in any form.
func RevertReason(entries string, data []byte) (string, error) {
	known, err := parseHumanABI(entries)
	if err != nil {
		return "", err
	}
	return revertReason(known, data), nil
}

// LogText is a log as "contract send" prints it.
func LogText(entries string, log *types.Log) (string, error) {
	known, err := parseHumanABI(entries)
	if err != nil {
		return "", err
	}
	return decodeLog(known, log).String(), nil
}

// Amount reads an amount of wei.
func Amount(text string) (*big.Int, error) { return amount(text) }

// ProofVerifier returns a function which says what an answer of tercet_getProof proves, with the validators of a
// genesis file.
func ProofVerifier(genesisFile string) (func(answer []byte) (string, error), error) {
	trust, err := readTrust(genesisFile, "")
	return func(answer []byte) (string, error) {
		p, err := proven(answer, trust)
		if err != nil {
			return "", err
		}
		return p.text(), nil
	}, err
}
