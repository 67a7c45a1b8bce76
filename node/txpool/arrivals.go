package txpool

import (
	"github.com/ethereum/go-ethereum/common"
)

// keptArrivals is how many of the newest transactions [Pool.Arrivals] can tell of: who looks at every wake-up is
// never so far behind.
const keptArrivals = 4096

// arrivals are the hashes of the transactions that came last, for those who watch the pool.
type arrivals struct {
	ring  []common.Hash // of keptArrivals, made at the first
	count uint64        // all that ever came; the next one is ring[count%keptArrivals]
}

func (a *arrivals) add(hash common.Hash) {
	if a.ring == nil {
		a.ring = make([]common.Hash, keptArrivals)
	}
	a.ring[a.count%keptArrivals] = hash
	a.count++
}

// Arrivals returns the hashes of the transactions that came after the first since of them, oldest first, and how
// many came in all, which the next call gives. Those before the newest 4,096 are left out, and for a since beyond
// all of them there are none: who begins gives the largest number.
func (p *Pool) Arrivals(since uint64) (hashes []common.Hash, count uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.newest
	if a.count > keptArrivals {
		since = max(since, a.count-keptArrivals)
	}
	for i := since; i < a.count; i++ {
		hashes = append(hashes, a.ring[i%keptArrivals])
	}
	return hashes, a.count
}
