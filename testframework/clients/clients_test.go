// Package clients_test holds the network to what real Ethereum clients expect of it.
//
// The flows are plain JavaScript: ethers, viem and Foundry's cast, in versions that package-lock.json
// pins, connect to a running network, send every kind of transaction, wait for receipts, read, deploy and use
// the example token, and make the mistakes whose errors they map. At the end plain JSON-RPC compares the blocks, state roots and
// receipts of all nodes at every height. run.mjs prints a matrix of flow × client with times in ms:
//
//	npm ci && node run.mjs DIR [CLIENT]     # DIR of "tercet testnet up"
//
// The test builds the program, starts four processes on free ports, runs the flows and ends the network.
// It needs Node.js and npm, so it runs only when TERCET_CLIENTS is set, as "make clients" does, and is
// skipped with one line where they are absent.
//
// The list of flows comes from what these clients were seen to ask of a node, beside the methods of
// Ethereum's execution-apis.
package clients_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/contracts"
	"github.com/tercet-chain/tercet/testframework/chaos"
)

const (
	// installPatience is for npm to fetch some 30 MB, flowPatience for all flows: they take about 20 s.
	installPatience = 5 * time.Minute
	flowPatience    = 5 * time.Minute
)

func TestClients_againstNetwork(t *testing.T) {
	if os.Getenv("TERCET_CLIENTS") == "" {
		t.Skip("needs npm packages: set TERCET_CLIENTS=1, or run make clients")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIP real clients: %s is not installed", program)
		}
	}
	dir := copyScripts(t)
	if out, err := command(t, installPatience, dir, "npm", "ci", "--ignore-scripts"); err != nil {
		t.Fatalf("npm cannot install the clients: %v\n%s", err, out)
	}
	network := start(t)
	out, err := command(t, flowPatience, dir, "node", "run.mjs", network.Dir)
	t.Logf("four processes, real clients:\n%s", out)
	if err != nil {
		t.Errorf("running the flows: %v", err)
	}
}

// copyScripts keeps node_modules out of the checkout, and puts the contract that the flows deploy beside them.
func copyScripts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	scripts, err := filepath.Glob("*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(scripts, "package.json", "package-lock.json", ".npmrc") {
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

// start brings up four validators, which end with the test.
func start(t *testing.T) *chaos.Network {
	t.Helper()
	binary, err := chaos.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	network, err := chaos.Up(t.Context(), chaos.Options{Binary: binary, Dir: t.TempDir()})
	t.Cleanup(func() {
		if err := network.Down(context.Background()); err != nil {
			t.Errorf("ending the network: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// command runs a program in dir and returns what it printed.
func command(t *testing.T, patience time.Duration, dir, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.String(), err
}
