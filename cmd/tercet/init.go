package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
)

type initFlags struct {
	home, genesis, passwordFile string
	chainID                     uint64
	validators, alloc, peers    []string
	devAccounts, replica        bool
	rejoin                      bool
}

func newInit() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the home directory of a node",
		Long: `Init makes a home: config.toml with every setting explained, keys (kept if they are
there), genesis.json and an empty safety journal. It never replaces a home.

Without --genesis it makes the genesis of a new chain, with this node's key as its
validator, besides those given by --validator. To start a network of several
organisations: each runs "tercet keys new" and sends the address and peer id around,
one runs init with all of them, and the others run init with that genesis file.

The safety journal (data/consensus.wal) remembers what a validator voted for. A
validator whose journal is lost might vote twice in one view, which is what a
Byzantine node does: a network of 3f+1 validators bears f of them. --rejoin makes a
new journal for such a home: the node then follows the chain without voting until
every view in which it may have voted is over.`,
		Example: `  # a chain of one validator, with the public development accounts
  tercet init --home ./node --dev-accounts && tercet run --home ./node

  # the second of three validators
  tercet keys new --home ./node2
  tercet init --home ./node2 --genesis genesis.json \
    --peer node1=16Uiu2HAm…@/dns4/node1.example.com/tcp/26656 \
    --peer node3=16Uiu2HAm…@/dns4/node3.example.com/tcp/26656

  # the genesis of three validators, made on the first
  tercet init --home ./node1 --validator 0x3C44…@16Uiu2HAm… --validator 0x90F7…@16Uiu2HAm… \
    --alloc 0xf39F…=1000000`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runInit(f) },
	}
	homeFlag(cmd, &f.home)
	fs := cmd.Flags()
	fs.StringVar(&f.genesis, "genesis", "", "join the chain of this genesis `file`")
	fs.StringVar(&f.passwordFile, "password-file", "", "encrypt the validator key with the first line of this `file`")
	fs.Uint64Var(&f.chainID, "chain-id", ledger.TestnetChainID, "chain id of a new chain, for EIP-155 signatures")
	fs.StringArrayVar(&f.validators, "validator", nil, "another validator of a new chain, `ADDRESS@PEERID`; may be repeated")
	fs.StringArrayVar(&f.alloc, "alloc", nil, "balance in a new chain, `ADDRESS=ETHER`; may be repeated")
	fs.BoolVar(&f.devAccounts, "dev-accounts", false, "fund the ten development accounts of a new chain, whose keys are public")
	fs.StringArrayVar(&f.peers, "peer", nil, "a node that may connect, `NAME=PEERID@MULTIADDR`; may be repeated")
	fs.BoolVar(&f.replica, "replica", false, "follow the chain without voting")
	fs.BoolVar(&f.rejoin, "rejoin", false, "make a new safety journal for a home that lost its own, and nothing else")
	return cmd
}

func runInit(f initFlags) error {
	home, err := homeDir(f.home)
	if err != nil {
		return err
	}
	if f.rejoin {
		return rejoin(home)
	}
	if _, err := os.Stat(config.FilePath(home)); !errors.Is(err, fs.ErrNotExist) {
		return inUse("%s is a home already: run it with \"tercet run --home %s\", or name another with --home", home, home)
	}
	c := config.Default()
	c.Chain.Replica = f.replica
	if f.passwordFile != "" { // config.toml would take it relative to the home
		if c.Keys.PasswordFile, err = filepath.Abs(f.passwordFile); err != nil {
			return fmt.Errorf("finding the password file: %w", err)
		}
	}
	if c.P2P.Peers, err = parsePeers(f.peers); err != nil {
		return err
	}
	var given *ledger.Genesis
	if f.genesis != "" {
		if given, err = readGivenGenesis(f); err != nil {
			return err
		}
	}
	if _, err := makeKeys(home, f.passwordFile); err != nil {
		return err
	}
	id, err := readIdentity(home)
	if err != nil {
		return err
	}
	g := given
	if g == nil {
		if g, err = newGenesis(f, id); err != nil {
			return err
		}
	} else if err := checkMember(g, id, f, home); err != nil {
		return err
	}
	if err := writeHome(home, c, g); err != nil {
		return err
	}
	progress("made %s: validator %s, peer %s, chain %d", home, id.Address, id.PeerID, g.ChainID)
	progress("next: tercet run --home %s", home)
	return nil
}

// writeHome puts everything but the keys into a home; config.toml comes last and
// marks it complete.
func writeHome(home string, c *config.Config, g *ledger.Genesis) error {
	if err := os.MkdirAll(config.DataDir(home), 0o700); err != nil {
		return fmt.Errorf("making the home %s: %w", home, err)
	}
	if err := os.WriteFile(config.GenesisPath(home), g.EncodeJSON(), 0o600); err != nil {
		return fmt.Errorf("writing the genesis: %w", err)
	}
	if err := node.CreateLog(home, g); err != nil {
		return err
	}
	return c.Write(config.FilePath(home))
}

