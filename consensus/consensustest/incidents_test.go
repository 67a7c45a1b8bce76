package consensustest_test

import (
	"os"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/consensustest"
)

// The tests in this file are named after failures of other systems, with the
// numbers of the table in the specification.

type network struct {
	t *testing.T
	*consensustest.Network
	size int
}

func build(t *testing.T, cfg consensustest.Config) network {
	t.Helper()
	n, err := consensustest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return network{t, n, cfg.Validators}
}

func (n network) run(d time.Duration) {
	n.t.Helper()
	if err := n.Run(d); err != nil {
		n.t.Fatal(err)
	}
}

func (n network) top() int {
	top := 0
	for i := range n.size {
		top = max(top, len(n.Replica(i).Chain))
	}
	return top
}

// progress requires that all honest, running replicas commit more within d.
func (n network) progress(d time.Duration, except ...int) {
	n.t.Helper()
	before := n.top()
	n.run(d)
	for i := range n.size {
		skip := false
		for _, e := range except {
			skip = skip || e == i
		}
		if r := n.Replica(i); !skip && len(r.Chain) <= before {
			n.t.Fatalf("replica %d is at height %d after %v, was to pass %d: %+v fault %q", i, len(r.Chain), d, before, r.Snapshot(), r.Fault)
		}
	}
}

func vote(m consensus.Message, kind consensus.Kind) bool {
	v, ok := m.(*consensus.Vote)
	return ok && v.Kind == kind
}

// thinned says which of many variants to leave out: all but every keep-th,
// unless TERCET_SEEDS asks for a long run.
func thinned(keep int) func() bool {
	i := -1
	return func() bool {
		i++
		return i%keep != 0 && os.Getenv("TERCET_SEEDS") == ""
	}
}

var shapes = [][2]uint64{{1, 0}, {3, 0}, {16, 4}}

// 1: a lock that was not carried over two timeouts. Only one replica sees
// enough FINALIZE votes for a block, then k leaders in a row are dead.
func TestIncident01_finalizedAtOneReplica_thenDeadLeaders(t *testing.T) {
	skip := thinned(7)
	for _, shape := range shapes {
		for witness := range 4 {
			for dead := 1; dead < 4; dead++ {
				if skip() {
					continue
				}
				n := build(t, config(4, shape[0], shape[1]))
				n.SetDeliver(func(_, to int, m consensus.Message) (time.Duration, bool) {
					v, ok := m.(*consensus.Vote)
					return 0, !ok || v.Kind != consensus.Finalize || (v.View == 1 && to == witness)
				})
				n.run(40 * time.Millisecond)
				for k := range dead { // Everybody who could tell may be gone for a while.
					n.Crash((witness + k) % 4)
				}
				n.SetDeliver(nil)
				n.run(4 * time.Second)
				for k := range dead {
					n.Start((witness + k) % 4)
				}
				n.progress(8 * time.Second)
			}
		}
	}
}

// 2: NULLIFY after FINALIZE. Each replica meets timeout, notarization and
// restart in another order.
func TestIncident02_timeoutAgainstFinalize_inAnyOrder(t *testing.T) {
	skip := thinned(32)
	for _, shape := range shapes {
		for order := range 64 {
			if skip() {
				continue
			}
			n := build(t, config(4, shape[0], shape[1]))
			n.SetDeliver(func(_, to int, m consensus.Message) (time.Duration, bool) {
				if vote(m, consensus.Notarize) || vote(m, consensus.Finalize) {
					return time.Duration(order>>(2*(to%3))&3) * 149 * time.Millisecond, true
				}
				return 0, true
			})
			n.run(350 * time.Millisecond)
			n.Crash(order % 4)
			n.run(100 * time.Millisecond)
			n.Start(order % 4)
			n.run(time.Second)
			n.SetDeliver(nil)
			n.progress(5 * time.Second)
		}
	}
}

