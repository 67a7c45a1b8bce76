package consensus

import (
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Instant is a moment as the driver measured it.
type Instant struct {
	// Mono is monotonic time since an origin of the driver's choice. All
	// timers use it.
	Mono time.Duration
	// UnixMs is the wall clock. Only block times use it.
	UnixMs uint64
}

// Input is one event; the types below are all there are.
type Input interface{ input() }

// Start is the first input of a [Core]: it sends again what the recovered log
// promised and arms the timers.
type Start struct{}

// Tick carries nothing but time; the driver sends it at [Output.WakeAt].
type Tick struct{}

// Received is a verified message from a peer.
type Received struct {
	From    int
	Message Verified
}

// Stale reports a vote for a view at or below the final one, which the driver
// need not verify: its sender may need help.
type Stale struct {
	From int
	View uint64
}

// PeerUp reports a connection.
type PeerUp struct{ Peer int }

// PeerDown reports the end of a connection.
type PeerDown struct{ Peer int }

// Built answers a [BuildRequest]. OK is false when the application has nothing
// to propose and the request did not force a block.
type Built struct {
	View       uint64
	ParentHash common.Hash
	Payload    []byte
	Data       []byte
	OK         bool
}

// Judged answers a [JudgeRequest].
type Judged struct {
	Hash    common.Hash
	Verdict Verdict
}

// Demand says from which wall-clock time on the application wants a block
// (Unix ms); 0 when it wants none. The latest one holds.
type Demand struct{ AtUnixMs uint64 }

// Executed reports the highest block that is synced to the block store with
// its finalization.
type Executed struct{ Tip Tip }

func (Start) input()    {}
func (Tick) input()     {}
func (Received) input() {}
func (Stale) input()    {}
func (PeerUp) input()   {}
func (PeerDown) input() {}
func (Built) input()    {}
func (Judged) input()   {}
func (Demand) input()   {}
func (Executed) input() {}

// Verdict is the application's judgement of a block.
type Verdict uint8

const (
	// Valid blocks may be voted for.
	Valid Verdict = iota + 1
	// Invalid blocks never may; the verdict is the same on every node.
	Invalid
	// Missing says that Data is absent or does not fit the payload. It is no
	// judgement of the block: the bytes are fetched from somebody else.
	Missing
)

// BuildRequest asks for the payload of the block after Parent.
type BuildRequest struct {
	View, Height uint64
	ParentHash   common.Hash
	// TimeMs is the least time that the block will carry, Unix ms.
	TimeMs uint64
	// Ancestors are the blocks between the last delivered one and the new
	// block, oldest first: ordered perhaps, but not delivered.
	Ancestors []*Block
	// Force asks for a block even when there is nothing to order.
	Force bool
}

// JudgeRequest asks whether a block is valid.
type JudgeRequest struct {
	Hash  common.Hash
	Block *Block
	// Parent is nil when it had been delivered before this request.
	Parent *Block
}

// FinalBlock is a committed block.
type FinalBlock struct {
	Block *Block
	Hash  common.Hash
	// Finalization is nil when the block is final only through a descendant.
	Finalization *Cert
}

// Lane orders traffic by urgency; lower values go first.
type Lane uint8

// The lanes that consensus uses.
const (
	LaneVote Lane = iota
	LaneCert
	LaneProposal
	LaneSync
)

// Everyone as [Send.To] addresses all connected peers.
const Everyone = -1

// Send is one message to one peer or to [Everyone].
type Send struct {
	To      int
	Lane    Lane
	Message Message
}

// RangeRequest asks the driver to answer a peer with final blocks from the
// block store.
type RangeRequest struct {
	Peer        int
	From, Count uint64
}

// Output is what the driver must do after a step, in the order of the fields.
// Slices are owned by the driver until the next step.
type Output struct {
	// Record MUST be appended to the log and synced before anything below
	// happens; if that fails the driver MUST stop stepping for good.
	Record []Record
	// Send is best effort: a message may be dropped, never delayed behind a
	// slow peer.
	Send []Send
	// Build, when not nil, asks the application for a payload; answered by
	// one [Built].
	Build *BuildRequest
	// Judge asks the application about blocks; each is answered by one [Judged].
	Judge []JudgeRequest
	// Serve asks for stored blocks to be sent to peers.
	Serve []RangeRequest
	// Final delivers committed blocks, each height once, in order. The last
	// one has a finalization unless it came in a range whose proof of
	// finality names a later block.
	Final []FinalBlock
	// Evidence proves that a validator broke the rules.
	Evidence []Evidence
	// WakeAt is the monotonic time of the next [Tick]; zero for none.
	WakeAt time.Duration
	// Fault, when not empty, names a broken invariant that this node cannot
	// survive safely (for example its key signing elsewhere). The driver MUST
	// do Record and nothing else, and stop.
	Fault string
}
