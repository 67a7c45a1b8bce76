package sim

import (
	"slices"
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// smallMaxAhead is a Dmax that runs of some minutes reach.
const smallMaxAhead = 16

// dmax lets ordering stop early in some networks, and, where executors may fail, a liar lie about execution
// beside its other lies.
func (d *draw) dmax() {
	if d.chance(0.3) {
		d.s.MaxAhead = smallMaxAhead
	}
	if slices.Contains(d.groups, groupExecute) && len(d.s.Liars) > 0 && d.chance(0.6) {
		l := &d.s.Liars[0]
		l.Strategies = append(slices.DeleteFunc(l.Strategies, func(s string) bool { return s == "invalid-root" }), "invalid-root")
	}
}

// diverge breaks one validator's executor, sometimes those of one more than the faults that a network bears:
// then nothing is certified any more, and empty blocks have to go on.
func (d *draw) diverge(at time.Duration) {
	if d.diverged {
		return
	}
	d.diverged = true
	count := 1
	if d.chance(0.2) {
		count = consensus.Faulty(d.s.Validators) + 1
		if d.s.Timing.MaxIdle == 0 {
			d.s.Timing.MaxIdle = time.Second
		}
	}
	for _, i := range d.rng.Perm(d.s.Validators)[:min(count, d.s.Validators)] {
		d.add(Fault{At: at, Kind: Diverge, Node: i})
	}
}
