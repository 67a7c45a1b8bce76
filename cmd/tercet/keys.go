package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/node/config"
)

// identity is what others may know of a home's keys.
type identity struct {
	Address   string `json:"address"`   // of the validator key
	PeerID    string `json:"peerId"`    // of the host key
	Encrypted bool   `json:"encrypted"` // the validator key needs its password file
}

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make and show the keys of a node",
		Long: `A node has two keys, in keys/ of its home, readable by their owner only:

  validator.json   signs votes; its address is the validator in the genesis.
                   Whoever has it can vote in its place: one copy, on one machine.
  host.json        identifies the node to its peers; its peer id is in their rosters.

No command prints a secret key, takes one as an argument or logs one.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysNew(), newKeysShow(), newKeysList())
	return cmd
}

func newKeysNew() *cobra.Command {
	var home, passwordFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make the keys of a home that has none",
		Long: `New makes the validator key and the host key of a home, each if it is absent, and
prints the address and the peer id that go into the genesis file. It never replaces
a key. With --password-file the validator key is an encrypted v3 keystore; the node
then needs keys.password_file in its configuration.`,
		Example: `  tercet keys new --home ./node
  tercet keys new --home ./node --password-file /run/secrets/validator --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := homeDir(home)
			if err != nil {
				return err
			}
			made, err := makeKeys(home, passwordFile)
			if err != nil {
				return err
			}
			if !made {
				return inUse("%s has both keys already: show them with \"tercet keys show --home %s\"", home, home)
			}
			return showKeys(cmd, home, asJSON)
		},
	}
	homeFlag(cmd, &home)
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "encrypt the validator key with the first line of this `file`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// makeKeys writes the keys that home lacks and tells whether it wrote any.
func makeKeys(home, passwordFile string) (made bool, err error) {
	writers := []struct {
		path  string
		write func(*sig.Key) error
	}{
		{config.ValidatorKeyPath(home), func(k *sig.Key) error { return config.WriteValidatorKey(home, k, passwordFile) }},
		{config.HostKeyPath(home), func(k *sig.Key) error { return config.WriteHostKey(home, k) }},
	}
	for _, w := range writers {
		if _, err := os.Stat(w.path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		key, err := sig.GenerateKey()
		if err != nil {
			return made, err
		}
		if err := w.write(key); err != nil {
			return made, err
		}
		made = true
	}
	return made, nil
}

func newKeysShow() *cobra.Command {
	var home string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the validator address and the peer id of a home",
		Long: `Show prints what others need to know of a node: the address of its validator key
and the peer id of its host key. It does not open an encrypted key.`,
		Example: `  tercet keys show --home ./node
  tercet keys show --home ./node --json | jq -r .peerId`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := homeDir(home)
			if err != nil {
				return err
			}
			return showKeys(cmd, home, asJSON)
		},
	}
	homeFlag(cmd, &home)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showKeys(cmd *cobra.Command, home string, asJSON bool) error {
	id, err := readIdentity(home)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), id)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "address  %s\npeer id  %s\n", id.Address, id.PeerID)
	return err
}

func readIdentity(home string) (identity, error) {
	address, encrypted, err := config.ValidatorIdentity(home)
	if err != nil {
		return identity{}, err
	}
	_, peer, err := config.LoadHostKey(home)
	if err != nil {
		return identity{}, err
	}
	return identity{address.Hex(), string(peer), encrypted}, nil
}

func newKeysList() *cobra.Command {
	var home string
	var dev, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the key files of a home, or the public development accounts",
		Long: `List names the key files of a home and what they are for. With --dev it lists the
ten accounts that "tercet dev" and "tercet testnet" fund; everybody knows their keys.`,
		Example: `  tercet keys list --home ./node
  tercet keys list --dev --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dev {
				accounts, err := devAccounts()
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), accounts)
				}
				return printAccounts(cmd.OutOrStdout(), accounts)
			}
			home, err := homeDir(home)
			if err != nil {
				return err
			}
			return listKeys(cmd, home, asJSON)
		},
	}
	homeFlag(cmd, &home)
	cmd.Flags().BoolVar(&dev, "dev", false, "list the public development accounts instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func listKeys(cmd *cobra.Command, home string, asJSON bool) error {
	id, err := readIdentity(home)
	if err != nil {
		return err
	}
	type key struct {
		Name      string `json:"name"`
		ID        string `json:"id"`
		Encrypted bool   `json:"encrypted"`
		File      string `json:"file"`
	}
	keys := []key{
		{"validator", id.Address, id.Encrypted, config.ValidatorKeyPath(home)},
		{"host", id.PeerID, false, config.HostKeyPath(home)},
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), keys)
	}
	rows := [][]string{{"KEY", "ID", "STORED", "FILE"}}
	for _, k := range keys {
		stored := "plain"
		if k.Encrypted {
			stored = "encrypted"
		}
		rows = append(rows, []string{k.Name, k.ID, stored, k.File})
	}
	return printTable(cmd.OutOrStdout(), rows)
}
