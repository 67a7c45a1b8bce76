package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/txpool"
)

func newInspect() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect",
		Short: "Look into the data of a stopped node",
		Long: `Inspect reads what a stopped node left in its home, changes nothing and repairs nothing:
how far its blocks, certificates, state, index and safety journal go, what is missing or
damaged, and how much of the disk each takes. With a word it shows one thing:

  block N|HASH|tip   a block
  tx HASH            where a transaction is
  account ADDRESS    an account, and slots of its storage
  logs               the blocks with logs that match
  journal            what the validator promised, view by view

A running node is refused (exit code 3): ask it with "tercet status" and over JSON-RPC.`,
		Example: `  tercet inspect --home ./node
  tercet inspect block tip --home ./node --json`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(func(v *viewed) error { return v.print(cmd, f.asJSON, v.summary) })
		},
	}
	f.add(cmd)
	cmd.AddCommand(newInspectBlock(), newInspectTx(), newInspectAccount(), newInspectLogs(), newInspectJournal())
	return cmd
}

// inspectFlags are those of every command that looks into a home.
type inspectFlags struct {
	home   string
	asJSON bool
}

func (f *inspectFlags) add(cmd *cobra.Command) {
	homeFlag(cmd, &f.home)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// viewed is the home of a stopped node, opened for reading.
type viewed struct {
	home     string
	genesis  *ledger.Genesis
	hash     common.Hash // of the genesis
	store    *store.Store
	problems []store.Problem
}

// with opens the home, which no other process may use meanwhile.
func (f *inspectFlags) with(do func(*viewed) error) (err error) {
	home, err := homeDir(f.home)
	if err != nil {
		return err
	}
	v := &viewed{home: home}
	if v.genesis, err = node.ReadGenesis(home); err != nil {
		return err
	}
	if v.hash, err = node.GenesisHash(v.genesis); err != nil {
		return err
	}
	unlock, err := lockHome(home)
	if err != nil {
		return err
	}
	defer unlock()
	opts := store.Options{Genesis: v.genesis, Logger: slog.New(slog.DiscardHandler)}
	v.store, v.problems, err = store.OpenReadOnly(config.DataDir(home), opts)
	switch {
	case errors.Is(err, store.ErrLocked):
		return inUse("another process uses %s: stop it first: %w", config.DataDir(home), err)
	case errors.Is(err, fs.ErrNotExist):
		return coded(exitStorage, fmt.Errorf("%s has no data: it never ran, or it is no home of a node", home))
	case err != nil:
		return coded(exitStorage, fmt.Errorf("reading %s: %w", config.DataDir(home), err))
	}
	defer func() { err = errors.Join(err, v.store.Close()) }()
	return do(v)
}

// shown is what can be printed as text and as JSON. Implementations: summaryJSON, blockView and the other views.
type shown interface{ rows() [][]string }

// print makes something and writes it.
func (v *viewed) print(cmd *cobra.Command, asJSON bool, see func() (shown, error)) error {
	out, err := see()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	for _, row := range out.rows() {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-16s %s\n", row[0], printable(row[1])); err != nil {
			return err
		}
	}
	return nil
}

// summaryJSON is how far everything goes. Heights are null when there is nothing.
type summaryJSON struct {
	Home      string      `json:"home"`
	ChainID   uint64      `json:"chainId"`
	Genesis   common.Hash `json:"genesisHash"`
	Height    *uint64     `json:"height"`
	Hash      common.Hash `json:"hash"`
	StateRoot common.Hash `json:"stateRoot"`
	TimeMs    uint64      `json:"timeMs"`
	Finalized *uint64     `json:"finalization"` // highest height with one of its own
	Certified *uint64     `json:"certified"`
	State     *uint64     `json:"state"`
	Index     *uint64     `json:"index"`
	Evidence  int         `json:"evidence"`
	Journal   journalJSON `json:"journal"`
	Pool      int         `json:"poolJournal"` // transactions
	Problems  []string    `json:"problems"`
	Bytes     []sizeJSON  `json:"bytes"`
}

type journalJSON struct {
	Records int    `json:"records"`
	Epoch   uint64 `json:"epoch"` // of the newest record
	First   uint64 `json:"firstView"`
	Last    uint64 `json:"lastView"`
	Follows bool   `json:"follows"` // the validator lost its votes and has not voted since
	Error   string `json:"error,omitempty"`
}

type sizeJSON struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

func some(height uint64, ok bool) *uint64 {
	if !ok {
		return nil
	}
	return &height
}

func (v *viewed) summary() (shown, error) {
	s := v.store
	out := &summaryJSON{
		Home: v.home, ChainID: v.genesis.ChainID, Genesis: v.hash, Height: some(s.Tip()), Finalized: some(s.FinalTip()),
		Certified: some(s.ExecCertTip()), Index: some(s.IndexProgress()), Problems: []string{},
	}
	if m, ok := s.StateMarker(); ok {
		out.State = &m.LastHeight
	}
	if out.Height != nil {
		h, err := s.Header(*out.Height)
		if err != nil {
			return nil, err
		}
		out.Hash, out.StateRoot = h.Hash(), h.Root
		out.TimeMs, _ = ledger.HeaderTimeMs(h) // it was checked when it was stored
	}
	proofs, err := s.Evidence()
	if err != nil {
		return nil, err
	}
	out.Evidence = len(proofs)
	for _, p := range v.problems {
		out.Problems = append(out.Problems, fmt.Sprintf("%s: %v", p.Database, p.Err))
	}
	records, err := v.journal()
	out.Journal = summarise(records, err)
	out.Pool, err = waitingIn(config.PoolJournalPath(v.home))
	if err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	out.Bytes, err = sizes(config.DataDir(v.home))
	return out, err
}

// waitingIn counts the transactions in a pool's journal.
func waitingIn(path string) (n int, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil {
		_, err = txpool.Records(raw, func([]byte) { n++ })
	}
	if err != nil {
		return 0, fmt.Errorf("pool.journal: %w", err)
	}
	return n, nil
}

func (v *viewed) journal() ([]consensus.Record, error) {
	return wal.Read(config.WALDir(v.home), wal.Options{Network: v.hash})
}

func summarise(records []consensus.Record, err error) journalJSON {
	if err != nil {
		return journalJSON{Error: err.Error()}
	}
	out := journalJSON{Records: len(records)}
	if len(records) > 0 {
		last := records[len(records)-1]
		out.Epoch, out.First, out.Follows = last.Epoch, records[0].View, last.Type == consensus.RecordAmnesia
		for _, r := range records {
			out.First, out.Last = min(out.First, r.View), max(out.Last, r.View)
		}
	}
	return out
}

// sizes are those of what lies in a directory, and their sum.
func sizes(dir string) ([]sizeJSON, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	out := []sizeJSON{}
	var sum int64
	for _, e := range entries {
		var bytes int64
		err := filepath.WalkDir(filepath.Join(dir, e.Name()), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				bytes += info.Size()
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", dir, err)
		}
		if bytes > 0 {
			out = append(out, sizeJSON{e.Name(), bytes})
			sum += bytes
		}
	}
	return append(out, sizeJSON{"all", sum}), nil
}

func heightText(h *uint64) string {
	if h == nil {
		return "none"
	}
	return strconv.FormatUint(*h, 10)
}

func stamp(ms uint64) string {
	return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000Z")
}

func (s *summaryJSON) rows() [][]string {
	rows := [][]string{{"home", s.Home}, {"chain", fmt.Sprintf("%d, genesis %s", s.ChainID, s.Genesis)}}
	if s.Height == nil {
		rows = append(rows, []string{"head", "none: only the genesis"})
	} else {
		rows = append(rows, []string{"head", fmt.Sprintf("%d of %s, %s", *s.Height, stamp(s.TimeMs), s.Hash)}, []string{"state root", s.StateRoot.Hex()})
	}
	rows = append(rows,
		[]string{"finalization", heightText(s.Finalized)}, []string{"certified", heightText(s.Certified)},
		[]string{"state", heightText(s.State)}, []string{"index", heightText(s.Index)}, []string{"evidence", strconv.Itoa(s.Evidence)})
	switch j := s.Journal; {
	case j.Error != "":
		rows = append(rows, []string{"safety journal", j.Error})
	case j.Records == 0:
		rows = append(rows, []string{"safety journal", "empty"})
	default:
		text := fmt.Sprintf("%d records of views %d to %d in epoch %d", j.Records, j.First, j.Last, j.Epoch)
		if j.Follows {
			text += ", after a loss: the validator follows"
		}
		rows = append(rows, []string{"safety journal", text})
	}
	rows = append(rows, []string{"pool journal", fmt.Sprintf("%d transactions, those executed since the start among them", s.Pool)})
	for _, b := range s.Bytes {
		rows = append(rows, []string{"bytes", fmt.Sprintf("%12d %s", b.Bytes, b.Name)})
	}
	for _, p := range s.Problems {
		rows = append(rows, []string{"problem", p})
	}
	return rows
}