// 3: a crash of everybody after the log was synced and before anything left.
func TestIncident03_allCrashBetweenSyncAndSend(t *testing.T) {
	skip := thinned(2)
	for _, kind := range []consensus.Kind{consensus.Notarize, consensus.Nullify, consensus.Finalize, 0} {
		for _, shape := range shapes {
			if skip() {
				continue
			}
			n := build(t, config(4, shape[0], shape[1]))
			n.run(200 * time.Millisecond)
			n.SetDeliver(func(_, _ int, m consensus.Message) (time.Duration, bool) {
				_, proposal := m.(*consensus.Proposal)
				return 0, !vote(m, kind) && (kind != 0 || !proposal) && (kind != consensus.Nullify || !vote(m, consensus.Notarize))
			})
			n.run(time.Second)
			for i := range 4 {
				n.Crash(i)
			}
			n.SetDeliver(nil)
			n.run(time.Second)
			for i := range 4 {
				n.Start(i)
			}
			n.progress(5 * time.Second)
		}
	}
}

// 7: the same vote cannot be signed again after a crash. Restarts at each
// moment of a block's life, each time of one more replica.
func TestIncident07_restartsResendIdenticalVotes(t *testing.T) {
	skip := thinned(4)
	for at := range 40 {
		if skip() {
			continue
		}
		n := build(t, config(4, 1, 0))
		n.run(time.Duration(at) * time.Millisecond)
		for i := range 4 {
			n.Crash(i)
			n.Start(i)
			n.run(3 * time.Millisecond)
		}
		n.progress(3 * time.Second)
		for i := range 4 {
			if r := n.Replica(i); len(r.Evidence) > 0 || r.Fault != "" {
				t.Fatalf("restart at %d ms: evidence %v, fault %q", at, r.Evidence, r.Fault)
			}
		}
	}
}

// Three of four are left, all with a NULLIFY in the log that nobody received: after
// the restart nobody can sign another one, so each needs its own beside two others.
func TestIncident07_ownVotesCountAfterRestart(t *testing.T) {
	for _, shape := range shapes {
		n := build(t, config(4, shape[0], shape[1]))
		n.run(200 * time.Millisecond)
		n.Crash(1)
		n.SetDeliver(func(_, _ int, m consensus.Message) (time.Duration, bool) {
			_, status := m.(*consensus.Status)
			return 0, status
		})
		n.run(5 * time.Second)
		for _, i := range []int{0, 2, 3} {
			n.Crash(i)
		}
		n.SetDeliver(nil)
		for _, i := range []int{0, 2, 3} {
			n.Start(i)
		}
		n.progress(5*time.Second, 1)
	}
}

// 10: a double proposal, by the leader of each of the first terms.
func TestIncident10_equivocator_inEachPosition(t *testing.T) {
	skip := thinned(5)
	for _, size := range []int{4, 7} {
		for _, shape := range shapes {
			for liar := range size {
				if skip() {
					continue
				}
				n := build(t, config(size, shape[0], shape[1]))
				n.Become(liar, consensustest.Equivocator{})
				n.progress(6*time.Second, liar)
				accused := 0
				for i := range size {
					for _, e := range n.Replica(i).Evidence {
						if int(e.A.Signer) != liar {
							t.Fatalf("replica %d accuses %d", i, e.A.Signer)
						}
						accused++
					}
				}
				if accused == 0 {
					t.Errorf("n=%d liar %d: no evidence", size, liar)
				}
			}
		}
	}
}

// 10: a leader that shows each half one block, so that nobody gets both, and
// whose other votes go to nobody.
func TestIncident10_splitHalves_allAccuse(t *testing.T) {
	for _, size := range []int{4, 7, 10} {
		for _, shape := range shapes {
			for _, liar := range []int{0, 1} {
				n := build(t, config(size, shape[0], shape[1]))
				n.Become(liar, consensustest.Splitter{})
				n.progress(3*time.Second, liar)
				for i := range size {
					if e := n.Replica(i).Evidence; i != liar && (len(e) == 0 || int(e[0].A.Signer) != liar) {
						t.Errorf("n=%d T=%d W=%d liar %d: replica %d has the evidence %v", size, shape[0], shape[1], liar, i, e)
					}
				}
			}
		}
	}
}

