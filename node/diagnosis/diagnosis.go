// Package diagnosis says what is wrong with a node, on which figures that rests, and what to do.
//
// [Diagnose] is a function of [Facts], a snapshot of what the node has seen; it keeps nothing and asks nobody.
// A [Finding] has a stable cause for machines, sentences for people and its figures. Two rules decide what
// becomes one: a healthy node, idle or under load, has none; and what cannot be told apart from here is not
// told apart: the text says what was seen, and names the causes that fit.
//
// The idea that every refusal to be ready carries its reason is that of Kubernetes' conditions; that the
// reason comes with what to do is ours.
package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tercet-chain/tercet/p2p"
)

// Cause is the stable name of a finding.
type Cause string

// The causes that a node finds in itself. docs/operations.md explains each.
const (
	StorageFault    Cause = "storage_fault"
	Quarantined     Cause = "quarantined"
	NoQuorum        Cause = "no_quorum"
	WrongGenesis    Cause = "wrong_genesis"
	VersionMismatch Cause = "version_mismatch"
	DuplicateKey    Cause = "duplicate_key"
	Equivocation    Cause = "equivocation"
	ClockSkew       Cause = "clock_skew"
	DiskFull        Cause = "disk_full"
	DiskLow         Cause = "disk_low"
	SlowFsync       Cause = "slow_fsync"
	NotVoting       Cause = "not_voting"
	Stalled         Cause = "stalled"
	Behind          Cause = "behind"
	ExecutionLag    Cause = "execution_lag"
	PeerPaused      Cause = "peer_paused"
	PeerDown        Cause = "peer_down"
	PeerRefused     Cause = "peer_refused"
	PeerNotVoting   Cause = "peer_not_voting"
	PoolFull        Cause = "pool_full"
)

// Severity says how much a finding matters.
type Severity string

// Severities, the worst first. A Notice needs nobody: a node that has nothing worse is healthy.
const (
	Error   Severity = "error"   // something does not work, or safety is at stake: act now
	Warning Severity = "warning" // it works, with less reserve or speed than it should
	Notice  Severity = "notice"  // good to know
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Notice}, s) }

// Finding is one thing that is wrong.
type Finding struct {
	Cause    Cause    `json:"cause"`
	Severity Severity `json:"severity"`
	// Text says what is wrong, Do what to do about it.
	Text string `json:"text"`
	Do   string `json:"do"`
	// Figures are what the text rests on, by name. Durations are in ms, times are Unix ms.
	Figures map[string]any `json:"figures"`
	// Unready is set when requests should go to another node.
	Unready bool `json:"unready,omitempty"`
}

// Facts is what a node knows of itself and its peers at one moment.
type Facts struct {
	Now    time.Time
	Uptime time.Duration

	// Software, Network and Version are what this node says in its handshakes.
	Software string
	Network  string
	Version  uint64

	// Validators of the genesis, of whom Quorum decide.
	Validators, Quorum int
	// Validator is whether this node is one, Voting whether it votes; Follows says why not.
	Validator, Voting bool
	Follows           string
	Peers             []Peer

	// View is the current one; Final, Executed and Highest are heights: final here, executed here, and
	// final elsewhere as honest peers have stated.
	View, Final, Executed, Highest uint64
	CatchingUp                     bool
	// Lag is the number of ordered blocks that wait for execution.
	Lag int
	// BehindFor and LagFor are how long Final has been more than [BehindBlocks] below Highest, and Executed
	// below Final.
	BehindFor, LagFor time.Duration
	// Still is how long Final has not changed, MaxIdle after what time without transactions it should.
	Still, MaxIdle time.Duration
	Trend          Trend

	Pool  Pool
	Disks []Disk
	Syncs []Syncs
	// Clocks are those of peers that answered lately; MaxDrift is how far ahead of the own one a block's
	// time may be.
	Clocks   []Clock
	MaxDrift time.Duration

	Accusations []Accusation
	// StorageFault and Quarantine are errors in words, empty when there is none.
	StorageFault, Quarantine string
}

// Peer is one of the roster.
type Peer struct {
	p2p.PeerStatus
	Validator bool
	// LastVote is when it last sent a vote, or came up if that was later; Since is how many blocks became
	// final after that. Only of peers that are connected.
	LastVote time.Time
	Since    uint64
}

