package rpc

import (
	"context"
	"crypto/ecdsa"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
)

const (
	// faucetPause is how long an address waits for the next grant.
	faucetPause = 10 * time.Second
	// faucetGrants are given within faucetPause, all addresses together: more than people ask for, and so few that
	// a program cannot use the node's processors or the account up.
	faucetGrants = 20
)

// Faucet gives money of an account whose key everybody has to who asks.
type Faucet struct {
	Key *ecdsa.PrivateKey
	// Wei is what a request gets.
	Wei *uint256.Int
}

// faucetAPI has the tercet_ methods of a node with a faucet.
type faucetAPI struct {
	*tercetAPI
	sender *sender
	wei    *uint256.Int

	mu     sync.Mutex
	grants map[common.Address]time.Time // guarded by mu; of the last faucetPause, at most faucetGrants
}

// tercet are the tercet_ methods of this node.
func (s *Server) tercet() any {
	if s.cfg.Faucet == nil {
		return &tercetAPI{s}
	}
	return &faucetAPI{
		tercetAPI: &tercetAPI{s}, sender: newSender(s, s.cfg.Faucet.Key), wei: s.cfg.Faucet.Wei, grants: make(map[common.Address]time.Time),
	}
}

// Faucet sends money to an address and returns the hash of the transaction when it is executed.
func (f *faucetAPI) Faucet(ctx context.Context, address common.Address) (common.Hash, error) {
	if err := f.grant(address, time.Now()); err != nil {
		return common.Hash{}, err
	}
	hash, err := f.sender.send(ctx, address, f.wei.ToBig(), nil)
	if err != nil {
		f.mu.Lock()
		delete(f.grants, address)
		f.mu.Unlock()
	}
	return hash, err
}

// grant notes that an address gets money at the time now, or says why not.
func (f *faucetAPI) grant(address common.Address, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a, at := range f.grants {
		if now.Sub(at) >= faucetPause {
			delete(f.grants, a)
		}
	}
	if at, ok := f.grants[address]; ok {
		return busy("the faucet gave to %s just now: ask again in %v", address, (faucetPause - now.Sub(at)).Round(time.Second))
	}
	if len(f.grants) >= faucetGrants {
		return busy("the faucet gave to %d addresses in the last %v: ask again in a moment", faucetGrants, faucetPause)
	}
	f.grants[address] = now
	return nil
}
