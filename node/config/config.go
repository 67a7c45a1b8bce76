// Package config reads, checks and writes what an operator decides about one node.
//
// A node has a home directory: config.toml (this package's subject), genesis.json
// (what all nodes of a network agree on; package ledger), keys (this package) and
// data (packages ledger/store and consensus/wal). A setting comes from the first of
//
//	command-line flag > environment TERCET_SECTION_KEY > config.toml > [Default]
//
// An unknown key is an error in all four places, because a misspelt limit that is
// silently ignored is worse than a node that does not start. Everything that
// validators must agree on lives in the genesis file, never here.
//
// The same table of documented keys renders config.toml and docs/config.md.
package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Config is one node's checked configuration. It is immutable after [Load].
type Config struct {
	Home      string    `mapstructure:"-"` // Home is the node's directory, absolute.
	Chain     Chain     `mapstructure:"chain"`
	Keys      Keys      `mapstructure:"keys"`
	P2P       P2P       `mapstructure:"p2p"`
	RPC       RPC       `mapstructure:"rpc"`
	Ops       Ops       `mapstructure:"ops"`
	Consensus Consensus `mapstructure:"consensus"`
	Pool      Pool      `mapstructure:"pool"`
	Log       Log       `mapstructure:"log"`
}

// Chain says what this node does for the chain of its genesis file.
type Chain struct {
	Replica bool `mapstructure:"replica"` // Replica follows and serves the chain without voting.
}

// Keys says how the key files are opened; see [LoadValidatorKey].
type Keys struct {
	PasswordFile string `mapstructure:"password_file"` // PasswordFile opens an encrypted validator key; empty: plain.
}

// P2P is the node's place in the peer network.
type P2P struct {
	Listen []string `mapstructure:"listen"` // Listen holds multiaddrs, e.g. /ip4/0.0.0.0/tcp/26656.
	Peers  []Peer   `mapstructure:"peers"`  // Peers is the roster: only they are dialled and admitted.
}

// Peer is a node that may connect to this one.
type Peer struct {
	Name  string   `mapstructure:"name"`  // Name is for people: logs and status.
	ID    string   `mapstructure:"id"`    // ID is the libp2p peer id of its host key.
	Addrs []string `mapstructure:"addrs"` // Addrs holds multiaddrs to dial; none: wait for it to dial.
}

// RPC is the JSON-RPC listener.
type RPC struct {
	Listen        string   `mapstructure:"listen"`         // Listen is host:port; port 0 picks a free one.
	CORS          []string `mapstructure:"cors"`           // CORS holds the browser origins admitted.
	Hosts         []string `mapstructure:"hosts"`          // Hosts holds the names that clients may use for this server.
	MaxBodyBytes  int      `mapstructure:"max_body_bytes"` // MaxBodyBytes caps one request.
	MaxBatch      int      `mapstructure:"max_batch"`      // MaxBatch caps the calls of one batch.
	MaxConcurrent int      `mapstructure:"max_concurrent"` // MaxConcurrent caps the requests served at once.
	MaxCalls      int      `mapstructure:"max_calls"`      // MaxCalls caps the contract calls at work; 0: one fewer than processors.
	// MaxSubscriptions caps the subscriptions over WebSockets and the Unix socket.
	MaxSubscriptions int `mapstructure:"max_subscriptions"`
	// IPC is the path of the Unix socket; relative ones start at the home, "" means none.
	IPC string `mapstructure:"ipc"`

	CallGas     int           `mapstructure:"call_gas"`     // CallGas caps the gas of one call.
	CallTimeout time.Duration `mapstructure:"call_timeout"` // CallTimeout ends a contract call or a search for logs.
	SendWait    time.Duration `mapstructure:"send_wait"`    // SendWait of eth_sendRawTransaction for the commit; 0: answer at once.
	// Faucet gives so many ether to who asks; 0: off.
	Faucet int `mapstructure:"faucet"`
}

// Ops is the operations listener: /livez, /readyz, /metrics, /debug/pprof.
type Ops struct {
	Listen string `mapstructure:"listen"` // Listen is host:port; port 0 picks a free one.
}

