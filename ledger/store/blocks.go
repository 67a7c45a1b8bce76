package store

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/tercet-chain/tercet/ledger"
)

// CommitBlocks writes blocks in one synced batch. Their heights MUST follow the tip and each other
// (the first block of an empty store may have any height), and their headers be linked by hash:
// anything else fails with [ErrOrder] and writes nothing. Any other error is a failed write and latches.
// When it returns nil, the blocks are on the disk.
func (s *Store) CommitBlocks(blocks []*ledger.Block) error {
	if err := s.Err(); err != nil {
		return err
	}
	if len(blocks) == 0 {
		return nil
	}
	var batch leveldb.Batch
	tip, parent := s.tip.Load(), s.tipHash
	final := s.finalTip.Load()
	for _, b := range blocks {
		height, err := checkBlock(b, tip, parent)
		if err != nil {
			return err
		}
		header := mustEncode(b.Header)
		batch.Put(heightKey(tableHeader, height), header)
		batch.Put(heightKey(tableBody, height), encodeBody(&b.Ordered))
		batch.Put(heightKey(tableReceipts, height), encodeReceipts(b.Receipts, b.Drops))
		if len(b.Ordered.Finalization) > 0 {
			batch.Put(heightKey(tableFinalization, height), b.Ordered.Finalization)
			final = &height
		}
		tip, parent = &height, b.Header.Hash()
	}
	first, last := blocks[0].Header.Number.Uint64(), *tip
	if err := s.write(s.blocks, &batch, true, fmt.Sprintf("committing blocks %d to %d", first, last)); err != nil {
		return err
	}
	s.recentMu.Lock()
	for _, b := range blocks {
		s.recent.add(b)
	}
	s.recentMu.Unlock()
	s.tipHash = parent
	s.finalTip.Store(final)
	s.tip.Store(tip)
	return nil
}

func checkBlock(b *ledger.Block, tip *uint64, parent common.Hash) (uint64, error) {
	if b.Header == nil || !b.Header.Number.IsUint64() || b.Header.Number.Uint64() != b.Ordered.Height {
		return 0, fmt.Errorf("committing a block whose header is not of height %d: %w", b.Ordered.Height, ErrOrder)
	}
	height := b.Ordered.Height
	switch {
	case tip != nil && height != *tip+1:
		return 0, fmt.Errorf("committing block %d on top of %d: %w", height, *tip, ErrOrder)
	case tip != nil && b.Header.ParentHash != parent:
		return 0, fmt.Errorf("committing block %d with parent %s on top of %s: %w", height, b.Header.ParentHash, parent, ErrOrder)
	case len(b.Transactions) != len(b.Receipts):
		return 0, fmt.Errorf("committing block %d with %d receipts for %d transactions: %w",
			height, len(b.Receipts), len(b.Transactions), ErrOrder)
	case len(b.Transactions) > 0 && len(b.Ordered.Data) == 0:
		return 0, fmt.Errorf("committing block %d without its transactions' bytes: %w", height, ErrOrder)
	}
	return height, nil
}

func load(p *uint64) (uint64, bool) {
	if p == nil {
		return 0, false
	}
	return *p, true
}

// Tip returns the highest committed height.
func (s *Store) Tip() (uint64, bool) { return load(s.tip.Load()) }

// FinalTip returns the highest height with a finalization of its own.
func (s *Store) FinalTip() (uint64, bool) { return load(s.finalTip.Load()) }

// ExecCertTip returns the highest height with an ExecCert.
func (s *Store) ExecCertTip() (uint64, bool) { return load(s.execTip.Load()) }

// at reads from a table of blocks.ldb; heights above the tip are not found.
func (s *Store) at(table byte, height uint64) ([]byte, error) {
	if tip, ok := s.Tip(); !ok || height > tip {
		if g := s.gap; g != nil && height >= g.First && height <= g.Last {
			return nil, fmt.Errorf("block %d: %w: %w", height, ErrNotFound, g)
		}
		return nil, fmt.Errorf("block %d: %w", height, ErrNotFound)
	}
	return s.read(table, height)
}

func (s *Store) read(table byte, height uint64) ([]byte, error) {
	v, err := s.blocks.get(heightKey(table, height))
	if err != nil {
		return nil, fmt.Errorf("reading %c of block %d: %w", table, height, err)
	}
	return v, nil
}

// Header returns the executed header of a height, [ErrNotFound] or [CorruptError].
func (s *Store) Header(height uint64) (*types.Header, error) {
	v, err := s.at(tableHeader, height)
	if err != nil {
		return nil, err
	}
	h := new(types.Header)
	if err := rlp.DecodeBytes(v, h); err != nil {
		return nil, corruptf(blocksName, "header %d: %w", height, err)
	}
	if !h.Number.IsUint64() || h.Number.Uint64() != height {
		return nil, corruptf(blocksName, "header %s under height %d", h.Number, height)
	}
	return h, nil
}

// Ordered returns a block as consensus ordered it, with its finalization if it has one of its own.
func (s *Store) Ordered(height uint64) (*ledger.Ordered, error) {
	if _, err := s.at(tableHeader, height); err != nil {
		return nil, err
	}
	o, err := s.body(height)
	if err != nil {
		return nil, err
	}
	o.Finalization, err = s.Finalization(height)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	return o, nil
}

