package ledger

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"
)

// deployersKey names the system key that says who may create contracts.
const deployersKey = "deployers"

// maxDeployers bounds the list: every creation reads it, 20 KiB at most.
const maxDeployers = 1024

// DeployersKey is the raw key of the list of accounts that may create contracts. Where it has no value,
// everybody may.
func DeployersKey() []byte { return SystemKey(deployersKey) }

// EncodeDeployers is the value under [DeployersKey]: the addresses one after the other, ascending. There
// must be one at least.
func EncodeDeployers(sorted []common.Address) []byte {
	b := make([]byte, 0, len(sorted)*common.AddressLength)
	for _, a := range sorted {
		b = append(b, a[:]...)
	}
	return b
}

// DecodeDeployers reverses [EncodeDeployers] or fails with [ErrInvalid].
func DecodeDeployers(value []byte) ([]common.Address, error) {
	n := len(value) / common.AddressLength
	if n == 0 || n > maxDeployers || len(value)%common.AddressLength != 0 {
		return nil, invalidf("list of deployers of %d bytes", len(value))
	}
	list := make([]common.Address, n)
	for i := range list {
		copy(list[i][:], value[i*common.AddressLength:])
		if i > 0 && list[i-1].Cmp(list[i]) >= 0 {
			return nil, invalidf("list of deployers in which %s is not in its place", list[i])
		}
	}
	return list, nil
}

// MayDeploy says whether origin may create contracts when value is what the state has under
// [DeployersKey].
func MayDeploy(value []byte, origin common.Address) (bool, error) {
	if len(value) == 0 {
		return true, nil
	}
	list, err := DecodeDeployers(value)
	if err != nil {
		return false, err
	}
	_, found := slices.BinarySearchFunc(list, origin, common.Address.Cmp)
	return found, nil
}
