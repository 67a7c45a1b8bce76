package p2p

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/rlp"
)

// A Handshake opens a stream in both directions. Its format outlives versions:
// a version may append fields, which others skip, but never change these three.
type Handshake struct {
	Network  string // lower-case letters and digits: hex of the first 8 bytes of the genesis hash
	Version  uint64 // see [Version]
	Software string // name and release, for the log of the other side; printable ASCII

	// Instance is a random number of the sender's process: who sees one return after another has seen two
	// processes with the same key. 0 when unknown.
	Instance uint64 `rlp:"optional"`
	// Other is, in an answer, the latest different instance that used the receiver's id towards the sender,
	// OtherAgo ms ago; 0 when there was none.
	Other    uint64 `rlp:"optional"`
	OtherAgo uint64 `rlp:"optional"`

	Later []rlp.RawValue `rlp:"tail"` // fields of later versions
}

const (
	maxHandshake = 1 << 10 // bytes; three short fields and room for later ones
	maxNetwork   = 64      // bytes; a whole genesis hash in hex
	maxSoftware  = 128     // bytes
)

var (
	// ErrNetwork means that a peer of the roster runs another network.
	ErrNetwork = errors.New("p2p: wrong network")
	// ErrVersion means that a peer of this network speaks another version.
	ErrVersion = errors.New("p2p: wrong protocol version")
)

// Check returns nil if ours and h may talk, or an error that wraps [ErrNetwork]
// or [ErrVersion] and names both sides.
func (h Handshake) Check(ours Handshake) error {
	if h.Network != ours.Network {
		return fmt.Errorf("%w: peer has %s (%s), we have %s", ErrNetwork, h.Network, h.Software, ours.Network)
	}
	if h.Version != ours.Version {
		return fmt.Errorf("%w: peer speaks %d (%s), we speak %d", ErrVersion, h.Version, h.Software, ours.Version)
	}
	return nil
}

// Validate returns an error that wraps [ErrInvalid] if a field is malformed.
func (h Handshake) Validate() error {
	if len(h.Network) == 0 || len(h.Network) > maxNetwork {
		return fmt.Errorf("%w: network name of %d bytes", ErrInvalid, len(h.Network))
	}
	for _, c := range []byte(h.Network) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return fmt.Errorf("%w: network name %q", ErrInvalid, h.Network)
		}
	}
	if len(h.Software) > maxSoftware {
		return fmt.Errorf("%w: software name of %d bytes", ErrInvalid, len(h.Software))
	}
	for _, c := range []byte(h.Software) {
		if c < ' ' || c > '~' {
			return fmt.Errorf("%w: software name %q", ErrInvalid, h.Software)
		}
	}
	return nil
}

// EncodeHandshake returns h as RLP behind its length in two bytes. It panics if
// h is not valid: our own handshake is checked when the host is configured.
func EncodeHandshake(h Handshake) []byte {
	if err := h.Validate(); err != nil {
		panic("p2p: encoding a handshake that does not validate: " + err.Error())
	}
	body, err := rlp.EncodeToBytes(&h)
	if err != nil {
		panic("p2p: a handshake of strings and numbers does not encode: " + err.Error())
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...)
}

// ReadHandshake reads what [EncodeHandshake] wrote, and no byte more. Errors wrap
// [ErrInvalid] unless they are the reader's.
func ReadHandshake(r io.Reader) (Handshake, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return Handshake{}, fmt.Errorf("reading the handshake: %w", err)
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxHandshake {
		return Handshake{}, fmt.Errorf("%w: handshake of %d bytes", ErrInvalid, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return Handshake{}, fmt.Errorf("reading the handshake: %w", err)
	}
	var h Handshake
	if err := rlp.DecodeBytes(body, &h); err != nil {
		return Handshake{}, fmt.Errorf("%w: handshake: %v", ErrInvalid, err) //nolint:errorlint // the cause is text for the log
	}
	return h, h.Validate()
}
