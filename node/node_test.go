package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/testframework"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

const patience = 30 * time.Second

// cluster makes the homes of nodes, with what opts say.
func cluster(t *testing.T, opts testframework.Options, expect ...testlog.Option) (*testframework.Cluster, context.Context) {
	t.Helper()
	opts.Dir = t.TempDir()
	opts.Configure = func(_ int, c *config.Config) { c.Consensus.MaxIdle = 20 * time.Millisecond }
	log := testlog.New(t, append(expect, testlog.Level(slog.LevelInfo))...)
	opts.Logger = func(int) *slog.Logger { return log }
	c, err := testframework.New(opts)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return c, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, change(raw), 0o600))
}

// firstSegment is the oldest file of the safety journal.
func firstSegment(t *testing.T, home string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(config.WALDir(home), "*.wal"))
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no segment")
	}
	return files[0]
}

func TestNew_refuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, home string)
		want  []string
	}{
		{"no genesis", func(t *testing.T, home string) { must(t, os.Remove(config.GenesisPath(home))) }, []string{"no genesis file", "copy there"}},
		{"corrupt genesis", func(t *testing.T, home string) {
			overwrite(t, config.GenesisPath(home), func(b []byte) []byte { return b[:len(b)/2] })
		}, []string{"genesis.json is damaged", "unexpected EOF", "copy there"}},
		{"an unknown field in the genesis", func(t *testing.T, home string) {
			overwrite(t, config.GenesisPath(home), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"chainId"`), []byte(`"colour": 1, "chainId"`), 1)
			})
		}, []string{"genesis.json is damaged", "colour", "copy there"}},
		{"another genesis", func(t *testing.T, home string) {
			overwrite(t, config.GenesisPath(home), func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"termLength": 16,`, `"termLength": 2,`, 1))
			})
		}, []string{"the databases in ", "not of the chain of ", "genesis.json", "put back"}},
		{"another genesis and no databases", func(t *testing.T, home string) {
			for _, name := range []string{"blocks", "state", "index"} {
				must(t, os.RemoveAll(filepath.Join(config.DataDir(home), name+".ldb")))
			}
			overwrite(t, config.GenesisPath(home), func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"termLength": 16,`, `"termLength": 2,`, 1))
			})
		}, []string{"the safety journal ", "not of the chain of ", "genesis.json", "put back"}},
		{"a key outside the genesis", func(t *testing.T, home string) {
			must(t, os.Remove(config.ValidatorKeyPath(home)))
			key, err := sig.GenerateKey()
			must(t, err)
			must(t, config.WriteValidatorKey(home, key, ""))
		}, []string{"is not in genesis.json", "chain.replica = true"}},
		{"another host key", func(t *testing.T, home string) {
			must(t, os.Remove(config.HostKeyPath(home)))
			key, err := sig.GenerateKey()
			must(t, err)
			must(t, config.WriteHostKey(home, key))
		}, []string{"use the host key that the genesis names"}},
		{"no journal", func(t *testing.T, home string) { must(t, os.RemoveAll(config.WALDir(home))) }, []string{"safety journal", "is missing", "--rejoin"}},
		{"a flipped bit in the journal", func(t *testing.T, home string) {
			overwrite(t, firstSegment(t, home), func(b []byte) []byte { b[200] ^= 1; return b })
		}, []string{"safety journal", "is damaged", "--rejoin"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, ctx := cluster(t, testframework.Options{Nodes: 1})
			must(t, c.Start(ctx, 0))
			must(t, c.WaitHeight(ctx, 0, 2))
			must(t, c.Stop(0))
			tc.spoil(t, c.Home(0))
			err := c.Start(ctx, 0)
			if err == nil {
				t.Fatal("the node starts", c.Stop(0))
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one line", err)
			}
		})
	}
}

func TestNew_secondProcess(t *testing.T) {
	c, ctx := cluster(t, testframework.Options{Nodes: 1})
	must(t, c.Start(ctx, 0))
	cfg, err := config.Load(c.Home(0), nil)
	must(t, err)
	if _, err = node.New(cfg, node.Options{}); err == nil || !strings.Contains(err.Error(), "another process uses") {
		t.Errorf("got %v", err)
	}
	must(t, c.Close())
}

// A state.ldb which is whole but does not hold what it names is made again from the blocks.
func TestNode_stateChanged(t *testing.T) {
	c, ctx := cluster(t, testframework.Options{Nodes: 1}, testlog.Require("moved aside"))
	must(t, c.Start(ctx, 0))
	must(t, c.WaitHeight(ctx, 0, 2))
	must(t, c.Stop(0))
	db, err := leveldb.OpenFile(filepath.Join(config.DataDir(c.Home(0)), "state.ldb"), nil)
	must(t, err)
	it := db.NewIterator(util.BytesPrefix([]byte("S")), nil)
	for it.Next() {
		if value := bytes.Clone(it.Value()); len(value) > 40 { // an account, and not the system key
			value[len(value)-1] ^= 1
			must(t, db.Put(it.Key(), value, nil))
			break
		}
	}
	it.Release()
	must(t, db.Close())
	must(t, c.Start(ctx, 0))
	must(t, c.WaitHeight(ctx, 0, c.Node(0).Newest().Height()+1))
	must(t, c.Audit())
}

// A disk that fails ends the node with one line, and nothing is promised after it.
func TestNode_blockStoreFails(t *testing.T) {
	disk := simdisk.NewLevelDB(1)
	c, ctx := cluster(t, testframework.Options{Nodes: 1, Assemble: func(_ int, o *node.Options) { o.WrapStorage = disk.Wrap }})
	must(t, c.Start(ctx, 0))
	must(t, c.WaitHeight(ctx, 0, 2))
	disk.FailNext("blocks.ldb journal sync", simdisk.Fault{Err: simdisk.ErrIO, Sticky: true})
	raw, err := c.Transfer(0, 0, common.Address{1}, 1)
	must(t, err)
	client := c.Client(0)
	if _, err := client.Send(ctx, raw); err != nil {
		t.Logf("the node ended before it answered: %v", err) // the block, or a heartbeat before it, met the fault
	}
	select {
	case <-c.Ended(0):
	case <-ctx.Done():
		t.Fatal("the node goes on without a disk")
	}
	if r, err := client.Receipt(ctx, crypto.Keccak256Hash(raw)); err == nil && r != nil {
		t.Error("a receipt of a block that is not on the disk")
	}
	err = c.Stop(0)
	if err == nil || !strings.Contains(err.Error(), "blocks.ldb") || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("got %v", err)
	}
}

func TestNode_journalFails(t *testing.T) {
	files := simdisk.NewFiles(1)
	c, ctx := cluster(t, testframework.Options{Nodes: 1, Assemble: func(_ int, o *node.Options) { o.LogFS = files }})
	hash, err := node.GenesisHash(c.Genesis())
	must(t, err)
	must(t, wal.Create(config.WALDir(c.Home(0)), wal.Options{Network: hash, FS: files}))
	must(t, c.Start(ctx, 0))
	must(t, c.WaitHeight(ctx, 0, 2))
	files.FailAt(len(files.Ops())+40, simdisk.Fault{Err: simdisk.ErrFull, Sticky: true})
	select {
	case <-c.Ended(0):
	case <-ctx.Done():
		t.Fatal("the node goes on without a journal")
	}
	err = c.Stop(0)
	if err == nil || !strings.Contains(err.Error(), "consensus log") || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v", err)
	}
}

// reason waits until a node gives a reason for not being ready.
func reason(ctx context.Context, t *testing.T, c *testframework.Cluster, i int, want string) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !strings.Contains(strings.Join(c.Node(i).Status().Reasons, "\n"), want) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("node %d gives the reasons %q, want %q", i, c.Node(i).Status().Reasons, want)
		}
	}
}

// A validator that lost its journal follows, says what it waits for, and votes again when it is safe.
func TestNode_rejoins(t *testing.T) {
	c, ctx := cluster(t, testframework.Options{Genesis: func(g *ledger.Genesis) {
		g.Consensus.TermLength, g.Consensus.Window = 16, 4 // the way back is long enough to be seen
	}})
	must(t, c.StartAll(ctx))
	must(t, c.WaitAll(ctx, 3))
	must(t, c.Stop(2))
	before := c.Votes(2)
	must(t, os.RemoveAll(config.WALDir(c.Home(2))))
	must(t, node.CreateLogAfterLoss(c.Home(2), c.Genesis()))
	must(t, c.Stop(1)) // then not all three others can tell where they are
	must(t, c.Start(ctx, 2))
	reason(ctx, t, c, 2, "waits for statuses of node-1: it has to hear 3 of the 3 others")
	must(t, c.Start(ctx, 1))
	reason(ctx, t, c, 2, "it follows until view ")
	for nonce := uint64(0); strings.Contains(strings.Join(c.Node(2).Status().Reasons, " "), "not_voting"); nonce++ {
		raw, err := c.Transfer(0, nonce, common.Address{1}, 1)
		must(t, err)
		hash, err := c.Client(2).Send(ctx, raw)
		must(t, err)
		_, err = c.WaitReceipt(ctx, 2, hash)
		must(t, err)
	}
	var last uint64
	for _, v := range before {
		last = max(last, v.View)
	}
	must(t, c.WaitAll(ctx, c.Node(2).Newest().Height()+3))
	must(t, c.Audit())
	for _, v := range c.Votes(2)[len(before):] {
		if v.View <= last {
			t.Errorf("%s in view %d after the loss, the last one before was in view %d", v.Type, v.View, last)
		}
	}
	if len(c.Votes(2)) == len(before) {
		t.Error("it never voted again")
	}
}