func rejoin(home string) error {
	unlock, err := lockHome(home)
	if err != nil {
		return err
	}
	defer unlock()
	g, err := node.ReadGenesis(home)
	if err != nil {
		return err
	}
	if err := node.CreateLogAfterLoss(home, g); err != nil {
		return err
	}
	progress("made a new safety journal in %s: the node will follow until it is safe to vote", config.WALDir(home))
	return nil
}

func readGivenGenesis(f initFlags) (*ledger.Genesis, error) {
	if len(f.validators) > 0 || len(f.alloc) > 0 || f.devAccounts {
		return nil, usage("--validator, --alloc and --dev-accounts describe a new chain: leave them out when joining the one of --genesis %s", f.genesis)
	}
	raw, err := os.ReadFile(f.genesis)
	if err != nil {
		return nil, usage("reading the genesis file: %w: check --genesis", err)
	}
	g, err := ledger.ParseGenesis(raw)
	if err != nil {
		return nil, usage("%s: %w: check --genesis, or copy the file again from another node", f.genesis, err)
	}
	return g, nil
}

// checkMember makes sure that the keys of a home have the role that is asked for.
func checkMember(g *ledger.Genesis, id identity, f initFlags, home string) error {
	for _, v := range g.Validators {
		switch {
		case v.Address.Hex() != id.Address:
		case f.replica:
			return usage("%s is a validator of %s: leave --replica out, or use a home with other keys", id.Address, f.genesis)
		case v.PeerID != "" && v.PeerID != id.PeerID:
			return usage("%s says that validator %s is the peer %s, but the host key in %s is %s: put the peer id of this home into the genesis, or its host key here", f.genesis, id.Address, v.PeerID, home, id.PeerID)
		default:
			return nil
		}
	}
	if f.replica {
		return nil
	}
	return usage("the key in %s, %s, is not a validator of %s: have the genesis made with it (peer id %s), put the right keys there, or follow without voting with --replica", home, id.Address, f.genesis, id.PeerID)
}

// newGenesis makes the chain that the flags describe.
func newGenesis(f initFlags, id identity) (*ledger.Genesis, error) {
	var validators []ledger.Validator
	if !f.replica {
		validators = append(validators, ledger.Validator{Address: common.HexToAddress(id.Address), PeerID: id.PeerID})
	}
	for _, s := range f.validators {
		address, peer, ok := strings.Cut(s, "@")
		if !ok || !common.IsHexAddress(address) || peer == "" {
			return nil, usage("--validator %s: write ADDRESS@PEERID, as \"tercet keys show\" prints them on that node", s)
		}
		validators = append(validators, ledger.Validator{Address: common.HexToAddress(address), PeerID: peer})
	}
	var alloc []ledger.Allocation
	if f.devAccounts {
		dev, err := devAllocations()
		if err != nil {
			return nil, err
		}
		alloc = dev
	}
	for _, s := range f.alloc {
		address, amount, ok := strings.Cut(s, "=")
		n, err := uint256.FromDecimal(amount)
		wei, overflow := new(uint256.Int), false
		if err == nil {
			wei, overflow = wei.MulOverflow(n, uint256.NewInt(1e18))
		}
		if !ok || err != nil || overflow || !common.IsHexAddress(address) {
			return nil, usage("--alloc %s: write ADDRESS=ETHER with a whole number of ether", s)
		}
		alloc = append(alloc, ledger.Allocation{Address: common.HexToAddress(address), Balance: wei})
	}
	return chainOf(f.chainID, validators, alloc)
}

// chainOf makes a genesis that begins now, with the parameters of this program.
func chainOf(chainID uint64, validators []ledger.Validator, alloc []ledger.Allocation) (*ledger.Genesis, error) {
	g := ledger.DefaultGenesis(chainID, validators, alloc, uint64(time.Now().UnixMilli()))
	return g, coded(exitUsage, g.Validate())
}

func parsePeers(flags []string) ([]config.Peer, error) {
	peers := []config.Peer{}
	for _, s := range flags {
		name, rest, ok := strings.Cut(s, "=")
		id, addr, found := strings.Cut(rest, "@")
		if !ok || name == "" || id == "" {
			return nil, usage("--peer %s: write NAME=PEERID@MULTIADDR, for example node2=16Uiu2HAm…@/ip4/10.0.0.2/tcp/26656", s)
		}
		p := config.Peer{Name: name, ID: id, Addrs: []string{}}
		if found {
			p.Addrs = append(p.Addrs, addr)
		}
		peers = append(peers, p)
	}
	return peers, nil
}
