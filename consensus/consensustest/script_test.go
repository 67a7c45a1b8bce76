package consensustest_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/tercet-chain/tercet/consensus/consensustest"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts into testdata instead of comparing them")

func TestRun_scripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := consensustest.Run(string(script))
			if err != nil {
				t.Error(err)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(script) {
				t.Errorf("%s changed; read the difference, and if it is right run go test -run TestRun_scripts ./consensus/consensustest -rewrite\n%s", file, got)
			}
		})
	}
}

func TestRun_refusesNonsense(t *testing.T) {
	for _, script := range []string{"run 1s", "network n=x", "network\nfly 0", "network\ncrash 9", "network\nbehave 0 nicely", "network\nlose TEA 0"} {
		if _, err := consensustest.Run(script); err == nil {
			t.Errorf("%q was accepted", script)
		}
	}
}