// body reads and checks table 'B'.
func (s *Store) body(height uint64) (*ledger.Ordered, error) {
	v, err := s.read(tableBody, height)
	if errors.Is(err, ErrNotFound) {
		return nil, corruptf(blocksName, "block %d has a header but no body", height)
	}
	if err != nil {
		return nil, err
	}
	o, err := decodeBody(v)
	if err != nil {
		return nil, corruptf(blocksName, "block %d: %w", height, err)
	}
	if o.Height != height {
		return nil, corruptf(blocksName, "body of height %d under height %d", o.Height, height)
	}
	return o, nil
}

// Receipts returns the receipts of the executed transactions, complete with their place in the chain,
// and the dropped transactions.
func (s *Store) Receipts(height uint64) ([]*types.Receipt, []ledger.Drop, error) {
	b, err := s.parts(height)
	if err != nil {
		return nil, nil, err
	}
	return b.receipts, b.drops, nil
}

// parts is a stored block whose transactions are not decoded.
type parts struct {
	header   *types.Header
	ordered  *ledger.Ordered
	hashes   []common.Hash // of the payload
	receipts []*types.Receipt
	drops    []ledger.Drop
}

func (s *Store) parts(height uint64) (*parts, error) {
	header, err := s.Header(height)
	if err != nil {
		return nil, err
	}
	b := &parts{header: header}
	if b.ordered, err = s.body(height); err != nil {
		return nil, err
	}
	if b.hashes, err = payloadHashes(b.ordered); err != nil {
		return nil, err
	}
	v, err := s.receipts(height)
	if err != nil {
		return nil, err
	}
	if b.receipts, b.drops, err = decodeReceipts(v, header, b.hashes); err != nil {
		return nil, corruptf(blocksName, "block %d: %w", height, err)
	}
	return b, nil
}

// receipts reads table 'R'.
func (s *Store) receipts(height uint64) ([]byte, error) {
	v, err := s.read(tableReceipts, height)
	if errors.Is(err, ErrNotFound) {
		return nil, corruptf(blocksName, "block %d has a header but no receipts", height)
	}
	return v, err
}

// payloadHashes returns the transactions that a block names. Block 0 has no payload.
func payloadHashes(o *ledger.Ordered) ([]common.Hash, error) {
	if len(o.Payload) == 0 {
		return nil, nil
	}
	p, err := ledger.DecodePayload(o.Payload)
	if err != nil {
		return nil, corruptf(blocksName, "block %d: %w", o.Height, err)
	}
	return p.TxHashes, nil
}

// executed returns the canonical bytes of the executed transactions, in order.
func (b *parts) executed() ([][]byte, error) {
	raws, err := ledger.DecodeData(b.ordered.Data)
	if err != nil {
		return nil, corruptf(blocksName, "block %d: %w", b.ordered.Height, err)
	}
	if len(raws) != len(b.hashes) {
		return nil, corruptf(blocksName, "block %d has %d transactions for %d hashes", b.ordered.Height, len(raws), len(b.hashes))
	}
	executed := executedOf(b.hashes, b.drops)
	out := make([][]byte, len(executed))
	for i, at := range executed {
		out[i] = raws[at]
	}
	return out, nil
}

// Block returns an executed block. It recovers the sender of every transaction (40 µs each).
func (s *Store) Block(height uint64) (*ledger.Block, error) {
	b, err := s.parts(height)
	if err != nil {
		return nil, err
	}
	raws, err := b.executed()
	if err != nil {
		return nil, err
	}
	txs := make([]*ledger.Transaction, len(raws))
	for i, raw := range raws {
		txs[i], err = ledger.DecodeTransaction(raw, s.opts.Genesis.ChainID, s.opts.Genesis.Limits())
		if err != nil {
			return nil, corruptf(blocksName, "transaction %d of block %d: %w", i, height, err)
		}
	}
	b.ordered.Finalization, err = s.Finalization(height)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	return &ledger.Block{
		Ordered: *b.ordered, Header: b.header, Transactions: txs, Receipts: b.receipts, Drops: b.drops,
	}, nil
}

// Finalization returns the encoded certificate that finalized a height itself, or [ErrNotFound].
func (s *Store) Finalization(height uint64) ([]byte, error) { return s.at(tableFinalization, height) }

// ExecCert returns the encoded ExecCert of a height, or [ErrNotFound].
func (s *Store) ExecCert(height uint64) ([]byte, error) { return s.at(tableExecCert, height) }

// PutExecCert stores an encoded ExecCert of a committed height. It is not synced: a certificate that
// a crash loses comes again from peers. One caller at a time.
func (s *Store) PutExecCert(height uint64, cert []byte) error {
	if tip, ok := s.Tip(); !ok || height > tip {
		return fmt.Errorf("storing the certificate of block %d: %w", height, ErrOrder)
	}
	var b leveldb.Batch
	b.Put(heightKey(tableExecCert, height), cert)
	if err := s.write(s.blocks, &b, false, fmt.Sprintf("storing the certificate of block %d", height)); err != nil {
		return err
	}
	if now, ok := s.ExecCertTip(); !ok || height > now {
		s.execTip.Store(&height)
	}
	return nil
}
