package ledger

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// TransactionsRoot is the RFC 6962 Merkle root of the transactions' canonical bytes: leaves
// SHA-256(0x00 ‖ bytes), inner nodes SHA-256(0x01 ‖ left ‖ right). For none it is the root of Ethereum's
// empty trie, which clients check.
func TransactionsRoot(txs []*Transaction) common.Hash {
	leaves := make([][32]byte, len(txs))
	var buf []byte
	for i, tx := range txs {
		buf = append(append(buf[:0], leafPrefix), tx.raw...)
		leaves[i] = sha256.Sum256(buf)
	}
	return merkleRoot(leaves)
}

// ReceiptsRoot is the root of the receipts' consensus encodings (MarshalBinary), made like
// [TransactionsRoot].
func ReceiptsRoot(receipts []*types.Receipt) common.Hash {
	leaves := make([][32]byte, len(receipts))
	var buf []byte
	for i, r := range receipts {
		buf = appendReceipt(append(buf[:0], leafPrefix), r)
		leaves[i] = sha256.Sum256(buf)
	}
	return merkleRoot(leaves)
}

// appendReceipt appends MarshalBinary of r. The receipt of a transfer, status, gas, bloom and no logs, is
// written by hand: that takes a quarter of the time.
func appendReceipt(dst []byte, r *types.Receipt) []byte {
	if len(r.Logs) > 0 || len(r.PostState) > 0 {
		encoded, err := r.MarshalBinary()
		if err != nil {
			panic("ledger: a receipt does not encode: " + err.Error())
		}
		return append(dst, encoded...)
	}
	const bloomBytes = 3 + types.BloomByteLength // with its RLP prefix
	if r.Type != types.LegacyTxType {
		dst = append(dst, r.Type)
	}
	size := 1 + rlp.IntSize(r.CumulativeGasUsed) + bloomBytes + 1 // 262 to 270
	dst = append(dst, 0xf9, byte(size>>8), byte(size))
	if r.Status == types.ReceiptStatusFailed {
		dst = append(dst, 0x80)
	} else {
		dst = append(dst, 0x01)
	}
	dst = rlp.AppendUint64(dst, r.CumulativeGasUsed)
	dst = append(dst, 0xb9, types.BloomByteLength>>8, types.BloomByteLength&0xff)
	dst = append(dst, r.Bloom[:]...)
	return append(dst, 0xc0)
}

const (
	leafPrefix  = 0x00
	innerPrefix = 0x01
)

// merkleRoot folds the leaves in place, level by level. An odd last node moves up unchanged, which is the
// tree of RFC 6962 §2.1: each left subtree has the largest power of two of leaves that leaves some over.
func merkleRoot(nodes [][32]byte) common.Hash {
	if len(nodes) == 0 {
		return types.EmptyRootHash
	}
	var buf [65]byte
	buf[0] = innerPrefix
	for len(nodes) > 1 {
		for i := 0; i+1 < len(nodes); i += 2 {
			copy(buf[1:], nodes[i][:])
			copy(buf[33:], nodes[i+1][:])
			nodes[i/2] = sha256.Sum256(buf[:])
		}
		if len(nodes)%2 == 1 {
			nodes[len(nodes)/2] = nodes[len(nodes)-1]
		}
		nodes = nodes[:(len(nodes)+1)/2]
	}
	return nodes[0]
}
