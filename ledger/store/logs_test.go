package store_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

func TestLogQuery_Matches(t *testing.T) {
	t.Parallel()
	a, b := common.Address{1}, common.Address{2}
	x, y := common.Hash{1}, common.Hash{2}
	log := &types.Log{Address: a, Topics: []common.Hash{x, y}}
	for _, tc := range []struct {
		name  string
		query store.LogQuery
		want  bool
	}{
		{"everything", store.LogQuery{}, true},
		{"address", store.LogQuery{Addresses: []common.Address{b, a}}, true},
		{"another address", store.LogQuery{Addresses: []common.Address{b}}, false},
		{"first topic", store.LogQuery{Topics: [][]common.Hash{{x}}}, true},
		{"one of two", store.LogQuery{Topics: [][]common.Hash{{y, x}}}, true},
		{"second topic", store.LogQuery{Topics: [][]common.Hash{nil, {y}}}, true},
		{"topic in another place", store.LogQuery{Topics: [][]common.Hash{{y}}}, false},
		{"two of anything", store.LogQuery{Topics: [][]common.Hash{nil, nil}}, true},
		{"three of anything", store.LogQuery{Topics: [][]common.Hash{nil, nil, nil}}, false},
		{"address and topic", store.LogQuery{Addresses: []common.Address{a}, Topics: [][]common.Hash{{y}}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.query.Matches(log); got != tc.want {
				t.Errorf("matches: %t, want %t", got, tc.want)
			}
		})
	}
}

// emitter makes blocks, from any height on, that hold one transaction, always the same, with logs.
type emitter struct {
	*chain
	tx                 *ledger.Transaction
	ordered            ledger.Ordered
	first              uint64 // height
	committed, indexed int    // how many blocks are
}

func newEmitter(t testing.TB, first uint64) *emitter {
	c := newChain(t)
	tx := c.transfer()
	c.blocks = nil
	return &emitter{chain: c, tx: tx, first: first, ordered: ledger.Ordered{
		Payload: ledger.EncodePayload(&ledger.Payload{TxHashes: []common.Hash{tx.Hash()}}),
		Data:    ledger.EncodeData([][]byte{tx.Raw()}),
	}}
}

// emit appends a block.
func (e *emitter) emit(logs ...*types.Log) {
	o := e.ordered
	o.Height = e.first + uint64(len(e.blocks))
	header := &types.Header{Number: new(big.Int).SetUint64(o.Height), Difficulty: new(big.Int), BaseFee: new(big.Int), Extra: make([]byte, 8)}
	if n := len(e.blocks); n > 0 {
		header.ParentHash = e.blocks[n-1].Header.Hash()
	}
	receipt := &types.Receipt{Status: 1, GasUsed: 21_000, TxHash: e.tx.Hash(), Logs: logs}
	e.blocks = append(e.blocks, ledger.NewBlock(o, header, []*ledger.Transaction{e.tx}, []*types.Receipt{receipt}, nil))
}

// commit writes blocks until there are n.
func (e *emitter) commit(s *store.Store, n int) {
	e.t.Helper()
	if err := s.CommitBlocks(e.blocks[e.committed:n]); err != nil {
		e.t.Fatal(err)
	}
	e.committed = n
}

// index indexes blocks until n are, step in a batch.
func (e *emitter) index(s *store.Store, n, step int) {
	e.t.Helper()
	for e.indexed < n {
		list := e.blocks[e.indexed:min(e.indexed+step, n)]
		last := list[len(list)-1].Header
		m := store.Marker{FirstHeight: list[0].Ordered.Height, LastHeight: last.Number.Uint64(), HeaderHash: last.Hash(), StateRoot: last.Root}
		if err := s.FlushState(m, nil, nil); err != nil {
			e.t.Fatal(err)
		}
		if err := s.IndexBlocks(list); err != nil {
			e.t.Fatal(err)
		}
		e.indexed += len(list)
	}
}

// compare holds an answer against all receipts: each block that has a log which the query chooses must be
// there, and no block that lacks a part of it.
func (e *emitter) compare(q store.LogQuery, from, to uint64, got []uint64) {
	e.t.Helper()
	var must, may []uint64
	for _, b := range e.blocks[:e.committed] {
		height, logs := b.Ordered.Height, b.Receipts[0].Logs
		if height < from || height > to {
			continue
		}
		if slices.ContainsFunc(logs, q.Matches) {
			must = append(must, height)
		}
		part := func(q store.LogQuery) bool { return slices.ContainsFunc(logs, q.Matches) }
		all := part(store.LogQuery{Addresses: q.Addresses})
		for i, topics := range q.Topics {
			if len(topics) > 0 {
				all = all && part(store.LogQuery{Topics: append(make([][]common.Hash, i), topics)})
			}
		}
		if all {
			may = append(may, height)
		}
	}
	if !slices.IsSorted(got) {
		e.t.Fatalf("%v from %d to %d: %d is not in order", q, from, to, got)
	}
	for _, h := range must {
		if _, ok := slices.BinarySearch(got, h); !ok {
			e.t.Fatalf("%v from %d to %d: block %d is missing", q, from, to, h)
		}
	}
	for _, h := range got {
		if _, ok := slices.BinarySearch(may, h); !ok {
			e.t.Fatalf("%v from %d to %d: block %d has nothing of it", q, from, to, h)
		}
	}
}

