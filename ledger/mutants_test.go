//go:build mutants

package ledger_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// TestMain runs the tests with the seeded bug that the environment names.
func TestMain(m *testing.M) {
	if err := mutant.SelectFromEnv(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	m.Run()
}
