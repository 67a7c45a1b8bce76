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
)

// TestDev_killed kills the process after edits and after going back: it recovers to the same block, state and time.
func TestDev_killed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chain")
	d := startDev(t, dir)
	restart := func(doing string) {
		t.Helper()
		height, balance := d.height(), d.balance(stranger)
		unix, hash := d.header()
		d.kill()
		d = startDev(t, dir)
		if _, again := d.header(); again != hash || d.balance(stranger) != balance {
			t.Fatalf("after %s: block %d %s, balance %s; want %d %s, %s", doing, d.height(), again, d.balance(stranger), height, hash, balance)
		}
		d.get("evm_mine")
		if now, _ := d.header(); now < unix || now > max(unix, uint64(time.Now().Unix()))+60 || d.height() != height+1 {
			t.Fatalf("after %s: block %d has the time %d after %d", doing, d.height(), now, unix)
		}
	}
	d.get("anvil_setBalance", stranger, 5)
	d.get("hardhat_setStorageAt", stranger, "0x1", "0x2")
	restart("edits")
	d.get("evm_increaseTime", 100_000)
	d.pay(7)
	restart("a jump in time")
	id := strings.Trim(d.get("evm_snapshot"), `"`)
	d.pay(8)
	d.get("anvil_mine", 3)
	d.get("evm_revert", id)
	restart("going back")
	id = strings.Trim(d.get("evm_snapshot"), `"`)
	d.pay(9)
	d.get("evm_revert", id)
	d.pay(10)
	restart("going back and on")
	d.kill()
	if err := os.RemoveAll(filepath.Join(dir, "data", "consensus.wal")); err != nil { // where a crash while going back leaves it
		t.Fatal(err)
	}
	d = startDev(t, dir)
	d.pay(11)
	restart("a crash while going back")
	if bad, err := filepath.Glob(filepath.Join(dir, "data", "*.bad-*")); err != nil || len(bad) > 0 {
		t.Errorf("databases were moved aside: %v, %v", bad, err)
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

func TestDev_faucet(t *testing.T) {
	d := startDev(t, "")
	hash := d.get("tercet_faucet", stranger)
	if got := d.balance(stranger); got != `"0x8ac7230489e80000"` { // 10 ether
		t.Errorf("balance %s after %s", got, hash)
	}
	if got := d.get("eth_getTransactionReceipt", strings.Trim(hash, `"`)); !strings.Contains(got, `"status":"0x1"`) {
		t.Errorf("receipt %s", got)
	}
	if _, err := d.ask("tercet_faucet", stranger); err == nil || !strings.HasPrefix(err.Error(), "-32005 ") {
		t.Errorf("a second time: %v", err)
	}
	granted := 1
	for i := range 30 {
		if _, err := d.ask("tercet_faucet", fmt.Sprintf("0x%040x", i+1000)); err == nil {
			granted++
		}
	}
	if granted != 20 {
		t.Errorf("%d addresses got something at once", granted)
	}
}
