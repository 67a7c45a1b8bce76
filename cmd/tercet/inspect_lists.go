package main

import (
	"fmt"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/ledger/store"
)

// logsView is where logs are.
type logsView struct {
	From    uint64     `json:"from"`
	To      uint64     `json:"to"`
	Indexed *uint64    `json:"indexed"` // where the index ends
	Blocks  []logsInto `json:"blocks"`
}

type logsInto struct {
	Height uint64    `json:"height"`
	Logs   []logView `json:"logs"`
}

type logView struct {
	Index   uint           `json:"index"`
	Address common.Address `json:"address"`
	Topics  []common.Hash  `json:"topics"`
	Bytes   int            `json:"bytes"` // of data
}

func (l *logsView) rows() [][]string {
	rows := [][]string{{"blocks", fmt.Sprintf("%d to %d, %d with logs that match", l.From, l.To, len(l.Blocks))}, {"index", heightText(l.Indexed)}}
	for _, b := range l.Blocks {
		for _, log := range b.Logs {
			rows = append(rows, []string{"block " + strconv.FormatUint(b.Height, 10), fmt.Sprintf("log %d of %s, topics %v, %d bytes", log.Index, log.Address, log.Topics, log.Bytes)})
		}
	}
	return rows
}

// maxShownBlocks bounds the blocks whose logs one command shows.
const maxShownBlocks = 1000

func newInspectLogs() *cobra.Command {
	var f inspectFlags
	var addresses, topics []string
	var from, to uint64
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Find logs in the index of a stopped node",
		Long: `Logs finds the blocks with logs of a contract or with a topic at the first place, as the
index has them, and shows those logs: of at most 1,000 blocks.`,
		Example: "  tercet inspect logs --address 0x5FbDB2315678afecb367f032d93F642f64180aa3 --home ./node",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := logQuery(addresses, topics)
			if err != nil {
				return err
			}
			return f.with(func(v *viewed) error {
				return v.print(cmd, f.asJSON, func() (shown, error) { return v.logs(q, from, to) })
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&addresses, "address", nil, "`ADDRESS` of a contract; may be repeated")
	cmd.Flags().StringArrayVar(&topics, "topic", nil, "first topic, a `HASH`; may be repeated")
	cmd.Flags().Uint64Var(&from, "from", 0, "first block")
	cmd.Flags().Uint64Var(&to, "to", 0, "last block (default: the newest)")
	return cmd
}

func logQuery(addresses, topics []string) (store.LogQuery, error) {
	var q store.LogQuery
	for _, text := range addresses {
		a, err := address(text)
		if err != nil {
			return q, usage("--address: %w", err)
		}
		q.Addresses = append(q.Addresses, a)
	}
	for _, text := range topics {
		hash, err := parseHash(text)
		if err != nil {
			return q, usage("--topic %s: write 0x and 64 hexadecimal digits", text)
		}
		if q.Topics == nil {
			q.Topics = make([][]common.Hash, 1)
		}
		q.Topics[0] = append(q.Topics[0], hash)
	}
	return q, nil
}

func (v *viewed) logs(q store.LogQuery, from, to uint64) (shown, error) {
	tip, ok := v.store.Tip()
	if !ok {
		return nil, notThere("any block")
	}
	if to == 0 || to > tip {
		to = tip
	}
	if to >= store.MaxLogRange {
		from = max(from, to+1-store.MaxLogRange)
	}
	heights, err := v.store.LogBlocks(q, from, to)
	if err != nil {
		return nil, err
	}
	out := &logsView{From: from, To: to, Indexed: some(v.store.IndexProgress()), Blocks: []logsInto{}}
	for _, height := range heights[:min(len(heights), maxShownBlocks)] {
		logs, err := v.store.Logs(q, height)
		if err != nil {
			return nil, err
		}
		into := logsInto{Height: height, Logs: []logView{}}
		for _, l := range logs {
			into.Logs = append(into.Logs, logView{l.Index, l.Address, l.Topics, len(l.Data)})
		}
		out.Blocks = append(out.Blocks, into)
	}
	return out, nil
}

// recordsView is the end of a safety journal.
type recordsView struct {
	Records int          `json:"records"`
	Last    []recordView `json:"last"`
}

type recordView struct {
	Type  string `json:"type"`
	Epoch uint64 `json:"epoch"`
	View  uint64 `json:"view"`
	Bytes int    `json:"bytes"`
}

func (r *recordsView) rows() [][]string {
	rows := [][]string{{"records", fmt.Sprintf("%d, the last %d:", r.Records, len(r.Last))}}
	for _, one := range r.Last {
		rows = append(rows, []string{"view " + strconv.FormatUint(one.View, 10), fmt.Sprintf("%s, %d bytes", one.Type, one.Bytes)})
	}
	return rows
}

func newInspectJournal() *cobra.Command {
	var f inspectFlags
	var last int
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Show what a stopped validator promised",
		Long: `Journal reads the safety journal of a stopped validator: a record for each vote that it
may have sent. It changes nothing; a torn tail is left for the next start.`,
		Example: "  tercet inspect journal --last 50 --home ./node",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(func(v *viewed) error {
				return v.print(cmd, f.asJSON, func() (shown, error) {
					records, err := v.journal()
					if err != nil {
						return nil, err
					}
					out := &recordsView{Records: len(records), Last: []recordView{}}
					for _, r := range records[max(0, len(records)-max(last, 0)):] {
						out.Last = append(out.Last, recordView{r.Type.String(), r.Epoch, r.View, len(r.Data)})
					}
					return out, nil
				})
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&last, "last", 20, "how many of the newest records to show")
	return cmd
}
