package pipeline

import (
	"fmt"

	"github.com/tercet-chain/tercet/ledger"
)

const (
	// voteWindow is how far from this node's newest block execution votes and certificates are
	// kept, in blocks. Above Dmax, so that it never hides what validators may still sign.
	voteWindow = 256
	// repeatedVotes is how many own votes are sent again while they are not certified: the newest
	// certificate covers the ancestors, more would be traffic.
	repeatedVotes = 4
)

// tally counts execution votes. It is pure; what it holds is bounded by voteWindow heights of one
// vote per validator.
type tally struct {
	validators int
	quorum     int
	// certified is the highest certified height; tip the newest executed one.
	certified, tip uint64
	// results are this node's own, of the checkpoints above certified.
	results map[uint64]ledger.ExecResult
	// votes by height and signer: the first verified one of each.
	votes map[uint64]map[uint16]*ledger.ExecVote
	// ahead are verified certificates of heights that this node has not executed.
	ahead map[uint64]*ledger.ExecCert
}

func newTally(validators, quorum int) *tally {
	return &tally{
		validators: validators, quorum: quorum,
		results: make(map[uint64]ledger.ExecResult),
		votes:   make(map[uint64]map[uint16]*ledger.ExecVote),
		ahead:   make(map[uint64]*ledger.ExecCert),
	}
}

// wants reports whether a vote could still matter.
func (t *tally) wants(v *ledger.ExecVote) bool {
	if v.Height <= t.certified || v.Height > t.tip+voteWindow || v.Height+voteWindow <= t.tip {
		return false
	}
	_, have := t.votes[v.Height][v.Signer]
	return !have
}

// add counts a verified vote. It returns a certificate when the vote completes a quorum for one
// result.
func (t *tally) add(v *ledger.ExecVote) *ledger.ExecCert {
	if !t.wants(v) {
		return nil
	}
	byHeight := t.votes[v.Height]
	if byHeight == nil {
		byHeight = make(map[uint16]*ledger.ExecVote)
		t.votes[v.Height] = byHeight
	}
	byHeight[v.Signer] = v
	var equal []*ledger.ExecVote
	for _, other := range byHeight {
		if other.ExecResult == v.ExecResult {
			equal = append(equal, other)
		}
	}
	if len(equal) < t.quorum {
		return nil
	}
	cert, err := ledger.NewExecCert(v.ExecResult, t.validators, equal)
	if err != nil {
		panic(fmt.Sprintf("pipeline: equal votes of different validators make a certificate: %v", err))
	}
	return cert
}

// executed notes that this node has executed height, the one after tip; r is set for a checkpoint. What is
// voteWindow below is forgotten: a certificate of a newer block covers it.
func (t *tally) executed(height uint64, r *ledger.ExecResult) {
	t.tip = height
	if r != nil && height > t.certified {
		t.results[height] = *r
	}
	if height > voteWindow {
		delete(t.results, height-voteWindow)
		delete(t.votes, height-voteWindow)
	}
}

// hold keeps a verified certificate until its height is executed.
func (t *tally) hold(c *ledger.ExecCert) {
	if c.Height > t.tip && c.Height <= t.tip+voteWindow {
		t.ahead[c.Height] = c
	}
}

// due removes and returns the highest held certificate that is executed by now, or nil. Lower ones
// are covered by it.
func (t *tally) due() *ledger.ExecCert {
	var best *ledger.ExecCert
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

// covered reports whether a certificate at or above height is known, executed or not.
func (t *tally) covered(height uint64) bool {
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

// certify moves the certified height up and forgets what it covers.
func (t *tally) certify(height uint64) {
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
