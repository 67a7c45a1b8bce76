package ledger

import (
	"bytes"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"
)

const (
	// maxPayloadBytes is the most that a payload or its data may have before anything of it is decoded;
	// the block limit of a genesis is never higher.
	maxPayloadBytes = maxMaxBlockBytes
	// MaxBlockTransactions bounds the transactions of a block, so that a small message cannot name so many
	// that bookkeeping for them outgrows the message by far.
	MaxBlockTransactions = 1 << 16
)

// Payload is what consensus orders: which transactions, and how far execution is certified.
type Payload struct {
	// Watermark is the highest certified height that the proposer builds on.
	Watermark uint64
	// Cert proves Watermark; nil when the watermark equals the parent's.
	Cert *ExecCert `rlp:"nilList"`
	// TxHashes are the transactions in their order.
	TxHashes []common.Hash
}

// EncodePayload is RLP[watermark, cert or the empty list, txHashes].
func EncodePayload(p *Payload) []byte { return mustEncode(p) }

// DecodePayload reverses [EncodePayload] and accepts nothing else; errors wrap [ErrInvalid]. The
// certificate's height must be the watermark; its signatures are not checked.
func DecodePayload(b []byte) (*Payload, error) {
	if len(b) > maxPayloadBytes {
		return nil, invalidf("payload of %d bytes, limit %d", len(b), maxPayloadBytes)
	}
	p := new(Payload)
	if err := decodeCanonical(b, p); err != nil {
		return nil, invalidf("payload: %w", err)
	}
	if len(p.TxHashes) > MaxBlockTransactions {
		return nil, invalidf("payload with %d transactions, limit %d", len(p.TxHashes), MaxBlockTransactions)
	}
	if p.Cert != nil {
		if err := p.Cert.wellFormed(); err != nil {
			return nil, err
		}
		if p.Cert.Height != p.Watermark {
			return nil, invalidf("payload with watermark %d and a certificate of height %d", p.Watermark, p.Cert.Height)
		}
	}
	return p, nil
}

// ValidateBlock is the stateless rule for the transactions of an ordered block; errors wrap [ErrInvalid]:
// txs are the ones that the payload names, none twice, their declared gas together is at most the block
// gas limit, and payload and transactions together at most the block size. payloadBytes is the length of
// the encoded payload.
func ValidateBlock(g *Genesis, p *Payload, payloadBytes int, txs []*Transaction) error {
	if len(txs) != len(p.TxHashes) {
		return invalidf("block with %d transactions for %d hashes", len(txs), len(p.TxHashes))
	}
	seen := make(map[common.Hash]struct{}, len(txs))
	size, gas := uint64(payloadBytes), uint64(0)
	for i, tx := range txs {
		hash := tx.Hash()
		if hash != p.TxHashes[i] {
			return invalidf("block whose transaction %d is %s and not %s", i, hash, p.TxHashes[i])
		}
		if _, dup := seen[hash]; dup {
			return invalidf("block with transaction %s twice", hash)
		}
		seen[hash] = struct{}{}
		size += uint64(tx.Size()) // at most 2^16 transactions of at most 1 MiB
		var carry uint64
		if gas, carry = bits.Add64(gas, tx.Gas(), 0); carry != 0 || gas > g.BlockGasLimit {
			return invalidf("block whose transactions declare more gas than %d", g.BlockGasLimit)
		}
	}
	if size > g.MaxBlockBytes {
		return invalidf("block of %d bytes, limit %d", size, g.MaxBlockBytes)
	}
	return nil
}

// EncodeData packs the bytes of transactions that travel beside a payload: RLP of a list of strings, and
// no bytes at all for none.
func EncodeData(txs [][]byte) []byte {
	if len(txs) == 0 {
		return nil
	}
	return mustEncode(txs)
}

// DecodeData reverses [EncodeData] and accepts nothing else; errors wrap [ErrInvalid]. The result shares
// memory with b.
func DecodeData(b []byte) ([][]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) > maxPayloadBytes {
		return nil, invalidf("block data of %d bytes, limit %d", len(b), maxPayloadBytes)
	}
	list, rest, err := rlp.SplitList(b)
	if err != nil {
		return nil, invalidf("block data: %w", err)
	}
	count, err := rlp.CountValues(list)
	switch {
	case err != nil:
		return nil, invalidf("block data: %w", err)
	case len(rest) != 0:
		return nil, invalidf("block data followed by %d bytes", len(rest))
	case count == 0:
		return nil, invalidf("block data with an empty list")
	case count > MaxBlockTransactions:
		return nil, invalidf("block data with %d transactions, limit %d", count, MaxBlockTransactions)
	}
	txs := make([][]byte, count)
	for i := range txs {
		txs[i], list, err = rlp.SplitString(list)
		if err != nil {
			return nil, invalidf("block data: transaction %d: %w", i, err)
		}
		if len(txs[i]) == 0 {
			return nil, invalidf("block data: transaction %d is empty", i)
		}
	}
	return txs, nil
}

// mustEncode is for values that always encode.
func mustEncode(v any) []byte {
	b, err := rlp.EncodeToBytes(v)
	if err != nil {
		panic("ledger: encoding: " + err.Error())
	}
	return b
}

// decodeCanonical decodes RLP and checks that encoding gives the same bytes again.
func decodeCanonical(b []byte, v any) error {
	if err := rlp.DecodeBytes(b, v); err != nil {
		return err
	}
	if !bytes.Equal(mustEncode(v), b) {
		return rlp.ErrCanonSize
	}
	return nil
}
