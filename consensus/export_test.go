package consensus

import "github.com/ethereum/go-ethereum/common"

// Rules is a validator's history with the rules S1 to S4 on it, for tests.
type Rules struct{ history }

func NewRules(s Schedule) *Rules { return &Rules{newHistory(s)} }

func (r *Rules) Notarized(v uint64, h common.Hash)       { r.notarized(v, h) }
func (r *Rules) Nullified(u uint64)                      { r.nullified(u) }
func (r *Rules) Finalized(v uint64, h common.Hash)       { r.finalized(v, h) }
func (r *Rules) MayNullify(u uint64) bool                { return r.mayNullify(u) }
func (r *Rules) MayFinalize(v uint64) bool               { return r.mayFinalize(v) }
func (r *Rules) MayNotarize(h *Header, k Knowledge) bool { return r.mayNotarize(h, k) }

// Knowledge is the certificates that a validator has seen.
type Knowledge struct {
	FinalView uint64
	FinalHash common.Hash
	Notarized map[uint64]common.Hash
	Covered   func(x uint64) bool
}

func (k Knowledge) finalTip() (uint64, common.Hash) { return k.FinalView, k.FinalHash }
func (k Knowledge) coveredAt(x uint64) bool         { return k.Covered != nil && k.Covered(x) }

func (k Knowledge) notarizedAt(v uint64) (common.Hash, bool) {
	if v == k.FinalView {
		return k.FinalHash, true
	}
	h, ok := k.Notarized[v]
	return h, ok
}

// Sizes counts what a Core holds in memory.
func (c *Core) Sizes() (views, blocks, fetches, votes int) {
	return len(c.views), len(c.blocks), len(c.fetches), len(c.own.voted) + len(c.own.nulled) + len(c.own.fined)
}
