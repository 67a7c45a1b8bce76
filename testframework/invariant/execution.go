package invariant

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// Execution follows what nodes make of the chain, what validators sign of it, and how far ordering runs
// ahead. Some nodes may have a broken executor: what those state is never a violation, what they achieve is,
// and that they go on stating it once they know better.
type Execution struct {
	committee *Committee
	maxAhead  uint64
	nodes     []executor
	// results by height, of correct nodes; zero where none is known.
	results []common.Hash
	// signed are the validators that signed each result, by height.
	signed map[uint64][]attested
	// diverges marks validators with a broken executor.
	diverges []bool
	marks    []uint64 // watermarks of final blocks, by height
}

// executor is what one node has stored and shown.
type executor struct {
	headers  []common.Hash // by height
	diverges bool
	refuted  uint64 // height at which the running process saw that its result is wrong, 0 while it did not
}

type attested struct {
	result ledger.ExecResult
	by     []bool
}

// keptResults is how many heights back signatures are remembered: more than any node keeps votes.
const keptResults = 2048

// NewExecution begins at the genesis; maxAhead is Dmax.
func NewExecution(c *Committee, nodes int, maxAhead uint64) *Execution {
	return &Execution{
		committee: c, maxAhead: maxAhead, nodes: make([]executor, nodes), signed: map[uint64][]attested{},
		diverges: make([]bool, len(c.Addresses)),
	}
}

// Diverged notes that a node's executor gives other results from now on. Validator is -1 for an observer.
func (x *Execution) Diverged(node, validator int) {
	x.nodes[node].diverges = true
	if validator >= 0 {
		x.diverges[validator] = true
	}
}

// able counts the validators from which right results can be expected.
func (x *Execution) able() int {
	count := 0
	for i := range x.diverges {
		if !x.diverges[i] && !x.committee.Liar[i] {
			count++
		}
	}
	return count
}

// Spare is how many sound executors there are beyond those that a certificate needs: below zero none is due.
func (x *Execution) Spare() int { return x.able() - x.committee.quorum() }

// Started notes that a node's process begins with so many executed blocks on its disk.
func (x *Execution) Started(node int, height uint64) {
	n := &x.nodes[node]
	n.headers, n.refuted = n.headers[:min(height, uint64(len(n.headers)))], 0
}

// Executed takes the next result of a node. All correct executors come to the same.
func (x *Execution) Executed(node int, correct bool, header common.Hash) error {
	n := &x.nodes[node]
	n.headers = append(n.headers, header)
	if !correct || n.diverges {
		return nil
	}
	height := len(n.headers)
	for len(x.results) < height {
		x.results = append(x.results, common.Hash{})
	}
	switch have := x.results[height-1]; have {
	case common.Hash{}:
		x.results[height-1] = header
	case header:
	default:
		return violation("execution", "node %d executed block %d to %.8x, another correct node to %.8x", node, height, header, have)
	}
	return nil
}

// Signed notes what any validator signs, liars too.
func (x *Execution) Signed(validator int, r *ledger.ExecResult) {
	list := x.signed[r.Height]
	for i := range list {
		if list[i].result == *r {
			list[i].by[validator] = true
			return
		}
	}
	by := make([]bool, len(x.committee.Addresses))
	by[validator] = true
	x.signed[r.Height] = append(list, attested{*r, by})
	delete(x.signed, r.Height-keptResults)
}

// Said takes a result that a correct node sends a vote for, anew or again: its own, and none once it has seen
// that a quorum contradicts it.
func (x *Execution) Said(node int, r *ledger.ExecResult) error {
	n := &x.nodes[node]
	switch {
	case r.Height == 0 || r.Height > uint64(len(n.headers)) || n.headers[r.Height-1] != r.HeaderHash:
		return violation("execution", "node %d votes for a result of block %d that is not its own", node, r.Height)
	case n.refuted != 0:
		return violation("execution", "node %d votes for its result of block %d although it saw a quorum contradict the one of block %d", node, r.Height, n.refuted)
	}
	return nil
}

// Saw takes a certificate that a correct node compares with its own result. It must be what a quorum signed,
// and what correct executors come to, unless too many others are wrong.
func (x *Execution) Saw(node int, c *ledger.ExecCert) error {
	if err := x.exists(c); err != nil {
		return err
	}
	n := &x.nodes[node]
	if c.Height > uint64(len(n.headers)) {
		return violation("execution", "node %d compares a certificate of block %d, which it has not executed", node, c.Height)
	}
	if c.Height <= uint64(len(x.results)) && len(x.committee.Addresses)-x.able() < x.committee.quorum() {
		if have := x.results[c.Height-1]; have != (common.Hash{}) && have != c.HeaderHash {
			return violation("execution", "block %d is certified as %.8x, correct nodes executed it to %.8x", c.Height, c.HeaderHash, have)
		}
	}
	if n.headers[c.Height-1] != c.HeaderHash && n.refuted == 0 {
		n.refuted = c.Height
	}
	return nil
}

// exists checks a certificate against what was really signed.
func (x *Execution) exists(c *ledger.ExecCert) error {
	count := 0
	for _, a := range x.signed[c.Height] {
		if a.result != c.ExecResult {
			continue
		}
		for i := range 8 * len(c.Bitmap) {
			if c.Bitmap[i/8]>>(i%8)&1 != 0 && i < len(a.by) && a.by[i] {
				count++
			}
		}
	}
	if count < x.committee.quorum() {
		return violation("execution", "a certificate of block %d for %.8x that %d of its validators signed, %d are needed", c.Height, c.HeaderHash, count, x.committee.quorum())
	}
	return nil
}

// Ordered takes each final block when it is delivered first, in order: the watermark of its payload with the
// certificate, nil for none, and the number of its transactions.
func (x *Execution) Ordered(height, watermark uint64, c *ledger.ExecCert, txs int) error {
	const rule = "dmax"
	parent := uint64(0)
	if len(x.marks) > 0 {
		parent = x.marks[len(x.marks)-1]
	}
	x.marks = append(x.marks, watermark)
	switch {
	case watermark < parent:
		return violation(rule, "block %d has the watermark %d, its parent %d", height, watermark, parent)
	case watermark >= height:
		return violation(rule, "block %d has the watermark %d", height, watermark)
	case watermark > parent && (c == nil || c.Height != watermark):
		return violation(rule, "nothing proves the watermark %d of block %d", watermark, height)
	case watermark > parent && x.exists(c) != nil:
		return violation(rule, "the watermark %d of block %d: %v", watermark, height, x.exists(c))
	case txs > 0 && height-watermark > x.maxAhead:
		return violation(rule, "block %d orders %d transactions %d blocks above its watermark, at most %d", height, txs, height-watermark, x.maxAhead)
	}
	return nil
}
