package node_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/p2p"
)

// A frame that its lane does not take is dropped without a trace: the largest block of the largest
// genesis must fit, or a chain of full blocks stops for ever.
func TestFrames_largestProposal(t *testing.T) {
	g := ledger.DefaultGenesis(1, []ledger.Validator{{Address: common.Address{1}}}, nil, 0)
	for g.MaxBlockBytes = 1 << 20; g.Validate() == nil; g.MaxBlockBytes += 64 << 10 { // the limit is the ledger's own
	}
	g.MaxBlockBytes -= 64 << 10
	signers := 683 // the quorum of 1,024
	cert := &consensus.Cert{Kind: consensus.Notarize, Bitmap: make([]byte, 128), Sigs: make([]byte, 65*signers)}
	payload := make([]byte, 1<<20)
	p := &consensus.Proposal{
		Block: consensus.Block{
			Header:  consensus.Header{PayloadHash: crypto.Keccak256Hash(payload)},
			Payload: payload, Data: make([]byte, int(g.MaxBlockBytes)-len(payload)),
		},
		Justify: consensus.Justify{Parent: cert, Finalization: cert},
	}
	for size := 0; size < 512<<10; size += len(cert.Sigs) { // the most that a leader puts in
		p.Justify.Nullifications = append(p.Justify.Nullifications, cert)
	}
	frame := consensus.EncodeMessage(p)
	if most := p2p.LaneProposal.MaxFrame(); most > wal.MaxRecordBytes-32 {
		t.Errorf("a proposal of %d bytes may arrive, and its vote's record may have %d: a failed append ends the node", most, wal.MaxRecordBytes)
	}
	if err := p2p.CheckFrame(p2p.LaneProposal, frame); err != nil {
		t.Errorf("a proposal of %d bytes with a block of %d: %v", len(frame), g.MaxBlockBytes, err)
	}
}
