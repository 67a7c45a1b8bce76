package chaos_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// Without two of four nothing is decided; when they are back the chain goes on by itself.
func TestNetwork_halfStopped(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	victims, others := n.Nodes[1:3], []*chaos.Node{n.Nodes[0], n.Nodes[3]}
	kept := []int{others[0].PID, others[1].PID}
	outage := pick(10*time.Second, 2*time.Minute)

	check(t, n.Stop(t.Context(), victims...))
	// What was on its way when the two stopped may still arrive.
	check(t, chaos.Pause(t.Context(), time.Second))
	before := chaos.Highest(t.Context(), others[0].Client, others[1].Client)
	list := transfers(t, w, 100)
	for _, tx := range list {
		check(t, others[0].Client.Send(t.Context(), tx.Raw)) // in a batch: it waits for nothing
	}
	check(t, chaos.Pause(t.Context(), outage))
	if head := chaos.Highest(t.Context(), others[0].Client, others[1].Client); head != before {
		t.Fatalf("two of four decided: height %d, then %d", before, head)
	}

	watching, unwatch := context.WithCancel(t.Context())
	watch, watched := chaos.StartWatch(watching, before, others[0].Client, others[1].Client)
	began := time.Now()
	check(t, n.Restart(t.Context(), victims...))
	answers := time.Now()
	_, err := chaos.Level(t.Context(), before+1, time.Minute, n.Clients()...)
	check(t, err)
	level := time.Now()
	var first time.Time
	check(t, chaos.Await(bounded(t, time.Minute), 5*time.Millisecond, func() (ok bool, err error) {
		first, ok = watch.FirstAfter(began)
		return ok, nil
	}))
	unwatch()
	watched()
	if d := first.Sub(began); d > limit(5*time.Second) {
		t.Errorf("the first block came %v after the two were started, at most 5 s are promised", d)
	}
	l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: perSecond} // asks for receipts
	results, err := l.Run(bounded(t, time.Minute))
	check(t, err)
	if now := []int{others[0].PID, others[1].PID}; !slices.Equal(now, kept) || !others[0].Running() || !others[1].Running() {
		t.Errorf("the nodes that stayed had pids %v, and have %v", kept, now)
	}
	t.Logf("two of four away for %v: the first block %v after their start began, %v after they answered; on all nodes after %v; pids of the others unchanged",
		outage, ms(first.Sub(began)), ms(first.Sub(answers)), ms(level.Sub(began)))
	check(t, chaos.Once(agree(t, n), list))
	check(t, chaos.Kept(t.Context(), results.Seen(), n.Clients()...))
	conserved(t, n, w)
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// Two of four are paused, as by a debugger or a hypervisor, and go on.
func TestNetwork_halfPaused(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	before := pids(n)
	outage := pick(5*time.Second, time.Minute)
	for _, node := range n.Nodes[:2] {
		check(t, node.Signal(syscall.SIGSTOP))
	}
	check(t, chaos.Pause(t.Context(), outage))
	began := time.Now()
	for _, node := range n.Nodes[:2] {
		check(t, node.Signal(syscall.SIGCONT))
	}
	head := chaos.Highest(t.Context(), n.Nodes[3].Client)
	_, err := chaos.Level(t.Context(), head+1, time.Minute, n.Nodes[2].Client, n.Nodes[3].Client)
	check(t, err)
	took := time.Since(began)
	if took > limit(5*time.Second) {
		t.Errorf("the first block came %v after the two went on, at most 5 s are promised", took)
	}
	list := transfers(t, w, 200)
	l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: perSecond}
	_, err = l.Run(bounded(t, time.Minute))
	check(t, err)
	if now := pids(n); !slices.Equal(now, before) {
		t.Errorf("pids were %v and are %v", before, now)
	}
	t.Logf("two of four paused for %v: a new block %v after they went on", outage, ms(took))
	check(t, chaos.Once(agree(t, n), list))
	conserved(t, n, w)
}

