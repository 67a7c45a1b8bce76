package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node/config"
)

func newTestnet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "testnet",
		Short: "Run a network of several validators on this machine, and break it",
		Long: `Testnet runs a network of validators as real processes on this machine: no root, no
Docker, nothing to configure. Everything is in one directory (default
~/.tercet/testnet, or --dir):

  network.json       what scripts need: chain id, nodes with URLs and pids, accounts with keys
  genesis.json       the chain
  bin/tercet         the program that the nodes run
  node1/ node2/ …    the homes, each with its node.log

Node i has its JSON-RPC on port BASE+10(i-1), its peers on the next port and its
operations (/readyz, /metrics) on the one after; BASE is 8545.`,
		Example: `  tercet testnet up                    # four validators, until Ctrl-C
  tercet testnet up --detach           # … in the background
  tercet testnet status
  tercet testnet kill leader           # kill -9
  tercet testnet restart all
  tercet testnet logs node1 -f
  tercet testnet down`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUp(), newDown(), newTestnetStatus(), newLogs(), newKill(), newRestart(), newWipe())
	return cmd
}

// nodeStatus is what the commands read of a node's answer to tercet_status.
type nodeStatus struct {
	Height    number `json:"height"`
	Certified number `json:"certified"`
	View      number `json:"view"`
	Leader    string `json:"leader"`
	Peers     number `json:"peers"`
	// Reasons say why the node is not ready, each after a code and a colon.
	Reasons []string `json:"reasons"`
}

// notVoting is the code of a validator that follows after a loss.
const notVoting = "not_voting:"

// nodeReport is one line of "testnet status".
type nodeReport struct {
	Name      string `json:"name"`
	PID       int    `json:"pid"`
	Running   bool   `json:"running"`
	RPC       string `json:"rpc"`
	Ops       string `json:"ops"`
	Address   string `json:"address"`
	Height    uint64 `json:"height"`
	Certified uint64 `json:"certified"`
	View      uint64 `json:"view"`
	Leader    string `json:"leader"` // name of the leader of the view, as this node sees it
	Peers     uint64 `json:"peers"`
	// Reasons say why it should not be asked, if it should not.
	Reasons []string `json:"reasons,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// report asks all nodes at once where they stand.
func (n *network) report(ctx context.Context) []nodeReport {
	reports := make([]nodeReport, len(n.Nodes))
	names := map[common.Address]string{} // by validator
	for i, node := range n.Nodes {
		reports[i] = nodeReport{Name: node.Name, PID: node.PID, Running: n.alive(i), RPC: node.RPC, Ops: node.Ops}
		if address, _, err := config.ValidatorIdentity(node.Home); err == nil {
			reports[i].Address = address.Hex()
			names[address] = node.Name
		}
	}
	var wg sync.WaitGroup
	for i := range reports {
		if r := &reports[i]; r.Running {
			wg.Go(func() { r.ask(ctx, names) })
		} else {
			r.PID, r.Error = 0, "stopped"
		}
	}
	wg.Wait()
	return reports
}

func (r *nodeReport) ask(ctx context.Context, names map[common.Address]string) {
	var s nodeStatus
	if err := callRPC(ctx, r.RPC, "tercet_status", &s); err != nil {
		r.Error = err.Error()
		return
	}
	r.Height, r.Certified, r.View, r.Peers = uint64(s.Height), uint64(s.Certified), uint64(s.View), uint64(s.Peers)
	r.Leader, r.Reasons = s.Leader, s.Reasons
	if name, ok := names[common.HexToAddress(s.Leader)]; ok {
		r.Leader = name
	}
}

// leader names the leader of the highest view that a node reports.
func leader(reports []nodeReport) (name string, ok bool) {
	var view uint64
	for _, r := range reports {
		if r.Error == "" && r.Leader != "" && (!ok || r.View > view) {
			name, view, ok = r.Leader, r.View, true
		}
	}
	return name, ok
}

func printReports(w io.Writer, reports []nodeReport) error {
	rows := [][]string{{"NAME", "PID", "RPC", "OPS", "HEIGHT", "CERTIFIED", "VIEW", "LEADER", "PEERS"}}
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	for _, r := range reports {
		row := []string{r.Name, strconv.Itoa(r.PID), r.RPC, r.Ops}
		switch {
		case !r.Running:
			row[1] = "-"
			row = append(row, "stopped", "", "", "", "")
		case r.Error != "":
			row = append(row, "no answer", "", "", "", "")
		default:
			row = append(row, u(r.Height), u(r.Certified), u(r.View), r.Leader, u(r.Peers))
		}
		rows = append(rows, row)
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	for _, r := range reports {
		for _, reason := range r.Reasons {
			if _, err := fmt.Fprintf(w, "%s: %s\n", r.Name, reason); err != nil {
				return err
			}
		}
	}
	return nil
}

func newTestnetStatus() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which nodes run and where they stand",
		Long: `Status shows the processes of a test network and asks each for its height (final and
executed), certified height, view, leader and peers. Lines below the table say why a
node is not ready, for example what a validator waits for that lost its votes. It
exits with 4 when a node is stopped or does not answer.`,
		Example: `  tercet testnet status
  tercet testnet status --json | jq '[.nodes[].height]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := openNetwork(dir)
			if err != nil {
				return err
			}
			reports := n.report(cmd.Context())
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), struct {
					ChainID uint64       `json:"chainId"`
					Nodes   []nodeReport `json:"nodes"`
				}{n.ChainID, reports})
			} else {
				err = printReports(cmd.OutOrStdout(), reports)
			}
			if err != nil {
				return err
			}
			return unwell(n, reports)
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// unwell names the first node that does not answer.
func unwell(n *network, reports []nodeReport) error {
	for _, r := range reports {
		switch {
		case !r.Running:
			return notReady("%s is stopped: start it with \"tercet testnet restart %s --dir %s\"", r.Name, r.Name, n.dir)
		case r.Error != "":
			return notReady("%s does not answer (%s): see \"tercet testnet logs %s --dir %s\"", r.Name, r.Error, r.Name, n.dir)
		}
	}
	return nil
}

func (n *network) describe(i int) string {
	return fmt.Sprintf("%s (pid %d)", n.Nodes[i].Name, n.Nodes[i].PID)
}
