// Package tidy keeps the module in the shape that CONTRIBUTING.md and
// ARCHITECTURE.md promise.
//
// A [Rule] is a function from the parsed module to what is wrong with it; every
// [Finding] says what to do. The tests run each rule over this module and over a
// fixture that breaks it, so a rule that has stopped looking is noticed too.
// Nothing is compiled and no tool is needed: the rules read syntax trees, with
// as much type information as the module's own source gives.
//
// The idea, style enforced by a test, is TigerBeetle's tidy.zig.
package tidy

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Rule is one promise and the function that finds where it is broken.
type Rule struct {
	Name  string // also the name of its fixture, testdata/NAME.txtar
	Check func(*Module) []Finding
}

// Rules returns every rule in the order in which they are reported.
func Rules() []Rule {
	return []Rule{
		{"layers", Layers},
		{"homes", Homes},
		{"pure", Pure},
		{"sizes", Sizes},
		{"names", Names},
		{"docs", Docs},
		{"interfaces", Interfaces},
		{"state", State},
		{"sleeps", Sleeps},
		{"config", DeadConfig},
		{"dependencies", Dependencies},
		{"documents", Documents},
		{"text", Text},
	}
}

// A Finding is one broken promise: where it is and what to do about it.
type Finding struct {
	Where string // path, or path:line
	What  string
}

// String returns the finding on one line.
func (f Finding) String() string { return f.Where + ": " + f.What }

// Module is a parsed Go module. Nested modules and testdata are not part of it.
type Module struct {
	Path     string     // from go.mod
	GoMod    []byte     // the file itself
	Packages []*Package // by directory
	Texts    []TextFile // every text file, by path, Go source included

	fset  *token.FileSet
	types *typed // made on first use
}

// Package is one directory with Go source.
type Package struct {
	Dir   string // relative to the module, "." for its root
	Name  string // of the files that are not tests
	Files []*File
}

// File is one parsed source file.
type File struct {
	Path  string // relative to the module
	Test  bool
	Lines int
	AST   *ast.File
}

// TextFile is a file without NUL bytes.
type TextFile struct {
	Path string
	Data []byte
}

const maxTextBytes = 1 << 20 // larger files are data

// Load parses the module whose root is root.
func Load(root fs.FS) (*Module, error) {
	goMod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("reading the module file: %w", err)
	}
	m := &Module{GoMod: goMod, fset: token.NewFileSet()}
	for line := range strings.Lines(string(goMod)) {
		if rest, ok := strings.CutPrefix(line, "module "); ok {
			m.Path = strings.TrimSpace(rest)
		}
	}
	if m.Path == "" {
		return nil, fmt.Errorf("go.mod has no module line")
	}
	ignored := ignoredDirs(root)
	byDir := map[string]*Package{}
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (skipDir(root, p) || slices.Contains(ignored, p)) {
				return fs.SkipDir
			}
			return nil
		}
		return m.add(root, p, d, byDir)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	for _, p := range byDir {
		m.Packages = append(m.Packages, p)
	}
	slices.SortFunc(m.Packages, func(a, b *Package) int { return cmp.Compare(a.Dir, b.Dir) })
	return m, nil
}

func (m *Module) add(root fs.FS, p string, d fs.DirEntry, byDir map[string]*Package) error {
	info, err := d.Info()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxTextBytes || p == ".git" { // of a worktree: a file
		return err
	}
	data, err := fs.ReadFile(root, p)
	if err != nil || bytes.IndexByte(data, 0) >= 0 {
		return err
	}
	m.Texts = append(m.Texts, TextFile{Path: p, Data: data})
	if path.Ext(p) != ".go" || slices.Contains(strings.Split(p, "/"), "testdata") {
		return nil
	}
	parsed, err := parser.ParseFile(m.fset, p, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	file := &File{
		Path: p, AST: parsed, Lines: bytes.Count(data, []byte("\n")),
		Test: strings.HasSuffix(p, "_test.go"),
	}
	dir := path.Dir(p)
	pkg := byDir[dir]
	if pkg == nil {
		pkg = &Package{Dir: dir}
		byDir[dir] = pkg
	}
	pkg.Files = append(pkg.Files, file)
	if !file.Test {
		pkg.Name = parsed.Name.Name
	}
	return nil
}

// skipDir reports whether a directory holds no part of the module: hidden
// directories (but for CI), installed npm packages and nested modules.
func skipDir(root fs.FS, dir string) bool {
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") && base != ".ci" && base != ".github" || base == "node_modules" {
		return true
	}
	_, err := fs.Stat(root, dir+"/go.mod")
	return err == nil
}

// ignoredDirs returns the directories that .gitignore names as /dir/.
func ignoredDirs(root fs.FS) []string {
	data, err := fs.ReadFile(root, ".gitignore")
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if len(line) > 2 && strings.HasPrefix(line, "/") && strings.HasSuffix(line, "/") {
			dirs = append(dirs, strings.Trim(line, "/"))
		}
	}
	return dirs
}

// Source returns the files that are not tests.
func (p *Package) Source() []*File {
	var files []*File
	for _, f := range p.Files {
		if !f.Test {
			files = append(files, f)
		}
	}
	return files
}

// Under reports whether the package is dir or lies below it.
func (p *Package) Under(dir string) bool {
	return p.Dir == dir || strings.HasPrefix(p.Dir, dir+"/")
}

// imports returns the import paths of a file.
func (f *File) imports() []string {
	paths := make([]string, len(f.AST.Imports))
	for i, spec := range f.AST.Imports {
		paths[i] = strings.Trim(spec.Path.Value, `"`)
	}
	return paths
}

// at names the position of a node.
func (m *Module) at(n ast.Node) string {
	p := m.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// lines returns how many lines a node spans.
func (m *Module) lines(n ast.Node) int {
	return m.fset.Position(n.End()).Line - m.fset.Position(n.Pos()).Line + 1
}

// isCall reports whether e is a call of pkg.name for one of the names, by the
// package's usual name.
func isCall(e ast.Expr, pkg string, names ...string) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && isSelector(call.Fun, pkg, names...)
}

func isSelector(e ast.Expr, pkg string, names ...string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg && slices.Contains(names, sel.Sel.Name)
}
