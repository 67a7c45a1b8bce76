package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// The doctor names the cause of what is injected, and is quiet on a healthy network, idle and under load.
func TestNetwork_doctor(t *testing.T) {
	n := start(t)
	w := fund(t, n, 50)
	for _, scenario := range []struct {
		name string
		run  func(*clinic, *testing.T)
	}{
		{"healthy", (*clinic).healthy},
		{"node paused", (*clinic).paused},
		{"quorum lost", (*clinic).quorumLost},
		{"clock 30 s fast", func(c *clinic, t *testing.T) { c.clock(t, 30*time.Second, "ahead") }},
		{"clock 30 s slow", func(c *clinic, t *testing.T) { c.clock(t, -30*time.Second, "behind") }},
		{"wrong genesis", (*clinic).wrongGenesis},
		{"duplicate key", (*clinic).duplicateKey},
		{"disk full", (*clinic).diskFull},
	} {
		if !t.Run(scenario.name, func(t *testing.T) { scenario.run(&clinic{n, w}, t) }) {
			return // the network is not what the next scenario expects
		}
	}
}

// clinic is a network under the doctor's eyes.
type clinic struct {
	*chaos.Network
	wallet *chaos.Wallet
}

// says waits until the doctor's answer is as wanted.
func (c *clinic) says(t *testing.T, want string, ok func(*chaos.Verdict) bool, prefix []string, args ...string) *chaos.Verdict {
	t.Helper()
	var v *chaos.Verdict
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	err := chaos.Await(ctx, 200*time.Millisecond, func() (bool, error) {
		var err error
		v, err = chaos.Doctor(ctx, prefix, binary(t), args...)
		return err == nil && ok(v), err
	})
	if err != nil {
		t.Fatalf("the doctor does not say %s: %v; it says: %v", want, err, v)
	}
	t.Logf("after %v: %v", ms(time.Since(began)), v)
	return v
}

// names waits until the doctor names a cause, with words in its text, and checks the exit code.
func (c *clinic) names(t *testing.T, cause string, words []string, args ...string) *chaos.Finding {
	t.Helper()
	v := c.says(t, fmt.Sprint(cause, words), func(v *chaos.Verdict) bool { return v.Found(cause, words...) != nil }, nil, args...)
	f := v.Found(cause, words...)
	if v.Code != 6 || v.Healthy || f.Do == "" || len(f.Figures) == 0 {
		t.Errorf("exit code %d, healthy %v, what to do %q, figures %v", v.Code, v.Healthy, f.Do, f.Figures)
	}
	return f
}

// well waits until the doctor finds nothing.
func (c *clinic) well(t *testing.T) {
	t.Helper()
	c.says(t, "that all is well", func(v *chaos.Verdict) bool { return v.Code == 0 && len(v.All()) == 0 }, nil, "--dir", c.Dir)
}