// Consensus holds the local timing of this node's votes and proposals. Nodes may
// differ in it: no value here affects safety.
type Consensus struct {
	Delta       time.Duration `mapstructure:"delta"`        // Delta bounds the one-way message delay (Δ of the protocol).
	MinInterval time.Duration `mapstructure:"min_interval"` // MinInterval is kept between two proposals of a leader.
	MaxIdle     time.Duration `mapstructure:"max_idle"`     // MaxIdle until a heartbeat block; 0: no heartbeats.
	MaxDrift    time.Duration `mapstructure:"max_drift"`    // MaxDrift of a proposal's time ahead of the local clock.
}

// Pool limits the transactions that wait to be ordered.
type Pool struct {
	MaxTransactions int           `mapstructure:"max_transactions"` // MaxTransactions in the pool.
	MaxBytes        int           `mapstructure:"max_bytes"`        // MaxBytes of all encoded transactions.
	MaxPerSender    int           `mapstructure:"max_per_sender"`   // MaxPerSender counts one account's transactions.
	Lifetime        time.Duration `mapstructure:"lifetime"`         // Lifetime after which an unordered one is dropped.
	JournalBytes    int           `mapstructure:"journal_bytes"`    // JournalBytes of the file that keeps this node's own; 0: none.
}

// Log says how much the node writes to standard error, and how.
type Log struct {
	Level  string `mapstructure:"level"`  // Level is debug, info, warn or error.
	Format string `mapstructure:"format"` // Format is text, json or auto (text on a terminal).
}

// Default returns the configuration of a validator on a production network
// without peers; it is valid.
func Default() *Config {
	return &Config{
		P2P: P2P{Listen: []string{"/ip4/0.0.0.0/tcp/26656"}, Peers: []Peer{}},
		RPC: RPC{
			Listen:           "127.0.0.1:8545",
			CORS:             []string{},
			Hosts:            []string{},
			MaxBodyBytes:     5 << 20, // 1 MB of contract code is 2.1 MB of hex
			MaxBatch:         1000,
			MaxConcurrent:    256,
			MaxSubscriptions: 10_240,
			IPC:              "tercet.ipc",
			CallGas:          50_000_000,
			CallTimeout:      5 * time.Second,
			SendWait:         500 * time.Millisecond,
		},
		Ops: Ops{Listen: "127.0.0.1:6060"},
		Consensus: Consensus{
			Delta:       150 * time.Millisecond,
			MinInterval: 8 * time.Millisecond,
			MaxIdle:     time.Second,
			MaxDrift:    500 * time.Millisecond,
		},
		Pool: Pool{MaxTransactions: 1 << 17, MaxBytes: 128 << 20, MaxPerSender: 8192, Lifetime: time.Hour, JournalBytes: 16 << 20},
		Log:  Log{Level: "info", Format: "auto"},
	}
}

// Validate returns the first setting that cannot work, named by its key, with the
// values that can.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.validateAddresses, c.validatePeers, c.validateLimits, c.validateDurations} {
		if err := check(); err != nil {
			return err
		}
	}
	if err := oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return oneOf("log.format", c.Log.Format, "auto", "text", "json")
}

func (c *Config) validateAddresses() error {
	for _, a := range []struct{ key, value string }{{"rpc.listen", c.RPC.Listen}, {"ops.listen", c.Ops.Listen}} {
		_, port, err := net.SplitHostPort(a.value)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("%s = %q is not host:port: write for example \"127.0.0.1:8545\"", a.key, a.value)
		}
	}
	if len(c.P2P.Listen) == 0 {
		return fmt.Errorf("p2p.listen is empty: give at least one multiaddr, for example \"/ip4/0.0.0.0/tcp/26656\"")
	}
	return multiaddrs("p2p.listen", c.P2P.Listen)
}

func (c *Config) validatePeers() error {
	ids, names := map[string]bool{}, map[string]bool{}
	for i, p := range c.P2P.Peers {
		key := fmt.Sprintf("p2p.peers[%d]", i)
		switch {
		case p.Name == "":
			return fmt.Errorf("%s has no name: add name = \"...\", which logs and status show", key)
		case p.ID == "":
			return fmt.Errorf("%s (%s) has no id: add the peer id that \"tercet keys show\" prints on that node", key, p.Name)
		case ids[p.ID]:
			return fmt.Errorf("%s (%s) repeats the id %s: keep one entry per peer and list all its addresses in addrs", key, p.Name, p.ID)
		case names[p.Name]:
			return fmt.Errorf("%s repeats the name %q: give each peer its own", key, p.Name)
		}
		ids[p.ID], names[p.Name] = true, true
		if err := multiaddrs(key+".addrs", p.Addrs); err != nil {
			return err
		}
	}
	return nil
}

