package consensus

import (
	"bytes"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"
)

// Message is what validators send each other; the types below are all there
// are.
type Message interface{ tag() byte }

// Proposal is a leader's block with the certificates that justify it. The
// leader's own NOTARIZE is its signature.
type Proposal struct {
	Block      Block
	Justify    Justify
	LeaderVote Vote

	// frame keeps the encoding that this proposal was decoded from or first
	// encoded to, so that the log and the wire share one copy. Nothing may
	// change a proposal that has one.
	frame []byte
	hash  common.Hash
}

// Hash is the hash of the proposal's header.
func (p *Proposal) Hash() common.Hash { return p.hash }

// withBlock is the same proposal around a copy of its block whose data was
// judged, or is to be judged instead.
func (p *Proposal) withBlock(b *Block) *Proposal {
	if p == nil || bytes.Equal(p.Block.Data, b.Data) {
		return p
	}
	return &Proposal{Block: *b, Justify: p.Justify, LeaderVote: p.LeaderVote, hash: p.hash}
}

// Justify lets a receiver that missed certificates accept a proposal.
type Justify struct {
	// Parent notarizes the anchor; nil when that is the final tip.
	Parent *Cert `rlp:"nil"`
	// Nullifications cover the views between parent and proposal.
	Nullifications []*Cert
	// Finalization is the newest one that the leader knows; nil at genesis.
	Finalization *Cert `rlp:"nil"`
}

// Status tells a peer where the sender stands.
type Status struct {
	Epoch, View        uint64
	FinHeight, FinView uint64
	FinHash            common.Hash
	// ExecHeight is the highest block that the sender has executed and synced.
	ExecHeight uint64
	// Observer is set by who may not vote: a replica, or a validator that
	// lost its log. Observers do not count towards a quorum of statuses.
	Observer bool
}

// CertRequest asks for the certificates of views From to To, both included.
type CertRequest struct{ Epoch, From, To uint64 }

// CertResponse carries certificates, in any order.
type CertResponse struct{ Certs []*Cert }

// BlockRequest asks for one block by hash when Hash is set, otherwise for
// final blocks from height From on.
type BlockRequest struct {
	Hash        common.Hash
	From, Count uint64
}

// BlockResponse answers a request by hash with Proposals, and one by height
// with consecutive Blocks. Headers continue them up to the block that
// Finalization names when the last of Blocks is not final by itself.
type BlockResponse struct {
	Proposals    []*Proposal
	Blocks       []*Block
	Headers      []*Header
	Finalization *Cert `rlp:"nil"`
}

// Evidence is two votes of one validator that an honest one never signs both.
type Evidence struct{ A, B Vote }

// Frame tags; consensus owns the values below 0x40.
const (
	tagProposal byte = iota + 1
	tagVote
	tagCert
	tagStatus
	tagCertRequest
	tagCertResponse
	tagBlockRequest
	tagBlockResponse
	tagEvidence
)

// IsVote reports whether an encoded message, which need not be valid, is a vote or a proposal with its
// leader's vote.
func IsVote(frame []byte) bool {
	return len(frame) > 0 && (frame[0] == tagVote || frame[0] == tagProposal)
}

func (*Proposal) tag() byte      { return tagProposal }
func (*Vote) tag() byte          { return tagVote }
func (*Cert) tag() byte          { return tagCert }
func (*Status) tag() byte        { return tagStatus }
func (*CertRequest) tag() byte   { return tagCertRequest }
func (*CertResponse) tag() byte  { return tagCertResponse }
func (*BlockRequest) tag() byte  { return tagBlockRequest }
func (*BlockResponse) tag() byte { return tagBlockResponse }
func (*Evidence) tag() byte      { return tagEvidence }

// Caps on lists inside messages, checked after decoding; the frame's own cap
// bounds the bytes before.
const (
	maxNullifications = 256
	maxCertsPerAnswer = 64
	maxProposals      = 32
	// MaxBlocksPerRange is the most blocks that a [BlockResponse] has.
	MaxBlocksPerRange = 512
	// MaxHeadersPerRange is the most headers behind them: 160 bytes each, so that
	// all of them and 4 MiB of blocks fit a frame of the sync lane.
	MaxHeadersPerRange = 16384
)

// EncodeMessage returns tag(1) ‖ RLP(fields in order). The result of encoding
// a proposal is shared and must not be modified.
func EncodeMessage(m Message) []byte {
	if p, ok := m.(*Proposal); ok && p.frame != nil {
		return p.frame
	}
	var buf bytes.Buffer
	buf.WriteByte(m.tag())
	if err := rlp.Encode(&buf, m); err != nil {
		panic(fmt.Sprintf("consensus: %T does not encode: %v", m, err))
	}
	if p, ok := m.(*Proposal); ok {
		p.frame = buf.Bytes()
	}
	return buf.Bytes()
}

// DecodeMessage is the inverse of [EncodeMessage]. It owns the frame from then
// on. Errors wrap [ErrInvalid]. The caller caps the frame's length.
func DecodeMessage(frame []byte) (Message, error) {
	if len(frame) == 0 {
		return nil, invalidf("empty frame")
	}
	m := newMessage(frame[0])
	if m == nil {
		return nil, invalidf("unknown message tag %#x", frame[0])
	}
	if err := rlp.DecodeBytes(frame[1:], m); err != nil {
		return nil, invalid(fmt.Sprintf("%T", m), err)
	}
	switch m := m.(type) {
	case *Proposal:
		m.frame, m.hash = frame, m.Block.Header.Hash()
		return m, capJustify(m)
	case *CertResponse:
		if len(m.Certs) > maxCertsPerAnswer {
			return nil, invalidf("%d certificates in one answer", len(m.Certs))
		}
	case *BlockResponse:
		if len(m.Proposals) > maxProposals || len(m.Blocks) > MaxBlocksPerRange || len(m.Headers) > MaxHeadersPerRange {
			return nil, invalidf("answer with %d proposals, %d blocks, %d headers", len(m.Proposals), len(m.Blocks), len(m.Headers))
		}
		for _, p := range m.Proposals {
			p.hash = p.Block.Header.Hash()
			if err := capJustify(p); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func newMessage(tag byte) Message {
	switch tag {
	case tagProposal:
		return new(Proposal)
	case tagVote:
		return new(Vote)
	case tagCert:
		return new(Cert)
	case tagStatus:
		return new(Status)
	case tagCertRequest:
		return new(CertRequest)
	case tagCertResponse:
		return new(CertResponse)
	case tagBlockRequest:
		return new(BlockRequest)
	case tagBlockResponse:
		return new(BlockResponse)
	case tagEvidence:
		return new(Evidence)
	}
	return nil
}

func capJustify(p *Proposal) error {
	if len(p.Justify.Nullifications) > maxNullifications {
		return invalidf("proposal with %d nullifications", len(p.Justify.Nullifications))
	}
	return nil
}
