package store

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/ledger"
)

// The encodings of the databases' values.
var (
	EncodeBody       = encodeBody
	DecodeBody       = decodeBody
	EncodeReceipts   = encodeReceipts
	DecodeReceipts   = decodeReceipts
	EncodeMarker     = encodeMarker
	DecodeMarker     = decodeMarker
	EncodeStateValue = encodeStateValue
	DecodeStateValue = decodeStateValue
	EncodePosition   = encodePosition
	DecodePosition   = decodePosition
	DecodeRun        = decodeRun
	EncodeRun        = encodeRun
	HeaderLink       = headerLink
)

var (
	_ func([]byte) (*ledger.Ordered, error)                                               = DecodeBody
	_ func([]byte, *types.Header, []common.Hash) ([]*types.Receipt, []ledger.Drop, error) = DecodeReceipts
)

// Posting decodes a posting into its offsets.
func Posting(b []byte) ([]uint16, error) {
	s, err := decodePosting(b)
	return slices.Collect(s.offsets), err
}

// EncodePosting encodes offsets.
func EncodePosting(offsets []uint16) []byte {
	var s section
	for _, o := range offsets {
		s.add(o)
	}
	return encodePosting(&s)
}

// ChooseLogs reads the logs out of stored receipts that a query chooses.
func ChooseLogs(stored []byte, q LogQuery) ([]*types.Log, error) {
	logs, _, err := chooseLogs(stored, &q)
	return logs, err
}
