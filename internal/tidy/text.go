package tidy

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Dependencies reports direct dependencies without a line in RATIONALE.md.
func Dependencies(m *Module) []Finding {
	var rationale string
	for _, text := range m.Texts {
		if text.Path == "RATIONALE.md" {
			rationale = string(text.Data)
		}
	}
	var found []Finding
	for _, dep := range m.DirectDependencies() {
		if !strings.Contains(rationale, "`"+dep+"`") {
			found = append(found, Finding{"go.mod", fmt.Sprintf("%s has no line in RATIONALE.md: add `%s` to the table of dependencies, with its home and why we do not write it ourselves", dep, dep)})
		}
	}
	return found
}

// DirectDependencies returns the module paths that go.mod requires other than as
// indirect.
func (m *Module) DirectDependencies() []string {
	var deps []string
	block := false
	for line := range strings.Lines(string(m.GoMod)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "require" {
			fields = fields[1:]
			block = len(fields) > 0 && fields[0] == "("
		} else if !block {
			continue
		}
		if fields[0] == ")" {
			block = false
		}
		if len(fields) >= 2 && fields[0] != "(" && !strings.HasSuffix(strings.TrimSpace(line), "// indirect") {
			deps = append(deps, fields[0])
		}
	}
	return deps
}

// elsewhere matches paths that exist on one machine only, and the directory
// beside the project; slashes are spelled [/] so that this file passes.
var elsewhere = regexp.MustCompile(`\.\.[/]shared|(^|[\s"'(=:` + "`" + `])[/](work|farm|root|home|Users|tmp[/]team)[/][\w.]`)

var (
	badMarks = regexp.MustCompile(`(//|#|/\*|<!--).*\b(FIX` + `ME|X` + `XX|HA` + `CK)\b`)
	todo     = regexp.MustCompile(`(//|#|/\*|<!--).*\bTO` + `DO\b(\(\w[^)]*\))?`)
)

// Text reports, in any text file, references to places outside the repository,
// and marks of unfinished work without a name.
func Text(m *Module) []Finding {
	var found []Finding
	for _, text := range m.Texts {
		if path.Base(text.Path) == "go.sum" || strings.Contains(text.Path, "/testdata/") && path.Ext(text.Path) == ".txtar" {
			continue
		}
		n := 0
		for line := range strings.Lines(string(text.Data)) {
			n++
			where := fmt.Sprintf("%s:%d", text.Path, n)
			if s := elsewhere.FindString(line); s != "" {
				found = append(found, Finding{where, fmt.Sprintf("%q is not part of the repository: say what is meant, or bring it in", strings.TrimSpace(s))})
			}
			if path.Ext(text.Path) != ".go" {
				continue
			}
			if badMarks.MatchString(line) {
				found = append(found, Finding{where, "finish it, or file it and leave a to-do with a name"})
			}
			if s := todo.FindStringSubmatch(line); s != nil && s[2] == "" {
				found = append(found, Finding{where, "a to-do carries a name or a topic in parentheses"})
			}
		}
	}
	return found
}

// TODOs counts the marks of unfinished work in Go source.
func (m *Module) TODOs() int {
	count := 0
	for _, text := range m.Texts {
		if path.Ext(text.Path) == ".go" {
			count += len(todo.FindAllIndex(text.Data, -1))
		}
	}
	return count
}
