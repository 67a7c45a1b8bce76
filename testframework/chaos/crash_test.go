package chaos_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// The leader dies under load: the others go on, and it comes back and votes.
func TestNetwork_leaderKilled(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	var all []*chaos.Transfer
	for round := range pick(1, 5) {
		const rate = 200
		list := transfers(t, w, 6*rate)
		all = append(all, list...)
		ctx, cancel := context.WithCancel(t.Context())
		watch, watched := chaos.StartWatch(ctx, chaos.Highest(ctx, n.Clients()...), n.Clients()...)
		l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: rate}
		results, wait := l.Start(bounded(t, time.Minute))
		check(t, chaos.Pause(t.Context(), 1500*time.Millisecond))

		killed := time.Now()
		victim := killLeader(t, n, round)
		check(t, chaos.Pause(t.Context(), 3*time.Second))
		gap, _ := watch.LongestGap(killed, time.Now())
		if gap > limit(2*time.Second) {
			t.Errorf("round %d: without %s no block for %v, at most 2 s are promised", round+1, victim.Name, gap)
		}

		restarted := time.Now()
		check(t, n.Restart(t.Context(), victim))
		answers := time.Since(restarted)
		votes := proposes(t, n, victim, restarted)
		wait()
		check(t, results.Complete())
		cancel()
		watched()
		t.Logf("round %d: %s killed; longest time without a block %v; restarted, it answered after %v and proposed again after %v; %v",
			round+1, victim.Name, gap.Round(time.Millisecond), answers.Round(time.Millisecond), votes.Round(time.Millisecond), results.Figures())
		agree(t, n)
		check(t, chaos.Kept(t.Context(), results.Seen(), n.Clients()...))
	}
	check(t, chaos.Once(agree(t, n), all))
	conserved(t, n, w)
}

// killLeader ends the leader: in every other round as an operator would, by "testnet kill leader".
func killLeader(t *testing.T, n *chaos.Network, round int) *chaos.Node {
	t.Helper()
	if round%2 == 1 {
		check(t, n.Kill(t.Context(), "leader"))
		for _, node := range n.Nodes {
			if !node.Running() {
				return node
			}
		}
		t.Fatal("testnet kill leader ended no node")
	}
	s, err := n.Nodes[round%len(n.Nodes)].Client.Status(t.Context())
	check(t, err)
	victim := n.ByAddress(t.Context(), s.Leader)
	if victim == nil {
		t.Fatalf("no node has the leader's address %s", s.Leader)
	}
	check(t, n.Crash(t.Context(), victim))
	return victim
}

// proposes waits until a node that came back is ready and its block is final, and returns how long
// that took.
func proposes(t *testing.T, n *chaos.Network, node *chaos.Node, since time.Time) time.Duration {
	t.Helper()
	ctx := bounded(t, limit(15*time.Second))
	s, err := node.Client.Status(ctx)
	check(t, err)
	// What the others have by then was decided without it.
	next := chaos.Highest(ctx, n.Clients()...) + 1
	var at time.Duration
	err = chaos.Await(ctx, 20*time.Millisecond, func() (bool, error) {
		for {
			b, err := node.Client.Block(ctx, next)
			if err != nil || b == nil {
				return false, err
			}
			if b.Miner == *s.Validator {
				at = time.Since(since)
				return true, nil
			}
			next++
		}
	})
	if err != nil {
		t.Fatalf("%s came back and none of its blocks became final up to %d: %v", node.Name, next, err)
	}
	err = chaos.Await(ctx, 50*time.Millisecond, func() (bool, error) {
		s, err = node.Client.Status(ctx)
		return err == nil && len(s.Reasons) == 0 && !s.Syncing, err
	})
	if err != nil {
		t.Fatalf("%s came back and is not ready: %v: %v", node.Name, err, s.Reasons)
	}
	return at
}

// All four die at the same moment under load, again and again: the chain goes on and no receipt that a
// client saw is lost.
func TestNetwork_allKilled(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	var all []*chaos.Transfer
	var seen []*chaos.Receipt
	rounds := pick(2, 20)
	var longest time.Duration
	for round := range rounds {
		const rate = 200
		list := transfers(t, w, 2*rate)
		all = append(all, list...)
		l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: rate}
		results, wait := l.Start(bounded(t, 90*time.Second))
		// The moment differs from round to round, so that it meets different steps.
		check(t, chaos.Pause(t.Context(), time.Second+time.Duration(round*37%300)*time.Millisecond))
		if round%2 == 0 {
			check(t, n.Crash(t.Context(), n.Nodes...))
		} else {
			check(t, n.Kill(t.Context(), "all"))
		}
		before := results.Seen()
		began := time.Now()
		check(t, n.Restart(t.Context(), n.Nodes...))
		head := chaos.Highest(t.Context(), n.Clients()...)
		_, err := chaos.Level(t.Context(), head+1, 30*time.Second, n.Clients()...)
		check(t, err)
		back := time.Since(began)
		longest = max(longest, back)
		check(t, chaos.Kept(t.Context(), before, n.Clients()...))
		wait()
		if err := results.Complete(); err != nil {
			t.Fatalf("round %d: %v", round+1, err)
		}
		seen = append(seen, results.Seen()...)
		t.Logf("round %d: %d receipts were seen before the end at about height %d, none is lost; a new block on all nodes %v after the restart began",
			round+1, len(before), head, back.Round(time.Millisecond))
		agree(t, n)
	}
	blocks := agree(t, n)
	check(t, chaos.Once(blocks, all))
	check(t, chaos.Kept(t.Context(), seen, n.Clients()...))
	conserved(t, n, w)
	t.Logf("%d rounds, %d blocks, %d receipts kept on four nodes; slowest restart to a new block %v", rounds, len(blocks), len(seen), longest.Round(time.Millisecond))
}

// What is derived from blocks is made again when it is gone: on one node, then on all.
func TestNetwork_stateDeleted(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	list := transfers(t, w, pick(300, 5000))
	l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: perSecond}
	results, err := l.Run(bounded(t, time.Minute))
	check(t, err)
	for _, victims := range [][]*chaos.Node{n.Nodes[1:2], n.Nodes} {
		before := agree(t, n)
		check(t, n.Stop(t.Context(), victims...))
		for _, node := range victims {
			for _, name := range []string{"state.ldb", "index.ldb"} {
				if _, err := os.Stat(node.Data(name)); err != nil {
					t.Fatalf("there is nothing to delete: %v", err)
				}
				check(t, os.RemoveAll(node.Data(name)))
			}
		}
		began := time.Now()
		check(t, n.Restart(t.Context(), victims...))
		took := time.Since(began)
		_, err := chaos.Level(t.Context(), uint64(len(before))+1, 30*time.Second, n.Clients()...)
		check(t, err)
		after := agree(t, n)
		for i, b := range before {
			if after[i].Hash != b.Hash || after[i].StateRoot != b.StateRoot {
				t.Fatalf("block %d was %s with state root %s, after the rebuild it is %s with %s", i, b.Hash, b.StateRoot, after[i].Hash, after[i].StateRoot)
			}
		}
		conserved(t, n, w)
		check(t, chaos.Kept(t.Context(), results.Seen(), n.Clients()...))
		t.Logf("state.ldb and index.ldb of %d nodes rebuilt from %d blocks: they answer %v after the restart began, with the same roots",
			len(victims), len(before), took.Round(time.Millisecond))
	}
	check(t, chaos.Once(agree(t, n), list))
}
