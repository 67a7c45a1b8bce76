package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
)

// Chain ids of the networks that the command line makes.
const (
	// TestnetChainID is the default for test networks.
	TestnetChainID = 7357
	// DevChainID is the one that development tools expect.
	DevChainID = 31337
)

const (
	genesisVersion = 1

	defaultBlockGasLimit   = 200_000_000
	defaultTxGasCap        = 50_000_000
	defaultMaxBlockBytes   = 2 << 20
	defaultMaxOrderedAhead = 64
	// A leader leads sixteen views and votes run up to four ahead of a notarization: blocks follow each
	// other faster than a message travels, and a dead leader still costs one timeout per term. Both are
	// what the simulator tries hardest (docs/track-record.md).
	defaultTermLength = 16
	defaultWindow     = 4

	// maxChainID keeps v = 2·chainId+36 of EIP-155 a safe JavaScript integer, as wallets require.
	maxChainID = 4503599627370476
	// maxSafeInteger bounds the other numbers of the file: JSON tools in JavaScript round larger ones.
	maxSafeInteger = 1<<53 - 1
	// minMaxBlockBytes leaves room for a certificate of 1,024 validators beside transactions.
	minMaxBlockBytes = 256 << 10
	// maxMaxBlockBytes leaves room for the rest of a 4 MiB record of the safety journal.
	maxMaxBlockBytes = 3 << 20
	// certificateRoom is what a block's size limit leaves for everything but one largest transaction.
	certificateRoom    = 128 << 10
	maxTermLength      = 256 // the most that package consensus takes, like the window
	maxWindow          = 64
	maxMaxOrderedAhead = 200 // below the 256 blocks for which the state keeps old values
	maxPeerIDBytes     = 128
)

// genesisKey names the system key that block 0 writes, so that the state is never empty.
const genesisKey = "genesis"

// Genesis fixes a chain: its parameters, validators and initial accounts. Two chains with different
// genesis files have different hashes and refuse each other. Multiaddrs are configuration, not genesis.
type Genesis struct {
	// Version of the file format, 1.
	Version uint64 `json:"version"`
	// ChainID is what transactions are signed for (EIP-155).
	ChainID uint64 `json:"chainId"`
	// TimeMs is the time of block 0, in Unix milliseconds.
	TimeMs uint64 `json:"timeMs"`
	// BlockGasLimit bounds the declared gas of a block, in gas.
	BlockGasLimit uint64 `json:"blockGasLimit"`
	// TxGasCap bounds the declared gas of a transaction, in gas.
	TxGasCap uint64 `json:"txGasCap"`
	// MaxBlockBytes bounds a block's payload and transactions together, in bytes.
	MaxBlockBytes uint64 `json:"maxBlockBytes"`
	// Consensus has the parameters that all validators must share.
	Consensus ConsensusParameters `json:"consensus"`
	// Validators of the first epoch, sorted by address.
	Validators []Validator `json:"validators"`
	// Alloc are the accounts of block 0, sorted by address.
	Alloc []Allocation `json:"alloc"`
	// Forks change rules at heights, sorted by height and name. This version knows none.
	Forks []Fork `json:"forks"`
	// Deployers are the accounts that may create contracts, sorted; absent, everybody may.
	Deployers []common.Address `json:"deployers,omitempty" rlp:"optional"`
	// Development makes a chain for tests, whose state anybody may edit; see [Edit].
	Development bool `json:"development,omitempty" rlp:"optional"`
}

// ConsensusParameters are the parameters of consensus that are part of a chain.
type ConsensusParameters struct {
	// TermLength is the number of views that a leader keeps (T).
	TermLength uint64 `json:"termLength"`
	// Window is how many views votes may run ahead of the last notarized one (W).
	Window uint64 `json:"window"`
	// MaxOrderedAhead is how many blocks ordering may run ahead of certified execution (Dmax).
	MaxOrderedAhead uint64 `json:"maxOrderedAhead"`
}

// Validator is a member of the first validator set.
type Validator struct {
	// Address of the validator key.
	Address common.Address `json:"address"`
	// PeerID is the libp2p id of the validator's host key.
	PeerID string `json:"peerId"`
}

// Allocation is an account of block 0.
type Allocation struct {
	Address common.Address `json:"address"`
	// Balance in wei: in JSON a string, decimal or 0x.
	Balance *uint256.Int `json:"balance"`
}

