package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FileName is the name of the configuration file in a home directory.
const FileName = "config.toml"

// peersKey is the one key whose value is a list of tables.
const peersKey = "p2p.peers"

// Modes of what a home directory contains: nobody but its owner reads any of it.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// FilePath is the configuration file of a home.
func FilePath(home string) string { return filepath.Join(home, FileName) }

// GenesisPath is the genesis file of a home.
func GenesisPath(home string) string { return filepath.Join(home, "genesis.json") }

// DataDir is the directory of a home's databases.
func DataDir(home string) string { return filepath.Join(home, "data") }

// WALDir is the directory of a home's consensus safety journal.
func WALDir(home string) string { return filepath.Join(home, "data", "consensus.wal") }

// PoolJournalPath is where a home keeps the transactions of its clients that wait: a file that may be deleted when the node
// is stopped.
func PoolJournalPath(home string) string { return filepath.Join(home, "data", "pool.journal") }

// ContractsDir is where a home keeps compiled contracts: a cache that may be deleted when the node is stopped.
func ContractsDir(home string) string { return filepath.Join(home, "data", "contracts") }

// Write stores c as a commented TOML file at path, replacing a file that is there
// in one step. Home is where the file lies and is not part of it.
func (c *Config) Write(path string) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return fmt.Errorf("creating the directory of %s: %w", path, err)
	}
	return writeAtomic(path, []byte(c.toml()))
}

// toml renders every key with its documentation, so that the file teaches.
func (c *Config) toml() string {
	var b strings.Builder
	b.WriteString("# Configuration of a tercet node. Each key can be overridden by an environment variable\n")
	b.WriteString("# (rpc.listen: TERCET_RPC_LISTEN); a flag wins over both. Unknown keys are errors.\n")
	section := ""
	for _, f := range fields(c) {
		s, name, _ := strings.Cut(f.key, ".")
		if s != section {
			section = s
			fmt.Fprintf(&b, "\n# %s\n[%s]\n", comment(docs[s]), s)
		}
		if f.key != peersKey {
			fmt.Fprintf(&b, "# %s\n%s = %s\n", comment(docs[f.key]), name, tomlValue(f.value))
			continue
		}
		fmt.Fprintf(&b, "# %s\n", comment(docs[f.key]))
		for _, p := range c.P2P.Peers {
			fmt.Fprintf(&b, "[[p2p.peers]]\nname = %q\nid = %q\naddrs = %s\n", p.Name, p.ID, quoted(p.Addrs))
		}
	}
	return b.String()
}

// comment continues a text of several lines as a comment.
func comment(text string) string { return strings.ReplaceAll(text, "\n", "\n# ") }

// writeAtomic replaces path with data, durably: a crash leaves the old or the new file.
func writeAtomic(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	if err = tmp.Chmod(fileMode); err == nil {
		_, err = tmp.Write(data)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
