package ledger

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
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
		encoded, err := r.MarshalBinary()
		if err != nil {
			panic("ledger: a receipt does not encode: " + err.Error())
		}
		buf = append(append(buf[:0], leafPrefix), encoded...)
		leaves[i] = sha256.Sum256(buf)
	}
	return merkleRoot(leaves)
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