// A network without transactions costs next to nothing, and the next transaction does not wait.
func TestNetwork_idle(t *testing.T) {
	n := start(t)
	w := fund(t, n, 10)
	check(t, chaos.Pause(t.Context(), 2*time.Second)) // the last blocks of the funding are flushed
	idle := pick(10*time.Second, 2*time.Minute)
	before, height, began := usage(t, n), chaos.Highest(t.Context(), n.Clients()...), time.Now()
	check(t, chaos.Pause(t.Context(), idle))
	took, after := time.Since(began), usage(t, n)
	for i, node := range n.Nodes {
		percent := 100 * (after[i].CPU - before[i].CPU).Seconds() / took.Seconds()
		t.Logf("%s idle for %v: %.2f %% of a core, RSS %d MiB", node.Name, idle, percent, after[i].RSS>>20)
		if percent > pick(3.0*slack, 3.0) {
			t.Errorf("%s used %.2f %% of a core, at most 3 %% are promised", node.Name, percent)
		}
	}
	blocks := chaos.Highest(t.Context(), n.Clients()...) - height
	tx := transfers(t, w, 1)[0]
	sent := time.Now()
	r, err := n.Nodes[2].Client.SendSync(t.Context(), tx.Raw, 20*time.Second)
	check(t, err)
	receipt := time.Since(sent)
	check(t, chaos.Await(bounded(t, time.Minute), 5*time.Millisecond, func() (bool, error) {
		for _, c := range n.Clients() {
			if other, err := c.Receipt(t.Context(), tx.Hash); err != nil || other == nil {
				return false, err
			}
		}
		return true, nil
	}))
	everywhere := time.Since(sent)
	if everywhere > limit(time.Second) {
		t.Errorf("the transaction after the silence was final on all nodes after %v, at most 1 s is promised", everywhere)
	}
	t.Logf("%d blocks in the silence; the next transaction had its receipt (block %d) after %v, on all nodes after %v", blocks, r.BlockNumber, ms(receipt), ms(everywhere))
	agree(t, n)
	conserved(t, n, w)
}

// A transaction that comes now and then to a network without load is final in milliseconds, through
// whichever node and at whatever moment between heartbeats it comes; also when one of four is down, save
// for those that meet its term.
func TestNetwork_lowLoad(t *testing.T) {
	n := start(t)
	w := fund(t, n, 10)
	check(t, chaos.Pause(t.Context(), time.Second)) // the funding is certified
	took := nowAndThen(t, n, transfers(t, w, pick(60, 600)), n.Clients())
	if p50, p99 := took[len(took)/2], took[len(took)*99/100]; p50 > limit(10*time.Millisecond) || p99 > limit(50*time.Millisecond) {
		t.Errorf("p50 %v and p99 %v, at most 10 and 50 ms are promised", p50, p99)
	}
	check(t, n.Crash(t.Context(), n.Nodes[3]))
	check(t, chaos.Pause(t.Context(), 2*time.Second)) // the others notice
	took = nowAndThen(t, n, transfers(t, w, pick(60, 300)), n.Clients()[:3])
	if p50, longest := took[len(took)/2], took[len(took)-1]; p50 > limit(10*time.Millisecond) || longest > limit(time.Second) {
		t.Errorf("with one of four down p50 %v, longest %v, at most 10 ms and 1 s are promised", p50, longest)
	}
	check(t, n.Restart(t.Context(), n.Nodes[3]))
	agree(t, n)
	conserved(t, n, w)
}

// nowAndThen sends transfers one after the other, with pauses, through clients in turn, and returns how
// long each took to its receipt, the shortest first.
func nowAndThen(t *testing.T, n *chaos.Network, list []*chaos.Transfer, clients []*chaos.Client) []time.Duration {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	var took []time.Duration
	height := chaos.Highest(t.Context(), clients...)
	for i, tx := range list {
		check(t, chaos.Pause(t.Context(), time.Duration(20+random.IntN(180))*time.Millisecond))
		sent := time.Now()
		_, err := clients[i%len(clients)].SendSync(t.Context(), tx.Raw, 20*time.Second)
		check(t, err)
		took = append(took, time.Since(sent))
	}
	slices.Sort(took)
	at := func(q int) time.Duration { return took[len(took)*q/100].Round(100 * time.Microsecond) }
	t.Logf("%d of %d nodes up, %d transfers, one every 20 to 200 ms: from sending to the receipt p50 %v, p90 %v, p99 %v, longest %v; %d blocks",
		len(clients), len(n.Nodes), len(took), at(50), at(90), at(99), took[len(took)-1].Round(100*time.Microsecond), chaos.Highest(t.Context(), clients...)-height)
	return took
}
