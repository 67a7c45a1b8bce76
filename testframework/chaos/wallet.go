package chaos

import (
	"context"
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// transferGas is what a plain transfer costs.
const transferGas = 21_000

// Transfer is a signed transfer, or another transaction.
type Transfer struct {
	Hash  common.Hash
	Raw   []byte
	From  int // index in the wallet
	Nonce uint64
}

// Wallet is a set of accounts that nobody else uses. It knows what each will have when every transfer
// that it signed is executed. Its methods are for one goroutine, save that [Wallet.Transfer],
// [Wallet.Transaction] and [Wallet.Sign] may be called at the same time for different accounts.
type Wallet struct {
	signer   types.Signer
	keys     []*ecdsa.PrivateKey
	accounts []common.Address
	nonces   []uint64
	balances []*big.Int
	// others are the accounts that funded the wallet, supply what all had together.
	others []common.Address
	supply *big.Int
	signed int // transfers made by Transfers, to vary them
}

// NewWallet makes size accounts from a seed; the same seed makes the same accounts.
func NewWallet(chainID uint64, size int, seed string) (*Wallet, error) {
	w := &Wallet{signer: types.LatestSignerForChainID(new(big.Int).SetUint64(chainID)), supply: new(big.Int)}
	for i := range uint64(size) {
		key, err := crypto.ToECDSA(crypto.Keccak256([]byte(seed), binary.BigEndian.AppendUint64(nil, i)))
		if err != nil {
			return nil, fmt.Errorf("making account %d: %w", i, err)
		}
		w.keys = append(w.keys, key)
		w.accounts = append(w.accounts, crypto.PubkeyToAddress(key.PublicKey))
		w.nonces = append(w.nonces, 0)
		w.balances = append(w.balances, new(big.Int))
	}
	return w, nil
}

// Accounts returns the addresses.
func (w *Wallet) Accounts() []common.Address { return w.accounts }

// fundPatience bounds [Wallet.Fund].
const fundPatience = time.Minute

// Fund gives each account of the wallet the same amount of wei from the given accounts in turn, through
// one node, and returns when that node has executed it all.
func (w *Wallet) Fund(ctx context.Context, c *Client, from []Account, wei *big.Int) error {
	ctx, cancel := within(ctx, fundPatience, "funding the wallet")
	defer cancel()
	var raws [][]byte
	var last common.Hash
	keys, nonces := make([]*ecdsa.PrivateKey, len(from)), make([]uint64, len(from))
	for i, a := range from {
		key, err := crypto.HexToECDSA(strings.TrimPrefix(a.PrivateKey, "0x"))
		if err != nil {
			return fmt.Errorf("reading the key of %s: %w", a.Address, err)
		}
		nonce, balance, err := account(ctx, c, a.Address, "latest")
		if err != nil {
			return err
		}
		keys[i], nonces[i] = key, nonce
		w.others = append(w.others, a.Address)
		w.supply.Add(w.supply, balance)
	}
	for i, to := range w.accounts {
		payer := i % len(from)
		tx, err := types.SignNewTx(keys[payer], w.signer, &types.LegacyTx{Nonce: nonces[payer], To: &to, Value: wei, Gas: transferGas})
		if err != nil {
			return fmt.Errorf("signing: %w", err)
		}
		raw, err := tx.MarshalBinary()
		if err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
		raws, last = append(raws, raw), tx.Hash()
		nonces[payer]++
		w.balances[i].Add(w.balances[i], wei)
	}
	for len(raws) > 0 {
		part := raws[:min(len(raws), 200)]
		if err := c.Send(ctx, part...); err != nil {
			return fmt.Errorf("funding the wallet: %w", err)
		}
		raws = raws[len(part):]
	}
	err := Await(ctx, 20*time.Millisecond, func() (bool, error) {
		r, err := c.Receipt(ctx, last)
		return r != nil, err
	})
	if err != nil {
		return err
	}
	return Await(ctx, 50*time.Millisecond, func() (bool, error) {
		for i, a := range from {
			if nonce, _, err := account(ctx, c, a.Address, "latest"); err != nil || nonce < nonces[i] {
				return false, err
			}
		}
		return true, nil
	})
}

// Transfers signs count transfers, from each account in turn to another one, of all three types that
// carry one, with fees that a chain without fees ignores.
func (w *Wallet) Transfers(count int) ([]*Transfer, error) {
	transfers, txs := make([]*Transfer, count), make([]types.TxData, count)
	for i := range transfers {
		k := w.signed + i
		from := k % len(w.keys)
		to := (from + 1 + k/len(w.keys)%(len(w.keys)-1)) % len(w.keys)
		value := big.NewInt(1 + int64(k%97))
		w.balances[from].Sub(w.balances[from], value)
		w.balances[to].Add(w.balances[to], value)
		transfers[i] = &Transfer{From: from, Nonce: w.nonces[from]}
		txs[i] = w.data(k, from, to, value)
		w.nonces[from]++
	}
	w.signed += count
	return transfers, w.sign(transfers, txs)
}

// Transfer signs one transfer.
func (w *Wallet) Transfer(from, to int, value *big.Int) (*Transfer, error) {
	w.balances[from].Sub(w.balances[from], value)
	w.balances[to].Add(w.balances[to], value)
	return w.Transaction(from, &w.accounts[to], value, transferGas, nil)
}

// Transaction signs an account's next transaction: a call, or a creation where to is nil. Its value has
// to come back, as it does from whatever fails; [Wallet.Transfer] is for what moves wei.
func (w *Wallet) Transaction(from int, to *common.Address, value *big.Int, gas uint64, data []byte) (*Transfer, error) {
	t := []*Transfer{{From: from, Nonce: w.nonces[from]}}
	err := w.sign(t, []types.TxData{&types.DynamicFeeTx{
		ChainID: w.signer.ChainID(), Nonce: w.nonces[from], To: to, Value: value, Gas: gas, GasTipCap: new(big.Int), GasFeeCap: new(big.Int), Data: data,
	}})
	w.nonces[from]++
	return t[0], err
}

// Sign signs a hash: 65 bytes, of which the last is 0 or 1.
func (w *Wallet) Sign(from int, hash common.Hash) ([]byte, error) {
	return crypto.Sign(hash[:], w.keys[from])
}

func (w *Wallet) data(k, from, to int, value *big.Int) types.TxData {
	nonce, address := w.nonces[from], w.accounts[to]
	gwei := big.NewInt(1e9)
	switch k % 3 {
	case 0:
		return &types.LegacyTx{Nonce: nonce, To: &address, Value: value, Gas: transferGas, GasPrice: gwei}
	case 1:
		return &types.AccessListTx{ChainID: w.signer.ChainID(), Nonce: nonce, To: &address, Value: value, Gas: transferGas, GasPrice: new(big.Int)}
	default:
		return &types.DynamicFeeTx{ChainID: w.signer.ChainID(), Nonce: nonce, To: &address, Value: value, Gas: transferGas, GasTipCap: gwei, GasFeeCap: gwei}
	}
}

// sign fills in the transfers, on all cores.
func (w *Wallet) sign(transfers []*Transfer, txs []types.TxData) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < len(transfers); i += workers {
				tx, err := types.SignNewTx(w.keys[transfers[i].From], w.signer, txs[i])
				if err == nil {
					transfers[i].Hash = tx.Hash()
					transfers[i].Raw, err = tx.MarshalBinary()
				}
				if err != nil {
					errs[worker] = fmt.Errorf("signing a transfer: %w", err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Conserved reports how a node's accounts differ from what the funding and all signed transfers make
// them, each and in sum.
func (w *Wallet) Conserved(ctx context.Context, c *Client) error {
	sum := new(big.Int)
	nonces, balances, err := accounts(ctx, c, w.accounts)
	if err != nil {
		return err
	}
	for i, a := range w.accounts {
		if nonces[i] != w.nonces[i] || balances[i].Cmp(w.balances[i]) != 0 {
			return fmt.Errorf("%s says that %s has nonce %d and %d wei; the transfers make nonce %d and %d wei",
				c.Name, a, nonces[i], balances[i], w.nonces[i], w.balances[i])
		}
		sum.Add(sum, balances[i])
	}
	_, balances, err = accounts(ctx, c, w.others)
	if err != nil {
		return err
	}
	for _, b := range balances {
		sum.Add(sum, b)
	}
	if sum.Cmp(w.supply) != 0 {
		return fmt.Errorf("%s says that all accounts together have %d wei; they began with %d", c.Name, sum, w.supply)
	}
	return nil
}

// account asks for a nonce and a balance.
func account(ctx context.Context, c *Client, address common.Address, tag string) (uint64, *big.Int, error) {
	var nonce hexutil.Uint64
	var balance hexutil.Big
	err := c.Batch(ctx, []Call{
		{"eth_getTransactionCount", []any{address, tag}, &nonce},
		{"eth_getBalance", []any{address, tag}, &balance},
	})
	return uint64(nonce), balance.ToInt(), err
}

// accountsPerBatch keeps a batch below the server's limit of 1,000 calls.
const accountsPerBatch = 250

func accounts(ctx context.Context, c *Client, addresses []common.Address) ([]uint64, []*big.Int, error) {
	nonces, balances := make([]hexutil.Uint64, len(addresses)), make([]hexutil.Big, len(addresses))
	for from := 0; from < len(addresses); from += accountsPerBatch {
		var calls []Call
		for i := from; i < min(from+accountsPerBatch, len(addresses)); i++ {
			calls = append(calls,
				Call{"eth_getTransactionCount", []any{addresses[i], "latest"}, &nonces[i]},
				Call{"eth_getBalance", []any{addresses[i], "latest"}, &balances[i]})
		}
		if err := c.Batch(ctx, calls); err != nil {
			return nil, nil, err
		}
	}
	plainNonces, plainBalances := make([]uint64, len(addresses)), make([]*big.Int, len(addresses))
	for i := range addresses {
		plainNonces[i], plainBalances[i] = uint64(nonces[i]), balances[i].ToInt()
	}
	return plainNonces, plainBalances, nil
}
