package txpool_test

import (
	"math"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

func TestPool_Arrivals(t *testing.T) {
	p, _ := newPool(t, 2, nil)
	first, second := transfer(t, 0, 0), transfer(t, 1, 0)
	mustAdd(t, p, first)
	hashes, count := p.Arrivals(math.MaxUint64)
	if len(hashes) != 0 || count != 1 {
		t.Errorf("got %d arrivals of %d for who begins", len(hashes), count)
	}
	mustAdd(t, p, second)
	hashes, count = p.Arrivals(count)
	if !slices.Equal(hashes, []common.Hash{second.Hash()}) || count != 2 {
		t.Errorf("got %v, %d, want %s", hashes, count, second.Hash())
	}
	if hashes, _ = p.Arrivals(0); !slices.Equal(hashes, []common.Hash{first.Hash(), second.Hash()}) {
		t.Errorf("got %v of all", hashes)
	}
}
