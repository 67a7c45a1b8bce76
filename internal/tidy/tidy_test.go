package tidy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tercet-chain/tercet/internal/tidy"
)

func load(t *testing.T) *tidy.Module {
	t.Helper()
	m, err := tidy.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestModule runs every rule over this module. Each failure says what to do.
func TestModule(t *testing.T) {
	m := load(t)
	for _, rule := range tidy.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, f := range rule.Check(m) {
				t.Error(f)
			}
		})
	}
	chain := m.LongestImportPath()
	t.Logf("%d packages, import depth %d (%s), %d to-dos", len(m.Packages), len(chain)-1, strings.Join(chain, " → "), m.TODOs())
}

// TestRules_reportBadCode runs each rule over a module that breaks it. The
// fixture's comment lists, as “want: where: part of the message”, exactly what
// has to be reported, in order.
func TestRules_reportBadCode(t *testing.T) {
	for _, rule := range tidy.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", rule.Name+".txtar"))
			if err != nil {
				t.Fatalf("every rule has a fixture that breaks it: %v", err)
			}
			checkFixture(t, rule, archive)
		})
	}
}

func checkFixture(t *testing.T, rule tidy.Rule, archive *txtar.Archive) {
	t.Helper()
	files := fstest.MapFS{"go.mod": {Data: []byte("module example.test/m\n")}}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	m, err := tidy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	var wants []string
	for line := range strings.Lines(string(archive.Comment)) {
		if want, ok := strings.CutPrefix(line, "want: "); ok {
			wants = append(wants, strings.TrimSpace(want))
		}
	}
	if len(wants) == 0 {
		t.Fatal("the fixture wants nothing")
	}
	found := rule.Check(m)
	for i, f := range found {
		if i >= len(wants) {
			t.Errorf("reported but not wanted: %v", f)
			continue
		}
		where, what, _ := strings.Cut(wants[i], ": ")
		if f.Where != where || !strings.Contains(f.What, what) {
			t.Errorf("got %q, want %q", f, wants[i])
		}
	}
	for _, want := range wants[min(len(found), len(wants)):] {
		t.Errorf("not reported: %s", want)
	}
}

// Generated sizes would only bloat a fixture.
func TestSizes_longFileAndFunction(t *testing.T) {
	body := strings.Repeat("\tg()\n", 80)
	cases := strings.Repeat("\tcase 1:\n\t\tg()\n", 80)
	m, err := tidy.Load(fstest.MapFS{
		"go.mod":     {Data: []byte("module example.test/m\n")},
		"p/long.go":  {Data: []byte("package p\n" + strings.Repeat("//\n", 600))},
		"p/fn.go":    {Data: []byte("package p\n\nfunc tall() {\n" + body + "}\n")},
		"p/table.go": {Data: []byte("package p\n\nfunc dispatch(i int) {\n\tswitch i {\n" + cases + "\t}\n}\n")},
		"p/p_test.go": {
			Data: []byte("package p\n\nfunc testTable() {\n" + body + "}\n"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	found := tidy.Sizes(m)
	if len(found) != 2 || found[0].Where != "p/fn.go:3" || found[1].Where != "p/long.go" {
		t.Errorf("got %q, want the long function and the long file", found)
	}
}

// Text must see paths of this kind anywhere; spelled whole, they would be
// reported in this file.
func TestText_paths(t *testing.T) {
	for _, tc := range []struct {
		name string
		text string
		want int
	}{
		{"beside the project", "see ../" + "shared/x.md", 1},
		{"machine path", "cd /" + "work/main && ls", 1},
		{"home", "`/" + "home/alice/x`", 1},
		{"an address", "https://example.test/work/x and a/home/x", 0},
		{"a relative path", "home/data/LOCK, /dns4/host/tcp/1", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := tidy.Load(fstest.MapFS{
				"go.mod": {Data: []byte("module example.test/m\n")},
				"x.md":   {Data: []byte(tc.text + "\n")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if found := tidy.Text(m); len(found) != tc.want {
				t.Errorf("got %q, want %d", found, tc.want)
			}
		})
	}
}

func TestLoad_leavesOut(t *testing.T) {
	source := &fstest.MapFile{Data: []byte("package p\n")}
	m, err := tidy.Load(fstest.MapFS{
		"go.mod":              {Data: []byte("module example.test/m\n")},
		".gitignore":          {Data: []byte("/net/\n*.log\n")},
		"p/p.go":              source,
		"p/testdata/bad.go":   source,
		"nested/go.mod":       {Data: []byte("module example.test/nested\n")},
		"nested/n.go":         source,
		"net/n.go":            source,
		".hidden/n.go":        source,
		"node_modules/x/n.go": source,
		"p/blob":              {Data: []byte{'a', 0, 'b'}},
		".git":                {Data: []byte("gitdir: /elsewhere\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Packages) != 1 || m.Packages[0].Dir != "p" || len(m.Packages[0].Files) != 1 {
		t.Errorf("got packages %+v, want p with one file", m.Packages)
	}
	for _, text := range m.Texts {
		if strings.HasSuffix(text.Path, "blob") {
			t.Error("a file with NUL bytes is not text")
		}
		if text.Path == ".git" {
			t.Error("where a worktree has its repository is not part of the module")
		}
	}
}

func TestLoad_withoutModule(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"no go.mod":    {},
		"no module":    {"go.mod": {Data: []byte("go 1.26\n")}},
		"syntax error": {"go.mod": {Data: []byte("module m\n")}, "x.go": {Data: []byte("package\n")}},
	} {
		if _, err := tidy.Load(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
