package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tercet-chain/tercet/internal/mutant"
)

const (
	// ExecWindow is how far from a node's newest block execution votes and certificates are kept, in
	// blocks. It is above every genesis's MaxOrderedAhead, so that it never hides what validators may
	// still sign.
	ExecWindow = 256
	// repeatedVotes is how many own votes are sent again while they are not certified: the newest
	// certificate covers the ancestors, more would be traffic.
	repeatedVotes = 4
)

// Divergence says that a quorum executed a block to something else than this node did.
type Divergence struct {
	Height          uint64
	Have, Certified ExecResult
}

// Tally is what one node knows of certified execution: its own results, the votes of others and the
// certificates that are ahead of it. It holds at most [ExecWindow] heights of one vote per validator.
//
// It checks no signature: votes and certificates that are given to it MUST have been verified. It is not
// safe for concurrent use.
type Tally struct {
	// Every makes each block a checkpoint, as on a development chain, where nothing comes after the newest
	// transactions. It is set before anything is executed.
	Every bool

	validators, quorum int
	// certified is the highest certified height; tip the newest executed one, tipMs its time.
	certified, tip, tipMs uint64
	// results are this node's own, of the checkpoints above certified.
	results map[uint64]ExecResult
	// votes by height and signer: the first one of each.
	votes map[uint64]map[uint16]*ExecVote
	// ahead are certificates of heights that this node has not executed.
	ahead map[uint64]*ExecCert
	// divergence is the first one, nil while there is none.
	divergence *Divergence
}

// NewTally begins after an executed block: its height and its time in Unix milliseconds.
func NewTally(validators, quorum int, tip, tipMs uint64) *Tally {
	return &Tally{
		validators: validators, quorum: quorum, tip: tip, tipMs: tipMs,
		results: make(map[uint64]ExecResult),
		votes:   make(map[uint64]map[uint16]*ExecVote),
		ahead:   make(map[uint64]*ExecCert),
	}
}

// Executed notes this node's result of the block after the newest one. Those of checkpoints are what it
// signs. What is [ExecWindow] below is forgotten: a certificate of a newer block covers it.
func (t *Tally) Executed(r ExecResult) {
	if (t.Every || IsCheckpoint(r.TimeMs, t.tipMs)) && r.Height > t.certified {
		t.results[r.Height] = r
	}
	t.tip, t.tipMs = r.Height, r.TimeMs
	if r.Height > ExecWindow {
		delete(t.results, r.Height-ExecWindow)
		delete(t.votes, r.Height-ExecWindow)
	}
}

// ToSign lists, by height, the own results that a validator signs: those that no known certificate covers,
// and none in quarantine.
func (t *Tally) ToSign() []ExecResult {
	if t.Quarantined() {
		return nil
	}
	list := slices.DeleteFunc(slices.Collect(maps.Values(t.results)), func(r ExecResult) bool { return t.covered(r.Height) })
	slices.SortFunc(list, func(a, b ExecResult) int { return cmp.Compare(a.Height, b.Height) })
	return list
}

// ToRepeat lists, ascending, the heights whose own votes are worth sending again: the newest few without an
// adopted certificate, and none in quarantine.
func (t *Tally) ToRepeat() []uint64 {
	if t.Quarantined() {
		return nil
	}
	heights := slices.Sorted(maps.Keys(t.results))
	return heights[max(0, len(heights)-repeatedVotes):]
}

// Lacking is the lowest checkpoint that this node has executed and adopted no certificate for; ok is false
// if there is none.
func (t *Tally) Lacking() (height uint64, ok bool) {
	// The lowest is the same in any order.
	for h := range t.results {
		if !ok || h < height {
			height, ok = h, true
		}
	}
	return height, ok
}

// Wants reports whether a vote could still matter.
func (t *Tally) Wants(v *ExecVote) bool {
	if v.Height <= t.certified || v.Height > t.tip+ExecWindow || v.Height+ExecWindow <= t.tip {
		return false
	}
	_, have := t.votes[v.Height][v.Signer]
	return !have
}

