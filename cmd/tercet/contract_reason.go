package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// standardErrors are those that compilers and SDKs raise by themselves.
const standardErrors = "error Error(string)\nerror Panic(uint256)"

// panics are Solidity's panic codes.
var panics = map[uint64]string{
	0x00: "of the compiler", 0x01: "a false assertion", 0x11: "an overflow", 0x12: "a division by zero", 0x21: "an invalid enum",
	0x22: "damaged storage", 0x31: "pop of an empty array", 0x32: "an index out of bounds", 0x41: "out of memory", 0x51: "a call of nothing",
}

// revertReason says what revert data means, with the errors of an ABI if there is one.
func revertReason(entries contractABI, data []byte) string {
	if len(data) == 0 {
		return "it gives no reason"
	}
	standard, err := parseHumanABI(standardErrors)
	if err != nil {
		panic("the signatures of the standard errors are valid: " + err.Error())
	}
	for _, e := range append(standard, entries...) {
		selector := e.selector()
		if e.Type != "error" || !bytes.HasPrefix(data, selector[:]) {
			continue
		}
		args, err := decodeArguments(e.Inputs, data[len(selector):])
		switch {
		case err != nil: // a selector by accident, perhaps
		case e.signature() == "Error(string)":
			return args[0].String()
		case e.signature() == "Panic(uint256)":
			return panicText(args[0].Value)
		default:
			return callText(e.Name, args)
		}
	}
	return fmt.Sprintf("0x%s, an error that --abi may explain", hex.EncodeToString(data[:min(len(data), 256)]))
}

func panicText(code any) string {
	n, ok := new(big.Int).SetString(fmt.Sprint(code), 10)
	if ok && n.IsUint64() && panics[n.Uint64()] != "" {
		return fmt.Sprintf("panic 0x%02x, %s", n, panics[n.Uint64()])
	}
	return fmt.Sprintf("panic %v", code)
}

// callText writes a name with its arguments.
func callText(name string, args []argument) string {
	var texts []string
	for _, a := range args {
		texts = append(texts, a.listed())
	}
	return name + "(" + strings.Join(texts, ", ") + ")"
}

// decodedLog is a log with what an ABI says about it.
type decodedLog struct {
	Address   string        `json:"address"`
	Event     string        `json:"event,omitempty"` // the signature, if the ABI has it
	Arguments []argument    `json:"arguments,omitempty"`
	Topics    []common.Hash `json:"topics"`
	Data      string        `json:"data"`

	name string
}

// String is one line of it.
func (l decodedLog) String() string {
	if l.name != "" {
		return callText(l.name, l.Arguments)
	}
	texts := []string{"data " + l.Data}
	for i, t := range l.Topics {
		texts = append(texts, fmt.Sprintf("topic %d %s", i, t))
	}
	return strings.Join(texts, ", ")
}

func decodeLogs(entries contractABI, logs []*types.Log) []decodedLog {
	decoded := []decodedLog{}
	for _, log := range logs {
		decoded = append(decoded, decodeLog(entries, log))
	}
	return decoded
}

// decodeLog finds the event of a log. Of several with the same topic the one fits that has as many indexed parameters.
func decodeLog(entries contractABI, log *types.Log) decodedLog {
	d := decodedLog{Address: log.Address.Hex(), Topics: log.Topics, Data: "0x" + hex.EncodeToString(log.Data)}
	if d.Topics == nil {
		d.Topics = []common.Hash{}
	}
	for _, e := range entries {
		if e.Type != "event" || e.Anonymous || len(log.Topics) == 0 || log.Topics[0] != e.topic() {
			continue
		}
		if args, err := eventArguments(e, log.Topics[1:], log.Data); err == nil {
			d.name, d.Event, d.Arguments = e.Name, e.signature(), args
			return d
		}
	}
	return d
}

// eventArguments puts indexed and other parameters together in the order of the event. An indexed parameter
// that does not fit into a word is in the log as its hash only.
func eventArguments(e abiEntry, topics []common.Hash, data []byte) ([]argument, error) {
	var plain []abiParam
	indexed := 0
	for _, p := range e.Inputs {
		if p.Indexed {
			indexed++
		} else {
			plain = append(plain, p)
		}
	}
	if indexed != len(topics) {
		return nil, fmt.Errorf("%d topics for %d indexed parameters", len(topics), indexed)
	}
	rest, err := decodeArguments(plain, data)
	if err != nil {
		return nil, err
	}
	var args []argument
	for _, p := range e.Inputs {
		if !p.Indexed {
			args, rest = append(args, rest[0]), rest[1:]
			continue
		}
		a := argument{Name: p.Name, Type: p.text(false), Value: topics[0].Hex()}
		if isWord(p.Type) {
			word, err := decodeArguments([]abiParam{p}, topics[0][:])
			if err != nil {
				return nil, err
			}
			a = word[0]
		}
		args, topics = append(args, a), topics[1:]
	}
	return args, nil
}

// isWord reports whether a value of a type is one word: neither an array nor a tuple, text or bytes.
func isWord(t string) bool {
	return !strings.HasSuffix(t, "]") && t != "tuple" && t != "string" && t != "bytes"
}
