package consensus

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// Kind says what a vote or a certificate is about.
type Kind uint8

// The three kinds; the zero Kind is invalid.
const (
	// Notarize supports a block as the one of its view.
	Notarize Kind = 1
	// Nullify gives up a view and the rest of its term.
	Nullify Kind = 2
	// Finalize asks to commit a notarized block.
	Finalize Kind = 3
)

func (k Kind) String() string {
	switch k {
	case Notarize:
		return "NOTARIZE"
	case Nullify:
		return "NULLIFY"
	case Finalize:
		return "FINALIZE"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Signature is r(32) ‖ s(32) ‖ v(1): recoverable secp256k1, v in {0,1}, s in
// the lower half, so that every signature has exactly one form.
type Signature [65]byte

// Scheme recovers signers. Implementations: consensus/sig.Secp256k1 (and its
// cache) and the simulator's keyed hash. It must be safe for concurrent use.
type Scheme interface {
	// Recover returns who signed the digest, or an error for a signature
	// that is not in the one valid form.
	Recover(digest common.Hash, s *Signature) (common.Address, error)
}

// Signer signs for one validator, deterministically. Implementations:
// consensus/sig.Key and the simulator's keyed hash.
type Signer interface {
	Address() common.Address
	Sign(digest common.Hash) Signature
}

// Vote is one validator's signed statement about one view.
type Vote struct {
	Kind  Kind
	Epoch uint64
	View  uint64
	// Hash of the block; zero in a NULLIFY.
	Hash common.Hash
	// Signer is the validator's index in the committee.
	Signer uint16
	Sig    Signature
}

// Cert is the proof that a quorum cast one vote.
type Cert struct {
	Kind  Kind
	Epoch uint64
	View  uint64
	Hash  common.Hash
	// Bitmap has ceil(n/8) bytes; bit i, least significant first, says that
	// validator i signed.
	Bitmap []byte
	// Sigs holds 65 bytes for each set bit, in index order.
	Sigs []byte
}

// voteDomain separates vote digests from everything else that a validator's
// key may ever sign.
const voteDomain = "tercet/vote/1"

// Digest is what a vote signs: keccak256 of a fixed-width encoding that binds
// the network, the epoch, the view and the block.
func Digest(network common.Hash, kind Kind, epoch, view uint64, hash common.Hash) common.Hash {
	var b [len(voteDomain) + 1 + 32 + 8 + 8 + 32]byte
	n := copy(b[:], voteDomain)
	b[n] = byte(kind)
	n++
	n += copy(b[n:], network[:])
	binary.BigEndian.PutUint64(b[n:], epoch)
	binary.BigEndian.PutUint64(b[n+8:], view)
	copy(b[n+16:], hash[:])
	return crypto.Keccak256Hash(b[:])
}

func (v *Vote) digest(network common.Hash) common.Hash {
	return Digest(network, v.Kind, v.Epoch, v.View, v.Hash)
}

// wellFormed checks what needs neither keys nor state.
func (v *Vote) wellFormed(n int) error {
	if v.Kind < Notarize || v.Kind > Finalize {
		return invalidf("vote of unknown kind %d", uint8(v.Kind))
	}
	if (v.Kind == Nullify) != (v.Hash == common.Hash{}) {
		return invalidf("%s vote with the hash %s", v.Kind, v.Hash)
	}
	if v.View == 0 || v.View > maxView {
		return invalidf("vote for view %d", v.View)
	}
	if int(v.Signer) >= n {
		return invalidf("vote by validator %d of %d", v.Signer, n)
	}
	return nil
}

// Signers lists the indices whose bits are set, ascending.
func (c *Cert) Signers() []int {
	var out []int
	for i, b := range c.Bitmap {
		for ; b != 0; b &= b - 1 {
			out = append(out, i*8+bits.TrailingZeros8(b))
		}
	}
	return out
}

// size is about how many bytes the certificate has on the wire.
func (c *Cert) size() int { return 64 + len(c.Bitmap) + len(c.Sigs) }

// wellFormed checks the certificate's shape for a committee.
func (c *Cert) wellFormed(committee *Committee) error {
	n := committee.Size()
	if c.Kind < Notarize || c.Kind > Finalize || c.View == 0 || c.View > maxView || (c.Kind == Nullify) != (c.Hash == common.Hash{}) {
		return invalidf("certificate %s of view %d for %s", c.Kind, c.View, c.Hash)
	}
	if len(c.Bitmap) != (n+7)/8 {
		return invalidf("certificate bitmap of %d bytes for %d validators", len(c.Bitmap), n)
	}
	count := 0
	for _, b := range c.Bitmap {
		count += bits.OnesCount8(b)
	}
	if n%8 != 0 && c.Bitmap[len(c.Bitmap)-1]>>(n%8) != 0 {
		return invalidf("certificate names a validator beyond %d", n)
	}
	if count < committee.Quorum() && !mutant.On(mutant.CertificateCountUnchecked) {
		return invalidf("certificate with %d of %d needed signatures", count, committee.Quorum())
	}
	if len(c.Sigs) != count*len(Signature{}) {
		return invalidf("certificate with %d signers and %d signature bytes", count, len(c.Sigs))
	}
	return nil
}

// assemble makes a certificate from votes equal to one, of which there are count:
// one vote per signer, nil where a validator has not voted.
func assemble(like *Vote, count int, votes []*Vote) *Cert {
	c := &Cert{
		Kind: like.Kind, Epoch: like.Epoch, View: like.View, Hash: like.Hash,
		Bitmap: make([]byte, (len(votes)+7)/8), Sigs: make([]byte, 0, count*len(Signature{})),
	}
	for i, v := range votes {
		if v != nil && v.Hash == like.Hash {
			c.Bitmap[i/8] |= 1 << (i % 8)
			c.Sigs = append(c.Sigs, v.Sig[:]...)
		}
	}
	return c
}
