package mutant_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"github.com/tercet-chain/tercet/internal/mutant"
)

func TestMutant_names(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutant.All() {
		name := m.String()
		if seen[name] {
			t.Errorf("%s is the name of two", name)
		}
		seen[name] = true
		if got, ok := mutant.Parse(name); !ok || got != m {
			t.Errorf("Parse(%q) = %v, %v", name, got, ok)
		}
		if d := m.Describe(); d == "" || strings.Contains(d, ". ") || strings.HasSuffix(d, ".") {
			t.Errorf("%s: %q is not one sentence without its full stop", name, d)
		}
		if o := m.Origin(); strings.HasPrefix(o, "incident") != (m.Incident() > 0) {
			t.Errorf("%s: origin %q, incident %d", name, o, m.Incident())
		}
	}
	for _, name := range []string{"", "mutant(0)", "none"} {
		if m, ok := mutant.Parse(name); ok {
			t.Errorf("Parse(%q) = %v", name, m)
		}
	}
	if got := mutant.Mutant(0).String(); got != "mutant(0)" {
		t.Errorf("no mutant is called %q", got)
	}
}

func TestSelect_turnsOneOn(t *testing.T) {
	if !mutant.Built {
		defer func() {
			if recover() == nil {
				t.Error("a mutant was selected that is not there")
			}
		}()
	}
	defer mutant.Select(0)
	for _, m := range mutant.All() {
		mutant.Select(m)
		for _, other := range mutant.All() {
			if mutant.On(other) != (other == m) {
				t.Fatalf("%s selected: On(%s) = %v", m, other, mutant.On(other))
			}
		}
	}
	mutant.Select(0)
	if slices.ContainsFunc(mutant.All(), mutant.On) {
		t.Error("one is on after Select(0)")
	}
}

// Each incident with a number has a mutant.
func TestMutant_incidents(t *testing.T) {
	var missing []int
	for n := 1; n <= 22; n++ {
		if !slices.ContainsFunc(mutant.All(), func(m mutant.Mutant) bool { return m.Incident() == n }) {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		t.Errorf("no mutant for the incidents %v", missing)
	}
	if testing.Verbose() { // .ci/incidents reads this.
		for _, m := range mutant.All() {
			if m.Incident() > 0 {
				fmt.Printf("incident\t%02d\t%s\n", m.Incident(), m)
			}
		}
	}
}

// A mutant without a hook would let every checker pass.
func TestMutant_hooks(t *testing.T) {
	named, hooked, err := scan(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range unhooked(named, hooked) {
		t.Error(what)
	}
	if len(named) != len(mutant.All()) {
		t.Errorf("%d constants, %d mutants", len(named), len(mutant.All()))
	}
	for i, m := range mutant.All() {
		if i < len(named) && kebab(named[i]) != m.String() {
			t.Errorf("constant %s is called %s", named[i], m)
		}
	}
}

func TestHooks_missing_isReported(t *testing.T) {
	named, hooked, err := scan(fstest.MapFS{
		"internal/mutant/mutant.go": {Data: []byte("package mutant\n\ntype Mutant uint8\n\nconst (\n\tA Mutant = iota + 1\n\tB\n\tC\n)\n\nvar _ = On(C)\n")},
		"p/p.go":                    {Data: []byte("package p\n\nvar _ = mutant.On(mutant.A)\nvar _ = mutant.B\n")},
		"p/p_test.go":               {Data: []byte("package p\n\nvar _ = mutant.On(mutant.B)\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := unhooked(named, hooked); !slices.Equal(got, []string{"B has no hook", "C has no hook"}) {
		t.Errorf("got %q", got)
	}
}

func unhooked(named []string, hooked map[string]bool) []string {
	var found []string
	for _, name := range named {
		if !hooked[name] {
			found = append(found, name+" has no hook")
		}
	}
	return found
}

// scan lists the constants of type Mutant, in order, and what the module's
// source, tests and this package aside, asks On about.
func scan(root fs.FS) (named []string, hooked map[string]bool, err error) {
	hooked = map[string]bool{}
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(p)
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		data, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, data, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if path.Dir(p) == "internal/mutant" {
			named = append(named, constants(file)...)
			return nil
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 1 && selects(call.Fun, "On") != "" {
				hooked[selects(call.Args[0], "")] = true
			}
			return true
		})
		return nil
	})
	return named, hooked, err
}

// selects returns X of an expression mutant.X; name, if not empty, is the only X
// that counts.
func selects(e ast.Expr, name string) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if id, ok := sel.X.(*ast.Ident); !ok || id.Name != "mutant" || (name != "" && sel.Sel.Name != name) {
		return ""
	}
	return sel.Sel.Name
}

// constants lists the names of the constant block that begins with a Mutant.
func constants(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		block, ok := decl.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		first := block.Specs[0].(*ast.ValueSpec)
		if id, ok := first.Type.(*ast.Ident); !ok || id.Name != "Mutant" {
			continue
		}
		for _, spec := range block.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				names = append(names, id.Name)
			}
		}
	}
	return names
}

// kebab writes VoteTwice as vote-twice and WALPruneTooMuch as
// wal-prune-too-much.
func kebab(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		begins := i > 0 && unicode.IsUpper(r) && (unicode.IsLower(letters[i-1]) || (i+1 < len(letters) && unicode.IsLower(letters[i+1])))
		if begins {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
