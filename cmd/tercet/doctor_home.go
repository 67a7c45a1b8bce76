package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/diagnosis"
)

const (
	// peerPatience is what a peer's address gets to accept a connection.
	peerPatience = 2 * time.Second
	// peersAtOnce bounds the connections that are tried at the same time.
	peersAtOnce = 32
	// testSyncs files of testSyncBytes are synced to see how long that takes; slowSync is too long.
	testSyncs     = 20
	testSyncBytes = 4 << 10
	slowSync      = 25 * time.Millisecond
	// clockSlack is how far in the future a file may have been written: file systems round times.
	clockSlack = 2 * time.Second
)

func finding(cause diagnosis.Cause, severity diagnosis.Severity, figures map[string]any, do, text string, args ...any) diagnosis.Finding {
	return diagnosis.Finding{Cause: cause, Severity: severity, Figures: figures, Do: do, Text: fmt.Sprintf(text, args...)}
}

// examineHome looks into the home of a node that does not answer. It changes nothing.
func examineHome(ctx context.Context, home string) []diagnosis.Finding {
	var list []diagnosis.Finding
	runs, f := examineLock(home)
	list = append(list, f...)
	cfg, err := config.Load(home, nil)
	if err != nil {
		return append(list, finding(causeConfig, diagnosis.Error, map[string]any{"home": home}, "correct what it names; tercet config show --home "+home+" checks it",
			"the configuration cannot be used: %v", err))
	}
	data := config.DataDir(home)
	disk := node.DiskOf(data)
	list = append(list, diagnosis.CheckDisk(&disk)...)
	list = append(list, examineSync(data)...)
	list = append(list, examineClock(home)...)
	if !runs {
		list = append(list, examinePorts(cfg)...)
	}
	g, err := node.ReadGenesis(home)
	if err != nil {
		return append(list, finding(causeGenesis, diagnosis.Error, map[string]any{"home": home}, "", "%v", err))
	}
	list = append(list, examineChain(home, g, runs, cfg.Chain.Replica)...)
	list = append(list, examineKeys(home, g, cfg.Chain.Replica)...)
	return append(list, examinePeers(ctx, cfg, g)...)
}

// examineLock tells which process runs a home.
func examineLock(home string) (runs bool, list []diagnosis.Finding) {
	pid, held, err := lockHolder(filepath.Join(home, "LOCK"))
	figures := map[string]any{"home": home, "pid": pid}
	switch {
	case err != nil:
		return false, []diagnosis.Finding{finding(causeNotRunning, diagnosis.Error, figures, "let this user read the home", "who runs %s cannot be told: %v", home, err)}
	case !held:
		return false, []diagnosis.Finding{finding(causeNotRunning, diagnosis.Error, figures, "start it with \"tercet run --home "+home+"\"; its log says why it ended",
			"no process runs %s", home)}
	case processState(pid) == "T":
		return true, []diagnosis.Finding{finding(causeProcessPaused, diagnosis.Error, figures, fmt.Sprintf("let it go on: kill -CONT %d", pid),
			"process %d, which runs %s, is stopped (SIGSTOP or a debugger)", pid, home)}
	}
	return true, []diagnosis.Finding{finding(causeUnreachable, diagnosis.Error, figures, "read its log; it may be starting, or hang in its disk",
		"process %d runs %s and does not answer", pid, home)}
}

// lockHolder reports whether a process holds a lock file, and which one says that it does. It takes the lock for
// a moment, shared, if nobody has it.
func lockHolder(path string) (pid int, held bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		return 0, false, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return 0, false, fmt.Errorf("testing the lock %s: %w", path, err)
	}
	raw := make([]byte, 20) // the digits of a pid
	n, _ := f.ReadAt(raw, 0)
	pid, _ = strconv.Atoi(strings.TrimSpace(string(raw[:n]))) // 0 when it does not say
	return pid, true, nil
}

// processState is the letter of proc(5), empty where there is no /proc.
func processState(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return state
}