// 11: lost votes were never sent again. Each message of the first second is
// lost once; then all FINALIZE votes of a view.
func TestIncident11_anySingleLostMessage(t *testing.T) {
	skip := thinned(7)
	for _, idle := range []bool{false, true} {
		for lost := 0; lost < 160; lost += 3 {
			if skip() {
				continue
			}
			cfg := config(4, 1, 0)
			cfg.Work = !idle
			n := build(t, cfg)
			seen := 0
			n.SetDeliver(func(int, int, consensus.Message) (time.Duration, bool) {
				seen++
				return 0, seen-1 != lost
			})
			n.run(30 * time.Millisecond)
			n.progress(4 * time.Second)
		}
	}
}

func TestIncident11_allFinalizeVotesOfAView(t *testing.T) {
	skip := thinned(3)
	for _, shape := range shapes {
		for view := uint64(1); view <= 4; view++ {
			if skip() {
				continue
			}
			cfg := config(4, shape[0], shape[1])
			cfg.Work = false
			n := build(t, cfg)
			until := 5 * time.Second
			n.SetDeliver(func(_, _ int, m consensus.Message) (time.Duration, bool) {
				v, ok := m.(*consensus.Vote)
				return 0, !ok || v.Kind != consensus.Finalize || v.View != view || n.Now() > until
			})
			n.run(6 * time.Second)
			n.progress(4 * time.Second)
		}
	}
}

// Nothing follows that could finalize the block instead: one block is wanted, there
// are no heartbeats, and its FINALIZE votes are lost.
func TestIncident11_allFinalizeVotesOfTheLastView(t *testing.T) {
	for _, shape := range shapes {
		cfg := config(4, shape[0], shape[1])
		cfg.Timing.MaxIdle = 0
		n := build(t, cfg)
		n.SetDeliver(func(_, _ int, m consensus.Message) (time.Duration, bool) { return 0, !vote(m, consensus.Finalize) })
		n.run(12 * time.Millisecond) // The first proposal is out, and the votes for it.
		n.SetWork(false)
		n.run(3 * time.Second)
		if top := n.top(); top != 0 {
			t.Fatalf("height %d without a FINALIZE", top)
		}
		n.SetDeliver(nil)
		n.progress(2 * time.Second)
	}
}

// 12: one half holds a view's notarization, the other its nullification.
func TestIncident12_halvesHoldOppositeCertificates(t *testing.T) {
	skip := thinned(4)
	for _, shape := range shapes {
		for first := range 4 {
			for second := range first {
				if skip() {
					continue
				}
				n := build(t, config(4, shape[0], shape[1]))
				half := func(i int) bool { return i == first || i == second }
				// NOTARIZE votes reach one half only, until the timeouts; the
				// other half's NULLIFY votes need the voters' too.
				n.SetDeliver(func(_, to int, m consensus.Message) (time.Duration, bool) {
					switch {
					case vote(m, consensus.Notarize), vote(m, consensus.Finalize):
						return 0, half(to) && n.Now() < 500*time.Millisecond
					case vote(m, consensus.Nullify):
						return 0, !half(to)
					}
					_, cert := m.(*consensus.Cert)
					_, certs := m.(*consensus.CertResponse)
					return 0, !cert && !certs
				})
				n.run(2 * time.Second)
				n.SetDeliver(nil)
				n.progress(5 * time.Second)
			}
		}
	}
}

// 17: what is synced and what arrives live is delivered twice. The network
// fails by itself on a height out of order.
func TestIncident17_lagAndCatchUp_deliverEachHeightOnce(t *testing.T) {
	for _, shape := range shapes {
		n := build(t, config(4, shape[0], shape[1]))
		n.run(500 * time.Millisecond)
		for cycle := range 3 {
			lag := cycle
			n.SetDeliver(func(from, to int, _ consensus.Message) (time.Duration, bool) { return 0, to != lag && from != lag })
			n.run(3 * time.Second)
			n.SetDeliver(nil)
			n.progress(4 * time.Second)
			if gap := n.top() - len(n.Replica(lag).Chain); gap > 20 {
				t.Errorf("T=%d: replica %d is %d blocks behind after 4 s", shape[0], lag, gap)
			}
		}
	}
}

