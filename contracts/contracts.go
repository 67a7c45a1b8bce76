// Package contracts holds the templates of new contracts, the SDKs that they are written with, and example contracts.
//
// A contract is a WebAssembly module for the host functions of package vm. The SDKs are one small file or package per
// language, without dependencies: a C header, an AssemblyScript module, a crate for Rust without std, a Go package for
// TinyGo. A template is a counter with a constructor, an event and an error of its own.
package contracts

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed all:templates
var templates embed.FS

//go:embed sdk
var sdks embed.FS

// File is one file of a new project. Name is relative to the project and uses slashes.
type File struct {
	Name string
	Data []byte
}

// Languages returns the languages that have a template.
func Languages() []string { return []string{"assemblyscript", "c", "rust", "tinygo"} }

// Template returns the files of a new contract in a language: the template and the SDK that it uses.
func Template(language string) ([]File, error) {
	if !slices.Contains(Languages(), language) {
		return nil, fmt.Errorf("there is no template for %q: choose one of %s", language, strings.Join(Languages(), ", "))
	}
	files, err := list(templates, path.Join("templates", language))
	if err != nil {
		return nil, err
	}
	sdk, err := list(sdks, path.Join("sdk", language))
	if err != nil {
		return nil, err
	}
	return append(files, sdk...), nil
}

// list returns the files below root, in lexical order. What must not be part of this module,
// such as a go.mod, is stored with the ending .txt.
func list(tree fs.FS, root string) ([]File, error) {
	var files []File
	err := fs.WalkDir(tree, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, p)
		name := strings.TrimSuffix(strings.TrimPrefix(p, root+"/"), ".txt")
		files = append(files, File{Name: name, Data: data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the embedded files of %s: %w", root, err)
	}
	return files, nil
}
