package sim

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// keyring replaces secp256k1: a signature is the signer's index and a hash of the digest keyed with a
// secret that only the holder of a [key] reaches. The table of signatures made makes it unforgeable even
// for who would guess.
type keyring struct {
	addresses []common.Address
	secrets   []uint64
	made      map[uint64]struct{}
}

var errForged = errors.New("forged signature")

func newKeyring(n int) *keyring {
	k := &keyring{made: make(map[uint64]struct{})}
	for i := range n {
		k.addresses = append(k.addresses, common.BytesToAddress([]byte{0xA0, byte(i >> 8), byte(i)}))
		k.secrets = append(k.secrets, 0x9E3779B97F4A7C15*uint64(2*i+1))
	}
	return k
}

func (k *keyring) mac(i int, digest common.Hash) uint64 {
	hi, lo := bits.Mul64(binary.BigEndian.Uint64(digest[:8])^k.secrets[i], binary.BigEndian.Uint64(digest[8:16])|1)
	return hi ^ lo ^ uint64(i)<<56
}

// Recover implements [consensus.Scheme].
func (k *keyring) Recover(digest common.Hash, s *consensus.Signature) (common.Address, error) {
	i, mac := int(binary.BigEndian.Uint16(s[:2])), binary.BigEndian.Uint64(s[2:10])
	if i >= len(k.addresses) || k.mac(i, digest) != mac {
		return common.Address{}, errForged
	}
	if _, ok := k.made[mac]; !ok {
		return common.Address{}, errForged
	}
	return k.addresses[i], nil
}

// key signs for one validator.
type key struct {
	ring  *keyring
	index int
}

// Address implements [consensus.Signer].
func (k key) Address() common.Address { return k.ring.addresses[k.index] }

// Sign implements [consensus.Signer].
func (k key) Sign(digest common.Hash) (s consensus.Signature) {
	mac := k.ring.mac(k.index, digest)
	k.ring.made[mac] = struct{}{}
	binary.BigEndian.PutUint16(s[:2], uint16(k.index))
	binary.BigEndian.PutUint64(s[2:10], mac)
	return s
}
