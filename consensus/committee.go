package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/internal/mutant"
)

// maxCommittee bounds the number of validators, so that bitmaps and vote
// tables stay small. Certificates carry q signatures of 65 bytes: at 1,024
// validators one is 44 KiB, the most that the certificate lane carries.
const maxCommittee = 1024

// Faulty is f, the number of Byzantine validators that n tolerate: (n-1)/3.
func Faulty(n int) int { return (n - 1) / 3 }

// Quorum is q = ceil((n+f+1)/2), the votes that make a certificate among n
// validators. Two quorums share an honest validator (2q-n > f) and the honest
// ones alone reach it (q <= n-f). It is not 2f+1: that is unsafe unless n=3f+1.
func Quorum(n int) int {
	if mutant.On(mutant.QuorumTwoFPlusOne) {
		return 2*Faulty(n) + 1
	}
	return (n + Faulty(n) + 2) / 2
}

// Committee is an immutable set of validators, ordered by address; a
// validator's position in that order is its index. Safe for concurrent use.
type Committee struct {
	addresses []common.Address
	index     map[common.Address]int
	hash      common.Hash
}

// NewCommittee sorts the addresses. It fails on an empty or oversize set, the
// zero address and duplicates.
func NewCommittee(addresses []common.Address) (*Committee, error) {
	if len(addresses) == 0 {
		return nil, errors.New("a committee needs at least one validator")
	}
	if len(addresses) > maxCommittee {
		return nil, fmt.Errorf("%d validators are more than the %d that a committee may have", len(addresses), maxCommittee)
	}
	sorted := slices.Clone(addresses)
	slices.SortFunc(sorted, func(a, b common.Address) int { return bytes.Compare(a[:], b[:]) })
	c := &Committee{addresses: sorted, index: make(map[common.Address]int, len(sorted))}
	for i, a := range sorted {
		if a == (common.Address{}) {
			return nil, errors.New("the zero address cannot be a validator")
		}
		if _, dup := c.index[a]; dup {
			return nil, fmt.Errorf("validator %s appears twice", a)
		}
		c.index[a] = i
	}
	packed := make([]byte, 0, len(sorted)*common.AddressLength)
	for _, a := range sorted {
		packed = append(packed, a[:]...)
	}
	c.hash = crypto.Keccak256Hash(packed)
	return c, nil
}

// Size is n.
func (c *Committee) Size() int { return len(c.addresses) }

// Quorum is [Quorum] of the committee's size.
func (c *Committee) Quorum() int { return Quorum(len(c.addresses)) }

// Faulty is [Faulty] of the committee's size.
func (c *Committee) Faulty() int { return Faulty(len(c.addresses)) }

// Address returns the validator at index i, which must be below Size.
func (c *Committee) Address(i int) common.Address { return c.addresses[i] }

// Addresses returns a copy of the ordered addresses.
func (c *Committee) Addresses() []common.Address { return slices.Clone(c.addresses) }

// Index returns the position of a validator.
func (c *Committee) Index(a common.Address) (int, bool) {
	i, ok := c.index[a]
	return i, ok
}

// Hash is keccak256(addr_0 ‖ addr_1 ‖ …) in order: the committeeHash of headers and
// the validatorSetHash of execution votes.
func (c *Committee) Hash() common.Hash { return c.hash }
