package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/contracts"
)

// ignored is the .gitignore of a new project: what is made from the rest.
const ignored = "build/\nnode_modules/\n"

func newContractNew() *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "new DIR",
		Short: "Start a contract: a counter that compiles, to be changed",
		Long: `New makes a directory with a small contract that is complete: a counter with a
constructor, methods, an event and an error of its own, what it offers (abi.json), and
the SDK it is written with, as source. Nothing else is needed but the compiler:

  c                clang and lld:    apt install clang-14 lld-14 (newer systems: clang lld)
  assemblyscript   asc from npm:     npm install, in the directory
  rust             cargo:            apt install cargo libstd-rust-dev-wasm32 lld-14
  go               TinyGo 0.40:      https://tinygo.org/getting-started/install/`,
		Example: `  tercet contract new counter --language c
  tercet contract new counter --language assemblyscript && cd counter && npm install`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := languageOf(name)
			if err != nil {
				return err
			}
			files, err := scaffold(args[0], l)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Dir      string   `json:"dir"`
					Language string   `json:"language"`
					Files    []string `json:"files"`
				}{args[0], l.name, files})
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), nextSteps(args[0], l, files))
			return err
		},
	}
	cmd.Flags().StringVar(&name, "language", "", "`LANGUAGE` of the contract: "+languageNames())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func languageNames() string {
	var names []string
	for _, l := range languages {
		names = append(names, l.name)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

func languageOf(name string) (language, error) {
	i := slices.IndexFunc(languages, func(l language) bool { return l.name == name })
	switch {
	case name == "":
		return language{}, usage("in which language? Choose one with --language: %s", languageNames())
	case i < 0:
		return language{}, usage("--language %s: use %s", name, languageNames())
	}
	return languages[i], nil
}

// scaffold writes a project into a directory that is not there or empty, and returns its files.
func scaffold(dir string, l language) ([]string, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, usage("%s is not empty: name another directory, nothing is replaced", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, usage("%s: %w: name a directory for the contract", dir, err)
	}
	if baseName(absolute(dir)) == "" {
		return nil, usage("%s: a contract is named after its directory: choose a name that does not begin with a dot", dir)
	}
	files, err := contracts.Template(l.folder)
	if err != nil {
		return nil, err
	}
	files = append(files, contracts.File{Name: ".gitignore", Data: []byte(ignored)})
	var names []string
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // source code, not a secret
			return nil, fmt.Errorf("making the project: %w", err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return nil, fmt.Errorf("making the project: %w", err)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names, nil
}

// absolute is for names only: where it cannot be found out, the path as it was given.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func nextSteps(dir string, l language, files []string) string {
	install := ""
	if slices.Contains(files, "package.json") {
		install = fmt.Sprintf("  npm install --prefix %s\n", dir)
	}
	return fmt.Sprintf(`%[1]s is a counter in %[2]s: %[3]s

%[4]s  tercet contract build %[1]s
  tercet dev                  # in another terminal
  tercet contract deploy %[5]s 41 --dev-account 0
`, dir, l.name, strings.Join(files, ", "), install, filepath.Join(dir, "build", baseName(absolute(dir))+".json"))
}
