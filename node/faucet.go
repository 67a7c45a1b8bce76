package node

import (
	"crypto/ecdsa"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/rpc"
)

// faucet is what the configuration says, nil for none. It is refused where the genesis does not fund the public
// account: that is no network for tests.
func (n *Node) faucet(key *ecdsa.PrivateKey) (*rpc.Faucet, error) {
	if n.cfg.RPC.Faucet == 0 {
		return nil, nil
	}
	if key == nil || !funds(n.genesis, crypto.PubkeyToAddress(key.PublicKey)) {
		return nil, config.Errorf("rpc.faucet = %d is for networks for tests, and the genesis of %s does not fund the public development accounts: "+
			"set it to 0 in %s", n.cfg.RPC.Faucet, n.cfg.Home, config.FilePath(n.cfg.Home))
	}
	wei := uint256.NewInt(1e18)
	return &rpc.Faucet{Key: key, Wei: wei.Mul(wei, uint256.NewInt(uint64(n.cfg.RPC.Faucet)))}, nil
}

func funds(g *ledger.Genesis, address common.Address) bool {
	for _, a := range g.Alloc {
		if a.Address == address {
			return true
		}
	}
	return false
}