func (c *clinic) healthy(t *testing.T) {
	c.well(t)
	quiet := func(until func() bool) (asked int) {
		for ; !until(); asked++ {
			v, err := chaos.Doctor(t.Context(), nil, binary(t), "--dir", c.Dir)
			check(t, err)
			if found := v.All(); len(found) > 0 || v.Code != 0 || !v.Healthy {
				t.Fatalf("on a healthy network the doctor says: %v", v)
			}
		}
		return asked
	}
	idle := time.Now()
	t.Logf("nothing found in %d answers about an idle network", quiet(func() bool { return time.Since(idle) > pick(5*time.Second, time.Minute) }))
	list := transfers(t, c.wallet, pick(5, 60)*perSecond)
	l := &chaos.Load{Clients: c.Clients(), Transfers: list, PerSecond: perSecond}
	results, wait := l.Start(bounded(t, 3*time.Minute))
	done := make(chan struct{}) // closed by the goroutine
	go func() { defer close(done); wait() }()
	asked := quiet(func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	check(t, results.Complete())
	t.Logf("nothing found in %d answers under %d transfers a second", asked, perSecond)
}

func (c *clinic) paused(t *testing.T) {
	victim := c.Nodes[2]
	check(t, victim.Signal(syscall.SIGSTOP))
	defer func() { check(t, victim.Signal(syscall.SIGCONT)) }()
	c.names(t, "peer_paused", []string{victim.Name}, "--rpc", c.Nodes[0].RPC)
	// Whoever is disconnected after 7 s is paused all the same.
	c.says(t, "that it is gone and paused", func(v *chaos.Verdict) bool {
		f := v.Found("peer_paused", victim.Name)
		return f != nil && f.Figures["connected"] == false
	}, nil, "--rpc", c.Nodes[0].RPC)
	c.names(t, "process_paused", []string{fmt.Sprint(victim.PID)}, "--home", victim.Home)
	check(t, victim.Signal(syscall.SIGCONT))
	c.well(t)
}

func (c *clinic) quorumLost(t *testing.T) {
	victims := c.Nodes[1:3]
	check(t, c.Crash(t.Context(), victims...))
	f := c.names(t, "no_quorum", []string{victims[0].Name, victims[1].Name}, "--rpc", c.Nodes[0].RPC)
	if f.Figures["inReach"] != 2.0 || f.Figures["quorum"] != 3.0 {
		t.Errorf("the figures are %v", f.Figures)
	}
	c.names(t, "not_running", []string{victims[0].Home}, "--home", victims[0].Home)
	check(t, c.Restart(t.Context(), victims...))
	c.well(t)
}

// instead stops a node and runs its home, or another one, in another way until the end of the test.
func (c *clinic) instead(t *testing.T, victim *chaos.Node, args ...string) (goBack func()) {
	t.Helper()
	check(t, c.Stop(t.Context(), victim))
	p, err := chaos.StartProcess(binary(t), append([]string{"run"}, args...)...)
	check(t, err)
	t.Cleanup(func() { p.Kill() })
	check(t, p.Answers(bounded(t, 30*time.Second), victim.Client))
	return func() {
		p.Kill()
		check(t, c.Restart(t.Context(), victim))
		c.well(t)
	}
}

func (c *clinic) clock(t *testing.T, offset time.Duration, way string) {
	victim := c.Nodes[3]
	goBack := c.instead(t, victim, "--home", victim.Home, "--unsafe-clock-offset="+offset.String())
	f := c.names(t, "clock_skew", []string{"this node", "30s", way}, "--rpc", victim.RPC)
	if got := f.Figures["offsetMs"].(float64); got < float64(offset.Milliseconds())-1000 || got > float64(offset.Milliseconds())+1000 {
		t.Errorf("the clock is %v ms off, the doctor measured %v", offset.Milliseconds(), got)
	}
	c.names(t, "clock_skew", []string{victim.Name, "30s", way}, "--rpc", c.Nodes[0].RPC)
	s := struct {
		ClockOffsetMs int64 `json:"clockOffsetMs"`
	}{}
	check(t, victim.Client.Call(t.Context(), &s, "tercet_status"))
	if s.ClockOffsetMs != offset.Milliseconds() {
		t.Errorf("tercet_status says that the clock is shifted by %d ms", s.ClockOffsetMs)
	}
	tx := transfers(t, c.wallet, 1)[0] // the chain goes on, also through the node that is wrong
	_, err := victim.Client.SendSync(t.Context(), tx.Raw, 20*time.Second)
	check(t, err)
	goBack()
}

func (c *clinic) wrongGenesis(t *testing.T) {
	victim := c.Nodes[1]
	other := filepath.Join(c.Dir, "other-genesis")
	check(t, chaos.CopyHome(filepath.Join(other, "keys"), filepath.Join(victim.Home, "keys")))
	raw, err := os.ReadFile(filepath.Join(victim.Home, "config.toml"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(other, "config.toml"), raw, 0o600))
	raw, err = os.ReadFile(filepath.Join(victim.Home, "genesis.json"))
	check(t, err)
	changed := strings.Replace(string(raw), `"maxOrderedAhead": 64`, `"maxOrderedAhead": 63`, 1)
	if changed == string(raw) {
		t.Fatal("the genesis is not as this test expects")
	}
	check(t, os.WriteFile(filepath.Join(other, "genesis.json"), []byte(changed), 0o600))
	check(t, os.MkdirAll(filepath.Join(other, "data"), 0o700))
	e, err := chaos.Command(t.Context(), 30*time.Second, binary(t), "init", "--home", other, "--rejoin")
	check(t, err)
	if e.Code != 0 {
		t.Fatal(e.Stderr)
	}
	goBack := c.instead(t, victim, "--home", other)
	f := c.names(t, "wrong_genesis", []string{"node1", "node3", "node4", "probably this node"}, "--rpc", victim.RPC)
	c.names(t, "wrong_genesis", []string{victim.Name, fmt.Sprint(f.Figures["network"]), fmt.Sprint(f.Figures["theirs"])}, "--rpc", c.Nodes[0].RPC)
	c.names(t, "wrong_genesis", []string{"different chains"}, "--rpc", c.Nodes[0].RPC, "--rpc", victim.RPC)
	goBack()
	// The same mistake on a home that has blocks is found where it lies.
	check(t, c.Stop(t.Context(), victim))
	check(t, os.WriteFile(filepath.Join(victim.Home, "genesis.json"), []byte(changed), 0o600))
	c.names(t, "wrong_genesis", []string{"blocks.ldb"}, "--home", victim.Home)
	check(t, os.WriteFile(filepath.Join(victim.Home, "genesis.json"), raw, 0o600))
	check(t, c.Restart(t.Context(), victim))
	c.well(t)
}

func (c *clinic) duplicateKey(t *testing.T) {
	victim := c.Nodes[2]
	twin := filepath.Join(c.Dir, "twin")
	check(t, c.Stop(t.Context(), victim))
	check(t, chaos.CopyHome(twin, victim.Home))
	check(t, c.Restart(t.Context(), victim))
	base, err := chaos.FreeBase(1)
	check(t, err)
	rpc := fmt.Sprintf("127.0.0.1:%d", base)
	p, err := chaos.StartProcess(binary(t), "run", "--home", twin, "--set", "rpc.listen="+rpc,
		"--set", fmt.Sprintf("ops.listen=127.0.0.1:%d", base+1), "--set", fmt.Sprintf("p2p.listen=/ip4/127.0.0.1/tcp/%d", base+2))
	check(t, err)
	defer p.Kill()
	client := chaos.NewClient("twin", "http://"+rpc)
	defer client.Close()
	check(t, p.Answers(bounded(t, 30*time.Second), client))
	c.names(t, "duplicate_key", []string{"two processes use the keys of " + victim.Name}, "--rpc", c.Nodes[0].RPC)
	c.names(t, "duplicate_key", []string{"this"}, "--rpc", victim.RPC)
	c.names(t, "duplicate_key", []string{"different processes with one key"}, "--rpc", victim.RPC, "--rpc", client.URL)
	p.Kill()
}

// diskFull is the last scenario: the validators remember the twin of the one before, so it looks at one node.
func (c *clinic) diskFull(t *testing.T) {
	victim := c.Nodes[1]
	data := filepath.Join(victim.Home, "data")
	check(t, c.Stop(t.Context(), victim))
	v, err := chaos.NewVolume(bounded(t, 10*time.Second), data, 256<<20)
	if errors.Is(err, chaos.ErrNoVolume) {
		check(t, c.Restart(t.Context(), victim))
		t.Skipf("the disk is not filled: %v", err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, v.Close()) })
	check(t, chaos.CopyHome(v.Path(data), data))
	words := append(v.Prefix(), binary(t), "run", "--home", victim.Home)
	p, err := chaos.StartProcess(words[0], words[1:]...)
	check(t, err)
	t.Cleanup(func() { p.Kill() })
	check(t, p.Answers(bounded(t, 30*time.Second), victim.Client))
	c.names(t, "disk_low", []string{data}, "--rpc", victim.RPC)
	check(t, v.Fill("some", 32<<20))
	c.names(t, "disk_full", []string{data}, "--rpc", victim.RPC)
	check(t, v.Fill("rest", 0))
	check(t, chaos.Await(bounded(t, time.Minute), 50*time.Millisecond, func() (bool, error) {
		_, ended := p.Ended() // its next write fails: heartbeats come every second
		return ended, nil
	}))
	e, _ := p.Ended()
	t.Logf("the node ended with code %d: %v", e.Code, e.Lines())
	c.says(t, "that the disk is full", func(v *chaos.Verdict) bool { return v.Found("disk_full", data) != nil && v.Code == 6 },
		v.Prefix(), "--home", victim.Home)
	// Its journal went with the volume, and the one below is older: it must not vote again.
	others := []*chaos.Client{c.Nodes[0].Client, c.Nodes[2].Client, c.Nodes[3].Client}
	head, err := chaos.Level(t.Context(), chaos.Highest(t.Context(), others...)+1, 30*time.Second, others...)
	check(t, err)
	_, err = chaos.SameChain(t.Context(), 0, head, others...)
	check(t, err)
}
