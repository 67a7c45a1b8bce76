package invariant

import "github.com/ethereum/go-ethereum/common"

// tree has the blocks that somebody showed.
type tree map[common.Hash]link

// link is a block's place in the tree: its view, and the hash and view of its parent. As a final block it
// is that block's view and hash.
type link struct {
	view, parentView uint64
	hash             common.Hash
	height, timeMs   uint64 // of the block
}

// extends reports a block of a view that does not descend from a final block at or below it. A final block of
// view 0 is none. The way down must be known: correct validators vote for nothing on a parent that they have
// not seen notarized, so that a gap is a mistake too.
func (t tree) extends(view uint64, block common.Hash, final link) error {
	if final.view == 0 {
		return nil
	}
	at, atView := block, view
	for atView > final.view {
		b, ok := t[at]
		if !ok {
			return violation(RuleUnknownBlock, "the block of view %d descends from block %.8x of view %d, which nobody has shown", view, at, atView)
		}
		if b.parentView >= atView {
			return violation(RuleFork, "the block of view %d names a parent in view %d", atView, b.parentView)
		}
		at, atView = b.hash, b.parentView
	}
	if at != final.hash {
		return violation(RuleFork, "view %d can be final and the block of view %d can be notarized without extending it", final.view, view)
	}
	return nil
}
