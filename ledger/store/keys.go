package store

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
)

// Tables of blocks.ldb; each key is the table and the height, in the last one a sequence number, in eight
// big-endian bytes.
const (
	tableHeader       = 'H' // RLP of the executed header
	tableBody         = 'B' // the ordered block
	tableReceipts     = 'R' // receipts and drops
	tableFinalization = 'F'
	tableExecCert     = 'E'
	tableEvidence     = 'V' // be64 of when it was first seen ‖ the proof
)

// Tables of state.ldb.
const (
	tableState  = 'S' // path → uvarint length of the raw key ‖ raw key ‖ value
	tableCode   = 'K' // hash → code
	tableMarker = 'C' // be64 sequence → marker
)

// Tables of index.ldb.
const (
	tableTx   = 't' // first 12 bytes of a transaction hash → position
	tableHash = 'h' // first 12 bytes of a header hash → height
	tableLog  = 'L' // posting key → blocks of a section
	tableRun  = 'C' // be64 sequence → run of blocks that a batch indexed
)

// tableMeta holds the named values of each database.
const tableMeta = 'M'

// Names under tableMeta.
const (
	metaSchema   = "schema"
	metaChain    = "chain"
	metaProgress = "progress" // of index.ldb
)

// hashPrefixBytes of a hash are kept in index.ldb: 96 bits do not collide by chance, and a reader
// checks the whole hash against the block.
const hashPrefixBytes = 12

func heightKey(table byte, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, height)
}

// parseHeight returns the number in a heightKey, markerKey, runKey or evidenceKey.
func parseHeight(key []byte) (uint64, bool) {
	if len(key) != 9 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

func stateKey(path *[32]byte) []byte { return append([]byte{tableState}, path[:]...) }

func codeKey(hash common.Hash) []byte { return append([]byte{tableCode}, hash[:]...) }

func markerKey(seq uint64) []byte { return heightKey(tableMarker, seq) }

func evidenceKey(seq uint64) []byte { return heightKey(tableEvidence, seq) }

func txKey(hash common.Hash) []byte { return append([]byte{tableTx}, hash[:hashPrefixBytes]...) }

func hashKey(hash common.Hash) []byte { return append([]byte{tableHash}, hash[:hashPrefixBytes]...) }

// logPrefixBytes of a value's hash name it in a posting's key: a query finds blocks of other values of the same
// prefix too, and its caller looks at the logs.
const logPrefixBytes = 8

// postingKey is 'L' ‖ kind ‖ first bytes of SHA-256(value) ‖ be32 of height / 4,096, so that the sections of a
// value follow each other.
type postingKey [1 + 1 + logPrefixBytes + 4]byte

func makePostingKey(kind byte, value []byte, at uint64) postingKey {
	k := postingKey{tableLog, kind}
	hash := sha256.Sum256(value)
	copy(k[2:], hash[:logPrefixBytes])
	binary.BigEndian.PutUint32(k[2+logPrefixBytes:], uint32(at)) // heights below 2^44: ages of blocks
	return k
}

func runKey(seq uint64) []byte { return heightKey(tableRun, seq) }

func metaKey(name string) []byte { return append([]byte{tableMeta}, name...) }

// tableRange returns the first key of a table and the first key after it.
func tableRange(table byte) (start, limit []byte) { return []byte{table}, []byte{table + 1} }
