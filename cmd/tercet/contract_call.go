package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"
)

func newContractCall() *cobra.Command {
	var c chain
	var from, value, block, abiFile string
	var gas uint64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "call ADDRESS FUNCTION [ARGUMENT…]",
		Short: "Ask a contract, without a transaction",
		Long: `Call runs a function of a contract on a node (eth_call) and prints what it returns,
one value on a line. Nothing is changed and nobody signs.

FUNCTION is a signature, with what it returns behind it: balanceOf(address)(uint256).
With --abi its name is enough, and errors of the contract's own are explained.
Arguments are written as for "tercet contract deploy".`,
		Example: `  tercet contract call 0x5FbDB2315678afecb367f032d93F642f64180aa3 'count()(uint256)'
  tercet contract call 0x5FbDB2315678afecb367f032d93F642f64180aa3 balanceOf 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --abi build/token.json`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := parseTarget(args, abiFile)
			if err != nil {
				return err
			}
			m := &message{to: &t.address, data: t.data, gas: gas}
			if m.value, err = amount(value); err != nil {
				return err
			}
			if from != "" {
				if m.from, err = address(from); err != nil {
					return usage("--from: %w", err)
				}
			}
			result, outputs, err := c.call(cmd.Context(), m, t, blockTag(block))
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Outputs []argument `json:"outputs"`
					Data    string     `json:"data"`
				}{outputs, result.String()})
			}
			return printOutputs(cmd, t.function, result, outputs)
		},
	}
	c.add(cmd)
	cmd.Flags().StringVar(&from, "from", "", "`ADDRESS` that calls (default: the zero address)")
	cmd.Flags().StringVar(&value, "value", "0", "send this `AMOUNT` of wei along, as in 5 or 0.5ether")
	cmd.Flags().StringVar(&block, "block", "latest", "state of this `BLOCK`: a number, or latest, pending, finalized")
	cmd.Flags().Uint64Var(&gas, "gas", 0, "gas limit (default: the node's)")
	cmd.Flags().StringVar(&abiFile, "abi", "", "artifact or ABI `file` of the contract")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newContractSend() *cobra.Command {
	var f transactionFlags
	cmd := &cobra.Command{
		Use:   "send ADDRESS FUNCTION [ARGUMENT…]",
		Short: "Call a contract in a transaction, and wait for it",
		Long: `Send calls a function of a contract in a transaction, waits for its receipt, which is
final, and prints what came of it. It exits with 1 if the call reverts, and says why.

FUNCTION is a signature like transfer(address,uint256). With --abi its name is enough,
and logs and errors of the contract's own are explained. Arguments are written as for
"tercet contract deploy".`,
		Example: `  tercet contract send 0x5FbDB2315678afecb367f032d93F642f64180aa3 'increment()' --dev-account 0
  tercet contract send 0x5FbDB2315678afecb367f032d93F642f64180aa3 set 7 --abi build/counter.json --key-file key --json`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := parseTarget(args, f.abiFile)
			if err != nil {
				return err
			}
			if err := f.chain.wantCode(cmd.Context(), t.address, "latest"); err != nil {
				return err
			}
			s, err := f.send(cmd.Context(), &message{to: &t.address, data: t.data}, t.abi)
			return f.print(cmd, s, err)
		},
	}
	f.add(cmd)
	return cmd
}

// target is a function of a contract with its arguments, as the words of a command line name it.
type target struct {
	address  common.Address
	function abiEntry
	abi      contractABI // nil without --abi
	data     []byte
}

func parseTarget(words []string, abiFile string) (*target, error) {
	var t target
	var err error
	if t.address, err = address(words[0]); err != nil {
		return nil, usage("%w", err)
	}
	if abiFile != "" {
		if t.abi, err = readABI(abiFile); err != nil {
			return nil, err
		}
	}
	if t.function, err = findFunction(words[1], t.abi); err != nil {
		return nil, usage("%w", err)
	}
	arguments, err := encodeArguments(t.function.Inputs, words[2:])
	if err != nil {
		return nil, usage("%s: %w", t.function.signature(), err)
	}
	selector := t.function.selector()
	t.data = append(selector[:], arguments...)
	return &t, nil
}

// findFunction takes a signature as it is, unless the ABI knows more about it: what it returns.
func findFunction(text string, entries contractABI) (abiEntry, error) {
	if !strings.Contains(text, "(") {
		if entries == nil {
			return abiEntry{}, fmt.Errorf("%s: write the whole signature, like %s(uint256)(bool), or add --abi FILE", text, text)
		}
		return entries.function(text)
	}
	e, err := parseSignature(text)
	if err != nil {
		return e, err
	}
	if e.Type != "function" {
		return e, fmt.Errorf("%q is no function: write it like balanceOf(address)(uint256)", text)
	}
	if known, err := entries.function(e.signature()); err == nil && e.Outputs == nil {
		return known, nil
	}
	return e, nil
}

// blockTag writes numbers as JSON-RPC does.
func blockTag(text string) string {
	if n, err := integer(text); err == nil && n.Sign() >= 0 {
		return hexutil.EncodeBig(n)
	}
	return text
}

// call asks a contract and decodes what it returns.
func (c *chain) call(ctx context.Context, m *message, t *target, block string) (hexutil.Bytes, []argument, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var result hexutil.Bytes
	if err := c.ask(ctx, &result, "eth_call", m.object(), block); err != nil {
		if err = explain(t.abi, err); isRevert(err) {
			err = fmt.Errorf("%s %w", t.function.signature(), err)
		}
		return nil, nil, err
	}
	if len(result) == 0 && len(t.function.Outputs) > 0 {
		if err := c.wantCode(ctx, t.address, block); err != nil {
			return nil, nil, err
		}
	}
	outputs, err := decodeArguments(t.function.Outputs, result)
	if err != nil {
		return nil, nil, fmt.Errorf("what %s answered, 0x%s: %w: check what the signature returns", t.function.signature(), hex.EncodeToString(result[:min(len(result), 256)]), err)
	}
	return result, outputs, nil
}

// wantCode refuses an account without code: a call of one succeeds and does nothing.
func (c *chain) wantCode(ctx context.Context, at common.Address, block string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var code hexutil.Bytes
	if err := c.ask(ctx, &code, "eth_getCode", at, block); err != nil {
		return err
	}
	if len(code) == 0 {
		return fmt.Errorf("%s is no contract: check the address, and that --rpc names a node of its chain", at)
	}
	return nil
}

// printOutputs writes a value on a line; what nobody said how to read is written in hexadecimal digits.
func printOutputs(cmd *cobra.Command, function abiEntry, result []byte, outputs []argument) error {
	var b strings.Builder
	for _, o := range outputs {
		b.WriteString(o.String() + "\n")
	}
	if len(function.Outputs) == 0 && len(result) > 0 {
		b.WriteString(hexutil.Encode(result) + "\n")
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}
