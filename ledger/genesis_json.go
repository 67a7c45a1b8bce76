package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxGenesisBytes bounds the file: some 600,000 accounts.
const maxGenesisBytes = 64 << 20

// requiredFields of the JSON object; alloc and forks may be absent.
var requiredFields = []string{
	"version", "chainId", "timeMs", "blockGasLimit", "txGasCap", "maxBlockBytes", "consensus", "validators",
}

// ParseGenesis reads a genesis file and validates it. Unknown, repeated and missing fields are errors that
// name the field. The lists may be in any order: they are sorted.
func ParseGenesis(data []byte) (*Genesis, error) {
	if len(data) > maxGenesisBytes {
		return nil, fmt.Errorf("genesis file of %d bytes: keep it below %d", len(data), maxGenesisBytes)
	}
	if err := checkFields(data); err != nil {
		return nil, fmt.Errorf("reading genesis: %w", err)
	}
	g := new(Genesis)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(g); err != nil {
		return nil, fmt.Errorf("reading genesis: %w", err)
	}
	g.normalize()
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// EncodeJSON is the genesis file: indented, fields and lists in a fixed order, ending in a newline.
func (g *Genesis) EncodeJSON() []byte {
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		panic("ledger: a genesis does not encode: " + err.Error())
	}
	return append(b, '\n')
}

// checkFields finds what encoding/json lets pass: fields given twice (also in another case, which it takes
// for the same field), required fields that are absent, and text after the object.
func checkFields(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	top, err := walkValue(dec, 0)
	if err != nil {
		return err
	}
	if top == nil {
		return errors.New("the file must hold one JSON object")
	}
	for _, name := range requiredFields {
		if _, ok := top[strings.ToLower(name)]; !ok {
			return fmt.Errorf("the field %q is missing: add it", name)
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is text after the JSON object: remove it")
	}
	return nil
}

// walkValue reads one value and returns the lower-cased fields if it is an object.
func walkValue(dec *json.Decoder, depth int) (map[string]struct{}, error) {
	const maxDepth = 8 // the format needs 4
	if depth > maxDepth {
		return nil, errors.New("values are nested too deeply")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil, nil
	}
	var fields map[string]struct{}
	if delim == '{' {
		fields = make(map[string]struct{})
	}
	for dec.More() {
		if fields != nil {
			if err := walkField(dec, fields); err != nil {
				return nil, err
			}
		}
		if _, err := walkValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token() // the closing delimiter
	return fields, err
}

// walkField reads an object's next field name and adds it to those seen.
func walkField(dec *json.Decoder, fields map[string]struct{}) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	name, ok := token.(string)
	if !ok {
		return fmt.Errorf("a field name instead of %v", token)
	}
	lower := strings.ToLower(name)
	if _, dup := fields[lower]; dup {
		return fmt.Errorf("the field %q is given twice: remove one", name)
	}
	fields[lower] = struct{}{}
	return nil
}
