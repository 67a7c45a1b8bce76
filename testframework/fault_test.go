package testframework_test

import (
	"context"
	"errors"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/testframework"
)

// traffic sends transfers through the nodes that run until it is stopped, and keeps the receipts.
type traffic struct {
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	seen []*types.Receipt // guarded by mu
}

// startTraffic lets each node serve one account, one transfer after the other. A transfer whose node is
// killed is sent again through the next one that runs.
func startTraffic(ctx context.Context, t *testing.T, c *testframework.Cluster) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	tr := &traffic{stop: cancel}
	for from := range c.Nodes() {
		tr.wg.Go(func() {
			for nonce := uint64(0); ctx.Err() == nil; nonce++ {
				raw, err := c.Transfer(from, nonce, common.Address{0xbb}, 1)
				if err != nil {
					t.Error(err)
					return
				}
				for try := 0; ctx.Err() == nil && !tr.send(ctx, c, (from+try)%c.Nodes(), raw); try++ {
				}
			}
		})
	}
	return tr
}

// send reports whether node i answered a receipt.
func (tr *traffic) send(ctx context.Context, c *testframework.Cluster, i int, raw []byte) bool {
	client := c.Client(i)
	if client == nil {
		return false
	}
	hash, err := client.Send(ctx, raw)
	if refused, ok := errors.AsType[*testframework.Error](err); ok {
		if !strings.Contains(refused.Message, "already known") && !strings.Contains(refused.Message, "nonce too low") {
			return false
		}
		tx := new(types.Transaction)
		if tx.UnmarshalBinary(raw) != nil {
			return false
		}
		hash = tx.Hash()
	} else if err != nil {
		return false
	}
	r, err := c.WaitReceipt(ctx, i, hash)
	if err != nil {
		return false
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.seen = append(tr.seen, r)
	return true
}

func (tr *traffic) receipts() []*types.Receipt {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return append([]*types.Receipt(nil), tr.seen...)
}

func (tr *traffic) finish() []*types.Receipt {
	tr.stop()
	tr.wg.Wait()
	return tr.receipts()
}

// highest is the newest height among the running nodes.
func highest(c *testframework.Cluster) uint64 {
	var top uint64
	for i := range c.Nodes() {
		if n := c.Node(i); n != nil {
			top = max(top, n.Newest().Height())
		}
	}
	return top
}

func TestCluster_leaderKilled(t *testing.T) {
	c, ctx := start(t, testframework.Options{})
	must(t, c.WaitAll(ctx, 2))
	tr := startTraffic(ctx, t, c)
	for range 2 {
		leader := c.Leader(0)
		must(t, c.Kill(leader))
		other := (leader + 1) % c.Nodes()
		must(t, c.WaitHeight(ctx, other, highest(c)+10))
		must(t, c.Start(ctx, leader))
		must(t, c.WaitHeight(ctx, leader, highest(c)+10))
	}
	seen := tr.finish()
	if len(seen) == 0 {
		t.Error("no transfer was answered")
	}
	must(t, c.WaitAll(ctx, highest(c)))
	must(t, c.Check(ctx, seen))
	must(t, c.Audit())
}

func TestCluster_allKilled(t *testing.T) {
	c, ctx := start(t, testframework.Options{})
	tr := startTraffic(ctx, t, c)
	checked := 0
	for range 3 {
		must(t, c.WaitAll(ctx, highest(c)+10))
		var wg sync.WaitGroup
		for i := range c.Nodes() {
			wg.Go(func() {
				if err := c.Kill(i); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		seen := tr.receipts()
		must(t, c.StartAll(ctx))
		must(t, c.WaitAll(ctx, highest(c)+2))
		must(t, c.Check(ctx, seen[checked:]))
		checked = len(seen)
	}
	must(t, c.Check(ctx, tr.finish()))
	must(t, c.Audit())
}

func TestCluster_derivedDatabasesDeleted(t *testing.T) {
	c, ctx := start(t, testframework.Options{})
	var seen []*types.Receipt
	for n := range uint64(5) {
		seen = append(seen, transfer(ctx, t, c, int(n)%4, 0, n))
	}
	must(t, c.Stop(1))
	must(t, c.WipeDerived(1))
	must(t, c.Start(ctx, 1))
	must(t, c.WaitAll(ctx, highest(c)))
	seen = append(seen, transfer(ctx, t, c, 1, 1, 0))
	must(t, c.WaitAll(ctx, highest(c)))
	must(t, c.Check(ctx, seen))
	must(t, c.Audit())
}

func TestCluster_acceptedWhileAlone(t *testing.T) {
	c, ctx := start(t, testframework.Options{})
	for _, i := range []int{1, 2, 3} {
		must(t, c.Stop(i))
	}
	raw, err := c.Transfer(0, 0, common.Address{0xcc}, 7)
	must(t, err)
	hash, err := c.Client(0).Send(ctx, raw)
	must(t, err)
	must(t, c.StartAll(ctx))
	for i := range c.Nodes() {
		_, err := c.WaitReceipt(ctx, i, hash)
		must(t, err)
	}
}

func TestCluster_replicaFollows(t *testing.T) {
	c, ctx := start(t, testframework.Options{Nodes: 1, Replicas: 1})
	receipt := transfer(ctx, t, c, 1, 0, 0) // submitted to the replica
	must(t, c.WaitCertified(ctx, 1, receipt.BlockNumber.Uint64()))
	must(t, c.Check(ctx, []*types.Receipt{receipt}))
}

// TestCluster_contracts deploys a counter and calls it while a node is killed and comes back: every node has the
// receipts, also of the creation that cannot be, and the same state.
func TestCluster_contracts(t *testing.T) {
	c, ctx := start(t, testframework.Options{})
	counter, err := os.ReadFile("../vm/testdata/counter.wasm")
	must(t, err)
	var seen []*types.Receipt
	execute := func(i int, data *types.LegacyTx) *types.Receipt {
		t.Helper()
		data.Nonce, data.GasPrice = uint64(len(seen)), new(big.Int)
		raw, err := c.Sign(0, data)
		must(t, err)
		hash, err := c.Client(i).Send(ctx, raw)
		must(t, err)
		r, err := c.WaitReceipt(ctx, i, hash)
		must(t, err)
		seen = append(seen, r)
		return r
	}
	if r := execute(0, &types.LegacyTx{Gas: 100_000, Data: []byte{0x60, 0x80, 0x60, 0x40}}); r.Status != 0 {
		t.Errorf("bytecode of the EVM is deployed: %+v", r)
	}
	at := execute(1, &types.LegacyTx{Gas: 5_000_000, Data: counter}).ContractAddress
	for i := range 8 {
		switch i {
		case 2:
			must(t, c.Kill(3))
		case 5:
			must(t, c.Start(ctx, 3))
		}
		if r := execute(i%3, &types.LegacyTx{Gas: 200_000, To: &at}); r.Status != 1 {
			t.Fatalf("call %d: %+v", i, r)
		}
	}
	for i := range 4 { // a receipt seen at one node may be of a block that another executes later
		must(t, c.WaitCertified(ctx, i, seen[len(seen)-1].BlockNumber.Uint64()))
	}
	var count common.Hash
	must(t, c.Client(3).Call(ctx, &count, "eth_getStorageAt", at, common.Hash{}, "latest"))
	if count != (common.Hash{31: 8}) {
		t.Errorf("the count is %s", count)
	}
	must(t, c.Check(ctx, seen))
	must(t, c.Audit())
}
