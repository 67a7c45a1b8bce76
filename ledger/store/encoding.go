package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/ledger"
)

// storedBody is what table 'B' holds: an ordered block without its finalization.
type storedBody struct {
	Hash                        common.Hash
	Epoch, View, Height, TimeMs uint64
	Proposer                    common.Address
	Payload, Data, Header       []byte
}

func encodeBody(o *ledger.Ordered) []byte {
	return mustEncode(&storedBody{
		Hash: o.Hash, Epoch: o.Epoch, View: o.View, Height: o.Height, TimeMs: o.TimeMs,
		Proposer: o.Proposer, Payload: o.Payload, Data: o.Data, Header: o.Header,
	})
}

func decodeBody(b []byte) (*ledger.Ordered, error) {
	var s storedBody
	if err := rlp.DecodeBytes(b, &s); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return &ledger.Ordered{
		Hash: s.Hash, Epoch: s.Epoch, View: s.View, Height: s.Height, TimeMs: s.TimeMs,
		Proposer: s.Proposer, Payload: s.Payload, Data: s.Data, Header: s.Header,
	}, nil
}

// storedReceipts is what table 'R' holds; everything that the block tells is left out.
type storedReceipts struct {
	Receipts []storedReceipt
	Drops    []storedDrop
}

type storedReceipt struct {
	Type    uint8
	Status  uint64
	GasUsed uint64
	Created []byte // contract address, empty for none
	Logs    []storedLog
}

// storedReceiptFields is how many fields a storedReceipt has, the last of which is Logs.
const storedReceiptFields = 5

type storedLog struct {
	Address common.Address
	Topics  []common.Hash
	Data    []byte
}

type storedDrop struct {
	Index  uint32
	Hash   common.Hash
	Reason uint8
}

func encodeReceipts(receipts []*types.Receipt, drops []ledger.Drop) []byte {
	s := storedReceipts{Receipts: make([]storedReceipt, len(receipts)), Drops: make([]storedDrop, len(drops))}
	for i, r := range receipts {
		s.Receipts[i] = storedReceipt{Type: r.Type, Status: r.Status, GasUsed: r.GasUsed}
		if r.ContractAddress != (common.Address{}) {
			s.Receipts[i].Created = r.ContractAddress[:]
		}
		for _, l := range r.Logs {
			s.Receipts[i].Logs = append(s.Receipts[i].Logs, storedLog{l.Address, l.Topics, l.Data})
		}
	}
	for i, d := range drops {
		s.Drops[i] = storedDrop{d.Index, d.Hash, uint8(d.Reason)}
	}
	return mustEncode(&s)
}

// decodeReceipts restores the receipts of a block whose ordered transactions are hashes.
func decodeReceipts(b []byte, header *types.Header, hashes []common.Hash) ([]*types.Receipt, []ledger.Drop, error) {
	var s storedReceipts
	if err := rlp.DecodeBytes(b, &s); err != nil {
		return nil, nil, fmt.Errorf("receipts: %w", err)
	}
	drops, err := restoreDrops(s.Drops, hashes)
	if err != nil {
		return nil, nil, err
	}
	executed := executedOf(hashes, drops)
	if len(executed) != len(s.Receipts) {
		return nil, nil, fmt.Errorf("%d receipts for %d executed transactions", len(s.Receipts), len(executed))
	}
	gas := uint64(0)
	receipts := make([]*types.Receipt, len(s.Receipts))
	for i := range s.Receipts {
		if receipts[i], err = s.Receipts[i].restore(); err != nil {
			return nil, nil, fmt.Errorf("receipt %d: %w", i, err)
		}
		gas += receipts[i].GasUsed
		receipts[i].CumulativeGasUsed = gas
		receipts[i].TxHash = hashes[executed[i]]
	}
	ledger.PlaceReceipts(header, receipts)
	return receipts, drops, nil
}

// restore makes a receipt of what is stored, all but its place in the block.
func (s *storedReceipt) restore() (*types.Receipt, error) {
	created := common.BytesToAddress(s.Created)
	if n := len(s.Created); n != 0 && (n != common.AddressLength || created == common.Address{}) {
		return nil, fmt.Errorf("contract at %x", s.Created)
	}
	if s.Status > types.ReceiptStatusSuccessful {
		return nil, fmt.Errorf("status %d", s.Status)
	}
	r := &types.Receipt{
		Type: s.Type, Status: s.Status, GasUsed: s.GasUsed, ContractAddress: created,
		EffectiveGasPrice: new(big.Int), Logs: make([]*types.Log, len(s.Logs)),
	}
	for i, l := range s.Logs {
		if len(l.Topics) > maxTopics {
			return nil, fmt.Errorf("log %d with %d topics", i, len(l.Topics))
		}
		r.Logs[i] = &types.Log{Address: l.Address, Topics: l.Topics, Data: l.Data}
	}
	if len(r.Logs) > 0 {
		r.Bloom = types.CreateBloom(r)
	}
	return r, nil
}

