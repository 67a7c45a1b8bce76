package main

import (
	"crypto/ecdsa"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node/config"
)

// keyFlags say who signs. No flag takes a secret: command lines are seen by other users and kept by shells.
type keyFlags struct {
	devAccount            int
	keyFile, passwordFile string
}

func (f *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.devAccount, "dev-account", -1, `sign with development account 0 to 9, whose keys are public (see "tercet keys list --dev")`)
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "sign with the key in this `file`: 64 hexadecimal digits, or a keystore")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "open the keystore with the first line of this `file`")
}

// key reads the key of whoever is to sign.
func (f *keyFlags) key() (*ecdsa.PrivateKey, error) {
	switch {
	case f.keyFile != "" && f.devAccount >= 0:
		return nil, usage("both --key-file and --dev-account: name one who signs")
	case f.keyFile != "":
		return config.LoadAccountKey(f.keyFile, f.passwordFile)
	case f.devAccount < 0:
		return nil, usage("who signs? --dev-account 0 on a development chain, or --key-file FILE")
	case f.devAccount >= devAccountCount:
		return nil, usage("--dev-account %d: use 0 to %d", f.devAccount, devAccountCount-1)
	}
	accounts, err := devAccounts()
	if err != nil {
		return nil, err
	}
	key, err := crypto.HexToECDSA(strings.TrimPrefix(accounts[f.devAccount].PrivateKey, "0x"))
	if err != nil {
		return nil, fmt.Errorf("deriving development account %d: %w", f.devAccount, err)
	}
	return key, nil
}

func senderOf(key *ecdsa.PrivateKey) common.Address { return crypto.PubkeyToAddress(key.PublicKey) }
