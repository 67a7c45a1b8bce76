package contracts_test

import (
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/contracts"
)

// compiler is how a language's template is built: what its README says.
type compiler struct {
	missing string // what to install, where it is not
	command []string
	env     []string
	output  string // empty where the result is no module for a node
}

func compilerOf(language string) compiler {
	switch language {
	case "c":
		command := append(strings.Fields("clang-14 --target=wasm32 -O2 -mcpu=mvp -nostdlib -fno-builtin -Wall -Wextra -Werror -Wl,--no-entry"),
			"-Wl,--strip-all", "-Wl,-z,stack-size=16384", "-Wl,--stack-first", "-o", "contract.wasm", "contract.c")
		return compiler{"apt-get install clang-14 lld-14", command, nil, "contract.wasm"}
	case "assemblyscript":
		command := append([]string{findASC()}, strings.Fields("contract.ts -O3 --noAssert --runtime stub --use abort= -o contract.wasm")...)
		return compiler{"npm install assemblyscript@0.28.20, or set ASC", command, nil, "contract.wasm"}
	case "rust":
		cargo, rustc := findCargo()
		return compiler{
			"apt-get install cargo rustc libstd-rust-dev-wasm32 lld-14",
			[]string{cargo, "build", "--release", "--offline"},
			[]string{"RUSTC=" + rustc},
			"target/wasm32-unknown-unknown/release/contract.wasm",
		}
	}
	// That Go's own compiler accepts it says that the template and the SDK fit; TinyGo makes what a node takes.
	return compiler{"", []string{"go", "vet", "./..."}, []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-mod=mod"}, ""}
}

// findASC returns the AssemblyScript compiler, or nothing.
func findASC() string {
	for _, candidate := range []string{os.Getenv("ASC"), "asc", "examples/node_modules/.bin/asc"} {
		if found, err := exec.LookPath(candidate); err == nil {
			if absolute, err := filepath.Abs(found); err == nil {
				return absolute
			}
		}
	}
	return ""
}

// findCargo returns a cargo and the rustc beside it that knows WebAssembly, or nothing.
func findCargo() (cargo, rustc string) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/bin") {
		cargo, rustc = filepath.Join(dir, "cargo"), filepath.Join(dir, "rustc")
		if _, err := exec.LookPath(cargo); err != nil {
			continue
		}
		out, err := exec.Command(rustc, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(out))); err == nil {
			return cargo, rustc
		}
	}
	return "", ""
}

// build compiles the project in dir and returns the module, or skips the test.
func build(t *testing.T, language, dir string) []byte {
	t.Helper()
	c := compilerOf(language)
	if _, err := exec.LookPath(c.command[0]); err != nil {
		t.Skipf("SKIP no compiler for %s: %s", language, c.missing)
	}
	run(t, dir, c.env, c.command[0], c.command[1:]...)
	if c.output == "" {
		return nil
	}
	return []byte(read(t, filepath.Join(dir, c.output)))
}

// scaffold writes a new project of a language.
func scaffold(t *testing.T, language string) string {
	t.Helper()
	files, err := contracts.Template(language)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTemplates_run builds what a user begins with, where there is a compiler, and runs it.
func TestTemplates_run(t *testing.T) {
	for _, language := range contracts.Languages() {
		t.Run(language, func(t *testing.T) {
			dir := scaffold(t, language)
			wasm := build(t, language, dir)
			if wasm == nil {
				return
			}
			owner, other := newPerson(t, "owner"), newPerson(t, "other")
			counter, wrong := newChain(t, owner, other).deploy(t, owner, contracts.Contract{
				Name: "counter in " + language, ABI: []byte(read(t, filepath.Join(dir, "abi.json"))), Wasm: wasm,
			}, big.NewInt(41))
			if wrong != "" {
				t.Fatal(wrong)
			}
			for _, s := range []step{
				{by: other, method: "increment", logs: []string{"Changed(other, 42)"}, then: []view{is("42", "count"), is("owner", "owner")}},
				{by: other, method: "set", args: []any{7}, wrong: "NotOwner(other)", then: []view{is("42", "count")}},
				{by: owner, method: "set", args: []any{unlimited}, logs: []string{"Changed(owner, " + unlimited.String() + ")"}},
				{by: other, method: "increment", wrong: "Panic(0x11)"},
			} {
				a := counter.send(t, s.by, s.method, s.args...)
				if a.wrong != s.wrong || !slices.Equal(a.logs, s.logs) {
					t.Errorf("%s: got error %q, logs %q, want %q, %q", s.method, a.wrong, a.logs, s.wrong, s.logs)
				}
				for _, v := range s.then {
					if got := counter.get(t, v.method, v.args...); got != v.want {
						t.Errorf("%s after %s: got %s, want %s", v.method, s.method, got, v.want)
					}
				}
				t.Logf("%-9s %6d gas", s.method, a.raw.GasUsed)
			}
		})
	}
}
