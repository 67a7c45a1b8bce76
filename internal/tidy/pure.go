package tidy

import (
	"fmt"
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"
)

// pure lists the packages whose functions depend on their arguments only, so
// that a simulator can replay them bit by bit.
var pure = []string{"consensus", "ledger", "ledger/exec", "crosschain", "vm/meter"}

// impureImports and everything below them bring in a clock, randomness, other
// goroutines or the outside world. Package time is allowed for its Duration.
var impureImports = []string{
	"context", "crypto/rand", "io/fs", "io/ioutil", "log", "math/rand", "net", "os", "runtime",
	"sync", "syscall", "testing", "unique", "weak",
}

// passingOn lists pure packages that hand a caller's context on to what they call. A context that ends
// there ends in an error, never in another result; the package does not look at it.
var passingOn = []string{"ledger/exec"}

var clockFunctions = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// Pure reports what makes a pure package depend on anything but its arguments.
func Pure(m *Module) []Finding {
	var found []Finding
	for _, p := range m.Packages {
		if !slices.Contains(pure, p.Dir) {
			continue
		}
		for _, f := range p.Source() {
			for i, imported := range f.imports() {
				if imported == "context" && slices.Contains(passingOn, p.Dir) {
					continue
				}
				if slices.ContainsFunc(impureImports, func(s string) bool { return imported == s || strings.HasPrefix(imported, s+"/") }) {
					found = append(found, Finding{m.at(f.AST.Imports[i]), fmt.Sprintf("%s is pure and imports %s: pass what you need as an argument and leave the rest to the driver", p.Dir, imported)})
				}
			}
			found = append(found, m.impureNodes(p, f)...)
		}
	}
	return found
}

func (m *Module) impureNodes(p *Package, f *File) []Finding {
	var found []Finding
	report := func(n ast.Node, what string) {
		found = append(found, Finding{m.at(n), p.Dir + " is pure: " + what})
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "no goroutines; return what is to be done and let the driver do it")
		case *ast.SelectStmt:
			report(n, "no channel operations; they belong to the driver")
		case *ast.ChanType:
			report(n, "no channels; they belong to the driver")
		case *ast.SelectorExpr:
			if isSelector(n, "time", clockFunctions...) {
				report(n, "no clock (time."+n.Sel.Name+"); time is an argument")
			}
		}
		return true
	})
	for _, loop := range m.mapOrder(f) {
		report(loop, "map order differs between runs: range over slices.Sorted(maps.Keys(m)), or say in a comment above, with the word “order”, why it cannot reach a result")
	}
	return found
}

// Interfaces reports interfaces with more than six methods.
func Interfaces(m *Module) []Finding {
	const maxMethods = 6
	var found []Finding
	for _, p := range m.Packages {
		for _, f := range p.Files {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if it, ok := spec.Type.(*ast.InterfaceType); ok {
					if methods := m.methods(it); methods > maxMethods {
						found = append(found, Finding{m.at(spec), fmt.Sprintf("interface %s has %d methods, at most %d: ask for less where it is used, pass a struct of values, or use the concrete type", spec.Name.Name, methods, maxMethods)})
					}
				}
				return true
			})
		}
	}
	return found
}

// methods counts an interface's methods; an embedded interface counts in full
// when its source is in the module and as one otherwise.
func (m *Module) methods(it *ast.InterfaceType) int {
	count := 0
	for _, field := range it.Methods.List {
		if len(field.Names) > 0 {
			count += len(field.Names)
			continue
		}
		if t := m.typed().info.TypeOf(field.Type); t != nil {
			if embedded, ok := t.Underlying().(*types.Interface); ok {
				count += embedded.NumMethods()
				continue
			}
		}
		count++
	}
	return count
}

// Names reports package names that say nothing, or not what the directory says.
func Names(m *Module) []Finding {
	banned := []string{
		"api", "base", "common", "core", "errors", "helper", "helpers", "impl", "interfaces", "lib",
		"manager", "misc", "mock", "mocks", "pkg", "shared", "types", "util", "utils",
	}
	var found []Finding
	for _, p := range m.Packages {
		for name := range strings.SplitSeq(p.Dir, "/") {
			if slices.Contains(banned, name) {
				found = append(found, Finding{p.Dir, fmt.Sprintf("%q says nothing about what is inside: name the package by the noun a user would say, or put its code where it is used", name)})
			}
		}
		if p.Name != "" && p.Name != "main" && p.Name != path.Base(p.Dir) {
			found = append(found, Finding{p.Dir, fmt.Sprintf("package %s does not bear its directory's name", p.Name)})
		}
	}
	return found
}
