package testframework_test

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/testframework"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// A node that cannot store must not vote, and clients that keep it from ending must not change that.
func TestCluster_storageFaultStopsVotes(t *testing.T) {
	disk := simdisk.NewLevelDB(1)
	c, ctx := start(t, testframework.Options{
		Nodes:     1,
		Configure: func(_ int, cfg *config.Config) { cfg.Consensus.MaxIdle = 20 * time.Millisecond },
		Assemble:  func(_ int, o *node.Options) { o.WrapStorage = disk.Wrap },
	}, testlog.Expect("journal"), testlog.Expect("blocks.ldb"))
	must(t, c.WaitHeight(ctx, 0, 3))
	n := c.Node(0)
	slow, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(n.RPCURL(), "http://"))
	must(t, err)
	defer func() { _ = slow.Close() }()
	_, err = slow.Write([]byte("POST / HTTP/1.1\r\n")) // and not the rest
	must(t, err)

	disk.FailNext("blocks.ldb journal sync", simdisk.Fault{Err: syscall.EIO, Sticky: true})
	faulty := func() bool { return strings.Contains(strings.Join(n.Status().Reasons, " "), "storage_fault") }
	for tick := time.NewTicker(time.Millisecond); !faulty(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the fault was not noticed")
		}
	}
	before := n.Status().View
	select {
	case <-c.Ended(0):
		t.Log("the node did not wait for its client")
	case <-time.After(time.Second):
	}
	if after := n.Status().View; after > before+1 {
		t.Errorf("the node went from view %d to %d after a failed write", before, after)
	}
	_ = slow.Close()
	if err := c.Stop(0); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("the node ended with %v", err)
	}
}
