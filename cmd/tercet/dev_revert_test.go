package main_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
)

// TestDev_snapshots_overWebSocket goes back over a WebSocket that has a subscription: both go on.
func TestDev_snapshots_overWebSocket(t *testing.T) {
	d := startDev(t, "")
	for range 5 {
		d.get("evm_mine")
	}
	client, err := ethclient.DialContext(t.Context(), "ws"+strings.TrimPrefix(d.url, "http"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	heads := make(chan *types.Header, 16) // the client waits when it is full
	sub, err := client.SubscribeNewHead(t.Context(), heads)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	hear := func(want uint64) {
		t.Helper()
		select {
		case h := <-heads:
			if h.Number.Uint64() != want {
				t.Fatalf("heard of block %d, want %d", h.Number, want)
			}
		case err := <-sub.Err():
			t.Fatalf("the subscription ended: %v", err)
		case <-time.After(10 * time.Second):
			t.Fatalf("heard of no block %d", want)
		}
	}
	var id string
	if err := client.Client().CallContext(t.Context(), &id, "evm_snapshot"); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		d.pay(int64(round + 1))
		hear(6)
		d.get("evm_mine")
		hear(7)
		late := make(chan *types.Header, 16) // as heads
		second, err := client.SubscribeNewHead(t.Context(), late)
		if err != nil {
			t.Fatal(err)
		}
		var found bool
		if err := client.Client().CallContext(t.Context(), &found, "evm_revert", id); err != nil || !found {
			t.Fatalf("reverting over the WebSocket: %t, %v", found, err)
		}
		if err := client.Client().CallContext(t.Context(), &id, "evm_snapshot"); err != nil {
			t.Fatal(err)
		}
		d.get("evm_mine")
		hear(6)
		if h := <-late; h.Number.Uint64() != 6 {
			t.Fatalf("a subscription to what came after block 7 hears of block %d", h.Number)
		}
		second.Unsubscribe()
		if err := client.Client().CallContext(t.Context(), &found, "evm_revert", id); err != nil || !found {
			t.Fatalf("reverting over the WebSocket: %t, %v", found, err)
		}
		if err := client.Client().CallContext(t.Context(), &id, "evm_snapshot"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDev_fixtures is loadFixture of Hardhat: back to one snapshot again and again, while others ask.
func TestDev_fixtures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chain")
	d := startDev(t, dir)
	for range 20 {
		d.pay(1)
	}
	height, balance := d.height(), d.balance(stranger)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for ctx.Err() == nil {
			for method, params := range map[string][]any{"eth_getBlockByNumber": {"latest", true}, "eth_getBalance": {stranger, "latest"}} {
				if _, err := d.ask(method, params...); err != nil && ctx.Err() == nil {
					t.Errorf("a reader: %s: %v", method, err)
				}
			}
		}
	})
	id := strings.Trim(d.get("evm_snapshot"), `"`)
	var memory, disk uint64
	var slowest, sum time.Duration
	const rounds = 50
	for i := range rounds {
		d.pay(int64(i + 2))
		d.get("anvil_setBalance", stranger, i)
		d.get("evm_mine")
		began := time.Now()
		if got := d.get("evm_revert", id); got != "true" {
			t.Fatalf("round %d: %s", i, got)
		}
		took := time.Since(began)
		slowest, sum = max(slowest, took), sum+took
		if d.height() != height || d.balance(stranger) != balance {
			t.Fatalf("round %d: block %d, balance %s; want %d, %s", i, d.height(), d.balance(stranger), height, balance)
		}
		id = strings.Trim(d.get("evm_snapshot"), `"`)
		if i == rounds/5 {
			memory, disk = d.memory(), diskUse(t, dir)
		}
	}
	stop()
	readers.Wait()
	t.Logf("%d reverts took %v on average, %v at most; memory %d → %d kB, disk %d → %d kB", rounds, sum/rounds, slowest, memory, d.memory(), disk/1024, diskUse(t, dir)/1024)
	if got := d.memory(); got > memory+48<<10 {
		t.Errorf("memory grew from %d to %d kB", memory, got)
	}
	if got := diskUse(t, dir); got > disk+2<<20 {
		t.Errorf("disk use grew from %d to %d bytes", disk, got)
	}
}

// memory is the resident memory of the process in kB, 0 where the system does not tell.
func (d *devChain) memory() uint64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kB uint64
	_, _ = fmt.Sscan(rest, &kB)
	return kB
}

// diskUse is the bytes that the files of a directory have, without what is allocated in advance.
func diskUse(t *testing.T, dir string) (bytes uint64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // LevelDB and the journal remove files
			return nil
		case err == nil && info.Mode().IsRegular():
			bytes += uint64(info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
