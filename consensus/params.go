package consensus

import (
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Schedule maps views to terms and leaders. It is fixed by the genesis.
type Schedule struct {
	// Validators is n.
	Validators int
	// Epoch shifts the rotation.
	Epoch uint64
	// Term is T, the views that one leader leads in a row; at least 1.
	Term uint64
}

// TermOf is the number of the term that view v >= 1 belongs to, from 0.
func (s Schedule) TermOf(v uint64) uint64 { return (v - 1) / s.Term }

// Start is the first view of v's term.
func (s Schedule) Start(v uint64) uint64 { return s.TermOf(v)*s.Term + 1 }

// Next is the first view of the term after v's.
func (s Schedule) Next(v uint64) uint64 { return (s.TermOf(v)+1)*s.Term + 1 }

// Leader is the index of the validator that proposes in view v.
func (s Schedule) Leader(v uint64) int {
	return int((s.TermOf(v) + s.Epoch) % uint64(s.Validators))
}

// sameTerm reports whether two views have one leader in a row; view 0, the
// genesis, shares its term with nobody.
func (s Schedule) sameTerm(a, b uint64) bool {
	return a != 0 && b != 0 && s.TermOf(a) == s.TermOf(b)
}

// Timing holds the durations that each node chooses for itself. They influence
// liveness and latency, never safety.
type Timing struct {
	// Delta bounds the one-way message delay in good times.
	Delta time.Duration
	// MinInterval is the least time between two proposals of one leader.
	MinInterval time.Duration
	// MaxIdle is the time after which an idle leader proposes an empty block;
	// 0 turns heartbeats and idle timers off.
	MaxIdle time.Duration
	// MaxDrift is how far a block's time may be ahead of the local clock
	// before a vote waits.
	MaxDrift time.Duration
}

// DefaultTiming suits validators in one data centre.
func DefaultTiming() Timing {
	return Timing{Delta: 150 * time.Millisecond, MinInterval: 8 * time.Millisecond, MaxIdle: time.Second, MaxDrift: 500 * time.Millisecond}
}

// Config is what a [Core] starts from.
type Config struct {
	// Network is the genesis hash; it is part of every signature.
	Network   common.Hash
	Epoch     uint64
	Committee *Committee
	// Signer is nil on an observer, which follows but never votes.
	Signer Signer
	// Peers counts everybody who may send: validators by index, then replicas.
	Peers int
	// Term is T and Window is W; both are the same on every node.
	Term, Window uint64
	// MaxBlockBytes bounds payload and data together.
	MaxBlockBytes int
	Timing        Timing
	// Tip is the highest block in the block store with its finalization.
	Tip Tip
	// Recovered are the log's records, oldest first.
	Recovered []Record
}

// Schedule derives the leader schedule.
func (c Config) Schedule() Schedule {
	return Schedule{Validators: c.Committee.Size(), Epoch: c.Epoch, Term: c.Term}
}

// maxTerm and maxWindow keep the bounded windows of a Core small.
const (
	maxTerm   = 256
	maxWindow = 64
)

// maxView bounds the views that messages may name, so that arithmetic on views
// cannot overflow; at a view per microsecond it is 140,000 years away.
const maxView = 1 << 62

func (c *Config) validate() error {
	switch {
	case c.Committee == nil:
		return fmt.Errorf("consensus: no committee")
	case c.Term < 1 || c.Term > maxTerm:
		return fmt.Errorf("consensus: a term of %d views; want 1 to %d", c.Term, maxTerm)
	case c.Window > maxWindow:
		return fmt.Errorf("consensus: a window of %d views; want at most %d", c.Window, maxWindow)
	case c.Peers < c.Committee.Size():
		return fmt.Errorf("consensus: %d peers for %d validators", c.Peers, c.Committee.Size())
	case c.Timing.Delta <= 0:
		return fmt.Errorf("consensus: Delta must be positive")
	case c.Timing.MinInterval < 0 || c.Timing.MaxIdle < 0 || c.Timing.MaxDrift < 0:
		return fmt.Errorf("consensus: negative duration in %+v", c.Timing)
	case c.MaxBlockBytes <= 0:
		return fmt.Errorf("consensus: MaxBlockBytes must be positive")
	}
	return nil
}
