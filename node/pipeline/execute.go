package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

// ordered translates what consensus delivers into what the ledger stores.
func ordered(fb *consensus.FinalBlock) *ledger.Ordered {
	h := &fb.Block.Header
	o := &ledger.Ordered{
		Hash: fb.Hash, Epoch: h.Epoch, View: h.View, Height: h.Height, TimeMs: h.TimeMs, Proposer: h.Proposer,
		Payload: fb.Block.Payload, Data: fb.Block.Data, Header: h.Encode(),
	}
	if fb.Finalization != nil {
		o.Finalization = encodeCert(fb.Finalization)
	}
	return o
}

// finalBlock is the inverse of ordered.
func finalBlock(o *ledger.Ordered) (consensus.FinalBlock, error) {
	h, err := consensus.DecodeHeader(o.Header)
	if err != nil {
		return consensus.FinalBlock{}, fmt.Errorf("stored header of block %d: %w", o.Height, err)
	}
	fb := consensus.FinalBlock{Block: &consensus.Block{Header: *h, Payload: o.Payload, Data: o.Data}, Hash: o.Hash}
	if len(o.Finalization) > 0 {
		if fb.Finalization, err = decodeCert(o.Finalization); err != nil {
			return consensus.FinalBlock{}, fmt.Errorf("stored finalization of block %d: %w", o.Height, err)
		}
	}
	return fb, nil
}

// encodeCert and decodeCert use the consensus message encoding, so that what is stored can be sent
// as it is.
func encodeCert(c *consensus.Cert) []byte { return consensus.EncodeMessage(c) }

func decodeCert(b []byte) (*consensus.Cert, error) {
	m, err := consensus.DecodeMessage(b)
	if err != nil {
		return nil, err
	}
	c, ok := m.(*consensus.Cert)
	if !ok {
		return nil, fmt.Errorf("holds a %T, want a certificate", m)
	}
	return c, nil
}

// runExecutor executes delivered blocks until ctx ends or something breaks. It owns p.tip.
func (p *Pipeline) runExecutor(ctx context.Context, driver Driver) error {
	for {
		group, ok := p.queue.take(ctx)
		if !ok {
			return nil
		}
		// What is final is executed to its end, whoever has stopped waiting.
		if err := p.executeGroup(context.WithoutCancel(ctx), driver, group); err != nil {
			return err
		}
	}
}

// executeGroup takes blocks through the stages in their order: execute, one synced batch,
// publish, pool, engine, votes, state flush.
func (p *Pipeline) executeGroup(ctx context.Context, driver Driver, group []consensus.FinalBlock) error {
	done := make([]executed, 0, len(group))
	blocks := make([]*ledger.Block, 0, len(group))
	parent := p.tip
	for i := range group {
		fb := &group[i]
		height := fb.Block.Header.Height
		if height <= parent.Number.Uint64() {
			if err := p.checkRepeated(fb, parent); err != nil {
				return err
			}
			continue
		}
		if want := parent.Number.Uint64() + 1; height != want {
			panic(fmt.Sprintf("pipeline: consensus delivers each height once and in order: got %d, want %d", height, want))
		}
		c, err := p.contents.of(fb.Block)
		if err != nil {
			return fmt.Errorf("block %d (%s) is final but does not decode: %w", height, fb.Hash, err)
		}
		e, err := p.executor.execute(ctx, parent, ordered(fb), c.txs)
		if err != nil {
			return err
		}
		e.cert = c.payload.Cert
		done, blocks, parent = append(done, e), append(blocks, e.block), e.block.Header
	}
	if len(blocks) == 0 {
		p.executedUpTo(group[len(group)-1].Block.Header.Height)
		return nil
	}
	if err := p.store.CommitBlocks(blocks); err != nil {
		return fmt.Errorf("committing blocks %d to %d: %w", blocks[0].Ordered.Height, parent.Number, err)
	}
	p.tip = parent
	return p.afterCommit(driver, group, done)
}

// checkRepeated accepts a height that the store has already if it is the same block. After a
// restart consensus begins behind its last stored finalization, which may be below the store's tip.
func (p *Pipeline) checkRepeated(fb *consensus.FinalBlock, parent *types.Header) error {
	height := fb.Block.Header.Height
	have := parent
	if height != parent.Number.Uint64() {
		h, err := p.store.Header(height)
		if err != nil {
			return fmt.Errorf("reading header %d: %w", height, err)
		}
		have = h
	}
	if have.MixDigest != fb.Hash {
		return fmt.Errorf("consensus finalized block %s at height %d where this node has stored %s: "+
			"the data directory belongs to another chain, or more than a third of the validators are faulty", fb.Hash, height, have.MixDigest)
	}
	return nil
}

// afterCommit makes a synced group visible.
func (p *Pipeline) afterCommit(driver Driver, group []consensus.FinalBlock, done []executed) error {
	last := done[len(done)-1].block
	if p.onExecuted != nil {
		for i := range done {
			p.onExecuted(done[i].block)
		}
	}
	p.publish(func(h *Head) { h.Header, h.TimeMs = last.Header, last.Ordered.TimeMs })
	now := time.Now()
	for i := range done {
		p.pool.Advance(done[i].block, now)
	}
	p.executedUpTo(last.Ordered.Height)
	p.contents.executed(group)
	first := done[0].block.Ordered.Height
	for i := len(group) - 1; i >= 0 && group[i].Block.Header.Height >= first; i-- {
		if fb := &group[i]; fb.Finalization != nil {
			driver.Executed(tipOf(fb)) // only what this batch made durable, finalization included
			break
		}
	}
	if err := p.certifier.executed(done); err != nil {
		return err
	}
	return p.flusher.add(done)
}

func tipOf(fb *consensus.FinalBlock) consensus.Tip {
	h := &fb.Block.Header
	return consensus.Tip{Epoch: h.Epoch, View: h.View, Height: h.Height, Hash: fb.Hash, TimeMs: h.TimeMs, Finalization: fb.Finalization}
}
