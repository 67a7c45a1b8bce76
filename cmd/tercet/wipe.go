package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
)

func newWipe() *cobra.Command {
	var dir string
	var everything, forget bool
	cmd := &cobra.Command{
		Use:   "wipe NAME… | all",
		Short: "Stop nodes and delete their state, or all their data",
		Long: `Wipe stops the named nodes and deletes data/state.ldb and data/index.ldb, which a node
rebuilds from its blocks at the next start. With --all it deletes the blocks too, which
a node then fetches from the others.

The safety journal (data/consensus.wal) stays in both cases: it remembers what the
validator voted for. A validator without it has amnesia and might vote twice in one
view, which makes it a Byzantine node: a network of 3f+1 validators bears f of them,
and with more of them two different blocks can become final at one height. With
--forget-votes wipe replaces the journal by a new one. After "testnet restart" the
node then follows without voting until every view in which it may have voted is over,
and votes again by itself. It must have heard a quorum of the others for that, of four
nodes all the other three; "testnet status" says what it waits for. wipe refuses to
let more than f validators forget at a time, those included that an earlier wipe made
forget and that do not vote yet: the rest would be too few to go on. "wipe all --all
--forget-votes" is the exception: nobody remembers anything, and the chain starts
again from its genesis.

Keys, genesis and configuration stay. Start the nodes with "testnet restart".`,
		Example: `  tercet testnet wipe node2 && tercet testnet restart node2
  tercet testnet wipe node3 --all --forget-votes
  tercet testnet wipe all --all --forget-votes     # the same network from block 0`,
		Args: someNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := openNetwork(dir)
			if err != nil {
				return err
			}
			return n.change(cmd, func(n *network) error { return n.wipe(cmd.Context(), args, everything, forget) })
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&everything, "all", false, "delete the blocks too, not only what is rebuilt from them")
	cmd.Flags().BoolVar(&forget, "forget-votes", false, "replace the safety journal too; read above first")
	return cmd
}

func (n *network) wipe(ctx context.Context, names []string, everything, forget bool) error {
	nodes, err := n.selectNodes(names)
	if err != nil {
		return err
	}
	fresh := everything && len(nodes) == len(n.Nodes) // nobody will have a block
	if fresh && !forget {
		return usage("journals of votes for blocks that nobody has would stop the chain: wipe fewer nodes, or begin again from block 0 with --forget-votes")
	}
	if forget && !fresh {
		if err := n.mayForget(ctx, nodes); err != nil {
			return err
		}
	}
	if err := n.stop(ctx, nodes, false); err != nil {
		return err
	}
	for _, i := range nodes {
		home := n.Nodes[i].Home
		deleted, err := wipeData(home, everything)
		if err != nil {
			return fmt.Errorf("wiping %s: %w", n.Nodes[i].Name, err)
		}
		if forget {
			if err := newJournal(home, fresh); err != nil {
				return fmt.Errorf("wiping %s: %w", n.Nodes[i].Name, err)
			}
			deleted = append(deleted, "its safety journal")
		}
		progress("%s is stopped and lost %s: start it with \"tercet testnet restart %s --dir %s\"",
			n.Nodes[i].Name, strings.Join(deleted, ", "), n.Nodes[i].Name, n.dir)
	}
	return nil
}

// mayForget refuses to let more validators forget their votes than the network bears, counting those that
// do not vote yet after an earlier loss.
func (n *network) mayForget(ctx context.Context, nodes []int) error {
	bears := (len(n.Nodes) - 1) / 3
	if bears == 0 {
		return usage("a network of %d cannot go on while a validator that forgot its votes follows: begin again from block 0 with \"tercet testnet wipe all --all --forget-votes --dir %s\", or use four nodes or more", len(n.Nodes), n.dir)
	}
	var following []string
	reports := n.report(ctx)
	for i, r := range reports {
		if slices.Contains(nodes, i) {
			continue
		}
		forgot := slices.ContainsFunc(r.Reasons, func(s string) bool { return strings.HasPrefix(s, notVoting) })
		if !r.Running {
			var err error
			if forgot, err = follows(n.Nodes[i].Home); err != nil {
				return fmt.Errorf("looking whether %s votes: %w", r.Name, err)
			}
		}
		if forgot {
			following = append(following, r.Name)
		}
	}
	if len(nodes)+len(following) <= bears {
		return nil
	}
	also := ""
	if len(following) > 0 {
		also = fmt.Sprintf(", and %s does not vote yet after an earlier loss", strings.Join(following, ", "))
	}
	return usage("a network of %d bears %d validators without their votes at a time, not %d%s: the others would be too few to go on. Wipe fewer, wait until \"tercet testnet status --dir %s\" says no more that one follows, or begin again from block 0 with \"wipe all --all --forget-votes\"",
		len(n.Nodes), bears, len(nodes)+len(following), also, n.dir)
}

// follows reports whether a node that does not run lost its votes and has not voted since.
func follows(home string) (bool, error) {
	g, err := node.ReadGenesis(home)
	if err != nil {
		return false, err
	}
	return node.Follows(home, g)
}

// wipeData deletes databases, those that an earlier start moved aside included, and
// names them.
func wipeData(home string, everything bool) ([]string, error) {
	entries, err := os.ReadDir(config.DataDir(home))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	deleted := []string{}
	for _, e := range entries {
		derived := strings.HasPrefix(e.Name(), "state.ldb") || strings.HasPrefix(e.Name(), "index.ldb")
		if !derived && (!everything || !strings.HasPrefix(e.Name(), "blocks.ldb")) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(config.DataDir(home), e.Name())); err != nil {
			return nil, err
		}
		deleted = append(deleted, e.Name())
	}
	return deleted, nil
}

// newJournal replaces the safety journal: an empty one where the chain begins anew,
// otherwise one that knows of the loss.
func newJournal(home string, fresh bool) error {
	g, err := node.ReadGenesis(home)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(config.WALDir(home)); err != nil {
		return err
	}
	if fresh {
		return node.CreateLog(home, g)
	}
	return node.CreateLogAfterLoss(home, g)
}
