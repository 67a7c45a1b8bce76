package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/internal/mutant"
)

const (
	// checkpointMs is the length of the slots whose first block validators sign, in milliseconds.
	checkpointMs = 50
	// signatureBytes is r(32) ‖ s(32) ‖ v(1).
	signatureBytes = 65
	// maxValidators bounds certificates: 1,024 validators sign 64 KiB.
	maxValidators = 1024
	// execDomain separates execution digests from everything else that a validator's key signs.
	execDomain = "tercet/exec/1"
)

// halfOrder is half the order of secp256k1's group: a signature's s is at most this, so that each has one
// form.
var halfOrder = common.FromHex("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")

// IsCheckpoint reports whether validators sign the block at timeMs whose parent is at parentTimeMs: the
// first block of every 50 ms slot. Unix milliseconds.
func IsCheckpoint(timeMs, parentTimeMs uint64) bool {
	return timeMs/checkpointMs > parentTimeMs/checkpointMs
}

// ExecResult is what executing a block gave: the statement that validators sign.
type ExecResult struct {
	Epoch  uint64
	Height uint64
	// HeaderHash is the hash of the executed header, which covers all earlier ones.
	HeaderHash   common.Hash
	StateRoot    common.Hash
	ReceiptsRoot common.Hash
	// TimeMs is the block's time, in Unix milliseconds.
	TimeMs uint64
	// ValidatorSetHash is [ValidatorSetHash] of those who sign.
	ValidatorSetHash common.Hash
	// PendingSetHash is the set that executed governance wants, equal to ValidatorSetHash when nothing is
	// wanted.
	PendingSetHash common.Hash
	// NextSetHash is zero except in the last block of an epoch.
	NextSetHash common.Hash
}

