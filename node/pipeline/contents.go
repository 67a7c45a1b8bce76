package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

// errMissing says that a block's data is absent or is not what its payload commits to. That is no
// judgement of the block: nobody signs the data.
var errMissing = errors.New("the transactions beside the payload are not those it names")

const (
	// maxCachedContents and maxCachedBytes bound the decoded blocks kept between judging,
	// building on and executing them: a few views normally, Dmax blocks when execution lags.
	maxCachedContents = 128
	maxCachedBytes    = 32 << 20
)

// content is what a block orders, decoded and checked as far as that needs no state. It is
// immutable.
type content struct {
	payload *ledger.Payload
	txs     []*ledger.Transaction // in payload order
	data    []byte                // the one encoding of txs
	bytes   int
}

// contents decodes blocks, once each in the normal case. Safe for concurrent use.
type contents struct {
	genesis *ledger.Genesis
	// known returns a transaction whose sender this process has recovered already, or nil.
	known func(common.Hash) *ledger.Transaction

	mu     sync.Mutex
	byHash map[common.Hash]*content // guarded by mu; key: payload hash, which determines everything
	order  []common.Hash            // guarded by mu; oldest first
	spent  []common.Hash            // guarded by mu; payloads of the last executed group
	bytes  int                      // guarded by mu
}

func newContents(g *ledger.Genesis, known func(common.Hash) *ledger.Transaction) *contents {
	return &contents{genesis: g, known: known, byHash: make(map[common.Hash]*content)}
}

// of returns what b orders. The error is errMissing, or says why no node may accept b: the same
// on every node.
func (c *contents) of(b *consensus.Block) (*content, error) {
	c.mu.Lock()
	have := c.byHash[b.Header.PayloadHash]
	c.mu.Unlock()
	if have != nil {
		// The payload determines its data, but nobody signs the data that came with it this time.
		if !bytes.Equal(have.data, b.Data) {
			return nil, errMissing
		}
		return have, nil
	}
	made, err := decodeContent(c.genesis, b.Payload, b.Data, c.known)
	if err != nil {
		return nil, err
	}
	c.keep(b.Header.PayloadHash, made)
	return made, nil
}

func (c *contents) keep(payloadHash common.Hash, made *content) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byHash[payloadHash] != nil {
		return
	}
	c.byHash[payloadHash] = made
	c.order = append(c.order, payloadHash)
	c.bytes += made.bytes
	for len(c.order) > 1 && (len(c.order) > maxCachedContents || c.bytes > maxCachedBytes) {
		c.drop(c.order[0])
	}
}

// drop forgets a content that is kept. The caller holds mu.
func (c *contents) drop(payloadHash common.Hash) {
	c.bytes -= c.byHash[payloadHash].bytes
	delete(c.byHash, payloadHash)
	at := slices.Index(c.order, payloadHash)
	c.order = slices.Delete(c.order, at, at+1)
}

// executed notes blocks that nobody will ask for, and forgets those of the call before: who listed the
// unexecuted blocks a moment ago may still want these, and to decode them again would take much longer.
func (c *contents) executed(blocks []consensus.FinalBlock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, hash := range c.spent {
		if c.byHash[hash] != nil {
			c.drop(hash)
		}
	}
	c.spent = c.spent[:0]
	for i := range blocks {
		c.spent = append(c.spent, blocks[i].Block.Header.PayloadHash)
	}
}

// decodeContent applies the rules of a block's validity which need neither state nor ancestors.
func decodeContent(g *ledger.Genesis, payload, data []byte, known func(common.Hash) *ledger.Transaction) (*content, error) {
	pl, err := ledger.DecodePayload(payload)
	if err != nil {
		return nil, err
	}
	raws, err := matchData(pl.TxHashes, data)
	if err != nil {
		return nil, err
	}
	made := &content{payload: pl, data: data, bytes: len(payload) + len(data), txs: make([]*ledger.Transaction, len(raws))}
	for i, h := range pl.TxHashes {
		made.txs[i] = known(h)
	}
	if err := decodeTransactions(g, raws, made.txs); err != nil {
		return nil, err
	}
	if err := ledger.ValidateBlock(g, pl, len(payload), made.txs); err != nil {
		return nil, err
	}
	return made, nil
}

// matchData splits data into the encoded transactions that the hashes name, in their order.
func matchData(hashes []common.Hash, data []byte) ([][]byte, error) {
	if len(hashes) == 0 {
		if len(data) != 0 {
			return nil, errMissing
		}
		return nil, nil
	}
	raws, err := ledger.DecodeData(data)
	if err != nil || len(raws) != len(hashes) {
		return nil, errMissing
	}
	for i, raw := range raws {
		if crypto.Keccak256Hash(raw) != hashes[i] {
			return nil, errMissing
		}
	}
	return raws, nil
}

// decodeTransactions fills the nil places of txs from raws, recovering senders on all processors:
// that is four fifths of the cost of a transfer.
func decodeTransactions(g *ledger.Genesis, raws [][]byte, txs []*ledger.Transaction) error {
	var missing []int
	for i := range txs {
		if txs[i] == nil {
			missing = append(missing, i)
		}
	}
	errs, limits := make([]error, len(missing)), g.Limits()
	parallel(len(missing), func(k int) {
		i := missing[k]
		txs[i], errs[k] = ledger.DecodeTransaction(raws[i], g.ChainID, limits)
	})
	for k, err := range errs {
		if err != nil {
			return fmt.Errorf("transaction %d: %w", missing[k], err)
		}
	}
	return nil
}

// parallel calls f(0) … f(n-1) on up to GOMAXPROCS goroutines and waits for all.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+minPerWorker-1)/minPerWorker)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// minPerWorker is the number of signature recoveries (40 µs each) that are worth a goroutine.
const minPerWorker = 4
