package contracts_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/contracts"
)

// examples returns every example with its source.
func examples() map[string]contracts.Contract {
	return map[string]contracts.Contract{
		"examples/notary/contract.c":       contracts.Notary(),
		"examples/receivables/contract.ts": contracts.Receivables(),
		"examples/token/contract.c":        contracts.Token(),
	}
}

func TestExamples_digests(t *testing.T) {
	listed := read(t, "examples/contracts.sum")
	for source, c := range examples() {
		line := fmt.Sprintf("%x  %s/contract.wasm\n", sha256.Sum256(c.Wasm), c.Name)
		if !strings.Contains(listed, line) {
			t.Errorf("the digest of %s is not in examples/contracts.sum: after a change of %s run make contracts, which also writes it", c.Name, source)
		}
	}
	if got, want := strings.Count(listed, "\n"), len(examples()); got != want {
		t.Errorf("contracts.sum has %d lines, want %d", got, want)
	}
}

// TestExamples_rebuilt needs the compilers; without them the digests are all that is checked.
func TestExamples_rebuilt(t *testing.T) {
	for source, c := range examples() {
		t.Run(c.Name, func(t *testing.T) {
			if _, err := exec.LookPath("clang-14"); err != nil && path.Ext(source) == ".c" {
				t.Skip("SKIP clang-14 is not installed: apt-get install clang-14 lld-14")
			}
			if findASC() == "" && path.Ext(source) == ".ts" {
				t.Skip("SKIP asc is not installed: npm ci in contracts/examples, or set ASC")
			}
			dir := t.TempDir()
			run(t, "examples", nil, "./build", dir, c.Name)
			if rebuilt := read(t, filepath.Join(dir, c.Name, "contract.wasm")); rebuilt != string(c.Wasm) {
				t.Errorf("%s gives other bytes than the committed ones (%d, committed %d): run make contracts", source, len(rebuilt), len(c.Wasm))
			}
		})
	}
}

// run executes a program and shows what it printed when it fails.
func run(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("running %s: %v\n%s", program, err, out)
	}
}

var (
	// selectors are written `0x12345678 … // method(type)`.
	selectors = regexp.MustCompile(`0x([0-9a-f]{8})\b[^/\n]*// (\w+\([\w,\[\]]*\))`)
	// topics and other hashes are four numbers of 16 digits below, or after, `// what is hashed`.
	hashes = regexp.MustCompile(`// (.+)\n[^/\n]*?0x([0-9a-f]{16}), 0x([0-9a-f]{16}), 0x([0-9a-f]{16}), 0x([0-9a-f]{16})`)
)

// A contract has its selectors and topics as numbers; this is what makes sure that they are the right ones, and
// that all of the ABI is there.
func TestExamples_selectorsAndTopics(t *testing.T) {
	sources := examples()
	for source, language := range map[string]string{
		"templates/c/contract.c": "c", "templates/assemblyscript/contract.ts": "assemblyscript",
		"templates/rust/contract.rs": "rust", "templates/tinygo/contract.go.txt": "tinygo",
	} {
		sources[source] = contracts.Contract{Name: language, ABI: []byte(read(t, filepath.Join("templates", language, "abi.json")))}
	}
	for source, c := range sources {
		t.Run(source, func(t *testing.T) {
			text, parsed := read(t, source), parseABI(t, c)
			checkHashes(t, text)
			for _, m := range parsed.Methods {
				if !strings.Contains(text, fmt.Sprintf("0x%x", m.ID)) {
					t.Errorf("method %s (0x%x) is not there", m.Sig, m.ID)
				}
			}
			for _, e := range parsed.Errors {
				if !bubbles(c, e.Name) && !strings.Contains(text, fmt.Sprintf("0x%x", e.ID[:4])) {
					t.Errorf("error %s (0x%x) is not there", e.Sig, e.ID[:4])
				}
			}
			for _, e := range parsed.Events {
				if !strings.Contains(text, fmt.Sprintf("0x%x", e.ID[:8])) {
					t.Errorf("event %s (0x%x) is not there", e.Sig, e.ID)
				}
			}
		})
	}
}

// bubbles reports whether an error is one of the token that receivables pass on.
func bubbles(c contracts.Contract, name string) bool {
	return c.Name == "receivables" && slices.Contains([]string{"ERC20InsufficientBalance", "ERC20InsufficientAllowance", "AccountFrozen", "EnforcedPause"}, name)
}

func checkHashes(t *testing.T, text string) {
	t.Helper()
	found := 0
	for _, m := range selectors.FindAllStringSubmatch(text, -1) {
		found++
		if want := hex.EncodeToString(crypto.Keccak256([]byte(m[2]))[:4]); m[1] != want {
			t.Errorf("%s: selector 0x%s, want 0x%s", m[2], m[1], want)
		}
	}
	for _, m := range hashes.FindAllStringSubmatch(text, -1) {
		found++
		if got, want := strings.Join(m[2:], ""), hex.EncodeToString(crypto.Keccak256([]byte(m[1]))); got != want {
			t.Errorf("%s: hash 0x%s, want 0x%s", m[1], got, want)
		}
	}
	if found < 6 {
		t.Errorf("found %d selectors and hashes: the source no longer writes them as the pattern of this test", found)
	}
}

func parseABI(tb testing.TB, c contracts.Contract) abi.ABI {
	tb.Helper()
	parsed, err := abi.JSON(bytes.NewReader(c.ABI))
	if err != nil {
		tb.Fatalf("the ABI of %s: %v", c.Name, err)
	}
	return parsed
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
