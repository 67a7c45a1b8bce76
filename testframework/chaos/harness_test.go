package chaos_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// The long forms are those of the acceptance targets of the Makefile. Their limits are the ones that are
// promised; the short forms, which run beside other tests, allow slack times as long.
var long = flag.Bool("long", os.Getenv("TERCET_LONG") != "", "run the long forms (also TERCET_LONG=1)")

const slack = 4

// schedule is T,W of the networks: TERCET_SCHEDULE=16,4, or what the program makes by default. The short
// forms take long terms with a window, where more is in flight at a time.
func schedule() string { return cmp.Or(os.Getenv("TERCET_SCHEDULE"), pick("16,4", "")) }

func pick[T any](short, longer T) T {
	if *long {
		return longer
	}
	return short
}

func limit(d time.Duration) time.Duration { return pick(slack*d, d) }

var build struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	if os.Getenv(floodEnv) != "" {
		if err := beFlood(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	code := m.Run()
	if build.dir != "" {
		if err := os.RemoveAll(build.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// binary is the program, built once for all tests of the package.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	build.once.Do(func() {
		build.dir, build.err = os.MkdirTemp("", "tercet-chaos-") //nolint:usetesting // it serves all tests, not this one
		if build.err == nil {
			build.path, build.err = chaos.Build(context.Background(), build.dir)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// start brings up four validators, which end with the test. A test that failed says what they saw.
func start(t *testing.T) *chaos.Network {
	t.Helper()
	program := binary(t)
	began := time.Now()
	n, err := chaos.Up(t.Context(), chaos.Options{Binary: program, Dir: t.TempDir(), Schedule: schedule()})
	t.Cleanup(func() {
		if t.Failed() {
			var b strings.Builder
			n.Report(context.Background(), &b)
			t.Log(b.String())
		}
		if err := n.Down(context.Background()); err != nil {
			t.Errorf("ending the network: %v", err)
		}
		if !n.PortsFree() {
			t.Error("the ports of the network are not free after its end")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("four validators with %v are final at height 3 after %v", n.Schedule, time.Since(began).Round(time.Millisecond))
	return n
}

// fund makes a wallet of so many accounts with an ether each.
func fund(t *testing.T, n *chaos.Network, accounts int) *chaos.Wallet {
	t.Helper()
	w, err := chaos.NewWallet(n.ChainID, accounts, t.Name())
	check(t, err)
	check(t, w.Fund(t.Context(), n.Nodes[0].Client, n.Accounts, big.NewInt(1e18)))
	return w
}

func transfers(t *testing.T, w *chaos.Wallet, count int) []*chaos.Transfer {
	t.Helper()
	list, err := w.Transfers(count)
	check(t, err)
	return list
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// agree waits until all nodes have what any node has, and returns the one chain that they agree on.
func agree(t *testing.T, n *chaos.Network) []*chaos.Block {
	t.Helper()
	head, err := chaos.Level(t.Context(), chaos.Highest(t.Context(), n.Clients()...), 30*time.Second, n.Clients()...)
	check(t, err)
	blocks, err := chaos.SameChain(t.Context(), 0, head, n.Clients()...)
	check(t, err)
	return blocks
}

// conserved checks the accounts on every node.
func conserved(t *testing.T, n *chaos.Network, w *chaos.Wallet) {
	t.Helper()
	for _, c := range n.Clients() {
		check(t, w.Conserved(t.Context(), c))
	}
}

// pids are the processes of the nodes.
func pids(n *chaos.Network) []int {
	var list []int
	for _, node := range n.Nodes {
		list = append(list, node.PID)
	}
	return list
}

// bounded is the test's context with an end.
func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
