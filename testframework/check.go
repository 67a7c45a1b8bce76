package testframework

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
)

// ErrViolation is wrapped by what the checkers report: a promise that was broken, as opposed to a check
// that could not be made.
var ErrViolation = errors.New("violation")

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrViolation, fmt.Errorf(format, args...))
}

// OneBlockPerHeight checks that no two nodes have different blocks at one height, and that each chain is
// linked. Each chain is one node's headers in height order; they may begin and end anywhere.
func OneBlockPerHeight(chains ...[]*types.Header) error {
	first := make(map[uint64]common.Hash)
	for i, chain := range chains {
		for k, h := range chain {
			height, hash := h.Number.Uint64(), h.Hash()
			if k > 0 && (h.ParentHash != chain[k-1].Hash() || height != chain[k-1].Number.Uint64()+1) {
				return violation("block %d of node %d does not follow the one before it", height, i)
			}
			if other, ok := first[height]; ok && other != hash {
				return violation("height %d has the blocks %s and, at node %d, %s", height, other, i, hash)
			}
			first[height] = hash
		}
	}
	return nil
}

// EqualStates checks that no two nodes have different states after one height.
func EqualStates(chains ...[]*types.Header) error {
	first := make(map[uint64]common.Hash)
	for i, chain := range chains {
		for _, h := range chain {
			height := h.Number.Uint64()
			if other, ok := first[height]; ok && other != h.Root {
				return violation("the state after block %d has the roots %s and, at node %d, %s", height, other, i, h.Root)
			}
			first[height] = h.Root
		}
	}
	return nil
}

// Signed is a vote that a validator's safety journal holds. Hash is zero for a NULLIFY.
type Signed struct {
	Type        consensus.RecordType
	Epoch, View uint64
	Hash        common.Hash
}

// SignedOf reads a vote from a record of the journal; ok is false for records that are no vote.
func SignedOf(r *consensus.Record) (s Signed, ok bool, err error) {
	s = Signed{Type: r.Type, Epoch: r.Epoch, View: r.View}
	switch r.Type {
	case consensus.RecordNullify:
		return s, true, nil
	case consensus.RecordNotarize:
		m, err := consensus.DecodeMessage(r.Data)
		if err != nil {
			return s, false, fmt.Errorf("NOTARIZE of view %d: %w", r.View, err)
		}
		p, ok := m.(*consensus.Proposal)
		if !ok {
			return s, false, fmt.Errorf("NOTARIZE of view %d holds a %T", r.View, m)
		}
		s.Hash = p.Hash()
		return s, true, nil
	case consensus.RecordFinalize:
		var c consensus.Cert
		if err := rlp.DecodeBytes(r.Data, &c); err != nil {
			return s, false, fmt.Errorf("FINALIZE of view %d: %w", r.View, err)
		}
		s.Hash = c.Hash
		return s, true, nil
	}
	return s, false, nil
}

// NoDoubleVote checks the votes of one validator, those of all its processes together: one block per view
// in NOTARIZE and in FINALIZE, and no FINALIZE at or after a NULLIFY within a term, which is term views
// long.
func NoDoubleVote(votes []Signed, term uint64) error {
	type place struct {
		kind        consensus.RecordType
		epoch, view uint64
	}
	hashes := make(map[place]common.Hash)
	lowestNull := make(map[place]uint64) // by epoch and term
	for _, v := range votes {
		at := place{v.Type, v.Epoch, v.View}
		if v.Type == consensus.RecordNullify {
			group := place{epoch: v.Epoch, view: (v.View - 1) / term}
			if low, ok := lowestNull[group]; !ok || v.View < low {
				lowestNull[group] = v.View
			}
			continue
		}
		if other, ok := hashes[at]; ok && other != v.Hash {
			return violation("two votes %s in view %d, for %s and %s", v.Type, v.View, other, v.Hash)
		}
		hashes[at] = v.Hash
	}
	for _, v := range votes {
		low, ok := lowestNull[place{epoch: v.Epoch, view: (v.View - 1) / term}]
		if ok && v.Type == consensus.RecordFinalize && v.View >= low {
			return violation("FINALIZE in view %d after NULLIFY in view %d of the same term", v.View, low)
		}
	}
	return nil
}

// Receipts answers receipts, nil where there is none: a [Client], or a table in tests.
type Receipts interface {
	Receipts(ctx context.Context, hashes []common.Hash) ([]*types.Receipt, error)
}

