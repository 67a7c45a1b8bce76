package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/crypto"
)

const (
	// maxABIEntries, maxParams and maxArrayLength bound what an ABI makes this program allocate. A contract of
	// 128 KiB has no use for more.
	maxABIEntries  = 1024
	maxParams      = 64
	maxArrayLength = 1024 // elements of all fixed dimensions together
)

// baseType matches the types that are neither arrays nor tuples; checkType looks at the numbers.
var baseType = regexp.MustCompile(`^(address|bool|string|bytes|(bytes|uint|int)([1-9][0-9]{0,2}))$`)

var dimension = regexp.MustCompile(`\[([0-9]{0,6})\]$`)

// contractABI is what a contract offers, in the order of its source.
type contractABI []abiEntry

// parseABI reads a JSON ABI, the array that compilers write.
func parseABI(raw []byte) (contractABI, error) {
	var entries contractABI
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("this is not a JSON ABI: %w", err)
	}
	if len(entries) > maxABIEntries {
		return nil, fmt.Errorf("an ABI of %d entries: at most %d", len(entries), maxABIEntries)
	}
	for i, e := range entries {
		if e.Type == "" {
			entries[i].Type = "function" // the default of the ABI specification
		}
		if e.Inputs == nil {
			entries[i].Inputs = []abiParam{}
		}
		if err := checkEntry(entries[i]); err != nil {
			return nil, fmt.Errorf("entry %d of the ABI, %s: %w", i+1, strconv.Quote(e.Name), err)
		}
	}
	return entries, nil
}

// parseHumanABI reads an ABI with one signature a line; lines that begin with // or # are comments.
func parseHumanABI(text string) (contractABI, error) {
	var entries contractABI
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseSignature(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if entries = append(entries, e); len(entries) > maxABIEntries {
			return nil, fmt.Errorf("line %d: at most %d entries", n, maxABIEntries)
		}
	}
	return entries, nil
}

// checkEntry refuses what would not be encodable, or what this program will not allocate for.
func checkEntry(e abiEntry) error {
	switch {
	case !slices.Contains([]string{"function", "event", "error", "constructor", "fallback", "receive"}, e.Type):
		return fmt.Errorf("unknown kind %q", e.Type)
	case needsName(e.Type) && !isName(e.Name):
		return fmt.Errorf("%q is not a name", e.Name)
	case !needsName(e.Type) && e.Name != "":
		return fmt.Errorf("a %s has no name", e.Type)
	case !slices.Contains([]string{"", "view", "pure", "payable", "nonpayable"}, e.StateMutability):
		return fmt.Errorf("unknown state mutability %q", e.StateMutability)
	}
	indexed := 0
	for _, a := range e.Inputs {
		if a.Indexed {
			indexed++
		}
	}
	if indexed > 4 || indexed > 3 && !e.Anonymous {
		return errors.New("an event has at most three indexed parameters, four if it is anonymous")
	}
	if err := checkParams(e.Inputs, e.Type == "event", 0); err != nil {
		return err
	}
	return checkParams(e.Outputs, false, 0)
}

func checkParams(params []abiParam, indexable bool, depth int) error {
	if len(params) > maxParams {
		return fmt.Errorf("%d parameters or fields: at most %d", len(params), maxParams)
	}
	for _, a := range params {
		if a.Name != "" && !isName(a.Name) {
			return fmt.Errorf("%q is not a name", a.Name)
		}
		if a.Indexed && !indexable {
			return errors.New("only parameters of events are indexed")
		}
		if err := checkType(a, depth); err != nil {
			return err
		}
	}
	return nil
}

func checkType(a abiParam, depth int) error {
	base, length := a.Type, 1
	for ; strings.HasSuffix(base, "]"); depth++ {
		match := dimension.FindStringSubmatch(base)
		if match == nil {
			return fmt.Errorf("type %q: an array is T[] or T[n]", a.Type)
		}
		base = base[:len(base)-len(match[0])]
		if match[1] == "" {
			continue
		}
		n, err := strconv.Atoi(match[1])
		if length *= n; err != nil || n == 0 || length > maxArrayLength {
			return fmt.Errorf("type %q: fixed arrays have 1 to %d elements", a.Type, maxArrayLength)
		}
	}
	if depth > maxTypeDepth {
		return fmt.Errorf("type %q nests deeper than %d", a.Type, maxTypeDepth)
	}
	if base == "tuple" {
		if len(a.Components) == 0 {
			return errors.New("a tuple has at least one field")
		}
		return checkParams(a.Components, false, depth+1)
	}
	match := baseType.FindStringSubmatch(base)
	if match == nil || len(a.Components) > 0 {
		return fmt.Errorf("unknown type %q", a.Type)
	}
	if match[3] == "" {
		return nil
	}
	size, _ := strconv.Atoi(match[3]) // three digits
	if match[2] == "bytes" && size > 32 || match[2] != "bytes" && (size > 256 || size%8 != 0) {
		return fmt.Errorf("unknown type %q", a.Type)
	}
	return nil
}

// arguments are parameters as the codec has them, none of them indexed. They passed checkParams.
func arguments(params []abiParam) (abi.Arguments, error) {
	var args abi.Arguments
	for _, m := range marshalings(params, "arg") {
		t, err := abi.NewType(m.Type, "", m.Components)
		if err != nil {
			return nil, fmt.Errorf("type %q: %w", m.Type, err)
		}
		args = append(args, abi.Argument{Name: m.Name, Type: t})
	}
	return args, nil
}

// marshalings gives every field of a tuple a name that the codec takes: it makes Go structs of tuples.
func marshalings(params []abiParam, prefix string) []abi.ArgumentMarshaling {
	var list []abi.ArgumentMarshaling
	for i, a := range params {
		list = append(list, abi.ArgumentMarshaling{
			Name: prefix + strconv.Itoa(i), Type: a.Type, Components: marshalings(a.Components, "field"),
		})
	}
	return list
}

// selector is the first four bytes of a function's calldata or of an error.
func (e abiEntry) selector() [4]byte { return [4]byte(crypto.Keccak256([]byte(e.signature()))) }

// topic is the first topic of an event.
func (e abiEntry) topic() [32]byte { return [32]byte(crypto.Keccak256([]byte(e.signature()))) }

// constructor is the constructor, or one without parameters.
func (c contractABI) constructor() abiEntry {
	for _, e := range c {
		if e.Type == "constructor" {
			return e
		}
	}
	return abiEntry{Type: "constructor", Inputs: []abiParam{}, StateMutability: "nonpayable"}
}

// function finds a function by name, which must be unambiguous, or by its parameter types as in transfer(address,uint256).
func (c contractABI) function(name string) (abiEntry, error) {
	var found []string
	var entry abiEntry
	var all []string
	for _, e := range c {
		if e.Type != "function" {
			continue
		}
		all = append(all, e.Name)
		if e.Name == name || e.signature() == name {
			entry, found = e, append(found, e.signature())
		}
	}
	switch {
	case len(found) == 1:
		return entry, nil
	case len(found) > 1:
		return entry, fmt.Errorf("the ABI has several functions %s: write one of %s", name, strings.Join(found, ", "))
	}
	if len(all) == 0 {
		return entry, fmt.Errorf("the ABI has no functions, so no %q", name)
	}
	slices.Sort(all)
	return entry, fmt.Errorf("the ABI has no function %q: it has %s", name, strings.Join(slices.Compact(all), ", "))
}
