package sim

import "github.com/tercet-chain/tercet/consensus"

// watchDisk notes what failed on a node's disk before its process began.
func (n *node) watchDisk() {
	if n.disk != nil {
		n.failures = n.disk.Failures()
	}
}

// failStop checks from the outside that nothing leaves a process once an operation of its log has failed:
// it can no longer tell what it has promised.
func (w *World) failStop(n *node, m consensus.Message) {
	if n.disk != nil && n.disk.Failures() != n.failures && n.correct() {
		w.violate("fail-stop", "node %d sent a %T after an operation of its log had failed", n.index, m)
	}
}
