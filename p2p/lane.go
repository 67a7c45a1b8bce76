package p2p

import "strconv"

// A Lane is the urgency of a frame: a lower lane goes first, strictly. Order is
// kept within a lane and between no two lanes.
type Lane uint8

// The lanes, most urgent first.
const (
	LaneVote     Lane = iota // votes: what the latency of every block waits for
	LaneCert                 // certificates and requests for them, status, execution votes
	LaneProposal             // blocks that are voted on
	LaneSync                 // requests for blocks and their answers
	LaneBulk                 // everything that may wait; nothing uses it in this version
)

// Lanes is the number of lanes.
const Lanes = 5

// Keepalive is not a lane: [Decoder.Next] returns it, with no frame, for the
// empty chunk by which a peer without news says that it lives.
const Keepalive Lane = 7

// MaxFrame returns the largest frame of l in bytes, or 0 if there is no such
// lane.
//
//   - vote: a vote is about 150 bytes; 4 KiB leaves room for a handful.
//   - cert: a certificate is 65 bytes per signature, 4.4 KiB with 67 of them; an
//     answer that closes a gap carries several.
//   - proposal: a block, which a genesis bounds by at most 3 MiB, with the
//     certificates that justify it.
//   - sync: a few blocks.
//   - bulk: a batch of small messages.
func (l Lane) MaxFrame() int {
	switch l {
	case LaneVote:
		return 4 << 10
	case LaneCert:
		return 64 << 10
	case LaneProposal:
		return 4 << 20
	case LaneSync:
		return 8 << 20
	case LaneBulk:
		return 1 << 20
	}
	return 0
}

// String returns the lane's name as it appears in logs and metrics.
func (l Lane) String() string {
	switch l {
	case LaneVote:
		return "vote"
	case LaneCert:
		return "cert"
	case LaneProposal:
		return "proposal"
	case LaneSync:
		return "sync"
	case LaneBulk:
		return "bulk"
	case Keepalive:
		return "keepalive"
	}
	return "lane(" + strconv.Itoa(int(l)) + ")"
}
