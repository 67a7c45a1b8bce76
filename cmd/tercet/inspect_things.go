package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

// blockView is a block as it lies in blocks.ldb.
type blockView struct {
	Height        uint64         `json:"height"`
	Hash          common.Hash    `json:"hash"`
	ParentHash    common.Hash    `json:"parentHash"`
	StateRoot     common.Hash    `json:"stateRoot"`
	TimeMs        uint64         `json:"timeMs"`
	View          uint64         `json:"view"`
	Proposer      common.Address `json:"proposer"`
	ConsensusHash common.Hash    `json:"consensusHash"`
	GasUsed       uint64         `json:"gasUsed"`
	Transactions  []txView       `json:"transactions"`
	Drops         []dropView     `json:"drops"`
	Finalization  bool           `json:"finalization"` // one of its own
	Certificate   bool           `json:"certificate"`  // one of its own
}

type txView struct {
	Hash    common.Hash     `json:"hash"`
	From    common.Address  `json:"from"`
	To      *common.Address `json:"to"`
	Nonce   uint64          `json:"nonce"`
	Value   string          `json:"value"` // decimal, in wei
	Status  uint64          `json:"status"`
	GasUsed uint64          `json:"gasUsed"`
	Logs    int             `json:"logs"`
}

type dropView struct {
	Hash   common.Hash `json:"hash"`
	Reason string      `json:"reason"`
}

func newInspectBlock() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:     "block N|HASH|tip",
		Short:   "Show a block of a stopped node",
		Example: "  tercet inspect block 7 --home ./node --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(func(v *viewed) error {
				return v.print(cmd, f.asJSON, func() (shown, error) { return v.block(args[0]) })
			})
		},
	}
	f.add(cmd)
	return cmd
}

// notThere says that the data do not have what was asked for.
func notThere(format string, args ...any) error {
	return coded(exitFailure, fmt.Errorf(format+": it is not in this node's data", args...))
}

// height resolves a block's number, hash or the word tip.
func (v *viewed) height(text string) (uint64, error) {
	if text == "tip" {
		tip, ok := v.store.Tip()
		if !ok {
			return 0, notThere("the tip")
		}
		return tip, nil
	}
	if hash, err := parseHash(text); err == nil {
		height, err := v.store.HeightByHash(hash)
		if errors.Is(err, store.ErrNotFound) {
			return 0, notThere("block %s", hash)
		}
		return height, err
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return 0, usage("%q is no block: write a number, a hash or tip", text)
	}
	return n, nil
}

func (v *viewed) block(text string) (shown, error) {
	height, err := v.height(text)
	if err != nil {
		return nil, err
	}
	b, err := v.store.Block(height)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notThere("block %d", height)
	}
	if err != nil {
		return nil, err
	}
	out := &blockView{
		Height: height, Hash: b.Header.Hash(), ParentHash: b.Header.ParentHash, StateRoot: b.Header.Root, TimeMs: b.Ordered.TimeMs,
		View: b.Ordered.View, Proposer: b.Ordered.Proposer, ConsensusHash: b.Ordered.Hash, GasUsed: b.Header.GasUsed,
		Transactions: []txView{}, Drops: []dropView{},
	}
	for i, tx := range b.Transactions {
		r := b.Receipts[i]
		out.Transactions = append(out.Transactions, txView{tx.Hash(), tx.From(), tx.To(), tx.Nonce(), tx.Value().Dec(), r.Status, r.GasUsed, len(r.Logs)})
	}
	for _, d := range b.Drops {
		out.Drops = append(out.Drops, dropView{d.Hash, d.Reason.String()})
	}
	out.Finalization, err = v.has(v.store.Finalization(height))
	if err == nil {
		out.Certificate, err = v.has(v.store.ExecCert(height))
	}
	return out, err
}

