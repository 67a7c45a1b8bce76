package testframework_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/testframework"
)

// patience is how long a test waits for anything; everything normally takes less than a second.
const patience = 30 * time.Second

func start(t *testing.T, opts testframework.Options, expect ...testlog.Option) (*testframework.Cluster, context.Context) {
	t.Helper()
	log := testlog.New(t, append(expect, testlog.Level(slog.LevelInfo))...)
	opts.Logger = func(int) *slog.Logger { return log }
	opts.Dir = t.TempDir()
	c, err := testframework.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	if err := c.StartAll(ctx); err != nil {
		t.Fatal(err)
	}
	return c, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// transfer sends one wei from an account and returns the receipt that node i answers.
func transfer(ctx context.Context, t *testing.T, c *testframework.Cluster, i, from int, nonce uint64) *types.Receipt {
	t.Helper()
	raw, err := c.Transfer(from, nonce, common.Address{0xaa}, 1)
	must(t, err)
	hash, err := c.Client(i).Send(ctx, raw)
	must(t, err)
	r, err := c.WaitReceipt(ctx, i, hash)
	must(t, err)
	return r
}

func TestCluster_transfers(t *testing.T) {
	c, ctx := start(t, testframework.Options{})
	var seen []*types.Receipt
	for n := range uint64(3) {
		for i := range c.Nodes() {
			seen = append(seen, transfer(ctx, t, c, i, i, n))
		}
	}
	last := seen[len(seen)-1].BlockNumber.Uint64()
	must(t, c.WaitAll(ctx, last))
	for i := range c.Nodes() {
		must(t, c.WaitCertified(ctx, i, last))
		balance, err := c.Client(i).Balance(ctx, common.Address{0xaa})
		must(t, err)
		if balance.Uint64() != 12 {
			t.Errorf("node %d: the recipient has %s wei, want 12", i, balance)
		}
	}
	must(t, c.Check(ctx, seen))
	must(t, c.Audit())
}
