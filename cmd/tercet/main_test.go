package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/rogpeppe/go-internal/testscript"

	tercet "github.com/tercet-chain/tercet/cmd/tercet"
)

var rewrite = flag.Bool("rewrite", false, "replace the golden texts of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tercet": func() { os.Exit(tercet.Main()) }})
}

// TestScripts runs the command line as users do: what it prints, refuses and writes.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: *rewrite, Setup: setup(new(atomic.Int64)), Cmds: commands()})
}

// TestNetworks runs scripts that start processes and take seconds.
func TestNetworks(t *testing.T) {
	if testing.Short() {
		t.Skip("starts networks of real processes")
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/network", RequireExplicitExec: true, Setup: setup(new(atomic.Int64)), Cmds: commands()})
}

// setup gives a script $HOME in its own directory, $PORT, from which on a hundred
// ports are free, $OPS, one of them, $TERCET, the program for where it is not on the PATH, $EXAMPLES, and kills what it leaves running in $WORK/net. Scripts run in
// parallel: taken counts the hundreds that they have.
func setup(taken *atomic.Int64) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		env.Setenv("HOME", env.WorkDir)
		port, err := freePorts(taken)
		if err != nil {
			return err
		}
		env.Setenv("PORT", fmt.Sprint(port))
		env.Setenv("OPS", fmt.Sprint(port+50))
		program, err := exec.LookPath("tercet") // testscript put it on the PATH
		if err != nil {
			return err
		}
		env.Setenv("TERCET", program)
		examples, err := filepath.Abs("../../contracts/examples")
		if err != nil {
			return err
		}
		env.Setenv("EXAMPLES", examples)
		binary := filepath.Join(env.WorkDir, "net", "bin", "tercet")
		env.Defer(func() {
			if _, err := os.Stat(binary); err == nil {
				_ = exec.Command(binary, "testnet", "kill", "all", "--dir", filepath.Join(env.WorkDir, "net")).Run() // nothing runs when the script ended well
			}
		})
		return nil
	}
}

// freePorts finds a hundred consecutive ports on which nobody listens, below those
// that the kernel gives out.
func freePorts(taken *atomic.Int64) (int64, error) {
next:
	for range 120 {
		base := 20000 + (int64(os.Getpid())+taken.Add(1))%120*100
		for port := base; port < base+100; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				continue next
			}
			if err := l.Close(); err != nil {
				return 0, err
			}
		}
		return base, nil
	}
	return 0, errors.New("no hundred consecutive free ports")
}

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"answers":    answers,
		"ask":        ask,
		"eventually": eventually,
		"transfer":   transfer,
		"hash":       firstHash,
		"mode":       mode,
		"mask":       mask,
		"replace":    replace,
		"unpack":     unpack,
		"key":        logKey,
		"keyless":    keyless,
		"network":    checkNetwork,
	}
}

// eventually runs a command until it succeeds, for at most a minute.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := ts.Exec(args[0], args[1:]...); (err == nil) != neg {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("%s: not within a minute", strings.Join(args, " "))
		}
	}
}

// transfer sends one ether from a development account through a node and wants a
// receipt: transfer URL INDEX.
func transfer(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := ethclient.DialContext(ctx, args[0])
	ts.Check(err)
	defer client.Close()
	key, err := crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
	ts.Check(err)
	chainID, err := client.ChainID(ctx)
	ts.Check(err)
	from := crypto.PubkeyToAddress(key.PublicKey)
	nonce, err := client.PendingNonceAt(ctx, from)
	ts.Check(err)
	to := common.HexToAddress("0x00000000000000000000000000000000000000aa")
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(chainID), &types.LegacyTx{
		Nonce: nonce, To: &to, Value: big.NewInt(1e18), Gas: 21000, GasPrice: new(big.Int),
	})
	ts.Check(err)
	ts.Check(client.SendTransaction(ctx, tx))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		receipt, err := client.TransactionReceipt(ctx, tx.Hash())
		if err == nil {
			if receipt.Status != types.ReceiptStatusSuccessful {
				ts.Fatalf("the transfer failed: %+v", receipt)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("no receipt: %v", err)
		}
	}
}

// firstHash puts the first hash of a file or an output into a variable: hash stdout NAME.
func firstHash(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile("0x[0-9a-f]{64}").FindString(ts.ReadFile(args[0]))
	if found == "" {
		ts.Fatalf("%s has no hash", args[0])
	}
	ts.Setenv(args[1], found)
}

// mode compares a file's permissions: mode 0600 FILE.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// mask replaces the script's directory in a file or an output, so that it can be
// compared: mask stderr FILE.
func mask(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "WORK")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// replace substitutes a text in a file: replace FILE OLD NEW.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
}

// checkNetwork wants the file of a network to have its documented form, with so
// many processes that exist: network FILE RUNNING.
func checkNetwork(ts *testscript.TestScript, _ bool, args []string) {
	var n struct {
		ChainID uint64 `json:"chainId"`
		Nodes   []struct {
			Name, RPC, WS, Ops, Home string
			PID                      int
		}
		Accounts []struct{ Address, PrivateKey string }
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.DisallowUnknownFields()
	ts.Check(dec.Decode(&n))
	running := 0
	for _, node := range n.Nodes {
		if node.PID > 0 && syscall.Kill(node.PID, 0) == nil {
			running++
		}
		if !strings.HasPrefix(node.RPC, "http://127.0.0.1:") || !strings.HasPrefix(node.WS, "ws://127.0.0.1:") ||
			!strings.HasPrefix(node.Ops, "http://127.0.0.1:") || !filepath.IsAbs(node.Home) || node.Name == "" {
			ts.Fatalf("bad node %+v", node)
		}
	}
	if fmt.Sprint(running) != args[1] {
		ts.Fatalf("%d processes run, want %s", running, args[1])
	}
	for _, a := range n.Accounts {
		key, err := crypto.HexToECDSA(strings.TrimPrefix(a.PrivateKey, "0x"))
		ts.Check(err)
		if got := crypto.PubkeyToAddress(key.PublicKey).Hex(); got != a.Address || !strings.HasPrefix(a.PrivateKey, "0x") {
			ts.Fatalf("key %s is of %s, not %s", a.PrivateKey, got, a.Address)
		}
	}
	if n.ChainID == 0 || len(n.Accounts) != 10 {
		ts.Fatalf("chain id %d, %d accounts", n.ChainID, len(n.Accounts))
	}
}
