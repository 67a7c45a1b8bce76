package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/spf13/cobra"
)

func newTx() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tx",
		Short: "Send transactions, and see what became of them",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTxSend(), newTxReceipt(), newTxWhy())
	return cmd
}

// sendFlags are those of "tx send" beside those of every command that signs.
type sendFlags struct {
	transactionFlags
	data, raw, nonce, fee string
	noWait                bool
}

func newTxSend() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send [TO]",
		Short: "Send money in a transaction, and wait for it",
		Long: `Send signs a transaction to the address TO, sends it and waits for its receipt, which is
final. Meanwhile it says what the transaction waits for. With --raw it sends one that was
signed elsewhere.

Gas costs nothing. A --fee is offered and not charged: a transaction that offers a tenth
more replaces the one of the same nonce that still waits.

Secrets are not taken from the command line: name a file with --key-file.`,
		Example: `  tercet tx send 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --value 1ether --dev-account 0
  tercet tx send 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --value 5gwei --key-file key.json --password-file password --json
  tercet tx send --raw 0x02f8…`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tx, m, err := f.transaction(cmd.Context(), args)
			if err != nil {
				return err
			}
			if f.noWait {
				return f.submit(cmd, tx, m)
			}
			s, err := f.deliver(cmd.Context(), tx, m)
			return f.print(cmd, s, err)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.data, "data", "", "send this `HEX` along")
	cmd.Flags().StringVar(&f.raw, "raw", "", "send the signed transaction in this `HEX`")
	cmd.Flags().StringVar(&f.nonce, "nonce", "", "use this `NUMBER` instead of the sender's next")
	cmd.Flags().StringVar(&f.fee, "fee", "0", "offer this `AMOUNT` for a unit of gas")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "do not wait for the receipt")
	return cmd
}

// transaction is what is to be sent, signed, and its message.
func (f *sendFlags) transaction(ctx context.Context, args []string) (*types.Transaction, *message, error) {
	if f.raw != "" {
		if len(args) > 0 || f.key != (keyFlags{}) || f.data != "" || f.nonce != "" {
			return nil, nil, usage("--raw is a whole transaction: leave out the recipient and what else would be signed")
		}
		return parseRaw(f.raw)
	}
	if len(args) == 0 {
		return nil, nil, usage("to whom? name an address, or a signed transaction with --raw")
	}
	m, err := f.message(args[0])
	if err != nil {
		return nil, nil, err
	}
	key, err := f.key.key()
	if err != nil {
		return nil, nil, err
	}
	m.from = senderOf(key)
	ctx, cancel := context.WithTimeout(ctx, f.chain.timeout)
	defer cancel()
	tx, err := f.chain.sign(ctx, key, m, nil)
	return tx, m, err
}

// message reads the words of the command line.
func (f *sendFlags) message(to string) (*message, error) {
	m := &message{gas: f.gas}
	a, err := address(to)
	if err != nil {
		return nil, usage("%w", err)
	}
	m.to = &a
	if m.value, err = amount(f.value); err != nil {
		return nil, err
	}
	if m.fee, err = amount(f.fee); err != nil {
		return nil, err
	}
	if f.data != "" {
		if m.data, err = hexutil.Decode(f.data); err != nil {
			return nil, usage("--data %s: write bytes as 0x and hexadecimal digits", f.data)
		}
	}
	if f.nonce != "" {
		n, err := strconv.ParseUint(f.nonce, 0, 64)
		if err != nil {
			return nil, usage("--nonce %s: write a number like 7", f.nonce)
		}
		m.nonce = (*hexutil.Uint64)(&n)
	}
	return m, nil
}

// parseRaw decodes a signed transaction.
func parseRaw(text string) (*types.Transaction, *message, error) {
	raw, err := hexutil.Decode(text)
	tx := new(types.Transaction)
	if err == nil {
		err = tx.UnmarshalBinary(raw)
	}
	if err != nil {
		return nil, nil, usage("--raw is no signed transaction (%w): write its bytes as 0x and hexadecimal digits", err)
	}
	from, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	if err != nil {
		return nil, nil, usage("--raw is a transaction with a bad signature: %w", err)
	}
	return tx, messageOf(tx, from), nil
}

func messageOf(tx *types.Transaction, from common.Address) *message {
	return &message{from: from, to: tx.To(), data: tx.Data(), value: tx.Value(), gas: tx.Gas()}
}

// submit sends a transaction and prints its hash.
func (f *sendFlags) submit(cmd *cobra.Command, tx *types.Transaction, m *message) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), f.chain.timeout)
	defer cancel()
	if err := f.chain.submit(ctx, tx, m.from); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]string{"transaction": tx.Hash().Hex(), "from": m.from.Hex()})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), tx.Hash().Hex())
	return err
}

