package store_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
)

// chain makes blocks whose headers and states are right, without consensus and executor.
type chain struct {
	t       testing.TB
	genesis *ledger.Genesis
	state   *state.State
	key     *ecdsa.PrivateKey
	nonce   uint64
	blocks  []*ledger.Block
	changes [][]ledger.Change
	codes   [][]ledger.Code // that each block deployed
	deploys []ledger.Code   // in the next block
}

func newChain(t testing.TB) *chain {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	addr := crypto.PubkeyToAddress(key.PublicKey)
	g := ledger.DefaultGenesis(7357,
		[]ledger.Validator{{Address: common.Address{1}, PeerID: "16Uiu2HAm1"}},
		[]ledger.Allocation{{Address: addr, Balance: uint256.NewInt(1e18)}}, 1_000)
	c := chainOf(t, g)
	c.key = key
	return c
}

func chainOf(t testing.TB, g *ledger.Genesis) *chain {
	c := &chain{t: t, genesis: g, state: state.New()}
	changes := g.Changes()
	root, err := c.state.Apply(0, changes)
	if err != nil {
		t.Fatal(err)
	}
	header := g.Header(root)
	c.blocks = append(c.blocks, &ledger.Block{
		Ordered: ledger.Ordered{TimeMs: 1_000, Hash: header.MixDigest}, Header: header,
	})
	c.changes, c.codes = append(c.changes, changes), append(c.codes, nil)
	return c
}

// deploy makes the next block deploy code.
func (c *chain) deploy(code string) {
	c.deploys = append(c.deploys, ledger.Code{Hash: crypto.Keccak256Hash([]byte(code)), Bytes: []byte(code)})
}

