package chaos_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// A node that lost its blocks, and one that lost its safety journal too, get the chain from the others
// under load; the first votes again at once, the second when it is safe.
func TestNetwork_wiped(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	var all []*chaos.Transfer
	for _, tc := range []struct {
		name   string
		victim *chaos.Node
		wipe   []string
	}{
		{"blocks", n.Nodes[2], []string{"node3", "--all"}},
		{"blocks and journal", n.Nodes[1], []string{"node2", "--all", "--forget-votes"}},
	} {
		const rate = 200
		list := transfers(t, w, pick(4, 30)*rate)
		all = append(all, list...)
		l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: rate}
		results, wait := l.Start(bounded(t, 2*time.Minute))
		check(t, chaos.Pause(t.Context(), time.Second))
		check(t, n.Wipe(t.Context(), tc.wipe...))
		began := time.Now()
		check(t, n.Restart(t.Context(), tc.victim))
		votes := proposes(t, n, tc.victim, began)
		wait()
		check(t, results.Complete())
		blocks := agree(t, n)
		check(t, chaos.Kept(t.Context(), results.Seen(), n.Clients()...))
		t.Logf("%s lost its %s: it proposed again %v after its restart began; all nodes have the same %d blocks", tc.victim.Name, tc.name, ms(votes), len(blocks))
	}
	check(t, chaos.Once(agree(t, n), all))
	conserved(t, n, w)
}

// A validator that lost its journal in a network without traffic waits for heartbeats only: it says until
// which view it follows, and votes again by itself.
func TestNetwork_wipedIdle(t *testing.T) {
	if !*long {
		t.Skip("terms of 16 views last 16 s without traffic")
	}
	n := start(t)
	victim := n.Nodes[1]
	check(t, n.Wipe(t.Context(), victim.Name, "--all", "--forget-votes"))
	began := time.Now()
	check(t, n.Restart(t.Context(), victim))
	said := ""
	check(t, chaos.Await(bounded(t, 90*time.Second), 20*time.Millisecond, func() (bool, error) {
		s, err := victim.Client.Status(t.Context())
		if err != nil {
			return false, err
		}
		reasons := strings.Join(s.Reasons, "; ")
		if strings.Contains(reasons, "it follows until view ") {
			said = reasons
		}
		return said != "" && reasons == "", nil
	}))
	t.Logf("%s lost its blocks and journal; without traffic it was ready again %v after its restart began; it said: %s", victim.Name, ms(time.Since(began)), said)
	w := fund(t, n, 10)
	list := transfers(t, w, 200)
	l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: 100}
	results, wait := l.Start(bounded(t, time.Minute))
	proposes(t, n, victim, time.Now())
	wait()
	check(t, results.Complete())
	agree(t, n)
	conserved(t, n, w)
}

// A node that is killed while it rebuilds what was deleted begins again, as often as it takes.
func TestNetwork_killedInRebuild(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	list := transfers(t, w, pick(500, 10_000))
	l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: perSecond}
	results, err := l.Run(bounded(t, time.Minute))
	check(t, err)
	victim := n.Nodes[3]
	for round := range pick(1, 10) {
		before := agree(t, n)
		check(t, n.Crash(t.Context(), victim))
		for _, name := range []string{"state.ldb", "index.ldb"} {
			check(t, os.RemoveAll(victim.Data(name)))
		}
		p, err := chaos.StartProcess(binary(t), "run", "--home", victim.Home)
		check(t, err)
		check(t, chaos.Pause(t.Context(), time.Duration(50+round*70%400)*time.Millisecond))
		if e, ended := p.Ended(); ended {
			t.Errorf("the node ended by itself with code %d: %s", e.Code, lastLines(e.Stderr, 5))
		}
		p.Kill()
		check(t, n.Restart(t.Context(), victim))
		_, err = chaos.Level(t.Context(), uint64(len(before))+1, 30*time.Second, n.Clients()...)
		check(t, err)
		agree(t, n)
		check(t, w.Conserved(t.Context(), victim.Client))
		check(t, chaos.Kept(t.Context(), results.Seen(), victim.Client))
	}
	check(t, chaos.Once(agree(t, n), list))
}
