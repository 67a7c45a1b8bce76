//go:build !mutants

package mutant

// Built reports that this binary holds the seeded bugs.
const Built = false

// On is false: this binary has no seeded bugs, and the compiler drops what
// depends on one.
func On(Mutant) bool { return false }

// Select panics unless it is asked for none: a test that believes to run a seeded
// bug would prove nothing.
func Select(m Mutant) {
	if m != 0 {
		panic("mutant: " + m.String() + " needs a build with the tag mutants")
	}
}
