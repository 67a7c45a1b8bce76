package sim

import "github.com/tercet-chain/tercet/testframework/simdisk"

// machines is what the disks of a world are like, and who looks after them.
type machines struct {
	// pruneViews is how often journals are pruned.
	pruneViews uint64
	// hasty ends the second phase as soon as the network is level.
	hasty bool
	// rebooted, when not nil, sees each disk that survived a power failure.
	rebooted func(n *node, old *simdisk.Files)
	// broke, when not nil, may take over what happens to a process whose log failed.
	broke func(n *node, err error) bool
}
