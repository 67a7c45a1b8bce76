package pipeline

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

const (
	// blockOverhead covers list prefixes and the watermark; transactions and ExecCert are counted.
	blockOverhead = 64
	// lagFree is how many ordered blocks may wait for execution before proposals shrink: that
	// many are in flight when the disk syncs for some 100 ms.
	lagFree = 8
)

// Build chooses the payload of the next block. It reports false when there is nothing to order
// and req does not insist. It runs on a goroutine of the engine's, one call at a time.
func (p *Pipeline) Build(req consensus.BuildRequest) (payload, data []byte, ok bool) {
	first := req.Height
	if len(req.Ancestors) > 0 {
		first = req.Ancestors[0].Header.Height
	}
	if !p.awaitDelivered(first - 1) {
		return nil, nil, false
	}
	parentMark, known := p.parentWatermark(req.Height, req.ParentHash, lastOf(req.Ancestors))
	if !known {
		p.log.Debug("not building: the parent is not known yet", "height", req.Height)
		return nil, nil, false
	}
	var newest *ledger.ExecCert
	if c := p.certifier.newest(); c != nil {
		newest = c.cert
	}
	pl := ledger.EmptyPayload(req.Height, parentMark, newest)
	var txs []*ledger.Transaction
	if p.mayOrder(req.Height, pl.Watermark) {
		txs = p.choose(req, pl.Cert)
	}
	if len(txs) == 0 && !req.Force && !p.demand.emptyWanted(req.Height, req.TimeMs) {
		signal(p.demand.kick)
		return nil, nil, false
	}
	p.demand.proposed(req.Height, req.TimeMs, txs)
	raws := make([][]byte, len(txs))
	pl.TxHashes = make([]common.Hash, len(txs))
	for i, tx := range txs {
		raws[i], pl.TxHashes[i] = tx.Raw(), tx.Hash()
	}
	return ledger.EncodePayload(&pl), ledger.EncodeData(raws), true
}

func (p *Pipeline) mayOrder(height, watermark uint64) bool {
	return ledger.MayOrder(height, watermark, p.genesis.Consensus.MaxOrderedAhead)
}

// nextMayOrder reports whether the block after the newest delivered one may have transactions, as far as this
// node can tell. What delivered blocks prove counts as what its own certificates prove: a node in quarantine
// has none, and still has to lead when its turn comes.
func (p *Pipeline) nextMayOrder() bool {
	p.mu.Lock()
	height, watermark := p.delivered+1, p.marks[p.delivered].watermark
	p.mu.Unlock()
	return p.mayOrder(height, max(watermark, p.certifier.height()))
}

// choose takes transactions from the pool that fit behind the ancestors of the new block.
func (p *Pipeline) choose(req consensus.BuildRequest, cert *ledger.ExecCert) []*ledger.Transaction {
	ahead, err := p.orderedAhead(req.Ancestors)
	if err != nil {
		// An ancestor's data is on its way; without it nobody knows which transactions are free.
		p.log.Debug("building an empty block", "height", req.Height, "error", err)
		return nil
	}
	limit := shrink(int(p.genesis.MaxBlockBytes), p.Lag()) - blockOverhead
	if cert != nil {
		limit -= len(ledger.EncodeExecCert(cert))
	}
	return p.pool.Select(limit, p.genesis.BlockGasLimit, ahead)
}

// shrink reduces the size of proposals while execution lags, to a sixteenth at the worst, so that
// ordering slows down before the Dmax rule stops it.
func shrink(limit, lag int) int {
	if lag <= lagFree {
		return limit
	}
	return max(limit*lagFree/lag, limit/16)
}

// orderedAhead returns the next nonce of each sender with transactions in the delivered, not yet
// executed blocks and in the ancestors, which follow them. It fails with errMissing when a block's
// transactions are not here.
func (p *Pipeline) orderedAhead(ancestors []*consensus.Block) (map[common.Address]uint64, error) {
	nonces := make(map[common.Address]uint64)
	for _, list := range [][]*consensus.Block{p.unexecuted(), ancestors} {
		for _, b := range list {
			c, err := p.contents.of(b)
			if err != nil {
				return nil, err
			}
			for _, tx := range c.txs {
				nonces[tx.From()] = max(nonces[tx.From()], tx.Nonce()+1)
			}
		}
	}
	return nonces, nil
}

func lastOf(blocks []*consensus.Block) *consensus.Block {
	if len(blocks) == 0 {
		return nil
	}
	return blocks[len(blocks)-1]
}
