package rpc_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/node/rpc"
)

// TestServer_discover compares four lists of methods: those of the registry, the document's, the texts' and
// docs/rpc.md's.
func TestServer_discover(t *testing.T) {
	c := newChain(t, nil)
	var doc struct {
		OpenRPC string
		Methods []struct {
			Name, Summary string
			Params        []struct {
				Name     string
				Required bool
				Schema   map[string]any
			}
			Result struct{ Schema map[string]any }
		}
		Components struct{ Schemas map[string]map[string]any }
	}
	raw := c.result("rpc_discover")
	must(t, json.Unmarshal([]byte(raw), &doc))
	var described, namespaces []string
	for _, m := range doc.Methods {
		described = append(described, m.Name)
		namespace, _, _ := strings.Cut(m.Name, "_")
		namespaces = append(namespaces, namespace)
		if m.Summary == "" {
			t.Errorf("%s has no summary: add it to summaries", m.Name)
		}
		// The registry knows the method, and whether it can do without arguments.
		if strings.HasSuffix(m.Name, "_subscribe") {
			continue // over HTTP there is none, whatever its arguments are
		}
		a := c.call(m.Name)
		needs := len(m.Params) > 0 && m.Params[0].Required
		if a.Error != nil && a.Error.Code == -32601 || needs != (a.Error != nil && a.Error.Message == "missing value for required argument 0") {
			t.Errorf("%s without arguments: %+v, the document says that it needs some: %t", m.Name, a.Error, needs)
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(raw, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("no schema %s", ref[1])
		}
	}
	same(t, "texts that are of methods", rpc.Summarised(), described)
	same(t, "docs/rpc.md", listed(t), described)
	var modules map[string]string
	must(t, json.Unmarshal([]byte(c.result("rpc_modules")), &modules))
	slices.Sort(namespaces)
	same(t, "rpc_modules", slices.Sorted(maps.Keys(modules)), slices.Compact(namespaces))
}

// listed are the methods in the table of docs/rpc.md.
func listed(t *testing.T) []string {
	t.Helper()
	_, table, found := strings.Cut(rpcDocument(t), "\n## Methods\n")
	if !found {
		t.Fatal("docs/rpc.md has no section Methods")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var names []string
	for line := range strings.SplitSeq(table, "\n") {
		if !strings.HasPrefix(line, "|") {
			continue // the text below says what there is not
		}
		for _, m := range regexp.MustCompile("`([a-z0-9]+_[A-Za-z0-9]+)`").FindAllStringSubmatch(line, -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func rpcDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/rpc.md")
	must(t, err)
	return string(text)
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s: %s is no method", what, name)
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s: %s is missing", what, name)
		}
	}
}
