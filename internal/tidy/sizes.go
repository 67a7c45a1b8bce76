package tidy

import (
	"fmt"
	"go/ast"
)

// A file is what one reads in one sitting, a function what one sees at once.
const (
	maxFileLines     = 600
	maxFunctionLines = 70
	maxClauseLines   = 6  // of a dispatcher's case: it calls, it does not compute
	maxFrameLines    = 24 // of a dispatcher outside its switch
)

// Sizes reports long files and long functions. Functions of tests may be long, a
// table is; and so may a dispatcher, whose every case is a call.
func Sizes(m *Module) []Finding {
	var found []Finding
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if f.Lines > maxFileLines && !ast.IsGenerated(f.AST) {
				found = append(found, Finding{f.Path, fmt.Sprintf("%d lines, at most %d: split it by what it decides", f.Lines, maxFileLines)})
			}
			if f.Test || ast.IsGenerated(f.AST) {
				continue
			}
			for _, decl := range f.AST.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				if n := m.lines(fn.Body); n > maxFunctionLines && !m.dispatches(fn.Body) {
					found = append(found, Finding{m.at(fn), fmt.Sprintf("%s has %d lines, at most %d: name its parts (a switch may be longer if each case is a call of at most %d lines)", fn.Name.Name, n, maxFunctionLines, maxClauseLines)})
				}
			}
		}
	}
	return found
}

// dispatches reports whether a body is one switch or select, in a loop perhaps,
// with short cases and little around it.
func (m *Module) dispatches(body *ast.BlockStmt) bool {
	for _, stmt := range body.List {
		if loop, ok := stmt.(*ast.ForStmt); ok && m.dispatches(loop.Body) {
			return m.lines(body)-m.lines(loop) <= maxFrameLines
		}
		var clauses *ast.BlockStmt
		switch s := stmt.(type) {
		case *ast.SwitchStmt:
			clauses = s.Body
		case *ast.TypeSwitchStmt:
			clauses = s.Body
		case *ast.SelectStmt:
			clauses = s.Body
		}
		if clauses != nil && m.lines(body)-m.lines(clauses) <= maxFrameLines {
			return m.shortClauses(clauses)
		}
	}
	return false
}

func (m *Module) shortClauses(clauses *ast.BlockStmt) bool {
	for _, clause := range clauses.List {
		if m.lines(clause) > maxClauseLines {
			return false
		}
	}
	return true
}
