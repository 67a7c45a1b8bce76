package chaos_test

import (
	"bytes"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

const (
	chainOfInit = 7357
	// anyCode stands for every exit code but 0 and that of a signal.
	anyCode = -1
)

// funded is the first of the accounts of --dev-accounts, whose keys are public.
var funded = []chaos.Account{{
	Address:    common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
	PrivateKey: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
}}

// lone is a validator on its own: one home, one process, restarted after each damage.
type lone struct {
	t      *testing.T
	binary string
	home   string
	args   []string
	client *chaos.Client
	wallet *chaos.Wallet
	seen   []*chaos.Receipt
	run    *chaos.Process
}

func newLone(t *testing.T) *lone {
	t.Helper()
	l := &lone{t: t, binary: binary(t), home: filepath.Join(t.TempDir(), "home")}
	e, err := chaos.Command(t.Context(), 20*time.Second, l.binary, "init", "--home", l.home, "--dev-accounts")
	check(t, err)
	if e.Code != 0 {
		t.Fatalf("init ended with code %d: %s", e.Code, e.Stderr)
	}
	base, err := chaos.FreeBase(1)
	check(t, err)
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", base+i) }
	l.args = []string{
		"run", "--home", l.home, "--set", "rpc.listen=" + address(0), "--set", "ops.listen=" + address(1),
		"--set", fmt.Sprintf("p2p.listen=/ip4/127.0.0.1/tcp/%d", base+2),
	}
	l.client = chaos.NewClient("the node", "http://"+address(0))
	l.wallet, err = chaos.NewWallet(chainOfInit, 5, t.Name())
	check(t, err)
	t.Cleanup(l.crash)
	return l
}

// start runs the node and waits until it answers.
func (l *lone) start() {
	l.t.Helper()
	var err error
	l.run, err = chaos.StartProcess(l.binary, l.args...)
	check(l.t, err)
	if err := l.run.Answers(bounded(l.t, 30*time.Second), l.client); err != nil {
		l.t.Fatalf("the node does not run: %v", err)
	}
}

// crash is kill -9.
func (l *lone) crash() {
	if l.run != nil {
		e := l.run.Kill()
		if l.t.Failed() {
			l.t.Logf("the node's log ends with\n%s", lastLines(e.Stderr, 20))
		}
		l.run = nil
	}
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// works commits transfers and checks that every receipt ever seen is there.
func (l *lone) works() {
	l.t.Helper()
	load := &chaos.Load{Clients: []*chaos.Client{l.client}, Transfers: transfers(l.t, l.wallet, 10), PerSecond: perSecond}
	results, err := load.Run(bounded(l.t, 30*time.Second))
	check(l.t, err)
	l.seen = append(l.seen, results.Seen()...)
	check(l.t, chaos.Kept(l.t.Context(), l.seen, l.client))
	check(l.t, l.wallet.Conserved(l.t.Context(), l.client))
}

// refused runs the node and expects it to end by itself with the code, saying one line that contains
// all words.
func (l *lone) refused(code int, words ...string) {
	l.t.Helper()
	e, err := chaos.Command(l.t.Context(), 20*time.Second, l.binary, l.args...)
	if err != nil {
		l.t.Fatalf("the node ran: %v\n%s", err, e.Stderr)
	}
	lines := e.Lines()
	if code == anyCode && e.Code > 0 {
		code = e.Code
	}
	if e.Code != code || len(lines) != 1 || !strings.HasPrefix(lines[0], "tercet: ") {
		l.t.Fatalf("got exit code %d and %d lines, want code %d and one line that begins with \"tercet: \":\n%s", e.Code, len(lines), code, e.Stderr)
	}
	for _, word := range words {
		if !strings.Contains(lines[0], word) {
			l.t.Errorf("the line does not contain %q: %s", word, lines[0])
		}
	}
	l.t.Logf("exit code %d: %s", e.Code, lines[0])
}

// path is a file of the home.
func (l *lone) path(parts ...string) string {
	return filepath.Join(append([]string{l.home}, parts...)...)
}

// replace writes a file for the time that f runs.
func (l *lone) replace(path string, content []byte, f func()) {
	l.t.Helper()
	old, err := os.ReadFile(path)
	check(l.t, err)
	check(l.t, os.WriteFile(path, content, 0o600))
	defer func() { check(l.t, os.WriteFile(path, old, 0o600)) }()
	f()
	now, err := os.ReadFile(path)
	check(l.t, err)
	if !bytes.Equal(now, content) {
		l.t.Errorf("the refused start changed %s", path)
	}
}

// without takes a file or directory away for the time that f runs.
func (l *lone) without(path string, f func()) {
	l.t.Helper()
	check(l.t, os.Rename(path, path+".away"))
	defer func() {
		if _, err := os.Stat(path); err == nil {
			l.t.Errorf("the refused start made a new %s", path)
			check(l.t, os.RemoveAll(path))
		}
		check(l.t, os.Rename(path+".away", path))
	}()
	f()
}

// A home that is damaged or in use is refused in one line that says what to do, and works as before
// when it is repaired: no receipt that was seen is lost.
func TestHome_damaged(t *testing.T) {
	l := newLone(t)
	l.start()
	check(t, l.wallet.Fund(t.Context(), l.client, funded, big.NewInt(1e18)))
	l.works()
	for _, tc := range []struct {
		name string
		hurt func(t *testing.T)
	}{
		{"config.toml with an unknown key", func(*testing.T) {
			l.replace(l.path("config.toml"), bytes.Replace(read(t, l.path("config.toml")), []byte("[rpc]\n"), []byte("[rpc]\nlistn = \"127.0.0.1:1\"\n"), 1),
				func() { l.refused(2, "rpc.listn", "did you mean") })
		}},
		{"config.toml that is not TOML", func(*testing.T) {
			l.replace(l.path("config.toml"), []byte("[rpc"), func() { l.refused(2, "config.toml") })
		}},
		{"config.toml missing", func(*testing.T) {
			l.without(l.path("config.toml"), func() { l.refused(2, "config.toml", "tercet init") })
		}},
		{"genesis.json cut off", func(*testing.T) {
			raw := read(t, l.path("genesis.json"))
			l.replace(l.path("genesis.json"), raw[:len(raw)/2], func() { l.refused(anyCode, "genesis.json") })
		}},
		{"genesis.json with an unknown field", func(*testing.T) {
			l.replace(l.path("genesis.json"), bytes.Replace(read(t, l.path("genesis.json")), []byte("{"), []byte(`{"chian": 1,`), 1),
				func() { l.refused(anyCode, "genesis.json", "chian") })
		}},
		{"genesis.json of another chain", func(*testing.T) {
			l.replace(l.path("genesis.json"), bytes.Replace(read(t, l.path("genesis.json")), []byte("7357"), []byte("7358"), 1), func() { l.refused(5, "genesis") })
		}},
		{"genesis.json missing", func(*testing.T) {
			l.without(l.path("genesis.json"), func() { l.refused(anyCode, "genesis.json", "copy") })
		}},
		{"validator key missing", func(*testing.T) {
			l.without(l.path("keys", "validator.json"), func() { l.refused(anyCode, "validator.json") })
		}},
		{"host key missing", func(*testing.T) { l.without(l.path("keys", "host.json"), func() { l.refused(anyCode, "host.json") }) }},
		{"host key cut off", func(*testing.T) {
			l.replace(l.path("keys", "host.json"), []byte("{"), func() { l.refused(anyCode, "host.json") })
		}},
		{"journal missing", func(*testing.T) {
			l.without(l.path("data", "consensus.wal"), func() { l.refused(5, "consensus.wal", "--rejoin") })
		}},
		{"journal with a flipped bit in the middle", func(t *testing.T) {
			path, end := journal(t, l)
			raw := read(t, path)
			raw[end/2] ^= 0x10
			l.replace(path, raw, func() { l.refused(5, "consensus.wal", "restore") })
		}},
		{"journal with a torn tail", func(t *testing.T) { tearJournal(t, l) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l.t = t
			l.crash()
			tc.hurt(t)
			l.start()
			l.works()
		})
	}
	l.t = t
	t.Logf("%d receipts were seen and none is lost", len(l.seen))
}

// A second process on a home that runs is refused, whatever lock files somebody deleted; the first goes
// on.
func TestHome_secondProcess(t *testing.T) {
	l := newLone(t)
	l.start()
	check(t, l.wallet.Fund(t.Context(), l.client, funded, big.NewInt(1e18)))
	first := l.run.PID
	l.works()
	l.refused(3, l.home, fmt.Sprint(first))
	l.works()
	check(t, os.Remove(l.path("LOCK")))
	l.refused(3, l.home)
	l.works()
	if _, ended := l.run.Ended(); ended || l.run.PID != first {
		t.Error("the first process ended")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	return raw
}

// journal returns the newest segment of the safety journal and the offset after its last written byte;
// the rest of it is preallocated zeros.
func journal(t *testing.T, l *lone) (path string, end int) {
	t.Helper()
	segments, err := filepath.Glob(l.path("data", "consensus.wal", "*.wal"))
	check(t, err)
	if len(segments) == 0 {
		t.Fatal("there is no journal to damage")
	}
	path = segments[len(segments)-1]
	return path, len(bytes.TrimRight(read(t, path), "\x00"))
}

// tearJournal leaves what a power cut leaves of a write that was under way: the beginning of one more
// record. The start says so and goes on.
func tearJournal(t *testing.T, l *lone) {
	t.Helper()
	path, end := journal(t, l)
	raw := read(t, path)
	torn := append([]byte{0, 0, 1, 0}, bytes.Repeat([]byte{0xA7}, 50)...) // 256 bytes are announced
	copy(raw[(end+15)/16*16:], torn)
	check(t, os.WriteFile(path, raw, 0o600))
	l.start()
	l.works()
	// The log may reach us a moment after the node answers.
	err := chaos.Await(bounded(t, 5*time.Second), 20*time.Millisecond, func() (bool, error) {
		return strings.Contains(l.run.Stderr(), "torn"), nil
	})
	if err != nil {
		t.Errorf("the start does not mention the torn tail: %v\n%s", err, l.run.Stderr())
	}
	l.crash()
}
