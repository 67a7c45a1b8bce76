package main

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/tyler-smith/go-bip39"

	"github.com/tercet-chain/tercet/ledger"
)

// devMnemonic is the one that every development tool knows: its keys are public.
const devMnemonic = "test test test test test test test test test test test junk"

const (
	devAccountCount = 10
	devEther        = 10_000 // of each account
	hardened        = 1 << 31
)

// account is a funded account of a network whose keys are public.
type account struct {
	Address    string `json:"address"`
	PrivateKey string `json:"privateKey"` // 0x-hex
}

// devAccounts derives m/44'/60'/0'/0/0…9 of devMnemonic.
func devAccounts() ([]account, error) {
	seed, err := bip39.NewSeedWithErrorChecking(devMnemonic, "")
	if err != nil {
		return nil, fmt.Errorf("deriving the development accounts: %w", err)
	}
	var accounts []account
	for i := range uint32(devAccountCount) {
		secret, err := deriveKey(seed, 44+hardened, 60+hardened, hardened, 0, i)
		if err != nil {
			return nil, fmt.Errorf("deriving the development accounts: %w", err)
		}
		key, err := crypto.ToECDSA(secret)
		if err != nil {
			return nil, fmt.Errorf("deriving the development accounts: %w", err)
		}
		accounts = append(accounts, account{crypto.PubkeyToAddress(key.PublicKey).Hex(), "0x" + hex.EncodeToString(secret)})
	}
	return accounts, nil
}

// faucetEther is what the faucet of a network for tests gives at a time.
const faucetEther = 10

// faucetKey is that of the last development account, which faucets give from.
func faucetKey() (*ecdsa.PrivateKey, error) {
	accounts, err := devAccounts()
	if err != nil {
		return nil, err
	}
	return crypto.HexToECDSA(strings.TrimPrefix(accounts[len(accounts)-1].PrivateKey, "0x"))
}

// devAllocations funds the development accounts.
func devAllocations() ([]ledger.Allocation, error) {
	accounts, err := devAccounts()
	if err != nil {
		return nil, err
	}
	var alloc []ledger.Allocation
	for _, a := range accounts {
		alloc = append(alloc, ledger.Allocation{Address: common.HexToAddress(a.Address), Balance: ether(devEther)})
	}
	return alloc, nil
}

func ether(n uint64) *uint256.Int {
	wei := uint256.NewInt(1e18)
	return wei.Mul(wei, uint256.NewInt(n))
}

// deriveKey is BIP-32 private derivation from a seed along a path; indexes from
// 2³¹ on are hardened. A path without a key (probability 2⁻¹²⁷) is an error.
func deriveKey(seed []byte, path ...uint32) ([]byte, error) {
	order := crypto.S256().Params().N
	secret, chainCode := hmac512([]byte("Bitcoin seed"), seed)
	for _, index := range path {
		var data []byte
		if index >= hardened {
			data = append([]byte{0}, secret...)
		} else {
			key, err := crypto.ToECDSA(secret)
			if err != nil {
				return nil, err
			}
			data = crypto.CompressPubkey(&key.PublicKey)
		}
		var tweak []byte
		tweak, chainCode = hmac512(chainCode, binary.BigEndian.AppendUint32(data, index))
		sum := new(big.Int).SetBytes(tweak)
		if sum.Cmp(order) >= 0 {
			return nil, errors.New("the path has no key")
		}
		sum.Add(sum, new(big.Int).SetBytes(secret)).Mod(sum, order)
		if sum.Sign() == 0 {
			return nil, errors.New("the path has no key")
		}
		secret = sum.FillBytes(make([]byte, 32))
	}
	return secret, nil
}

func hmac512(key, data []byte) (left, right []byte) {
	mac := hmac.New(sha512.New, key)
	mac.Write(data)
	sum := mac.Sum(nil)
	return sum[:32], sum[32:]
}

// printAccounts lists accounts with their keys, which are public.
func printAccounts(w io.Writer, accounts []account) error {
	rows := [][]string{{"ACCOUNT", fmt.Sprintf("PRIVATE KEY (public: never use elsewhere; %d ether each)", devEther)}}
	for _, a := range accounts {
		rows = append(rows, []string{a.Address, a.PrivateKey})
	}
	return printTable(w, rows)
}