// Add counts a vote. It returns a certificate when the vote completes a quorum for one result.
func (t *Tally) Add(v *ExecVote) *ExecCert {
	if !t.Wants(v) {
		return nil
	}
	byHeight := t.votes[v.Height]
	if byHeight == nil {
		byHeight = make(map[uint16]*ExecVote)
		t.votes[v.Height] = byHeight
	}
	byHeight[v.Signer] = v
	if len(byHeight) < t.quorum {
		return nil
	}
	var equal []*ExecVote
	// NewExecCert puts them in order.
	for _, other := range byHeight {
		if other.ExecResult == v.ExecResult || mutant.On(mutant.CertificateOfMixedResults) {
			equal = append(equal, other)
		}
	}
	if len(equal) < t.quorum {
		return nil
	}
	cert, err := NewExecCert(v.ExecResult, t.validators, equal)
	if err != nil {
		panic(fmt.Sprintf("ledger: equal votes of different validators make a certificate: %v", err))
	}
	return cert
}

// WantsCert reports whether a certificate of a height could still matter.
func (t *Tally) WantsCert(height uint64) bool {
	return !t.covered(height) && height <= t.tip+ExecWindow
}

// Learn takes a certificate. It reports whether the caller is to compare it with what it executed, see
// [Tally.Agrees]: what is covered is ignored, and what is ahead of this node is held until it is
// [Tally.Due].
func (t *Tally) Learn(c *ExecCert) bool {
	if c.Height <= t.certified {
		return false
	}
	if c.Height <= t.tip {
		return true
	}
	if c.Height <= t.tip+ExecWindow {
		t.ahead[c.Height] = c
	}
	return false
}

// Due removes and returns the highest held certificate that is executed by now, or nil. Lower ones are
// covered by it.
func (t *Tally) Due() *ExecCert {
	var best *ExecCert
	// The highest is the same in any order.
	for h, c := range t.ahead {
		if h > t.tip {
			continue
		}
		delete(t.ahead, h)
		if h > t.certified && (best == nil || h > best.Height) {
			best = c
		}
	}
	return best
}

// Agrees compares a certificate with this node's own result of its height. When they agree the caller MUST
// store the certificate and then [Tally.Certify] its height. A difference quarantines the node: one of the
// two executions is wrong, and a quorum says that it is this one.
func (t *Tally) Agrees(c *ExecCert, own *ExecResult) bool {
	if c.HeaderHash == own.HeaderHash {
		return true
	}
	if t.divergence == nil {
		t.divergence = &Divergence{Height: c.Height, Have: *own, Certified: c.ExecResult}
	}
	return false
}

// Divergence is the first difference from a certificate, nil while there is none.
func (t *Tally) Divergence() *Divergence { return t.divergence }

// Quarantined reports whether this node must not sign results: it would add to what a quorum contradicts.
func (t *Tally) Quarantined() bool {
	return t.divergence != nil && !mutant.On(mutant.NoQuarantine)
}

// Certify moves the certified height up and forgets what it covers.
func (t *Tally) Certify(height uint64) {
	if height <= t.certified {
		return
	}
	t.certified = height
	for h := range t.results {
		if h <= height {
			delete(t.results, h)
		}
	}
	for h := range t.votes {
		if h <= height {
			delete(t.votes, h)
		}
	}
}

// Certified is the highest certified height, 0 before the first certificate.
func (t *Tally) Certified() uint64 { return t.certified }

// Held is how many votes are in memory.
func (t *Tally) Held() int {
	n := 0
	for _, byHeight := range t.votes {
		n += len(byHeight)
	}
	return n
}

// covered reports whether a certificate at or above a height is known, executed or not.
func (t *Tally) covered(height uint64) bool {
	if height <= t.certified {
		return true
	}
	for h := range t.ahead {
		if h >= height {
			return true
		}
	}
	return false
}
