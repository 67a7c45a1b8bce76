package tidy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// codePath matches a path in backquotes that names a document or a source file.
var codePath = regexp.MustCompile("`((?:[\\w.-]+/)*[\\w.-]+\\.(?:go|md))`")

// docPath matches a document below docs/ in running text.
var docPath = regexp.MustCompile(`\bdocs/[\w-]+\.md\b`)

// Documents reports documents that name files which do not exist, and packages
// that ARCHITECTURE.md leaves out.
func Documents(m *Module) []Finding {
	exists := map[string]bool{}
	var architecture string
	for _, text := range m.Texts {
		exists[text.Path] = true
		if text.Path == "ARCHITECTURE.md" {
			architecture = string(text.Data)
		}
	}
	var found []Finding
	for _, text := range m.Texts {
		if path.Ext(text.Path) != ".md" || strings.Contains(text.Path, "testdata/") {
			continue
		}
		n := 0
		for line := range strings.Lines(string(text.Data)) {
			n++
			for _, named := range namedFiles(line) {
				if !exists[named] && !exists[path.Join(path.Dir(text.Path), named)] {
					found = append(found, Finding{fmt.Sprintf("%s:%d", text.Path, n), fmt.Sprintf("names %s, which does not exist: correct the document", named)})
				}
			}
		}
	}
	for _, p := range m.Packages {
		if p.Name != "" && !strings.Contains(architecture, "`"+p.Dir+"`") {
			found = append(found, Finding{"ARCHITECTURE.md", fmt.Sprintf("does not mention `%s`: say in its table what the package is for", p.Dir)})
		}
	}
	return found
}

func namedFiles(line string) []string {
	var named []string
	for _, match := range codePath.FindAllStringSubmatch(line, -1) {
		named = append(named, match[1])
	}
	named = append(named, docPath.FindAllString(line, -1)...)
	slices.Sort(named)
	return slices.Compact(named)
}
