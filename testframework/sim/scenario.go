package sim

import (
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// Scenario is everything that a run depends on. Equal scenarios give equal runs.
type Scenario struct {
	// Seed of what chance decides while it runs: delays, losses, what a crash leaves.
	Seed uint64
	// Validators is n; Observers follow without a vote and have the indices from n on.
	Validators, Observers int
	// Term is T, Window is W.
	Term, Window uint64
	Timing       consensus.Timing
	Network      Network
	Disk         Disk
	Work         Work
	// MaxAhead is Dmax, how many blocks ordering may run ahead of certified execution; 0 is 64.
	MaxAhead uint64
	Liars    []Liar
	// Faulty, Healed and Idle are the lengths of the three phases. A phase of length 0 is left out.
	Faulty, Healed, Idle time.Duration
	// Absent is how many correct validators stay down for the first half of the second phase, when no
	// disk has lost anything.
	Absent int
	// Faults in the order of their times, all within the first phase.
	Faults []Fault
	// Memory keeps logs in memory instead of in the production write-ahead log.
	Memory bool
	// Wire encodes and decodes every message, as between processes; otherwise only those of liars.
	Wire bool
}

// Disk says how long a node's storage takes.
type Disk struct {
	// Sync is the longest sync of the log, drawn anew for each; 0 is none.
	Sync time.Duration
	// Segment is the size of a segment of the log in bytes; 0 is 64 KiB.
	Segment int
	// Execute is the longest time from the delivery of a block until it is executed and synced.
	Execute time.Duration
	// Judge is the longest time that judging or building a block takes.
	Judge time.Duration
}

// Work is what clients do.
type Work struct {
	// Rate of transactions per second, at nodes drawn by chance, at Poisson intervals.
	Rate float64
	// Always makes every node want a block all the time, without transactions.
	Always bool
}

// Liar is a Byzantine validator.
type Liar struct {
	Node int
	// Strategies by name, see [Strategies].
	Strategies []string
}

// FaultKind says what happens.
type FaultKind uint8

// The faults.
const (
	// Crash ends a process; Retention says what its disk keeps. A crash that is a kill keeps all.
	Crash FaultKind = iota + 1
	Kill
	// Start brings a process up again.
	Start
	// Pause stops a process for a while, its connections stay.
	Pause
	// Wipe deletes a stopped node's journal and blocks; it starts again with the mark of amnesia.
	Wipe
	// Forget deletes a stopped node's journal only.
	Forget
	// Corrupt flips a bit in a stopped node's journal; its operator gives the journal up.
	Corrupt
	// Rollback takes the newest blocks out of a stopped node's block store.
	Rollback
	// Partition cuts every link between the nodes in Mask and the others.
	Partition
	// Bridge cuts the links between two halves but for one node.
	Bridge
	// Ring leaves each node its two neighbours.
	Ring
	// Funnel cuts all links but those to Node.
	Funnel
	// OneWay cuts the links from Node to all others, not those to it.
	OneWay
	// Heal restores all links.
	Heal
	// Clog holds what is sent from Node for a while, then delivers all of it.
	Clog
	// Lossy sets the rate of loss on all links, per mille.
	Lossy
	// Mute loses all messages of the kind in Count, see [MessageKind]; 0 ends it.
	Mute
	// Step sets a node's wall clock off.
	Step
	// Drift makes a node's clocks run faster, by parts per million.
	Drift
	// FailWrite and FailSync make an operation of a node's log fail; Full fails all further writes.
	FailWrite
	FailSync
	Full
	// ShortWrite lets a write to the log end early.
	ShortWrite
	// PowerOff takes a node's power in the middle of an operation of its log.
	PowerOff
	// SlowDisk makes syncs of a node's log slow for a while.
	SlowDisk
	// Rate sets how many transactions come, per 1000 s.
	Rate
	// Twin starts a second process with Node's key on an observer's machine; only the end of the first
	// phase ends it.
	Twin
	// Diverge makes the executor of Node's machine give other results from now on, for good.
	Diverge
)

// MessageKind sorts messages for [Mute].
type MessageKind uint8

// What can be muted.
const (
	MuteNotarize MessageKind = iota + 1
	MuteNullify
	MuteFinalize
	MuteProposals
	MuteCertificates
	MuteBlocks
	MuteStatus
	MuteExecution
	muteEnd
)

func (k MessageKind) String() string {
	names := [muteEnd]string{"none", "notarize", "nullify", "finalize", "proposals", "certificates", "blocks", "status", "execution"}
	return names[min(k, muteEnd-1)]
}

func kindOf(m consensus.Message) MessageKind {
	switch m := m.(type) {
	case *consensus.Vote:
		return MessageKind(m.Kind)
	case *consensus.Proposal:
		return MuteProposals
	case *consensus.Cert, *consensus.CertRequest, *consensus.CertResponse:
		return MuteCertificates
	case *consensus.BlockRequest, *consensus.BlockResponse:
		return MuteBlocks
	case *consensus.Status:
		return MuteStatus
	}
	return 0
}

// Fault is one thing that happens to the network.
type Fault struct {
	At   time.Duration
	Kind FaultKind
	// Node that it happens to; -1 for all.
	Node int
	// Mask has a bit for each node on one side of a partition.
	Mask uint64
	// For is how long it lasts, where it ends by itself, or by how much a clock is off.
	For time.Duration
	// Count is a number of operations, blocks, or a rate.
	Count int64
	// Retention of a crash.
	Retention simdisk.Retention
}
