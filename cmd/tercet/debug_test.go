package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// unpack extracts a dump: unpack FILE DIR.
func unpack(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	zip, err := gzip.NewReader(f)
	ts.Check(err)
	total := int64(0)
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		path := filepath.Join(ts.MkAbs(args[1]), filepath.Clean("/"+h.Name))
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
		raw, err := io.ReadAll(r)
		ts.Check(err)
		ts.Check(os.WriteFile(path, raw, 0o600))
		total += int64(len(raw))
	}
	if total == 0 || total > 32<<20 {
		ts.Fatalf("%s has %d bytes", args[0], total)
	}
}

// secretIn are the hexadecimal digits of the key in a file.
func secretIn(ts *testscript.TestScript, path string) string {
	found := regexp.MustCompile(`"privateKey": ?"0x([0-9a-f]{64})"`).FindStringSubmatch(ts.ReadFile(path))
	if found == nil {
		return ""
	}
	return found[1]
}

// logKey writes a log that tells the key in a file: key FILE LOG.
func logKey(ts *testscript.TestScript, _ bool, args []string) {
	key := secretIn(ts, args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(fmt.Sprintf("it said: %s and 0x%s\n", key, strings.ToUpper(key))), 0o600))
}

// keyless wants no file below a directory to have a key of a home, as bytes or in hexadecimal digits, or anything
// else that its key files keep secret: keyless HOME DIR.
func keyless(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "keys", "*.json"))
	ts.Check(err)
	if len(files) < 2 {
		ts.Fatalf("%s has %d key files", args[0], len(files))
	}
	var secrets [][]byte
	for _, path := range files {
		for _, word := range regexp.MustCompile("[0-9a-f]{64,}").FindAllString(ts.ReadFile(path), -1) {
			raw, err := hex.DecodeString(word)
			ts.Check(err)
			secrets = append(secrets, []byte(word), raw)
		}
	}
	secrets = append(secrets, []byte("correct horse"))
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(bytes.ToLower(content), bytes.ToLower(secret)) || bytes.Contains(content, secret) {
				return fmt.Errorf("%s has the secret %x", path, secret)
			}
		}
		return err
	}))
}
