package tidy

import (
	"fmt"
	"slices"
	"strings"
)

// A home says where a dependency may be imported. Elsewhere the module uses the
// home's own types, so that a dependency can be replaced in one place.
type home struct {
	pillar string   // import path, or a prefix of it that ends before a slash
	at     []string // directories; one that ends in /... includes those below
}

// homes is searched for the longest pillar that matches an import.
var homes = []home{
	{"github.com/libp2p", []string{"p2p/host"}},
	{"github.com/multiformats", []string{"p2p/host"}},
	{"github.com/syndtr/goleveldb", []string{"ledger/store", "testframework/simdisk"}},
	// The seam under which disk faults are injected; it passes through node.Options.
	{"github.com/syndtr/goleveldb/leveldb/storage", []string{"ledger/store", "testframework/...", "node"}},
	{"github.com/tetratelabs/wazero", []string{"vm/..."}},
	{"github.com/andybalholm/brotli", []string{"vm"}},
	{"github.com/spf13/viper", []string{"node/config"}},
	{"github.com/spf13/cobra", []string{"cmd/tercet"}},
	{"github.com/spf13/pflag", []string{"cmd/tercet", "node/config"}},
	{"github.com/tyler-smith/go-bip39", []string{"cmd/tercet"}},
	{"github.com/prometheus", []string{"node/metrics"}},
	{"github.com/gorilla/websocket", []string{"node/rpc"}},
	{"github.com/rogpeppe/go-internal", []string{"cmd/tercet", "internal/tidy"}},
	{"golang.org/x/sys", []string{"consensus/wal", "cmd/tercet"}},

	// go-ethereum is a vocabulary, four packages of it, and two tools.
	{"github.com/ethereum/go-ethereum", nil},
	{"github.com/ethereum/go-ethereum/common", []string{"..."}},
	{"github.com/ethereum/go-ethereum/core/types", []string{"..."}},
	{"github.com/ethereum/go-ethereum/crypto", []string{"..."}},
	{"github.com/ethereum/go-ethereum/rlp", []string{"..."}},
	{"github.com/ethereum/go-ethereum/rpc", []string{"node/rpc"}},
	{"github.com/ethereum/go-ethereum/accounts/keystore", []string{"node/config", "cmd/tercet"}},
	{"github.com/ethereum/go-ethereum/accounts/abi", []string{"cmd/tercet", "node/rpc"}},
}

// Homes reports dependencies imported away from home. Tests may use anything.
func Homes(m *Module) []Finding {
	var found []Finding
	for _, p := range m.Packages {
		for _, f := range p.Source() {
			for i, imported := range f.imports() {
				h, ok := homeOf(imported)
				if !ok || slices.ContainsFunc(h.at, func(dir string) bool { return covers(dir, p.Dir) }) {
					continue
				}
				where := "has no home in this module: do without it, or give it one in internal/tidy/homes.go with a line in RATIONALE.md"
				if len(h.at) > 0 {
					where = fmt.Sprintf("is at home in %s only: use what that package offers, or add it there", strings.Join(h.at, " and "))
				}
				found = append(found, Finding{m.at(f.AST.Imports[i]), imported + " " + where})
			}
		}
	}
	return found
}

func homeOf(imported string) (home, bool) {
	var best home
	for _, h := range homes {
		if (imported == h.pillar || strings.HasPrefix(imported, h.pillar+"/")) && len(h.pillar) > len(best.pillar) {
			best = h
		}
	}
	return best, best.pillar != ""
}

func covers(pattern, dir string) bool {
	above, ok := strings.CutSuffix(pattern, "...")
	if !ok {
		return pattern == dir
	}
	return strings.HasPrefix(dir+"/", above)
}
