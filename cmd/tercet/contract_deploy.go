package main

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/vm/meter"
)

// transactionFlags are those of commands that sign and send.
type transactionFlags struct {
	chain   chain
	key     keyFlags
	value   string
	gas     uint64
	abiFile string
	asJSON  bool
}

func (f *transactionFlags) add(cmd *cobra.Command) {
	f.chain.add(cmd)
	f.key.add(cmd)
	cmd.Flags().StringVar(&f.value, "value", "0", "send this `AMOUNT` of wei along, as in 5 or 0.5ether")
	cmd.Flags().Uint64Var(&f.gas, "gas", 0, "gas limit (default: a quarter above the estimate)")
	cmd.Flags().StringVar(&f.abiFile, "abi", "", "artifact or ABI `file` of the contract")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

func newContractDeploy() *cobra.Command {
	var f transactionFlags
	cmd := &cobra.Command{
		Use:   "deploy FILE [ARGUMENT…]",
		Short: "Put a contract on a chain",
		Long: `Deploy checks a contract as "tercet contract check" does, encodes the arguments of its
constructor, and sends the transaction that creates it: activation and constructor
happen inside. It waits for the receipt, which is final, and prints the address.

FILE is an artifact or a .wasm file; for the constructor's arguments a .wasm file needs
--abi. Arguments are 42 or 0x2a, true, 0x… for addresses and bytes, text as it is,
[1,2] for arrays and (1,2) for tuples. Negative numbers come after --.

Secrets are not taken from the command line: name a file with --key-file.`,
		Example: `  tercet contract deploy build/counter.json 41 --dev-account 0
  tercet contract deploy build/token.json "My Token" TOK 18 --key-file key.json --password-file password
  tercet contract deploy counter.wasm 41 --abi abi.json --dev-account 0 --json | jq -r .contract`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return deploy(cmd, &f, args[0], args[1:]) },
	}
	f.add(cmd)
	return cmd
}

func deploy(cmd *cobra.Command, f *transactionFlags, path string, words []string) error {
	c, err := readContract(path)
	if err != nil {
		return err
	}
	if f.abiFile != "" {
		if c.abi, err = readABI(f.abiFile); err != nil {
			return err
		}
	}
	module, err := meter.Rewrite(c.wasm, meter.Current)
	if err != nil {
		return fmt.Errorf("%s would be refused: %w", path, err)
	}
	arguments, err := constructorArguments(c.abi, module.HasConstructor, words)
	if err != nil {
		return err
	}
	known, err := f.chain.knows(cmd.Context(), c.code)
	if err != nil {
		return err
	}
	s, err := f.send(cmd.Context(), &message{data: append(c.creation, arguments...)}, c.abi)
	if activation := module.ActivationGas; s.Contract != "" {
		if known {
			activation = 0
		}
		s.Activation = &activation
	}
	return f.print(cmd, s, err)
}

// knows reports whether the chain has activated the same code already, which it does once.
func (c *chain) knows(ctx context.Context, code []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	e, err := parseSignature("codehashVersion(bytes32)(uint16)")
	if err != nil {
		panic("the signature of the activation contract is valid: " + err.Error())
	}
	selector, hash, precompile := e.selector(), crypto.Keccak256(code), common.HexToAddress("0x71")
	m := message{to: &precompile, data: append(selector[:], hash...), value: new(big.Int)}
	var result hexutil.Bytes
	err = explain(nil, c.ask(ctx, &result, "eth_call", m.object(), "latest"))
	if isRevert(err) {
		return false, nil
	}
	return len(result) == common.HashLength && result[common.HashLength-1] != 0, err
}

// constructorArguments encodes what is appended to a creation.
func constructorArguments(entries contractABI, hasConstructor bool, words []string) ([]byte, error) {
	constructor := entries.constructor()
	switch {
	case len(words) == 0 && len(constructor.Inputs) == 0:
		return nil, nil
	case entries == nil:
		return nil, usage("arguments for a constructor whose types are not known: name an artifact, or add --abi FILE")
	case !hasConstructor:
		return nil, usage("this contract exports no user_constructor, so it takes no arguments: leave them out, or write one")
	}
	encoded, err := encodeArguments(constructor.Inputs, words)
	if err != nil {
		return nil, usage("%w: the constructor is %s", err, constructor)
	}
	return encoded, nil
}

// send signs and sends a message and says what came of it; the error is a *revertError if it reverted.
func (f *transactionFlags) send(ctx context.Context, m *message, entries contractABI) (sent, error) {
	var err error
	if m.value, err = amount(f.value); err != nil {
		return sent{}, err
	}
	key, err := f.key.key()
	if err != nil {
		return sent{}, err
	}
	m.from, m.gas = senderOf(key), f.gas
	receipt, err := f.chain.transact(ctx, key, m, entries)
	if err != nil {
		return sent{}, err
	}
	s := outcome(m, receipt, entries)
	if receipt.Status != types.ReceiptStatusSuccessful {
		err = f.chain.whyReverted(ctx, m, entries, receipt)
	}
	return s, err
}

// print writes an outcome. What did not get as far as a receipt is only an error.
func (f *transactionFlags) print(cmd *cobra.Command, s sent, err error) error {
	if s.Transaction == "" {
		return err
	}
	if err != nil {
		s.Revert = err.Error()
	}
	var printErr error
	if f.asJSON {
		printErr = printJSON(cmd.OutOrStdout(), s)
	} else {
		_, printErr = fmt.Fprint(cmd.OutOrStdout(), s.text())
	}
	if err != nil {
		return fmt.Errorf("transaction %s %w", s.Transaction, err)
	}
	return printErr
}
