package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/node/config"
)

// Home is what a new home directory is made from.
type Home struct {
	Config  *config.Config
	Genesis *ledger.Genesis
	// ValidatorKey signs votes; nil for a replica.
	ValidatorKey *sig.Key
	// HostKey names the node to its peers.
	HostKey *sig.Key
	// PasswordFile, when set, encrypts the validator key.
	PasswordFile string
}

// Init makes the home directory of a node: config.toml, genesis.json, keys and an empty safety journal.
// It replaces no key and no journal.
func Init(home string, h Home) error {
	if err := os.MkdirAll(config.DataDir(home), 0o700); err != nil {
		return fmt.Errorf("making the home %s: %w", home, err)
	}
	if h.ValidatorKey != nil {
		if err := config.WriteValidatorKey(home, h.ValidatorKey, h.PasswordFile); err != nil {
			return err
		}
	}
	if err := config.WriteHostKey(home, h.HostKey); err != nil {
		return err
	}
	if err := os.WriteFile(config.GenesisPath(home), h.Genesis.EncodeJSON(), 0o600); err != nil {
		return fmt.Errorf("writing the genesis: %w", err)
	}
	if err := h.Config.Write(config.FilePath(home)); err != nil {
		return err
	}
	return CreateLog(home, h.Genesis)
}

// CreateLog makes the empty safety journal of a node that has never voted. For one that has, or may
// have, use [CreateLogAfterLoss]: an empty journal lets a validator vote a second time.
func CreateLog(home string, g *ledger.Genesis) error {
	hash, err := GenesisHash(g)
	if err != nil {
		return err
	}
	if err := wal.Create(config.WALDir(home), wal.Options{Network: hash}); err != nil {
		return fmt.Errorf("creating the safety journal: %w", err)
	}
	return nil
}

// CreateLogAfterLoss makes a journal for a validator whose own is gone. The validator then only follows
// until it is certain that it votes in no view in which it may have voted before. A crash leaves either no
// journal or the whole one: an empty journal would let the validator vote at once.
func CreateLogAfterLoss(home string, g *ledger.Genesis) error {
	dir := config.WALDir(home)
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return fmt.Errorf("looking for a safety journal: %w", err)
	}
	if len(segments) > 0 {
		return fmt.Errorf("creating the safety journal: %w in %s", wal.ErrExists, dir)
	}
	made := dir + ".new"
	if err := os.RemoveAll(made); err != nil { // of an attempt that did not end
		return fmt.Errorf("creating the safety journal: %w", err)
	}
	if err := writeAmnesia(made, g); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil { // it has no segment
		return fmt.Errorf("creating the safety journal: %w", err)
	}
	if err := os.Rename(made, dir); err != nil {
		return fmt.Errorf("creating the safety journal: %w", err)
	}
	return syncDir(filepath.Dir(dir))
}

// writeAmnesia makes a journal in dir which says that an earlier one was lost.
func writeAmnesia(dir string, g *ledger.Genesis) error {
	hash, err := GenesisHash(g)
	if err != nil {
		return err
	}
	opts := wal.Options{Network: hash}
	if err := wal.Create(dir, opts); err != nil {
		return fmt.Errorf("creating the safety journal: %w", err)
	}
	log, _, err := wal.Open(dir, opts)
	if err != nil {
		return fmt.Errorf("opening the new safety journal: %w", err)
	}
	err = log.Append(consensus.Record{Type: consensus.RecordAmnesia})
	if err == nil {
		err = log.Sync()
	}
	if err = errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("writing the new safety journal: %w", err)
	}
	return nil
}

// Follows reports whether the validator of a home that no process uses lost its votes and has not voted
// since.
func Follows(home string, g *ledger.Genesis) (bool, error) {
	hash, err := GenesisHash(g)
	if err != nil {
		return false, err
	}
	log, records, err := wal.Open(config.WALDir(home), wal.Options{Network: hash})
	if err != nil {
		return false, fmt.Errorf("opening the safety journal: %w", err)
	}
	last := len(records) - 1
	return last >= 0 && records[last].Type == consensus.RecordAmnesia, log.Close()
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	return nil
}

// GenesisHash executes block 0 and returns its hash, the chain's identity.
func GenesisHash(g *ledger.Genesis) (common.Hash, error) {
	root, err := state.New().Apply(0, g.Changes())
	if err != nil {
		return common.Hash{}, fmt.Errorf("executing the genesis: %w", err)
	}
	return g.Header(root).Hash(), nil
}

// ReadGenesis reads and checks the genesis file of a home.
func ReadGenesis(home string) (*ledger.Genesis, error) {
	path := config.GenesisPath(home)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, config.Errorf("no genesis file %s: copy there the genesis.json of the network that this node joins", path)
	}
	if err != nil {
		return nil, config.Errorf("reading the genesis: %w: let this user read the file", err)
	}
	g, err := ledger.ParseGenesis(raw)
	if err != nil {
		return nil, config.Errorf("%s is damaged or is no genesis file (%w): copy there the genesis.json that the other nodes of the network have", path, err)
	}
	return g, nil
}

// openLog opens the safety journal and explains what to do when it cannot.
func openLog(home string, network common.Hash, opts wal.Options, expendable bool) (*wal.WAL, []consensus.Record, error) {
	dir := config.WALDir(home)
	opts.Network = network
	log, records, err := wal.Open(dir, opts)
	if errors.Is(err, wal.ErrMissing) && expendable {
		if err := wal.Create(dir, opts); err != nil {
			return nil, nil, fmt.Errorf("creating the journal: %w", err)
		}
		log, records, err = wal.Open(dir, opts)
	}
	var corrupt *wal.CorruptError
	switch {
	case err == nil:
		return log, records, nil
	case errors.Is(err, wal.ErrMissing):
		return nil, nil, fmt.Errorf("the safety journal %s is missing, and without it this validator might vote twice: "+
			"restore the directory, or give its content up with \"tercet init --home %s --rejoin\", after which the node follows until it is safe to vote: %w", dir, home, err)
	case errors.As(err, &corrupt):
		return nil, nil, fmt.Errorf("the safety journal %s is damaged, and this validator might vote twice: "+
			"check the disk and restore the directory, or move it away and give its content up with \"tercet init --home %s --rejoin\": %w", dir, home, err)
	case errors.Is(err, wal.ErrNetwork):
		return nil, nil, fmt.Errorf("the safety journal %s is not of the chain of %s: "+
			"put back the genesis.json with which this home was made, or make another home for the other chain: %w", dir, config.GenesisPath(home), err)
	}
	return nil, nil, fmt.Errorf("opening the safety journal %s: %w", dir, err)
}