// 20: rounds double during an outage. Ten minutes without a quorum, then a
// commit within five seconds.
func TestIncident20_tenMinutesWithoutQuorum(t *testing.T) {
	skip := thinned(3)
	for _, shape := range shapes {
		for _, cut := range []bool{true, false} {
			if skip() {
				continue
			}
			n := build(t, config(4, shape[0], shape[1]))
			n.run(300 * time.Millisecond)
			if cut {
				n.SetDeliver(func(from, to int, _ consensus.Message) (time.Duration, bool) { return 0, from/2 == to/2 })
			} else {
				n.Crash(0)
				n.Crash(3)
			}
			n.run(10 * time.Minute)
			if cut {
				n.SetDeliver(nil)
			} else {
				n.Start(0)
				n.Start(3)
			}
			n.progress(5 * time.Second)
		}
	}
}

// The same with a quorum that speaks but gets no proposal: views pass, and
// timeouts must not grow with them.
func TestIncident20_tenMinutesWithoutProposals(t *testing.T) {
	skip := thinned(3)
	for _, shape := range shapes {
		if skip() {
			continue
		}
		n := build(t, config(4, shape[0], shape[1]))
		n.run(300 * time.Millisecond)
		n.SetDeliver(func(_, _ int, m consensus.Message) (time.Duration, bool) {
			_, proposal := m.(*consensus.Proposal)
			return 0, !proposal
		})
		n.run(10 * time.Minute)
		n.SetDeliver(nil)
		n.progress(5 * time.Second)
	}
}

// 21: idle chains stall. View changes while nothing is wanted, then work.
func TestIncident21_idle_thenWork(t *testing.T) {
	skip := thinned(3)
	for _, shape := range shapes {
		for dead := range 4 {
			if skip() {
				continue
			}
			cfg := config(4, shape[0], shape[1])
			cfg.Work = false
			n := build(t, cfg)
			n.run(3 * time.Second)
			n.Crash(dead)
			n.run(8 * time.Second)
			before := n.top()
			n.SetWork(true)
			n.run(2 * time.Second)
			if got := n.top(); got < before+20 {
				t.Errorf("T=%d, replica %d dead: %d blocks in 2 s of work after idling", shape[0], dead, got-before)
			}
			n.Start(dead)
			n.progress(4 * time.Second)
		}
	}
}

// The leader of a view that was entered idle says that it is there and proposes
// nothing: nobody suspects it, so only the timers of the others can move on.
func TestIncident21_idle_thenWorkUnderASilentLeader(t *testing.T) {
	for _, shape := range shapes {
		for silent := range 2 {
			cfg := config(4, shape[0], shape[1])
			cfg.Work = false
			n := build(t, cfg)
			n.Become(silent, consensustest.Laggard{})
			n.run(8 * time.Second)
			n.SetWork(true)
			n.progress(6*time.Second, silent)
		}
	}
}

// 22: a wiped validator rejoins by itself and is needed afterwards.
func TestIncident22_wipedValidator_isNeededLater(t *testing.T) {
	skip := thinned(4)
	for _, shape := range shapes {
		for wiped := range 4 {
			if skip() {
				continue
			}
			n := build(t, config(4, shape[0], shape[1]))
			n.run(500 * time.Millisecond)
			n.Crash(wiped)
			n.Forget(wiped)
			n.run(time.Second)
			n.Start(wiped)
			n.run(10 * time.Second)
			other := (wiped + 1) % 4
			n.Crash(other)
			n.progress(8*time.Second, other)
		}
	}
}

// All replicas restart again and again while votes are lost: certificates of
// nullified views are in no log and must be made again.
func TestRestarts_ofEverybody_leaveNoGap(t *testing.T) {
	skip := thinned(4)
	for _, shape := range shapes {
		for round := range 12 {
			if skip() {
				continue
			}
			n := build(t, config(4, shape[0], shape[1]))
			n.run(100 * time.Millisecond)
			n.SetDeliver(func(from, to int, m consensus.Message) (time.Duration, bool) {
				_, proposal := m.(*consensus.Proposal)
				return time.Duration(round*7%23) * time.Millisecond, !proposal && (from+to+round)%5 != 0
			})
			for k := range 5 {
				n.run(time.Duration(300+170*round) * time.Millisecond)
				for i := range 4 {
					if (i+k+round)%4 != 0 || k%2 == 1 {
						n.Crash(i)
						n.Start(i)
					}
				}
			}
			n.SetDeliver(nil)
			n.progress(6 * time.Second)
		}
	}
}
