package store_test

import (
	"math/big"
	"testing"

	"github.com/tercet-chain/tercet/ledger"
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
