package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	tercet "github.com/tercet-chain/tercet/cmd/tercet"
)

// FuzzReadNetwork: any network.json is refused in one line, or reads back as it was saved, and its homes lie in it.
func FuzzReadNetwork(f *testing.F) {
	for _, text := range []string{
		`{"chainId":7357,"nodes":[{"name":"node1","pid":5,"rpc":"http://127.0.0.1:8545","ws":"","ops":"","home":"/elsewhere/node1"},{"name":"node2"}],"accounts":[{"address":"0x01","privateKey":"0x02"}]}`,
		`{"nodes":[{"name":"../../etc"}]}`, `{"nodes":[{}]}`, `{"nodes":[]}`, `{"nodes":[{"pid":-1,"name":"a/b"}]}`, `{"nodes":[{"name":"."},{"name":".."}]}`, `null`, `{"nodes":null}`, `[]`,
		`{"nodes":[{"name":"node1"},{"name":"node1"}]}`, `{"nodes":[{"name":"node1","pid":1e30}]}`, "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "network.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		nodes, save, err := tercet.ReadNetwork(dir)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("the operator reads %q", err)
			}
			return
		}
		homes := map[string]bool{}
		for _, n := range nodes {
			if filepath.Dir(n[1]) != dir || homes[n[1]] {
				t.Fatalf("node %q lives in %s", n[0], n[1])
			}
			homes[n[1]] = true
		}
		if err := save(); err != nil {
			t.Fatal(err)
		}
		again, _, err := tercet.ReadNetwork(dir)
		if err != nil || !reflect.DeepEqual(again, nodes) {
			t.Fatalf("read %q, saved it, and read %q: %v", nodes, again, err)
		}
	})
}

// FuzzPrintFields: any JSON that something at the node's address answers is printed, each field on a line of its own.
func FuzzPrintFields(f *testing.F) {
	for _, text := range []string{
		`{"version":"tercet/v1","chainId":7357,"height":"0x1a","peerNames":["a","b"],"pool":{"pending":1},"leader":null}`,
		`{"a":"0xffffffffffffffff1","b":"0x","c":"two\nlines","d":"\u001b[2J"}`, `[]`, `5`, `null`, `"0x1a"`, `{}`, `{"":""}`, `{"a\nb":1}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n, err := tercet.ParseNumber(raw); err == nil {
			var same uint64
			if json.Unmarshal(raw, &same) == nil && same != n {
				t.Fatalf("%s is read as %d", raw, n)
			}
		}
		if !json.Valid(raw) {
			return // Decoding the answer has refused it.
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := tercet.PrintFields(&out, compact.Bytes()); err != nil {
			t.Fatalf("%s is not printed: %v", raw, err)
		}
		if strings.ContainsAny(strings.ReplaceAll(out.String(), "\n", ""), "\x1b\r\x07\x00") {
			t.Fatalf("%s reaches the terminal as %q", raw, out.String())
		}
		fields, err := members(compact.Bytes())
		if lines := strings.Count(out.String(), "\n"); err == nil && lines != max(fields, 0) {
			t.Fatalf("%d fields are printed on %d lines: %q", fields, lines, out.String())
		}
	})
}

// members counts the fields of a JSON object, repeated ones included; an error says that it is none.
func members(raw []byte) (int, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return 0, fmt.Errorf("no object: %w", err)
	}
	n := 0
	for ; dec.More(); n++ {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil {
			return 0, err
		}
		if err := dec.Decode(&value); err != nil {
			return 0, err
		}
	}
	return n, nil
}
