package store_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

// BenchmarkStore_CommitBlocks commits synced blocks of 1,000 transfers.
func BenchmarkStore_CommitBlocks(b *testing.B) {
	const transfers = 1000
	c := newChain(b)
	txs := make([]*ledger.Transaction, transfers)
	for i := range txs {
		txs[i] = c.transfer()
	}
	template := c.add(txs, nil)
	s := c.open(b.TempDir(), c.options())
	defer s.Close()
	if err := s.CommitBlocks(c.blocks[:1]); err != nil {
		b.Fatal(err)
	}
	parent := c.blocks[0].Header
	bytes := 0
	for b.Loop() {
		block := *template
		header := *template.Header
		header.ParentHash = parent.Hash()
		header.Number = new(big.Int).Add(parent.Number, big.NewInt(1))
		block.Header, block.Ordered.Height = &header, header.Number.Uint64()
		if err := s.CommitBlocks([]*ledger.Block{&block}); err != nil {
			b.Fatal(err)
		}
		parent = &header
		bytes += len(block.Ordered.Data)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*transfers), "µs/transfer")
	b.ReportMetric(float64(bytes)/1e6/b.Elapsed().Seconds(), "MB/s")
}

// holder is one of those between whom a token moves.
func holder(i int) common.Hash { return common.BigToHash(big.NewInt(int64(i) + 1)) }

// emitTransfers appends a block with transfers of a token between holders.
func (e *emitter) emitTransfers(rng *rand.Rand, transfers, holders int) {
	logs := make([]*types.Log, transfers)
	for i := range logs {
		logs[i] = &types.Log{
			Address: token(0), Data: make([]byte, 32),
			Topics: []common.Hash{transferred, holder(rng.IntN(holders)), holder(rng.IntN(holders))},
		}
	}
	e.emit(logs...)
}

// BenchmarkStore_LogBlocks looks through 10,000 blocks of 20 transfers of a token each, without and with
// reading the logs out of the blocks that were found.
func BenchmarkStore_LogBlocks(b *testing.B) {
	const blocks, transfers, holders = 10_000, 20, 10_000
	e := newEmitter(b, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	for range blocks {
		e.emitTransfers(rng, transfers, holders)
	}
	s := e.open(b.TempDir(), e.options())
	defer s.Close()
	for n := 500; n <= blocks; n += 500 {
		e.commit(s, n)
	}
	e.index(s, blocks, 100)
	of := func(topics ...common.Hash) store.LogQuery {
		q := store.LogQuery{Addresses: []common.Address{token(0)}}
		for _, t := range topics {
			q.Topics = append(q.Topics, []common.Hash{t})
		}
		return q
	}
	for _, tc := range []struct {
		name  string
		query store.LogQuery
		read  bool
	}{
		{"token", of(transferred), false},
		{"holder", of(transferred, holder(77)), false},
		{"holder,read", of(transferred, holder(77)), true},
		{"nobody", of(transferred, common.Hash{1}), false},
	} {
		b.Run("of="+tc.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				heights, err := s.LogBlocks(tc.query, 0, blocks)
				if err != nil {
					b.Fatal(err)
				}
				found = len(heights)
				for i := 0; tc.read && i < found; i++ {
					if logs, err := s.Logs(tc.query, heights[i]); err != nil || len(logs) == 0 {
						b.Fatal("no log in a block that was found", err)
					}
				}
			}
			b.ReportMetric(float64(found), "blocks")
		})
	}
}

// BenchmarkStore_IndexBlocks indexes blocks with 1,000 transfers of a token, ten in a batch.
func BenchmarkStore_IndexBlocks(b *testing.B) {
	for _, holders := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("holders=%d", holders), func(b *testing.B) {
			const transfers, batch = 1000, 10
			e := newEmitter(b, 0)
			rng := rand.New(rand.NewPCG(1, 1))
			s := e.open(b.TempDir(), e.options())
			defer s.Close()
			for b.Loop() {
				b.StopTimer()
				for range batch {
					e.emitTransfers(rng, transfers, holders)
				}
				e.commit(s, len(e.blocks))
				b.StartTimer()
				e.index(s, len(e.blocks), batch)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*transfers*batch), "µs/log")
		})
	}
}
