package state

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/ledger"
)

// Trust is what somebody must know of a chain to believe proofs of its state, and nothing that a node tells.
type Trust struct {
	ChainID     uint64
	GenesisHash common.Hash
	// Validators, sorted by address, of whom Quorum must have signed.
	Validators []common.Address
	Quorum     int
}

// Document leads from the validators to values: they signed the header of a block, the header has the root of
// the state, and the proofs open it. Whoever handed it over need not be trusted.
type Document struct {
	// Header is the RLP of the block's header.
	Header []byte
	// Certificate of the same block, empty for the genesis, which is known.
	Certificate []byte
	Proofs      []*Proof
}

// Proven is what a document proves; only [Document.Verify] makes one.
type Proven struct {
	header  *types.Header
	signers []int
	values  map[string][]byte
}

// Header is of the block after which the values hold.
func (p *Proven) Header() *types.Header { return p.header }

// Signers are the validators who signed its result, by index; none for the genesis.
func (p *Proven) Signers() []int { return p.signers }

// Value is what was under a raw key, empty if nothing was; ok is false if the document says nothing about it.
func (p *Proven) Value(key []byte) (value []byte, ok bool) {
	value, ok = p.values[string(key)]
	return value, ok
}

// Verify checks the whole way from the validators to the values. Errors wrap [ErrProof] or [ledger.ErrInvalid].
// It is a pure function; trust.Quorum below 1 panics.
func (d *Document) Verify(trust *Trust) (*Proven, error) {
	out := &Proven{header: new(types.Header), values: make(map[string][]byte, len(d.Proofs))}
	if err := rlp.DecodeBytes(d.Header, out.header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrProof, err)
	}
	if out.header.Number == nil || !out.header.Number.IsUint64() {
		return nil, fmt.Errorf("%w: header of height %s", ErrProof, out.header.Number)
	}
	var err error
	if out.signers, err = d.signed(out.header, trust); err != nil {
		return nil, err
	}
	for i, p := range d.Proofs {
		if p.Height != out.header.Number.Uint64() {
			return nil, fmt.Errorf("%w: number %d is of block %d, the header of %s", ErrProof, i, p.Height, out.header.Number)
		}
		if _, twice := out.values[string(p.Key)]; twice {
			return nil, fmt.Errorf("%w: two of key %x", ErrProof, p.Key)
		}
		value := p.Value()
		if err := p.Verify(out.header.Root, p.Key, value); err != nil {
			return nil, fmt.Errorf("key %x: %w", p.Key, err)
		}
		out.values[string(p.Key)] = value
	}
	return out, nil
}

// signed checks that the header is the genesis' or that a quorum signed it.
func (d *Document) signed(header *types.Header, trust *Trust) ([]int, error) {
	hash := header.Hash()
	if header.Number.Sign() == 0 {
		if hash != trust.GenesisHash || len(d.Certificate) != 0 {
			return nil, fmt.Errorf("%w: block 0 is %s here and %s on the chain", ErrProof, hash, trust.GenesisHash)
		}
		return nil, nil
	}
	cert, err := ledger.DecodeExecCert(d.Certificate)
	if err != nil {
		return nil, err
	}
	if cert.HeaderHash != hash || cert.Height != header.Number.Uint64() || cert.StateRoot != header.Root {
		return nil, fmt.Errorf("%w: the certificate is of block %d, %s, the header is %s, %s", ErrProof, cert.Height, cert.HeaderHash, header.Number, hash)
	}
	if err := cert.Verify(trust.ChainID, trust.GenesisHash, trust.Validators, trust.Quorum); err != nil {
		return nil, err
	}
	return cert.Signers(), nil
}
