package engine_test

import (
	"testing"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
)

// TestRangeAnswer_provesRangesFarBelowAFinalization serves a chain of which one finalization made many
// blocks final at once, as after a time without FINALIZE votes: a node that missed it asks for a range
// that ends far below.
func TestRangeAnswer_provesRangesFarBelowAFinalization(t *testing.T) {
	const count = 64
	for _, final := range []int{1, count, count + 1, 3 * count, count + consensus.MaxHeadersPerRange} {
		chain := make([]consensus.FinalBlock, final)
		for i := range chain {
			chain[i].Block = &consensus.Block{Header: consensus.Header{Height: uint64(i) + 1}}
		}
		chain[final-1].Finalization = &consensus.Cert{Kind: consensus.Finalize}
		blocks := func(from uint64, count, _ int) []consensus.FinalBlock {
			rest := chain[min(int(from)-1, len(chain)):]
			return rest[:min(count, len(rest))]
		}
		r := engine.RangeAnswer(blocks, consensus.RangeRequest{From: 1, Count: count})
		if r == nil {
			t.Errorf("nothing is served below the finalization of height %d", final)
			continue
		}
		if len(r.Blocks) != min(count, final) || len(r.Blocks)+len(r.Headers) != final || r.Finalization == nil {
			t.Errorf("%d blocks and %d headers below the finalization of height %d", len(r.Blocks), len(r.Headers), final)
		}
	}
}
