package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// emptyVerbs are first words of a package sentence that only say that there is a
// package.
var emptyVerbs = []string{
	"a", "an", "and", "are", "contains", "defines", "has", "implements", "includes", "is", "package",
	"provides", "the", "this", "which",
}

var secondSentence = regexp.MustCompile(`[.!?] +[\p{Lu}\[]`)

// Docs reports packages without exactly one doc comment whose first paragraph is
// one sentence that says what the package does.
func Docs(m *Module) []Finding {
	var found []Finding
	for _, p := range m.Packages {
		if p.Name == "" {
			continue
		}
		var docs []*File
		for _, f := range p.Source() {
			if f.AST.Doc != nil && !ast.IsGenerated(f.AST) {
				docs = append(docs, f)
			}
		}
		switch len(docs) {
		case 0:
			found = append(found, Finding{p.Dir, "has no package comment: one sentence on what it does, then the model, then the source"})
		case 1:
			if what := sentence(p, docs[0].AST.Doc.Text()); what != "" {
				found = append(found, Finding{m.at(docs[0].AST.Doc), what})
			}
		default:
			found = append(found, Finding{docs[1].Path, fmt.Sprintf("a second package comment, the first is in %s: keep one", docs[0].Path)})
		}
	}
	return found
}

// sentence says what is wrong with a package comment, or nothing.
func sentence(p *Package, doc string) string {
	first, _, _ := strings.Cut(doc, "\n\n")
	first = strings.Join(strings.Fields(first), " ")
	start := "Package " + p.Name + " "
	if p.Name == "main" {
		start = "Command " + path.Base(p.Dir) + " "
	}
	rest, ok := strings.CutPrefix(first, start)
	word, _, _ := strings.Cut(rest, " ")
	switch {
	case !ok:
		return fmt.Sprintf("the package comment begins with %q, then a verb", start)
	case slices.Contains(emptyVerbs, strings.ToLower(word)):
		return fmt.Sprintf("the package comment says %q; say what the package does for its user", start+word)
	case !strings.HasSuffix(first, "."):
		return "the first paragraph of the package comment ends with a full stop"
	case secondSentence.MatchString(first):
		return "the first paragraph of the package comment is one sentence; the model comes after an empty line"
	}
	return ""
}
