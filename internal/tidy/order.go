package tidy

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// mapOrder reports the loops that visit a map in its own order, which differs
// between runs, unless the order visibly cannot reach a result: the body only
// counts, keeps a maximum, deletes, stores by key, answers with a constant, or
// collects what the next statement sorts; or a comment explains it.
func (m *Module) mapOrder(f *File) []*ast.RangeStmt {
	var found []*ast.RangeStmt
	ast.Inspect(f.AST, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		case *ast.CommClause:
			list = n.Body
		}
		for i, stmt := range list {
			loop, ok := stmt.(*ast.RangeStmt)
			if !ok || !m.rangesOverMap(loop) || m.explained(f, loop) {
				continue
			}
			sorted := slices.ContainsFunc(list[i+1:], sorts)
			if !orderless(loop.Body.List, sorted) {
				found = append(found, loop)
			}
		}
		return true
	})
	return found
}

// rangesOverMap reports whether the loop visits a map in the map's own order.
func (m *Module) rangesOverMap(n *ast.RangeStmt) bool {
	if isCall(n.X, "maps", "Keys", "Values", "All") {
		return true
	}
	t := m.typed().info.TypeOf(n.X)
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// explained reports whether a comment that ends on the loop's line or the one
// above speaks of the order.
func (m *Module) explained(f *File, n ast.Node) bool {
	line := m.fset.Position(n.Pos()).Line
	for _, group := range f.AST.Comments {
		end := m.fset.Position(group.End()).Line
		if (end == line || end == line-1) && strings.Contains(group.Text(), "order") {
			return true
		}
	}
	return false
}

// sorts reports whether a statement calls a sorting function, by its name.
func sorts(stmt ast.Stmt) bool {
	e, ok := stmt.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return strings.HasPrefix(fun.Name, "sort")
	case *ast.SelectorExpr:
		return strings.HasPrefix(fun.Sel.Name, "Sort") || isSelector(fun, "sort", "Slice", "Strings", "Ints")
	}
	return false
}

// orderless reports whether statements have the same effect in whatever order
// the loop around them visits its elements. With sorted, appending is such a
// statement too, also by a function of the file.
func orderless(list []ast.Stmt, sorted bool) bool {
	for _, stmt := range list {
		ok := false
		switch s := stmt.(type) {
		case *ast.IncDecStmt, *ast.DeclStmt:
			ok = true
		case *ast.BranchStmt:
			ok = s.Tok == token.CONTINUE
		case *ast.ExprStmt:
			ok = isBuiltin(s.X, "delete", "clear") || sorted && callsByName(s.X)
		case *ast.ReturnStmt:
			ok = allConstant(s.Results)
		case *ast.AssignStmt:
			ok = orderlessAssignment(s, sorted)
		case *ast.RangeStmt:
			ok = orderless(s.Body.List, sorted)
		case *ast.BlockStmt:
			ok = orderless(s.List, sorted)
		case *ast.IfStmt:
			ok = orderless(s.Body.List, sorted) && (s.Else == nil || orderless([]ast.Stmt{s.Else}, sorted))
		}
		if !ok {
			return false
		}
	}
	return true
}

func orderlessAssignment(s *ast.AssignStmt, sorted bool) bool {
	switch s.Tok {
	case token.DEFINE, token.ADD_ASSIGN, token.SUB_ASSIGN, token.OR_ASSIGN, token.AND_ASSIGN, token.XOR_ASSIGN:
		return true
	case token.ASSIGN:
	default:
		return false
	}
	if len(s.Lhs) != 1 || len(s.Rhs) != 1 {
		return false
	}
	if _, byKey := s.Lhs[0].(*ast.IndexExpr); byKey {
		return true
	}
	if isBuiltin(s.Rhs[0], "append") {
		return sorted
	}
	return isBuiltin(s.Rhs[0], "max", "min") || allConstant(s.Rhs)
}

func callsByName(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	_, ok = call.Fun.(*ast.Ident)
	return ok
}

func isBuiltin(e ast.Expr, names ...string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	id, ok := call.Fun.(*ast.Ident)
	return ok && slices.Contains(names, id.Name)
}

// allConstant reports whether every expression is a literal, true, false or nil.
func allConstant(list []ast.Expr) bool {
	for _, e := range list {
		switch e := e.(type) {
		case *ast.BasicLit:
		case *ast.Ident:
			if e.Name != "true" && e.Name != "false" && e.Name != "nil" {
				return false
			}
		default:
			return false
		}
	}
	return true
}