// Digest is what a validator signs: keccak256 of a fixed-width encoding that binds the chain.
func (r *ExecResult) Digest(chainID uint64, genesisHash common.Hash) common.Hash {
	b := make([]byte, 0, len(execDomain)+4*8+7*32)
	b = append(b, execDomain...)
	b = binary.BigEndian.AppendUint64(b, chainID)
	b = append(b, genesisHash[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Epoch)
	b = binary.BigEndian.AppendUint64(b, r.Height)
	b = append(b, r.HeaderHash[:]...)
	b = append(b, r.StateRoot[:]...)
	b = append(b, r.ReceiptsRoot[:]...)
	b = binary.BigEndian.AppendUint64(b, r.TimeMs)
	b = append(b, r.ValidatorSetHash[:]...)
	b = append(b, r.PendingSetHash[:]...)
	b = append(b, r.NextSetHash[:]...)
	return crypto.Keccak256Hash(b)
}

// ExecVote is one validator's signature under an [ExecResult].
type ExecVote struct {
	ExecResult
	// Signer is the validator's index in the set sorted by address.
	Signer uint16
	// Sig is r ‖ s ‖ v with v in {0,1} and s in the lower half.
	Sig [signatureBytes]byte
}

// EncodeExecVote is RLP[[the result's fields], signer, sig].
func EncodeExecVote(v *ExecVote) []byte { return mustEncode(v) }

// DecodeExecVote reverses [EncodeExecVote]; errors wrap [ErrInvalid]. The signature is not checked.
func DecodeExecVote(b []byte) (*ExecVote, error) {
	v := new(ExecVote)
	if err := decodeCanonical(b, v); err != nil {
		return nil, invalidf("execution vote: %w", err)
	}
	return v, nil
}

// Verify checks the vote against the validators sorted by address; errors wrap [ErrInvalid].
func (v *ExecVote) Verify(chainID uint64, genesisHash common.Hash, validators []common.Address) error {
	if int(v.Signer) >= len(validators) {
		return invalidf("execution vote by validator %d of %d", v.Signer, len(validators))
	}
	if v.ValidatorSetHash != ValidatorSetHash(validators) {
		return invalidf("execution vote for another validator set")
	}
	return verifySignature(v.Digest(chainID, genesisHash), v.Sig[:], validators[v.Signer])
}

// ExecCert is the proof that a quorum of validators executed a block to the same result.
type ExecCert struct {
	ExecResult
	// Bitmap has ceil(n/8) bytes; bit i, least significant first, says that validator i signed.
	Bitmap []byte
	// Sigs holds 65 bytes for each set bit, in index order.
	Sigs []byte
}

// NewExecCert assembles votes for one result among n validators, in any order. It fails on a vote for
// another result, by a validator beyond n, or on two by the same one; it checks no signature and no quorum.
func NewExecCert(result ExecResult, n int, votes []*ExecVote) (*ExecCert, error) {
	sorted := slices.Clone(votes)
	slices.SortFunc(sorted, func(a, b *ExecVote) int { return int(a.Signer) - int(b.Signer) })
	c := &ExecCert{
		ExecResult: result,
		Bitmap:     make([]byte, (n+7)/8),
		Sigs:       make([]byte, 0, len(votes)*signatureBytes),
	}
	for i, v := range sorted {
		switch {
		case v.ExecResult != result && !mutant.On(mutant.CertificateOfMixedResults):
			return nil, fmt.Errorf("execution vote of validator %d is for another result", v.Signer)
		case int(v.Signer) >= n:
			return nil, fmt.Errorf("execution vote by validator %d of %d", v.Signer, n)
		case i > 0 && sorted[i-1].Signer == v.Signer:
			return nil, fmt.Errorf("two execution votes by validator %d", v.Signer)
		}
		c.Bitmap[v.Signer/8] |= 1 << (v.Signer % 8)
		c.Sigs = append(c.Sigs, v.Sig[:]...)
	}
	return c, nil
}

// EncodeExecCert is RLP[[the result's fields], bitmap, sigs].
func EncodeExecCert(c *ExecCert) []byte { return mustEncode(c) }

// DecodeExecCert reverses [EncodeExecCert]; errors wrap [ErrInvalid]. It checks the certificate's shape;
// [ExecCert.Verify] checks the rest.
func DecodeExecCert(b []byte) (*ExecCert, error) {
	const maxBytes = 512 + maxValidators/8 + maxValidators*signatureBytes
	if len(b) > maxBytes {
		return nil, invalidf("execution certificate of %d bytes, limit %d", len(b), maxBytes)
	}
	c := new(ExecCert)
	if err := decodeCanonical(b, c); err != nil {
		return nil, invalidf("execution certificate: %w", err)
	}
	if err := c.wellFormed(); err != nil {
		return nil, err
	}
	return c, nil
}

// Signers lists the indices whose bits are set, ascending.
func (c *ExecCert) Signers() []int {
	signers := make([]int, 0, c.count())
	for i, b := range c.Bitmap {
		for ; b != 0; b &= b - 1 {
			signers = append(signers, i*8+bits.TrailingZeros8(b))
		}
	}
	return signers
}

func (c *ExecCert) count() int {
	n := 0
	for _, b := range c.Bitmap {
		n += bits.OnesCount8(b)
	}
	return n
}

// wellFormed checks what needs no validator set.
func (c *ExecCert) wellFormed() error {
	if len(c.Bitmap) > maxValidators/8 {
		return invalidf("execution certificate with a bitmap of %d bytes", len(c.Bitmap))
	}
	if n := c.count(); n == 0 || len(c.Sigs) != n*signatureBytes {
		return invalidf("execution certificate with %d signers and %d signature bytes", n, len(c.Sigs))
	}
	return nil
}

// Verify checks the certificate against the validators sorted by address, quorum of which must have
// signed; errors wrap [ErrInvalid]. It recovers every signature, some 35 µs each.
func (c *ExecCert) Verify(chainID uint64, genesisHash common.Hash, validators []common.Address, quorum int) error {
	if err := c.CheckSigners(validators, quorum); err != nil {
		return err
	}
	digest := c.Digest(chainID, genesisHash)
	for i, signer := range c.Signers() {
		if err := verifySignature(digest, c.Sigs[i*signatureBytes:(i+1)*signatureBytes], validators[signer]); err != nil {
			return err
		}
	}
	return nil
}

// CheckSigners is [ExecCert.Verify] without the signatures: who is said to have signed, and that they are
// enough. A quorum below 1 panics: it would accept anything.
func (c *ExecCert) CheckSigners(validators []common.Address, quorum int) error {
	if quorum < 1 {
		panic("ledger: verifying an execution certificate with a quorum below 1")
	}
	n := len(validators)
	if len(c.Bitmap) != (n+7)/8 {
		return invalidf("execution certificate with a bitmap of %d bytes for %d validators", len(c.Bitmap), n)
	}
	if n%8 != 0 && c.Bitmap[len(c.Bitmap)-1]>>(n%8) != 0 {
		return invalidf("execution certificate that names a validator beyond %d", n)
	}
	if err := c.wellFormed(); err != nil {
		return err
	}
	if c.count() < quorum {
		return invalidf("execution certificate with %d of %d needed signatures", c.count(), quorum)
	}
	if c.ValidatorSetHash != ValidatorSetHash(validators) {
		return invalidf("execution certificate of another validator set")
	}
	return nil
}

// ValidatorSetHash is keccak256(addr_0 ‖ addr_1 ‖ …) of a set sorted by address, the same as the committee
// hash of consensus headers: packed, so that a contract hashes the addresses that it is given as they are.
func ValidatorSetHash(validators []common.Address) common.Hash {
	packed := make([]byte, 0, len(validators)*common.AddressLength)
	for _, a := range validators {
		packed = append(packed, a[:]...)
	}
	return crypto.Keccak256Hash(packed)
}

// verifySignature recovers the signer. A plain verification would ignore v and accept what an EVM rejects.
func verifySignature(digest common.Hash, sig []byte, signer common.Address) error {
	if sig[64] > 1 || bytes.Compare(sig[32:64], halfOrder) > 0 {
		return invalidf("signature of %s: not in its one valid form", signer)
	}
	key, err := crypto.Ecrecover(digest[:], sig)
	if err != nil {
		return invalidf("signature of %s: %w", signer, err)
	}
	if got := common.Address(crypto.Keccak256(key[1:])[12:]); got != signer {
		return invalidf("signature of %s: made by %s", signer, got)
	}
	return nil
}
