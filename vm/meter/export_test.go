package meter

// RewriteProgram rewrites a module that need not be a contract. It keeps the exports that are named and what they
// need, or all functions.
func RewriteProgram(wasm []byte, keep []string, all bool) (*Module, error) {
	return rewrite(wasm, Current, &laboratory{keep: keep, all: all})
}

// RewriteSingly rewrites a module so that each instruction pays for itself, not with others of its basic block.
func RewriteSingly(wasm []byte, keep ...string) (*Module, error) {
	return rewrite(wasm, Current, &laboratory{keep: keep, single: true})
}

// StepInk is the price of a step of the stack.
var StepInk = int64(versions[Current].step)
