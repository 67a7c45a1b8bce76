package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// encodeArguments turns the words of a command line into ABI-encoded values.
func encodeArguments(params []abiParam, words []string) ([]byte, error) {
	if len(words) != len(params) {
		return nil, fmt.Errorf("%d arguments for %s: give %d", len(words), paramList(params, true), len(params))
	}
	args, err := arguments(params)
	if err != nil {
		return nil, err
	}
	var values []any
	for i, a := range args {
		v, err := parseValue(a.Type, words[i])
		if err != nil {
			return nil, fmt.Errorf("argument %d, %s: %w", i+1, params[i].text(true), err)
		}
		values = append(values, v.Interface())
	}
	return args.Pack(values...)
}

// decodeArguments is the inverse, into text and values for JSON.
func decodeArguments(params []abiParam, data []byte) ([]argument, error) {
	args, err := arguments(params)
	if err != nil {
		return nil, err
	}
	values, err := args.UnpackValues(data)
	if err != nil {
		return nil, fmt.Errorf("%d bytes are not %s: %w", len(data), paramList(params, false), err)
	}
	decoded := make([]argument, len(params))
	for i, a := range params {
		decoded[i] = argument{Name: a.Name, Type: a.text(false), Value: plainValue(args[i].Type, reflect.ValueOf(values[i]))}
	}
	return decoded, nil
}

// argument is a decoded value. In Value integers are decimal strings, because JSON's numbers lose digits; bytes
// and addresses are 0x-hex, arrays and tuples lists.
type argument struct {
	Name  string `json:"name,omitempty"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// String is the value alone.
func (a argument) String() string { return valueText(a.Value, false) }

// listed is the value among others, with its name if it has one.
func (a argument) listed() string {
	if a.Name == "" {
		return valueText(a.Value, true)
	}
	return a.Name + ": " + valueText(a.Value, true)
}

// parseValue reads a value of a type: 42 or 0x2a, true, 0x… for addresses and bytes, text as it is, [a,b] for
// arrays and (a,b) for tuples, in which text that contains commas, brackets or quotes stands in quotes.
func parseValue(t abi.Type, text string) (reflect.Value, error) {
	v := reflect.New(t.GetType()).Elem()
	var err error
	switch t.T {
	case abi.BoolTy:
		err = parseBool(v, text)
	case abi.StringTy:
		v.SetString(text)
	case abi.AddressTy:
		err = parseAddress(v, text)
	case abi.BytesTy, abi.FixedBytesTy:
		err = parseBytes(t, v, text)
	case abi.IntTy, abi.UintTy:
		err = parseInteger(t, v, text)
	case abi.SliceTy, abi.ArrayTy, abi.TupleTy:
		err = parseList(t, v, text)
	default:
		err = fmt.Errorf("values of type %s cannot be given", t)
	}
	return v, err
}

func parseBool(v reflect.Value, text string) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	v.SetBool(text == "true")
	return nil
}

func parseAddress(v reflect.Value, text string) error {
	a, err := address(text)
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(a))
	return nil
}

// address reads an address. Letters in both cases are a checksum (EIP-55) that has to be right.
func address(text string) (common.Address, error) {
	digits, prefixed := strings.CutPrefix(text, "0x")
	raw, err := hex.DecodeString(digits)
	if !prefixed || err != nil || len(raw) != common.AddressLength {
		return common.Address{}, fmt.Errorf("%q is not an address, 0x and 40 hexadecimal digits", text)
	}
	a := common.BytesToAddress(raw)
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && a.Hex() != text {
		return common.Address{}, fmt.Errorf("%s has a typo: its checksum is wrong (write it in lower case if you are sure)", text)
	}
	return a, nil
}

func parseBytes(t abi.Type, v reflect.Value, text string) error {
	digits, prefixed := strings.CutPrefix(text, "0x")
	raw, err := hex.DecodeString(digits)
	switch {
	case !prefixed || err != nil:
		return fmt.Errorf("%q is not 0x and an even number of hexadecimal digits", text)
	case t.T == abi.BytesTy:
		v.SetBytes(raw)
	case len(raw) != t.Size:
		return fmt.Errorf("%s has %d bytes: %s takes %d", text, len(raw), t, t.Size)
	default:
		reflect.Copy(v, reflect.ValueOf(raw))
	}
	return nil
}

func parseInteger(t abi.Type, v reflect.Value, text string) error {
	n, err := integer(text)
	if err != nil {
		return err
	}
	low, high := integerRange(t)
	if n.Cmp(low) < 0 || n.Cmp(high) > 0 {
		return fmt.Errorf("%s does not fit into %s", text, t)
	}
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(n.Uint64())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(n.Int64())
	default:
		v.Set(reflect.ValueOf(n))
	}
	return nil
}

// integer reads decimal digits, with _ between them perhaps, or 0x-hex.
func integer(text string) (*big.Int, error) {
	const maxDigits = 100 // 2²⁵⁶ has 78
	base, digits := 10, text
	if hexDigits, ok := strings.CutPrefix(text, "0x"); ok {
		base, digits = 16, hexDigits
	}
	if len(digits) > maxDigits || strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "_") || base == 16 && strings.HasPrefix(digits, "-") {
		return nil, fmt.Errorf("%q is not an integer", text)
	}
	n, ok := new(big.Int).SetString(strings.ReplaceAll(digits, "_", ""), base)
	if !ok {
		return nil, fmt.Errorf("%q is not an integer", text)
	}
	return n, nil
}

func integerRange(t abi.Type) (low, high *big.Int) {
	one := big.NewInt(1)
	if t.T == abi.UintTy {
		return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, uint(t.Size)), one)
	}
	half := new(big.Int).Lsh(one, uint(t.Size-1))
	return new(big.Int).Neg(half), new(big.Int).Sub(half, one)
}

func parseList(t abi.Type, v reflect.Value, text string) error {
	opening, closing := "[", "]"
	if t.T == abi.TupleTy {
		opening, closing = "(", ")"
	}
	inner := strings.TrimSpace(text)
	if len(inner) < 2 || !strings.HasPrefix(inner, opening) || !strings.HasSuffix(inner, closing) {
		return fmt.Errorf("%q does not stand in %s%s", text, opening, closing)
	}
	items, err := splitList(inner[1 : len(inner)-1])
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	want := len(items)
	switch t.T {
	case abi.TupleTy:
		want = len(t.TupleElems)
	case abi.ArrayTy:
		want = t.Size
	default:
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	}
	if len(items) != want {
		return fmt.Errorf("%q has %d elements: %s takes %d", text, len(items), t, want)
	}
	for i, item := range items {
		elem, at := t.Elem, v.Index
		if t.T == abi.TupleTy {
			elem, at = t.TupleElems[i], v.Field
		}
		if elem.T == abi.StringTy && strings.HasPrefix(item, `"`) {
			if item, err = strconv.Unquote(item); err != nil {
				return fmt.Errorf("element %d: %s is not a text in quotes", i+1, items[i])
			}
		}
		parsed, err := parseValue(*elem, item)
		if err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
		at(i).Set(parsed)
	}
	return nil
}

