package rpc

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// evmAPI has the evm_ methods of development chains.
type evmAPI struct{ d *developer }

// Mine makes a block, or as many as an object says, perhaps with a timestamp.
func (e *evmAPI) Mine(ctx context.Context, options *mineOptions) (string, error) {
	var o mineOptions
	if options != nil {
		o = *options
	}
	if o.Timestamp != nil {
		if err := e.setNext(*o.Timestamp); err != nil {
			return "", err
		}
	}
	return "0x0", e.d.mine(ctx, o.Blocks, nil, 0)
}

// mineOptions are a timestamp, or an object with one and a number of blocks.
type mineOptions struct{ Timestamp, Blocks *quantity }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *mineOptions) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("{")) {
		var fields struct {
			Timestamp *quantity `json:"timestamp"`
			Blocks    *quantity `json:"blocks"`
		}
		err := json.Unmarshal(b, &fields)
		*o = mineOptions(fields)
		return err
	}
	o.Timestamp = new(quantity)
	return o.Timestamp.UnmarshalJSON(b)
}

// IncreaseTime moves the clock on and returns by how many seconds it is ahead.
func (e *evmAPI) IncreaseTime(seconds quantity) (int64, error) {
	if !seconds.IsUint64() {
		return 0, invalidParams("the time is too long")
	}
	return e.d.chain.Shift(seconds.Uint64())
}

// SetTime sets the clock, in Unix seconds, or milliseconds where seconds would be thousands of years away.
func (e *evmAPI) SetTime(unix quantity) (int64, error) {
	if !unix.IsUint64() {
		return 0, invalidParams("the time is too late")
	}
	t := unix.Uint64()
	if t > leastMillis {
		t /= 1000
	}
	return e.d.chain.SetTime(t)
}

// leastMillis is the year 5138 in seconds, and 1973 in milliseconds.
const leastMillis = 100_000_000_000

// SetNextBlockTimestamp gives the next block its timestamp.
func (e *evmAPI) SetNextBlockTimestamp(unix quantity) error { return e.setNext(unix) }

func (e *evmAPI) setNext(unix quantity) error {
	if !unix.IsUint64() {
		return invalidParams("the timestamp is too late")
	}
	return e.d.chain.SetNext(unix.Uint64())
}

// Snapshot names the newest block, to go back to it.
func (e *evmAPI) Snapshot(ctx context.Context) (hexutil.Uint64, error) {
	requestOf(ctx).idle()
	id, err := e.d.chain.Snapshot(ctx)
	return hexutil.Uint64(id), err
}

// Revert goes back to a snapshot and says whether there is one of that name.
func (e *evmAPI) Revert(ctx context.Context, id quantity) (found bool, err error) {
	if !id.IsUint64() {
		return false, nil
	}
	err = e.d.alone(ctx, func() error {
		found, err = e.d.chain.Revert(id.Uint64())
		return err
	})
	return found, err
}

// SetAutomine accepts true.
func (e *evmAPI) SetAutomine(on bool) error { return automine(on) }

// SetIntervalMining accepts 0.
func (e *evmAPI) SetIntervalMining(interval quantity) error { return automine(interval.IsZero()) }

// hardhatAPI has the hardhat_ methods of development chains, which answer true.
type hardhatAPI struct{ d *developer }

// hardhatMetadata is what Hardhat knows a development network by.
type hardhatMetadata struct {
	ClientVersion     string      `json:"clientVersion"`
	ChainID           uint64      `json:"chainId"`
	InstanceID        common.Hash `json:"instanceId"`
	LatestBlockNumber uint64      `json:"latestBlockNumber"`
	LatestBlockHash   common.Hash `json:"latestBlockHash"`
}

// Metadata describes the chain and the process.
func (h *hardhatAPI) Metadata() *hardhatMetadata {
	s := h.d.s
	head := s.head().Header
	return &hardhatMetadata{s.cfg.Version, s.cfg.Genesis.ChainID, h.d.instance, head.Number.Uint64(), head.Hash()}
}

// SetBalance replaces a balance.
func (h *hardhatAPI) SetBalance(ctx context.Context, address common.Address, wei quantity) (bool, error) {
	err := h.d.setBalance(ctx, address, wei)
	return err == nil, err
}

// SetNonce raises a nonce.
func (h *hardhatAPI) SetNonce(ctx context.Context, address common.Address, nonce quantity) (bool, error) {
	err := h.d.setNonce(ctx, address, nonce)
	return err == nil, err
}

// SetCode replaces the code of an account.
func (h *hardhatAPI) SetCode(ctx context.Context, address common.Address, code hexutil.Bytes) (bool, error) {
	err := h.d.setCode(ctx, address, code)
	return err == nil, err
}

