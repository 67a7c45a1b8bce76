package tidy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rows is the layer table of ARCHITECTURE.md, from the bottom up. A package
// imports rows below it and the packages to its left in its own row. Placing a
// package is a design decision: say why in the change that does it.
var rows = [][]string{
	// internal/mutant is what the lowest packages can leave out on request.
	// contracts are files for commands and tests; the SDK for TinyGo is a package that contracts import.
	{
		"internal/mutant", "consensus", "ledger", "vm/meter", "vm/meter/metertest", "vm", "vm/vmtest", "p2p",
		"contracts/sdk/tinygo/tercet", "contracts", "internal/testlog",
	},
	{
		"consensus/sig", "consensus/wal", "consensus/engine",
		"ledger/state", "ledger/store", "ledger/system", "p2p/host", "testframework/simdisk",
	},
	{"ledger/exec", "crosschain", "consensus/consensustest"},
	{
		"node/config", "node/metrics", "node/txpool", "node/pipeline", "node/sync", "node/diagnosis", "node/rpc",
		"crosschain/relay",
	},
	{"node"},
	{"testframework/invariant", "testframework", "testframework/sim", "testframework/chaos", "testframework/clients", "testframework/load", "testframework/report"},
	{"cmd/tercet", "internal/tidy"},
}

// subjects are the parts that know nothing of each other below the row in which
// they are first allowed to meet.
var subjects = []string{"consensus", "ledger", "vm", "p2p"}

const (
	meetingRow     = 2 // ledger/exec puts ledger and vm together
	maxImportDepth = 7 // imports on the longest path inside the module
)

// Layers reports imports that go up or right in the layer table, packages that
// are not in it, subjects that know each other and paths of imports that are too
// long. Tests may import anything the compiler allows.
func Layers(m *Module) []Finding {
	var found []Finding
	graph := m.graph()
	for _, p := range m.Packages {
		if p.Name == "" {
			continue // only tests
		}
		row, column, ok := place(p.Dir)
		if !ok {
			found = append(found, Finding{p.Dir, "is not in the layer table: decide what it may know, add it to rows in internal/tidy/layers.go and to the table in ARCHITECTURE.md, and say why in the commit"})
			continue
		}
		for _, dep := range slices.Sorted(maps.Keys(graph[p.Dir])) {
			where := graph[p.Dir][dep]
			depRow, depColumn, ok := place(dep)
			switch {
			case !ok: // reported for the package itself
			case depRow > row || depRow == row && depColumn > column:
				found = append(found, Finding{where, fmt.Sprintf("%s (row %d) imports %s (row %d): imports go down, or left in a row; move the code, or take an interface declared here", p.Dir, row, dep, depRow)})
			case row < meetingRow && subject(p.Dir) != "" && subject(dep) != "" && subject(p.Dir) != subject(dep):
				found = append(found, Finding{where, fmt.Sprintf("%s imports %s: %s and %s know nothing of each other; they meet in node", p.Dir, dep, subject(p.Dir), subject(dep))})
			}
		}
	}
	if chain := m.LongestImportPath(); len(chain)-1 > maxImportDepth {
		found = append(found, Finding{chain[0], fmt.Sprintf("import depth %d, at most %d: shorten %s", len(chain)-1, maxImportDepth, strings.Join(chain, " → "))})
	}
	return found
}

// place finds a directory in the table.
func place(dir string) (row, column int, ok bool) {
	for r := range rows {
		if c := slices.Index(rows[r], dir); c >= 0 {
			return r, c, true
		}
	}
	return 0, 0, false
}

func subject(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	if slices.Contains(subjects, first) {
		return first
	}
	return ""
}

// graph maps each directory to what it imports inside the module, tests aside,
// and where.
func (m *Module) graph() map[string]map[string]string {
	graph := map[string]map[string]string{}
	for _, p := range m.Packages {
		deps := map[string]string{}
		for _, f := range p.Source() {
			for i, imported := range f.imports() {
				if dep, ok := strings.CutPrefix(imported, m.Path+"/"); ok && deps[dep] == "" {
					deps[dep] = m.at(f.AST.Imports[i])
				}
			}
		}
		graph[p.Dir] = deps
	}
	return graph
}

// LongestImportPath returns the longest chain of imports inside the module, from
// the importer to a package that imports nothing of the module.
func (m *Module) LongestImportPath() []string {
	graph := m.graph()
	longest := map[string][]string{} // also stops a cycle, which does not compile
	var walk func(dir string) []string
	walk = func(dir string) []string {
		if chain, ok := longest[dir]; ok {
			return chain
		}
		longest[dir] = []string{dir}
		var best []string
		for _, dep := range slices.Sorted(maps.Keys(graph[dir])) {
			if chain := walk(dep); len(chain) > len(best) {
				best = chain
			}
		}
		longest[dir] = append([]string{dir}, best...)
		return longest[dir]
	}
	var best []string
	for _, p := range m.Packages {
		if chain := walk(p.Dir); len(chain) > len(best) {
			best = chain
		}
	}
	return best
}
