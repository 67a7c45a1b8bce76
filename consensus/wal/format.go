package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/ethereum/go-ethereum/common"
)

const (
	formatVersion = 1
	headerSize    = 8 + 4 + 8 + 8 + 8 + 32 + 4
	// groupAlign keeps the beginning of a group (length, checksum, type)
	// within one sector, so that no single bit is all that a sector holds
	// of it.
	groupAlign       = 16
	firstGroupOffset = (headerSize + groupAlign - 1) / groupAlign * groupAlign
	// sectorBytes is what a disk writes whole or not at all.
	sectorBytes = 512

	prefixSize  = 8         // len, crc
	bodyFixed   = 1 + 8 + 8 // type, epoch, view
	recordFixed = prefixSize + bodyFixed
	markerType  = 0xC0
	markerSize  = recordFixed + 4
	// markerEnd has at least two set bits in each byte: no flipped bit
	// makes the last byte of a group look unwritten.
	markerEnd = "\xD7\x1E\xA5\xE3"
	magic     = "tercetwl"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errHeader = errors.New("segment header does not verify")
	errRecord = errors.New("record does not verify")
)

// header begins every segment.
type header struct {
	segment    uint64
	firstGroup uint64 // number of the segment's first group
	salt       uint64
	network    common.Hash
}

func (h *header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, h.segment)
	b = binary.BigEndian.AppendUint64(b, h.firstGroup)
	b = binary.BigEndian.AppendUint64(b, h.salt)
	b = append(b, h.network[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHeader reads headerSize bytes. A header that verifies but has another
// version is [ErrVersion].
func decodeHeader(b []byte) (header, error) {
	body, sum := b[:headerSize-4], b[headerSize-4:headerSize]
	if string(b[:8]) != magic || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return header{}, errHeader
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != formatVersion {
		return header{}, fmt.Errorf("%w: %d, this program writes %d", ErrVersion, v, formatVersion)
	}
	return header{
		segment:    binary.BigEndian.Uint64(b[12:]),
		firstGroup: binary.BigEndian.Uint64(b[20:]),
		salt:       binary.BigEndian.Uint64(b[28:]),
		network:    common.Hash(b[36:68]),
	}, nil
}

// seed begins the checksum of every record of a segment.
func seed(salt, number uint64) uint32 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], salt)
	binary.BigEndian.PutUint64(b[8:], number)
	return crc32.Checksum(b[:], castagnoli)
}

// appendRecord leaves the checksum zero, see [sumRecord].
func appendRecord(b []byte, typ uint8, epoch, view uint64, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(bodyFixed+len(data)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, typ)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = binary.BigEndian.AppendUint64(b, view)
	return append(b, data...)
}

// sumRecord sets the checksum of the record that b begins with and returns its
// length.
func sumRecord(b []byte, seed uint32) int {
	n := prefixSize + int(binary.BigEndian.Uint32(b))
	binary.BigEndian.PutUint32(b[4:], checksum(seed, b[:4], b[prefixSize:n]))
	return n
}

func checksum(seed uint32, length, body []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, length), castagnoli, body)
}

// bodyLength reads the length of a record before anything is allocated for it.
func bodyLength(prefix []byte) (int, error) {
	n := binary.BigEndian.Uint32(prefix)
	if n < bodyFixed || n > MaxRecordBytes {
		return 0, errRecord
	}
	return int(n), nil
}

// marker ends a group.
type marker struct {
	group uint64
	bytes uint32 // of the group's records
	blank uint32 // sectors that the records fill with zeros
}

func (m *marker) append(b []byte, seed uint32) []byte {
	at := len(b)
	b = appendRecord(b, markerType, m.group, uint64(m.bytes)<<32|uint64(m.blank), []byte(markerEnd))
	sumRecord(b[at:], seed)
	return b
}

// decodeMarker reports whether b begins with a marker that verifies.
func decodeMarker(b []byte, seed uint32) (marker, bool) {
	if len(b) < markerSize || b[prefixSize] != markerType || string(b[recordFixed:markerSize]) != markerEnd {
		return marker{}, false
	}
	if binary.BigEndian.Uint32(b) != markerSize-prefixSize ||
		binary.BigEndian.Uint32(b[4:]) != checksum(seed, b[:4], b[prefixSize:markerSize]) {
		return marker{}, false
	}
	return decodeMarkerBody(b[prefixSize:markerSize]), true
}

func decodeMarkerBody(body []byte) marker {
	v := binary.BigEndian.Uint64(body[9:])
	return marker{group: binary.BigEndian.Uint64(body[1:]), bytes: uint32(v >> 32), blank: uint32(v)}
}

// blankSectors counts the sectors of which b, at offset in its file, fills its
// part with zeros only.
func blankSectors(offset int64, b []byte) uint32 {
	var count uint32
	for len(b) > 0 {
		n := min(int64(len(b)), sectorBytes-offset%sectorBytes)
		if isZero(b[:n]) {
			count++
		}
		b, offset = b[n:], offset+n
	}
	return count
}

func isZero(b []byte) bool {
	var zeros [sectorBytes]byte
	for len(b) > sectorBytes {
		if !bytes.Equal(b[:sectorBytes], zeros[:]) {
			return false
		}
		b = b[sectorBytes:]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

func align(offset int64) int64 {
	return (offset + groupAlign - 1) / groupAlign * groupAlign
}
