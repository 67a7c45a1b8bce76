package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// ErrProof is wrapped by every refusal of [Proof.Verify].
var ErrProof = errors.New("invalid state proof")

// maxSiblings is the greatest length of a way through the tree (ICS-23 SmtSpec MaxDepth).
const maxSiblings = 256

// Opening shows that a value is under a root: the hashes beside the way, root first.
type Opening struct {
	Key, Value []byte
	Siblings   []common.Hash
}

// Proof shows what the state held under a key at a height. It is either the key's own opening, or for
// an absent key the openings of its two neighbours in path order, of which one may be missing at the
// edge of the tree; with neither the tree is empty. These are the parts of ICS-23's ExistenceProof and
// NonExistenceProof.
type Proof struct {
	Height      uint64
	Key         []byte
	Member      *Opening
	Left, Right *Opening
}

// Value returns the proven value, nil for an absent key.
func (p *Proof) Value() []byte {
	if p.Member == nil {
		return nil
	}
	return p.Member.Value
}

// Verify checks that under root the key has the value, or is absent when value is empty. The height
// is a statement of whoever made the proof: root MUST come from a certified header. Errors wrap
// [ErrProof]. It is a pure function.
func (p *Proof) Verify(root common.Hash, key, value []byte) error {
	path := ledger.Path(key)
	if len(value) > 0 {
		if p.Member == nil || p.Left != nil || p.Right != nil {
			return fmt.Errorf("%w: not a proof of membership", ErrProof)
		}
		if !bytes.Equal(p.Member.Key, key) || !bytes.Equal(p.Member.Value, value) {
			return fmt.Errorf("%w: proof of another key or value", ErrProof)
		}
		return p.Member.verify(&root, &path)
	}
	if p.Member != nil {
		return fmt.Errorf("%w: not a proof of absence", ErrProof)
	}
	return p.verifyAbsence(&root, &path)
}

func (p *Proof) verifyAbsence(root *common.Hash, path *[32]byte) error {
	if p.Left == nil && p.Right == nil {
		if *root != (common.Hash{}) {
			return fmt.Errorf("%w: no neighbours in a tree that is not empty", ErrProof)
		}
		return nil
	}
	fork := -1 // the depth at which the ways of the neighbours part; above it they share everything
	var left, right [32]byte
	if p.Left != nil {
		left = ledger.Path(p.Left.Key)
	}
	if p.Right != nil {
		right = ledger.Path(p.Right.Key)
	}
	if p.Left != nil && p.Right != nil {
		fork = commonBits(&left, &right)
	}
	if p.Left != nil {
		if compare(&left, path) >= 0 {
			return fmt.Errorf("%w: left neighbour is not left of the key", ErrProof)
		}
		if err := p.Left.verify(root, &left); err != nil {
			return err
		}
		if !edge(&left, p.Left.Siblings, fork, 0) {
			return fmt.Errorf("%w: something lies between the left neighbour and the key", ErrProof)
		}
	}
	if p.Right != nil {
		if compare(&right, path) <= 0 {
			return fmt.Errorf("%w: right neighbour is not right of the key", ErrProof)
		}
		if err := p.Right.verify(root, &right); err != nil {
			return err
		}
		if !edge(&right, p.Right.Siblings, fork, 1) {
			return fmt.Errorf("%w: something lies between the key and the right neighbour", ErrProof)
		}
	}
	return nil
}

// edge reports whether below depth fork everything on one side of a way is empty: right of it for
// turn 0, left of it for turn 1.
func edge(path *[32]byte, siblings []common.Hash, fork int, turn byte) bool {
	if fork >= len(siblings) {
		return false // two leaves part at a node on both ways
	}
	for d := fork + 1; d < len(siblings); d++ {
		if bit(path, d) == turn && siblings[d] != (common.Hash{}) {
			return false
		}
	}
	return true
}

func (o *Opening) verify(root *common.Hash, path *[32]byte) error {
	if len(o.Siblings) > maxSiblings || len(o.Value) == 0 {
		return fmt.Errorf("%w: %d siblings, value of %d bytes", ErrProof, len(o.Siblings), len(o.Value))
	}
	h := leafHash(path, o.Value)
	for d := len(o.Siblings) - 1; d >= 0; d-- {
		if bit(path, d) == 0 {
			h = innerHash(&h, &o.Siblings[d])
		} else {
			h = innerHash(&o.Siblings[d], &h)
		}
	}
	if h != *root {
		return fmt.Errorf("%w: leads to root %s instead of %s", ErrProof, h, *root)
	}
	return nil
}
