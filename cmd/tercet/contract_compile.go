package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// language is one in which contracts are written: what tells a project of it, and how it is compiled.
type language struct {
	name    string // on the command line
	folder  string // of its template and SDK
	source  string // ending of its files
	compile func(context.Context, *project) error
}

// languages in the order in which they are offered.
var languages = []language{
	{"c", "c", ".c", compileC},
	{"rust", "rust", ".rs", compileRust},
	{"assemblyscript", "assemblyscript", ".ts", compileAssemblyScript},
	{"go", "tinygo", ".go", compileGo},
}

// project is a directory with one contract.
type project struct {
	dir, name string
	source    string // in dir
	language  language
	wasm      string // what is to be built, an absolute path
}

// findProject recognises the contract of a directory: contract.c, contract.rs, contract.ts or contract.go.
func findProject(dir string) (*project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", dir, err)
	}
	p := &project{dir: dir, name: baseName(dir)}
	p.wasm = filepath.Join(dir, "build", p.name+".wasm")
	for _, l := range languages {
		for _, source := range []string{"contract" + l.source, p.name + l.source} {
			if _, err := os.Stat(filepath.Join(dir, source)); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("looking for a contract: %w", err)
			}
			if p.source != "" && p.source != source {
				return nil, usage("%s has both %s and %s: one contract per directory, move one elsewhere", dir, p.source, source)
			}
			p.source, p.language = source, l
		}
	}
	if p.source == "" {
		return nil, usage(`no contract.c, contract.rs, contract.ts or contract.go in %s: start with "tercet contract new DIR --language c", or name the directory`, dir)
	}
	return p, nil
}

// run runs a compiler in the project; what it says goes to the user as it is.
func (p *project) run(ctx context.Context, env []string, name string, args ...string) error {
	progress("%s %s", filepath.Base(name), strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	err := cmd.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return fmt.Errorf("%s does not compile: correct what %s says above", p.source, filepath.Base(name))
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", name, err)
	}
	return nil
}

// program finds the first of these programs.
func program(names ...string) (string, bool) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// missing says which program is not installed and how to install it.
func missing(what, how string) error {
	return fmt.Errorf("%s is not installed: %s", what, how)
}

func compileC(ctx context.Context, p *project) error {
	const install = `run "apt install clang-14 lld-14" on Debian 12, "apt install clang lld" on others, or put a clang that knows wasm32, with wasm-ld, on the PATH`
	clang, ok := program("clang-14", "clang", "clang-19")
	if !ok {
		return missing("clang", install)
	}
	if ld, err := exec.CommandContext(ctx, clang, "-print-prog-name=wasm-ld").Output(); err != nil || !found(strings.TrimSpace(string(ld))) {
		return missing("wasm-ld, clang's linker,", install)
	}
	return p.run(
		ctx, nil, clang, "--target=wasm32", "-O2", "-mcpu=mvp", "-nostdlib", "-fno-builtin", "-Wall", "-Wextra",
		"-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=16384", "-Wl,--stack-first",
		"-o", p.wasm, p.source,
	)
}

// found reports whether a program can be run.
func found(path string) bool {
	_, ok := program(path)
	return ok
}

func compileAssemblyScript(ctx context.Context, p *project) error {
	asc, ok := p.nodeProgram("asc")
	if !ok {
		how := fmt.Sprintf(`run "npm install" in %s`, p.dir)
		if !found("npm") {
			how = `run "apt install npm", then ` + strings.TrimPrefix(how, "run ")
		}
		return missing("AssemblyScript's compiler asc", how)
	}
	return p.run(ctx, nil, asc, p.source, "-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "-o", p.wasm)
}

// nodeProgram finds a program of npm's packages, in the project or above it, or on the PATH.
func (p *project) nodeProgram(name string) (string, bool) {
	for dir := p.dir; ; dir = filepath.Dir(dir) {
		if path, ok := program(filepath.Join(dir, "node_modules", ".bin", name)); ok {
			return path, true
		}
		if dir == filepath.Dir(dir) {
			return program(name)
		}
	}
}

func compileRust(ctx context.Context, p *project) error {
	const target = "wasm32-unknown-unknown"
	cargo, ok := program("cargo")
	if !ok {
		return missing("cargo", `run "apt install cargo libstd-rust-dev-wasm32 lld-14" (Debian and its relatives), or install Rust with rustup`)
	}
	libs, err := exec.CommandContext(ctx, "rustc", "--print", "target-libdir", "--target", target).Output()
	if dir := strings.TrimSpace(string(libs)); err != nil || !isDir(dir) {
		return missing("Rust's library for "+target, fmt.Sprintf(`run "apt install libstd-rust-dev-wasm32 lld-14" for Debian's Rust, or "rustup target add %s"`, target))
	}
	out := filepath.Join(p.dir, "build", "target")
	if err := p.run(ctx, rustEnvironment(), cargo, "build", "--release", "--target", target, "--target-dir", out); err != nil {
		return err
	}
	if err := copyFile(p.wasm, filepath.Join(out, target, "release", "contract.wasm"), 0o644); err != nil {
		return fmt.Errorf("taking what cargo built: %w: Cargo.toml has to name the package contract", err)
	}
	return nil
}

// rustEnvironment names the linker where Rust does not bring its own: Debian's does not.
func rustEnvironment() []string {
	const linker = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER"
	root, err := exec.Command("rustc", "--print", "sysroot").Output()
	if err != nil || os.Getenv(linker) != "" {
		return nil
	}
	if own, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "lib", "rustlib", "*", "bin", "rust-lld")); len(own) > 0 {
		return nil
	}
	if ld, ok := program("wasm-ld-14", "wasm-ld"); ok {
		return []string{linker + "=" + ld}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func compileGo(ctx context.Context, p *project) error {
	tinygo, ok := program("tinygo")
	if !ok {
		return missing("TinyGo", "install version 0.40 or newer as https://tinygo.org/getting-started/install/ says; Go's own compiler makes modules that are too large and use floating point")
	}
	return p.run(
		ctx, nil, tinygo, "build", "-target=wasm-unknown", "-gc=leaking", "-scheduler=none", "-panic=trap", "-no-debug", "-opt=z",
		"-o", p.wasm, ".",
	)
}