// examineSync measures the disk with a file that it removes.
func examineSync(data string) []diagnosis.Finding {
	took, err := timeSyncs(data)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return []diagnosis.Finding{finding(diagnosis.DiskFull, diagnosis.Error, map[string]any{"path": data, "error": err.Error()},
			"free space; nothing that was acknowledged is lost", "the disk of %s takes no more: %v", data, err)}
	case err != nil:
		return []diagnosis.Finding{finding(diagnosis.StorageFault, diagnosis.Error, map[string]any{"path": data, "error": err.Error()},
			"look at the disk, the mount and the rights of this user", "a file in %s cannot be written and synced: %v", data, err)}
	}
	slices.Sort(took)
	p50, longest := took[len(took)/2], took[len(took)-1]
	if p50 < slowSync {
		return nil
	}
	return []diagnosis.Finding{finding(diagnosis.SlowFsync, diagnosis.Warning,
		map[string]any{"path": data, "count": len(took), "p50Ms": float64(p50.Microseconds()) / 1000, "longestMs": float64(longest.Microseconds()) / 1000},
		"use a disk with a fast fsync (an SSD, not a network file system), and see what else writes to it (iostat -x 1)",
		"%d syncs of a small file in %s took p50 %v, longest %v; every vote waits for one", len(took), data, diagnosis.Rounded(p50), diagnosis.Rounded(longest))}
}