// Trend is what happened in the last seconds.
type Trend struct {
	Over                     time.Duration // 0 when nothing is known
	Final, Executed, Highest uint64        // by how much they rose
}

// Pool is how full the transaction pool is.
type Pool struct {
	Pending                       int // could be ordered
	Transactions, MaxTransactions int
	Bytes, MaxBytes               int
}

// Disk is the file system of a directory.
type Disk struct {
	Path        string
	Free, Total uint64 // bytes that this user may take, and all
}

// Syncs is how long the latest synced writes of one kind took.
type Syncs struct {
	What              string // "safety journal"
	Count             int
	P50, P99, Longest time.Duration
	Over              time.Duration // since the first of them
}

// Clock is what a peer's wall clock showed.
type Clock struct {
	Peer string
	// Offset of the peer's clock from ours, positive when the peer's is ahead; the truth is within Error of it.
	Offset, Error time.Duration
}

// Accusation is the proofs against one validator.
type Accusation struct {
	Name        string // of the validator
	Own         bool   // it is this node's own key
	Proofs      int
	First, Last time.Time // when this node first had the first and the last of them
}

// Diagnose lists what is wrong, the worst first.
func Diagnose(f *Facts) []Finding {
	found := []Finding{}
	for _, rule := range []func(*Facts) []Finding{ // causes before what follows from them
		storage, disks, genesis, versions, twins, accusations, clocks, quorum, syncs, voting, progress, peers, pool,
	} {
		found = append(found, rule(f)...)
	}
	Sort(found)
	return found
}

// Sort puts the worst findings first and keeps the order among equals.
func Sort(found []Finding) {
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
}

// one is the result of a rule that found one thing.
func one(cause Cause, severity Severity, figures map[string]any, do, text string, args ...any) []Finding {
	return []Finding{{Cause: cause, Severity: severity, Text: fmt.Sprintf(text, args...), Do: do, Figures: figures}}
}

func unready(found []Finding) []Finding {
	for i := range found {
		found[i].Unready = true
	}
	return found
}

func storage(f *Facts) (found []Finding) {
	if f.StorageFault != "" {
		found = append(found, unready(one(StorageFault, Error, map[string]any{"error": f.StorageFault},
			"look at the disk and at the log of the kernel, then restart the node",
			"a write failed and the node stops: %s", f.StorageFault))...)
	}
	if f.Quarantine != "" {
		found = append(found, unready(one(Quarantined, Error, map[string]any{"error": f.Quarantine},
			"ask another node, do not trust this one's answers; its log says how to make its state again",
			"%s", f.Quarantine))...)
	}
	return found
}

func voting(f *Facts) []Finding {
	if !f.Validator || f.Voting {
		return nil
	}
	return unready(one(NotVoting, Warning, map[string]any{"view": f.View}, "wait, or start the validators that it names",
		"this validator may have voted what it does not know of, because its safety journal or newest blocks were lost: %s", f.Follows))
}

// fullAt is the fraction of its bounds from which on the pool counts as full: others are refused soon.
const fullAt = 0.95

func pool(f *Facts) []Finding {
	p := &f.Pool
	count, size := float64(p.Transactions)/float64(max(1, p.MaxTransactions)), float64(p.Bytes)/float64(max(1, p.MaxBytes))
	if max(count, size) < fullAt {
		return nil
	}
	return one(PoolFull, Warning,
		map[string]any{"transactions": p.Transactions, "maxTransactions": p.MaxTransactions, "bytes": p.Bytes, "maxBytes": p.MaxBytes, "pending": p.Pending},
		"have clients send less, see whether one sender floods the node (txpool_status, txpool_inspect), or raise pool.max_transactions and pool.max_bytes",
		"the transaction pool is full: %d of %d transactions, %s of %s, %d of them ready to be ordered; new ones are refused",
		p.Transactions, p.MaxTransactions, Bytes(uint64(p.Bytes)), Bytes(uint64(p.MaxBytes)), p.Pending)
}

// Bytes writes a size for people.
func Bytes(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Rounded shortens a duration to what people read.
func Rounded(d time.Duration) time.Duration {
	switch a := d.Abs(); {
	case a >= 10*time.Second:
		return d.Round(time.Second)
	case a >= time.Second:
		return d.Round(100 * time.Millisecond)
	case a >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// list joins names for a sentence.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
