package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// tableMakers are functions whose result may stand in a package-level variable:
// it is an error or an immutable value that Go cannot spell as a constant.
var tableMakers = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "crc32.MakeTable",
	"sha256.Sum256", "crypto.Keccak256", "crypto.Keccak256Hash", "big.NewInt", "uint256.NewInt",
	"uint256.MustFromHex", "common.HexToHash", "common.HexToAddress", "common.BytesToHash", "common.FromHex", "template.Must",
}

// exceptions are the package-level variables that may change, by directory and
// name.
var exceptions = []string{
	// Which seeded bug is on. A value in the signatures of the rules would put
	// mutants into the product; this file is not even compiled into it.
	"internal/mutant.selected",
}

// State reports package-level variables that can change, and init functions: two
// nodes in one process share nothing.
func State(m *Module) []Finding {
	var found []Finding
	for _, p := range m.Packages {
		for _, f := range p.Source() {
			for _, decl := range f.AST.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						found = append(found, Finding{m.at(d), "no init functions: do it in a constructor, where a caller sees it and can have an error"})
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR {
						found = append(found, m.variables(p, d)...)
					}
				}
			}
			found = append(found, m.assignments(f)...)
		}
	}
	return found
}

func (m *Module) variables(p *Package, d *ast.GenDecl) []Finding {
	var found []Finding
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec) // all a var declaration holds
		if embeds(d.Doc) || embeds(spec.Doc) || spec.Names[0].Name == "_" || slices.Contains(exceptions, p.Dir+"."+spec.Names[0].Name) {
			continue
		}
		ok := len(spec.Values) == len(spec.Names) || zeroValue(spec)
		for _, v := range spec.Values {
			ok = ok && immutable(v, p.Name == "main")
		}
		if !ok {
			found = append(found, Finding{m.at(spec), fmt.Sprintf("package-level variable %s: keep state in a value that a constructor returns; errors, literal tables, embeds and `var _ I = T{}` may stay (an immutable value made by another function: add the function to tableMakers in internal/tidy/state.go)", spec.Names[0].Name)})
		}
	}
	return found
}

// zeroValue reports whether a variable is a name for the zero hash or address.
func zeroValue(spec *ast.ValueSpec) bool {
	return spec.Values == nil && isSelector(spec.Type, "common", "Hash", "Address")
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// immutable reports whether an initial value is a table or an error. A command
// may have string literals, which the linker can set.
func immutable(e ast.Expr, command bool) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.BasicLit:
		return command && e.Kind == token.STRING
	case *ast.SelectorExpr:
		return true // another package's value
	case *ast.CallExpr:
		if _, ok := e.Fun.(*ast.ArrayType); ok {
			return true // []byte("…")
		}
		if _, ok := e.Fun.(*ast.Ident); ok {
			return !isBuiltin(e, "make", "new") && len(e.Args) > 0 && allConstant(e.Args) // unhex("…")
		}
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok {
				return slices.Contains(tableMakers, id.Name+"."+sel.Sel.Name)
			}
		}
	}
	return false
}

// assignments reports writes to package-level variables.
func (m *Module) assignments(f *File) []Finding {
	var found []Finding
	check := func(e ast.Expr) {
		id := root(e)
		if id == nil {
			return
		}
		v, ok := m.typed().info.Uses[id].(*types.Var)
		if ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
			found = append(found, Finding{m.at(e), fmt.Sprintf("writes to the package-level variable %s: tables do not change", id.Name)})
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				check(e)
			}
		case *ast.IncDecStmt:
			check(n.X)
		}
		return true
	})
	return found
}

// root returns the variable that an assignable expression starts from.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// Sleeps reports waiting for a guess: time.Sleep in tests and test frameworks is
// allowed where time is virtual only. A function that runs inside a bubble but
// does not start it says so in its comment, with the word “synctest”.
func Sleeps(m *Module) []Finding {
	var found []Finding
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if !f.Test && !p.Under("testframework") {
				continue
			}
			for _, decl := range f.AST.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Body == nil || strings.Contains(fn.Doc.Text(), "synctest") {
					continue
				}
				ast.Inspect(fn.Body, func(n ast.Node) bool {
					e, ok := n.(ast.Expr)
					if ok && isCall(e, "synctest", "Test") {
						return false
					}
					if ok && isCall(e, "time", "Sleep") {
						found = append(found, Finding{m.at(e), "time.Sleep outside a synctest bubble: wait for the event itself, by a subscription or the test framework's bounded wait"})
					}
					return true
				})
			}
		}
	}
	return found
}
