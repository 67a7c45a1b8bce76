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

// checkWatermark applies the rules that tie a block's watermark to its parent's and to its height.
func (p *Pipeline) checkWatermark(height, parentMark uint64, c *content) error {
	pl := c.payload
	switch {
	case pl.Watermark < parentMark:
		return fmt.Errorf("watermark %d is below the parent's %d", pl.Watermark, parentMark)
	case pl.Watermark >= height:
		return fmt.Errorf("watermark %d in a block of height %d", pl.Watermark, height)
	case pl.Watermark == parentMark && pl.Cert != nil:
		return fmt.Errorf("a certificate for the parent's watermark %d", pl.Watermark)
	case pl.Watermark > parentMark:
		if err := p.checkCert(pl.Cert); err != nil {
			return fmt.Errorf("certificate of watermark %d: %w", pl.Watermark, err)
		}
	}
	if len(pl.TxHashes) > 0 && !p.mayOrder(height, pl.Watermark) {
		return fmt.Errorf("transactions %d blocks ahead of certified execution, at most %d", height-pl.Watermark, p.genesis.Consensus.MaxOrderedAhead)
	}
	return nil
}

// checkCert verifies an ExecCert and remembers the last one that verified: consecutive proposals
// and retries carry the same.
func (p *Pipeline) checkCert(cert *ledger.ExecCert) error {
	if cert == nil {
		return errors.New("absent")
	}
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