func (v *viewed) has(_ []byte, err error) (bool, error) {
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (b *blockView) rows() [][]string {
	own := func(has bool) string {
		if has {
			return "of its own"
		}
		return "by a later block, if at all"
	}
	rows := [][]string{
		{"block", fmt.Sprintf("%d of %s", b.Height, stamp(b.TimeMs))},
		{"hash", b.Hash.Hex()},
		{"parent", b.ParentHash.Hex()},
		{"state root", b.StateRoot.Hex()},
		{"ordered as", fmt.Sprintf("%s in view %d", b.ConsensusHash, b.View)},
		{"proposer", b.Proposer.Hex()},
		{"finalization", own(b.Finalization)},
		{"certificate", own(b.Certificate)},
		{"gas used", strconv.FormatUint(b.GasUsed, 10)},
	}
	for _, tx := range b.Transactions {
		to := "nobody"
		if tx.To != nil {
			to = tx.To.Hex()
		}
		rows = append(rows, []string{"transaction", fmt.Sprintf("%s of %s, nonce %d, to %s, %s wei, status %d, %d logs", tx.Hash, tx.From, tx.Nonce, to, tx.Value, tx.Status, tx.Logs)})
	}
	for _, d := range b.Drops {
		rows = append(rows, []string{"drop", fmt.Sprintf("%s: %s", d.Hash, d.Reason)})
	}
	return rows
}

// positionView is where a transaction was ordered.
type positionView struct {
	Hash    common.Hash `json:"hash"`
	Height  uint64      `json:"height"`
	Index   uint32      `json:"index"`             // among the executed ones
	Dropped string      `json:"dropped,omitempty"` // why it was not executed
}

func (p *positionView) rows() [][]string {
	rows := [][]string{{"transaction", p.Hash.Hex()}, {"block", strconv.FormatUint(p.Height, 10)}}
	if p.Dropped != "" {
		return append(rows, []string{"dropped", p.Dropped})
	}
	return append(rows, []string{"number", strconv.FormatUint(uint64(p.Index), 10)})
}

func newInspectTx() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:     "tx HASH",
		Short:   "Find a transaction in the index of a stopped node",
		Example: "  tercet inspect tx 0x5c50… --home ./node",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			return f.with(func(v *viewed) error {
				return v.print(cmd, f.asJSON, func() (shown, error) {
					p, err := v.store.Transaction(hash)
					if errors.Is(err, store.ErrNotFound) {
						progress, _ := v.store.IndexProgress()
						return nil, fmt.Errorf("%w up to block %d, where the index ends", notThere("transaction %s", hash), progress)
					}
					if err != nil {
						return nil, err
					}
					out := &positionView{Hash: hash, Height: p.Height, Index: p.Index}
					if p.Dropped != 0 {
						out.Dropped = p.Dropped.String()
					}
					return out, nil
				})
			})
		},
	}
	f.add(cmd)
	return cmd
}

// accountView is an account in the flat state.
type accountView struct {
	Address  common.Address `json:"address"`
	Height   uint64         `json:"height"` // of the flat state
	Exists   bool           `json:"exists"`
	Nonce    uint64         `json:"nonce"`
	Balance  string         `json:"balance"` // decimal, in wei
	CodeHash common.Hash    `json:"codeHash"`
	Storage  []provenSlot   `json:"storage"`
}

func (a *accountView) rows() [][]string {
	rows := [][]string{{"account", a.Address.Hex()}, {"state", fmt.Sprintf("after block %d", a.Height)}}
	if !a.Exists {
		rows = append(rows, []string{"empty", "it has no nonce, balance or code"})
	}
	rows = append(rows, []string{"nonce", strconv.FormatUint(a.Nonce, 10)}, []string{"balance", a.Balance + " wei"})
	if a.CodeHash != (common.Hash{}) {
		rows = append(rows, []string{"code hash", a.CodeHash.Hex()})
	}
	for _, s := range a.Storage {
		rows = append(rows, []string{"slot", fmt.Sprintf("%s is %s", s.Slot, s.Value)})
	}
	return rows
}

func newInspectAccount() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:     "account ADDRESS [SLOT…]",
		Short:   "Show an account in the state of a stopped node",
		Example: "  tercet inspect account 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --home ./node",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := address(args[0])
			if err != nil {
				return usage("%w", err)
			}
			return f.with(func(v *viewed) error {
				return v.print(cmd, f.asJSON, func() (shown, error) { return v.account(at, args[1:]) })
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (v *viewed) account(at common.Address, slots []string) (shown, error) {
	m, ok := v.store.StateMarker()
	if !ok {
		return nil, notThere("a state")
	}
	value, err := v.store.StateValue(ledger.AccountKey(at))
	if err != nil {
		return nil, err
	}
	a, err := ledger.DecodeAccount(value)
	if err != nil {
		return nil, err
	}
	out := &accountView{Address: at, Height: m.LastHeight, Exists: len(value) > 0, Nonce: a.Nonce, Balance: a.Balance.Dec(), CodeHash: a.CodeHash, Storage: []provenSlot{}}
	for _, text := range slots {
		n, err := integer(text)
		if err != nil || n.Sign() < 0 || n.BitLen() > 256 {
			return nil, usage("%q is no slot: write a number like 2 or 0x02", text)
		}
		slot := common.BigToHash(n)
		value, err := v.store.StateValue(ledger.StorageKey(at, slot))
		if err != nil {
			return nil, err
		}
		word, err := ledger.DecodeSlot(value)
		if err != nil {
			return nil, err
		}
		out.Storage = append(out.Storage, provenSlot{slot, word})
	}
	return out, nil
}
