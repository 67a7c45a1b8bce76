package main

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// maxSignatureBytes bounds a signature as people write them.
	maxSignatureBytes = 4 << 10
	// maxTypeDepth bounds how deep tuples and arrays nest: values of such a type are walked recursively.
	maxTypeDepth = 8
)

// abiEntry is one element of a JSON ABI: a function, constructor, event or error.
type abiEntry struct {
	Type            string     `json:"type"`
	Name            string     `json:"name,omitempty"`
	Inputs          []abiParam `json:"inputs"`
	Outputs         []abiParam `json:"outputs,omitzero"`
	StateMutability string     `json:"stateMutability,omitempty"`
	Anonymous       bool       `json:"anonymous,omitempty"`
}

// abiParam is a parameter of an entry, or a field of a tuple.
type abiParam struct {
	Name         string     `json:"name"`
	Type         string     `json:"type"`
	InternalType string     `json:"internalType,omitempty"` // kept for other tools
	Components   []abiParam `json:"components,omitempty"`
	Indexed      bool       `json:"indexed,omitempty"`
}

// parseSignature reads one entry as people write it: as cast does, balanceOf(address)(uint256), or as Solidity
// and ethers do, "function balanceOf(address owner) view returns (uint256)".
func parseSignature(text string) (abiEntry, error) {
	if len(text) > maxSignatureBytes {
		return abiEntry{}, fmt.Errorf("a signature of %d bytes: at most %d", len(text), maxSignatureBytes)
	}
	p := &signatureParser{words: signatureWords(text)}
	e, err := p.entry()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%q is left over at the end", p.peek())
	}
	if err == nil {
		err = checkEntry(e)
	}
	if err != nil {
		return abiEntry{}, fmt.Errorf("signature %q: %w: write it like balanceOf(address)(uint256)", text, err)
	}
	return e, nil
}

// signatureWords splits a signature into words and single punctuation marks; an array's brackets are one word.
func signatureWords(text string) []string {
	var words []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t':
			i++
		case isWordByte(c):
			n := i
			for n < len(text) && isWordByte(text[n]) {
				n++
			}
			words = append(words, text[i:n])
			i = n
		case c == '[':
			n := strings.IndexByte(text[i:], ']') + i + 1
			if n == i {
				n = len(text)
			}
			words = append(words, text[i:n])
			i = n
		default:
			words = append(words, text[i:i+1])
			i++
		}
	}
	return words
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// signatureParser reads words from the left.
type signatureParser struct{ words []string }

func (p *signatureParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

// accept takes the next word if it is one of these.
func (p *signatureParser) accept(words ...string) (string, bool) {
	for _, w := range words {
		if p.peek() == w {
			p.words = p.words[1:]
			return w, true
		}
	}
	return "", false
}

func (p *signatureParser) expect(word string) error {
	if _, ok := p.accept(word); !ok {
		return fmt.Errorf("%q is missing before %q", word, p.peek())
	}
	return nil
}

func (p *signatureParser) name() (string, bool) {
	w := p.peek()
	if !isName(w) {
		return "", false
	}
	p.words = p.words[1:]
	return w, true
}

// isName reports whether a word can name something in Solidity.
func isName(w string) bool {
	if w == "" || w[0] >= '0' && w[0] <= '9' {
		return false
	}
	for i := range len(w) {
		if !isWordByte(w[i]) {
			return false
		}
	}
	return true
}

func (p *signatureParser) entry() (abiEntry, error) {
	e := abiEntry{Type: "function"}
	if kind, ok := p.accept("function", "event", "error", "constructor", "fallback", "receive"); ok {
		e.Type = kind
	}
	if needsName(e.Type) {
		var ok bool
		if e.Name, ok = p.name(); !ok {
			return e, errors.New("it does not begin with a name")
		}
	}
	var err error
	if e.Inputs, err = p.params(0); err != nil {
		return e, err
	}
	if e.Type != "event" && e.Type != "error" {
		e.StateMutability = "nonpayable"
	}
	for {
		word, ok := p.accept("view", "pure", "payable", "nonpayable", "external", "public", "anonymous")
		switch {
		case !ok && e.Type == "function" && e.Outputs == nil && (p.peek() == "returns" || p.peek() == "("):
			p.accept("returns")
			if e.Outputs, err = p.params(0); err != nil {
				return e, err
			}
		case !ok:
			_, _ = p.accept(";")
			return e, nil
		case word == "anonymous":
			e.Anonymous = true
		case word != "external" && word != "public":
			e.StateMutability = word
		}
	}
}

func needsName(kind string) bool { return kind == "function" || kind == "event" || kind == "error" }

// params reads a list in parentheses.
func (p *signatureParser) params(depth int) ([]abiParam, error) {
	if depth > maxTypeDepth {
		return nil, fmt.Errorf("tuples nest deeper than %d", maxTypeDepth)
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	params := []abiParam{}
	if _, ok := p.accept(")"); ok {
		return params, nil
	}
	for {
		param, err := p.param(depth)
		if err != nil {
			return nil, err
		}
		params = append(params, param)
		if _, ok := p.accept(")"); ok {
			return params, nil
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
	}
}

func (p *signatureParser) param(depth int) (abiParam, error) {
	var a abiParam
	word, named := p.name()
	if p.peek() == "(" && (!named || word == "tuple") {
		var err error
		if a.Components, err = p.params(depth + 1); err != nil {
			return a, err
		}
		word = "tuple"
	} else if !named {
		return a, fmt.Errorf("a type is missing before %q", p.peek())
	}
	switch word {
	case "uint", "int":
		word += "256"
	}
	a.Type = word
	for strings.HasPrefix(p.peek(), "[") {
		a.Type += strings.ReplaceAll(p.peek(), " ", "")
		p.words = p.words[1:]
	}
	for {
		where, ok := p.accept("indexed", "memory", "calldata", "storage")
		if !ok {
			break
		}
		a.Indexed = a.Indexed || where == "indexed"
	}
	a.Name, _ = p.name()
	return a, nil
}

// String writes an entry as Solidity and ethers do; [parseSignature] reads it.
func (e abiEntry) String() string {
	var b strings.Builder
	b.WriteString(e.Type)
	if e.Name != "" {
		b.WriteString(" " + e.Name)
	}
	b.WriteString(paramList(e.Inputs, true))
	if e.Anonymous {
		b.WriteString(" anonymous")
	}
	if e.StateMutability != "" && e.StateMutability != "nonpayable" {
		b.WriteString(" " + e.StateMutability)
	}
	if len(e.Outputs) > 0 {
		b.WriteString(" returns " + paramList(e.Outputs, true))
	}
	return b.String()
}

// signature is the text that selectors and topics are hashes of.
func (e abiEntry) signature() string { return e.Name + paramList(e.Inputs, false) }

func paramList(params []abiParam, named bool) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, a := range params {
		if i > 0 && named {
			b.WriteString(", ")
		} else if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(a.text(named))
	}
	b.WriteByte(')')
	return b.String()
}

// text is the type, with what a reader wants to know beside it when named.
func (a abiParam) text(named bool) string {
	text := a.Type
	if dims, ok := strings.CutPrefix(a.Type, "tuple"); ok {
		text = paramList(a.Components, named) + dims
	}
	if named && a.Indexed {
		text += " indexed"
	}
	if named && a.Name != "" {
		text += " " + a.Name
	}
	return text
}
