package main

import (
	"crypto/ecdsa"
	"fmt"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node/config"
)

// keyFlags say who signs. No flag takes a secret: command lines are seen by other users and kept by shells.
type keyFlags struct {
	devAccount, keyFile, passwordFile string
}

func (f *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.devAccount, "dev-account", "", "sign with the development account of this `NUMBER`, 0 to 9; their keys are public")
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "sign with the key in this `file`: 64 hexadecimal digits, or a keystore")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "open the keystore with the first line of this `file`")
}

// key reads the key of whoever is to sign.
func (f *keyFlags) key() (*ecdsa.PrivateKey, error) {
	switch {
	case f.keyFile != "" && f.devAccount != "":
		return nil, usage("both --key-file and --dev-account: name one who signs")
	case f.keyFile != "":
		return config.LoadAccountKey(f.keyFile, f.passwordFile)
	case f.devAccount == "":
		return nil, usage("who signs? --dev-account 0 on a development chain, or --key-file FILE")
	}
	n, err := strconv.ParseUint(f.devAccount, 10, 8)
	if err != nil || n >= devAccountCount {
		return nil, usage("--dev-account %s: use 0 to %d", f.devAccount, devAccountCount-1)
	}
	accounts, err := devAccounts()
	if err != nil {
		return nil, err
	}
	key, err := crypto.HexToECDSA(strings.TrimPrefix(accounts[n].PrivateKey, "0x"))
	if err != nil {
		return nil, fmt.Errorf("deriving development account %d: %w", n, err)
	}
	return key, nil
}

func senderOf(key *ecdsa.PrivateKey) common.Address { return crypto.PubkeyToAddress(key.PublicKey) }
