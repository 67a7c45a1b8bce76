package contracts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/contracts"
)

func TestTemplate_everyLanguage(t *testing.T) {
	want := map[string][]string{
		"assemblyscript": {"README.md", "abi.json", "contract.ts", "package.json", "tercet.ts"},
		"c":              {"README.md", "abi.json", "contract.c", "tercet.h"},
		"rust":           {".cargo/config.toml", "Cargo.toml", "README.md", "abi.json", "contract.rs", "tercet/Cargo.toml", "tercet/lib.rs"},
		"tinygo":         {"README.md", "abi.json", "contract.go", "go.mod", "tercet/go.mod", "tercet/hooks.go", "tercet/tercet.go"},
	}
	for _, language := range contracts.Languages() {
		t.Run(language, func(t *testing.T) {
			files, err := contracts.Template(language)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range files {
				names = append(names, f.Name)
				if len(f.Data) == 0 {
					t.Errorf("%s is empty", f.Name)
				}
			}
			if got := slices.Sorted(slices.Values(names)); !slices.Equal(got, want[language]) {
				t.Errorf("files: %q, want %q", got, want[language])
			}
		})
	}
}

func TestTemplate_unknownLanguage(t *testing.T) {
	_, err := contracts.Template("../sdk")
	if err == nil || !strings.Contains(err.Error(), "choose one of assemblyscript, c, rust, tinygo") {
		t.Errorf("got %v, want the list of languages", err)
	}
}