// Fork switches on a named rule change at a height.
type Fork struct {
	Name   string `json:"name"`
	Height uint64 `json:"height"`
}

// DefaultGenesis has the default parameters. It sorts copies of the lists; [Genesis.Validate] tells whether
// the result can be used.
func DefaultGenesis(chainID uint64, validators []Validator, alloc []Allocation, timeMs uint64) *Genesis {
	g := &Genesis{
		Version:       genesisVersion,
		ChainID:       chainID,
		TimeMs:        timeMs,
		BlockGasLimit: defaultBlockGasLimit,
		TxGasCap:      defaultTxGasCap,
		MaxBlockBytes: defaultMaxBlockBytes,
		Consensus: ConsensusParameters{
			TermLength:      defaultTermLength,
			Window:          defaultWindow,
			MaxOrderedAhead: defaultMaxOrderedAhead,
		},
		Validators: slices.Clone(validators),
		Alloc:      slices.Clone(alloc),
	}
	g.normalize()
	return g
}

// normalize sorts the lists and makes absent ones empty, so that equal chains have equal bytes.
func (g *Genesis) normalize() {
	g.Validators = append([]Validator{}, g.Validators...)
	g.Alloc = append([]Allocation{}, g.Alloc...)
	g.Forks = append([]Fork{}, g.Forks...)
	if g.Deployers != nil {
		g.Deployers = append([]common.Address{}, g.Deployers...)
		slices.SortFunc(g.Deployers, common.Address.Cmp)
	}
	slices.SortStableFunc(g.Validators, func(a, b Validator) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	slices.SortStableFunc(g.Alloc, func(a, b Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
}

// Validate checks everything that a chain needs to start; the error says what to change.
func (g *Genesis) Validate() error {
	if g.Version != genesisVersion {
		return fmt.Errorf("genesis version is %d but this program reads version %d: use the program that made the file, or make it again", g.Version, genesisVersion)
	}
	if err := g.validateLimits(); err != nil {
		return err
	}
	if err := g.validateValidators(); err != nil {
		return err
	}
	if err := g.validateAlloc(); err != nil {
		return err
	}
	if err := g.validateDeployers(); err != nil {
		return err
	}
	if g.Development && len(g.Validators) != 1 {
		return fmt.Errorf("genesis is of a development chain and has %d validators: keep one, which may go back to "+
			"earlier blocks on its own, or remove \"development\"", len(g.Validators))
	}
	if len(g.Forks) > 0 {
		return fmt.Errorf("genesis schedules the fork %q at height %d, which this program does not know: upgrade it, or remove the fork", g.Forks[0].Name, g.Forks[0].Height)
	}
	return nil
}

func (g *Genesis) validateLimits() error {
	for _, l := range []struct {
		field       string
		have        uint64
		least, most uint64
	}{
		{"chainId", g.ChainID, 1, maxChainID},
		{"timeMs", g.TimeMs, 0, maxSafeInteger},
		{"blockGasLimit", g.BlockGasLimit, txGas, maxSafeInteger},
		{"txGasCap", g.TxGasCap, txGas, g.BlockGasLimit},
		{"maxBlockBytes", g.MaxBlockBytes, minMaxBlockBytes, maxMaxBlockBytes},
		{"consensus.termLength", g.Consensus.TermLength, 1, maxTermLength},
		{"consensus.window", g.Consensus.Window, 0, maxWindow},
		{"consensus.maxOrderedAhead", g.Consensus.MaxOrderedAhead, 1, maxMaxOrderedAhead},
	} {
		if l.have < l.least || l.have > l.most {
			return fmt.Errorf("genesis %s is %d: set it to a value from %d to %d", l.field, l.have, l.least, l.most)
		}
	}
	return nil
}

func (g *Genesis) validateValidators() error {
	if len(g.Validators) == 0 {
		return errors.New("genesis has no validators: add at least one to the validators list")
	}
	if len(g.Validators) > maxValidators {
		return fmt.Errorf("genesis has %d validators: keep at most %d", len(g.Validators), maxValidators)
	}
	peers := make(map[string]common.Address, len(g.Validators))
	for i, v := range g.Validators {
		if v.Address == (common.Address{}) {
			return fmt.Errorf("genesis validator %d has the zero address: set it to the address of its validator key", i)
		}
		if i > 0 {
			switch order := bytes.Compare(g.Validators[i-1].Address[:], v.Address[:]); {
			case order == 0:
				return fmt.Errorf("genesis names validator %s twice: remove one", v.Address)
			case order > 0:
				return fmt.Errorf("genesis validators are not sorted: move %s before %s", v.Address, g.Validators[i-1].Address)
			}
		}
		if len(v.PeerID) > maxPeerIDBytes {
			return fmt.Errorf("genesis validator %s has a peerId of %d bytes: set it to the peerId of its host key", v.Address, len(v.PeerID))
		}
		if v.PeerID == "" {
			continue // the node that needs it says so
		}
		if other, dup := peers[v.PeerID]; dup {
			return fmt.Errorf("genesis validators %s and %s have the same peerId %s: give each its own host key", other, v.Address, v.PeerID)
		}
		peers[v.PeerID] = v.Address
	}
	return nil
}

func (g *Genesis) validateAlloc() error {
	var supply uint256.Int
	for i, a := range g.Alloc {
		if a.Balance == nil || a.Balance.IsZero() {
			return fmt.Errorf("genesis allocates nothing to %s: set its balance in wei, or remove it", a.Address)
		}
		if i > 0 {
			switch order := bytes.Compare(g.Alloc[i-1].Address[:], a.Address[:]); {
			case order == 0:
				return fmt.Errorf("genesis allocates to %s twice: remove one", a.Address)
			case order > 0:
				return fmt.Errorf("genesis alloc is not sorted: move %s before %s", a.Address, g.Alloc[i-1].Address)
			}
		}
		// A supply below 2^256 is why no balance can ever overflow.
		if _, overflow := supply.AddOverflow(&supply, a.Balance); overflow {
			return errors.New("genesis allocates more than 2^256-1 wei in total: lower the balances")
		}
	}
	return nil
}

func (g *Genesis) validateDeployers() error {
	if g.Deployers != nil && len(g.Deployers) == 0 {
		return errors.New("genesis lists no deployers, so that nobody could ever create a contract: " +
			"name at least one, or remove the list to let everybody")
	}
	if len(g.Deployers) > maxDeployers {
		return fmt.Errorf("genesis has %d deployers: keep at most %d", len(g.Deployers), maxDeployers)
	}
	for i := 1; i < len(g.Deployers); i++ {
		switch order := g.Deployers[i-1].Cmp(g.Deployers[i]); {
		case order == 0:
			return fmt.Errorf("genesis names deployer %s twice: remove one", g.Deployers[i])
		case order > 0:
			return fmt.Errorf("genesis deployers are not sorted: move %s before %s", g.Deployers[i], g.Deployers[i-1])
		}
	}
	return nil
}

// Limits bound the transactions of the chain.
func (g *Genesis) Limits() Limits {
	return Limits{Bytes: min(MaxTransactionBytes, int(g.MaxBlockBytes-certificateRoom)), Gas: g.TxGasCap}
}

// ValidatorAddresses lists the validators of the first epoch, sorted.
func (g *Genesis) ValidatorAddresses() []common.Address {
	addresses := make([]common.Address, len(g.Validators))
	for i, v := range g.Validators {
		addresses[i] = v.Address
	}
	return addresses
}

// Commitment is keccak256(RLP(genesis)), fields in their order: what block 0 commits to.
func (g *Genesis) Commitment() common.Hash { return crypto.Keccak256Hash(mustEncode(g)) }

// Changes is the state of block 0, sorted by path: the allocations, one system key that holds the
// commitment, one that lists who may deploy if only some may, and one that marks a development chain.
func (g *Genesis) Changes() []Change {
	changes := make([]Change, 0, len(g.Alloc)+3)
	add := func(key, value []byte) { changes = append(changes, Change{Path: Path(key), Key: key, Value: value}) }
	commitment := g.Commitment()
	add(SystemKey(genesisKey), commitment[:])
	if g.Deployers != nil {
		add(DeployersKey(), EncodeDeployers(g.Deployers))
	}
	if g.Development {
		add(DevelopmentKey(), []byte{1})
	}
	for _, a := range g.Alloc {
		add(AccountKey(a.Address), EncodeAccount(Account{Balance: *a.Balance}))
	}
	slices.SortFunc(changes, func(a, b Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	return changes
}

// Header is the header of block 0, whose state is [Genesis.Changes]. Its hash is the genesis hash, the
// chain's identity.
func (g *Genesis) Header(stateRoot common.Hash) *types.Header {
	h := g.emptyHeader(g.TimeMs)
	h.Root = stateRoot
	h.MixDigest = g.Commitment()
	return h
}
