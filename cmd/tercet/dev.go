package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/config"
)

func newDev() *cobra.Command {
	var dir string
	var port uint16
	var set []string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a development chain: one node, funded accounts",
		Long: `Dev runs one validator in this process: a transaction is final as soon as it is
executed, and without transactions nothing happens. Chain id 31337 and the ten
accounts of the mnemonic "` + devMnemonic + `",
10,000 ether each, as development tools expect them.

Tests of Hardhat, viem and anvil's tools can edit the state (anvil_setBalance and the
like), make empty blocks, move the time and go back to snapshots: see "Development" in
docs/rpc.md. tercet_faucet sends 10 ether to any address.

Without --dir the chain lives in a temporary directory that is removed at the end.
With --dir it is kept and resumed by the next dev with the same directory.`,
		Example: `  tercet dev
  tercet dev --port 9000 --dir ./devchain
  cast rpc evm_snapshot
  cast rpc tercet_faucet 0x70997970C51812dc3A010C7d01b50e0d17dc79C8
  cast send --rpc-url http://127.0.0.1:8545 --value 1ether 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 \
    --private-key 0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags, err := parseSet(set)
			if err != nil {
				return err
			}
			if _, given := flags["rpc.listen"]; !given {
				flags["rpc.listen"] = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
			}
			return runDev(cmd, dir, flags)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "keep the chain in this directory")
	cmd.Flags().Uint16Var(&port, "port", 8545, "port of JSON-RPC; 0 takes a free one")
	setFlag(cmd, &set)
	return cmd
}

func runDev(cmd *cobra.Command, dir string, flags map[string]string) (err error) {
	if port := flags["rpc.listen"]; port != "" {
		if err := portFree(port); err != nil {
			return inUse("%s, the address of JSON-RPC, is in use: stop what listens there, or choose another with --port", port)
		}
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tercet-dev-"); err != nil {
			return fmt.Errorf("making a temporary directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if dir, err = dirOr(dir, "--dir", "dev"); err != nil {
		return err
	}
	if err := makeDevHome(dir); err != nil {
		return err
	}
	cfg, err := config.Load(dir, flags)
	if err != nil {
		return err
	}
	return runNode(cmd.Context(), cfg, func(ctx context.Context, rpcURL, opsURL string) {
		var version string
		answers := func() (bool, error) { return callRPC(ctx, rpcURL, "web3_clientVersion", &version) == nil, nil }
		if poll(ctx, 20*time.Millisecond, time.Minute, answers) == nil {
			_ = printBanner(cmd.OutOrStdout(), dir, rpcURL, opsURL) // nobody reads: the node runs on
		}
	})
}

// makeDevHome makes the home of a development chain unless it is there.
func makeDevHome(dir string) error {
	if _, err := os.Stat(config.FilePath(dir)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := makeKeys(dir, ""); err != nil {
		return err
	}
	id, err := readIdentity(dir)
	if err != nil {
		return err
	}
	alloc, err := devAllocations()
	if err != nil {
		return err
	}
	self := []ledger.Validator{{Address: common.HexToAddress(id.Address), PeerID: id.PeerID}}
	g, err := chainOf(ledger.DevChainID, self, alloc)
	if err != nil {
		return err
	}
	g.Development = true
	c := config.Default()
	c.P2P.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	c.Ops.Listen = "127.0.0.1:0"
	c.RPC.CORS = []string{"*"} // any page, as with other development chains: there is nothing to steal
	c.RPC.Faucet = faucetEther
	c.Consensus.MaxIdle = 0
	c.Consensus.MinInterval = time.Millisecond // tests make many blocks
	c.Log.Level = "warn"
	return writeHome(dir, c, g)
}

func printBanner(w io.Writer, dir, rpcURL, opsURL string) error {
	accounts, err := devAccounts()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%s\n\n  RPC       %s\n  chain id  %d\n  status    %s/readyz\n  data      %s\n\n",
		bold(w, "tercet "+version+" development chain"), rpcURL, ledger.DevChainID, opsURL, dir); err != nil {
		return err
	}
	if err := printAccounts(w, accounts); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nReady. Ctrl-C stops it.\n")
	return err
}