func timeSyncs(data string) ([]time.Duration, error) {
	f, err := os.CreateTemp(data, "doctor-*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close()
	var took []time.Duration
	block := make([]byte, testSyncBytes)
	for i := range testSyncs {
		began := time.Now()
		if _, err := f.WriteAt(block, int64(i)*testSyncBytes); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// examineClock compares the clock with what was written under it.
func examineClock(home string) []diagnosis.Finding {
	now := time.Now()
	var newest time.Time
	var where string
	_ = filepath.WalkDir(config.DataDir(home), func(path string, e fs.DirEntry, err error) error { // what cannot be read is left out
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // the rest is worth a look
		}
		if info, err := e.Info(); err == nil && info.ModTime().After(newest) {
			newest, where = info.ModTime(), path
		}
		return nil
	})
	ahead := newest.Sub(now)
	if ahead <= clockSlack {
		return nil
	}
	return []diagnosis.Finding{finding(diagnosis.ClockSkew, diagnosis.Error, map[string]any{"file": where, "aheadMs": ahead.Milliseconds()},
		"set the clock right and have it run NTP (chronyc tracking, timedatectl)",
		"this machine's clock was set back: %s was written at %s, %v in the future", where, newest.UTC().Format(time.RFC3339), diagnosis.Rounded(ahead))}
}

// examinePorts tries to listen where the node would.
func examinePorts(cfg *config.Config) []diagnosis.Finding {
	var list []diagnosis.Finding
	type use struct{ key, address string }
	uses := []use{{"rpc.listen", cfg.RPC.Listen}, {"ops.listen", cfg.Ops.Listen}}
	for _, a := range cfg.P2P.Listen {
		if address, ok := dialable(a); ok {
			uses = append(uses, use{"p2p.listen", address})
		}
	}
	for _, u := range uses {
		if err := portFree(u.address); err != nil {
			list = append(list, finding(causePort, diagnosis.Error, map[string]any{"key": u.key, "address": u.address, "error": err.Error()},
				"stop what listens there (ss -ltnp), or choose another address for "+u.key, "%s = %s cannot be listened on: %v", u.key, u.address, err))
		}
	}
	return list
}

// dialable is the host:port of a TCP multiaddr.
func dialable(multiaddr string) (string, bool) {
	parts := strings.Split(multiaddr, "/")
	if len(parts) < 5 || parts[3] != "tcp" {
		return "", false
	}
	switch parts[1] {
	case "ip4", "ip6", "dns", "dns4", "dns6":
		return net.JoinHostPort(parts[2], parts[4]), true
	}
	return "", false
}

// examineChain holds the genesis against the databases and the safety journal.
func examineChain(home string, g *ledger.Genesis, runs, replica bool) []diagnosis.Finding {
	var list []diagnosis.Finding
	wrong := func(what string, figures map[string]any) {
		list = append(list, finding(diagnosis.WrongGenesis, diagnosis.Error, figures,
			"put back the genesis.json with which this home was made, or make another home for the other chain",
			"%s of %s is of another chain than genesis.json", what, home))
	}
	if !runs { // LevelDB is for one process
		chain, err := store.ChainOf(config.DataDir(home))
		want := g.Commitment()
		switch {
		case errors.Is(err, store.ErrNotFound): // it never ran, or was wiped
		case err != nil:
			list = append(list, finding(diagnosis.StorageFault, diagnosis.Error, map[string]any{"error": err.Error()},
				"check the disk; a node without blocks gets them from the others: move blocks.ldb away", "the blocks cannot be read: %v", err))
		case chain != want:
			wrong("blocks.ldb", map[string]any{"database": chain.Hex(), "genesis": want.Hex()})
		}
	}
	network, err := wal.NetworkOf(config.WALDir(home))
	hash, hashErr := node.GenesisHash(g)
	switch {
	case errors.Is(err, wal.ErrMissing):
		if !replica {
			list = append(list, finding(causeJournal, diagnosis.Error, map[string]any{"dir": config.WALDir(home)},
				"restore the directory, or give its content up with \"tercet init --home "+home+" --rejoin\", after which the node follows until it is safe to vote",
				"the safety journal is missing, and without it this validator might vote twice"))
		}
	case err != nil:
		list = append(list, finding(diagnosis.StorageFault, diagnosis.Error, map[string]any{"error": err.Error()}, "check the disk and restore the directory", "the safety journal cannot be read: %v", err))
	case hashErr == nil && network != hash:
		wrong("the safety journal", map[string]any{"journal": network.Hex(), "genesis": hash.Hex()})
	}
	return list
}

// examineKeys holds the public parts of the keys against the genesis.
func examineKeys(home string, g *ledger.Genesis, replica bool) []diagnosis.Finding {
	_, id, err := config.LoadHostKey(home)
	if err != nil {
		return []diagnosis.Finding{finding(causeKey, diagnosis.Error, nil, "restore it, or make one with \"tercet keys new\"", "the host key cannot be used: %v", err)}
	}
	if replica {
		return nil
	}
	address, _, err := config.ValidatorIdentity(home)
	if err != nil {
		return []diagnosis.Finding{finding(causeKey, diagnosis.Error, nil, "restore it, or set chain.replica = true", "the validator key cannot be used: %v", err)}
	}
	figures := map[string]any{"validator": address.Hex(), "peerId": string(id)}
	i := slices.IndexFunc(g.Validators, func(v ledger.Validator) bool { return v.Address == address })
	if i < 0 {
		return []diagnosis.Finding{finding(causeKey, diagnosis.Error, figures, "use the key of a genesis validator, or set chain.replica = true",
			"the validator key %s is not in genesis.json", address)}
	}
	if v := g.Validators[i]; v.PeerID != "" && v.PeerID != string(id) {
		return []diagnosis.Finding{finding(causeKey, diagnosis.Error, figures, "use the host key that the genesis names",
			"genesis.json says that validator %s is the peer %s, and the host key of this home is %s", address, v.PeerID, id)}
	}
	return nil
}

// examinePeers sees whether peers' addresses accept connections, which says nothing of what answers there.
func examinePeers(ctx context.Context, cfg *config.Config, g *ledger.Genesis) []diagnosis.Finding {
	_, self, _ := config.LoadHostKey(cfg.Home) // examineKeys reports it
	failures := make([]string, len(cfg.P2P.Peers))
	tokens := make(chan struct{}, peersAtOnce) // taken and given back by the goroutines
	var wg sync.WaitGroup
	for i, p := range cfg.P2P.Peers {
		if p.ID == string(self) || len(p.Addrs) == 0 {
			continue
		}
		wg.Go(func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			failures[i] = unreached(ctx, p.Addrs)
		})
	}
	wg.Wait()
	var names []string
	away := map[string]bool{}
	for i, why := range failures {
		if why != "" {
			names = append(names, cfg.P2P.Peers[i].Name+" ("+why+")")
			away[cfg.P2P.Peers[i].ID] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	left := 0
	for _, v := range g.Validators {
		if !away[v.PeerID] {
			left++
		}
	}
	quorum := consensus.Quorum(len(g.Validators))
	figures := map[string]any{"peers": names, "validatorsLeft": left, "quorum": quorum}
	text := "no connection is accepted by " + strings.Join(names, ", ")
	const do = "start those nodes, or check p2p.peers and the network between"
	if left < quorum {
		return []diagnosis.Finding{finding(diagnosis.NoQuorum, diagnosis.Error, figures, do,
			"%s: with this node %d of the %d validators that make a quorum are left", text, left, quorum)}
	}
	return []diagnosis.Finding{finding(diagnosis.PeerDown, diagnosis.Warning, figures, do, "%s", text)}
}

// unreached says why no address accepts a connection; empty when one does.
func unreached(ctx context.Context, addrs []string) (why string) {
	dialer := net.Dialer{Timeout: peerPatience}
	for _, a := range addrs {
		address, ok := dialable(a)
		if !ok {
			continue
		}
		c, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			c.Close()
			return ""
		}
		why = address + ": " + err.Error()
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			why = address + ": " + op.Err.Error()
		}
	}
	return why
}