// NoLostReceipt checks that a node answers the receipts that somebody has seen, with the same block.
func NoLostReceipt(ctx context.Context, from Receipts, seen []*types.Receipt) error {
	hashes := make([]common.Hash, len(seen))
	for i, want := range seen {
		hashes[i] = want.TxHash
	}
	answers, err := from.Receipts(ctx, hashes)
	if err != nil {
		return fmt.Errorf("asking for receipts: %w", err)
	}
	for i, want := range seen {
		got := answers[i]
		if got == nil {
			return violation("the receipt of %s in block %s is lost", want.TxHash, want.BlockNumber)
		}
		if got.BlockHash != want.BlockHash || got.TransactionIndex != want.TransactionIndex || got.Status != want.Status {
			return violation("the receipt of %s moved from block %s to block %s", want.TxHash, want.BlockHash, got.BlockHash)
		}
	}
	return nil
}

// BalancesConserved checks that the accounts of a state hold together what the genesis gave.
func BalancesConserved(g *ledger.Genesis, state []ledger.Change) error {
	var want, got uint256.Int
	for _, a := range g.Alloc {
		want.Add(&want, a.Balance)
	}
	for _, c := range state {
		if _, account := ledger.ParseAccountKey(c.Key); !account {
			continue
		}
		a, err := ledger.DecodeAccount(c.Value)
		if err != nil {
			return fmt.Errorf("account %x: %w", c.Key, err)
		}
		got.Add(&got, &a.Balance)
	}
	if got != want {
		return violation("the accounts hold %s wei together, the genesis gave %s", &got, &want)
	}
	return nil
}

// Check compares the running nodes: [OneBlockPerHeight], [EqualStates], and [NoLostReceipt] for each of
// them.
func (c *Cluster) Check(ctx context.Context, seen []*types.Receipt) error {
	var chains [][]*types.Header
	for i := range c.members {
		client := c.Client(i)
		if client == nil {
			continue
		}
		height, err := client.Height(ctx)
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		headers, err := client.Headers(ctx, 0, height)
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		chains = append(chains, headers)
		if err := NoLostReceipt(ctx, client, seen); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	return errors.Join(OneBlockPerHeight(chains...), EqualStates(chains...))
}

// Audit stops the running nodes and checks what all of them have on disk: [NoDoubleVote] over the votes of
// all their processes, and [BalancesConserved].
func (c *Cluster) Audit() error {
	var errs []error
	for i := range c.members {
		if c.Running(i) {
			errs = append(errs, c.Stop(i))
		}
	}
	voters := 0
	for i := range c.members {
		votes := c.Votes(i)
		if len(votes) > 0 {
			voters++
		}
		if err := NoDoubleVote(votes, c.genesis.Consensus.TermLength); err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w", i, err))
		}
		state, err := c.readState(i)
		if err == nil {
			err = BalancesConserved(c.genesis, state)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w", i, err))
		}
	}
	if want := consensus.Quorum(len(c.genesis.Validators)); voters < want {
		errs = append(errs, fmt.Errorf("the journals of %d validators hold votes, fewer than the %d of a quorum: nothing was checked", voters, want))
	}
	return errors.Join(errs...)
}

// Votes are the votes found in the journal of node i each time one of its processes had ended, in the
// order of views.
func (c *Cluster) Votes(i int) []Signed {
	m := c.members[i]
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Keys(m.votes), func(a, b Signed) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.View, b.View), cmp.Compare(a.Type, b.Type), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
}

// readJournal adds the votes in the journal of a node that has ended. The caller holds m.mu.
func (c *Cluster) readJournal(m *member) error {
	hash, err := node.GenesisHash(c.genesis)
	if err != nil {
		return err
	}
	log, records, err := wal.Open(config.WALDir(m.home), wal.Options{Network: hash})
	if err != nil {
		return fmt.Errorf("reading the journal of node %d: %w", m.index, err)
	}
	for i := range records {
		v, ok, err := SignedOf(&records[i])
		if err != nil {
			return errors.Join(fmt.Errorf("reading the journal of node %d: %w", m.index, err), log.Close())
		}
		if ok {
			m.votes[v] = struct{}{}
		}
	}
	return log.Close()
}

// readState reads the flat state of a node that was stopped.
func (c *Cluster) readState(i int) ([]ledger.Change, error) {
	s, err := store.Open(config.DataDir(c.members[i].home), store.Options{Genesis: c.genesis, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	var out []ledger.Change
	err = s.ScanState(func(ch ledger.Change) error {
		out = append(out, ledger.Change{Path: ch.Path, Key: bytes.Clone(ch.Key), Value: bytes.Clone(ch.Value)})
		return nil
	})
	return out, errors.Join(err, s.Close())
}
