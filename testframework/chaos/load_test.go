package chaos_test

import (
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

const perSecond = 500

// Every transfer that clients send through all four nodes is in the chain exactly once, and no wei is
// lost.
func TestNetwork_load(t *testing.T) {
	n := start(t)
	accounts, count := pick(100, 1000), pick(1000, 20_000)
	w := fund(t, n, accounts)
	list := transfers(t, w, count)
	before := usage(t, n)
	height := chaos.Highest(t.Context(), n.Clients()...)
	began := time.Now()

	l := &chaos.Load{Clients: n.Clients(), Transfers: list, PerSecond: perSecond}
	results, err := l.Run(bounded(t, time.Duration(count/perSecond)*time.Second+time.Minute))
	took := time.Since(began)
	after := usage(t, n)
	check(t, err)

	f := results.Figures()
	t.Logf("%d accounts, %d/s: %v", accounts, perSecond, f)
	var total time.Duration
	for i, node := range n.Nodes {
		cpu := after[i].CPU - before[i].CPU
		total += cpu
		t.Logf("%s: %.2f CPU s (%.0f %% of a core), RSS %d MiB, peak %d MiB",
			node.Name, cpu.Seconds(), 100*cpu.Seconds()/took.Seconds(), after[i].RSS>>20, after[i].Peak>>20)
	}
	t.Logf("%d blocks; %.3f CPU s per 1,000 transfers, all nodes together",
		chaos.Highest(t.Context(), n.Clients()...)-height, total.Seconds()*1000/float64(count))

	blocks := agree(t, n)
	check(t, chaos.Once(blocks, list))
	conserved(t, n, w)
	check(t, chaos.Kept(t.Context(), results.Seen(), n.Clients()...))
}

func usage(t *testing.T, n *chaos.Network) []chaos.Usage {
	t.Helper()
	var all []chaos.Usage
	for _, node := range n.Nodes {
		u, err := chaos.UsageOf(node.PID)
		check(t, err)
		all = append(all, u)
	}
	return all
}

// go-ethereum's client computes from the header's fields the hash that the node says, at each height.
func TestNetwork_ethclient(t *testing.T) {
	n := start(t)
	w := fund(t, n, 20)
	l := &chaos.Load{Clients: n.Clients(), Transfers: transfers(t, w, pick(200, 2000)), PerSecond: perSecond}
	_, err := l.Run(bounded(t, time.Minute))
	check(t, err)
	blocks := agree(t, n)
	withTransfers := 0
	for _, node := range n.Nodes {
		client, err := ethclient.DialContext(t.Context(), node.RPC)
		check(t, err)
		t.Cleanup(client.Close)
		for _, b := range blocks {
			got, err := client.BlockByHash(t.Context(), b.Hash)
			if err != nil {
				t.Fatalf("%s: block %d by its hash: %v", node.Name, b.Number, err)
			}
			if got.Hash() != b.Hash || got.NumberU64() != uint64(b.Number) || got.Root() != b.StateRoot || len(got.Transactions()) != len(b.Transactions) {
				t.Fatalf("%s: block %d: ethclient computes %s, the node says %s", node.Name, b.Number, got.Hash(), b.Hash)
			}
			for i, tx := range got.Transactions() {
				if tx.Hash() != b.Transactions[i] {
					t.Fatalf("%s: block %d: ethclient computes %s for transaction %d, the node says %s", node.Name, b.Number, tx.Hash(), i, b.Transactions[i])
				}
				withTransfers++
			}
		}
	}
	t.Logf("%d blocks and %d transactions on 4 nodes have the hash that ethclient computes", len(blocks), withTransfers/len(n.Nodes))
}
