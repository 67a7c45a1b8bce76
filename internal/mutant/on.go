//go:build mutants

package mutant

import (
	"fmt"
	"os"
	"sync/atomic"
)

// Built reports that this binary holds the seeded bugs.
const Built = true

// selected is the mutant that is on, for the whole process: a hook deep in a rule
// has nobody who could hand it a value, and giving it one would put mutants into
// the signatures of the product.
var selected atomic.Uint32

// On reports whether a mutant is selected. It is safe for concurrent use.
func On(m Mutant) bool { return selected.Load() == uint32(m) }

// Select turns one mutant on and all others off; 0 turns off every one. It is
// meant for the moments between two runs of what is tested.
func Select(m Mutant) { selected.Store(uint32(m)) }

// Variable names the environment variable that [SelectFromEnv] reads.
const Variable = "TERCET_MUTANT"

// SelectFromEnv selects the mutant that the environment names, none if it names
// none. Nothing reads the environment unless a test asks for it here.
func SelectFromEnv() error {
	name := os.Getenv(Variable)
	if name == "" {
		Select(0)
		return nil
	}
	m, ok := Parse(name)
	if !ok {
		return fmt.Errorf("%s=%s names no mutant; they are %s", Variable, name, All())
	}
	Select(m)
	return nil
}