// multiaddrs checks the shape only; p2p/host parses addresses in full.
func multiaddrs(key string, addrs []string) error {
	for _, a := range addrs {
		if !strings.HasPrefix(a, "/") || !strings.Contains(a, "/tcp/") {
			return fmt.Errorf("%s: %q is not a TCP multiaddr: write for example \"/ip4/10.0.0.1/tcp/26656\" or \"/dns4/node1.example.com/tcp/26656\"", key, a)
		}
	}
	return nil
}

func (c *Config) validateLimits() error {
	for _, l := range []struct {
		key              string
		value, low, high int
	}{
		{"rpc.max_body_bytes", c.RPC.MaxBodyBytes, 64 << 10, 128 << 20},
		{"rpc.max_batch", c.RPC.MaxBatch, 1, 100_000},
		{"rpc.max_concurrent", c.RPC.MaxConcurrent, 1, 65536},
		{"rpc.max_calls", c.RPC.MaxCalls, 0, 1024},
		{"rpc.max_subscriptions", c.RPC.MaxSubscriptions, 1, 1_000_000},
		{"rpc.faucet", c.RPC.Faucet, 0, 1000},
		{"rpc.call_gas", c.RPC.CallGas, 21_000, 1_000_000_000_000},
		{"pool.max_transactions", c.Pool.MaxTransactions, 1, 10_000_000},
		{"pool.max_bytes", c.Pool.MaxBytes, 1 << 20, 16 << 30},
		{"pool.max_per_sender", c.Pool.MaxPerSender, 1, 1_000_000},
		{"pool.journal_bytes", c.Pool.JournalBytes, 0, 1 << 30},
	} {
		if l.value < l.low || l.value > l.high {
			return fmt.Errorf("%s = %d is out of range: use %d to %d", l.key, l.value, l.low, l.high)
		}
	}
	return nil
}

func (c *Config) validateDurations() error {
	for _, d := range []struct {
		key              string
		value, low, high time.Duration
		zero             bool // zero means "off"
	}{
		{"rpc.call_timeout", c.RPC.CallTimeout, 10 * time.Millisecond, 30 * time.Second, false},
		{"rpc.send_wait", c.RPC.SendWait, time.Millisecond, 30 * time.Second, true},
		{"consensus.delta", c.Consensus.Delta, time.Millisecond, time.Minute, false},
		{"consensus.min_interval", c.Consensus.MinInterval, time.Millisecond, time.Minute, true},
		{"consensus.max_idle", c.Consensus.MaxIdle, 10 * time.Millisecond, time.Hour, true},
		{"consensus.max_drift", c.Consensus.MaxDrift, time.Millisecond, time.Minute, false},
		{"pool.lifetime", c.Pool.Lifetime, time.Second, 30 * 24 * time.Hour, false},
	} {
		if d.zero && d.value == 0 {
			continue
		}
		if d.value < d.low || d.value > d.high {
			off := ""
			if d.zero {
				off = ", or \"0s\" for none"
			}
			return fmt.Errorf("%s = %s is out of range: use \"%s\" to \"%s\" with the unit written out%s", d.key, d.value, d.low, d.high, off)
		}
	}
	return nil
}

func oneOf(key, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s = %q is not known: use one of %s", key, value, strings.Join(known, ", "))
}

// Error is a mistake of the operator: a setting, a genesis or a key with which a node
// cannot run. Its text is one line that says what to do.
type Error struct{ err error }

func (e *Error) Error() string {
	// What a file says is quoted in it, line breaks and terminal codes included.
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, e.err.Error())
}

// Unwrap returns what [Errorf] was given.
func (e *Error) Unwrap() error { return e.err }

// Errorf makes an [*Error] as [fmt.Errorf] makes an error.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }
