package store

import (
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
	HeaderLink       = headerLink
)

var (
	_ func([]byte) (*ledger.Ordered, error)                                               = DecodeBody
	_ func([]byte, *types.Header, []common.Hash) ([]*types.Receipt, []ledger.Drop, error) = DecodeReceipts
)