// restoreDrops holds drops against the ordered transactions: they are in their order, and each is one of them.
func restoreDrops(stored []storedDrop, hashes []common.Hash) ([]ledger.Drop, error) {
	drops := make([]ledger.Drop, len(stored))
	for i, d := range stored {
		drops[i] = ledger.Drop{Index: d.Index, Hash: d.Hash, Reason: ledger.DropReason(d.Reason)}
		switch {
		case i > 0 && d.Index <= stored[i-1].Index, int64(d.Index) >= int64(len(hashes)), hashes[d.Index] != d.Hash:
			return nil, fmt.Errorf("drop %d of transaction %d, %s, which is not there", i, d.Index, d.Hash)
		case !drops[i].Reason.Valid():
			return nil, fmt.Errorf("drop %d for the unknown reason %d", i, d.Reason)
		}
	}
	return drops, nil
}

// executedOf returns the payload indexes of the transactions that were not dropped.
func executedOf[T any](payload []T, drops []ledger.Drop) []int {
	out := make([]int, 0, len(payload))
	for i := range payload {
		if len(drops) > 0 && int(drops[0].Index) == i {
			drops = drops[1:]
			continue
		}
		out = append(out, i)
	}
	return out
}

// Marker says up to where state.ldb holds the state.
type Marker struct {
	// FirstHeight and LastHeight are the blocks that the flush covers.
	FirstHeight, LastHeight uint64
	// HeaderHash and StateRoot are those of the block at LastHeight.
	HeaderHash, StateRoot common.Hash
}

const markerBytes = 8 + 8 + 4*32

// encodeMarker is firstHeight ‖ lastHeight ‖ headerHash ‖ stateRoot ‖ prevMarkerHash ‖ sha256(batch).
func encodeMarker(m *Marker, prev, batch [32]byte) []byte {
	b := make([]byte, 0, markerBytes)
	b = binary.BigEndian.AppendUint64(b, m.FirstHeight)
	b = binary.BigEndian.AppendUint64(b, m.LastHeight)
	b = append(append(b, m.HeaderHash[:]...), m.StateRoot[:]...)
	return append(append(b, prev[:]...), batch[:]...)
}

func decodeMarker(b []byte) (m Marker, prev [32]byte, err error) {
	if len(b) != markerBytes {
		return m, prev, fmt.Errorf("marker of %d bytes", len(b))
	}
	m.FirstHeight, m.LastHeight = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	m.HeaderHash, m.StateRoot = common.Hash(b[16:48]), common.Hash(b[48:80])
	return m, [32]byte(b[80:112]), nil
}

func markerHash(encoded []byte) [32]byte { return sha256.Sum256(encoded) }

func encodeStateValue(key, value []byte) []byte {
	b := make([]byte, 0, binary.MaxVarintLen16+len(key)+len(value))
	b = binary.AppendUvarint(b, uint64(len(key)))
	return append(append(b, key...), value...)
}

func decodeStateValue(b []byte) (key, value []byte, err error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) || w > 1 && n < 1<<(7*(w-1)) { // the last: not its shortest form
		return nil, nil, fmt.Errorf("state value of %d bytes with a key of %d", len(b), n)
	}
	return b[w : w+int(n)], b[w+int(n):], nil
}

// Position is where a transaction was ordered.
type Position struct {
	Height uint64
	// Index is the place among the executed transactions of the block; without meaning for a drop.
	Index uint32
	// PayloadIndex is the place in the ordered payload.
	PayloadIndex uint32
	// Dropped is why it was not executed, 0 when it was.
	Dropped ledger.DropReason
}

const positionBytes = 8 + 4 + 4 + 1

func encodePosition(p *Position) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, positionBytes), p.Height)
	b = binary.BigEndian.AppendUint32(b, p.Index)
	return append(binary.BigEndian.AppendUint32(b, p.PayloadIndex), byte(p.Dropped))
}

func decodePosition(b []byte) (p Position, err error) {
	if len(b) != positionBytes {
		return p, fmt.Errorf("position of %d bytes", len(b))
	}
	p = Position{
		Height: binary.BigEndian.Uint64(b), Index: binary.BigEndian.Uint32(b[8:]),
		PayloadIndex: binary.BigEndian.Uint32(b[12:]), Dropped: ledger.DropReason(b[16]),
	}
	if p.Dropped != 0 && !p.Dropped.Valid() {
		return Position{}, fmt.Errorf("position dropped for the unknown reason %d", p.Dropped)
	}
	return p, nil
}

// encodeRun is first ‖ last, big-endian.
func encodeRun(r run) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.first), r.last)
}

func decodeRun(b []byte) (run, error) {
	if len(b) != 16 {
		return run{}, fmt.Errorf("run of %d bytes", len(b))
	}
	r := run{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	if r.first > r.last {
		return run{}, fmt.Errorf("run of blocks %d to %d", r.first, r.last)
	}
	return r, nil
}

func mustEncode(v any) []byte {
	b, err := rlp.EncodeToBytes(v)
	if err != nil {
		panic("store: own types encode: " + err.Error())
	}
	return b
}
