package consensus

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// HeaderVersion is the version of the header format that this code writes and
// accepts.
const HeaderVersion = 1

// FlagSeal marks a block that ends its epoch and names the next committee.
const FlagSeal = 1

// Header is what the validators sign: its hash is the block's identity.
type Header struct {
	Version    uint64
	Epoch      uint64
	View       uint64
	Height     uint64
	ParentHash common.Hash
	ParentView uint64
	Proposer   common.Address
	// TimeMs is Unix milliseconds, strictly above the parent's.
	TimeMs uint64
	// PayloadHash is keccak256 of the block's payload.
	PayloadHash common.Hash
	// Flags is zero or [FlagSeal].
	Flags uint64
	// CommitteeHash names the committee that signs the next block.
	CommitteeHash common.Hash
}

// Hash is keccak256 of the header's RLP, fields in the order above.
func (h *Header) Hash() common.Hash { return crypto.Keccak256Hash(h.Encode()) }

// Encode returns the header's canonical RLP.
func (h *Header) Encode() []byte {
	b, err := rlp.EncodeToBytes(h)
	if err != nil {
		panic("consensus: a header of fixed fields does not encode: " + err.Error())
	}
	return b
}

// DecodeHeader is the inverse of [Header.Encode]; it refuses trailing bytes
// and non-canonical forms.
func DecodeHeader(b []byte) (*Header, error) {
	h := new(Header)
	if err := rlp.DecodeBytes(b, h); err != nil {
		return nil, invalid("header", err)
	}
	return h, nil
}

// Block is a header with what it orders.
type Block struct {
	Header Header
	// Payload is opaque here and committed to by Header.PayloadHash.
	Payload []byte
	// Data travels beside the payload (the transactions' bytes). Nothing in
	// the header commits to it directly: the application checks it against
	// the payload and answers [Missing] when it does not fit.
	Data []byte
}

// Tip is the newest final block that a node starts from, or has made durable.
type Tip struct {
	Epoch  uint64
	View   uint64
	Height uint64
	Hash   common.Hash
	TimeMs uint64
	// Finalization proves the tip; nil at genesis only.
	Finalization *Cert
}

// GenesisTip is the tip of a chain without blocks: view 0, height 0. The hash
// is the network's genesis hash.
func GenesisTip(genesis common.Hash, timeMs uint64) Tip {
	return Tip{Hash: genesis, TimeMs: timeMs}
}
