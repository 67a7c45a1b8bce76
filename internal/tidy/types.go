package tidy

import (
	"fmt"
	"go/ast"
	"go/types"
	"path"
	"strings"
)

// typed holds what the type checker can say from the module's own source.
// Everything that comes from outside it has an invalid type.
type typed struct {
	info     *types.Info
	packages map[string]*types.Package
	module   *Module
}

// typed type-checks every package of the module once, tests aside.
func (m *Module) typed() *typed {
	if m.types == nil {
		m.types = &typed{
			module:   m,
			packages: map[string]*types.Package{},
			info: &types.Info{
				Types:      map[ast.Expr]types.TypeAndValue{},
				Defs:       map[*ast.Ident]types.Object{},
				Uses:       map[*ast.Ident]types.Object{},
				Selections: map[*ast.SelectorExpr]*types.Selection{},
			},
		}
		for _, p := range m.Packages {
			if _, err := m.types.Import(m.Path + "/" + p.Dir); err != nil {
				continue // a package of tests only
			}
		}
	}
	return m.types
}

// Import implements [types.Importer]: packages of the module are checked from
// source, all others are empty.
func (t *typed) Import(importPath string) (*types.Package, error) {
	if pkg, ok := t.packages[importPath]; ok {
		if pkg == nil {
			return nil, fmt.Errorf("import cycle through %s", importPath)
		}
		return pkg, nil
	}
	dir, ok := strings.CutPrefix(importPath, t.module.Path+"/")
	if !ok {
		pkg := types.NewPackage(importPath, path.Base(importPath))
		pkg.MarkComplete()
		t.packages[importPath] = pkg
		return pkg, nil
	}
	for _, p := range t.module.Packages {
		if p.Dir != dir || p.Name == "" {
			continue
		}
		t.packages[importPath] = nil
		var files []*ast.File
		for _, f := range p.Source() {
			files = append(files, f.AST)
		}
		conf := types.Config{Importer: t, Error: func(error) {}, FakeImportC: true}
		// Errors are expected: names from outside the module do not resolve.
		pkg, _ := conf.Check(importPath, t.module.fset, files, t.info)
		t.packages[importPath] = pkg
		return pkg, nil
	}
	return nil, fmt.Errorf("no package in %s", dir)
}