func (c *chain) transfer() *ledger.Transaction {
	to := common.BigToAddress(big.NewInt(int64(c.nonce) + 1000))
	tx, err := types.SignNewTx(c.key, types.LatestSignerForChainID(big.NewInt(7357)), &types.DynamicFeeTx{
		ChainID: big.NewInt(7357), Nonce: c.nonce, Gas: 21_000, To: &to, Value: big.NewInt(1),
		GasFeeCap: new(big.Int), GasTipCap: new(big.Int),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.nonce++
	raw, err := tx.MarshalBinary()
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := ledger.DecodeTransaction(raw, 7357, c.genesis.Limits())
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// transferred is the first topic of every log.
var transferred = crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)"))

// logs are those of a transaction: one of a token in most blocks, every third time another of an oracle that
// says nothing else.
func (c *chain) logs(tx *ledger.Transaction, height uint64) []*types.Log {
	list := []*types.Log{}
	if height%7 != 6 {
		list = append(list, &types.Log{
			Address: token(height % 4), Data: tx.Value().PaddedBytes(32),
			Topics: []common.Hash{transferred, common.BytesToHash(tx.From().Bytes()), common.BytesToHash(tx.To().Bytes())},
		})
	}
	if height%3 == 0 {
		list = append(list, &types.Log{Address: common.Address{0xfe}, Topics: []common.Hash{}, Data: []byte{}})
	}
	return list
}

func token(i uint64) common.Address { return common.Address{0xc0, byte(i)} }

// add appends a block of executed and dropped transactions, drops first in the payload.
func (c *chain) add(txs, drops []*ledger.Transaction) *ledger.Block {
	parent := c.blocks[len(c.blocks)-1]
	height := parent.Ordered.Height + 1
	o := ledger.Ordered{
		Hash: crypto.Keccak256Hash([]byte{byte(height)}), View: height + 3, Height: height, TimeMs: 1_000 + 50*height,
		Proposer: common.Address{1}, Header: []byte{1, byte(height)},
	}
	if height%2 == 0 {
		o.Finalization = []byte{0xf, byte(height)}
	}
	var receipts []*types.Receipt
	var dropped []ledger.Drop
	written := map[[32]byte]ledger.Change{}
	var hashes []common.Hash
	var raws [][]byte
	for i, tx := range drops {
		dropped = append(dropped, ledger.Drop{Index: uint32(i), Hash: tx.Hash(), Reason: ledger.DropNonceTooHigh})
	}
	for _, tx := range slices.Concat(drops, txs) {
		hashes = append(hashes, tx.Hash())
		raws = append(raws, tx.Raw())
	}
	for i, tx := range txs {
		r := &types.Receipt{
			Type: tx.Type(), Status: 1, GasUsed: 21_000, CumulativeGasUsed: 21_000 * uint64(i+1), TxHash: tx.Hash(),
			EffectiveGasPrice: new(big.Int), Logs: c.logs(tx, height),
		}
		r.Bloom = types.CreateBloom(r)
		receipts = append(receipts, r)
		for addr, acc := range map[common.Address]ledger.Account{
			tx.From(): {Nonce: tx.Nonce() + 1, Balance: *uint256.NewInt(1e18)}, *tx.To(): {Balance: *uint256.NewInt(1)},
		} {
			key := ledger.AccountKey(addr)
			written[ledger.Path(key)] = ledger.Change{Path: ledger.Path(key), Key: key, Value: ledger.EncodeAccount(acc)}
		}
	}
	for _, code := range c.deploys {
		key := ledger.CodeKey(code.Hash)
		written[ledger.Path(key)] = ledger.Change{Path: ledger.Path(key), Key: key, Value: ledger.EncodeActivation(ledger.Activation{
			Version: 1, Pages: 2, ModuleBytes: uint32(len(code.Bytes)), Gas: height,
		})}
	}
	if len(hashes) > 0 {
		o.Payload = ledger.EncodePayload(&ledger.Payload{TxHashes: hashes})
		o.Data = ledger.EncodeData(raws)
	}
	changes := sortChanges(slices.Collect(maps.Values(written)))
	root, err := c.state.Apply(height, changes)
	if err != nil {
		c.t.Fatal(err)
	}
	header := ledger.SealHeader(c.genesis, parent.Header, &o, txs, receipts, root)
	b := ledger.NewBlock(o, header, txs, receipts, dropped)
	c.blocks, c.changes, c.codes = append(c.blocks, b), append(c.changes, changes), append(c.codes, c.deploys)
	c.deploys = nil
	return b
}

func sortChanges(cs []ledger.Change) []ledger.Change {
	slices.SortFunc(cs, func(a, b ledger.Change) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	return cs
}

// grow appends blocks of two transfers each up to a height; each third one deploys code.
func (c *chain) grow(height uint64) *chain {
	for uint64(len(c.blocks)) <= height {
		if len(c.blocks)%3 == 2 {
			c.deploy(fmt.Sprintf("code of block %d", len(c.blocks)))
		}
		c.add([]*ledger.Transaction{c.transfer(), c.transfer()}, nil)
	}
	return c
}

func (c *chain) options() store.Options {
	return store.Options{Genesis: c.genesis, Logger: slog.New(slog.DiscardHandler)}
}

func (c *chain) open(dir string, opts store.Options) *store.Store {
	c.t.Helper()
	s, err := store.Open(dir, opts)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *chain) marker(first, last uint64) store.Marker {
	h := c.blocks[last].Header
	return store.Marker{FirstHeight: first, LastHeight: last, HeaderHash: h.Hash(), StateRoot: h.Root}
}

// coalesce keeps the last change of each path in a range of blocks.
func (c *chain) coalesce(first, last uint64) []ledger.Change {
	m := map[[32]byte]ledger.Change{}
	for _, cs := range c.changes[first : last+1] {
		for _, ch := range cs {
			m[ch.Path] = ch
		}
	}
	return sortChanges(slices.Collect(maps.Values(m)))
}

// deployed lists the codes of a range of blocks.
func (c *chain) deployed(first, last uint64) []ledger.Code {
	return slices.Concat(c.codes[first : last+1]...)
}

// catchUp brings a store from wherever it is to a height, two blocks a commit, as a node does.
func (c *chain) catchUp(s *store.Store, height uint64) error {
	next := uint64(0)
	if tip, ok := s.Tip(); ok {
		next = tip + 1
	}
	for ; next <= height; next += 2 {
		if err := s.CommitBlocks(c.blocks[next:min(next+2, height+1)]); err != nil {
			return err
		}
		if err := c.derive(s, min(next+1, height)); err != nil {
			return err
		}
	}
	return c.derive(s, height)
}

// derive flushes and indexes up to a height.
func (c *chain) derive(s *store.Store, height uint64) error {
	first := uint64(0)
	if m, ok := s.StateMarker(); ok {
		first = m.LastHeight + 1
	}
	if first <= height {
		if err := s.FlushState(c.marker(first, height), c.coalesce(first, height), c.deployed(first, height)); err != nil {
			return err
		}
	}
	next := uint64(0)
	if p, ok := s.IndexProgress(); ok {
		next = p + 1
	}
	if next > height {
		return nil
	}
	return s.IndexBlocks(c.blocks[next : height+1])
}

// check compares everything in a store up to its own heights with the chain, and the order of the
// three databases.
func (c *chain) check(s *store.Store) {
	c.t.Helper()
	tip, some := s.Tip()
	m, haveState := s.StateMarker()
	progress, haveIndex := s.IndexProgress()
	if haveState && (!some || m.LastHeight > tip) || haveIndex && (!haveState || progress > m.LastHeight) {
		c.t.Fatalf("blocks %d %v, state %d %v, index %d %v: out of order", tip, some, m.LastHeight, haveState, progress, haveIndex)
	}
	if !some {
		return
	}
	for h := range tip + 1 {
		got, err := s.Block(h)
		if err != nil {
			c.t.Fatal(err)
		}
		want := c.blocks[h]
		if got.Header.Hash() != want.Header.Hash() || !reflect.DeepEqual(got.Receipts, want.Receipts) && len(want.Receipts) > 0 ||
			len(got.Transactions) != len(want.Transactions) || !bytes.Equal(got.Ordered.Finalization, want.Ordered.Finalization) {
			c.t.Fatalf("block %d differs", h)
		}
		c.checkBlockLogs(s, h)
	}
	if haveIndex {
		c.checkIndex(s, progress)
	}
	c.checkState(s, m, haveState)
	c.checkLogs(s, tip)
}

// checkLogs asks for logs and compares with the receipts of all blocks.
func (c *chain) checkLogs(s *store.Store, tip uint64) {
	c.t.Helper()
	to := common.BytesToHash(common.BigToAddress(big.NewInt(1003)).Bytes()) // of one transfer
	for i, q := range []store.LogQuery{
		{},
		{Addresses: []common.Address{token(1)}},
		{Addresses: []common.Address{token(1), token(3), {0xee}}},
		{Topics: [][]common.Hash{nil, nil, {to, {1}}}},
		{Topics: [][]common.Hash{{{1}}}},
		{Topics: [][]common.Hash{nil, nil, nil, nil, nil}},
		{Addresses: []common.Address{{0xfe}}, Topics: [][]common.Hash{{transferred}}},
		{Topics: [][]common.Hash{nil, nil, nil, nil}},
	} {
		for _, from := range []uint64{0, 3} {
			got, err := s.LogBlocks(q, from, tip+5)
			want := c.logBlocks(q, from, tip)
			if i > 5 { // blocks with parts of what was asked for are allowed
				got = slices.DeleteFunc(got, func(h uint64) bool { return !slices.Contains(want, h) && h <= tip })
			}
			if err != nil || !slices.Equal(got, want) {
				c.t.Fatalf("logs for %v from %d are in blocks %d, %v; want %d", q, from, got, err, want)
			}
		}
	}
}

// checkBlockLogs compares the logs of a block, read alone, with those in its receipts.
func (c *chain) checkBlockLogs(s *store.Store, height uint64) {
	c.t.Helper()
	for _, q := range []store.LogQuery{{}, {Addresses: []common.Address{{0xfe}}}, {Topics: [][]common.Hash{{transferred}}}} {
		var want []*types.Log
		for _, r := range c.blocks[height].Receipts {
			for _, l := range r.Logs {
				if q.Matches(l) {
					want = append(want, l)
				}
			}
		}
		if got, err := s.Logs(q, height); err != nil || !reflect.DeepEqual(got, want) {
			c.t.Fatalf("logs of block %d for %v are %+v, %v; want %+v", height, q, got, err, want)
		}
	}
}

// logBlocks are the heights of blocks with a log that the query chooses.
func (c *chain) logBlocks(q store.LogQuery, from, to uint64) (heights []uint64) {
	for height := from; height <= to; height++ {
		for _, r := range c.blocks[height].Receipts {
			if slices.ContainsFunc(r.Logs, q.Matches) {
				heights = append(heights, height)
				break
			}
		}
	}
	return heights
}

func (c *chain) checkIndex(s *store.Store, progress uint64) {
	c.t.Helper()
	for _, b := range c.blocks[:progress+1] {
		if h, err := s.HeightByHash(b.Header.Hash()); err != nil || h != b.Ordered.Height {
			c.t.Fatalf("height of block %d is %d, %v", b.Ordered.Height, h, err)
		}
		for i, tx := range b.Transactions {
			if p, err := s.Transaction(tx.Hash()); err != nil || p.Height != b.Ordered.Height || p.Index != uint32(i) || p.Dropped != 0 {
				c.t.Fatalf("position of transaction %d in block %d is %+v, %v", i, b.Ordered.Height, p, err)
			}
		}
	}
}

func (c *chain) checkState(s *store.Store, m store.Marker, some bool) {
	c.t.Helper()
	fresh := state.New()
	var all []ledger.Change
	err := s.ScanState(func(ch ledger.Change) error {
		all = append(all, ledger.Change{Path: ch.Path, Key: bytes.Clone(ch.Key), Value: bytes.Clone(ch.Value)})
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if !some {
		if len(all) > 0 {
			c.t.Fatal("state without a marker")
		}
		return
	}
	for _, code := range c.deployed(0, m.LastHeight) {
		if got, err := s.Code(code.Hash); err != nil || !bytes.Equal(got, code.Bytes) {
			c.t.Fatalf("code %s is %q, %v; want %q", code.Hash, got, err, code.Bytes)
		}
	}
	root, err := fresh.Load(func() (ledger.Change, bool, error) {
		if len(all) == 0 {
			return ledger.Change{}, false, nil
		}
		ch := all[0]
		all = all[1:]
		return ch, true, nil
	}, m.LastHeight)
	if err != nil || root != c.blocks[m.LastHeight].Header.Root || root != m.StateRoot {
		c.t.Fatalf("state at %d has root %s, %v; want %s", m.LastHeight, root, err, c.blocks[m.LastHeight].Header.Root)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}