// deliver sends a transaction and waits for its outcome.
func (f *sendFlags) deliver(ctx context.Context, tx *types.Transaction, m *message) (sent, error) {
	ctx, cancel := context.WithTimeout(ctx, f.chain.timeout)
	defer cancel()
	if err := f.chain.submit(ctx, tx, m.from); err != nil {
		return sent{}, err
	}
	r, err := f.chain.receipt(ctx, tx.Hash())
	if err != nil {
		return sent{}, err
	}
	return f.chain.result(ctx, m, r)
}

// result is an outcome with the reason of a failure.
func (c *chain) result(ctx context.Context, m *message, r *types.Receipt) (sent, error) {
	s := outcome(m, r, nil)
	if r.Status != types.ReceiptStatusSuccessful {
		return s, c.whyReverted(ctx, m, nil, r)
	}
	return s, nil
}

// lookFlags are those of commands that ask about a transaction.
type lookFlags struct {
	chain  chain
	asJSON bool
}

func (f *lookFlags) add(cmd *cobra.Command) {
	f.chain.add(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

func newTxReceipt() *cobra.Command {
	var f lookFlags
	var wait bool
	cmd := &cobra.Command{
		Use:   "receipt HASH",
		Short: "Show what a transaction did",
		Long: `Receipt prints the receipt of a transaction, which is final. Without one it exits with 4
and says why, unless --wait makes it wait. With --json it prints the receipt as the node
gave it.`,
		Example: `  tercet tx receipt 0x5c50…
  tercet tx receipt 0x5c50… --wait --timeout 1m --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			return f.showReceipt(cmd, hash, wait)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until there is one")
	return cmd
}

func (f *lookFlags) showReceipt(cmd *cobra.Command, hash common.Hash, wait bool) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), f.chain.timeout)
	defer cancel()
	if wait {
		if _, err := f.chain.receipt(ctx, hash); err != nil {
			return err
		}
	}
	var raw json.RawMessage
	if err := f.chain.ask(ctx, &raw, "eth_getTransactionReceipt", hash); err != nil {
		return err
	}
	var receipt *types.Receipt
	if err := json.Unmarshal(raw, &receipt); err != nil {
		return fmt.Errorf("reading the receipt of %s: %w", hash, err)
	}
	if receipt == nil {
		var is why
		if err := f.chain.ask(ctx, &is, "tercet_whyNotIncluded", hash); err != nil {
			return notReady("transaction %s has no receipt, and the node does not say why: %w", hash, err)
		}
		return notReady("transaction %s has no receipt: %s", hash, printable(is.Message))
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), raw)
	}
	var tx struct {
		From  common.Address  `json:"from"`
		To    *common.Address `json:"to"`
		Input hexutil.Bytes   `json:"input"`
		Value *hexutil.Big    `json:"value"`
		Gas   hexutil.Uint64  `json:"gas"`
	}
	if err := f.chain.ask(ctx, &tx, "eth_getTransactionByHash", hash); err != nil {
		return err
	}
	m := &message{from: tx.From, to: tx.To, data: tx.Input, value: new(big.Int), gas: uint64(tx.Gas)}
	if tx.Value != nil {
		m.value = tx.Value.ToInt()
	}
	s, err := f.chain.result(ctx, m, receipt)
	text := s.text()
	if reverted, ok := errors.AsType[*revertError](err); ok {
		text, err = text+fmt.Sprintf("%-12s %s\n", "reason", reverted.reason), nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), text)
	return err
}

// why is the answer of tercet_whyNotIncluded that the commands read.
type why struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Also    []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"also"`
}

func newTxWhy() *cobra.Command {
	var f lookFlags
	cmd := &cobra.Command{
		Use:   "why HASH",
		Short: "Say why a transaction is not in a block",
		Long: `Why asks a node (tercet_whyNotIncluded) what became of a transaction: in which block it
is, what it waits for and what to do about it, or why it left the pool. The word in
brackets is a code for programs; docs/rpc.md lists them. Another node may know more.`,
		Example: `  tercet tx why 0x5c50…
  tercet tx why 0x5c50… --json | jq -r .code`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), f.chain.timeout)
			defer cancel()
			var raw json.RawMessage
			if err := f.chain.ask(ctx, &raw, "tercet_whyNotIncluded", hash); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			var is why
			if err := json.Unmarshal(raw, &is); err != nil {
				return fmt.Errorf("reading what became of %s: %w", hash, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (%s)\n", printable(is.Message), printable(is.Code))
			for _, a := range is.Also {
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "also: %s (%s)\n", printable(a.Message), printable(a.Code))
				}
			}
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func parseHash(text string) (common.Hash, error) {
	raw, err := hexutil.Decode(text)
	if err != nil || len(raw) != common.HashLength {
		return common.Hash{}, usage("%q is no transaction's hash: write 0x and 64 hexadecimal digits", text)
	}
	return common.BytesToHash(raw), nil
}