// TestStore_LogBlocks_overSections asks at random over the borders of sections, over what is indexed, what
// waits for it, and after a start what is neither.
func TestStore_LogBlocks_overSections(t *testing.T) {
	t.Parallel()
	const first, blocks = 4096 - 300, 4096 + 900
	e := newEmitter(t, first)
	rng := rand.New(rand.NewPCG(1, 1))
	topics := func() []common.Hash {
		list := make([]common.Hash, rng.IntN(4))
		for i := range list {
			list[i] = common.Hash{byte(1 + rng.IntN(9))}
		}
		return list
	}
	for range blocks {
		logs := make([]*types.Log, rng.IntN(3)*rng.IntN(2))
		for i := range logs {
			logs[i] = &types.Log{Address: common.Address{byte(1 + rng.IntN(4)*rng.IntN(40))}, Topics: topics()}
		}
		e.emit(logs...)
	}
	dir := t.TempDir()
	s := e.open(dir, e.options())
	ask := func() {
		for range 150 {
			var q store.LogQuery
			for range rng.IntN(3) {
				q.Addresses = append(q.Addresses, common.Address{byte(1 + rng.IntN(160))})
			}
			for range rng.IntN(4) {
				q.Topics = append(q.Topics, topics())
			}
			from := first + rng.Uint64N(blocks)
			to := from + rng.Uint64N(blocks)
			got, err := s.LogBlocks(q, from, to)
			if err != nil {
				t.Fatal(err)
			}
			e.compare(q, from, to, got)
		}
	}
	e.commit(s, 1000)
	ask()
	e.index(s, 600, 7)
	ask()
	e.commit(s, blocks)
	e.index(s, blocks-100, 500)
	ask()
	s.Close()
	s = e.open(dir, e.options())
	defer s.Close()
	ask()
	e.index(s, blocks, 100)
	ask()
}

// TestStore_LogBlocks_whileIndexing: no block is missing at any moment of its way from committed to indexed.
func TestStore_LogBlocks_whileIndexing(t *testing.T) {
	t.Parallel()
	const blocks = 200
	e := newEmitter(t, 0)
	for range blocks {
		e.emit(&types.Log{Address: token(1)})
	}
	s := e.open(t.TempDir(), e.options())
	defer s.Close()
	e.commit(s, 1)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for tip := uint64(0); tip < blocks-1; {
				tip, _ = s.Tip()
				got, err := s.LogBlocks(store.LogQuery{Addresses: []common.Address{token(1)}}, 0, tip)
				if err != nil || uint64(len(got)) != tip+1 || got[tip] != tip {
					t.Errorf("logs of %d blocks are in %d of them, %v", tip+1, len(got), err)
					return
				}
			}
		})
	}
	for n := 2; n <= blocks; n++ {
		e.commit(s, n)
		if n%3 == 0 {
			e.index(s, n-n%2, 2)
		}
	}
	wg.Wait()
}

func TestStore_LogBlocks_ranges(t *testing.T) {
	t.Parallel()
	e := newEmitter(t, 5)
	for range 4 {
		e.emit(&types.Log{})
	}
	s := e.open(t.TempDir(), e.options())
	defer s.Close()
	if got, err := s.LogBlocks(store.LogQuery{}, 0, 100); err != nil || got != nil {
		t.Errorf("an empty store has logs in %d, %v", got, err)
	}
	e.commit(s, 4)
	e.index(s, 3, 1)
	for _, tc := range []struct {
		from, to uint64
		want     []uint64
	}{
		{5, 8, []uint64{5, 6, 7, 8}},
		{6, 7, []uint64{6, 7}},
		{7, 7, []uint64{7}},
		{8, 1 << 62, []uint64{8}},
		{9, 1 << 62, nil},
		{8, 5, nil},
	} {
		if got, err := s.LogBlocks(store.LogQuery{}, tc.from, tc.to); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("from %d to %d: %d, %v; want %d", tc.from, tc.to, got, err, tc.want)
		}
	}
	far := newEmitter(t, store.MaxLogRange+2)
	far.emit()
	other := far.open(t.TempDir(), far.options())
	defer other.Close()
	far.commit(other, 1)
	_, err := other.LogBlocks(store.LogQuery{}, 2, 1<<62)
	wantError(t, err, store.ErrLogRange)
}

// TestOpen_lostRunOfTheIndex: what LevelDB lost in the middle of its journal is noticed and indexed again.
func TestOpen_lostRunOfTheIndex(t *testing.T) {
	t.Parallel()
	for _, lost := range []uint64{0, 2, 4} {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			c := newChain(t).grow(9)
			dir := t.TempDir()
			s := c.open(dir, c.options())
			if err := c.catchUp(s, 9); err != nil {
				t.Fatal(err)
			}
			s.Close()
			edit(t, filepath.Join(dir, "index.ldb"), func(db *leveldb.DB) error { return db.Delete(heightKey('C', lost), nil) })
			opts := c.options()
			opts.Logger = testlog.New(t, testlog.Expect("moved aside"))
			s = c.open(dir, opts)
			defer s.Close()
			if p, ok := s.IndexProgress(); ok {
				t.Errorf("the index of %d blocks is still used", p)
			}
			c.check(s)
			if err := c.catchUp(s, 9); err != nil {
				t.Fatal(err)
			}
			c.check(s)
		})
	}
}
