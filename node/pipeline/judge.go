package pipeline

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

// Judge says whether a block may be voted for. It depends on the block, its parent and the genesis
// only, so that every node answers the same: whether nonces and balances fit is decided when the
// block is executed. Safe for concurrent use.
func (p *Pipeline) Judge(req consensus.JudgeRequest) consensus.Verdict {
	h := &req.Block.Header
	c, err := p.contents.of(req.Block)
	if err == nil {
		mark, known := p.parentWatermark(h.Height, h.ParentHash, req.Parent)
		if !known {
			p.log.Debug("cannot judge: the parent is not known", "height", h.Height, "parent", h.ParentHash)
			return consensus.Missing
		}
		err = p.checkWatermark(h.Height, mark, c)
	}
	switch {
	case errors.Is(err, errMissing):
		return consensus.Missing
	case err != nil:
		p.log.Warn("invalid block proposed", "height", h.Height, "view", h.View, "proposer", h.Proposer, "error", err)
		return consensus.Invalid
	}
	p.demand.proposed(h.Height, h.TimeMs, c.txs)
	return consensus.Valid
}

// checkWatermark applies the rules of the payload and verifies its certificate if it has one.
func (p *Pipeline) checkWatermark(height, parentMark uint64, c *content) error {
	pl := c.payload
	if err := pl.CheckWatermark(height, parentMark, p.genesis.Consensus.MaxOrderedAhead); err != nil {
		return err
	}
	if pl.Cert == nil {
		return nil
	}
	if err := p.checkCert(pl.Cert); err != nil {
		return fmt.Errorf("certificate of watermark %d: %w", pl.Watermark, err)
	}
	return nil
}

// checkCert verifies an ExecCert and remembers the last one that verified: consecutive proposals
// and retries carry the same.
func (p *Pipeline) checkCert(cert *ledger.ExecCert) error {
	encoded := ledger.EncodeExecCert(cert)
	if best := p.certifier.newest(); best != nil && bytes.Equal(best.frame[1:], encoded) {
		return nil
	}
	if last := p.lastCert.Load(); last != nil && bytes.Equal(*last, encoded) {
		return nil
	}
	if err := p.certifier.verify(cert); err != nil {
		return err
	}
	p.lastCert.Store(&encoded)
	return nil
}

// mark is what later blocks must know of a delivered one.
type mark struct {
	hash      common.Hash
	watermark uint64
}

// maxMarks bounds the delivered blocks whose marks are kept in memory. Requests about older ones do
// not exist: a request is as old as the views in flight.
const maxMarks = 1024

// parentWatermark is the watermark of the block before height. Parent is nil when it has been
// delivered.
func (p *Pipeline) parentWatermark(height uint64, hash common.Hash, parent *consensus.Block) (uint64, bool) {
	if parent != nil {
		c, err := ledger.DecodePayload(parent.Payload)
		if err != nil {
			return 0, false
		}
		return c.Watermark, true
	}
	if !p.awaitDelivered(height - 1) {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.marks[height-1]
	return m.watermark, ok && m.hash == hash
}
