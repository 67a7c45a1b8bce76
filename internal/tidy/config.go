package tidy

import (
	"fmt"
	"go/ast"
	"go/types"
)

const configDir = "node/config"

// DeadConfig reports settings that nothing outside node/config reads: whoever
// sets them believes in an effect that does not exist.
func DeadConfig(m *Module) []Finding {
	pkg := m.typed().packages[m.Path+"/"+configDir]
	if pkg == nil {
		return nil
	}
	config := pkg.Scope().Lookup("Config")
	if config == nil {
		return []Finding{{configDir, "has no type Config: this rule looks for the settings there"}}
	}
	read := m.fieldsRead()
	var found []Finding
	var visit func(t types.Type, name string)
	visit = func(t types.Type, name string) {
		switch u := t.Underlying().(type) {
		case *types.Slice:
			visit(u.Elem(), name)
		case *types.Pointer:
			visit(u.Elem(), name)
		case *types.Struct:
			for field := range u.Fields() {
				if field.Pkg() != pkg {
					continue // a struct from elsewhere, such as a duration's
				}
				full := name + "." + field.Name()
				if !read[field] {
					where := m.fset.Position(field.Pos())
					found = append(found, Finding{fmt.Sprintf("%s:%d", where.Filename, where.Line), fmt.Sprintf("nothing outside %s reads %s: use it or delete it", configDir, full)})
					continue
				}
				visit(field.Type(), full)
			}
		}
	}
	visit(config.Type(), "Config")
	return found
}

// fieldsRead returns the struct fields that source outside node/config, tests
// aside, selects other than to assign to them.
func (m *Module) fieldsRead() map[*types.Var]bool {
	info := m.typed().info
	read := map[*types.Var]bool{}
	for _, p := range m.Packages {
		if p.Dir == configDir {
			continue
		}
		for _, f := range p.Source() {
			written := map[ast.Expr]bool{}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, e := range n.Lhs {
						written[e] = true
					}
				case *ast.SelectorExpr:
					if s := info.Selections[n]; s != nil && !written[n] {
						if field, ok := s.Obj().(*types.Var); ok {
							read[field] = true
						}
					}
				}
				return true
			})
		}
	}
	return read
}