// SetStorageAt replaces the content of a slot.
func (h *hardhatAPI) SetStorageAt(ctx context.Context, address common.Address, slot, value quantity) (bool, error) {
	err := h.d.setStorageAt(ctx, address, slot, value)
	return err == nil, err
}

// Mine makes blocks a second apart, or as far apart as the interval says.
func (h *hardhatAPI) Mine(ctx context.Context, blocks, interval *quantity) (bool, error) {
	err := h.d.mine(ctx, blocks, interval, 1)
	return err == nil, err
}

// ImpersonateAccount is refused.
func (h *hardhatAPI) ImpersonateAccount(common.Address) error { return impersonate() }

// GetAutomine is true.
func (h *hardhatAPI) GetAutomine() bool { return true }

// DropTransaction removes a transaction from the pool and says whether it was there.
func (h *hardhatAPI) DropTransaction(hash common.Hash) bool { return h.d.drop(hash) }

// Reset goes back to block 0.
func (h *hardhatAPI) Reset(ctx context.Context, options *resetOptions) (bool, error) {
	err := h.d.reset(ctx, options)
	return err == nil, err
}

// anvilAPI has the anvil_ methods of development chains, which answer null.
type anvilAPI struct{ d *developer }

// anvilNodeInfo is what forge and alloy know a development node by.
type anvilNodeInfo struct {
	CurrentBlockNumber    hexutil.Uint64   `json:"currentBlockNumber"`
	CurrentBlockTimestamp uint64           `json:"currentBlockTimestamp"`
	CurrentBlockHash      common.Hash      `json:"currentBlockHash"`
	HardFork              string           `json:"hardFork"`
	TransactionOrder      string           `json:"transactionOrder"`
	Environment           anvilEnvironment `json:"environment"`
	ForkConfig            anvilForkConfig  `json:"forkConfig"`
}

type anvilEnvironment struct {
	BaseFee  hexutil.Uint64 `json:"baseFee"`
	ChainID  uint64         `json:"chainId"`
	GasLimit hexutil.Uint64 `json:"gasLimit"`
	GasPrice hexutil.Uint64 `json:"gasPrice"`
}

// anvilForkConfig is null throughout: nothing is forked.
type anvilForkConfig struct {
	ForkURL          *string `json:"forkUrl"`
	ForkBlockNumber  *uint64 `json:"forkBlockNumber"`
	ForkRetryBackoff *uint64 `json:"forkRetryBackoff"`
}

// NodeInfo describes the chain.
func (a *anvilAPI) NodeInfo() *anvilNodeInfo {
	s := a.d.s
	head := s.head().Header
	return &anvilNodeInfo{
		CurrentBlockNumber: hexutil.Uint64(head.Number.Uint64()), CurrentBlockTimestamp: head.Time, CurrentBlockHash: head.Hash(),
		HardFork: "london", TransactionOrder: "fifo",
		Environment: anvilEnvironment{ChainID: s.cfg.Genesis.ChainID, GasLimit: hexutil.Uint64(head.GasLimit)},
	}
}

// SetBalance replaces a balance.
func (a *anvilAPI) SetBalance(ctx context.Context, address common.Address, wei quantity) error {
	return a.d.setBalance(ctx, address, wei)
}

// SetNonce raises a nonce.
func (a *anvilAPI) SetNonce(ctx context.Context, address common.Address, nonce quantity) error {
	return a.d.setNonce(ctx, address, nonce)
}

// SetCode replaces the code of an account.
func (a *anvilAPI) SetCode(ctx context.Context, address common.Address, code hexutil.Bytes) error {
	return a.d.setCode(ctx, address, code)
}

// SetStorageAt replaces the content of a slot.
func (a *anvilAPI) SetStorageAt(ctx context.Context, address common.Address, slot, value quantity) error {
	return a.d.setStorageAt(ctx, address, slot, value)
}

// Mine makes blocks as fast as it goes, or as far apart as the interval says.
func (a *anvilAPI) Mine(ctx context.Context, blocks, interval *quantity) error {
	return a.d.mine(ctx, blocks, interval, 0)
}

// ImpersonateAccount is refused.
func (a *anvilAPI) ImpersonateAccount(common.Address) error { return impersonate() }

// GetAutomine is true.
func (a *anvilAPI) GetAutomine() bool { return true }

// DropTransaction removes a transaction from the pool and returns its hash, null if it was not there.
func (a *anvilAPI) DropTransaction(hash common.Hash) *common.Hash {
	if a.d.drop(hash) {
		return &hash
	}
	return nil
}

// Reset goes back to block 0.
func (a *anvilAPI) Reset(ctx context.Context, options *resetOptions) error {
	return a.d.reset(ctx, options)
}
