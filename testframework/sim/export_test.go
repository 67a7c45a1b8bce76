package sim

// Blind makes the world's checkers look away from votes, so that a run goes on until nodes disagree.
func Blind(w *World) { w.votes.Forget(1 << 62) }

// Halts is how often a process ended because its key runs twice.
func Halts(w *World) int { return w.halts }
