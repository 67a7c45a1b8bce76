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
	raws := make([][]byte, len(txs))
	for i, tx := range txs {
		raws[i] = tx.raw
	}
	return RawTransactionsRoot(raws)
}

// RawTransactionsRoot is [TransactionsRoot] of the transactions' bytes.
func RawTransactionsRoot(raws [][]byte) common.Hash {
	leaves := make([][32]byte, len(raws))
	var buf []byte
	for i, raw := range raws {
		buf = append(append(buf[:0], leafPrefix), raw...)
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

// appendReceipt appends MarshalBinary of r. It is written by hand for the receipts of this chain, which have
// a status: that takes a quarter of the time.
func appendReceipt(dst []byte, r *types.Receipt) []byte {
	if len(r.PostState) > 0 {
		encoded, err := r.MarshalBinary()
		if err != nil {
			panic("ledger: a receipt does not encode: " + err.Error())
		}
		return append(dst, encoded...)
	}
	logs := 0
	for _, l := range r.Logs {
		logs += int(rlp.ListSize(uint64(logBytes(l))))
	}
	const bloomBytes = 3 + types.BloomByteLength // with its RLP prefix
	if r.Type != types.LegacyTxType {
		dst = append(dst, r.Type)
	}
	dst = appendListHeader(dst, 1+rlp.IntSize(r.CumulativeGasUsed)+bloomBytes+int(rlp.ListSize(uint64(logs))))
	if r.Status == types.ReceiptStatusFailed {
		dst = append(dst, 0x80)
	} else {
		dst = append(dst, 0x01)
	}
	dst = rlp.AppendUint64(dst, r.CumulativeGasUsed)
	dst = append(dst, 0xb9, types.BloomByteLength>>8, types.BloomByteLength&0xff)
	dst = append(dst, r.Bloom[:]...)
	dst = appendListHeader(dst, logs)
	for _, l := range r.Logs {
		dst = appendLog(dst, l)
	}
	return dst
}

// A topic and an address with their RLP prefixes.
const (
	topicBytes   = 1 + common.HashLength
	addressBytes = 1 + common.AddressLength
)

// logBytes is the size of the content of a log's list.
func logBytes(l *types.Log) int {
	return addressBytes + int(rlp.ListSize(uint64(topicBytes*len(l.Topics)))+rlp.BytesSize(l.Data))
}

func appendLog(dst []byte, l *types.Log) []byte {
	dst = appendListHeader(dst, logBytes(l))
	dst = append(append(dst, 0x80+common.AddressLength), l.Address[:]...)
	dst = appendListHeader(dst, topicBytes*len(l.Topics))
	for i := range l.Topics {
		dst = append(append(dst, 0x80+common.HashLength), l.Topics[i][:]...)
	}
	if len(l.Data) != 1 || l.Data[0] >= 0x80 { // a small byte is its own encoding
		dst = appendHeader(dst, 0x80, len(l.Data))
	}
	return append(dst, l.Data...)
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
