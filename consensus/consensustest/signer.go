package consensustest

import (
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// keyedHash replaces secp256k1: a signature is the signer's address and a hash
// keyed with a secret that only the holder of a signer has.
type keyedHash struct {
	secrets map[common.Address]common.Hash
}

func newKeyedHash() *keyedHash { return &keyedHash{secrets: map[common.Address]common.Hash{}} }

func (k *keyedHash) add(a common.Address) {
	k.secrets[a] = crypto.Keccak256Hash([]byte("secret"), a[:])
}

func (k *keyedHash) mac(a common.Address, digest common.Hash) common.Hash {
	secret := k.secrets[a]
	return crypto.Keccak256Hash(secret[:], digest[:])
}

// Recover implements [consensus.Scheme].
func (k *keyedHash) Recover(digest common.Hash, s *consensus.Signature) (common.Address, error) {
	a := common.BytesToAddress(s[:20])
	if _, known := k.secrets[a]; !known || k.mac(a, digest) != common.Hash(s[20:52]) {
		return common.Address{}, errors.New("forged signature")
	}
	return a, nil
}

type signer struct {
	scheme *keyedHash
	who    common.Address
}

func (s signer) Address() common.Address { return s.who }

func (s signer) Sign(digest common.Hash) (sig consensus.Signature) {
	mac := s.scheme.mac(s.who, digest)
	copy(sig[:20], s.who[:])
	copy(sig[20:52], mac[:])
	return sig
}
