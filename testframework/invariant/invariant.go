// Package invariant says what must hold of a network whatever happens to it, from what can be seen
// from outside.
//
// # Model
//
// A checker is told events in the order in which they happen and answers the first one that breaks its
// promise with a [ViolationError]. It computes quorums, terms, digests and conflicts by itself: it shares no
// rule with the code that it judges, so that a mistake there is not made here again. Checkers know which
// validators may lie (the [Committee] says so); what those do is never a violation, what they achieve is.
//
//	[Votes]     what correct validators signed: no contradiction, and no certificate that could contradict another
//	[Chains]    what nodes delivered: one chain, each height once, proven final, nothing made up
//	[Journals]  what a restart found: every vote that was seen outside is remembered
//	[Execution] what nodes executed and certified: one result, no vote in quarantine, no transaction past Dmax
//
// Source: the lemmas L1 to L3 and the theorem of docs/protocol.md §13, and docs/invariants.md.
package invariant

import (
	"encoding/binary"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// ViolationError is a promise that was broken.
type ViolationError struct {
	// Rule names the promise; it is one of a fixed few words, for tables.
	Rule string
	// Text says what happened.
	Text string
}

func (v *ViolationError) Error() string { return v.Rule + ": " + v.Text }

func violation(rule, format string, args ...any) error {
	return &ViolationError{Rule: rule, Text: fmt.Sprintf(format, args...)}
}

// Committee is what checkers know about the validators.
type Committee struct {
	// Addresses by index.
	Addresses []common.Address
	// Liar marks validators that may do anything: by index.
	Liar []bool
	// Term is the number of views that one leader leads in a row.
	Term uint64
	// Network is the genesis hash that signatures bind.
	Network common.Hash
	// Recover returns who signed a digest.
	Recover func(digest common.Hash, s *consensus.Signature) (common.Address, error)
}

// faults is how many validators may lie, quorum how many votes prove something: the smallest number of
// which two sets share an honest validator.
func (c *Committee) faults() int { return (len(c.Addresses) - 1) / 3 }

func (c *Committee) quorum() int {
	n, f := len(c.Addresses), c.faults()
	q := n/2 + 1
	for 2*q-n <= f {
		q++
	}
	return q
}

func (c *Committee) liars() int {
	count := 0
	for _, l := range c.Liar {
		if l {
			count++
		}
	}
	return count
}

// enough is how many votes of correct validators make a certificate possible: liars sign everything.
func (c *Committee) enough() int { return max(1, c.quorum()-c.liars()) }

// group is the number of a view's term.
func (c *Committee) group(view uint64) uint64 { return (view - 1) / c.Term }

// leader is who proposes in a view of epoch 0.
func (c *Committee) leader(view uint64) int { return int(c.group(view) % uint64(len(c.Addresses))) }

// digest is what a vote of epoch 0 signs, by docs/protocol.md §3.
func (c *Committee) digest(kind consensus.Kind, view uint64, hash common.Hash) common.Hash {
	b := make([]byte, 0, 13+1+32+8+8+32)
	b = append(b, "tercet/vote/1"...)
	b = append(b, byte(kind))
	b = append(b, c.Network[:]...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, view)
	b = append(b, hash[:]...)
	return crypto.Keccak256Hash(b)
}

// Certificate checks a proof from first principles: distinct validators of the committee, enough of
// them, each signature made by the validator that it stands for.
func (c *Committee) Certificate(cert *consensus.Cert) error {
	n := len(c.Addresses)
	if cert.Epoch != 0 || cert.View == 0 || cert.Kind < consensus.Notarize || cert.Kind > consensus.Finalize ||
		(cert.Kind == consensus.Nullify) != (cert.Hash == common.Hash{}) || len(cert.Bitmap) != (n+7)/8 {
		return violation(RuleCertificate, "%s of view %d of epoch %d with a bitmap of %d bytes", cert.Kind, cert.View, cert.Epoch, len(cert.Bitmap))
	}
	digest := c.digest(cert.Kind, cert.View, cert.Hash)
	count := 0
	for i := range 8 * len(cert.Bitmap) {
		if cert.Bitmap[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if i >= n || len(cert.Sigs) < 65*(count+1) {
			return violation(RuleCertificate, "%s of view %d names validator %d of %d and has %d signature bytes", cert.Kind, cert.View, i, n, len(cert.Sigs))
		}
		who, err := c.Recover(digest, (*consensus.Signature)(cert.Sigs[65*count:]))
		if err != nil || who != c.Addresses[i] {
			return violation(RuleCertificate, "%s of view %d: signature %d is not validator %d's", cert.Kind, cert.View, count, i)
		}
		count++
	}
	if count < c.quorum() || len(cert.Sigs) != 65*count {
		return violation(RuleCertificate, "%s of view %d by %d validators, %d are needed", cert.Kind, cert.View, count, c.quorum())
	}
	return nil
}
