package sim_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tercet-chain/tercet/testframework/invariant"
	"github.com/tercet-chain/tercet/testframework/sim"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// TestDiskFaults makes each operation of a journal fail in each way that an operating system reports, on one
// validator and on f+1 of them, and brings the machines back with and without their page caches. A validator
// whose journal failed is silent from that moment on, which the world checks at every message; the others go
// on while they are a quorum; afterwards everybody votes again.
func TestDiskFaults(t *testing.T) {
	faults := []struct {
		name  string
		fault simdisk.Fault
		ops   []string // all when empty
	}{
		{name: "EIO once", fault: simdisk.Fault{Err: simdisk.ErrIO}},
		{name: "EIO for good", fault: simdisk.Fault{Err: simdisk.ErrIO, Sticky: true}},
		{name: "ENOSPC for good", fault: simdisk.Fault{Err: simdisk.ErrFull, Sticky: true}},
		{name: "ENOSPC after a part", fault: simdisk.Fault{Err: simdisk.ErrFull, Short: 40}, ops: []string{"write"}},
		{name: "short write", fault: simdisk.Fault{Short: 40}, ops: []string{"write"}},
		{name: "power off", fault: simdisk.Fault{PowerOff: true}},
	}
	all := []string{"write", "sync", "syncdir", "create", "rename", "allocate", "remove"}
	for _, f := range faults {
		if len(f.ops) == 0 {
			f.ops = all
		}
		for _, op := range f.ops {
			for _, nodes := range [][]int{{1}, {1, 3}} {
				t.Run(fmt.Sprintf("%s/%s/%d", f.name, op, len(nodes)), func(t *testing.T) {
					c := sim.DiskCase{Fault: f.fault, Op: op, Pass: 1, Nodes: nodes}
					if !f.fault.PowerOff {
						survive(t, c)
					}
					c.Power = true
					for _, c.Retention = range simdisk.Retentions() {
						survive(t, c)
					}
				})
			}
		}
	}
}

func survive(t *testing.T, c sim.DiskCase) {
	t.Helper()
	r, err := c.Run()
	if err != nil {
		t.Fatal(err)
	}
	if r.Err != nil || !slices.Equal(r.Stopped, c.Nodes) {
		t.Errorf("power %v, %v: stopped %v, %v", c.Power, c.Retention, r.Stopped, r.Err)
		return
	}
	if went := r.While - r.Before; len(c.Nodes) == 1 && went < 5 || len(c.Nodes) > 1 && went > 2 {
		t.Errorf("power %v, %v: %d blocks while %d validators were down", c.Power, c.Retention, went, len(c.Nodes))
	}
	for i := range c.Nodes {
		if r.VotesAfter[i] <= r.VotesBefore[i] {
			t.Errorf("power %v, %v: validator %d voted up to view %d and not again", c.Power, c.Retention, c.Nodes[i], r.VotesBefore[i])
		}
	}
}

// TestDiskFaults_lies is about disks that report syncs as done and lose what they promised: no protocol can
// tell. Such a validator forgets what it signed, which is seen from outside when it starts again, and counts
// as faulty. By itself it notices a journal with holes, and refuses to start; one that merely ends earlier
// looks like any other. With f of them the others are safe and go on.
func TestDiskFaults_lies(t *testing.T) {
	noticed := 0
	for _, op := range []string{"sync", "syncdir"} {
		for _, mode := range []simdisk.Retention{simdisk.LoseUnsynced, simdisk.KeepPrefix, simdisk.KeepPages} {
			c := sim.DiskCase{
				Fault: simdisk.Fault{Lost: true, Sticky: true}, Op: op, Pass: 3, Nodes: []int{1}, Power: true, Retention: mode,
			}
			r, err := c.Run()
			if err != nil {
				t.Fatal(err)
			}
			var v *invariant.ViolationError
			if forgot := errors.As(r.Err, &v) && v.Rule == invariant.RuleJournal; mode == simdisk.LoseUnsynced && !forgot {
				t.Errorf("%s, %v: got %v, want a journal that forgot votes", op, mode, r.Err)
			}
			if r.Err != nil && !errors.As(r.Err, &v) || v != nil && v.Rule != invariant.RuleJournal {
				t.Errorf("%s, %v: got %v, want nothing or a journal that forgot votes or is damaged", op, mode, r.Err)
			}
			if len(r.Stopped) > 0 {
				t.Errorf("%s, %v: a lie was noticed before the power failed", op, mode)
			}
			c.Faulty = true
			if r, err = c.Run(); err != nil || r.Err != nil {
				t.Errorf("%s, %v: with the validator counted as faulty: %v, %v", op, mode, r.Err, err)
			}
			noticed += len(r.Refused)
			t.Logf("%s, %v: validator 1 voted up to view %d, then to %d, refused to start %d times, halted %d times; the chain went from %d to %d",
				op, mode, r.VotesBefore, r.VotesAfter, len(r.Refused), r.Halted, r.While, r.After)
			if r.After < r.While+5 {
				t.Errorf("%s, %v: the others went from height %d to %d", op, mode, r.While, r.After)
			}
		}
	}
	if noticed == 0 {
		t.Error("no journal with holes was noticed")
	}
}
