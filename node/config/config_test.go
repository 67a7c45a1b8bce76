package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/node/config"
)

var rewrite = flag.Bool("rewrite", false, "write docs/config.md instead of comparing with it")

func TestDefault_isValid(t *testing.T) {
	if err := config.Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestConfig_Write_readsBack(t *testing.T) {
	home := t.TempDir()
	c := config.Default()
	c.Chain.Replica = true
	c.Consensus.Delta = 400 * time.Millisecond
	c.Consensus.MaxIdle = 0
	c.RPC.CORS = []string{"https://a.example", "https://b.example"}
	c.P2P.Peers = []config.Peer{
		{Name: "node1", ID: "16Uiu2HAm1", Addrs: []string{"/ip4/127.0.0.1/tcp/1"}},
		{Name: "node2", ID: "16Uiu2HAm2", Addrs: []string{}},
	}
	if err := c.Write(config.FilePath(home)); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(home, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Home != home || !got.Chain.Replica || got.Consensus != c.Consensus || len(got.RPC.CORS) != 2 || got.RPC.CORS[1] != c.RPC.CORS[1] {
		t.Errorf("got %+v, want %+v", got, c)
	}
	if len(got.P2P.Peers) != 2 || got.P2P.Peers[0].ID != "16Uiu2HAm1" || got.P2P.Peers[0].Addrs[0] != "/ip4/127.0.0.1/tcp/1" || got.P2P.Peers[1].Name != "node2" {
		t.Errorf("got peers %+v, want %+v", got.P2P.Peers, c.P2P.Peers)
	}
	info, err := os.Stat(config.FilePath(home))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %04o, want 0600", got)
	}
}

func TestLoad_precedence(t *testing.T) {
	home := homeWith(t, "[rpc]\nlisten = \"127.0.0.1:1\"\nmax_batch = 7\n[log]\nlevel = \"warn\"\n")
	t.Setenv("TERCET_RPC_LISTEN", "127.0.0.1:2")
	t.Setenv("TERCET_LOG_LEVEL", "error")
	t.Setenv("TERCET_RPC_CORS", "https://a.example,https://b.example")
	t.Setenv("TERCET_CONSENSUS_MAX_IDLE", "2s")
	c, err := config.Load(home, map[string]string{"rpc.listen": "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	if c.RPC.Listen != "127.0.0.1:3" || c.Log.Level != "error" || c.RPC.MaxBatch != 7 || len(c.RPC.CORS) != 2 ||
		c.Consensus.MaxIdle != 2*time.Second || c.Consensus.Delta != config.Default().Consensus.Delta {
		t.Errorf("got %+v: want flag over environment over file over default", c)
	}
	settings, err := config.Explain(home, map[string]string{"rpc.listen": "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"rpc.listen": "flag", "log.level": "TERCET_LOG_LEVEL", "rpc.max_batch": "config.toml", "pool.lifetime": "default"}
	for _, s := range settings {
		if w, ok := want[s.Key]; ok && s.Origin != w {
			t.Errorf("%s comes from %s, want %s", s.Key, s.Origin, w)
		}
	}
}

func TestLoad_mistakes(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        [2]string
		flags      map[string]string
		want       []string
	}{
		{name: "unknown key", file: "[consensus]\ndleta = \"1s\"\n", want: []string{"config.toml, line 2: ", "consensus.dleta", `did you mean "consensus.delta"`}},
		{name: "unknown section", file: "[rcp]\nlisten = \"x\"\n", want: []string{"config.toml, line 2: ", "rcp.listen", `did you mean "rpc.listen"`}},
		{name: "unknown key of a peer", file: "[[p2p.peers]]\nname = \"a\"\naddresses = []\n", want: []string{"config.toml, line 3: ", "p2p.peers[0].addresses", `"addrs"`}},
		{name: "unknown variable", env: [2]string{"TERCET_RPC_LISTENS", "x"}, want: []string{"TERCET_RPC_LISTENS", "did you mean TERCET_RPC_LISTEN?"}},
		{name: "unknown flag", flags: map[string]string{"rpc.lisen": "x"}, want: []string{"rpc.lisen", "rpc.listen"}},
		{name: "duration without a unit", file: "[consensus]\ndelta = 150\n", want: []string{"config.toml, line 2: ", "consensus.delta = 150ns", `"1ms" to "1m0s"`, "unit"}},
		{name: "not a duration", file: "[consensus]\ndelta = \"fast\"\n", want: []string{"config.toml, line 2: ", "consensus.delta", "fast"}},
		{name: "not a number", env: [2]string{"TERCET_RPC_MAX_BATCH", "many"}, want: []string{"rpc.max_batch", "many"}},
		{name: "limit", file: "[rpc]\nmax_batch = 0\n", want: []string{"rpc.max_batch = 0", "1 to 100000"}},
		{name: "address", file: "[rpc]\nlisten = \"8545\"\n", want: []string{`rpc.listen = "8545"`, "127.0.0.1:8545"}},
		{name: "port", file: "[ops]\nlisten = \"localhost:70000\"\n", want: []string{"ops.listen"}},
		{name: "multiaddr", file: "[p2p]\nlisten = [\"0.0.0.0:1\"]\n", want: []string{"p2p.listen", "/ip4/"}},
		{name: "no listener", file: "[p2p]\nlisten = []\n", want: []string{"p2p.listen is empty"}},
		{name: "peer without an id", file: "[[p2p.peers]]\nname = \"a\"\n", want: []string{"config.toml, line 1: ", "p2p.peers[0]", "keys show"}},
		{name: "peer twice", file: "[[p2p.peers]]\nname=\"a\"\nid=\"x\"\n[[p2p.peers]]\nname=\"b\"\nid=\"x\"\n", want: []string{"config.toml, line 4: ", "p2p.peers[1]", "repeats"}},
		{name: "address of a peer", file: "# [[p2p.peers]]\n\n[[ p2p . peers ]]\n\"name\" = \"a\"\nid=\"x\"\n[[p2p.peers]]\nname=\"b\"\nid=\"y\"\n# addrs = []\n addrs = [\"1\"]\n", want: []string{"config.toml, line 10: ", "p2p.peers[1].addrs"}},
		{name: "key with its section", file: "rpc.max_batch = 0\n", want: []string{"config.toml, line 1: ", "rpc.max_batch = 0"}},
		{name: "level", file: "[log]\nlevel = \"loud\"\n", want: []string{"log.level", "debug, info, warn, error"}},
		{name: "not TOML", file: "[rpc]\nmax_batch = 7\n[log\n", want: []string{"config.toml, line 3: this is not TOML: ", "correct it"}},
		{name: "key twice", file: "[rpc]\nmax_batch = 7\nmax_batch = 7\n", want: []string{"config.toml", "this is not TOML: ", "max_batch", "correct it"}},
		{name: "value for a section", file: "rpc = 5\n", want: []string{"rpc"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := homeWith(t, tt.file)
			if tt.env[0] != "" {
				t.Setenv(tt.env[0], tt.env[1])
			}
			_, err := config.Load(home, tt.flags)
			if err == nil {
				t.Fatal("got no error")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			if _, ok := errors.AsType[*config.Error](err); !ok {
				t.Errorf("%q is not the operator's mistake", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %q, want it to contain %q", err, w)
				}
			}
		})
	}
}

func TestLoad_whenThereIsNoHome(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none"), nil)
	if err == nil || !strings.Contains(err.Error(), "tercet init --home") {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestMarkdown_isCommitted(t *testing.T) {
	const path = "../../docs/config.md"
	if *rewrite {
		if err := os.WriteFile(path, []byte(config.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != config.Markdown() {
		t.Errorf("docs/config.md is out of date: go test ./node/config -rewrite")
	}
	for line := range strings.Lines(config.Markdown()) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |\n") {
			t.Errorf("a key has no documentation: %s", line)
		}
	}
}

func TestKeys_readBack(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("correct horse\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, passwordFile string }{{"plain", ""}, {"encrypted", password}} {
		t.Run(tt.name, func(t *testing.T) {
			home, key := t.TempDir(), newKey(t)
			if err := config.WriteValidatorKey(home, key, tt.passwordFile); err != nil {
				t.Fatal(err)
			}
			got, err := config.LoadValidatorKey(home, tt.passwordFile)
			if err != nil {
				t.Fatal(err)
			}
			if got.Address() != key.Address() {
				t.Errorf("got the key of %s, want %s", got.Address(), key.Address())
			}
			if a, encrypted, err := config.ValidatorIdentity(home); err != nil || a != key.Address() || encrypted != (tt.passwordFile != "") {
				t.Errorf("got address %s, encrypted %v, %v, want %s", a, encrypted, err, key.Address())
			}
			raw, err := os.ReadFile(config.ValidatorKeyPath(home))
			if err != nil {
				t.Fatal(err)
			}
			if plain := strings.Contains(string(raw), "privateKey"); plain != (tt.passwordFile == "") {
				t.Errorf("plain: %v with password file %q", plain, tt.passwordFile)
			}
			if err := config.WriteValidatorKey(home, newKey(t), ""); err == nil {
				t.Error("a key was replaced")
			}
			for path, want := range map[string]os.FileMode{config.ValidatorKeyPath(home): 0o600, filepath.Dir(config.ValidatorKeyPath(home)): 0o700} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Mode().Perm(); got != want {
					t.Errorf("%s has mode %04o, want %04o", path, got, want)
				}
			}
		})
	}
}

func TestHostKey_readsBack(t *testing.T) {
	home, key := t.TempDir(), newKey(t)
	if err := config.WriteHostKey(home, key); err != nil {
		t.Fatal(err)
	}
	secret, id, err := config.LoadHostKey(home)
	if err != nil {
		t.Fatal(err)
	}
	if string(secret) != string(key.Secret()) || !strings.HasPrefix(string(id), "16Uiu2HA") {
		t.Errorf("got peer id %s", id)
	}
}

func TestLoadValidatorKey_mistakes(t *testing.T) {
	const secret = "0x1111111111111111111111111111111111111111111111111111111111111111"
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		{"missing", "", 0, "restore it from its backup, because a new key is neither in the genesis"},
		{"readable by others", "{}", 0o644, "chmod 600"},
		{"not JSON", secret, 0o600, "not a JSON key file"},
		{"short", `{"address":"0x00","privateKey":"0x1111"}`, 0o600, "not 32 bytes"},
		{"other address", `{"address":"0x0000000000000000000000000000000000000001","privateKey":"` + secret + `"}`, 0o600, "the key belongs to"},
		{"encrypted", `{"address":"00","crypto":{}}`, 0o600, "keys.password_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			path := config.ValidatorKeyPath(home)
			if tt.mode != 0 {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			_, err := config.LoadValidatorKey(home, "")
			if _, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want the mistake %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "1111") {
				t.Errorf("the error prints the secret: %v", err)
			}
		})
	}
}

func newKey(t *testing.T) *sig.Key {
	t.Helper()
	key, err := sig.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func homeWith(t *testing.T, file string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(config.FilePath(home), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}