// splitList cuts a list at the commas that are in no brackets and no quotes.
func splitList(text string) ([]string, error) {
	var items []string
	depth, start, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '(':
			depth++
		case c == ']' || c == ')':
			depth--
		case c == ',' && depth == 0:
			items = append(items, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
		if depth < 0 {
			return nil, errors.New("the brackets do not match")
		}
	}
	if depth != 0 || quoted {
		return nil, errors.New("a bracket or a quote is not closed")
	}
	if last := strings.TrimSpace(text[start:]); last != "" || len(items) > 0 {
		items = append(items, last)
	}
	return items, nil
}

// plainValue turns what the codec decoded into strings, booleans and lists.
func plainValue(t abi.Type, v reflect.Value) any {
	switch t.T {
	case abi.BoolTy:
		return v.Bool()
	case abi.StringTy:
		return v.String()
	case abi.AddressTy:
		return v.Interface().(common.Address).Hex()
	case abi.BytesTy:
		return "0x" + hex.EncodeToString(v.Bytes())
	case abi.FixedBytesTy:
		raw := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(raw), v)
		return "0x" + hex.EncodeToString(raw)
	case abi.SliceTy, abi.ArrayTy:
		list := []any{}
		for i := range v.Len() {
			list = append(list, plainValue(*t.Elem, v.Index(i)))
		}
		return list
	case abi.TupleTy:
		fields := tuple{}
		for i, elem := range t.TupleElems {
			fields = append(fields, plainValue(*elem, v.Field(i)))
		}
		return fields
	}
	return fmt.Sprint(v.Interface())
}

// tuple is a list that is written in parentheses.
type tuple []any

// valueText writes a value as parseValue reads it; a text that is not alone stands in quotes.
func valueText(v any, quote bool) string {
	switch v := v.(type) {
	case string:
		if quote && !isPlainWord(v) {
			return strconv.Quote(v)
		}
		return printable(v)
	case tuple:
		return "(" + listText(v) + ")"
	case []any:
		return "[" + listText(v) + "]"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func listText(list []any) string {
	var items []string
	for _, v := range list {
		items = append(items, valueText(v, true))
	}
	return strings.Join(items, ",")
}

// isPlainWord reports whether a text needs no quotes: numbers, 0x-hex and simple words.
func isPlainWord(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) && (s[i] != '-' || len(s) == 1) {
			return false
		}
	}
	return s != ""
}
